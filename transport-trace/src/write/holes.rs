//! Which calls damage took: a trace that is made from a damaged one says which calls it lacks.
//!
//! Behind a damaged stretch the next entry of its lane says by its index how many calls are missing. Where none follows, the
//! header of the damaged block says it, where it can still be read.

use std::collections::BTreeMap;

use crate::entry::Damaged;

/// What is known of the damaged stretches that were passed.
#[derive(Debug, Default)]
pub(super) struct Holes {
    lanes: BTreeMap<u32, Hole>,
    /// Whether there was a stretch that nobody knows the lane of.
    anywhere: bool,
}

/// Of one lane.
#[derive(Clone, Copy, Debug, Default)]
struct Hole {
    /// The index behind the calls that are known to be missing.
    end: u64,
    /// The same, of calls that the lane has already: they are of the recording that begins behind this one.
    again: u64,
}

impl Holes {
    /// Passes a damaged stretch. `next` gives the index of a lane's next call.
    pub(super) fn pass(&mut self, damaged: &Damaged, next: impl Fn(u32) -> u64) {
        let Some(lane) = damaged.lane else {
            self.anywhere = true;
            return;
        };
        let hole = self.lanes.entry(lane).or_default();
        if let (Some(first), Some(end)) = (damaged.index, damaged.end()) {
            let place = if first < next(lane) {
                &mut hole.again
            } else {
                &mut hole.end
            };
            *place = end.max(*place);
        }
    }

    /// Whether calls of this lane may be missing because of damage.
    pub(super) fn may_be_in(&self, lane: u32) -> bool {
        self.anywhere || self.lanes.contains_key(&lane)
    }

    /// The lanes, and the index behind the calls that are known to be missing.
    pub(super) fn ends(&self) -> Vec<(u32, u64)> {
        self.lanes
            .iter()
            .map(|(lane, hole)| (*lane, hole.end))
            .collect()
    }

    /// Whether calls are known to be missing in a recording that did not begin yet.
    pub(super) fn are_of_the_next(&self) -> bool {
        self.lanes.values().any(|hole| hole.again != 0)
    }

    /// Goes on to the next recording of a joined file.
    pub(super) fn next_recording(&mut self) {
        for hole in self.lanes.values_mut() {
            *hole = Hole {
                end: hole.again,
                again: 0,
            };
        }
    }
}
