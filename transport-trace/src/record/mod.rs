//! Records calls.
//!
//! [`Recorder`] wraps a transport. Its records go into a [`Lane`]: with std one of a [`Recording`], which writes a file;
//! without std a [`SinkLane`] over memory and a sink of the caller's.
//!
//! # What it costs
//! Two readings of a clock, and a copy of what the call's arguments point at. Neither an allocation nor a lock nor a system
//! call is on the way of a call, unless a policy asks for one. `cargo bench -p hypercall-trace` prints the cost as a ratio to
//! the cheapest recording there can be, beside what one might record with instead.
//!
//! # What to choose
//! | to be chosen | choose | for |
//! |---|---|---|
//! | when the ring is full | [`Full::Drop`] (default) | programs that must not wait: the calls are made and counted |
//! | | [`Full::Overwrite`] | the last seconds before a failure |
//! | | [`Full::Block`] | a trace without holes, of a program that may wait for its disk |
//! | what is asked onto the disk | `SyncPolicy::Never` (default) | processes that may be killed |
//! | | `SyncPolicy::Every`, `SyncPolicy::EachBlock` | machines that may lose their power |
//! | | `SyncPolicy::EachCall` | a call that stops the machine: it is on the disk before it is made |
//! | lanes | `Recording::lane` | one thread, or one vCPU: fast, and replayed in order |
//! | | `Recording::shared_lane` | threads that come and go |
//!
//! # What survives what
//! - A killed process (SIGKILL): every call that returned, and the one in flight. The rings stay in shared memory, and
//!   `read::recover` joins them with the file.
//! - A full or broken disk: no call fails. What the file has not got stays in the rings, and is written when there is room;
//!   what the rings have no room for is counted, and the trace says so where it was. What is in neither when the recording
//!   ends, since the rings overwrite and the storage is still broken, is put into a file beside the rings.
//! - A panic in the transport: the call is in the trace as one that never returned.
//! - A machine without power: what was asked onto the disk.
//!
//! What does not: a child of `fork` shares its parent's rings and must not use its recorders. A call within a call of the
//! same lane is made and counted as lost. A lane that is used after its recording was finished records nothing.

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
#[cfg(all(feature = "std", not(loom)))]
mod waiting;

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
