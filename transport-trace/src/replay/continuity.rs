//! Finds where a change of a shared page is missing from a trace: each change says what was there before.

use std::collections::BTreeMap;

use super::pages::words;
use crate::entry::PageChange;

/// The words of a lane's pages as the changes until now leave them.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    words: BTreeMap<(u32, usize), u32>,
}

impl Continuity {
    /// Takes the next change. Whether it begins where those before it ended; a word that was not seen before may have been
    /// anything, for a trace may begin in the middle.
    pub(super) fn follows(&mut self, change: &PageChange) -> bool {
        let mut follows = true;
        for (offset, before, after) in words(change) {
            let known = self.words.insert((change.page, offset), after);
            follows &= known.is_none_or(|known| known == before);
        }
        follows
    }
}
