//! Entries one after the other: in the file's order, or of one lane.

use super::block::{BlockEntry, Buffer};
use super::order::Order;
use super::scan::has_entries;
use super::trace::Trace;
use super::view::{View, split};
use crate::entry::{Damaged, Defect, Entry};
use crate::format::BlockKind;
use crate::format::record::{checks, kind};

/// The entries of a trace, or of one of its lanes. One block is in memory at a time.
#[derive(Debug)]
pub struct Entries<'t> {
    trace: &'t Trace,
    lane: Option<u32>,
    /// The places of the lane's blocks, where the entries are of one lane.
    places: &'t [usize],
    /// The next block (among `places` where they are of one lane) and the next damaged stretch (of the lane's own).
    next_block: usize,
    next_gap: usize,
    /// The next stretch that may have held entries of any lane, where the entries are of one lane.
    next_shared: usize,
    /// Whether such stretches are left out.
    alone: bool,
    /// The block that is being read.
    current: Option<Current<'t>>,
    buffer: Buffer,
    /// Whether the block that is being read is not in the buffer any more.
    unloaded: bool,
    order: Order,
    /// Records to pass over.
    skip: u64,
    /// What is before this recording and index is passed over.
    from: Option<(u32, u64)>,
    /// Whether the trace may grow: what is not settled yet is left out.
    growing: bool,
    recording: u32,
    /// Where the block is whose damaged header was the last that was said.
    told: Option<u64>,
}

/// How far a trace that grows was read.
#[derive(Clone, Debug)]
pub struct Reached {
    block: usize,
    gap: usize,
    order: Order,
}

impl Default for Reached {
    /// Nothing was.
    fn default() -> Self {
        Self {
            block: 0,
            gap: 0,
            order: Order::from_the_start(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Current<'t> {
    block: &'t BlockEntry,
    /// Where in the block's bytes the next record is.
    at: usize,
    index: u64,
    seen: u32,
    /// Calls that the header tells of and that did not come yet.
    calls: u32,
    /// Whether every record could be read, so that the index is right.
    sure: bool,
}

/// A place among the entries of a lane.
#[derive(Debug)]
pub(crate) struct Mark<'t> {
    next_block: usize,
    next_gap: usize,
    next_shared: usize,
    current: Option<Current<'t>>,
    order: Order,
    recording: u32,
    told: Option<u64>,
}

/// There is nothing more.
struct End;

impl<'t> Entries<'t> {
    pub(crate) fn all(trace: &'t Trace) -> Self {
        Self {
            trace,
            lane: None,
            places: &[],
            next_block: 0,
            next_gap: 0,
            next_shared: 0,
            alone: false,
            current: None,
            buffer: Buffer::default(),
            unloaded: false,
            order: Order::from_the_start(),
            skip: 0,
            from: None,
            growing: false,
            recording: 0,
            told: None,
        }
    }

    pub(crate) fn since(trace: &'t Trace, reached: Reached) -> Self {
        Self {
            next_block: reached.block,
            next_gap: reached.gap,
            order: reached.order,
            growing: true,
            ..Self::all(trace)
        }
    }

    /// Leaves out damaged stretches that may have held entries of any lane, where the entries are of one lane: for whoever reads
    /// many lanes and has such stretches from [`Trace::damage`], once.
    #[must_use]
    pub const fn without_shared_damage(mut self) -> Self {
        self.alone = true;
        self
    }

    /// How far it was read: for [`entries_since`](Trace::entries_since), where the end was reached.
    #[must_use]
    pub fn reached(self) -> Reached {
        Reached {
            block: self.next_block,
            gap: self.next_gap,
            order: self.order,
        }
    }

    /// Which recording the entry that came last is of: 0, and in a file that was joined from several 1, 2 and so on, in their
    /// order. For a [`Writer`](crate::write::Writer::recording).
    #[must_use]
    pub const fn recording(&self) -> u32 {
        self.recording
    }

    /// Gives the buffer away for another. The block that is being read is read again when its next record is wanted.
    pub(crate) fn exchange(&mut self, buffer: &mut Buffer) {
        core::mem::swap(&mut self.buffer, buffer);
        self.unloaded = true;
    }

    /// Where it is now.
    pub(crate) fn mark(&self) -> Mark<'t> {
        Mark {
            next_block: self.next_block,
            next_gap: self.next_gap,
            next_shared: self.next_shared,
            current: self.current,
            order: self.order.clone(),
            recording: self.recording,
            told: self.told,
        }
    }

    /// Goes back to where it was.
    pub(crate) fn return_to(&mut self, mark: Mark<'t>) {
        self.next_block = mark.next_block;
        self.next_gap = mark.next_gap;
        self.next_shared = mark.next_shared;
        self.current = mark.current;
        self.order = mark.order;
        self.recording = mark.recording;
        self.told = mark.told;
        self.unloaded = true;
    }

    fn gaps(&self) -> &'t [Damaged] {
        if self.growing {
            self.trace.settled_gaps()
        } else {
            self.trace.gaps()
        }
    }

    /// Whether the records of a block are read.
    const fn shows(&self, block: &BlockEntry) -> bool {
        has_entries(block) && !(self.growing && matches!(block.header.kind, BlockKind::Announce))
    }

    /// How many of these stretches start before an offset.
    fn behind(&self, places: &[usize], offset: u64) -> usize {
        let gaps = self.trace.gaps();
        places.partition_point(|place| gaps.get(*place).is_some_and(|gap| gap.offset < offset))
    }

    /// The next damaged stretch that is shown. Whether it is one of the lane's own, or of all where all lanes are read.
    fn peek_gap(&self) -> Option<(&'t Damaged, bool)> {
        let gaps = self.gaps();
        let Some(lane) = self.lane else {
            return gaps.get(self.next_gap).map(|gap| (gap, true));
        };
        let at = |of, next: usize| gaps.get(*self.trace.gap_places(of).get(next)?);
        let own = at(Some(lane), self.next_gap);
        let shared = at(None, self.next_shared).filter(|_| !self.alone);
        match (own, shared) {
            (Some(own), Some(shared)) if shared.offset < own.offset => Some((shared, false)),
            (Some(own), _) => Some((own, true)),
            (None, shared) => Some((shared?, false)),
        }
    }

    /// Passes what is left out before a block: calls of the lane may have stood there.
    fn pass_shared(&mut self, block: &BlockEntry) {
        let places = self.trace.gap_places(None);
        let rest = places.get(self.next_shared..).unwrap_or_default();
        let passed = self.behind(rest, block.offset);
        if passed != 0 {
            self.next_shared = self.next_shared.saturating_add(passed);
            self.order.forget(None);
        }
    }

    /// Starts in front of the block at this place, of all or of those of the lane.
    fn starting_at(mut self, next: usize) -> Self {
        self.next_block = next;
        let (offset, section) = self
            .peek()
            .map_or((u64::MAX, 0), |block| (block.offset, block.section));
        match self.lane {
            None => self.next_gap = self.gaps().partition_point(|gap| gap.offset < offset),
            Some(lane) => {
                self.next_gap = self.behind(self.trace.gap_places(Some(lane)), offset);
                self.next_shared = self.behind(self.trace.gap_places(None), offset);
            }
        }
        if next != 0 {
            self.order = Order::from_the_middle(section);
        }
        self
    }

    /// The next block.
    fn peek(&self) -> Option<&'t BlockEntry> {
        let place = match self.lane {
            None => self.next_block,
            Some(_) => *self.places.get(self.next_block)?,
        };
        self.trace.blocks().get(place)
    }

    pub(crate) fn from_position(trace: &'t Trace, position: u64) -> Self {
        if position == 0 {
            return Self::all(trace);
        }
        let blocks = trace.blocks();
        let after = blocks.partition_point(|block| block.first_position <= position);
        let start = blocks
            .get(..after)
            .and_then(|blocks| blocks.iter().rposition(has_entries))
            .unwrap_or(0);
        let first = blocks.get(start).map_or(0, |block| block.first_position);
        let mut entries = Self::all(trace).starting_at(start);
        entries.skip = position.saturating_sub(first);
        entries
    }

    pub(crate) fn of_lane(trace: &'t Trace, lane: u32) -> Self {
        Self {
            lane: Some(lane),
            places: trace.places(lane),
            ..Self::all(trace)
        }
    }

    pub(crate) fn of_lane_from(trace: &'t Trace, lane: u32, recording: u32, index: u64) -> Self {
        let entries = Self::of_lane(trace, lane);
        let blocks = trace.blocks();
        // A block that starts with the call may have left what belongs in front of it to the one before.
        // Those of the recordings that follow are not looked through.
        let end = entries.places.partition_point(|place| {
            blocks
                .get(*place)
                .is_some_and(|block| block.section <= recording)
        });
        let before = entries.places.get(..end).unwrap_or_default();
        let start = before.iter().rposition(|place| {
            blocks.get(*place).is_some_and(|block| {
                block.misplaced.is_none()
                    && (block.section, block.header.first_index) < (recording, index)
            })
        });
        let mut entries = match start {
            Some(start) => entries.starting_at(start),
            None => entries.behind_earlier_damage(recording),
        };
        entries.from = Some((recording, index));
        entries
    }

    /// Passes the lane's damaged stretches in the recordings before this one.
    fn behind_earlier_damage(mut self, recording: u32) -> Self {
        let blocks = self.trace.blocks();
        let first = blocks.partition_point(|block| block.section < recording);
        let offset = match blocks.get(first) {
            Some(block) if first != 0 => block.offset,
            _ => 0,
        };
        self.next_gap = self.behind(self.trace.gap_places(self.lane), offset);
        self.next_shared = self.behind(self.trace.gap_places(None), offset);
        self
    }

    /// Goes on to the next block or damaged stretch: what there is to say of it. `Err` at the end.
    fn advance(&mut self) -> Result<Option<Entry>, End> {
        let gap = self.peek_gap();
        let block = self.peek();
        let gap_first = match (gap, block) {
            (Some((gap, _)), Some(block)) => gap.offset < block.offset,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return Err(End),
        };
        if let Some((gap, own)) = gap.filter(|_| gap_first) {
            let next = if own {
                &mut self.next_gap
            } else {
                &mut self.next_shared
            };
            *next = next.saturating_add(1);
            self.order.forget(gap.lane);
            self.recording = self.trace.recording_at(gap.offset);
            return Ok(Some(Entry::Damaged(gap.clone())));
        }
        if let Some(block) = block.filter(|_| self.alone) {
            self.pass_shared(block);
        }
        // Said once, before the records, which are all there.
        if let Some(block) =
            block.filter(|block| self.shows(block) && self.told != Some(block.offset))
            && let Some(damaged) = self.trace.damaged_header(block)
        {
            self.told = Some(block.offset);
            self.recording = block.section;
            return Ok(Some(Entry::Damaged(damaged)));
        }
        self.next_block = self.next_block.saturating_add(1);
        let Some(block) = block.filter(|block| self.shows(block)) else {
            return Ok(None);
        };
        let lane = block.header.lane;
        self.recording = block.section;
        self.unloaded = false;
        if let Err(damaged) = self.trace.load(block, &mut self.buffer) {
            // A block in a wrong place takes no index away from those that are in the right one.
            if block.misplaced.is_none() {
                self.order.forget(Some(lane));
            }
            self.pass_over(block.header.entries);
            return Ok(Some(Entry::Damaged(damaged)));
        }
        let missing = match self.order.enter(block, self.trace.starts()) {
            Ok(missing) => missing,
            Err(defect) => {
                self.pass_over(block.header.entries);
                return Ok(Some(Entry::Damaged(block.damaged(defect))));
            }
        };
        self.current = Some(Current {
            block,
            at: 0,
            index: block.header.first_index,
            seen: 0,
            calls: block.header.calls,
            sure: true,
        });
        Ok(missing.map(Entry::Lost))
    }

    /// Positions that nothing is read at.
    fn pass_over(&mut self, entries: u32) {
        self.skip = self.skip.saturating_sub(u64::from(entries));
    }

    /// The next record of the open block.
    fn record(&mut self) -> Option<Entry> {
        let mut current = self.current.take()?;
        if core::mem::take(&mut self.unloaded)
            && let Err(damaged) = self.trace.load(current.block, &mut self.buffer)
        {
            // It could be read before: the storage fails, or the file changes.
            let left = current.block.header.entries.saturating_sub(current.seen);
            self.order.forget(Some(current.block.header.lane));
            self.pass_over(left);
            return Some(Entry::Damaged(Damaged {
                entries: Some(left),
                index: Some(current.index),
                calls: Some(current.calls),
                ..damaged
            }));
        }
        let bytes = self
            .buffer
            .bytes(self.trace.source())
            .get(current.at..)
            .unwrap_or_default();
        let header = &current.block.header;
        let (index, calls) = (current.index, current.calls);
        let bad = |entries, calls| {
            Entry::Damaged(Damaged {
                entries: Some(entries),
                index: Some(index),
                calls,
                ..current.block.damaged(Defect::Record)
            })
        };
        let left = header.entries.saturating_sub(current.seen);
        if bytes.is_empty() && left == 0 {
            if current.sure {
                self.order.leave(header.lane, current.index);
            } else {
                self.order.forget(Some(header.lane));
            }
            return None;
        }
        // Fewer records than the header says, or more, or one without an end: the rest of the block cannot be trusted.
        let Some((record, _)) = split(bytes).filter(|_| left != 0) else {
            self.order.forget(Some(header.lane));
            self.pass_over(left.saturating_sub(1));
            return Some(bad(left.max(1), Some(calls)));
        };
        current.at = current.at.saturating_add(record.len());
        current.seen = current.seen.saturating_add(1);
        let entry = match View::parse(record).filter(|_| checks(record)) {
            Some(view) => {
                let entry = view.to_entry(header.lane, current.index, self.trace.schema());
                let call = matches!(&entry, Entry::Call(_))
                    || matches!(&entry, Entry::Unknown(unknown) if unknown.kind < kind::OTHERS);
                current.calls = calls.saturating_sub(u32::from(call));
                current.index = current.index.saturating_add(view.indices());
                entry
            }
            None => {
                // Whether it was a call is anybody's guess, unless all that are left are: the next block says which index it
                // starts with.
                current.index = current.index.saturating_add(1);
                current.sure = false;
                let known = (calls == left).then_some(1);
                current.calls = calls.saturating_sub(known.unwrap_or(0));
                bad(1, known.or((calls == 0).then_some(0)))
            }
        };
        self.current = Some(current);
        Some(entry)
    }

    fn passes(&self, entry: &Entry) -> bool {
        let Some((recording, from)) = self.from else {
            return true;
        };
        if self.recording != recording {
            return self.recording > recording || matches!(entry, Entry::Damaged(_));
        }
        match entry {
            Entry::Call(call) => call.index >= from,
            Entry::Lost(lost) => lost.index.saturating_add(lost.count.max(1)) > from,
            Entry::Pages(pages) => pages.index >= from,
            Entry::Unknown(unknown) => unknown.index >= from,
            Entry::Damaged(_) => true,
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
