//! The entries of all lanes by time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use super::block::Buffer;
use super::entries::Entries;
use super::trace::Trace;
use crate::entry::Entry;

/// Memory that the lanes' blocks, or what is held of them, may take when lanes are merged.
const BUDGET: u64 = 256 << 20;
/// The most lanes that have a block in memory each, and what unpacks it.
const OPEN_LANES: usize = 1024;
/// The most lanes that are merged at all: a program has a lane for each thread.
const MERGE_LANES: usize = 1 << 16;
/// How many times the budget the blocks of all lanes may be. A lane's share of the budget counts its block's raw bytes, and what it
/// has room for is entries, which take several times as much: with this, a block is unpacked some dozens of times.
const UNPACKED: u64 = 16;

/// The entries of all lanes by time. Of a file that was joined from several recordings, one recording after the other: each may
/// have a clock of its own.
///
/// One block of each lane is in memory. Where there are more than 1024 lanes, or their blocks would take more than 256 MiB, a
/// part of each block is, and a block is read again for its next part: up to 65,536 lanes, and 4 GiB of blocks. What is beyond
/// that comes in the order of the file: [`in_order`](Self::in_order) tells.
#[derive(Debug)]
pub struct Merged<'t> {
    /// Damage that belongs to no lane, with its recording.
    lost: VecDeque<(u32, Entry)>,
    lanes: Vec<Turns<'t>>,
    /// In which recording, and when, the next entry of which lane was.
    turns: BinaryHeap<Reverse<(u32, u64, usize)>>,
    recording: u32,
    /// What the lanes share that have no block of their own in memory.
    buffer: Option<Buffer>,
    fallback: Option<Entries<'t>>,
}

/// The entries of one lane that are still to come.
#[derive(Debug)]
struct Turns<'t> {
    /// Those that are in memory, with their recording.
    next: VecDeque<(u32, Entry)>,
    /// Those that follow.
    entries: Entries<'t>,
    /// Bytes that those in memory may take.
    window: u64,
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
            lost: VecDeque::new(),
            lanes: Vec::new(),
            turns: BinaryHeap::new(),
            recording: 0,
            buffer: None,
            fallback: None,
        };
        if total > BUDGET.saturating_mul(UNPACKED) || largest.len() > MERGE_LANES {
            merged.fallback = Some(Entries::all(trace));
            return merged;
        }
        if total > BUDGET || largest.len() > OPEN_LANES {
            merged.buffer = Some(Buffer::default());
        }
        merged.lost = trace
            .gaps()
            .iter()
            .filter(|gap| gap.lane.is_none_or(|lane| !largest.contains_key(&lane)))
            .map(|gap| (trace.recording_at(gap.offset), Entry::Damaged(gap.clone())))
            .collect();
        let mut lanes: Vec<_> = largest.into_iter().collect();
        lanes.sort_unstable();
        for (place, (lane, raw)) in lanes.into_iter().enumerate() {
            let share = u128::from(raw)
                .saturating_mul(BUDGET.into())
                .checked_div(total.max(BUDGET).into())
                .unwrap_or(0);
            let mut turns = Turns {
                next: VecDeque::new(),
                entries: Entries::of_lane(trace, lane).without_shared_damage(),
                window: u64::try_from(share).unwrap_or(BUDGET),
            };
            if let Some((recording, ticks)) = turns.look(merged.buffer.as_mut()) {
                merged.turns.push(Reverse((recording, ticks, place)));
            }
            merged.lanes.push(turns);
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

    /// Which recording the entry that came last is of: see [`Entries::recording`].
    #[must_use]
    pub const fn recording(&self) -> u32 {
        match &self.fallback {
            Some(entries) => entries.recording(),
            None => self.recording,
        }
    }
}

/// The next entry that belongs to the lane itself, with its recording.
fn next_of(entries: &mut Entries<'_>) -> Option<(u32, Entry)> {
    let entry = entries.find(|entry| entry.lane().is_some())?;
    Some((entries.recording(), entry))
}

/// When it was.
fn time(next: &(u32, Entry)) -> (u32, u64) {
    (next.0, next.1.ticks())
}

impl Turns<'_> {
    /// In which recording, and when, the next entry was. Takes as many into memory as may be there; with a buffer of its own, one.
    fn look(&mut self, shared: Option<&mut Buffer>) -> Option<(u32, u64)> {
        if let Some(next) = self.next.front() {
            return Some(time(next));
        }
        let Some(buffer) = shared else {
            self.next.extend(next_of(&mut self.entries));
            return self.next.front().map(time);
        };
        self.entries.exchange(buffer);
        let mut left = self.window;
        let mut first = None;
        loop {
            let before = self.entries.mark();
            let Some(entry) = next_of(&mut self.entries) else {
                break;
            };
            first = first.or_else(|| Some(time(&entry)));
            let Some(rest) = left.checked_sub(entry.1.memory()) else {
                // It is read again when its turn comes.
                self.entries.return_to(before);
                break;
            };
            left = rest;
            self.next.push_back(entry);
        }
        self.entries.exchange(buffer);
        first
    }

    /// Takes the next entry.
    fn take(&mut self, shared: Option<&mut Buffer>) -> Option<(u32, Entry)> {
        if let Some(next) = self.next.pop_front() {
            return Some(next);
        }
        let Some(buffer) = shared else {
            return next_of(&mut self.entries);
        };
        self.entries.exchange(buffer);
        let entry = next_of(&mut self.entries);
        self.entries.exchange(buffer);
        entry
    }
}

impl Iterator for Merged<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if let Some(fallback) = &mut self.fallback {
            return fallback.next();
        }
        let due = self.turns.peek().map(|Reverse((recording, ..))| *recording);
        // Nobody knows when it was; behind it all that is left of its recording.
        let lost = |lost: &mut (u32, Entry)| due.is_none_or(|due| lost.0 <= due);
        if let Some((recording, lost)) = self.lost.pop_front_if(lost) {
            self.recording = recording;
            return Some(lost);
        }
        let Reverse((_, _, place)) = self.turns.pop()?;
        let lane = self.lanes.get_mut(place)?;
        let (recording, entry) = lane.take(self.buffer.as_mut())?;
        self.recording = recording;
        if let Some((recording, ticks)) = lane.look(self.buffer.as_mut()) {
            self.turns.push(Reverse((recording, ticks, place)));
        }
        Some(entry)
    }
}
