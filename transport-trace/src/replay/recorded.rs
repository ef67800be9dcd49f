//! A trace in memory: what replay, drive and comparison work on.

use std::sync::Arc;

use crate::entry::Entry;
use crate::read::{Lane, Trace};
use crate::schema::Schema;

/// A trace in memory: its schema, its lanes, its entries in their order.
///
/// Made from an opened [`Trace`], from a part of one, or by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The descriptions of the calls.
    pub schema: Arc<Schema>,
    /// The lanes.
    pub lanes: Vec<Lane>,
    /// The entries: within a lane in the order of the calls.
    pub entries: Vec<Entry>,
}

impl Recorded {
    /// Reads all of a trace. Damaged stretches are entries.
    #[must_use]
    pub fn read(trace: &Trace) -> Self {
        Self {
            schema: Arc::clone(trace.schema()),
            lanes: trace.lanes().to_vec(),
            entries: trace.entries().collect(),
        }
    }

    /// A lane's name; `lane 3` where it has none.
    #[must_use]
    pub fn lane_name(&self, id: u32) -> String {
        self.lanes
            .iter()
            .find(|lane| lane.id == id)
            .map_or_else(|| format!("lane {id}"), |lane| lane.name.clone())
    }

    /// The numbers of all lanes: those with a name in their order, then others that entries are of.
    #[must_use]
    pub fn lane_ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.lanes.iter().map(|lane| lane.id).collect();
        for id in self.entries.iter().filter_map(Entry::lane) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// The entries of one lane.
    pub fn of_lane(&self, id: u32) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.lane() == Some(id))
    }

    /// The entries in the order of time, over all lanes: by the moment a call was entered. Entries of one lane keep their
    /// order, and so do entries without a time.
    #[must_use]
    pub fn in_time(&self) -> Vec<&Entry> {
        let mut latest = std::collections::BTreeMap::new();
        let mut timed: Vec<(u64, &Entry)> = Vec::with_capacity(self.entries.len());
        let mut overall = 0;
        for entry in &self.entries {
            // What has no time of its own stands where its neighbour stands; a lane never goes back.
            let last = match entry.lane() {
                Some(lane) => latest.entry(lane).or_insert(0),
                None => &mut overall,
            };
            *last = entry.ticks().max(*last);
            timed.push((*last, entry));
        }
        timed.sort_by_key(|(ticks, _)| *ticks);
        timed.into_iter().map(|(_, entry)| entry).collect()
    }
}
