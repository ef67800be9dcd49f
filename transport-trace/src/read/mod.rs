//! Reads traces: whole ones, cut ones, damaged ones, hostile ones.
//!
//! [`Trace::open`] reads the index, or the blocks' headers; [`Trace::entries`] reads one block at a time. What cannot be
//! read is an [`Entry::Damaged`](crate::entry::Entry::Damaged) where it stands, and never something else. No declared
//! size is believed before it was compared with what is there and with a limit.
//!
//! What opening costs: what a header says of each block (about a hundred bytes; there are at most 2^24 blocks), and the descriptions.
//! What reading costs: one block stored and one unpacked, at most 128 MiB, mostly less than one.
//!
//! ```
//! use hypercall_trace::clock::ClockInfo;
//! use hypercall_trace::entry::{Argument, Call, Entry, Outcome};
//! use hypercall_trace::read::Trace;
//! use hypercall_trace::schema::Schema;
//! use hypercall_trace::write::{Options, Writer};
//!
//! // A trace of one call, as a recorder, an import or a test may make it.
//! let clock = ClockInfo::with_frequency(1_000_000_000);
//! let mut writer = Writer::new(Vec::new(), &Schema::default(), clock, Options::default())?;
//! let lane = writer.lane("boot")?;
//! writer.push(&Entry::Call(Call {
//!     lane,
//!     index: 0,
//!     schema: None,
//!     number: 0x8000_0000,
//!     args: [Argument::Value(7), Argument::Unused],
//!     enter: 100,
//!     duration: Some(40),
//!     outcome: Outcome::Returned(-22),
//! }))?;
//! let mut bytes = writer.finish()?;
//!
//! let trace = Trace::from_bytes(bytes.clone())?;
//! assert!(trace.verify()?.is_clean());
//! for entry in trace.entries() {
//!     match entry {
//!         Entry::Call(call) => {
//!             assert_eq!((call.number, call.rax()), (0x8000_0000, Some(-22)));
//!             let nanoseconds = call.duration.and_then(|ticks| trace.clock().nanoseconds(ticks));
//!             assert_eq!(nanoseconds, Some(40));
//!         }
//!         other => panic!("{other:?}"),
//!     }
//! }
//!
//! // One bit of it flips: nothing else is read, and what is missing is said.
//! let block = trace.data().next().ok_or("there is one")?;
//! let place = usize::try_from(block.offset)? + 64 + 20;
//! bytes[place] ^= 1;
//! let damaged = Trace::from_bytes(bytes)?;
//! let entries: Vec<_> = damaged.entries().collect();
//! assert!(matches!(&entries[..], [Entry::Damaged(damaged)] if damaged.entries == Some(1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod clocks;
mod describe;
mod entries;
mod index;
mod merged;
mod missing;
mod open;
mod order;
mod owned;
pub mod recover;
mod scan;
mod source;
mod trace;
mod verify;
mod view;

pub use block::{BlockEntry, Buffer, Malformed, RecordRef, RecordRefs, Views};
pub use describe::LostDescriptions;
pub use entries::{Entries, Reached};
pub(crate) use index::encode_index;
pub use merged::Merged;
pub use open::OpenError;
pub use source::Source;
pub use trace::{Lane, Trace};
pub use verify::Report;
pub(crate) use view::split;
pub use view::{
    AfterView, ArgumentView, CallView, LinkView, LostView, MemoryView, OutcomeView, PagesView,
    TargetView, View,
};
