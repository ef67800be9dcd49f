//! What the watched pages held when they were last looked at.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::{PageChange, When};
use crate::state::Memory;

/// Watched pages that are followed; a trace with more is a hostile one.
pub(super) const MAX_PAGES: usize = 4096;
/// Bytes of a page.
const PAGE: usize = 4096;
/// Bytes of a word, of which changes consist.
const WORD: usize = 4;
/// Bytes of a slot of a request page, and where in it the state is.
const SLOT: usize = 256;
const STATE: usize = 136;
/// Where the hypervisor says that it polls for completion, and Linux's driver that it serves the request itself.
const POLLS: usize = 4;
const KERNEL_HANDLED: usize = 132;
/// What a request is: its kind, and what is asked around the value.
const REQUEST: [std::ops::Range<usize>; 3] = [0..4, 64..88, 96..128];
/// States of a slot: a vCPU waits for an answer, has one, a device model works on it, there is no request.
pub(super) const PENDING: u32 = 0;
pub(super) const COMPLETE: u32 = 1;
pub(super) const PROCESSING: u32 = 2;
pub(super) const FREE: u32 = 3;

/// Watched pages, by lane and number.
#[derive(Clone, Debug, Default)]
pub(super) struct Shadows {
    pages: BTreeMap<(String, u32), Shadow>,
    /// Those of each lane of which something may be known: only they are forgotten where changes are missing, so that many such places
    /// cost no more than the changes between them.
    told: BTreeMap<String, Vec<u32>>,
    /// Looks that found something, of each lane and in all.
    looks: BTreeMap<String, u64>,
    all_looks: u64,
    /// Lanes of which changes are missing, and whether such of any lane are.
    lacking: BTreeSet<String>,
    all_lack: bool,
}

#[derive(Clone, Debug)]
struct Shadow {
    bytes: Vec<u8>,
    /// Which of its words are known: not those that may have changed in what is missing, until they change again.
    known: Vec<bool>,
    /// Whether any of them may be.
    told: bool,
    /// Slots, if it is a request page, that went from free to answered without a look that found the request.
    unseen: BTreeSet<usize>,
    /// Looks of other lanes until it changed last.
    others: u64,
}

impl Shadow {
    fn new(known: bool) -> Self {
        Self {
            bytes: vec![0; PAGE],
            known: vec![known; PAGE / WORD],
            told: false,
            unseen: BTreeSet::new(),
            others: 0,
        }
    }

    /// Nothing is known any more.
    fn forget(&mut self) {
        self.known.fill(false);
        self.unseen.clear();
    }

    fn put(&mut self, offset: u32, bytes: &[u8]) {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        crate::format::put(&mut self.bytes, at, bytes);
        let end = at.saturating_add(bytes.len()).min(PAGE);
        // Of a word in part the rest may be another one's.
        let words = at.div_ceil(WORD)..end.checked_div(WORD).unwrap_or(0);
        if let Some(known) = self.known.get_mut(words) {
            known.fill(true);
        }
    }

    /// Takes what a change says of before. It is known whatever was; where something else was known, changes are missing.
    fn put_before(&mut self, change: &PageChange) {
        let differs = change.runs.iter().any(|run| {
            let at = usize::try_from(run.offset).unwrap_or(usize::MAX);
            let mut bytes = (at..PAGE).zip(&run.before);
            bytes.any(|(at, before)| self.is_known(at..at) && self.bytes.get(at) != Some(before))
        });
        if differs {
            self.forget();
        }
        for run in &change.runs {
            self.put(run.offset, &run.before);
        }
    }

    /// Bytes of a slot, where all of them are known.
    fn part(&self, slot: usize, part: std::ops::Range<usize>) -> Option<&[u8]> {
        let start = slot.checked_mul(SLOT)?;
        let part = start.checked_add(part.start)?..start.checked_add(part.end)?;
        self.is_known(part.clone())
            .then(|| self.bytes.get(part))
            .flatten()
    }

    /// Whether all words are known in which these bytes are.
    fn is_known(&self, bytes: std::ops::Range<usize>) -> bool {
        let first = bytes.start.checked_div(WORD).unwrap_or(0);
        let end = bytes.end.div_ceil(WORD).max(first.saturating_add(1));
        let known = self.known.get(first..end);
        known.is_some_and(|known| known.iter().all(|known| *known))
    }

    fn word(&self, slot: usize, offset: usize) -> Option<u32> {
        let word = self.part(slot, offset..offset.checked_add(4)?)?;
        Some(u32::from_le_bytes(*word.first_chunk()?))
    }

    fn state(&self, slot: usize) -> Option<u32> {
        self.word(slot, STATE)
    }

    /// What the request of a slot is.
    fn request(&self, slot: usize) -> Option<Vec<u8>> {
        let parts = REQUEST.into_iter().map(|part| self.part(slot, part));
        Some(parts.collect::<Option<Vec<_>>>()?.concat())
    }
}

/// What came of a change.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Whether the page is followed.
    pub(super) followed: bool,
    /// Slots, if it is a request page, whose request was answered although no look had found it. Of those for whose completion
    /// the hypervisor polls: of the others a notification tells.
    pub(super) answered: Vec<usize>,
}

impl Shadows {
    /// Changes of a lane are missing here, or without one of any: nobody knows what its pages hold.
    pub(super) fn lose(&mut self, lane: Option<&str>) {
        let told = match lane {
            Some(lane) => {
                if !self.lacking.contains(lane) {
                    self.lacking.insert(lane.to_owned());
                }
                self.told.remove_entry(lane).into_iter().collect()
            }
            None => {
                self.all_lack = true;
                std::mem::take(&mut self.told)
            }
        };
        for (lane, numbers) in told {
            for number in numbers {
                if let Some(page) = self.pages.get_mut(&(lane.clone(), number)) {
                    page.told = false;
                    page.forget();
                }
            }
        }
    }

    /// Takes a change of a page.
    pub(super) fn take(&mut self, lane: &str, change: &PageChange) -> Taken {
        if change.when == When::Note {
            let own = self.looks.entry(lane.to_owned()).or_default();
            *own = own.saturating_add(1);
            self.all_looks = self.all_looks.saturating_add(1);
        }
        let own = self.looks.get(lane).copied().unwrap_or(0);
        let others = self.all_looks.saturating_sub(own);
        let key = (lane.to_owned(), change.page);
        if self.pages.len() >= MAX_PAGES && !self.pages.contains_key(&key) {
            return Taken::default();
        }
        // A page's first change starts from zeros; behind missing ones nobody knows whether it is the first.
        let first = !self.all_lack && !self.lacking.contains(lane);
        let page = self.pages.entry(key).or_insert_with(|| Shadow::new(first));
        if !std::mem::replace(&mut page.told, true) {
            let told = self.told.entry(lane.to_owned()).or_default();
            told.push(change.page);
        }
        // The trace does not tell whether another lane's page is the same one: its thread may have found the request.
        let found_elsewhere = core::mem::replace(&mut page.others, others) != others;
        let slots = |page: &Shadow| -> Vec<_> {
            let slots = 0..PAGE / SLOT;
            slots
                .map(|slot| (page.state(slot), page.request(slot)))
                .collect()
        };
        page.put_before(change);
        let before = slots(page);
        for run in &change.runs {
            page.put(run.offset, &run.after);
        }
        // At the exit of a call it may have been another thread; what stands later than it came says nothing of before.
        let own = change.when != When::Exit && !change.late && !found_elsewhere;
        let mut answered = Vec::new();
        for (slot, (before, after)) in before.into_iter().zip(slots(page)).enumerate() {
            // Where it is not known what was asked, nobody is blamed.
            let both = before.1.zip(after.1);
            let other = both.is_some_and(|(before, after)| before != after);
            let unseen = match (before.0, after.0) {
                // One that is answered, behind another one that was: it came and went between two looks.
                (Some(COMPLETE), Some(COMPLETE)) if !other => continue,
                (Some(FREE | COMPLETE), Some(COMPLETE)) => own,
                // A driver may have taken it for the program, which then finds it like this.
                (Some(FREE), Some(PROCESSING)) => own && change.when != When::Note,
                (was, is) if was == is => continue,
                (Some(PROCESSING), Some(COMPLETE)) => page.unseen.contains(&slot),
                _ => false,
            };
            let (polls, handled) = (page.word(slot, POLLS), page.word(slot, KERNEL_HANDLED));
            if !unseen || handled != Some(0) {
                page.unseen.remove(&slot);
                continue;
            }
            page.unseen.insert(slot);
            if polls.is_some_and(|polls| polls != 0) && after.0 == Some(COMPLETE) {
                answered.push(slot);
            }
        }
        Taken {
            followed: true,
            answered,
        }
    }

    /// Whether the hypervisor polls for the completion of a vCPU's request, where the page is watched in this lane and that is known.
    pub(super) fn polls(&self, lane: &str, memory: &Memory, vcpu: u64) -> Option<bool> {
        let slot = usize::try_from(vcpu).ok()?;
        let word = self.page(lane, memory)?.word(slot, POLLS)?;
        Some(word != 0)
    }

    /// The state of a vCPU's slot in a request page, where the page is watched in this lane and the state is known.
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
