//! A trace in memory: what replay, drive and comparison work on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
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
    /// Where in `entries` recordings begin behind the first one, as in a file that was joined from several. Each may have a clock of
    /// its own, so that times tell nothing of the order of calls of two of them. From the least to the greatest, the same twice where one
    /// has no entries; empty: all entries are of one recording.
    pub joined: Vec<usize>,
}

/// A trace does not fit the memory that its reader gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// The memory, in bytes.
    pub limit: u64,
    /// How many entries it has room for.
    pub fit: u64,
    /// How many the trace has.
    pub entries: u64,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            limit,
            fit,
            entries,
        } = self;
        write!(
            f,
            "the trace does not fit {limit} bytes of memory: they have room for {fit} of its {entries} entries. \
             Take a part of it (`hcall gen-test` writes one), or raise the limit: `Recorded::read_at_most`, for replay `memory`"
        )
    }
}

impl std::error::Error for TooLarge {}

/// The entries of one lane.
#[derive(Clone, Debug)]
pub(crate) struct LaneEntries<'r> {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) entries: Vec<&'r Entry>,
    /// Where each of them is in [`Recorded::entries`].
    pub(crate) places: Vec<usize>,
}

impl<'r> LaneEntries<'r> {
    fn push(&mut self, at: usize, entry: &'r Entry) {
        self.entries.push(entry);
        self.places.push(at);
    }

    /// Takes the last damage of no lane, unless it did.
    fn tell(&mut self, shared: Option<(usize, &'r Entry)>, told: &mut Option<usize>) {
        if let Some((at, damage)) = shared
            && told.replace(at) != Some(at)
        {
            self.push(at, damage);
        }
    }
}

impl Recorded {
    /// The memory that [`read`](Self::read) gives a trace, in bytes: 1 GiB. That are some millions of calls.
    pub const LIMIT: u64 = 1 << 30;

    /// Reads all of a trace, if it fits [`LIMIT`](Self::LIMIT): a small file may unpack to more than memory holds. Damaged
    /// stretches are entries.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn read(trace: &Trace) -> Result<Self, TooLarge> {
        Self::read_at_most(trace, Self::LIMIT)
    }

    /// Reads all of a trace, if its entries [take](Entry::memory) no more than `limit` bytes of memory. Until that is known, up
    /// to half as much again is used, and a block of the file.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn read_at_most(trace: &Trace, limit: u64) -> Result<Self, TooLarge> {
        Self::read_part(trace, None, limit)
    }

    /// The same of one recording of a joined file.
    pub(super) fn read_one(trace: &Trace, recording: u32, limit: u64) -> Result<Self, TooLarge> {
        Self::read_part(trace, Some(recording), limit)
    }

    fn read_part(trace: &Trace, only: Option<u32>, limit: u64) -> Result<Self, TooLarge> {
        let mut entries = Vec::new();
        let mut joined = Vec::new();
        let mut begun: u32 = 0;
        // Those without entries are recordings too, and have their numbers.
        let mut begin = |recording: u32, at: usize| {
            joined.extend((begun..recording).map(|_| at));
            begun = begun.max(recording);
        };
        let mut left = limit;
        let mut from = trace.entries();
        while let Some(entry) = from.next() {
            match only {
                Some(only) if from.recording() < only => continue,
                Some(only) if from.recording() > only => break,
                Some(_) => {}
                None => begin(from.recording(), entries.len()),
            }
            let Some(rest) = left.checked_sub(entry.memory()) else {
                return Err(TooLarge {
                    limit,
                    fit: u64::try_from(entries.len()).unwrap_or(u64::MAX),
                    entries: trace.len(),
                });
            };
            left = rest;
            entries.push(entry);
        }
        if only.is_none() {
            begin(trace.recording_at(u64::MAX), entries.len());
        }
        Ok(Self {
            schema: Arc::clone(trace.schema()),
            lanes: trace.lanes().to_vec(),
            entries,
            joined,
        })
    }

    /// Takes entries with the number of the [recording](crate::read::Entries::recording) that each is of: one recording stands behind the
    /// other then, and within it the entries as they came.
    #[must_use]
    pub fn with_entries(self, entries: impl IntoIterator<Item = (u32, Entry)>) -> Self {
        let mut sorted: Vec<_> = entries.into_iter().collect();
        sorted.sort_by_key(|(recording, _)| *recording);
        let pairs = sorted.iter().zip(sorted.iter().skip(1));
        let joined = (1..)
            .zip(pairs)
            .filter(|(_, (before, next))| before.0 != next.0)
            .map(|(at, _)| at)
            .collect();
        Self {
            entries: sorted.into_iter().map(|(_, entry)| entry).collect(),
            joined,
            ..self
        }
    }

    /// Which recording the entry at a place of `entries` is of: 0, or how many of [`joined`](Self::joined) begin up to there.
    #[must_use]
    pub fn recording_of(&self, place: usize) -> u32 {
        let begun = self.joined.partition_point(|start| *start <= place);
        u32::try_from(begun).unwrap_or(u32::MAX)
    }

    /// A lane's name; `lane 3` where it has none.
    #[must_use]
    pub fn lane_name(&self, id: u32) -> String {
        self.lanes
            .iter()
            .find(|lane| lane.id == id)
            .map_or_else(|| unnamed(id), |lane| lane.name.clone())
    }

    /// Gives [lanes their names](Self::lane_name), many of them.
    pub(crate) fn names(&self) -> impl Fn(u32) -> String {
        let mut names = BTreeMap::new();
        for lane in &self.lanes {
            names.entry(lane.id).or_insert(&lane.name);
        }
        move |id| {
            names
                .get(&id)
                .map_or_else(|| unnamed(id), |name| (*name).clone())
        }
    }

    /// The numbers of all lanes: those with a name in their order, then others that entries are of.
    #[must_use]
    pub fn lane_ids(&self) -> Vec<u32> {
        let named = self.lanes.iter().map(|lane| lane.id);
        let others = self.entries.iter().filter_map(Entry::lane);
        let mut seen = BTreeSet::new();
        named.chain(others).filter(|id| seen.insert(*id)).collect()
    }

    /// The entries of all lanes, lane by lane: in one walk, however many lanes there are. Damage that may have held entries of
    /// any lane is in none, or with `damage` in all of them: where there are several such stretches between two entries of a lane,
    /// the last one.
    pub(crate) fn by_lane(&self, damage: bool) -> Vec<LaneEntries<'_>> {
        let names = self.names();
        let mut places = BTreeMap::new();
        let mut lanes: Vec<_> = self
            .lane_ids()
            .into_iter()
            .enumerate()
            .map(|(place, id)| {
                places.insert(id, place);
                LaneEntries {
                    id,
                    name: names(id),
                    entries: Vec::new(),
                    places: Vec::new(),
                }
            })
            .collect();
        // The last damage of no lane, and up to where each lane has it.
        let mut shared: Option<(usize, &Entry)> = None;
        let mut told = vec![None; lanes.len()];
        for (at, entry) in self.entries.iter().enumerate() {
            match (entry.lane(), entry) {
                (Some(id), _) => {
                    let Some(place) = places.get(&id).copied() else {
                        continue;
                    };
                    if let (Some(lane), Some(told)) = (lanes.get_mut(place), told.get_mut(place)) {
                        lane.tell(shared, told);
                        lane.push(at, entry);
                    }
                }
                (None, Entry::Damaged(_)) if damage => shared = Some((at, entry)),
                _ => {}
            }
        }
        for (lane, told) in lanes.iter_mut().zip(&mut told) {
            lane.tell(shared, told);
        }
        lanes
    }

    /// The entries of one lane.
    pub fn of_lane(&self, id: u32) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.lane() == Some(id))
    }

    /// The entries in the order of time, over all lanes: by the moment a call was entered. Entries of one lane keep their
    /// order, and so do entries without a time. One recording comes after the other: each may have a clock of its own.
    #[must_use]
    pub fn in_time(&self) -> Vec<&Entry> {
        let all = self.in_time_by_recording().into_iter();
        all.map(|(_, entry)| entry).collect()
    }

    /// The same, each with the number of the [recording](Self::recording_of) that it is of. Watched pages, and what a hypervisor has, are
    /// of one recording: numbers of pages begin again in the next.
    #[must_use]
    pub fn in_time_by_recording(&self) -> Vec<(u32, &Entry)> {
        let mut latest = BTreeMap::new();
        let mut timed: Vec<(u32, u64, &Entry)> = Vec::with_capacity(self.entries.len());
        let mut overall = 0;
        let mut recording: u32 = 0;
        let mut starts = self.joined.iter().peekable();
        for (at, entry) in self.entries.iter().enumerate() {
            while starts.next_if(|start| **start <= at).is_some() {
                recording = recording.saturating_add(1);
                latest.clear();
                overall = 0;
            }
            // What has no time of its own stands where its neighbour stands; a lane never goes back.
            let last = match entry.lane() {
                Some(lane) => latest.entry(lane).or_insert(0),
                None => &mut overall,
            };
            *last = entry.ticks().max(*last);
            timed.push((recording, *last, entry));
        }
        timed.sort_by_key(|(recording, ticks, _)| (*recording, *ticks));
        let numbered = timed.into_iter();
        numbered
            .map(|(recording, _, entry)| (recording, entry))
            .collect()
    }
}

/// What a lane without a name is called.
fn unnamed(id: u32) -> String {
    format!("lane {id}")
}
