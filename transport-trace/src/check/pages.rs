//! What the watched pages held when they were last looked at.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::{PageChange, When};
use crate::state::Memory;

/// Watched pages that are followed; a trace with more is a hostile one.
pub(super) const MAX_PAGES: usize = 4096;
/// Bytes of a page.
const PAGE: usize = 4096;
/// Bytes of a slot of a request page, and where in it the state is.
const SLOT: usize = 256;
const STATE: usize = 136;
/// States of a slot: a vCPU waits for an answer, has one, a device model works on it, there is no request.
pub(super) const PENDING: u32 = 0;
pub(super) const COMPLETE: u32 = 1;
pub(super) const PROCESSING: u32 = 2;
pub(super) const FREE: u32 = 3;

/// Watched pages, by lane and number.
#[derive(Clone, Debug, Default)]
pub(super) struct Shadows {
    pages: BTreeMap<(String, u32), Shadow>,
    /// Looks that found something, of each lane and in all.
    looks: BTreeMap<String, u64>,
    all_looks: u64,
}

#[derive(Clone, Debug)]
struct Shadow {
    bytes: Vec<u8>,
    /// Slots, if it is a request page, that went from free to answered without a look that found the request.
    unseen: BTreeSet<usize>,
    /// Looks of other lanes until it changed last.
    others: u64,
}

impl Shadow {
    fn state(&self, slot: usize) -> Option<u32> {
        let at = slot.checked_mul(SLOT)?.checked_add(STATE)?;
        let state = self.bytes.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*state))
    }
}

impl Shadows {
    /// Takes a change of a page. Whether it is followed.
    pub(super) fn take(&mut self, lane: &str, change: &PageChange) -> bool {
        if change.when == When::Note {
            let own = self.looks.entry(lane.to_owned()).or_default();
            *own = own.saturating_add(1);
            self.all_looks = self.all_looks.saturating_add(1);
        }
        let own = self.looks.get(lane).copied().unwrap_or(0);
        let others = self.all_looks.saturating_sub(own);
        let key = (lane.to_owned(), change.page);
        if self.pages.len() >= MAX_PAGES && !self.pages.contains_key(&key) {
            return false;
        }
        let page = self.pages.entry(key).or_insert_with(|| Shadow {
            bytes: vec![0; PAGE],
            unseen: BTreeSet::new(),
            others: 0,
        });
        // The trace does not tell whether another lane's page is the same one: its thread may have found the request.
        let found_elsewhere = core::mem::replace(&mut page.others, others) != others;
        let states =
            |page: &Shadow| -> Vec<_> { (0..PAGE / SLOT).map(|slot| page.state(slot)).collect() };
        let before = states(page);
        for run in &change.runs {
            let at = usize::try_from(run.offset).unwrap_or(usize::MAX);
            crate::format::put(&mut page.bytes, at, &run.after);
        }
        // At the exit of a call it may have been another thread; what stands later than it came says nothing of before.
        let own = change.when != When::Exit && !change.late && !found_elsewhere;
        for (slot, (before, after)) in before.into_iter().zip(states(page)).enumerate() {
            if before == after {
                continue;
            }
            if own && before == Some(FREE) && matches!(after, Some(PROCESSING | COMPLETE)) {
                page.unseen.insert(slot);
            } else if !(before == Some(PROCESSING) && after == Some(COMPLETE)) {
                page.unseen.remove(&slot);
            }
        }
        true
    }

    /// The state of a vCPU's slot in a request page, where the page is watched in this lane.
    pub(super) fn slot_state(&self, lane: &str, memory: &Memory, vcpu: u64) -> Option<u32> {
        self.page(lane, memory)?.state(usize::try_from(vcpu).ok()?)
    }

    /// Whether the request of a vCPU was answered although no look of the lane had found it.
    pub(super) fn unseen(&self, lane: &str, memory: &Memory, vcpu: u64) -> bool {
        let slot = usize::try_from(vcpu).ok();
        let page = self.page(lane, memory);
        page.zip(slot)
            .is_some_and(|(page, slot)| page.unseen.contains(&slot))
    }

    fn page(&self, lane: &str, memory: &Memory) -> Option<&Shadow> {
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
        self.pages.get(&(theirs.clone(), *number))
    }
}
