//! The clock of each recording, made of the points that the blocks of a trace tell of it.

use std::collections::BTreeMap;

use super::block::{BlockEntry, Buffer};
use super::trace::Trace;
use crate::clock::{ClockInfo, ClockPoint};
use crate::entry::Defect;
use crate::format::BlockKind;
use crate::get::Get;

impl Trace {
    /// Reads the points of the clock among the blocks from this one on.
    pub(super) fn describe_clocks(&mut self, from: usize, buffer: &mut Buffer) {
        let from = if self.forget_strayed() { 0 } else { from };
        let is_clock = |block: &BlockEntry| block.header.kind == BlockKind::Clock;
        let blocks = (0..).zip(&self.found.blocks).skip(from);
        let places: Vec<(usize, u32)> = blocks
            .filter(|(_, block)| is_clock(block))
            .map(|(place, block)| (place, block.section))
            .collect();
        let next = places.iter().skip(1).map(|(_, section)| Some(*section));
        for ((place, _), next) in places.iter().zip(next.chain([None])) {
            let Some(block) = self.found.blocks.get(*place).copied() else {
                continue;
            };
            let point = match block.misplaced {
                Some(defect) => Err(defect),
                None => buffer
                    .load(&*self.source, block.offset, &block.header)
                    .and_then(|body| clock_point(body).ok_or(Defect::Description)),
            };
            // How fast the clock is, a recording measures; its first point does not say it, and each later one does. So where the last
            // one is damaged, the last one that is not stands for it, and what is between the first and the last is told by nobody.
            let counts = next != Some(block.section) || self.points_of(block.section).is_empty();
            match point.and_then(|point| self.take_point(&block, point)) {
                Err(defect) if counts || defect == Defect::Order => {
                    self.descriptions.push(block.damaged(defect));
                }
                Ok(()) if counts => self.descriptions.extend(self.damaged_header(&block)),
                _ => {}
            }
        }
        self.clocks = self.make_clocks();
    }

    /// The last points that are known of a recording, the last one first: no more than two.
    fn points_of(&self, recording: u32) -> Vec<(u64, ClockPoint)> {
        let points = self.points.iter().rev();
        points
            .map(|(offset, point)| (*offset, *point))
            .take_while(|(offset, _)| self.recording_at(*offset) == recording)
            .take(2)
            .collect()
    }

    /// Takes a point that stands behind those that are known. Of each recording the first and the last one are kept.
    ///
    /// # Errors
    /// [`Defect::Order`] where it is before the last one: the clock of a recording only goes up, so it stands there twice, or is another
    /// recording's.
    fn take_point(&mut self, block: &BlockEntry, point: ClockPoint) -> Result<(), Defect> {
        let before = self.points_of(block.section);
        if before
            .first()
            .is_some_and(|(_, last)| point.ticks < last.ticks)
        {
            return Err(Defect::Order);
        }
        if let [(last, _), _] = before.as_slice() {
            self.points.remove(last);
        }
        self.points.insert(block.offset, point);
        Ok(())
    }

    /// Whether a point that is known stands in a wrong place, as what a file that grows has behind it shows. What was read of the clocks is
    /// forgotten then.
    fn forget_strayed(&mut self) -> bool {
        let blocks = &self.found.blocks;
        let block_at = |offset: u64| {
            let place = blocks.binary_search_by_key(&offset, |block| block.offset);
            place.ok().and_then(|place| blocks.get(place))
        };
        let mut known = self.points.keys();
        if !known.any(|offset| block_at(*offset).is_some_and(|block| block.misplaced.is_some())) {
            return false;
        }
        self.points.clear();
        self.descriptions.retain(|damaged| {
            block_at(damaged.offset).is_none_or(|block| block.header.kind != BlockKind::Clock)
        });
        true
    }

    /// Makes clocks of the points that were read. Of all of them, since a file that grows may show only later that its first block
    /// is of the second recording.
    fn make_clocks(&self) -> BTreeMap<u32, ClockInfo> {
        let mut clocks = BTreeMap::new();
        for (offset, point) in &self.points {
            let both = ClockInfo {
                first: *point,
                last: *point,
            };
            let clock = clocks.entry(self.recording_at(*offset)).or_insert(both);
            clock.last = *point;
        }
        self.begin_with_records(&mut clocks);
        clocks
    }

    /// A recording starts with a point of the clock. Where that is lost, the earliest records are when it began as far as anybody knows:
    /// else what was before the first point that is left would have been at no time.
    fn begin_with_records(&self, clocks: &mut BTreeMap<u32, ClockInfo>) {
        let mut first_points = BTreeMap::new();
        for offset in self.points.keys() {
            let of = self.recording_at(*offset);
            first_points.entry(of).or_insert(*offset);
        }
        let mut begins: BTreeMap<u32, u64> = BTreeMap::new();
        let before_points = self.data().filter(|block| {
            let point = first_points.get(&block.section);
            // Where nothing but losses is known of, there may be no time.
            block.misplaced.is_none()
                && block.header.first_ticks != 0
                && point.is_some_and(|point| block.offset < *point)
        });
        for block in before_points {
            let begin = begins.entry(block.section).or_insert(u64::MAX);
            *begin = block.header.first_ticks.min(*begin);
        }
        for (recording, ticks) in begins {
            if let Some(clock) = clocks.get_mut(&recording)
                && ticks < clock.first.ticks
            {
                clock.first = ClockPoint {
                    ticks,
                    unix_nanoseconds: clock.unix_nanoseconds(ticks).unwrap_or(0),
                    frequency: clock.first.frequency,
                };
            }
        }
    }
}

fn clock_point(body: &[u8]) -> Option<ClockPoint> {
    let mut from = Get::new(body);
    Some(ClockPoint {
        frequency: from.u64()?,
        ticks: from.u64()?,
        unix_nanoseconds: from.i64()?,
    })
}
