//! How far the file of a recording goes, so that what is in neither the file nor the ring is noted as lost.

use std::collections::HashMap;

use super::ring::Ring;
use crate::entry::{Entry, LossCause, Lost, When};

/// How far the file goes in each lane.
#[derive(Debug, Default)]
pub(super) struct Reached {
    lanes: HashMap<u32, Lane>,
    /// A stretch could not be read, and nobody knows the lane: the entries of any may have stood there.
    unsure: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    /// The index behind the last entry, or behind the calls that are known to have stood in a damaged stretch.
    next: u64,
    /// Nobody knows how many calls stood in the stretch behind the last entry.
    unsure: bool,
}

impl Reached {
    /// Passes an entry of the file.
    pub(super) fn note(&mut self, entry: &Entry) {
        let next = match entry {
            Entry::Call(call) => call.index.saturating_add(1),
            Entry::Lost(lost) => lost.index.saturating_add(lost.count),
            Entry::Pages(change) => match change.when {
                When::Exit => change.index.saturating_add(1),
                When::Enter | When::Note => change.index,
            },
            Entry::Unknown(unknown) => unknown.index.saturating_add(u64::from(unknown.is_call())),
            Entry::Damaged(damaged) => match damaged.lane {
                Some(lane) => {
                    let lane = self.lanes.entry(lane).or_default();
                    match damaged.end() {
                        Some(end) => lane.next = lane.next.max(end),
                        None => lane.unsure = true,
                    }
                    return;
                }
                None => {
                    self.unsure = true;
                    self.lanes.values_mut().for_each(|lane| lane.unsure = true);
                    return;
                }
            },
        };
        if let Some(lane) = entry.lane() {
            self.lanes.insert(
                lane,
                Lane {
                    next,
                    unsure: false,
                },
            );
        }
    }

    /// The index behind the last entry of a lane.
    pub(super) fn next(&self, lane: u32) -> u64 {
        self.lanes.get(&lane).map_or(0, |lane| lane.next)
    }

    /// The calls that the file does not reach and that left the ring. `start` is the index of the lane's first call.
    pub(super) fn missing_before(&self, ring: &Ring, start: u64) -> Option<Lost> {
        let others = Lane {
            next: 0,
            unsure: self.unsure,
        };
        let lane = self.lanes.get(&ring.lane).copied().unwrap_or(others);
        let index = lane.next.max(start);
        let count = ring.first?.checked_sub(index).filter(|count| *count != 0)?;
        Some(Lost {
            lane: ring.lane,
            index,
            count,
            // Where the file is damaged, they may have been in there.
            cause: if lane.unsure {
                LossCause::Damaged
            } else {
                LossCause::Overwritten
            },
            first: 0,
            last: 0,
        })
    }
}
