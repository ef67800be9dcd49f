//! Entries one after the other: in the file's order, of one lane, or by time over all lanes.

use std::collections::HashMap;

use super::block::{BlockEntry, Buffer};
use super::scan::has_entries;
use super::trace::Trace;
use super::view::{View, split};
use crate::entry::{Damaged, Defect, Entry, LossCause, Lost};
use crate::format::record::checks;

/// Memory that the blocks of all lanes may take when lanes are merged.
const MERGE_BUDGET: u64 = 256 << 20;

/// The entries of a trace, or of one of its lanes. One block is in memory at a time.
#[derive(Debug)]
pub struct Entries<'t> {
    trace: &'t Trace,
    lane: Option<u32>,
    /// The next block and the next damaged stretch.
    next_block: usize,
    next_gap: usize,
    /// The block that is being read.
    current: Option<Current<'t>>,
    buffer: Buffer,
    /// The index that the next call of a lane has, where nothing is missing.
    expected: HashMap<u32, u64>,
    /// Records to pass over.
    skip: u64,
    /// Calls before this index are passed over.
    from_index: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Current<'t> {
    block: &'t BlockEntry,
    /// Where in the block's bytes the next record is.
    at: usize,
    index: u64,
    seen: u32,
}

/// There is nothing more.
struct End;

impl<'t> Entries<'t> {
    pub(crate) fn all(trace: &'t Trace) -> Self {
        Self {
            trace,
            lane: None,
            next_block: 0,
            next_gap: 0,
            current: None,
            buffer: Buffer::default(),
            expected: HashMap::new(),
            skip: 0,
            from_index: None,
        }
    }

    fn starting_at(mut self, block: usize) -> Self {
        self.next_block = block;
        let offset = self
            .trace
            .blocks()
            .get(block)
            .map_or(u64::MAX, |block| block.offset);
        self.next_gap = self.trace.gaps().partition_point(|gap| gap.offset < offset);
        self
    }

    pub(crate) fn from_position(trace: &'t Trace, position: u64) -> Self {
        let blocks = trace.blocks();
        let after = blocks.partition_point(|block| block.first_position <= position);
        let start = blocks
            .get(..after)
            .and_then(|blocks| blocks.iter().rposition(has_entries))
            .unwrap_or(0);
        let first = blocks.get(start).map_or(0, |block| block.first_position);
        let mut entries = Self::all(trace).starting_at(if position == 0 { 0 } else { start });
        entries.skip = position.saturating_sub(first);
        entries
    }

    pub(crate) fn of_lane(trace: &'t Trace, lane: u32) -> Self {
        Self {
            lane: Some(lane),
            ..Self::all(trace)
        }
    }

    pub(crate) fn of_lane_from(trace: &'t Trace, lane: u32, index: u64) -> Self {
        let start = trace.blocks().iter().rposition(|block| {
            has_entries(block) && block.header.lane == lane && block.header.first_index <= index
        });
        let mut entries = Self {
            lane: Some(lane),
            ..Self::all(trace)
        };
        if let Some(start) = start {
            entries = entries.starting_at(start);
        }
        entries.from_index = Some(index);
        entries
    }

    /// Goes on to the next block or damaged stretch: what there is to say of it. `Err` at the end.
    fn advance(&mut self) -> Result<Option<Entry>, End> {
        let gap = self.trace.gaps().get(self.next_gap);
        let block = self.trace.blocks().get(self.next_block);
        let gap_first = match (gap, block) {
            (Some(gap), Some(block)) => gap.offset < block.offset,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return Err(End),
        };
        if gap_first {
            self.next_gap = self.next_gap.saturating_add(1);
            return Ok(gap.filter(|gap| self.wants(gap.lane)).map(|gap| {
                self.note_damage(gap.lane);
                Entry::Damaged(gap.clone())
            }));
        }
        self.next_block = self.next_block.saturating_add(1);
        let Some(block) = block else {
            return Err(End);
        };
        let lane = block.header.lane;
        if !has_entries(block) || !self.wants(Some(lane)) {
            return Ok(None);
        }
        if let Err(damaged) = self.trace.load(block, &mut self.buffer) {
            self.note_damage(Some(lane));
            self.skip = self.skip.saturating_sub(u64::from(block.header.entries));
            return Ok(Some(Entry::Damaged(damaged)));
        }
        let first = block.header.first_index;
        self.current = Some(Current {
            block,
            at: 0,
            index: first,
            seen: 0,
        });
        // Indices that are missing between two blocks, and that no damaged stretch stands for.
        let missing = self
            .expected
            .get(&lane)
            .and_then(|expected| first.checked_sub(*expected))
            .filter(|missing| *missing != 0);
        Ok(missing.map(|missing| {
            Entry::Lost(Lost {
                lane,
                index: first.saturating_sub(missing),
                count: missing,
                cause: LossCause::Damaged,
                first: 0,
                last: block.header.first_ticks,
            })
        }))
    }

    /// From here on nobody knows which index is the next.
    fn note_damage(&mut self, lane: Option<u32>) {
        match lane {
            Some(lane) => {
                self.expected.remove(&lane);
            }
            None => self.expected.clear(),
        }
    }

    fn wants(&self, lane: Option<u32>) -> bool {
        match (self.lane, lane) {
            (Some(wanted), Some(lane)) => wanted == lane,
            _ => true,
        }
    }

    /// The next record of the open block.
    fn record(&mut self) -> Option<Entry> {
        let mut current = self.current.take()?;
        let bytes = self
            .buffer
            .bytes(self.trace.source())
            .get(current.at..)
            .unwrap_or_default();
        let header = &current.block.header;
        if bytes.is_empty() {
            self.expected.insert(header.lane, current.index);
            return None;
        }
        let bad = |entries| {
            Entry::Damaged(Damaged {
                entries: Some(entries),
                ..current.block.damaged(Defect::Record)
            })
        };
        let Some((record, _)) = split(bytes) else {
            self.note_damage(Some(header.lane));
            return Some(bad(header.entries.saturating_sub(current.seen).max(1)));
        };
        current.at = current.at.saturating_add(record.len());
        current.seen = current.seen.saturating_add(1);
        let entry = match View::parse(record).filter(|_| checks(record)) {
            Some(view) => {
                let entry = view.to_entry(header.lane, current.index, self.trace.schema());
                current.index = current.index.saturating_add(view.indices());
                entry
            }
            None => {
                // Whether it was a call is anybody's guess: the next block says which index it starts with.
                current.index = current.index.saturating_add(1);
                bad(1)
            }
        };
        self.current = Some(current);
        Some(entry)
    }

    fn passes(&self, entry: &Entry) -> bool {
        let Some(from) = self.from_index else {
            return true;
        };
        match entry {
            Entry::Call(call) => call.index >= from,
            Entry::Lost(lost) => lost.index.saturating_add(lost.count) > from,
            Entry::Pages(pages) => pages.index >= from,
            Entry::Damaged(_) | Entry::Unknown(_) => true,
        }
    }
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            if self.current.is_some() {
                match self.record() {
                    Some(_) if self.skip != 0 => self.skip = self.skip.saturating_sub(1),
                    Some(entry) if self.passes(&entry) => return Some(entry),
                    _ => {}
                }
                continue;
            }
            match self.advance() {
                Ok(Some(entry)) => return Some(entry),
                Ok(None) => {}
                Err(End) => return None,
            }
        }
    }
}

/// The entries of all lanes by time. One block of each lane is in memory.
///
/// Where the blocks of so many lanes would take more than 256 MiB, the order is the file's.
#[derive(Debug)]
pub struct Merged<'t> {
    /// Damage that belongs to no lane.
    lost: std::vec::IntoIter<Entry>,
    lanes: Vec<(Entry, Entries<'t>)>,
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
        if total > MERGE_BUDGET {
            return Self {
                lost: Vec::new().into_iter(),
                lanes: Vec::new(),
                fallback: Some(Entries::all(trace)),
            };
        }
        let lost: Vec<_> = trace
            .gaps()
            .iter()
            .filter(|gap| gap.lane.is_none_or(|lane| !largest.contains_key(&lane)))
            .map(|gap| Entry::Damaged(gap.clone()))
            .collect();
        let mut ids: Vec<_> = largest.into_keys().collect();
        ids.sort_unstable();
        let lanes = ids
            .into_iter()
            .filter_map(|lane| {
                let mut entries = Entries::of_lane(trace, lane);
                next_of(&mut entries).map(|first| (first, entries))
            })
            .collect();
        Self {
            lost: lost.into_iter(),
            lanes,
            fallback: None,
        }
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
        let (place, _) = self
            .lanes
            .iter()
            .enumerate()
            .min_by_key(|(_, (entry, _))| entry.ticks())?;
        let (entry, entries) = self.lanes.get_mut(place)?;
        match next_of(entries) {
            Some(next) => Some(std::mem::replace(entry, next)),
            None => Some(self.lanes.remove(place).0),
        }
    }
}
