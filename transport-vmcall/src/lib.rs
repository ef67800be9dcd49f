//! The VMCALL transport: ACRN's R8 ABI, for code that runs in ring 0 of a guest.
//!
//! `VMCALL` leaves the guest and enters the hypervisor. ACRN takes the number in R8, the parameters in RDI and RSI, and
//! answers in RAX. This crate is that instruction, and what has to be known before it is executed:
//!
//! 1. [`detect`] asks the processor whether ACRN is there and whether this code may call it. It is safe and never
//!    faults; the token that it returns is the proof.
//! 2. [`Vmcall::new`] takes the proof and a way to find physical addresses ([`Translate`]). It is `unsafe`: its contract
//!    is what the caller promises about memory.
//! 3. `Client::new(transport)` is the hypervisor, with the methods of the interface's trait.
//!
//! ```no_run
//! use hypercall_core::Client;
//! use hypercall_core::acrn::{Hypervisor, VmId};
//! use hypercall_vmcall::{Identity, Vmcall, detect};
//!
//! let acrn = detect()?;
//! // SAFETY: this kernel maps memory to its own physical address, and hands out no memory that it uses itself.
//! let hypervisor = Client::new(unsafe { Vmcall::new(acrn, Identity::new()) });
//! hypervisor.pause_vm(VmId(1))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Over this transport, known at compile time, a call of the trait is what a hand-written `asm!` would be: the
//! arguments in place, `mov $number, %r8d`, `vmcall`, one test of RAX. The repository compares the object code.
//!
//! RAX goes in as [`RAX_UNWRITTEN`](hypercall::RAX_UNWRITTEN): one `mov`, in the typed form and in every hand-written one that is to
//! be right on ACRN 3.3, which left RAX alone where the result was -13 or -19. Without it, whatever the program computed last is
//! read as the answer, and 0 as success.
#![warn(missing_docs, unreachable_pub)]
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]
#![no_std]
#![cfg(target_arch = "x86_64")]
#![deny(unsafe_op_in_unsafe_fn)]

extern crate hypercall_core as hypercall;

mod asm;
mod detect;
mod translate;
mod transport;
mod world;

pub use detect::{Acrn, NotAvailable, Signature, detect};
pub use translate::{Identity, Translate};
pub use transport::Vmcall;
