//! What is there of a trace beside its entries: lanes and damage, recording by recording.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::{Damaged, Entry};
use crate::read::Trace;
use crate::replay::Recorded;

/// One of the two traces.
pub(super) struct Side<'t> {
    /// The lanes, those included that have calls and no name.
    pub(super) lanes: Vec<(u32, String)>,
    /// How many recordings it was joined from, those without entries included.
    pub(super) recordings: u32,
    /// What those have that have anything.
    parts: BTreeMap<u32, Part<'t>>,
}

/// What there is of one recording.
#[derive(Default)]
struct Part<'t> {
    /// The lanes that it has entries of, or damage: their places among all lanes.
    lanes: BTreeSet<usize>,
    /// What may have held calls of any lane.
    damage: Vec<&'t Damaged>,
}

impl<'t> Side<'t> {
    pub(super) fn in_memory(recorded: &'t Recorded) -> Self {
        let name = recorded.names();
        let ids = recorded.lane_ids().into_iter();
        let mut side = Self::new(
            ids.map(|id| (id, name(id))).collect(),
            recorded.recordings(),
        );
        let places = side.places();
        for (place, entry) in recorded.entries.iter().enumerate() {
            let recording = recorded.recording_of(place);
            side.take(&places, recording, entry.lane());
            if let Entry::Damaged(damaged) = entry {
                side.damaged(recording, damaged);
            }
        }
        side.unused();
        side
    }

    pub(super) fn opened(trace: &'t Trace) -> Self {
        let lanes = trace.used_lanes().into_iter();
        let last = trace.recording_at(u64::MAX);
        let mut side = Self::new(
            lanes.map(|lane| (lane.id, lane.name)).collect(),
            last.saturating_add(1),
        );
        let places = side.places();
        for block in trace.data() {
            side.take(&places, block.section, Some(block.header.lane));
        }
        for damaged in trace.gaps() {
            let recording = trace.recording_at(damaged.offset);
            side.take(&places, recording, damaged.lane);
            side.damaged(recording, damaged);
        }
        side.unused();
        side
    }

    fn new(lanes: Vec<(u32, String)>, recordings: u32) -> Self {
        Self {
            lanes,
            recordings,
            parts: BTreeMap::new(),
        }
    }

    fn places(&self) -> BTreeMap<u32, usize> {
        let lanes = self.lanes.iter().enumerate();
        lanes.map(|(place, (id, _))| (*id, place)).collect()
    }

    fn take(&mut self, places: &BTreeMap<u32, usize>, recording: u32, lane: Option<u32>) {
        if let Some(place) = lane.and_then(|lane| places.get(&lane)) {
            self.parts
                .entry(recording)
                .or_default()
                .lanes
                .insert(*place);
        }
    }

    fn damaged(&mut self, recording: u32, damaged: &'t Damaged) {
        // The file's own header held no calls.
        if damaged.lane.is_none() && damaged.offset != 0 {
            let part = self.parts.entry(recording).or_default();
            part.damage.push(damaged);
        }
    }

    /// Counts lanes that have a name and nothing else as the first recording's: which one named them is not known.
    fn unused(&mut self) {
        let used = self.parts.values().flat_map(|part| &part.lanes);
        let used: BTreeSet<usize> = used.copied().collect();
        let unused = (0..self.lanes.len()).filter(|place| !used.contains(place));
        let first = self.parts.entry(0).or_default();
        first.lanes.extend(unused);
    }

    /// What may have held calls of any lane of a recording.
    pub(super) fn damage_of(&self, recording: u32) -> impl Iterator<Item = &'t Damaged> {
        let part = self.parts.get(&recording).into_iter();
        part.flat_map(|part| part.damage.iter().copied())
    }

    /// The lanes that a recording has anything of, in their order: the place among all lanes, the number, the name.
    pub(super) fn lanes_of(&self, recording: u32) -> impl Iterator<Item = (usize, u32, &str)> {
        let part = self.parts.get(&recording).into_iter();
        let places = part.flat_map(|part| &part.lanes);
        places.filter_map(|place| {
            let (id, name) = self.lanes.get(*place)?;
            Some((*place, *id, name.as_str()))
        })
    }
}
