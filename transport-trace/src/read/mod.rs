//! Reads traces: whole ones, cut ones, damaged ones, hostile ones.
//!
//! [`Trace::open`] reads the index, or the blocks' headers; [`Trace::entries`] reads one block at a time. What cannot be
//! read is an [`Entry::Damaged`](crate::entry::Entry::Damaged) where it stands, and never something else. No declared
//! size is believed before it was compared with what is there and with a limit.

mod block;
mod entries;
mod merged;
mod order;
pub mod recover;
mod scan;
mod source;
mod trace;
mod verify;
mod view;

pub use block::{BlockEntry, Buffer, Malformed, RecordRef, RecordRefs, Views};
pub use entries::Entries;
pub use merged::Merged;
pub(crate) use scan::encode_index;
pub use source::Source;
pub use trace::{Lane, OpenError, Trace};
pub use verify::Report;
pub(crate) use view::split;
pub use view::{
    AfterView, ArgumentView, CallView, LinkView, LostView, MemoryView, OutcomeView, PagesView,
    TargetView, View,
};
