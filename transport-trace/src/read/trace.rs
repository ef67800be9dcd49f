//! An opened trace.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::block::{BlockEntry, Buffer, Views};
use super::entries::{Entries, Reached};
use super::index::from_index;
use super::merged::Merged;
use super::open::{OpenError, read_header};
use super::order::Starts;
use super::scan::{Found, has_entries, scan};
use super::source::{Source, read_full};
use crate::clock::{ClockInfo, ClockPoint};
use crate::entry::{Call, Damaged, Defect, Entry};
use crate::format::{BLOCK_HEADER, BlockHeader, BlockKind, FileHeader};
use crate::schema::Schema;

/// A trace that was opened.
pub struct Trace {
    pub(super) source: Box<dyn Source>,
    pub(super) header: FileHeader,
    pub(super) found: Found,
    /// Damage in descriptions, which opening reads.
    pub(super) descriptions: Vec<Damaged>,
    pub(super) schema: Arc<Schema>,
    /// The block that it was read from: its header, and its bytes.
    pub(super) schema_block: Option<(BlockHeader, Vec<u8>)>,
    /// Recordings that were joined to the first one and describe other calls or lanes.
    pub(super) unlike: BTreeSet<u32>,
    /// The clock's points that were read, by where they stand.
    pub(super) points: BTreeMap<u64, ClockPoint>,
    /// What they make, by recording.
    pub(super) clocks: BTreeMap<u32, ClockInfo>,
    pub(super) lanes: Vec<Lane>,
    /// Where each lane is in `lanes`.
    pub(super) lane_places: HashMap<u32, usize>,
    /// Bytes of the lanes' names.
    pub(super) named: usize,
}

/// A lane of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its number in the file.
    pub id: u32,
    /// Its name; `lane 3` where the description is missing.
    pub name: String,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("header", &self.header)
            .field("blocks", &self.found.blocks.len())
            .field("entries", &self.found.entries)
            .finish_non_exhaustive()
    }
}

impl Trace {
    /// Opens a file.
    ///
    /// # Errors
    /// [`OpenError`]. A file that is damaged behind its first bytes opens, and says so.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        match File::open(path.as_ref()) {
            Ok(file) => Self::from_source(Box::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(OpenError::NotFound(path.as_ref().to_path_buf()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a trace that is in memory.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Result<Self, OpenError> {
        let bytes: Arc<[u8]> = bytes.into();
        Self::from_source(Box::new(bytes))
    }

    /// Opens a trace from anywhere.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_source(source: Box<dyn Source>) -> Result<Self, OpenError> {
        let mut damage = Vec::new();
        let header = read_header(&*source, &mut damage)?;
        let mut buffer = Buffer::default();
        let mut found = if let Some(found) = from_index(&*source, &header, &mut buffer) {
            found
        } else {
            let mut found = Found::new(&header);
            scan(&*source, &mut found, true)?;
            found.adopt_by_indexes(&*source, &mut buffer);
            found
        };
        found.number(&header);
        let mut trace = Self {
            source,
            header,
            found,
            descriptions: damage,
            schema: Arc::default(),
            schema_block: None,
            unlike: BTreeSet::new(),
            points: BTreeMap::new(),
            clocks: BTreeMap::new(),
            lanes: Vec::new(),
            lane_places: HashMap::new(),
            named: 0,
        };
        trace.describe(0, &mut buffer);
        Ok(trace)
    }

    /// Looks for blocks that were appended since. Whether there were any.
    ///
    /// A block that is there only in part is waited for.
    ///
    /// # Errors
    /// As the storage says.
    pub fn refresh(&mut self) -> io::Result<bool> {
        let before = self.found.blocks.len();
        scan(&*self.source, &mut self.found, false)?;
        if self.found.blocks.len() == before {
            self.found.sort_damage();
            return Ok(false);
        }
        self.found.number(&self.header);
        self.describe(before, &mut Buffer::default());
        Ok(true)
    }

    /// The file's header.
    #[must_use]
    pub const fn header(&self) -> FileHeader {
        self.header
    }

    /// The descriptions of the calls. Empty where they were damaged.
    #[must_use]
    pub const fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The clock; of a file that was joined from several recordings, that of the first one.
    #[must_use]
    pub fn clock(&self) -> &ClockInfo {
        self.clock_of(0)
    }

    /// The clock of one of the recordings that were joined to this file, numbered as [`Entries::recording`] has it. Each has its own:
    /// the machine may have started anew between two, or be another one, so that neither where a clock begins nor how fast it is can
    /// be taken from another recording. Where a recording has no point of its clock, or does not exist, nothing is known: the
    /// frequency is 0, and no time comes of ticks.
    #[must_use]
    pub fn clock_of(&self, recording: u32) -> &ClockInfo {
        const UNKNOWN: &ClockInfo = &ClockInfo::with_frequency(0);
        self.clocks.get(&recording).unwrap_or(UNKNOWN)
    }

    /// The clocks of those of the joined recordings that have points of one, with their numbers.
    pub fn clocks(&self) -> impl Iterator<Item = (u32, &ClockInfo)> {
        self.clocks
            .iter()
            .map(|(recording, clock)| (*recording, clock))
    }

    /// Takes what is known from elsewhere of how fast the clock goes, where the trace does not say.
    pub(crate) fn set_frequency(&mut self, frequency: u64) {
        let clock = self.clocks.entry(0).or_default();
        if clock.last.frequency == 0 {
            clock.last.frequency = frequency;
        }
    }

    /// The recordings whose records are not read, since they should not have been joined to this file: they describe
    /// [other calls or lanes](Defect::Unlike) than those before them.
    #[must_use]
    pub const fn unlike(&self) -> &BTreeSet<u32> {
        &self.unlike
    }

    /// The lanes that are named, in the order of their appearance.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The lanes that are named, and those that have records and no name, as where the name's block is damaged.
    #[must_use]
    pub fn used_lanes(&self) -> Vec<Lane> {
        let mut unnamed: Vec<u32> = self
            .data()
            .map(|block| block.header.lane)
            .filter(|id| !self.lane_places.contains_key(id))
            .collect();
        unnamed.sort_unstable();
        unnamed.dedup();
        let mut lanes = self.lanes.clone();
        lanes.extend(unnamed.into_iter().map(|id| Lane {
            id,
            name: self.lane_name(id),
        }));
        lanes
    }

    /// A lane's name; `lane 3` where it is not known.
    #[must_use]
    pub fn lane_name(&self, id: u32) -> String {
        self.lane_places
            .get(&id)
            .and_then(|place| self.lanes.get(*place))
            .map_or_else(|| format!("lane {id}"), |lane| lane.name.clone())
    }

    /// The lane of this name.
    #[must_use]
    pub fn lane(&self, name: &str) -> Option<u32> {
        self.lanes
            .iter()
            .find(|lane| lane.name == name)
            .map(|lane| lane.id)
    }

    /// The blocks, in the order of the file.
    #[must_use]
    pub fn blocks(&self) -> &[BlockEntry] {
        &self.found.blocks
    }

    /// Where the bytes come from.
    #[must_use]
    pub fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// How many entries there are, those in damaged blocks included.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.found.entries
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.found.entries == 0
    }

    /// Whether the recording was finished: nothing is behind its index. A trace without one may have been cut between
    /// two blocks, or is still being written.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.found.finished
    }

    /// Whether more of the recording may have come behind the end of the file: it goes on, was killed, or the file was cut.
    /// Behind an index that is there in part there was nothing.
    #[must_use]
    pub fn ends_early(&self) -> bool {
        let cut_index = |damaged: &Damaged| self.kind_of(damaged) == Some(BlockKind::Index);
        !self.is_finished() && !self.found.damage.last().is_some_and(cut_index)
    }

    /// Whether that is only a guess: what stands at the end of the file cannot be read, and the index may have stood there, as where a
    /// bit of its header is damaged, or where something that is no trace, or a block of another one, was put behind it. Such a trace
    /// [ends early](Self::ends_early) as far as anybody knows.
    #[must_use]
    pub fn end_is_damaged(&self) -> bool {
        let last = self.blocks().last();
        let strayed = last.is_some_and(|block| block.misplaced.is_some());
        let is_index = last.is_some_and(|block| block.header.kind == BlockKind::Index);
        let last = last.map_or(0, |block| block.offset);
        let behind = |damaged: &Damaged| {
            // A header that was cut may be that of the next block, but none comes behind an index.
            damaged.offset > last
                && (damaged.defect != Defect::Cut || is_index && self.kind_of(damaged).is_none())
        };
        self.ends_early() && (strayed || self.found.damage.last().is_some_and(behind))
    }

    /// What kind of block a damaged stretch is, where its header can be read or the index has it. The rest of it may be damaged, not
    /// understood, or cut off.
    #[must_use]
    pub fn kind_of(&self, damaged: &Damaged) -> Option<BlockKind> {
        let blocks = self.blocks();
        let place = blocks.binary_search_by_key(&damaged.offset, |block| block.offset);
        if let Some(block) = place.ok().and_then(|place| blocks.get(place)) {
            return Some(block.header.kind);
        }
        if damaged.defect != Defect::Cut {
            return None;
        }
        let mut bytes = [0; BLOCK_HEADER];
        let read = read_full(&*self.source, damaged.offset, &mut bytes).ok()?;
        let header = BlockHeader::decode(&bytes).filter(|_| read == BLOCK_HEADER)?;
        Some(header.kind)
    }

    /// What opening saw of damage. Blocks of records are looked at when they are read; [`verify`](Self::verify) looks
    /// at everything.
    pub fn damage(&self) -> impl Iterator<Item = &Damaged> {
        self.found.damage.iter().chain(&self.descriptions)
    }

    /// Which of the recordings that were joined to this file the block at an offset, or the last one before it, is of.
    #[must_use]
    pub fn recording_at(&self, offset: u64) -> u32 {
        let blocks = self.blocks();
        let before = blocks.partition_point(|block| block.offset <= offset);
        let last = before.checked_sub(1).and_then(|last| blocks.get(last));
        last.map_or(0, |block| block.section)
    }

    /// The places in [`blocks`](Self::blocks) of a lane's blocks of records.
    pub(crate) fn places(&self, lane: u32) -> &[usize] {
        self.found
            .of_lane
            .get(&lane)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The places in [`gaps`](Self::gaps) of a lane's damaged stretches; of those without a lane.
    pub(crate) fn gap_places(&self, lane: Option<u32>) -> &[usize] {
        self.found
            .gaps_of_lane
            .get(&lane)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The index of a lane's first call: 0 in a recording. A slice of one leaves out the calls before it on purpose. Of a file
    /// that was joined from several recordings, that of the first one.
    #[must_use]
    pub fn lane_start(&self, lane: u32) -> u64 {
        self.found.starts.get(&(0, lane)).copied().unwrap_or(0)
    }

    pub(crate) const fn starts(&self) -> &Starts {
        &self.found.starts
    }

    pub(crate) fn gaps(&self) -> &[Damaged] {
        &self.found.damage
    }

    /// The damage of a block's own header, where the index stands for it: none of the block's records are missing because of it.
    pub(crate) fn damaged_header(&self, block: &BlockEntry) -> Option<Damaged> {
        if !self.found.indexed && !self.found.adopted.contains(&block.offset) {
            return None;
        }
        let mut bytes = [0; BLOCK_HEADER];
        let defect = match read_full(&*self.source, block.offset, &mut bytes) {
            Err(_) => Defect::Unreadable,
            Ok(_) if BlockHeader::decode(&bytes) == Some(block.header) => return None,
            Ok(_) => Defect::Header,
        };
        Some(Damaged {
            offset: block.offset,
            length: BLOCK_HEADER as u64,
            defect,
            lane: Some(block.header.lane),
            entries: Some(0),
            index: None,
            calls: None,
        })
    }

    /// The damage of the headers of blocks of records, where the index stands for them. Looks at each of them, where
    /// [`entries`](Self::entries) look at those of the blocks that they come to.
    pub fn damaged_headers(&self) -> impl Iterator<Item = Damaged> {
        self.data().filter_map(|block| self.damaged_header(block))
    }

    /// Loads the records of a block, without copying them out.
    ///
    /// # Errors
    /// The damage, where the block cannot be used.
    pub fn load<'b>(
        &'b self,
        block: &BlockEntry,
        buffer: &'b mut Buffer,
    ) -> Result<Views<'b>, Damaged> {
        let header = &block.header;
        if let Some(defect) = block.misplaced {
            return Err(block.damaged(defect));
        }
        if has_entries(block) && self.unlike.contains(&block.section) {
            return Err(block.damaged(Defect::Unlike));
        }
        match buffer.load(&*self.source, block.offset, header) {
            Ok(bytes) => Ok(Views::new(header.lane, header.first_index, bytes)),
            Err(defect) => Err(block.damaged(defect)),
        }
    }

    /// Every entry, in the order of the file: within a lane that is the order of the calls.
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        Entries::all(self)
    }

    /// The entries of a trace that grows: those behind where an earlier reading ended, up to the end of what is there, in the
    /// order of the file. As [`entries`](Self::entries), but for calls that were only announced: they come when they have
    /// returned, and until then they are [`announced`](Self::announced).
    #[must_use]
    pub fn entries_since(&self, reached: Reached) -> Entries<'_> {
        Entries::since(self, reached)
    }

    /// The calls that were announced and did not return, as far as the trace goes, each with the
    /// [recording](Entries::recording) that it is of.
    #[must_use]
    pub fn announced(&self) -> Vec<(u32, Entry)> {
        let open = |block: &&BlockEntry| block.header.kind == BlockKind::Announce;
        let mut buffer = Buffer::default();
        let mut calls = Vec::new();
        for block in self.data().filter(open) {
            match self.load(block, &mut buffer) {
                Err(damaged) => calls.push((block.section, Entry::Damaged(damaged))),
                Ok(views) => {
                    let lane = views.lane;
                    let entries = views.map(|view| match view {
                        Ok((index, view)) => view.to_entry(lane, index, &self.schema),
                        Err(_) => Entry::Damaged(block.damaged(Defect::Record)),
                    });
                    calls.extend(entries.map(|entry| (block.section, entry)));
                }
            }
        }
        calls
    }

    /// The file's end, where it is a block that is there in part: the rest may come where the trace grows.
    #[must_use]
    pub fn open_end(&self) -> Option<&Damaged> {
        self.found.damage.last().filter(|_| self.found.open_end)
    }

    /// Damaged stretches between blocks of which nothing more can come.
    pub(crate) fn settled_gaps(&self) -> &[Damaged] {
        let open = usize::from(self.found.open_end);
        let settled = self.found.damage.len().saturating_sub(open);
        self.found.damage.get(..settled).unwrap_or_default()
    }

    /// The entries from a position on.
    #[must_use]
    pub fn entries_from(&self, position: u64) -> Entries<'_> {
        Entries::from_position(self, position)
    }

    /// The entry at a position.
    #[must_use]
    pub fn entry(&self, position: u64) -> Option<Entry> {
        if position >= self.len() {
            None
        } else {
            // A damaged header took no entry.
            let took = |entry: &Entry| !matches!(entry, Entry::Damaged(damaged) if damaged.entries == Some(0));
            self.entries_from(position).find(took)
        }
    }

    /// The entries of a lane. Damaged stretches that may have held entries of any lane are among them, unless
    /// [they are left out](Entries::without_shared_damage).
    #[must_use]
    pub fn lane_entries(&self, lane: u32) -> Entries<'_> {
        Entries::of_lane(self, lane)
    }

    /// The entries of a lane from the call with this index on. What stands before the call and belongs to it, such as a
    /// change of a page at its entry, comes first. Of a file that was joined from several recordings it is the call of the first one;
    /// [`lane_entries_of`](Self::lane_entries_of) has those of others.
    #[must_use]
    pub fn lane_entries_from(&self, lane: u32, index: u64) -> Entries<'_> {
        self.lane_entries_of(0, lane, index)
    }

    /// The same from the call of this [recording](Entries::recording) on. Those that follow it come behind it, whole.
    #[must_use]
    pub fn lane_entries_of(&self, recording: u32, lane: u32, index: u64) -> Entries<'_> {
        Entries::of_lane_from(self, lane, recording, index)
    }

    /// A call by lane and index; of a file that was joined from several recordings, that of the first one.
    #[must_use]
    pub fn call(&self, lane: u32, index: u64) -> Option<Call> {
        self.call_of(0, lane, index)
    }

    /// A call by [recording](Entries::recording), lane and index.
    #[must_use]
    pub fn call_of(&self, recording: u32, lane: u32, index: u64) -> Option<Call> {
        let mut entries = self.lane_entries_of(recording, lane, index);
        while let Some(entry) = entries.next() {
            match entry {
                _ if entries.recording() > recording => return None,
                Entry::Call(call) if call.index == index => return Some(call),
                Entry::Call(call) if call.index > index => return None,
                _ => {}
            }
        }
        None
    }

    /// Every entry, in the order of time over all lanes. Damaged stretches come where their lane's turn is, those
    /// without a lane first. Of more than 65,536 lanes, or of blocks that are too large, in the order of the file:
    /// [`Merged::in_order`].
    #[must_use]
    pub fn merged(&self) -> Merged<'_> {
        Merged::new(self)
    }

    /// The blocks whose entries are shown.
    pub fn data(&self) -> impl DoubleEndedIterator<Item = &BlockEntry> {
        self.found.blocks.iter().filter(|block| has_entries(block))
    }
}
