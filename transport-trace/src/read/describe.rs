//! What the blocks of a trace describe: the calls, the clock, the lanes.

use std::collections::{BTreeMap, BTreeSet, hash_map};
use std::sync::Arc;

use super::block::{BlockEntry, Buffer};
use super::trace::{Lane, Trace};
use crate::clock::{ClockInfo, ClockPoint};
use crate::entry::{Damaged, Defect};
use crate::format::{BlockKind, MAX_SCHEMA};
use crate::get::Get;

/// Descriptions that a trace had, and of which nothing can be read: what is made of it
/// [says so as well](crate::write::Writer::lacking).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostDescriptions {
    /// The schema: no call has a name.
    pub schema: bool,
    /// A point of the clock of these [recordings](super::Entries::recording): their times are a little off, or there are none.
    pub clocks: BTreeSet<u32>,
    /// The names of these lanes.
    pub lanes: BTreeSet<u32>,
    /// The ends of these recordings of a joined file: see [`Trace::recordings_without_end`].
    pub ends: BTreeSet<u32>,
}

/// Bytes that the names of all lanes may have.
const MAX_NAMES: usize = 16 << 20;

impl Trace {
    /// Reads the descriptions among the blocks from this one on.
    pub(super) fn describe(&mut self, from: usize, buffer: &mut Buffer) {
        let blocks = self.found.blocks.get(from..).unwrap_or_default();
        let mut have_schema = !self.schema.interfaces.is_empty();
        let is_clock = |block: &BlockEntry| block.header.kind == BlockKind::Clock;
        // By recording: the machine may have started anew between two.
        let clocks = (0..).zip(blocks).filter(|(_, block)| is_clock(block));
        let last_clocks: BTreeMap<u32, usize> = clocks
            .map(|(place, block)| (block.section, place))
            .collect();
        let known = self.points.keys();
        let mut have_clock: BTreeSet<u32> =
            known.map(|offset| self.recording_at(*offset)).collect();
        let mut no_last = Vec::new();
        let mut bad_headers = Vec::new();
        for (place, block) in blocks.iter().enumerate() {
            let wanted = match block.header.kind {
                BlockKind::Schema => !have_schema,
                BlockKind::Lane => true,
                BlockKind::Clock => {
                    !have_clock.contains(&block.section)
                        || last_clocks.get(&block.section) == Some(&place)
                }
                _ => false,
            };
            if !wanted {
                continue;
            }
            let body = match block.misplaced {
                Some(defect) => Err(defect),
                None if block.header.kind == BlockKind::Schema
                    && usize::try_from(block.header.raw).is_ok_and(|raw| raw > MAX_SCHEMA) =>
                {
                    Err(Defect::TooLarge)
                }
                None => buffer.load(&*self.source, block.offset, &block.header),
            };
            let understood = match body {
                Err(defect) => Err(defect),
                Ok(body) => match block.header.kind {
                    BlockKind::Schema => crate::schema::decode(body).map(|schema| {
                        have_schema = true;
                        self.schema = Arc::new(schema);
                    }),
                    BlockKind::Lane if self.named > MAX_NAMES => {
                        self.descriptions.push(block.damaged(Defect::TooLarge));
                        continue;
                    }
                    BlockKind::Lane => Get::new(body).name().map(|name| {
                        let id = block.header.lane;
                        if let hash_map::Entry::Vacant(place) = self.lane_places.entry(id) {
                            self.named = self.named.saturating_add(name.len());
                            place.insert(self.lanes.len());
                            self.lanes.push(Lane { id, name });
                        }
                    }),
                    _ => clock_point(body).map(|point| {
                        have_clock.insert(block.section);
                        self.points.insert(block.offset, point);
                    }),
                }
                .ok_or(Defect::Description),
            };
            match understood {
                Err(defect) => {
                    if is_clock(block) && last_clocks.get(&block.section) == Some(&place) {
                        no_last.push(place);
                    }
                    self.descriptions.push(block.damaged(defect));
                }
                Ok(()) => bad_headers.extend(self.damaged_header(block)),
            }
        }
        self.descriptions.extend(bad_headers);
        for last in no_last {
            // How fast the clock is, a recording measures; its first point does not say it, and each later one does.
            let before = blocks.get(..last).unwrap_or_default().iter().rev();
            let section = blocks.get(last).map(|block| block.section);
            let clocks = before
                .take_while(|block| Some(block.section) == section)
                .filter(|block| is_clock(block) && block.misplaced.is_none());
            let mut points = clocks.filter_map(|block| {
                let body = buffer.load(&*self.source, block.offset, &block.header);
                Some((block.offset, body.ok().and_then(clock_point)?))
            });
            self.points.extend(points.next());
        }
        self.clocks = self.make_clocks();
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

    /// Which descriptions are lost to damage. What another block says too is not: of a file that was joined from several
    /// recordings, each has a schema.
    #[must_use]
    pub fn lost_descriptions(&self) -> LostDescriptions {
        let mut lost = LostDescriptions {
            ends: self.recordings_without_end(),
            ..LostDescriptions::default()
        };
        for (kind, damaged) in self.damaged_descriptions() {
            match kind {
                BlockKind::Schema => lost.schema = true,
                BlockKind::Clock => {
                    lost.clocks.insert(self.recording_at(damaged.offset));
                }
                BlockKind::Lane => lost.lanes.extend(damaged.lane),
                _ => {}
            }
        }
        // A schema whose header is damaged is no block.
        let there = |kind| self.blocks().iter().any(|block| block.header.kind == kind);
        let damaged = self.damage().next().is_some();
        lost.schema |= !there(BlockKind::Schema) && (damaged || there(BlockKind::Data));
        lost.schema &= self.schema.interfaces.is_empty();
        lost.lanes
            .retain(|lane| !self.lane_places.contains_key(lane));
        lost
    }

    /// Of a file that was joined from several recordings, those that have another one behind them and no end: they were not finished, or the
    /// end of their file was lost. More of them may have come. What [`ends_early`](Self::ends_early) says of the last one.
    #[must_use]
    pub fn recordings_without_end(&self) -> BTreeSet<u32> {
        let blocks = self.blocks();
        let pairs = blocks.iter().zip(blocks.iter().skip(1));
        pairs
            .filter(|(last, next)| last.section != next.section)
            .filter(|(last, _)| last.header.kind != BlockKind::Index)
            .map(|(last, _)| last.section)
            .collect()
    }

    /// What of [`damage`](Self::damage) is in blocks that describe: the schema, a lane's name, the clock. Each with the kind
    /// of its block.
    pub fn damaged_descriptions(&self) -> impl Iterator<Item = (BlockKind, &Damaged)> {
        self.descriptions.iter().filter_map(|damaged| {
            let blocks = self.blocks();
            let place = blocks.binary_search_by_key(&damaged.offset, |block| block.offset);
            Some((blocks.get(place.ok()?)?.header.kind, damaged))
        })
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
