//! What the watched pages held when they were last looked at.

use std::collections::BTreeMap;

use crate::entry::PageChange;
use crate::state::Memory;

/// Bytes of a slot of a request page, and where in it the state is.
const SLOT: usize = 256;
const STATE: usize = 136;

/// Watched pages, by lane and number.
#[derive(Clone, Debug, Default)]
pub(super) struct Shadows {
    pages: BTreeMap<(String, u32), Vec<u8>>,
}

impl Shadows {
    pub(super) fn take(&mut self, lane: &str, change: &PageChange) {
        let page = self
            .pages
            .entry((lane.to_owned(), change.page))
            .or_insert_with(|| vec![0; 4096]);
        for run in &change.runs {
            let at = usize::try_from(run.offset).unwrap_or(usize::MAX);
            crate::format::put(page, at, &run.after);
        }
    }

    /// The state of a vCPU's slot in a request page, where the page is watched in this lane.
    pub(super) fn slot_state(&self, lane: &str, memory: &Memory, vcpu: u64) -> Option<u32> {
        let Memory::Page {
            lane: theirs,
            number,
        } = memory
        else {
            return None;
        };
        if theirs != lane {
            // Another lane's look at the page may be long ago.
            return None;
        }
        let page = self.pages.get(&(theirs.clone(), *number))?;
        let slot = usize::try_from(vcpu).ok()?.checked_mul(SLOT)?;
        let state = page.get(slot.checked_add(STATE)?..)?.first_chunk()?;
        Some(u32::from_le_bytes(*state))
    }
}
