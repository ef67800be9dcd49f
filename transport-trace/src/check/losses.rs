//! Between which entries calls are missing, and what is certain all the same.

use std::collections::BTreeSet;

use crate::entry::Entry;
use crate::state::Vm;

/// Where calls are missing.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    /// Lanes whose missing calls may still be to come: until the next call of the lane.
    lanes: BTreeSet<String>,
    /// Calls of any lane are missing, and nobody knows where.
    anywhere: bool,
    /// Behind this position, until now, no calls are missing.
    since: u64,
}

impl Losses {
    /// Takes the next entry.
    pub(super) fn take(&mut self, lane: &str, entry: &Entry) {
        match entry {
            Entry::Damaged(damaged) if damaged.lane.is_none() => self.anywhere = true,
            Entry::Lost(_) | Entry::Damaged(_) => {
                self.lanes.insert(lane.to_owned());
            }
            Entry::Unknown(unknown) if unknown.is_call() => {
                self.lanes.insert(lane.to_owned());
            }
            Entry::Call(_) | Entry::Pages(_) | Entry::Unknown(_) => {}
        }
    }

    /// A call of a lane comes: those that are missing before it were made by now. Whether there are any.
    pub(super) fn end(&mut self, position: u64, lane: &str) -> bool {
        let ends = self.lanes.remove(lane);
        if ends {
            self.since = position;
        }
        ends
    }

    /// Whether calls may be missing at this very point.
    pub(super) fn open(&self) -> bool {
        self.anywhere || !self.lanes.is_empty()
    }

    /// Whether all calls about a VM are there, from its creation on.
    pub(super) fn saw_all_of(&self, vm: &Vm) -> bool {
        let created = vm.created.as_ref();
        !self.open() && created.is_some_and(|created| created.position >= self.since)
    }
}
