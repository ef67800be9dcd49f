//! Which calls damage took: a trace that is made from a damaged one says which calls it lacks.
//!
//! Behind a damaged stretch the next entry of its lane says by its index how many calls are missing. Where none follows, the
//! header of the damaged block says it, where it can still be read; else nobody knows it, and that is what is written. Where only changes of
//! pages, or losses, stood there, an unknown number is written too: no reader takes what it knows of the pages for what they held. Where no
//! header says what stood there, that may be so of each lane that has such changes.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::Damaged;

/// What is known of the damaged stretches that were passed.
#[derive(Debug, Default)]
pub(super) struct Holes {
    lanes: BTreeMap<u32, Hole>,
    /// Whether there was a stretch that nobody knows the lane of.
    anywhere: bool,
    /// The lanes that went on behind the last such stretch. Of the others nobody knows how many calls they lack.
    went_on: Option<BTreeSet<u32>>,
    /// How many such stretches there were.
    stretches: u64,
    /// Of each lane that has changes of pages, how many of them are noted.
    watched: BTreeMap<u32, u64>,
    /// Lanes of which it is known that nothing follows behind such a stretch.
    ended: BTreeSet<u32>,
}

/// Of one lane.
#[derive(Clone, Copy, Debug, Default)]
struct Hole {
    /// The index behind the calls that are known to be missing.
    end: u64,
    /// The same, of calls that the lane has already: they are of the recording that begins behind this one.
    again: u64,
    /// Records stood there, and no call among them is known of: changes of pages, or losses.
    others: bool,
    /// The same, of the recording that begins behind this one.
    others_again: bool,
}

impl Holes {
    /// Passes a damaged stretch. `next` gives the index of a lane's next call.
    pub(super) fn pass(&mut self, damaged: &Damaged, next: impl Fn(u32) -> u64) {
        let Some(lane) = damaged.lane else {
            self.anywhere = true;
            if damaged.is_unknown() {
                self.went_on = Some(BTreeSet::new());
                self.stretches = self.stretches.saturating_add(1);
            }
            return;
        };
        let hole = self.lanes.entry(lane).or_default();
        if let (Some(first), Some(end)) = (damaged.index, damaged.end()) {
            if let Some(went_on) = &mut self.went_on {
                went_on.insert(lane);
            }
            // A damaged header that the index stands for took no record.
            let others = end == first && damaged.entries != Some(0);
            if first < next(lane) {
                hole.again = end.max(hole.again);
                hole.others_again |= others;
            } else {
                hole.end = end.max(hole.end);
                hole.others |= others;
            }
        }
    }

    /// Whether calls of this lane may be missing because of damage.
    pub(super) fn may_be_in(&self, lane: u32) -> bool {
        self.anywhere || self.lanes.contains_key(&lane)
    }

    /// A lane goes on. `change`: with a change of a page. Where changes may have stood in a stretch before it, they are missing.
    pub(super) fn watch(&mut self, lane: u32, change: bool) {
        if !change && !self.watched.contains_key(&lane) {
            return;
        }
        let noted = self.watched.entry(lane).or_default();
        if *noted < self.stretches {
            *noted = self.stretches;
            self.lanes.entry(lane).or_default().others = true;
        }
    }

    /// A lane lacks nothing by what was passed.
    pub(super) fn lacks_nothing(&mut self, lane: u32) {
        self.watched.insert(lane, self.stretches);
        self.go_on(lane);
        self.lacks_others(lane);
    }

    /// Whether records of a lane are missing that are no calls, and nothing was noted in their place. Asked once.
    pub(super) fn lacks_others(&mut self, lane: u32) -> bool {
        let hole = self.lanes.get_mut(&lane);
        hole.is_some_and(|hole| std::mem::take(&mut hole.others))
    }

    /// A lane has an entry.
    pub(super) fn go_on(&mut self, lane: u32) {
        if let Some(went_on) = &mut self.went_on {
            went_on.insert(lane);
        }
    }

    /// Nothing of a lane follows behind a stretch that nobody knows the lane of.
    pub(super) fn end(&mut self, lane: u32) {
        self.ended.insert(lane);
    }

    /// Whether the recording has a stretch of which nobody knows how many calls stood there, and of which lanes.
    pub(super) const fn may_be_anywhere(&self) -> bool {
        self.went_on.is_some()
    }

    /// Whether nobody knows how many calls a lane lacks at its end: that of a recording, or of all of them.
    pub(super) fn end_is_unknown(&self, lane: u32, last: bool) -> bool {
        let open = self.went_on.as_ref();
        open.is_some_and(|went_on| !went_on.contains(&lane)) || last && self.ended.contains(&lane)
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
        self.lanes
            .values()
            .any(|hole| hole.again != 0 || hole.others_again)
    }

    /// Goes on to the next recording of a joined file.
    pub(super) fn next_recording(&mut self) {
        self.went_on = None;
        self.stretches = 0;
        self.watched.clear();
        for hole in self.lanes.values_mut() {
            *hole = Hole {
                end: hole.again,
                others: hole.others_again,
                ..Hole::default()
            };
        }
    }
}
