//! What the program saw of its shared pages between two calls: look by look.

use crate::entry::PageChange;

/// Changes of pages that were noted between two calls, one list for each time that the program asked and was shown
/// something.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    looks: Vec<Look>,
    done: usize,
    /// Looks of the live program since the last one that was done.
    made: u64,
}

/// What one look found.
#[derive(Debug)]
struct Look {
    /// Which look since the last call or the last look that found something: 1 the first.
    number: u64,
    changes: Vec<PageChange>,
}

/// What a look of the live program finds.
#[derive(Debug)]
pub(crate) enum Found {
    /// The pages, unchanged: the recorded program looked here, and later again.
    Nothing,
    /// Changes.
    Changes(Vec<PageChange>),
}

impl Notes {
    pub(super) fn push(&mut self, change: PageChange) {
        // All that one look finds has one time. A recorder that did not count its looks wrote each page at most once.
        let same = self.looks.last().and_then(|look| look.changes.last());
        let same = same.is_some_and(|last| {
            change.look == 0 && last.ticks == change.ticks && last.page <= change.page
        });
        match self.looks.last_mut() {
            Some(look) if same => look.changes.push(change),
            _ => self.looks.push(Look {
                number: change.look.max(1),
                changes: vec![change],
            }),
        }
    }

    /// What was not asked for yet.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &PageChange> {
        let rest = self.looks.iter().skip(self.done);
        rest.flat_map(|look| &look.changes)
    }

    /// The next list, whenever the recorded program saw it.
    pub(crate) fn next(&mut self) -> Option<Vec<PageChange>> {
        let look = self.looks.get_mut(self.done)?;
        self.done = self.done.saturating_add(1);
        self.made = 0;
        Some(core::mem::take(&mut look.changes))
    }

    /// What the next look finds; `None` where the recorded program did not look any more, or found nothing more.
    pub(crate) fn look(&mut self) -> Option<Found> {
        let due = self.looks.get(self.done)?.number;
        self.made = self.made.saturating_add(1);
        if self.made < due {
            return Some(Found::Nothing);
        }
        self.next().map(Found::Changes)
    }
}
