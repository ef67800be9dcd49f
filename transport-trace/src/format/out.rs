//! Puts blocks into a sink of bytes. A block is handed over whole, however the sink takes it: in pieces, after
//! interruptions, or only when the disk has room again.

use std::io::{self, Write};
use std::vec::Vec;

use super::{ALIGN, BlockHeader, BlockKind, Codec, FileHeader, MAJOR, MINOR};
use crate::clock::ClockPoint;
use crate::wire::Put as _;

/// How the blocks of records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// By LZ4: fast enough for a recording.
    #[default]
    Lz4,
    /// By Zstandard at this level: for keeping.
    Zstd(i32),
}

/// Blocks that an index lists. A longer file goes without.
const MAX_INDEX: usize = 800_000;

/// Writes blocks.
pub(crate) struct Out<W> {
    sink: W,
    compression: Compression,
    lz4: lz4_flex::block::CompressTable,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    /// Bytes that the sink has not taken yet.
    pending: Vec<u8>,
    taken: usize,
    /// Where the next block goes.
    offset: u64,
    /// What every block carries of the recording's number.
    tag: u16,
    blocks: Vec<(u64, BlockHeader)>,
}

impl<W: std::fmt::Debug> std::fmt::Debug for Out<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Out")
            .field("sink", &self.sink)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl<W: Write> Out<W> {
    /// Starts a file.
    pub(crate) fn new(sink: W, compression: Compression, id: u64) -> Self {
        let header = FileHeader {
            major: MAJOR,
            minor: MINOR,
            id,
        };
        Self {
            sink,
            compression,
            lz4: lz4_flex::block::CompressTable::default(),
            zstd: match compression {
                Compression::Zstd(level) => zstd::bulk::Compressor::new(level).ok(),
                _ => None,
            },
            tag: header.tag(),
            pending: header.encode().to_vec(),
            taken: 0,
            offset: super::FILE_HEADER as u64,
            blocks: Vec::new(),
        }
    }

    /// Gives the sink what it has not taken. An error leaves everything as it is, to be tried again.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while let Some(rest) = self.pending.get(self.taken..)
            && !rest.is_empty()
        {
            match self.sink.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.taken = self.taken.saturating_add(count).min(self.pending.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.pending.clear();
        self.taken = 0;
        Ok(())
    }

    /// Whether the sink has taken everything.
    pub(crate) const fn is_flushed(&self) -> bool {
        self.pending.is_empty()
    }

    /// Bytes that the sink has taken.
    pub(crate) fn written(&self) -> u64 {
        let waiting = self.pending.len().saturating_sub(self.taken);
        self.offset
            .saturating_sub(u64::try_from(waiting).unwrap_or(0))
    }

    /// The blocks that the sink has not taken whole, in their order.
    pub(crate) fn waiting(&self) -> Vec<(BlockHeader, &[u8])> {
        let mut rest = self.pending.as_slice();
        if rest.starts_with(&super::MAGIC) {
            rest = rest.get(super::FILE_HEADER..).unwrap_or_default();
        }
        let mut blocks = Vec::new();
        while let Some(header) = rest.first_chunk().and_then(BlockHeader::decode) {
            let span = usize::try_from(header.span()).unwrap_or(usize::MAX);
            let Some((block, behind)) = rest.split_at_checked(span) else {
                break;
            };
            rest = behind;
            if self.pending.len().saturating_sub(rest.len()) > self.taken {
                blocks.push((header, block));
            }
        }
        blocks
    }

    pub(crate) const fn sink(&mut self) -> &mut W {
        &mut self.sink
    }

    /// Takes a block, to be written by [`flush`](Self::flush). Lengths and checksum are filled in.
    pub(crate) fn queue(&mut self, mut header: BlockHeader, raw: &[u8]) {
        let start = self.pending.len();
        let body = start.saturating_add(super::BLOCK_HEADER);
        self.pending.resize(body, 0);
        header.codec = Codec::None;
        header.tag = self.tag;
        if matches!(header.kind, BlockKind::Data) {
            header.codec = self.compress(raw, body);
        }
        if header.codec == Codec::None {
            self.pending.truncate(body);
            self.pending.extend_from_slice(raw);
        }
        let stored = self.pending.get(body..).unwrap_or_default();
        header.raw = u32::try_from(raw.len()).unwrap_or(u32::MAX);
        header.stored = u32::try_from(stored.len()).unwrap_or(u32::MAX);
        header.crc = crate::checksum::of(stored);
        super::put(&mut self.pending, start, &header.encode());
        // The file's blocks start at multiples of 8; what is pending starts at one.
        let padded = self.pending.len().next_multiple_of(ALIGN);
        let skew = start % ALIGN;
        debug_assert_eq!(skew, 0, "blocks are queued padded");
        self.pending.resize(padded, 0);
        if self.blocks.len() <= MAX_INDEX {
            self.blocks.push((self.offset, header));
        }
        self.offset = self.offset.saturating_add(header.span());
    }

    /// Compresses into what is pending, behind a header that ends at `body`. Says `None` when that is not shorter.
    fn compress(&mut self, raw: &[u8], body: usize) -> Codec {
        let (codec, bound) = match self.compression {
            Compression::None => return Codec::None,
            Compression::Lz4 => (
                Codec::Lz4,
                lz4_flex::block::get_maximum_output_size(raw.len()),
            ),
            Compression::Zstd(_) => (Codec::Zstd, zstd::zstd_safe::compress_bound(raw.len())),
        };
        self.pending.resize(body.saturating_add(bound), 0);
        let Some(space) = self.pending.get_mut(body..) else {
            return Codec::None;
        };
        let length = match codec {
            Codec::Lz4 => lz4_flex::block::compress_into_with_table(raw, space, &mut self.lz4).ok(),
            _ => self
                .zstd
                .as_mut()
                .and_then(|zstd| zstd.compress_to_buffer(raw, space).ok()),
        };
        match length {
            Some(length) if length < raw.len() => {
                self.pending.truncate(body.saturating_add(length));
                codec
            }
            _ => Codec::None,
        }
    }

    /// Takes a block that holds no records.
    pub(crate) fn queue_plain(&mut self, kind: BlockKind, lane: u32, body: &[u8]) {
        let mut header = BlockHeader::plain(kind, 0, 0);
        header.lane = lane;
        self.queue(header, body);
    }

    pub(crate) fn queue_clock(&mut self, point: &ClockPoint) {
        let mut body = Vec::new();
        crate::clock::encode(&mut body, point);
        self.queue_plain(BlockKind::Clock, 0, &body);
    }

    pub(crate) fn queue_lane(&mut self, lane: u32, name: &str) {
        self.queue_lane_from(lane, name, 0);
    }

    /// Takes the name of a lane whose calls are left out up to this index.
    pub(crate) fn queue_lane_from(&mut self, lane: u32, name: &str, first_index: u64) {
        let mut body = Vec::new();
        body.text(name);
        let mut header = BlockHeader::plain(BlockKind::Lane, 0, 0);
        header.lane = lane;
        header.first_index = first_index;
        self.queue(header, &body);
    }

    /// Takes an index over all blocks so far.
    pub(crate) fn queue_index(&mut self) {
        self.queue_index_from(0);
    }

    /// How many blocks there are so far.
    pub(crate) const fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// Takes the index of a recording that is joined to others, over the blocks from this one on: as it would be in a file of its own.
    pub(crate) fn queue_index_from(&mut self, first: usize) {
        if self.blocks.len() > MAX_INDEX {
            return;
        }
        let blocks = self.blocks.get(first..).unwrap_or_default();
        let start = super::FILE_HEADER as u64;
        let moved = blocks
            .first()
            .map_or(0, |(offset, _)| offset.saturating_sub(start));
        let blocks: Vec<_> = blocks
            .iter()
            .map(|(offset, header)| (offset.saturating_sub(moved), *header))
            .collect();
        let body = crate::read::encode_index(&blocks, self.offset.saturating_sub(moved));
        if body.len() <= super::MAX_BLOCK {
            self.queue_plain(BlockKind::Index, 0, &body);
        }
    }

    pub(crate) fn into_sink(self) -> W {
        self.sink
    }
}
