//! Loads a block: reads, checks, decompresses, and gives its records.

use std::vec::Vec;

use super::source::{Source, read_full};
use super::view::{View, split};
use crate::checksum;
use crate::entry::{Damaged, Defect};
use crate::format::record::kind;
use crate::format::{BLOCK_HEADER, BlockHeader, BlockKind, Codec, MAX_BLOCK, u16_at, u64_at};

/// Bytes of memory that a buffer keeps between blocks.
const KEPT: usize = 4 << 20;

/// A block of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockEntry {
    /// Where its header is, in bytes from the start of the file.
    pub offset: u64,
    /// Its header.
    pub header: BlockHeader,
    /// The position of its first entry.
    pub first_position: u64,
    /// Whether its records stand in a later block again, finished.
    pub superseded: bool,
    /// Why the block does not belong where it stands, where it does not: its records are not read then.
    pub misplaced: Option<Defect>,
    /// Which of the recordings that were joined to this file it is of.
    pub(crate) section: u32,
}

impl BlockEntry {
    /// The damage report for the whole block.
    #[must_use]
    pub const fn damaged(&self, defect: Defect) -> Damaged {
        let missing = matches!(self.header.kind, BlockKind::Data | BlockKind::Announce)
            && self.misplaced.is_none()
            && !matches!(defect, Defect::Order | Defect::Foreign);
        Damaged {
            offset: self.offset,
            length: self.header.span(),
            defect,
            lane: Some(self.header.lane),
            entries: Some(self.header.entries),
            index: if missing {
                Some(self.header.first_index)
            } else {
                None
            },
            calls: if missing {
                Some(self.header.calls)
            } else {
                None
            },
        }
    }
}

/// Memory for one block at a time, used again for the next.
#[derive(Default)]
pub struct Buffer {
    stored: Vec<u8>,
    raw: Vec<u8>,
    place: Place,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

/// Where the bytes of a block are.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the source: offset and length.
    Source(u64, usize),
    /// The first bytes of `stored`.
    Stored(usize),
    /// The first bytes of `raw`.
    Raw(usize),
}

impl Default for Place {
    fn default() -> Self {
        Self::Stored(0)
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer")
            .field("raw", &self.raw.len())
            .finish_non_exhaustive()
    }
}

/// The records of a loaded block.
#[derive(Clone, Copy, Debug)]
pub struct Views<'b> {
    /// The block's lane.
    pub lane: u32,
    /// The index of the next call.
    index: u64,
    rest: &'b [u8],
}

impl<'b> Views<'b> {
    pub(crate) const fn new(lane: u32, index: u64, bytes: &'b [u8]) -> Self {
        Self {
            lane,
            index,
            rest: bytes,
        }
    }
    /// The same records, not looked into.
    #[must_use]
    pub const fn records(&self) -> RecordRefs<'b> {
        RecordRefs {
            index: self.index,
            rest: self.rest,
        }
    }
    /// The bytes that are still to be read.
    pub(crate) const fn bytes(&self) -> &'b [u8] {
        self.rest
    }
    /// How many bytes are still to be read.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }
    /// The next record as it is: the index that it has if it is a call, its view, its bytes.
    #[inline]
    pub(crate) fn next_record(&mut self) -> Option<Result<Numbered<'b>, Malformed>> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((record, rest)) = split(self.rest) else {
            // Without a length there is no next record.
            self.rest = &[];
            return Some(Err(Malformed));
        };
        self.rest = rest;
        let index = self.index;
        Some(match View::parse(record) {
            Some(view) => {
                self.index = self.index.saturating_add(view.indices());
                Ok((index, view, record))
            }
            None => {
                self.index = self.index.saturating_add(1);
                Err(Malformed)
            }
        })
    }
}

impl<'b> Iterator for Views<'b> {
    /// The index in the lane and the record.
    type Item = Result<(u64, View<'b>), Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_record()?.map(|(index, view, _)| (index, view)))
    }
}

/// A record that was not looked into: for those who pass over most of what they read.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'b> {
    /// The index in its lane that it has if it is a call.
    pub index: u64,
    bytes: &'b [u8],
}

impl<'b> RecordRef<'b> {
    /// Its kind, as in the file.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.bytes.get(7).copied().unwrap_or(0)
    }

    /// Whether it is a call.
    #[inline]
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.kind() < kind::OTHERS
    }

    /// When it was entered or noted, in ticks.
    #[inline]
    #[must_use]
    pub fn ticks(&self) -> u64 {
        u64_at(self.bytes, 8)
    }

    /// A call's place in the schema, or 0xffff.
    #[inline]
    #[must_use]
    pub fn call_id(&self) -> u16 {
        u16_at(self.bytes, 40)
    }

    /// What stands in it.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn view(&self) -> Result<View<'b>, Malformed> {
        View::parse(self.bytes).ok_or(Malformed)
    }

    /// All of it, its first word included.
    #[must_use]
    pub const fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// Whether its checksum is right.
    #[must_use]
    pub fn checks(&self) -> bool {
        crate::format::record::checks(self.bytes)
    }
}

/// The records of a block, not looked into. Ends early where a record has no length that makes sense.
#[derive(Clone, Copy, Debug)]
pub struct RecordRefs<'b> {
    index: u64,
    rest: &'b [u8],
}

impl<'b> Iterator for RecordRefs<'b> {
    type Item = RecordRef<'b>;

    #[inline]
    fn next(&mut self) -> Option<RecordRef<'b>> {
        let (bytes, rest) = split(self.rest)?;
        self.rest = rest;
        let record = RecordRef {
            index: self.index,
            bytes,
        };
        let taken = match record.kind() {
            kind::LOST => u64_at(bytes, 24),
            kind => u64::from(kind < kind::OTHERS),
        };
        self.index = self.index.saturating_add(taken);
        Some(record)
    }
}

/// A record, the index that it has if it is a call, and its bytes.
pub(crate) type Numbered<'b> = (u64, View<'b>, &'b [u8]);

/// A record that is not well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Buffer {
    /// Reads a block and checks it. The block's bytes, decompressed.
    pub(crate) fn load<'b>(
        &'b mut self,
        source: &'b dyn Source,
        offset: u64,
        header: &BlockHeader,
    ) -> Result<&'b [u8], Defect> {
        let (Ok(stored), Ok(raw)) = (usize::try_from(header.stored), usize::try_from(header.raw))
        else {
            return Err(Defect::TooLarge);
        };
        if stored > MAX_BLOCK || raw > MAX_BLOCK {
            return Err(Defect::TooLarge);
        }
        // A larger block than most does not keep its memory for the rest of the reading.
        for (memory, size) in [(&mut self.stored, stored), (&mut self.raw, raw)] {
            memory.truncate(size.max(KEPT));
            memory.shrink_to(size.max(KEPT));
        }
        let body = offset.saturating_add(BLOCK_HEADER as u64);
        self.place = match source.bytes_at(body, stored) {
            Some(bytes) => {
                if checksum::of(bytes) != header.crc {
                    return Err(Defect::Checksum);
                }
                Place::Source(body, stored)
            }
            None => {
                self.read(source, body, stored)?;
                if self.stored.get(..stored).map(checksum::of) != Some(header.crc) {
                    return Err(Defect::Checksum);
                }
                Place::Stored(stored)
            }
        };
        if header.codec != Codec::None {
            self.unpack(source, header.codec, raw)?;
        } else if stored != raw {
            return Err(Defect::Compression);
        }
        Ok(self.bytes(source))
    }

    fn read(&mut self, source: &dyn Source, body: u64, stored: usize) -> Result<(), Defect> {
        // The source says how much there is before memory is taken for what a header declares.
        let there = source
            .length()
            .map_err(|_| Defect::Unreadable)?
            .saturating_sub(body);
        if there < u64::try_from(stored).unwrap_or(u64::MAX) {
            return Err(Defect::Cut);
        }
        let memory = room(&mut self.stored, stored).ok_or(Defect::TooLarge)?;
        match read_full(source, body, memory) {
            Ok(count) if count == stored => Ok(()),
            Ok(_) => Err(Defect::Cut),
            Err(_) => Err(Defect::Unreadable),
        }
    }

    fn unpack(&mut self, source: &dyn Source, codec: Codec, raw: usize) -> Result<(), Defect> {
        let Self {
            stored,
            raw: unpacked,
            zstd,
            place,
        } = self;
        let packed = match *place {
            Place::Source(offset, length) => source.bytes_at(offset, length),
            Place::Stored(length) | Place::Raw(length) => stored.get(..length),
        }
        .ok_or(Defect::Cut)?;
        let unpacked = room(unpacked, raw).ok_or(Defect::TooLarge)?;
        let length = match codec {
            Codec::Lz4 => lz4_flex::block::decompress_into(packed, unpacked).ok(),
            Codec::Zstd => {
                if zstd.is_none() {
                    *zstd = zstd::bulk::Decompressor::new().ok();
                }
                zstd.as_mut()
                    .and_then(|zstd| zstd.decompress_to_buffer(packed, unpacked).ok())
            }
            Codec::None | Codec::Unknown(_) => return Err(Defect::UnknownCodec),
        };
        *place = Place::Raw(raw);
        if length == Some(raw) {
            Ok(())
        } else {
            Err(Defect::Compression)
        }
    }

    /// The bytes of the block that was loaded last, from this source.
    pub(crate) fn bytes<'b>(&'b self, source: &'b dyn Source) -> &'b [u8] {
        match self.place {
            Place::Source(offset, length) => source.bytes_at(offset, length),
            Place::Stored(length) => self.stored.get(..length),
            Place::Raw(length) => self.raw.get(..length),
        }
        .unwrap_or_default()
    }
}

/// The first bytes of memory that grows when it must: what is in it is overwritten, and need not be cleared.
fn room(memory: &mut Vec<u8>, length: usize) -> Option<&mut [u8]> {
    if memory.len() < length {
        memory.resize(length, 0);
    }
    memory.get_mut(..length)
}
