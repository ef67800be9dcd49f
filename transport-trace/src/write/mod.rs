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
//!         writer.recording(entries.recording())?;
//!         writer.push(&entry)?;
//!     }
//!     if trace.ends_early() {
//!         writer.unfinished();
//!     }
//!     writer.finish()
//! }
//! # let none = Writer::new(Vec::new(), &Default::default(), Default::default(), Options::default())?.finish()?;
//! # let packed = Trace::from_bytes(pack(&Trace::from_bytes(none)?)?)?;
//! # assert!(packed.is_finished() && packed.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod encode;
mod holes;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::vec::Vec;

use crate::clock::{ClockInfo, ClockPoint};
use crate::entry::{Call, Entry, LossCause, Lost, When};
pub use crate::format::out::Compression;
use crate::format::out::Out;
use crate::format::record::kind;
use crate::format::{BlockHeader, BlockKind, MAX_BLOCK, UNKNOWN_CALL, u16_at, u64_at};
use crate::read::LostDescriptions;
use crate::schema::Schema;
use encode::{encode_call, encode_lost, encode_pages, whole};
use holes::Holes;

/// How a trace is written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How blocks are compressed.
    pub compression: Compression,
    /// Bytes of records in a block, before compression. Larger blocks are smaller in all; smaller ones lose less to a
    /// damaged byte.
    pub block: usize,
    /// The number that tells this trace from others.
    pub id: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            compression: Compression::Lz4,
            block: 256 << 10,
            id: 0,
        }
    }
}

impl Options {
    /// For keeping: Zstandard, large blocks.
    #[must_use]
    pub const fn packed() -> Self {
        Self {
            compression: Compression::Zstd(9),
            block: 1 << 20,
            id: 0,
        }
    }
}

/// Writes a trace.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: Out<W>,
    schema: Schema,
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
    /// Whether the recording has no end.
    unfinished: bool,
    noted: Noted,
}

/// Calls that damage took, as they were noted: how many, and whether there are others that nobody knows the number of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Noted {
    pub(crate) calls: u64,
    pub(crate) unknown: bool,
}

/// Bytes of memory that open blocks may have. Where many lanes are beyond that, blocks are written before they are full.
const MAX_HELD: usize = 256 << 20;

/// The name of the lane that stands for those that damage took with their names.
const NOBODY_KNOWS: &str = "?";

/// The block of a lane that is being filled.
#[derive(Debug)]
struct Open {
    header: BlockHeader,
    next_index: u64,
    bytes: Vec<u8>,
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
    /// too, by blocks of these kinds without bytes. Nobody takes it for a trace that never had them.
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
        if lacking.clock {
            // In front of the first point that is known: that the last one is known too does not make up for it.
            out.queue_plain(BlockKind::Clock, 0, &[]);
        }
        out.queue_clock(&clock.first);
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
            unfinished: false,
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

    fn queue_lane(&mut self, id: u32, name: &str, first_index: u64) {
        if self.lacking.lanes.contains(&id) {
            let mut header = BlockHeader::plain(BlockKind::Lane, 0, 0);
            header.lane = id;
            header.first_index = first_index;
            self.out.queue(header, &[]);
        } else {
            self.out.queue_lane_from(id, name, first_index);
        }
    }

    /// Says which recording of a file that was joined from several the next entry is of, as
    /// [`Entries::recording`](crate::read::Entries::recording) has it: where it is a later one than before, a recording begins. Without
    /// it one begins where indices begin again, and what damage took at the end of the one before can be missed. A number that is not
    /// greater than the last one changes nothing.
    ///
    /// # Errors
    /// As the sink says.
    pub fn recording(&mut self, number: u32) -> io::Result<()> {
        if number > self.recording {
            self.recording = number;
            // The damaged stretches that were pushed are all of the recording that ends here.
            self.end_recording(true)?;
            self.begin_recording()?;
            self.holes = Holes::default();
        }
        Ok(())
    }

    /// Writes an entry. Its lane is one that [`lane`](Self::lane) gave; the entries of a lane come in their order. Indices
    /// may be missing. Where they begin again, as in a trace that was joined from two, a second recording begins, unless its
    /// [beginning](Self::recording) was told.
    ///
    /// In the place of [`Damaged`](Entry::Damaged) entries the calls that they took are noted as lost to damage, where that
    /// is known: from the index with which the lane goes on, or, where it does not, from what the entry says. Where nobody knows
    /// (how many calls the last blocks of a lane held whose headers are gone), the lane ends with a loss of
    /// [unknown number](Lost::how_many). Where no lane was named either, as where a file was cut in its first block, a lane with the
    /// name `?` has that loss.
    ///
    /// # Errors
    /// `InvalidInput` for an entry that cannot be expressed: too large, of a lane that was not named, an unknown one whose
    /// bytes are not a record, or one whose parts contradict each other (a block that has not as many bytes as it says, a
    /// call with a duration that never returned); else as the sink says.
    pub fn push(&mut self, entry: &Entry) -> io::Result<()> {
        let (lane, index, indices, ticks, id) = match entry {
            Entry::Call(call) => (call.lane, Some(call.index), 1, call.enter, self.id_of(call)),
            Entry::Lost(lost) => (lost.lane, Some(lost.index), lost.count, lost.first, None),
            Entry::Pages(pages) => (
                pages.lane,
                match pages.when {
                    When::Exit => pages.index.checked_add(1),
                    When::Enter | When::Note => Some(pages.index),
                },
                0,
                pages.ticks,
                None,
            ),
            Entry::Unknown(unknown) => (
                unknown.lane,
                Some(unknown.index),
                u64::from(unknown.kind < kind::OTHERS),
                u64_at(&unknown.bytes, 8),
                None,
            ),
            Entry::Damaged(damaged) => {
                let (open, starts) = (&self.open, &self.starts);
                self.holes
                    .pass(damaged, |lane| next_index(open, starts, lane));
                return Ok(());
            }
        };
        if usize::try_from(lane).is_ok_and(|lane| lane >= self.lanes.len()) {
            return Err(invalid("the entry's lane was not named"));
        }
        let record = match entry {
            Entry::Call(call) => encode_call(call, id.unwrap_or(UNKNOWN_CALL)),
            Entry::Lost(lost) => Some(encode_lost(lost)),
            Entry::Pages(pages) => encode_pages(pages),
            Entry::Unknown(unknown) => whole(&unknown.bytes),
            Entry::Damaged(_) => None,
        };
        let record = record.ok_or_else(|| {
            invalid(
                "the entry is no record: it is larger than one can be, or its parts contradict each other",
            )
        })?;
        if let Some(index) = index {
            let again = |open: &Open| index < open.next_index;
            if self.open.get(&lane).is_some_and(again) {
                self.next_recording()?;
            }
            if self.holes.may_be_in(lane) {
                self.note_missing(lane, index)?;
            }
            self.holes.go_on(lane);
            self.start(lane, index)?;
        }
        let id = match entry {
            Entry::Call(_) => Some(id.unwrap_or(UNKNOWN_CALL)),
            Entry::Unknown(unknown) if unknown.kind < kind::OTHERS => {
                Some(u16_at(&unknown.bytes, 40))
            }
            _ => None,
        };
        self.append(lane, index, indices, ticks, id, &record)
    }

    /// Says that nothing of a lane follows behind a damaged stretch whose lane nobody knows, for those who push such stretches
    /// elsewhere than they stood: the lane ends with a loss of unknown number. In a file that was joined from several recordings, the
    /// one that is [being written](Self::recording).
    ///
    /// # Errors
    /// `InvalidInput` for a lane that was not named.
    pub fn end_is_unknown(&mut self, lane: u32) -> io::Result<()> {
        if usize::try_from(lane).is_ok_and(|lane| lane >= self.lanes.len()) {
            return Err(invalid("the lane was not named"));
        }
        self.holes.end(lane);
        Ok(())
    }

    /// Puts a record behind those of its lane. `id` is that of a call.
    fn append(
        &mut self,
        lane: u32,
        index: Option<u64>,
        indices: u64,
        ticks: u64,
        id: Option<u16>,
        record: &[u8],
    ) -> io::Result<()> {
        let full = self.open.get(&lane).is_some_and(|open| {
            open.bytes.len().saturating_add(record.len()) > self.block
                || index.is_some_and(|index| index != open.next_index)
        });
        if full {
            self.close(lane)?;
        }
        let open = self.open.entry(lane).or_insert_with(|| Open {
            header: BlockHeader {
                lane,
                first_ticks: u64::MAX,
                ..BlockHeader::plain(BlockKind::Data, 0, 0)
            },
            next_index: 0,
            bytes: Vec::new(),
        });
        if open.bytes.is_empty()
            && let Some(index) = index
        {
            open.next_index = index;
            open.header.first_index = index;
        }
        let header = &mut open.header;
        header.entries = header.entries.saturating_add(1);
        if let Some(id) = id {
            header.calls = header.calls.saturating_add(1);
            header.call_bits |= 1 << (id % 32);
        }
        if ticks != 0 {
            header.first_ticks = header.first_ticks.min(ticks);
            header.last_ticks = header.last_ticks.max(ticks);
        }
        open.next_index = open.next_index.saturating_add(indices);
        let before = open.bytes.capacity();
        open.bytes.extend_from_slice(record);
        let grown = open.bytes.capacity().saturating_sub(before);
        self.held = self.held.saturating_add(grown);
        if self.held > MAX_HELD {
            self.close_all()?;
            self.open
                .values_mut()
                .for_each(|open| open.bytes = Vec::new());
            self.held = 0;
        }
        Ok(())
    }

    /// Says where the lane starts, where it has no entries yet and starts later than was said.
    fn start(&mut self, lane: u32, index: u64) -> io::Result<()> {
        let said = self.starts.get(&lane).is_some_and(|start| *start <= index);
        if self.started.insert(lane) && index != 0 && !said {
            let name = usize::try_from(lane)
                .ok()
                .and_then(|lane| self.lanes.get(lane))
                .cloned()
                .unwrap_or_default();
            self.queue_lane(lane, &name, index);
        }
        self.out.flush()
    }

    /// Notes the calls of a lane up to an index as lost to damage, where it has not come so far.
    fn note_missing(&mut self, lane: u32, until: u64) -> io::Result<()> {
        let index = next_index(&self.open, &self.starts, lane);
        let count = until.saturating_sub(index);
        if count == 0 {
            return Ok(());
        }
        self.note_lost(lane, index, count)
    }

    /// Notes calls as lost to damage; 0 where nobody knows how many.
    fn note_lost(&mut self, lane: u32, index: u64, count: u64) -> io::Result<()> {
        self.start(lane, index)?;
        self.noted.calls = self.noted.calls.saturating_add(count);
        self.noted.unknown |= count == 0;
        let lost = Lost {
            lane,
            index,
            count,
            cause: LossCause::Damaged,
            first: 0,
            last: 0,
        };
        self.append(lane, Some(index), count, 0, None, &encode_lost(&lost))
    }

    /// A lane lacks nothing by what was passed so far: what else there is of it is known.
    pub(crate) fn goes_on(&mut self, lane: u32) {
        self.holes.go_on(lane);
    }

    /// Writes what is open, and what is missing behind it. `last`: no other recording follows.
    fn end_recording(&mut self, last: bool) -> io::Result<()> {
        for (lane, end) in self.holes.ends() {
            if usize::try_from(lane).is_ok_and(|lane| lane < self.lanes.len()) {
                self.note_missing(lane, end)?;
            }
        }
        if self.lanes.is_empty() && self.holes.may_be_anywhere() {
            // What was lost has to stand somewhere.
            self.lane(NOBODY_KNOWS)?;
        }
        let lanes = u32::try_from(self.lanes.len()).unwrap_or(u32::MAX);
        for lane in 0..lanes {
            if self.holes.end_is_unknown(lane, last) {
                let index = next_index(&self.open, &self.starts, lane);
                self.note_lost(lane, index, 0)?;
            }
        }
        self.close_all()
    }

    /// Starts a recording behind the one that is written.
    fn next_recording(&mut self) -> io::Result<()> {
        self.end_recording(false)?;
        self.begin_recording()?;
        self.holes.next_recording();
        Ok(())
    }

    fn begin_recording(&mut self) -> io::Result<()> {
        self.open.clear();
        self.held = 0;
        self.started.clear();
        self.starts.clear();
        queue_schema(&mut self.out, &self.schema, &self.lacking);
        self.out.flush()
    }

    fn close_all(&mut self) -> io::Result<()> {
        let lanes: Vec<u32> = self.open.keys().copied().collect();
        lanes.into_iter().try_for_each(|lane| self.close(lane))
    }

    fn id_of(&self, call: &Call) -> Option<u16> {
        let schema = call.schema.as_ref()?;
        self.schema.id_of(&schema.interface, &schema.name)
    }

    /// Writes the open block of a lane.
    fn close(&mut self, lane: u32) -> io::Result<()> {
        if let Some(open) = self.open.get_mut(&lane)
            && !open.bytes.is_empty()
        {
            let mut header = open.header;
            if header.first_ticks == u64::MAX {
                header.first_ticks = 0;
            }
            self.out.flush()?;
            self.out.queue(header, &open.bytes);
            open.bytes.clear();
            open.header = BlockHeader {
                lane,
                first_index: open.next_index,
                first_ticks: u64::MAX,
                ..BlockHeader::plain(BlockKind::Data, 0, 0)
            };
            self.out.flush()?;
        }
        Ok(())
    }

    /// Says that the recording which is written was not finished, as that of a process that was killed: what is written does
    /// not say so either. It has no index, and [`Trace::is_finished`](crate::read::Trace::is_finished) is false.
    pub const fn unfinished(&mut self) {
        self.unfinished = true;
    }

    /// Writes what is open, the clock's last point and the index, unless the recording is [unfinished](Self::unfinished), and gives
    /// the sink back.
    ///
    /// # Errors
    /// As the sink says.
    pub fn finish(self) -> io::Result<W> {
        self.finish_noted().map(|(sink, _)| sink)
    }

    /// The same, with what was noted in the place of damage.
    pub(crate) fn finish_noted(mut self) -> io::Result<(W, Noted)> {
        if self.holes.are_of_the_next() {
            self.next_recording()?;
        }
        self.end_recording(true)?;
        if self.clock.last != self.clock.first {
            let last: ClockPoint = self.clock.last;
            self.out.queue_clock(&last);
        }
        if !self.unfinished {
            self.out.queue_index();
        }
        self.out.flush()?;
        self.out.sink().flush()?;
        Ok((self.out.into_sink(), self.noted))
    }
}

fn queue_schema<W: Write>(out: &mut Out<W>, schema: &Schema, lacking: &LostDescriptions) {
    let encoded = if lacking.schema {
        Vec::new()
    } else {
        crate::schema::encode(schema)
    };
    out.queue_plain(BlockKind::Schema, 0, &encoded);
}

/// The index of a lane's next call.
fn next_index(open: &BTreeMap<u32, Open>, starts: &BTreeMap<u32, u64>, lane: u32) -> u64 {
    let start = || starts.get(&lane).copied().unwrap_or(0);
    open.get(&lane).map_or_else(start, |open| open.next_index)
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
