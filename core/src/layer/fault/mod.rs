//! Breaks chosen calls on purpose.
//!
//! A [`Plan`] says which calls, what happens to them, and when. It is written in a small language, which a test keeps
//! in its source and an engineer types on a command line, with `;` for the line breaks:
//!
//! ```
//! # use hypercall_core::{acrn::HypervisorCalls, layer::fault::{Plan, PlanError}};
//! # let plan =
//! Plan::<8>::parse(
//!     "
//!     start_vm: instead=EPERM @ 2          # the second start_vm is refused, without being issued
//!     create_vm: after=lost @ 1            # the first create_vm is issued, and its answer lost
//!     0x80000012: instead=-1 @ 3..         # by number; from the third on
//!     *: delay=5ms @ +10                   # every tenth call takes 5 milliseconds longer
//!     create_vm: flip=vmid.0 @ 2..8+2      # one bit of what the 2nd, 4th, 6th and 8th create_vm wrote
//!     get_hw_info: xor=0^ff00ff            # bytes 0 and 2 of what every get_hw_info wrote
//!     pause_vm: instead=hang               # the caller never gets an answer
//!     ",
//!     HypervisorCalls::INTERFACE,
//! )?;
//! # assert_eq!(plan.faults().count(), 7);
//! # Ok::<(), PlanError>(())
//! ```
//!
//! # Grammar
//! ```text
//! plan    = { gap } , [ fault , { gap , { gap } , fault } ] , { gap } ;
//! gap     = ";" | newline | "#" , { any character but newline } ;
//! fault   = calls , ":" , effect , [ "@" , when ] ;
//! calls   = "*" | number | name ;                  (* a method's name *)
//! effect  = ( "instead" | "after" ) , "=" , answer
//!         | "delay" , "=" , decimal , ( "us" | "ms" | "s" )
//!         | "flip" , "=" , place , [ "." , decimal ]
//!         | "xor" , "=" , place , "^" , digit , digit , { digit , digit } ;
//! answer  = [ "-" ] , decimal | hexadecimal | "lost" | "crash" | "hang"
//!         | name ;                                 (* of a code, such as EPERM *)
//! place   = number | name ;                        (* a byte of the output, or a field *)
//! when    = first , [ ".." , [ last ] ] , [ "+" , step ] | "+" , step ;
//! first, last, step = decimal ;
//! number  = decimal | hexadecimal ;                (* hexadecimal starts with 0x; digit is a hexadecimal one *)
//! ```
//! Spaces and tabs may stand around `:`, `=`, `^` and `@`. A name starts with a letter or `_` and goes on with letters,
//! digits and `_`.
//!
//! # Which
//! A method's name, a hypercall number (all methods of that number), or `*` for every call.
//!
//! # What
//! | effect | means |
//! |---|---|
//! | `instead=A` | the call is **not issued**; A is the answer |
//! | `after=A` | the call **is issued**, then A replaces its answer; an attempt that got no answer stays that |
//! | `delay=5ms` | the caller sleeps before anything else happens; delays add up |
//! | `flip=P.B` | bit B of place P is inverted in the memory that the call wrote; without B, the whole byte |
//! | `xor=P^H` | the bytes from place P on are combined with up to 8 bytes H |
//!
//! An answer is RAX as a number (`-22`; hexadecimal for all 64 bits), the name of one of the interface's codes
//! (`EINVAL`), or a failure: `lost` (the hypervisor may have acted, nobody knows), `crash` and `hang`
//! ([`Hazard`](crate::Hazard)). The caller cannot tell an injected answer from a real one. Of several answers for one
//! call the plan's first is taken.
//!
//! A place is a byte of the call's output memory ([`Arg::output`](crate::arg::Arg::output)), counted from 0, or the
//! first byte of one of its fields. Bits count from the lowest of that byte and may go on to the end of the field.
//! Output is only changed where there is an answer, and where all of it is there.
//!
//! # When
//! Each fault counts the calls that it is about, from 1, whatever other faults do to them.
//!
//! | when | which of them |
//! |---|---|
//! | (nothing) | every |
//! | `3` | the third only |
//! | `3..` | from the third on |
//! | `3..7` | the third to the seventh |
//! | `3..7+2` | the third, fifth and seventh |
//! | `3..+2` or `3+2` | the third and every second one after it |
//! | `+2` | every second: the second, fourth, … |

mod effect;
mod error;
mod inject;
mod near;
mod output;
mod parse;
mod plan;
mod show;
mod token;
mod when;

pub use error::{PlanError, Problem};
pub use inject::{FaultInjection, Injector, Tally};
pub use near::Name;
pub use plan::{Answer, Calls, Effect, Fault, Form, Full, Pattern, Plan};
pub use when::When;
