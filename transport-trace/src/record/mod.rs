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
//! The short way is that of calls whose arguments are values and at most one block: with up to 248 bytes the clock is what it
//! costs, with more, up to 4 KiB, the clock and a copy. A block that the hypervisor writes is compared when the call returns, and
//! copied once more where it changed. Two blocks, a block that points at what is written or kept or more than 500 bytes, and secrets
//! take the long way.
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
//! # Pages that the hypervisor writes
//! A call says what its arguments point at. What the hypervisor or a guest writes later, into a page that the program shared with
//! it, such as a page of I/O requests, stands in no call: the recorder sees it only in pages that the program asks it to
//! [watch](Recorder::watch), and a replay brings only what was recorded. So watch each page that is shared, before the call that
//! shares it. What changed in it is then noted when a call of the lane is entered and when it returns.
//!
//! A program that waits for a change without making calls says when it looks: it calls [`note_pages`](Recorder::note_pages)
//! before each look. The other side may write between that and the look, so that the program sees what is not recorded yet.
//! Hence the rule: note, look; **where there is something to act on, note again, and then act.** The change is then recorded
//! before anything that follows from it, and a replay, which brings it with the second note, shows it to the program's next look.
//!
//! ```
//! # use hypercall_core::{SharedPage, Transport};
//! # use hypercall_trace::record::{Lane, Recorder};
//! # use core::sync::atomic::Ordering;
//! fn wait_for_request<T: Transport, L: Lane>(recorder: &Recorder<T, L>, page: &'static SharedPage) {
//!     loop {
//!         recorder.note_pages();
//!         if page.words()[0].load(Ordering::Acquire) != 0 {
//!             recorder.note_pages();
//!             return;
//!         }
//!         core::hint::spin_loop();
//!     }
//! }
//! ```
//!
//! What is written twice between two notes is recorded as it was last. A page in which several things happen that way is looked
//! at behind the second note: what the program reads there is at least as new as what was recorded.
//!
//! # What survives what
//! - A killed process (SIGKILL): every call that returned, and the one in flight. The rings stay in shared memory, and
//!   `read::recover` joins them with the file.
//! - A full or broken disk: no call fails. What the file has not got stays in the rings, and is written when there is room;
//!   what the rings have no room for is counted, and the trace says so where it was. What is in neither when the recording
//!   ends, since the rings overwrite and the storage is still broken, is put into a file beside the rings.
//!   Also with [`Full::Block`]: a call waits about a second for a disk that takes nothing, and then none waits until it takes
//!   something.
//! - A disk that says of a sync that it failed: what was written before may be gone although the storage took it, and later syncs
//!   that succeed prove nothing. The recording goes on and tries again; its end is then not complete
//!   (`Finished::complete`), the file has no index, and the rings stay with what they still hold.
//! - A storage that does not answer, such as a network's file system whose server is gone: it is waited for as long as the
//!   recording's patience says (`RecordingOptions::patience`, which has who waits and how long), by calls and by the end of the
//!   recording. Until it answers it is as a disk that takes nothing.
//! - A panic in the transport: the call is in the trace as one that never returned.
//! - A machine without power: what was asked onto the disk.
//!
//! What does not: a call within a call of the same lane is made and counted as lost. A lane that is used after its recording was
//! finished records nothing.
//!
//! # Processes that fork
//! A recording is that of the process that started it, and so is the thread that writes its file. A child of `fork` has the same
//! rings, at the same addresses, as its parent:
//!
//! - **It must not make calls through its parent's recorders**: they would stand where its parent puts its own. Such calls are made,
//!   and none waits for the thread that the child has not got; but records of the parent are lost, or those of the child stand in
//!   their places. To ask at each call whose it is would be a system call.
//! - It may drop the recording and the recorders, or leave them be. Nothing of the parent's is written, removed or waited for.
//!   `Recording::finish` says that the recording is the parent's, and `Recording::lane` is an error.
//! - It may start a recording of its own.
//!
//! So a daemon starts its recording when it has forked for the last time. A child that runs another program (`exec`) has nothing of
//! the recording.

mod answer;
mod argument;
mod blocks;
#[cfg(all(feature = "std", not(loom)))]
mod drain;
#[cfg(all(feature = "std", not(loom)))]
mod ending;
#[cfg(all(feature = "std", not(loom)))]
mod file_lane;
mod lane;
mod memory;
#[cfg(all(feature = "std", not(loom)))]
mod options;
#[cfg(not(loom))]
mod outlet;
mod pages;
#[cfg(all(feature = "std", not(loom)))]
mod patient;
#[cfg(not(loom))]
mod preamble;
mod recorder;
#[cfg(all(feature = "std", not(loom)))]
mod recording;
mod redact;
#[cfg(all(feature = "std", not(loom)))]
mod rings;
mod room;
#[cfg(all(feature = "std", not(loom)))]
mod shared;
#[cfg(not(loom))]
mod sink;
#[cfg(not(loom))]
mod sink_lane;
#[cfg(all(feature = "std", not(loom)))]
mod storage;
mod summary;
#[cfg(all(feature = "std", not(loom)))]
mod waiting;

pub use crate::ring::Full;
#[cfg(all(feature = "std", not(loom)))]
pub use file_lane::{FileLane, SharedLane};
#[cfg(all(feature = "std", not(loom)))]
pub use options::RecordingOptions;
pub use pages::Watched;
#[cfg(not(loom))]
pub use preamble::write_preamble;
pub use recorder::{Lane, Recorder, WatchError};
#[cfg(all(feature = "std", not(loom)))]
pub use recording::Recording;
pub use redact::Redaction;
#[cfg(not(loom))]
pub use sink::{Sink, SinkFailed};
#[cfg(not(loom))]
pub use sink_lane::{SinkLane, SinkLaneOptions};
#[cfg(all(feature = "std", not(loom)))]
pub use storage::{Finished, Storage, SyncPolicy};
