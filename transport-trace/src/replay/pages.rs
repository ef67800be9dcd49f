//! Shared pages of one lane on replay: what a hypervisor wrote into them when the calls were recorded is written again.
//!
//! The recorder sees what a page holds, not who wrote it. At the enter of a call the program should have written what the
//! program wrote then, and the replayer adds the rest. A word of the live page is taken as
//! - right, where it holds what it is to hold;
//! - waiting for the hypervisor, where it holds what it held when it was last looked at, or where the hypervisor is known
//!   to write such a value: then the value is written;
//! - wrong otherwise: the program wrote something else.
//!
//! What changed at the return of a call, or where the program looked, is taken for the hypervisor's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use hypercall_core::SharedPage;

use super::difference::{FieldDifference, Reason};
use crate::entry::PageChange;

const PAGE: usize = 4096;
/// Differences of a page that are told.
const TOLD: usize = 8;

/// The pages that were watched in a lane.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    pages: BTreeMap<u32, Page>,
}

#[derive(Debug)]
struct Page {
    /// What the page held when it was last looked at, as recorded.
    shadow: Box<[u8]>,
    live: Option<&'static SharedPage>,
    /// The live page was compared with the shadow once.
    seen: bool,
    /// Others write the page as well: it is not compared.
    shared: bool,
    /// What the hypervisor is known to write, by word.
    known: BTreeMap<usize, BTreeSet<u32>>,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            shadow: vec![0; PAGE].into(),
            live: None,
            seen: false,
            shared: false,
            known: BTreeMap::new(),
        }
    }
}

/// A page that does not hold what it should.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) page: u32,
    pub(crate) differences: Vec<FieldDifference>,
}

impl Pages {
    /// The number of a live page.
    pub(crate) fn number_of(&self, live: &'static SharedPage) -> Option<u32> {
        let mut bound = self.pages.iter();
        bound
            .find(|(_, page)| page.live.is_some_and(|bound| core::ptr::eq(bound, live)))
            .map(|(number, _)| *number)
    }

    /// Says which live page a number is of.
    pub(crate) fn bind(&mut self, number: u32, live: &'static SharedPage) {
        self.pages.entry(number).or_default().live = Some(live);
    }

    /// The next number that no live page has.
    pub(crate) fn next_number(&self) -> u32 {
        let bound = self.pages.iter().filter(|(_, page)| page.live.is_some());
        bound
            .map(|(number, _)| number.saturating_add(1))
            .max()
            .unwrap_or(0)
    }

    /// Says that a live page belongs to other lanes as well.
    pub(crate) fn share(&mut self, live: &'static SharedPage) -> bool {
        let mut any = false;
        for page in self.pages.values_mut() {
            if page.live.is_some_and(|bound| core::ptr::eq(bound, live)) {
                page.shared = true;
                any = true;
            }
        }
        any
    }

    /// Takes the pages of another part of a pool.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.pages.extend(other.pages);
    }

    /// Learns what the hypervisor writes, from a change that is taken for its.
    pub(crate) fn learn(&mut self, change: &PageChange) {
        let page = self.pages.entry(change.page).or_default();
        for (offset, before, after) in words(change) {
            if before != after {
                page.known.entry(offset).or_default().insert(after);
            }
        }
    }

    /// Writes what was recorded.
    pub(crate) fn write(&mut self, changes: &[PageChange]) {
        for change in changes {
            let page = self.pages.entry(change.page).or_default();
            for (offset, _, after) in words(change) {
                page.remember(offset, after);
                page.store(offset, after);
            }
        }
    }

    /// Writes what was recorded where the program looked: all of the pages, for a word that the program wrote and the
    /// hypervisor set back is no change.
    pub(crate) fn show(&mut self, changes: &[PageChange]) {
        self.write(changes);
        for page in self
            .pages
            .values_mut()
            .filter(|page| page.live.is_some() && !page.shared)
        {
            page.seen = true;
            (0..PAGE)
                .step_by(4)
                .for_each(|offset| page.store(offset, page.recall(offset)));
        }
    }

    /// Writes what was recorded where the program did not write it itself, and nothing else happens: what the recording
    /// says stays to be [compared](Self::meet).
    pub(crate) fn prepare(&self, changes: &[PageChange]) {
        let wanted = wanted(changes);
        for (number, page) in &self.pages {
            let (missing, _) = page.compare(&of_page(&wanted, *number));
            missing
                .into_iter()
                .for_each(|(offset, due)| page.store(offset, due));
        }
    }

    /// Writes what was recorded where the program did not write it itself, and compares what it wrote.
    pub(crate) fn meet(&mut self, changes: &[PageChange]) -> Result<(), Wrong> {
        let wanted = wanted(changes);
        for change in changes {
            self.pages.entry(change.page).or_default();
        }
        for (number, page) in &mut self.pages {
            let wanted = of_page(&wanted, *number);
            let (missing, mut wrong) = page.compare(&wanted);
            wanted
                .iter()
                .for_each(|(offset, (_, due))| page.remember(*offset, *due));
            missing
                .into_iter()
                .for_each(|(offset, due)| page.store(offset, due));
            page.seen |= page.live.is_some();
            if !wrong.is_empty() {
                wrong.truncate(TOLD);
                return Err(Wrong {
                    page: *number,
                    differences: wrong,
                });
            }
        }
        Ok(())
    }
}

/// What words held on the way, and what they are to hold.
type Wanted = BTreeMap<usize, (Vec<u32>, u32)>;

fn wanted(changes: &[PageChange]) -> BTreeMap<u32, Wanted> {
    let mut wanted: BTreeMap<u32, Wanted> = BTreeMap::new();
    for change in changes {
        for (offset, before, after) in words(change) {
            let word = wanted
                .entry(change.page)
                .or_default()
                .entry(offset)
                .or_default();
            word.0.push(before);
            word.1 = after;
        }
    }
    wanted
}

fn of_page(wanted: &BTreeMap<u32, Wanted>, number: u32) -> Wanted {
    wanted.get(&number).cloned().unwrap_or_default()
}

impl Page {
    /// The words that the live page lacks, and those that are wrong.
    fn compare(&self, wanted: &Wanted) -> (Vec<(usize, u32)>, Vec<FieldDifference>) {
        let (mut missing, mut wrong) = (Vec::new(), Vec::new());
        // A page that is seen for the first time may hold something of an earlier use.
        let first = !self.seen;
        for offset in (0..PAGE).step_by(4) {
            let Some(live) = self.load(offset) else { break };
            let change = wanted.get(&offset);
            let due = change.map_or_else(|| self.recall(offset), |(_, due)| *due);
            if live == due {
                continue;
            }
            let waits = change.is_some_and(|(held, _)| self.shared || held.contains(&live))
                || self
                    .known
                    .get(&offset)
                    .is_some_and(|known| known.contains(&due))
                || (first && (live == 0 || due == 0));
            if waits {
                missing.push((offset, due));
            } else if !self.shared {
                wrong.push(differ(offset, due, live));
            }
        }
        (missing, wrong)
    }

    fn remember(&mut self, offset: usize, word: u32) {
        if let Some(place) = self
            .shadow
            .get_mut(offset..)
            .and_then(<[u8]>::first_chunk_mut)
        {
            *place = word.to_le_bytes();
        }
    }

    fn recall(&self, offset: usize) -> u32 {
        let word = self.shadow.get(offset..).and_then(<[u8]>::first_chunk);
        word.map_or(0, |word| u32::from_le_bytes(*word))
    }

    fn load(&self, offset: usize) -> Option<u32> {
        Some(self.live?.word(offset)?.load(Ordering::Acquire))
    }

    fn store(&self, offset: usize, word: u32) {
        if let Some(place) = self.live.and_then(|live| live.word(offset)) {
            // Whoever sees this word sees those before it: a state stands behind what it is the state of.
            place.store(word, Ordering::Release);
        }
    }
}

/// The words of a change: offset, old, new.
pub(super) fn words(change: &PageChange) -> impl Iterator<Item = (usize, u32, u32)> {
    change.runs.iter().flat_map(|run| {
        let start = usize::try_from(run.offset).unwrap_or(PAGE);
        let before = run.before.as_chunks::<4>().0.iter();
        let after = run.after.as_chunks::<4>().0.iter();
        before
            .zip(after)
            .enumerate()
            .map(move |(place, (before, after))| {
                let offset = start.saturating_add(place.saturating_mul(4));
                (
                    offset,
                    u32::from_le_bytes(*before),
                    u32::from_le_bytes(*after),
                )
            })
    })
}

fn differ(offset: usize, expected: u32, found: u32) -> FieldDifference {
    FieldDifference {
        field: format!("word at {offset:#x}"),
        place: format!("byte {offset:#x} of the page"),
        expected: format!("{expected:#x}"),
        found: format!("{found:#x}"),
        reason: Reason::Value,
    }
}
