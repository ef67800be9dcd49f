//! The entries of some lanes by time, from a call of each lane on. Of a file that was joined from several recordings, one recording after
//! the other: each may have a clock of its own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use hypercall_trace::entry::{Damaged, Defect, Entry};
use hypercall_trace::read::{Entries, Merged, Trace};

/// Memory that the blocks of all lanes may take.
const BUDGET: u64 = 48 << 20;

/// One block of each lane is in memory.
#[derive(Debug)]
pub(crate) struct ByTime<'t> {
    /// What could not be read and belongs to no lane, first in its recording, which is given.
    holes: VecDeque<(u32, Entry)>,
    /// Of each lane the next entry, and those behind it.
    lanes: Vec<(Option<Entry>, Entries<'t>)>,
    /// In which recording, and when, the next entry of which lane was.
    turns: BinaryHeap<Reverse<(u32, u64, usize)>>,
    /// Of the entry that came last.
    recording: u32,
}

/// Entries of which each is of a recording: of a joined file there are several.
pub(crate) trait OfRecordings: Iterator<Item = Entry> {
    /// That of the entry that came last.
    fn recording(&self) -> u32;
}

impl OfRecordings for Entries<'_> {
    fn recording(&self) -> u32 {
        Self::recording(self)
    }
}

impl OfRecordings for Merged<'_> {
    fn recording(&self) -> u32 {
        Self::recording(self)
    }
}

impl OfRecordings for ByTime<'_> {
    fn recording(&self) -> u32 {
        self.recording
    }
}

impl<'t> ByTime<'t> {
    /// Of these lanes, each from the call on whose index is given for it. `None` where the blocks of so many lanes would
    /// take too much memory.
    pub(crate) fn new(trace: &'t Trace, lanes: &[u32], from: &BTreeMap<u32, u64>) -> Option<Self> {
        let mut largest: BTreeMap<u32, u64> = BTreeMap::new();
        for block in trace.data() {
            let header = &block.header;
            let memory = largest.entry(header.lane).or_default();
            *memory = (*memory).max(u64::from(header.raw).saturating_add(u64::from(header.stored)));
        }
        let chosen: BTreeSet<_> = lanes.iter().collect();
        let wanted = largest.iter().filter(|(lane, _)| chosen.contains(lane));
        if wanted.fold(0_u64, |sum, (_, memory)| sum.saturating_add(*memory)) > BUDGET {
            return None;
        }
        let of_no_lane = |damaged: &&Damaged| {
            damaged.lane.is_none() && damaged.defect != Defect::Description && damaged.offset != 0
        };
        let holes = trace
            .damage()
            .filter(of_no_lane)
            .map(|damaged| {
                let recording = trace.recording_at(damaged.offset);
                (recording, Entry::Damaged(damaged.clone()))
            })
            .collect();
        let mut started = Vec::new();
        let mut turns = BinaryHeap::new();
        for (place, lane) in lanes.iter().enumerate() {
            let start = from.get(lane).copied().unwrap_or(0);
            let of_lane = trace.lane_entries_from(*lane, start);
            let mut entries = of_lane.without_shared_damage();
            let first = next_of(&mut entries);
            if let Some(first) = &first {
                turns.push(Reverse((entries.recording(), first.ticks(), place)));
            }
            started.push((first, entries));
        }
        Some(Self {
            lanes: started,
            turns,
            holes,
            recording: 0,
        })
    }
}

/// The next entry that belongs to the lane itself.
fn next_of(entries: &mut Entries<'_>) -> Option<Entry> {
    entries.find(|entry| entry.lane().is_some())
}

impl Iterator for ByTime<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let due = self.turns.peek().map(|Reverse((recording, ..))| *recording);
        let first = |hole: &mut (u32, Entry)| due.is_none_or(|due| hole.0 <= due);
        if let Some((recording, hole)) = self.holes.pop_front_if(first) {
            self.recording = recording;
            return Some(hole);
        }
        let Reverse((recording, _, place)) = self.turns.pop()?;
        self.recording = recording;
        let (entry, entries) = self.lanes.get_mut(place)?;
        let next = next_of(entries);
        if let Some(next) = &next {
            self.turns
                .push(Reverse((entries.recording(), next.ticks(), place)));
        }
        std::mem::replace(entry, next)
    }
}
