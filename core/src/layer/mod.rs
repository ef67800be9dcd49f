//! Layers: transports that hold a transport.
//!
//! A layer sees every call before and after the transport inside it, and neither the program above nor the transport
//! below knows. Layers are types, so a stack of them over a statically known transport costs what they do and no more.
//!
//! | layer | what it does |
//! |---|---|
//! | [`Counting`] | counts calls by name and outcome |
//! | [`AllowList`] | lets only listed calls through, or all but the listed ones |
//! | [`DryRun`] | issues nothing, and says what would have been issued |
//! | [`FaultInjection`] | breaks chosen calls on purpose, by a plan in a [small language](fault) |
//! | [`Print`] | shows each call in a line, in the manner of strace |
//!
//! # Order
//! The outermost layer sees a call first and its answer last. So a [`Print`] outside a [`FaultInjection`] shows the
//! faults, and one inside shows what the hypervisor answered; an [`AllowList`] belongs outside whatever must not see a
//! refused call. None of them needs an allocator, and all may be used by several threads at once.
//!
//! ```
//! use hypercall_core::layer::{AllowList, CallList, Counting, FaultInjection, Print, Rule, fault::Plan};
//! # use hypercall_core::{Client, Error, Transport, TransportError, arg::Arg, call::{CallInfo, CodeInfo}};
//! # const CODES: &[CodeInfo] = &[CodeInfo { code: -16, name: "EBUSY", text: "busy" }];
//! # #[hypercall_core::interface(codes = CODES, crate = ::hypercall_core)]
//! # pub trait Plotter {
//! #     /// Lifts the pen.
//! #     #[call(0x11)]
//! #     fn lift(&self, pen: u32) -> Result<(), Error>;
//! #     /// Cuts the paper.
//! #     #[call(0x12)]
//! #     fn cut(&self) -> Result<(), Error>;
//! # }
//! # struct Wire;
//! # impl Transport for Wire {
//! #     fn call<'a>(&self, _: &'static CallInfo, _: [Arg<'a>; 2]) -> Result<i64, TransportError> { Ok(0) }
//! # }
//! // Inside out: faults first, what came of them counted and printed, and nothing but `lift` let in.
//! let plan = Plan::<4>::parse("lift: after=EBUSY @ 2", PlotterCalls::INTERFACE).unwrap();
//! let broken = FaultInjection::new(Wire, plan, std::thread::sleep);
//! let counted: Counting<_> = Counting::new(broken, PlotterCalls::INTERFACE);
//! let printed = Print::new(counted, |line| println!("{line}"));
//! let plotter = Client::new(AllowList::new(printed, CallList::only([Rule::Call(PlotterCalls::LIFT)])));
//!
//! assert!(plotter.lift(1).is_ok());
//! assert_eq!(plotter.lift(1).unwrap_err().code(), Some(-16));
//! assert!(plotter.cut().unwrap_err().to_string().contains("allow-list"));
//! // It printed
//! //     lift(pen=1) = 0
//! //     lift(pen=1) = -16 EBUSY
//! let counted = plotter.transport().inner().inner();
//! assert_eq!(counted.calls(PlotterCalls::LIFT), 2);
//! assert_eq!(counted.calls(PlotterCalls::CUT), 0);
//! ```
//!
//! # Writing one
//! Implement [`Transport`](crate::Transport) for a struct that holds one. Pass
//! [`reborrow`](crate::arg::reborrow)ed arguments on to look at them again afterwards, and return
//! [`TransportError::Layer`](crate::TransportError::Layer), with the layer's name, for what is not to be issued.

pub mod allow;
pub mod count;
pub mod dry_run;
pub mod fault;
mod outcome;
mod print;

pub use allow::{AllowList, CallList, Rule, UnknownCall};
pub use count::Counting;
pub use dry_run::DryRun;
pub use fault::FaultInjection;
pub use outcome::Outcome;
pub use print::Print;
