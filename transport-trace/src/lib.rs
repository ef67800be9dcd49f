//! Records hypercalls, and reads what was recorded.
//!
//! ```
//! use hypercall_core::acrn::{Hypervisor, HypervisorCalls, VmId};
//! # use hypercall_core::{Transport, TransportError, arg::Arg, call::CallInfo};
//! # struct Machine;
//! # impl Transport for Machine {
//! #     fn call<'a>(&self, _: &'static CallInfo, _: [Arg<'a>; 2]) -> Result<i64, TransportError> { Ok(0) }
//! # }
//! use hypercall_core::Client;
//! use hypercall_trace::read::Trace;
//! use hypercall_trace::record::{Recorder, Recording};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = std::env::temp_dir().join(format!("hct-doc-{}.hct", std::process::id()));
//! # let machine = Machine;
//! let recording = Recording::options(&[HypervisorCalls::INTERFACE]).create(&path)?;
//! let hypervisor = Client::new(Recorder::new(machine, recording.lane("main")?));
//! hypervisor.pause_vm(VmId(1))?;
//! let finished = recording.finish();
//! assert!(finished.complete && finished.lost == 0);
//!
//! let trace = Trace::open(&path)?;
//! let call = trace.call(0, 0).ok_or("the first call")?;
//! assert_eq!((call.name(), call.rax()), ("pause_vm", Some(0)));
//! # std::fs::remove_file(path)?;
//! # Ok(())
//! # }
//! ```
//! [`record`] says what recording costs, what survives what, and how pages are recorded that the hypervisor writes; `docs/trace-format.md` says what stands in a file.
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
#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "std")]
pub mod canonical;
#[cfg(feature = "std")]
pub mod check;
mod checksum;
pub mod clock;
#[cfg(feature = "std")]
pub mod diff;
#[cfg(feature = "std")]
pub mod drive;
#[cfg(feature = "std")]
pub mod entry;
#[cfg(feature = "std")]
pub mod explain;
pub mod format;
#[cfg(feature = "std")]
pub mod gen_test;
#[cfg(feature = "std")]
mod get;
mod loss;
pub use loss::LossCause;
#[cfg(feature = "std")]
mod plural;
#[cfg(feature = "std")]
pub mod read;
pub mod record;
#[cfg(feature = "std")]
pub mod replay;
mod ring;
#[cfg(feature = "std")]
pub mod schema;
#[cfg(feature = "std")]
pub mod state;
mod wire;
#[cfg(feature = "std")]
pub mod write;
