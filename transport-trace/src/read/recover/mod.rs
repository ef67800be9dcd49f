//! Recovers what the rings of a killed process hold, and joins it with what reached the file.
//!
//! A ring lies in shared memory and outlives the process that filled it. Its head names the recording and the lane; in front
//! of its blocks stands what stands at the start of a trace, so that a ring can be read without the file. What had left a ring
//! that overwrites, when a recording ended on a broken storage, lies in a file beside it, and is read as a ring too.
//!
//! What is in neither is noted as lost: *overwritten* where the file is whole up to there, *damaged* where it may have stood in a
//! part of the file that cannot be read.

mod reached;
mod ring;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::path::PathBuf;

use super::describe::LostDescriptions;
use super::trace::{Lane, Trace};
use crate::entry::{Damaged, Defect, Entry, When};
use crate::format::BlockKind;
use crate::schema::Schema;
use crate::write::Writer;

use reached::Reached;
#[cfg(unix)]
pub use ring::is_recording;
pub use ring::{Ring, RingError, find};

/// What came of a recovery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Entries from the file.
    pub from_file: u64,
    /// Entries from the rings.
    pub from_rings: u64,
    /// Calls among them that never returned.
    pub unfinished: u64,
    /// Calls that are noted as lost, those that damage took included.
    pub lost: u64,
    /// Whether calls are noted as lost and [nobody knows](crate::entry::Lost::how_many) how many.
    pub lost_unknown: bool,
    /// Stretches and records that could not be read.
    pub damaged: u64,
}

/// Why a recovery is not possible.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The sink failed.
    #[error("the recovered trace cannot be written: {0}")]
    Io(#[from] io::Error),
    /// The rings, or the rings and the file, are of different recordings.
    #[error("{} belongs to recording {found:016x}, and the others to {expected:016x}: recover each recording for itself", path.display())]
    Mixed {
        /// The ring.
        path: PathBuf,
        /// Its recording.
        found: u64,
        /// The recording of the others.
        expected: u64,
    },
    /// There is neither a file nor a ring.
    #[error("there is nothing to recover from")]
    Nothing,
}

/// See [`key`].
type Key = (u64, u8, u64, u64);

/// Where an entry stands in its lane: its index, whether it comes before, with or after the call, and what tells apart
/// entries that have both in common.
fn key(entry: &Entry) -> Option<Key> {
    Some(match entry {
        Entry::Call(call) => (call.index, 1, 0, 0),
        Entry::Lost(lost) => (lost.index, 1, 0, 0),
        Entry::Pages(change) => {
            let order = match change.when {
                When::Enter | When::Note => 0,
                When::Exit => 2,
            };
            // A large change is several, with rising offsets.
            let offset = change.runs.first().map_or(0, |run| u64::from(run.offset));
            let place = (u64::from(change.page) << 32) | offset;
            (change.index, order, change.ticks, place)
        }
        Entry::Unknown(unknown) => (unknown.index, 1, 0, 0),
        Entry::Damaged(_) => return None,
    })
}

/// The lanes of a trace's last recording that none of these rings is of, where [more of it may have come](Trace::ends_early): what their
/// rings held is not here. The rings of a recording stay until it is finished, so somebody took them away.
#[must_use]
pub fn lanes_without_ring(trace: &Trace, rings: &[Ring]) -> Vec<Lane> {
    if !trace.ends_early() {
        return Vec::new();
    }
    let last = trace.recording_at(u64::MAX);
    let kinds = [BlockKind::Lane, BlockKind::Data, BlockKind::Announce];
    let lanes: BTreeSet<u32> = trace
        .blocks()
        .iter()
        .filter(|block| block.section == last && block.misplaced.is_none())
        .filter(|block| kinds.contains(&block.header.kind))
        .map(|block| block.header.lane)
        .collect();
    let have: BTreeSet<u32> = rings.iter().map(|ring| ring.lane).collect();
    lanes
        .difference(&have)
        .map(|lane| Lane {
            id: *lane,
            name: trace.lane_name(*lane),
        })
        .collect()
}

/// Writes a trace of what the file and the rings hold together: of each lane what reached the file, then what only the ring
/// has, nothing twice. Where the file has [lanes that none of the rings is of](lanes_without_ring), what is written says that the recording
/// [was not finished](Trace::ends_early).
///
/// # Errors
/// [`RecoverError`].
pub fn recover<W: Write>(
    trace: Option<&Trace>,
    rings: &[Ring],
    sink: W,
    options: crate::write::Options,
) -> Result<(W, Recovered), RecoverError> {
    join(trace, rings, true, sink, options)
}

/// The same where the recording has other rings, which cannot be read: what they hold is not in what is written, which says that
/// the recording [was not finished](Trace::ends_early).
///
/// # Errors
/// [`RecoverError`].
pub fn recover_part<W: Write>(
    trace: Option<&Trace>,
    rings: &[Ring],
    sink: W,
    options: crate::write::Options,
) -> Result<(W, Recovered), RecoverError> {
    join(trace, rings, false, sink, options)
}

/// `all`: these are all rings that there are.
fn join<W: Write>(
    trace: Option<&Trace>,
    rings: &[Ring],
    all: bool,
    sink: W,
    options: crate::write::Options,
) -> Result<(W, Recovered), RecoverError> {
    let lacks = |trace: &Trace| {
        (rings.is_empty() && trace.ends_early()) || !lanes_without_ring(trace, rings).is_empty()
    };
    let ends = all && !trace.is_some_and(lacks);
    let model = trace
        .or(rings.first().map(|ring| &ring.preamble))
        .ok_or(RecoverError::Nothing)?;
    let id = model.header().id;
    if let Some(other) = rings.iter().find(|ring| ring.id != id) {
        return Err(RecoverError::Mixed {
            path: other.path.clone(),
            found: other.id,
            expected: id,
        });
    }
    let no_schema = Schema::default();
    let schema = trace
        .into_iter()
        .chain(rings.iter().map(|ring| &ring.preamble))
        .map(|trace| &**trace.schema())
        .find(|schema| !schema.interfaces.is_empty())
        .unwrap_or(&no_schema);
    let options = crate::write::Options { id, ..options };
    let mut clock = *model.clock();
    if clock.last.frequency == 0 {
        // The file may have ended before its clock was measured. The rings are those of the recording that its header names.
        let measured = rings
            .iter()
            .map(|ring| ring.preamble.clock().last.frequency);
        clock.last.frequency = measured.max().unwrap_or(0);
    }
    let mut names: BTreeMap<u32, String> = BTreeMap::new();
    if let Some(trace) = trace {
        names.extend(
            trace
                .lanes()
                .iter()
                .map(|lane| (lane.id, lane.name.clone())),
        );
    }
    let lost_lanes = trace.map(|trace| trace.lost_descriptions().lanes);
    let lost_lanes = lost_lanes.unwrap_or_default();
    // A ring names its lane where the file does not any more.
    let named = rings.iter().flat_map(|ring| ring.preamble.lanes());
    for lane in named.filter(|lane| lost_lanes.contains(&lane.id)) {
        names.entry(lane.id).or_insert_with(|| lane.name.clone());
    }
    let lost_lanes: Vec<u32> = lost_lanes
        .into_iter()
        .filter(|lane| !names.contains_key(lane))
        .collect();
    if let Some(trace) = trace {
        let used = trace.data().map(|block| block.header.lane);
        for lane in used.chain(lost_lanes.iter().copied()) {
            names.entry(lane).or_insert_with(|| trace.lane_name(lane));
        }
    }
    for ring in rings {
        names
            .entry(ring.lane)
            .or_insert_with(|| ring.preamble.lane_name(ring.lane));
    }
    let lost = LostDescriptions {
        schema: trace
            .into_iter()
            .chain(rings.iter().map(|ring| &ring.preamble))
            .any(|trace| trace.lost_descriptions().schema),
        clocks: model.lost_descriptions().clocks,
        // By the numbers that they get below.
        lanes: (0_u32..)
            .zip(names.keys())
            .filter(|(_, lane)| lost_lanes.contains(lane))
            .map(|(number, _)| number)
            .collect(),
        // What the rings have is of the last one.
        ends: trace.map(Trace::recordings_without_end).unwrap_or_default(),
    };
    let mut writer = Writer::lacking(sink, schema, clock, options, &lost)?;
    let mut done = Recovered::default();

    // The numbers may have holes; the writer's do not.
    let mut numbers = HashMap::new();
    for (lane, name) in &names {
        let start = trace.map_or(0, |trace| trace.lane_start(*lane));
        numbers.insert(*lane, writer.lane_from(name, start)?);
    }

    // A write that the file's end cuts short is in the rings still: a lane whose ring is whole lacks nothing by it.
    let damage = trace.into_iter().flat_map(Trace::damage);
    let mut unknown = damage.filter(|damaged| damaged.is_unknown());
    let length = trace.and_then(|trace| trace.source().length().ok());
    let length = length.unwrap_or(u64::MAX);
    let cut_short = match (unknown.next(), unknown.next()) {
        (Some(last), None) => last.offset.saturating_add(last.length) >= length,
        _ => false,
    };
    let undamaged = rings.iter().filter(|ring| ring.damaged == 0);
    let undamaged: Vec<u32> = undamaged
        .filter_map(|ring| numbers.get(&ring.lane).copied())
        .collect();

    let mut recording = 0;
    let mut push = |entry: &Entry, of: Option<u32>, done: &mut Recovered| -> io::Result<()> {
        // What the rings have follows the last of those in the file.
        recording = of.unwrap_or(recording);
        let clock = trace.map(|trace| *trace.clock_of(recording));
        writer.recording(recording, &clock.unwrap_or_default())?;
        let mut entry = entry.clone();
        let lane = match &mut entry {
            Entry::Call(call) => &mut call.lane,
            Entry::Lost(lost) => &mut lost.lane,
            Entry::Pages(change) => &mut change.lane,
            Entry::Unknown(unknown) => &mut unknown.lane,
            Entry::Damaged(damaged) => {
                done.damaged = done.damaged.saturating_add(1);
                // The writer notes what is known to be missing there.
                damaged.lane = damaged.lane.and_then(|lane| numbers.get(&lane).copied());
                let (lane, at_end) = (
                    damaged.lane,
                    damaged.offset.saturating_add(damaged.length) >= length,
                );
                writer.push(&entry)?;
                let whole = |of: &&u32| match lane {
                    Some(lane) => at_end && **of == lane,
                    None => cut_short,
                };
                let whole = undamaged.iter().filter(whole);
                whole.for_each(|lane| writer.goes_on(*lane));
                return Ok(());
            }
        };
        *lane = numbers.get(lane).copied().unwrap_or(0);
        match &entry {
            Entry::Call(call) if call.duration.is_none() => {
                done.unfinished = done.unfinished.saturating_add(1);
            }
            Entry::Lost(lost) => {
                done.lost = done.lost.saturating_add(lost.count);
                done.lost_unknown |= lost.how_many().is_none();
            }
            _ => {}
        }
        writer.push(&entry)
    };

    let mut reached = Reached::default();
    // What a ring has of a lane stands for all that the file has from there on, and what left it comes before it.
    let mut rings: Vec<&Ring> = rings.iter().collect();
    rings.sort_by_key(|ring| (ring.lane, ring.first.unwrap_or(u64::MAX)));
    let mut starts: HashMap<u32, Key> = HashMap::new();
    for ring in &rings {
        if let Some(key) = ring.entries.iter().find_map(key) {
            let start = starts.entry(ring.lane).or_insert(key);
            *start = key.min(*start);
        }
    }
    if let Some(trace) = trace {
        let of_descriptions =
            |damaged: &&Damaged| damaged.defect == Defect::Description || damaged.offset == 0;
        let damaged = trace.damage().filter(of_descriptions).count();
        done.damaged = u64::try_from(damaged).unwrap_or(u64::MAX);
        let mut entries = trace.entries();
        while let Some(entry) = entries.next() {
            let behind = match (&entry, entry.lane().and_then(|lane| starts.get(&lane))) {
                (_, None) => false,
                // An announcement, or a record of a call in flight, says less than the ring.
                (entry, Some(start)) => key(entry).is_some_and(|key| key >= *start),
            };
            if !behind {
                reached.note(&entry);
                push(&entry, Some(entries.recording()), &mut done)?;
                let is_record = !matches!(entry, Entry::Damaged(_));
                done.from_file = done.from_file.saturating_add(u64::from(is_record));
            }
        }
    }
    // What a later ring of the same lane stands for.
    let mut put_off: Vec<&Entry> = Vec::new();
    for (place, ring) in rings.iter().enumerate() {
        done.damaged = done.damaged.saturating_add(ring.damaged);
        let lane_start = trace.map_or(0, |trace| trace.lane_start(ring.lane));
        if let Some(lost) = reached.missing_before(ring, lane_start) {
            let lost = Entry::Lost(lost);
            reached.note(&lost);
            push(&lost, None, &mut done)?;
        }
        let later = rings.get(place.saturating_add(1));
        let later = later.filter(|later| later.lane == ring.lane);
        let limit = later.and_then(|later| later.entries.iter().find_map(key));
        for entry in &ring.entries {
            if limit.is_some_and(|limit| key(entry).is_some_and(|key| key >= limit)) {
                put_off.push(entry);
                continue;
            }
            reached.note(entry);
            push(entry, None, &mut done)?;
            done.from_rings = done.from_rings.saturating_add(1);
        }
        if later.is_none() {
            for entry in put_off.drain(..) {
                // What is noted when a recording ends stands behind what the ring has.
                if key(entry).is_some_and(|key| key.0 >= reached.next(ring.lane)) {
                    reached.note(entry);
                    push(entry, None, &mut done)?;
                    done.from_rings = done.from_rings.saturating_add(1);
                }
            }
        }
    }
    // Else where it goes on is not here.
    let (sink, noted) = writer.finish_noted(ends)?;
    done.lost = done.lost.saturating_add(noted.calls);
    done.lost_unknown |= noted.unknown;
    Ok((sink, done))
}
