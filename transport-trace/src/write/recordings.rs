//! Where a recording begins and where it ends: its schema, the names of its lanes and where they start, and what is known to be
//! missing.

use std::io::{self, Write};
use std::vec::Vec;

use super::Writer;
use super::blocks::next_index;
use super::place::Record;
use crate::clock::ClockInfo;
use crate::entry::{LossCause, Lost};
use crate::format::out::Out;
use crate::format::{BlockHeader, BlockKind};
use crate::read::LostDescriptions;
use crate::schema::Schema;

/// The name of the lane that stands for those that damage took with their names.
const NOBODY_KNOWS: &str = "?";

impl<W: Write> Writer<W> {
    pub(super) fn queue_lane(&mut self, id: u32, name: &str, first_index: u64) {
        if self.lacking.lanes.contains(&id) {
            let mut header = BlockHeader::plain(BlockKind::Lane, 0, 0);
            header.lane = id;
            header.first_index = first_index;
            self.out.queue(header, &[]);
        } else {
            self.out.queue_lane_from(id, name, first_index);
        }
    }

    /// Says where the lane starts, where it has no entries yet and starts later than was said.
    pub(super) fn start(&mut self, lane: u32, index: u64) -> io::Result<()> {
        let said = self.starts.get(&lane).is_some_and(|start| *start <= index);
        if self.started.insert(lane) && index != 0 && !said {
            let name = usize::try_from(lane)
                .ok()
                .and_then(|lane| self.lanes.get(lane))
                .cloned()
                .unwrap_or_default();
            self.queue_lane(lane, &name, index);
        }
        self.out.flush()
    }

    /// Notes the calls of a lane up to an index as lost to damage, where it has not come so far.
    pub(super) fn note_missing(&mut self, lane: u32, until: u64) -> io::Result<()> {
        let index = next_index(&self.open, &self.starts, lane);
        let count = until.saturating_sub(index);
        // A number of calls stands for all that was between them.
        if !self.holes.lacks_others(lane) && count == 0 {
            return Ok(());
        }
        self.note_lost(lane, index, count)
    }

    /// Notes calls as lost to damage; 0 where nobody knows how many.
    fn note_lost(&mut self, lane: u32, index: u64, count: u64) -> io::Result<()> {
        self.start(lane, index)?;
        self.noted.calls = self.noted.calls.saturating_add(count);
        self.noted.unknown |= count == 0;
        let lost = Lost {
            lane,
            index,
            count,
            cause: LossCause::Damaged,
            first: 0,
            last: 0,
        };
        self.append(&Record::lost(&lost))
    }

    /// A lane lacks nothing by what was passed so far: what else there is of it is known.
    pub(crate) fn goes_on(&mut self, lane: u32) {
        self.holes.lacks_nothing(lane);
    }

    /// Writes what is open, what is missing behind it, and the clock's last point. `last`: no other recording follows.
    pub(super) fn end_recording(&mut self, last: bool) -> io::Result<()> {
        for (lane, end) in self.holes.ends() {
            if usize::try_from(lane).is_ok_and(|lane| lane < self.lanes.len()) {
                self.note_missing(lane, end)?;
            }
        }
        if self.lanes.is_empty() && self.holes.may_be_anywhere() {
            // What was lost has to stand somewhere.
            self.lane(NOBODY_KNOWS)?;
        }
        let lanes = u32::try_from(self.lanes.len()).unwrap_or(u32::MAX);
        for lane in 0..lanes {
            if self.holes.end_is_unknown(lane, last) {
                let index = next_index(&self.open, &self.starts, lane);
                self.note_lost(lane, index, 0)?;
            }
        }
        self.close_all()?;
        if self.clock.last != self.clock.first {
            self.out.queue_clock(&self.clock.last);
        }
        Ok(())
    }

    /// Starts a recording behind the one that is written. Nobody said what its clock is.
    pub(super) fn next_recording(&mut self) -> io::Result<()> {
        self.end_recording(false)?;
        self.queue_end();
        self.begin_recording(ClockInfo::default(), false)?;
        self.holes.next_recording();
        Ok(())
    }

    /// Says that the recording which ends here was finished, where it was.
    pub(super) fn queue_end(&mut self) {
        if !self.lacking.ends.contains(&self.recording) {
            self.out.queue_recording_index();
        }
    }

    /// `lost`: damage took a point of the clock.
    pub(super) fn begin_recording(&mut self, clock: ClockInfo, lost: bool) -> io::Result<()> {
        self.open.clear();
        self.held = 0;
        self.started.clear();
        self.starts.clear();
        self.out.begin_recording();
        queue_schema(&mut self.out, &self.schema, &self.lacking);
        queue_first_point(&mut self.out, &clock, lost);
        self.clock = clock;
        self.out.flush()
    }
}

/// `lost`: damage took a point of the clock.
pub(super) fn queue_first_point<W: Write>(out: &mut Out<W>, clock: &ClockInfo, lost: bool) {
    if lost {
        // In front of the first point that is known: that the last one is known too does not make up for it.
        out.queue_plain(BlockKind::Clock, 0, &[]);
    }
    out.queue_clock(&clock.first);
}

pub(super) fn queue_schema<W: Write>(
    out: &mut Out<W>,
    schema: &Schema,
    lacking: &LostDescriptions,
) {
    let encoded = if lacking.schema {
        Vec::new()
    } else {
        crate::schema::encode(schema)
    };
    out.queue_schema(&encoded);
}
