//! Puts blocks into a sink of bytes. A block is handed over whole, however the sink takes it: in pieces, after
//! interruptions, or only when the disk has room again.

use std::io::{self, Write};
use std::vec::Vec;

use super::listed::Listed;
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
    listed: Listed,
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
            listed: Listed::default(),
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
    pub(crate) fn queue(&mut self, header: BlockHeader, raw: &[u8]) {
        let compressed = matches!(header.kind, BlockKind::Data);
        self.queue_as(header, raw, compressed);
    }

    /// Takes a schema, compressed as records are: in a joined file each recording has it again. A recorder leaves its own as it is.
    pub(crate) fn queue_schema(&mut self, schema: &[u8]) {
        self.queue_as(BlockHeader::plain(BlockKind::Schema, 0, 0), schema, true);
    }

    fn queue_as(&mut self, mut header: BlockHeader, raw: &[u8], compressed: bool) {
        let start = self.pending.len();
        let body = start.saturating_add(super::BLOCK_HEADER);
        self.pending.resize(body, 0);
        header.codec = Codec::None;
        header.tag = self.tag;
        if compressed {
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
        self.listed.push(self.offset, header);
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

    /// A recording begins that is joined to those before it.
    pub(crate) fn begin_recording(&mut self) {
        self.listed.begin_recording();
    }

    /// Takes an index over all blocks so far; where those are too many for one, over those of the recording.
    pub(crate) fn queue_index(&mut self) {
        let body = self.listed.all().map(|blocks| self.index_over(blocks));
        self.queue_index_body(body);
    }

    /// Takes the index of a recording that is joined to others: as it would be in a file of its own.
    pub(crate) fn queue_recording_index(&mut self) {
        let blocks = self.listed.of_recording();
        let body = blocks.map(|blocks| self.index_over(blocks));
        self.queue_index_body(body);
    }

    /// The body of an index, as it is where its blocks are a file of their own.
    fn index_over(&self, blocks: &[(u64, BlockHeader)]) -> Vec<u8> {
        let start = super::FILE_HEADER as u64;
        let moved = blocks
            .first()
            .map_or(0, |(offset, _)| offset.saturating_sub(start));
        let blocks: Vec<_> = blocks
            .iter()
            .map(|(offset, header)| (offset.saturating_sub(moved), *header))
            .collect();
        crate::read::encode_index(&blocks, self.offset.saturating_sub(moved))
    }

    fn queue_index_body(&mut self, body: Option<Vec<u8>>) {
        if let Some(body) = body
            && body.len() <= super::MAX_BLOCK
        {
            self.queue_plain(BlockKind::Index, 0, &body);
        }
    }

    pub(crate) fn into_sink(self) -> W {
        self.sink
    }
}
