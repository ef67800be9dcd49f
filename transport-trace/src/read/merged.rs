//! The entries of all lanes by time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::entries::Entries;
use super::trace::Trace;
use crate::entry::Entry;

/// Memory that the blocks of all lanes may take when lanes are merged.
const MERGE_BUDGET: u64 = 256 << 20;
/// The most lanes that are merged: each has a block in memory, and what unpacks it.
const MERGE_LANES: usize = 1024;

/// The entries of all lanes by time. One block of each lane is in memory.
///
/// Where there are more than 1024 lanes, or their blocks would take more than 256 MiB, the order is the file's:
/// [`in_order`](Self::in_order) tells.
#[derive(Debug)]
pub struct Merged<'t> {
    /// Damage that belongs to no lane.
    lost: std::vec::IntoIter<Entry>,
    /// The next entry of each lane, and those that follow it.
    lanes: Vec<(Option<Entry>, Entries<'t>)>,
    /// When the next entry of which lane was.
    turns: BinaryHeap<Reverse<(u64, usize)>>,
    fallback: Option<Entries<'t>>,
}

impl<'t> Merged<'t> {
    pub(crate) fn new(trace: &'t Trace) -> Self {
        let mut largest: HashMap<u32, u64> = HashMap::new();
        for block in trace.data() {
            let raw = largest.entry(block.header.lane).or_default();
            *raw = (*raw)
                .max(u64::from(block.header.raw).saturating_add(u64::from(block.header.stored)));
        }
        let total = largest
            .values()
            .fold(0_u64, |sum, raw| sum.saturating_add(*raw));
        let mut merged = Self {
            lost: Vec::new().into_iter(),
            lanes: Vec::new(),
            turns: BinaryHeap::new(),
            fallback: None,
        };
        if total > MERGE_BUDGET || largest.len() > MERGE_LANES {
            merged.fallback = Some(Entries::all(trace));
            return merged;
        }
        let lost: Vec<_> = trace
            .gaps()
            .iter()
            .filter(|gap| gap.lane.is_none_or(|lane| !largest.contains_key(&lane)))
            .map(|gap| Entry::Damaged(gap.clone()))
            .collect();
        merged.lost = lost.into_iter();
        let mut ids: Vec<_> = largest.into_keys().collect();
        ids.sort_unstable();
        for (place, lane) in ids.into_iter().enumerate() {
            let mut entries = Entries::of_lane(trace, lane);
            let first = next_of(&mut entries);
            if let Some(first) = &first {
                merged.turns.push(Reverse((first.ticks(), place)));
            }
            merged.lanes.push((first, entries));
        }
        merged
    }
}

impl Merged<'_> {
    /// Whether the entries come in the order of time. Where they come in the file's, an entry may be followed by earlier ones
    /// of other lanes.
    #[must_use]
    pub const fn in_order(&self) -> bool {
        self.fallback.is_none()
    }
}

/// The next entry that belongs to the lane itself.
fn next_of(entries: &mut Entries<'_>) -> Option<Entry> {
    entries.find(|entry| entry.lane().is_some())
}

impl Iterator for Merged<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if let Some(fallback) = &mut self.fallback {
            return fallback.next();
        }
        if let Some(lost) = self.lost.next() {
            return Some(lost);
        }
        let Reverse((_, place)) = self.turns.pop()?;
        let (entry, entries) = self.lanes.get_mut(place)?;
        let next = next_of(entries);
        if let Some(next) = &next {
            self.turns.push(Reverse((next.ticks(), place)));
        }
        std::mem::replace(entry, next)
    }
}
