//! Writes decoded entries as a trace: for tools that pack, cut out, redact or import.
//!
//! A recording is not made this way; see [`record`](crate::record).
//!
//! What was read can be written: entries that this version does not know are written as they were. What cannot be expressed is
//! refused, never bent.
//!
//! ```
//! use hypercall_trace::read::Trace;
//! use hypercall_trace::write::{Options, Writer};
//!
//! /// The same trace, smaller.
//! fn pack(trace: &Trace) -> std::io::Result<Vec<u8>> {
//!     let options = Options {
//!         id: trace.header().id,
//!         ..Options::packed()
//!     };
//!     let lost = trace.lost_descriptions();
//!     let mut writer = Writer::lacking(Vec::new(), trace.schema(), *trace.clock(), options, &lost)?;
//!     for lane in trace.lanes() {
//!         writer.lane_from(&lane.name, trace.lane_start(lane.id))?;
//!     }
//!     let mut entries = trace.entries();
//!     while let Some(entry) = entries.next() {
//!         writer.recordings_of(trace, entries.recording())?;
//!         writer.push(&entry)?;
//!     }
//!     writer.finish_as(trace)
//! }
//! # let none = Writer::new(Vec::new(), &Default::default(), Default::default(), Options::default())?.finish()?;
//! # let packed = Trace::from_bytes(pack(&Trace::from_bytes(none)?)?)?;
//! # assert!(packed.is_finished() && packed.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blocks;
mod encode;
mod holes;
mod options;
mod place;
mod recordings;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::vec::Vec;

use crate::clock::ClockInfo;
use crate::entry::Entry;
use crate::format::MAX_BLOCK;
pub use crate::format::out::Compression;
use crate::format::out::Out;
use crate::read::{LostDescriptions, Trace};
use crate::schema::Schema;
use blocks::{Open, next_index};
use holes::Holes;
pub use options::Options;
use place::Record;
use recordings::{queue_first_point, queue_schema};

/// Writes a trace.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: Out<W>,
    schema: Schema,
    /// Of the recording that is written.
    clock: ClockInfo,
    /// What is written as lost.
    lacking: LostDescriptions,
    lanes: Vec<String>,
    open: BTreeMap<u32, Open>,
    /// Bytes of memory that the open blocks have.
    held: usize,
    block: usize,
    /// Lanes that entries were written of, since the last schema.
    started: BTreeSet<u32>,
    /// The indices that lanes were said to start at, since the last schema.
    starts: BTreeMap<u32, u64>,
    /// What damage took.
    holes: Holes,
    /// The number of the recording that is written.
    recording: u32,
    noted: Noted,
}

/// Calls that damage took, as they were noted: how many, and whether there are others that nobody knows the number of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Noted {
    pub(crate) calls: u64,
    pub(crate) unknown: bool,
}

impl<W: Write> Writer<W> {
    /// Starts a trace.
    ///
    /// # Errors
    /// As the sink says.
    pub fn new(sink: W, schema: &Schema, clock: ClockInfo, options: Options) -> io::Result<Self> {
        let whole = LostDescriptions::default();
        Self::lacking(sink, schema, clock, options, &whole)
    }

    /// Starts a trace that is made from another one whose [descriptions are lost](crate::read::Trace::lost_descriptions): it says so
    /// too, by blocks of these kinds without bytes, and of a recording without an end by having no index. Nobody takes it for a trace that never had them.
    ///
    /// The lanes are those that [`lane`](Self::lane) gives; their names are not written. A schema that has calls is.
    ///
    /// # Errors
    /// As the sink says.
    pub fn lacking(
        sink: W,
        schema: &Schema,
        clock: ClockInfo,
        options: Options,
        lost: &LostDescriptions,
    ) -> io::Result<Self> {
        let mut lacking = lost.clone();
        lacking.schema &= schema.interfaces.is_empty();
        let mut out = Out::new(sink, options.compression, options.id);
        queue_schema(&mut out, schema, &lacking);
        queue_first_point(&mut out, &clock, lacking.clocks.contains(&0));
        out.flush()?;
        Ok(Self {
            out,
            schema: schema.clone(),
            clock,
            lacking,
            lanes: Vec::new(),
            open: BTreeMap::new(),
            held: 0,
            started: BTreeSet::new(),
            starts: BTreeMap::new(),
            holes: Holes::default(),
            recording: 0,
            noted: Noted::default(),
            block: options.block.clamp(1 << 10, MAX_BLOCK / 4),
        })
    }

    /// Names the next lane. The numbers count from 0. Its first call may have any index: what comes before it was left out
    /// on purpose, unless a [`Damaged`](Entry::Damaged) entry came first.
    ///
    /// # Errors
    /// `InvalidInput` where the name has more than 256 bytes; else as the sink says.
    pub fn lane(&mut self, name: &str) -> io::Result<u32> {
        self.lane_from(name, 0)
    }

    /// Names the next lane, and says the index of its first call: what comes before it was left out on purpose, as in a slice
    /// of a trace (see [`Trace::lane_start`](crate::read::Trace::lane_start)). 0 is the same as [`lane`](Self::lane).
    ///
    /// # Errors
    /// As [`lane`](Self::lane).
    pub fn lane_from(&mut self, name: &str, first_index: u64) -> io::Result<u32> {
        crate::wire::fits_name(name)?;
        let id = u32::try_from(self.lanes.len())
            .map_err(|_| io::Error::other("a trace has at most 2^32 lanes"))?;
        self.lanes.push(name.into());
        if first_index != 0 {
            self.starts.insert(id, first_index);
        }
        self.queue_lane(id, name, first_index);
        self.out.flush()?;
        Ok(id)
    }

    /// Says which recording of a file that was joined from several the next entry is of, as
    /// [`Entries::recording`](crate::read::Entries::recording) has it, and its [clock](crate::read::Trace::clock_of): where it is a later
    /// one than before, a recording begins. Without it one begins where indices begin again, what damage took at the end of the one
    /// before can be missed, and its clock is not known. A number that is not greater than the last one changes nothing; the clock of
    /// the first recording is the one that the trace was started with.
    ///
    /// The one before ends with an index, which says that it was finished, unless its end is among
    /// [those that are lost](LostDescriptions::ends).
    ///
    /// # Errors
    /// As the sink says.
    pub fn recording(&mut self, number: u32, clock: &ClockInfo) -> io::Result<()> {
        if number > self.recording {
            // The damaged stretches that were pushed are all of the recording that ends here.
            self.end_recording(true)?;
            self.queue_end();
            self.recording = number;
            let lost = self.lacking.clocks.contains(&number);
            self.begin_recording(*clock, lost)?;
            self.holes = Holes::default();
        }
        Ok(())
    }

    /// Says the same of an entry of a trace: each [recording](Self::recording) of it up to this one begins, with its clock, those without
    /// entries too. So every recording keeps its number, by which the others are told apart and an end, or a point of the clock, is lost.
    ///
    /// # Errors
    /// As the sink says.
    pub fn recordings_of(&mut self, trace: &Trace, until: u32) -> io::Result<()> {
        if until <= self.recording {
            return Ok(());
        }
        let next = self.recording.saturating_add(1);
        // There are no more than the trace has blocks.
        let last = until.min(trace.recording_at(u64::MAX));
        (next..=last).try_for_each(|number| self.recording(number, trace.clock_of(number)))
    }

    /// Writes an entry. Its lane is one that [`lane`](Self::lane) gave; the entries of a lane come in their order. Indices
    /// may be missing. Where they begin again, as in a trace that was joined from two, a second recording begins, unless its
    /// [beginning](Self::recording) was told.
    ///
    /// In the place of [`Damaged`](Entry::Damaged) entries the calls that they took are noted as lost to damage, where that
    /// is known: from the index with which the lane goes on, or, where it does not, from what the entry says. Where nobody knows
    /// (how many calls the last blocks of a lane held whose headers are gone), the lane ends with a loss of
    /// [unknown number](crate::entry::Lost::how_many). Where no lane was named either, as where a file was cut in its first block, a lane with the
    /// name `?` has that loss.
    ///
    /// # Errors
    /// `InvalidInput` for an entry that cannot be expressed: too large, of a lane that was not named, an unknown one whose
    /// bytes are not a record, or one whose parts contradict each other (a block that has not as many bytes as it says, a
    /// call with a duration that never returned); else as the sink says.
    pub fn push(&mut self, entry: &Entry) -> io::Result<()> {
        if let Entry::Damaged(damaged) = entry {
            let (open, starts) = (&self.open, &self.starts);
            self.holes
                .pass(damaged, |lane| next_index(open, starts, lane));
            return Ok(());
        }
        if entry.lane().is_none_or(|lane| !self.is_named(lane)) {
            return Err(invalid("the entry's lane was not named"));
        }
        let record = Record::of(entry, |call| {
            let schema = call.schema.as_ref()?;
            self.schema.id_of(&schema.interface, &schema.name)
        });
        let record = record.ok_or_else(|| {
            invalid(
                "the entry is no record: it is larger than one can be, or its parts contradict each other",
            )
        })?;
        if let Some(index) = record.index {
            let lane = record.lane;
            let again = |open: &Open| index < open.next_index;
            if self.open.get(&lane).is_some_and(again) {
                self.next_recording()?;
            }
            self.holes.watch(lane, matches!(entry, Entry::Pages(_)));
            if self.holes.may_be_in(lane) {
                self.note_missing(lane, index)?;
            }
            self.holes.go_on(lane);
            self.start(lane, index)?;
        }
        self.append(&record)
    }

    /// Says that nothing of a lane follows behind a damaged stretch whose lane nobody knows, for those who push such stretches
    /// elsewhere than they stood: the lane ends with a loss of unknown number. In a file that was joined from several recordings, the
    /// one that is [being written](Self::recording).
    ///
    /// # Errors
    /// `InvalidInput` for a lane that was not named.
    pub fn end_is_unknown(&mut self, lane: u32) -> io::Result<()> {
        if !self.is_named(lane) {
            return Err(invalid("the lane was not named"));
        }
        self.holes.end(lane);
        Ok(())
    }

    fn is_named(&self, lane: u32) -> bool {
        usize::try_from(lane).map_or(true, |lane| lane < self.lanes.len())
    }

    /// Writes what is open, the clock's last point and the index, which says that the recording was finished, unless its end is among
    /// [those that are lost](LostDescriptions::ends), and gives the sink back.
    ///
    /// # Errors
    /// As the sink says.
    pub fn finish(self) -> io::Result<W> {
        self.finish_noted(true).map(|(sink, _)| sink)
    }

    /// The same of a recording that was not finished, as that of a process that was killed: there is no index, and so what is written does
    /// not say that the recording has an end ([`Trace::ends_early`](crate::read::Trace::ends_early)).
    ///
    /// # Errors
    /// As the sink says.
    pub fn finish_early(self) -> io::Result<W> {
        self.finish_noted(false).map(|(sink, _)| sink)
    }

    /// Ends as a trace does: with the recordings of it that are behind the last entry, and with an end if it has one.
    ///
    /// # Errors
    /// As the sink says.
    pub fn finish_as(mut self, trace: &Trace) -> io::Result<W> {
        self.recordings_of(trace, u32::MAX)?;
        let finished = !trace.ends_early();
        self.finish_noted(finished).map(|(sink, _)| sink)
    }

    /// The same, with what was noted in the place of damage. `finished`: the recording was.
    pub(crate) fn finish_noted(mut self, finished: bool) -> io::Result<(W, Noted)> {
        if self.holes.are_of_the_next() {
            self.next_recording()?;
        }
        self.end_recording(true)?;
        // Where not all of a trace came, another recording than its last one ends here.
        if finished && !self.lacking.ends.contains(&self.recording) {
            self.out.queue_index();
        }
        self.out.flush()?;
        self.out.sink().flush()?;
        Ok((self.out.into_sink(), self.noted))
    }
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
