//! Records calls.
//!
//! [`Recorder`] wraps a transport. Its records go into a [`Lane`]: with std one of a [`Recording`], which writes a file;
//! without std a [`SinkLane`] over memory and a sink of the caller's.

#[cfg(all(feature = "std", not(loom)))]
mod drain;
mod lane;
mod pages;
mod recorder;
#[cfg(all(feature = "std", not(loom)))]
mod recording;
mod redact;
#[cfg(not(loom))]
mod sink;
mod summary;

pub use crate::ring::Full;
#[cfg(all(feature = "std", not(loom)))]
pub use drain::{Finished, Storage, SyncPolicy};
pub use pages::Watched;
pub use recorder::{Lane, Recorder, WatchError};
#[cfg(all(feature = "std", not(loom)))]
pub use recording::{FileLane, Recording, RecordingOptions, SharedLane};
pub use redact::Redaction;
#[cfg(not(loom))]
pub use sink::{Sink, SinkFailed, SinkLane, SinkLaneOptions, write_preamble};
