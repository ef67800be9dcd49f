//! How many calls damage took from a lane.

use crate::entry::Damaged;

/// Damaged stretches between two entries of a lane, or behind the last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hole {
    /// The index of the first call that stood there, and that behind the last, where headers say it.
    pub(super) first: Option<u64>,
    end: Option<u64>,
    /// Of one of them nobody knows how many calls it took.
    unknown: bool,
}

impl Hole {
    /// Passes one of them.
    pub(super) fn pass(&mut self, stretch: &Damaged) {
        self.first = self.first.or(stretch.index);
        self.end = self.end.max(stretch.end());
        self.unknown |= stretch.how_many().is_none();
    }

    /// How many calls are missing behind the last one, whose lane would have gone on with this index.
    pub(super) fn until_the_end(self, expected: Option<u64>) -> Option<u64> {
        if self.unknown {
            return None;
        }
        let from = expected.or(self.first).unwrap_or(0);
        Some(self.end?.saturating_sub(from))
    }
}
