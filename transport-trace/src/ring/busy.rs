//! Calls that came while their lane was in use, and stand in no record yet. Their number lies in the head of a ring, so that
//! it survives the process as the records do.

use core::sync::atomic::Ordering;

use super::area::Area;
use super::layout::head;

/// The count of such calls. Any thread may add to it.
#[derive(Debug)]
pub(crate) struct Busy<'m> {
    area: Area<'m>,
}

// SAFETY: it gives access to one control word, which has atomic accesses only (see `Base::control`). The mapping that the word
// lies in is kept by an Arc, which is Sync.
unsafe impl Sync for Busy<'_> {}

impl<'m> Busy<'m> {
    pub(super) const fn new(area: Area<'m>) -> Self {
        Self { area }
    }

    /// Counts a call.
    #[cold]
    pub(crate) fn add(&self) {
        self.area.head(head::BUSY).fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there are any.
    #[inline(always)]
    pub(crate) fn any(&self) -> bool {
        self.area.head(head::BUSY).load(Ordering::Relaxed) != 0
    }

    /// Takes one away, to note it elsewhere. Whether there was one.
    pub(crate) fn take(&self) -> bool {
        self.area
            .head(head::BUSY)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                count.checked_sub(1)
            })
            .is_ok()
    }
}
