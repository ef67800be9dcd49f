//! Writes what a file and rings have together, each thing once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};

use super::super::describe::LostDescriptions;
use super::super::trace::Trace;
use super::reached::Reached;
use super::ring::Ring;
use super::{Key, RECORDING, RecoverError, Recovered, is_joined, key, lanes_without_ring};
use crate::entry::{Damaged, Defect, Entry};
use crate::schema::Schema;
use crate::write::{Options, Writer};

/// `all`: these are all rings that there are.
pub(super) fn join<W: Write>(
    trace: Option<&Trace>,
    rings: &[Ring],
    all: bool,
    sink: W,
    options: Options,
) -> Result<(W, Recovered), RecoverError> {
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
    let options = Options { id, ..options };
    let mut clock = *model.clock();
    if clock.last.frequency == 0 {
        // The file may have ended before its clock was measured. The rings are those of the recording that its header names.
        let measured = rings
            .iter()
            .map(|ring| ring.preamble.clock().last.frequency);
        clock.last.frequency = measured.max().unwrap_or(0);
    }
    let lanes = Lanes::of(trace, rings);
    let is_whole = |trace: &Trace| !rings.is_empty() && lanes_without_ring(trace, rings).is_empty();
    let whole = all && trace.is_none_or(is_whole);
    // Without an end, the recordings that others follow; what the rings have is the end of theirs.
    let mut without_end = trace.map(Trace::recordings_without_end).unwrap_or_default();
    if whole {
        without_end.remove(&RECORDING);
    }
    // The last one has an end where it has one in the file; where it is theirs, with all of the rings.
    let ends = match trace {
        Some(trace) if is_joined(trace) => !trace.ends_early(),
        Some(trace) if rings.is_empty() => all && !trace.ends_early(),
        _ => whole,
    };
    let lost = LostDescriptions {
        schema: trace
            .into_iter()
            .chain(rings.iter().map(|ring| &ring.preamble))
            .any(|trace| trace.lost_descriptions().schema),
        clocks: model.lost_descriptions().clocks,
        lanes: lanes.lost(),
        ends: without_end,
    };
    let mut writer = Writer::lacking(sink, schema, clock, options, &lost)?;
    // The numbers may have holes; the writer's do not.
    let mut numbers = HashMap::new();
    for (lane, name) in &lanes.names {
        let start = trace.map_or(0, |trace| trace.lane_start(*lane));
        numbers.insert(*lane, writer.lane_from(name, start)?);
    }
    let end = End::of(trace, rings, &numbers);
    let mut join = Join {
        trace,
        writer,
        numbers,
        end,
        reached: Reached::default(),
        done: Recovered::default(),
    };
    join.all(rings)?;
    // Else where it goes on is not here.
    let (sink, noted) = join.writer.finish_noted(ends)?;
    let mut done = join.done;
    done.lost = done.lost.saturating_add(noted.calls);
    done.lost_unknown |= noted.unknown;
    Ok((sink, done))
}

/// The lanes of both.
struct Lanes {
    names: BTreeMap<u32, String>,
    /// Those whose names were damaged, and are known from no ring.
    lost: Vec<u32>,
}

impl Lanes {
    fn of(trace: Option<&Trace>, rings: &[Ring]) -> Self {
        let mut names: BTreeMap<u32, String> = BTreeMap::new();
        if let Some(trace) = trace {
            let named = trace.lanes().iter();
            names.extend(named.map(|lane| (lane.id, lane.name.clone())));
        }
        let lost = trace.map(|trace| trace.lost_descriptions().lanes);
        let lost = lost.unwrap_or_default();
        // A ring names its lane where the file does not any more.
        let named = rings.iter().flat_map(|ring| ring.preamble.lanes());
        for lane in named.filter(|lane| lost.contains(&lane.id)) {
            names.entry(lane.id).or_insert_with(|| lane.name.clone());
        }
        let lost: Vec<u32> = lost
            .into_iter()
            .filter(|lane| !names.contains_key(lane))
            .collect();
        if let Some(trace) = trace {
            let used = trace.data().map(|block| block.header.lane);
            for lane in used.chain(lost.iter().copied()) {
                names.entry(lane).or_insert_with(|| trace.lane_name(lane));
            }
        }
        for ring in rings {
            names
                .entry(ring.lane)
                .or_insert_with(|| ring.preamble.lane_name(ring.lane));
        }
        Self { names, lost }
    }

    /// Those without a name, by the numbers that they get.
    fn lost(&self) -> BTreeSet<u32> {
        (0_u32..)
            .zip(self.names.keys())
            .filter(|(_, lane)| self.lost.contains(lane))
            .map(|(number, _)| number)
            .collect()
    }
}

/// What the end of the file cut short and the rings have still: a lane whose ring is whole lacks nothing by it.
struct End {
    /// The file's length; more than any where the rings do not go on where it ends.
    length: u64,
    /// Whether only the end is of no lane that is known.
    cut_short: bool,
    /// The lanes whose rings are whole, as they are written.
    undamaged: Vec<u32>,
}

impl End {
    fn of(trace: Option<&Trace>, rings: &[Ring], numbers: &HashMap<u32, u32>) -> Self {
        let trace = trace.filter(|trace| !is_joined(trace));
        let damage = trace.into_iter().flat_map(Trace::damage);
        let mut unknown = damage.filter(|damaged| damaged.is_unknown());
        let length = trace.and_then(|trace| trace.source().length().ok());
        let length = length.unwrap_or(u64::MAX);
        let cut_short = match (unknown.next(), unknown.next()) {
            (Some(last), None) => last.offset.saturating_add(last.length) >= length,
            _ => false,
        };
        let undamaged = rings.iter().filter(|ring| ring.damaged == 0);
        let undamaged = undamaged.filter_map(|ring| numbers.get(&ring.lane).copied());
        Self {
            length,
            cut_short,
            undamaged: undamaged.collect(),
        }
    }

    /// The lanes that lack nothing by this stretch, which is of this lane.
    fn whole(&self, damaged: &Damaged, lane: Option<u32>) -> impl Iterator<Item = u32> {
        let at_end = damaged.offset.saturating_add(damaged.length) >= self.length;
        let whole = move |of: &u32| match lane {
            Some(lane) => at_end && *of == lane,
            None => self.cut_short,
        };
        self.undamaged.iter().copied().filter(whole)
    }
}

struct Join<'t, W: Write> {
    trace: Option<&'t Trace>,
    writer: Writer<W>,
    numbers: HashMap<u32, u32>,
    end: End,
    /// How far the recording of the rings goes.
    reached: Reached,
    done: Recovered,
}

impl<W: Write> Join<'_, W> {
    /// Everything, recording by recording.
    fn all(&mut self, rings: &[Ring]) -> io::Result<()> {
        // What left a ring comes before what it has.
        let mut rings: Vec<&Ring> = rings.iter().collect();
        rings.sort_by_key(|ring| (ring.lane, ring.first.unwrap_or(u64::MAX)));
        // What a ring has of a lane stands for all that the file has from there on.
        let mut starts: HashMap<u32, Key> = HashMap::new();
        for ring in &rings {
            if let Some(key) = ring.entries.iter().find_map(key) {
                let start = starts.entry(ring.lane).or_insert(key);
                *start = key.min(*start);
            }
        }
        let mut rings = Some(rings);
        if let Some(trace) = self.trace {
            let of_descriptions =
                |damaged: &&Damaged| damaged.defect == Defect::Description || damaged.offset == 0;
            let damaged = trace.damage().filter(of_descriptions).count();
            self.done.damaged = u64::try_from(damaged).unwrap_or(u64::MAX);
            let mut entries = trace.entries();
            while let Some(entry) = entries.next() {
                let recording = entries.recording();
                if recording != RECORDING
                    && let Some(rings) = rings.take()
                {
                    self.rings(&rings)?;
                }
                self.of_file(&entry, recording, &starts)?;
            }
        }
        if let Some(rings) = rings {
            self.rings(&rings)?;
        }
        self.recordings(u32::MAX)
    }

    /// An entry of the file.
    fn of_file(
        &mut self,
        entry: &Entry,
        recording: u32,
        starts: &HashMap<u32, Key>,
    ) -> io::Result<()> {
        if recording == RECORDING {
            // An announcement, or a record of a call in flight, says less than the ring.
            let start = entry.lane().and_then(|lane| starts.get(&lane));
            if start.is_some_and(|start| key(entry).is_some_and(|key| key >= *start)) {
                return Ok(());
            }
            self.reached.note(entry);
        }
        self.push(entry, recording)?;
        let is_record = !matches!(entry, Entry::Damaged(_));
        self.done.from_file = self.done.from_file.saturating_add(u64::from(is_record));
        Ok(())
    }

    /// What the rings have.
    fn rings(&mut self, rings: &[&Ring]) -> io::Result<()> {
        // What a later ring of the same lane stands for.
        let mut put_off: Vec<&Entry> = Vec::new();
        for (place, ring) in rings.iter().enumerate() {
            self.done.damaged = self.done.damaged.saturating_add(ring.damaged);
            let trace = self.trace;
            let lane_start = trace.map_or(0, |trace| trace.lane_start(ring.lane));
            if let Some(lost) = self.reached.missing_before(ring, lane_start) {
                let lost = Entry::Lost(lost);
                self.reached.note(&lost);
                self.push(&lost, RECORDING)?;
            }
            let later = rings.get(place.saturating_add(1));
            let later = later.filter(|later| later.lane == ring.lane);
            let limit = later.and_then(|later| later.entries.iter().find_map(key));
            for entry in &ring.entries {
                if limit.is_some_and(|limit| key(entry).is_some_and(|key| key >= limit)) {
                    put_off.push(entry);
                } else {
                    self.of_ring(entry)?;
                }
            }
            if later.is_none() {
                for entry in put_off.drain(..) {
                    // What is noted when a recording ends stands behind what the ring has.
                    if key(entry).is_some_and(|key| key.0 >= self.reached.next(ring.lane)) {
                        self.of_ring(entry)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// An entry of a ring.
    fn of_ring(&mut self, entry: &Entry) -> io::Result<()> {
        self.reached.note(entry);
        self.push(entry, RECORDING)?;
        self.done.from_rings = self.done.from_rings.saturating_add(1);
        Ok(())
    }

    /// Begins the recordings of the file up to this one.
    fn recordings(&mut self, until: u32) -> io::Result<()> {
        let Some(trace) = self.trace else {
            return Ok(());
        };
        self.writer.recordings_of(trace, until)
    }

    fn push(&mut self, entry: &Entry, recording: u32) -> io::Result<()> {
        self.recordings(recording)?;
        let mut entry = entry.clone();
        let (done, numbers) = (&mut self.done, &self.numbers);
        let lane = match &mut entry {
            Entry::Call(call) => &mut call.lane,
            Entry::Lost(lost) => &mut lost.lane,
            Entry::Pages(change) => &mut change.lane,
            Entry::Unknown(unknown) => &mut unknown.lane,
            Entry::Damaged(damaged) => {
                done.damaged = done.damaged.saturating_add(1);
                // The writer notes what is known to be missing there.
                damaged.lane = damaged.lane.and_then(|lane| numbers.get(&lane).copied());
                let (lane, damaged) = (damaged.lane, damaged.clone());
                self.writer.push(&entry)?;
                let whole = self.end.whole(&damaged, lane);
                whole.for_each(|lane| self.writer.goes_on(lane));
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
        self.writer.push(&entry)
    }
}
