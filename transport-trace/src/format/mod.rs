//! The layout of a trace file: its header, the headers of its blocks. `docs/trace-format.md` is the same for people.

#[cfg(feature = "std")]
pub(crate) mod lines;
#[cfg(feature = "std")]
mod listed;
#[cfg(feature = "std")]
pub(crate) mod out;
pub(crate) mod record;

/// The first bytes of a file. No text and no other format starts so, and a transfer that changes line ends breaks it.
pub const MAGIC: [u8; 8] = *b"\x89HCT\r\n\x1a\n";
/// The version that this library writes. Another major version is refused.
pub const MAJOR: u16 = 1;
/// A newer minor version has blocks, kinds of record, or fields of descriptions that this one skips.
pub const MINOR: u16 = 0;
/// Bytes of the file's header.
pub const FILE_HEADER: usize = 32;
/// The first bytes of a block.
pub const BLOCK_MAGIC: [u8; 4] = *b"HCTB";
/// Bytes of a block's header.
pub const BLOCK_HEADER: usize = 64;
/// Blocks start at multiples of this.
pub const ALIGN: usize = 8;
/// The most bytes that a block may declare, stored or not. A reader allocates no more for one block.
pub const MAX_BLOCK: usize = 64 << 20;
/// The most bytes of a schema. What is in one takes up to thirty times as much memory.
#[cfg(feature = "std")]
pub(crate) const MAX_SCHEMA: usize = 4 << 20;
/// The call id of a call that is not in the schema.
pub(crate) const UNKNOWN_CALL: u16 = u16::MAX;
/// The first word of a file of records that left a ring and never reached the storage: "HCTWAIT" and its version.
#[cfg(feature = "std")]
pub(crate) const WAITING_MAGIC: u64 = u64::from_le_bytes(*b"HCTWAIT\x01");
/// The last bytes of an index.
#[cfg(feature = "std")]
pub(crate) const INDEX_MAGIC: [u8; 8] = *b"HCTINDEX";

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockKind {
    /// The schema.
    Schema,
    /// A point of the clock.
    Clock,
    /// The name of a lane.
    Lane,
    /// Records of one lane.
    Data,
    /// Records of calls that were just entered, written before the calls were made. A later data block has them again
    /// if they returned.
    Announce,
    /// The headers of the blocks before it.
    Index,
    /// Something that this version does not know, and skips.
    Unknown(u8),
}

impl BlockKind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Schema => 1,
            Self::Clock => 2,
            Self::Lane => 3,
            Self::Data => 4,
            Self::Announce => 5,
            Self::Index => 6,
            Self::Unknown(code) => code,
        }
    }

    #[cfg(feature = "std")]
    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Schema,
            2 => Self::Clock,
            3 => Self::Lane,
            4 => Self::Data,
            5 => Self::Announce,
            6 => Self::Index,
            other => Self::Unknown(other),
        }
    }
}

/// How a block's bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// As they are.
    None,
    /// An LZ4 block.
    Lz4,
    /// A Zstandard frame.
    Zstd,
    /// A way that this version does not know.
    Unknown(u8),
}

impl Codec {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Lz4 => 1,
            Self::Zstd => 2,
            Self::Unknown(code) => code,
        }
    }

    #[cfg(feature = "std")]
    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::None,
            1 => Self::Lz4,
            2 => Self::Zstd,
            other => Self::Unknown(other),
        }
    }
}

/// The header of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// The major version.
    pub major: u16,
    /// The minor version.
    pub minor: u16,
    /// A number that tells this recording from others: the rings of a recording carry it too.
    pub id: u64,
}

impl FileHeader {
    /// What the blocks of this recording carry in [`BlockHeader::tag`]: a part of the recording's number, never 0. 0 where
    /// the recording has no number.
    #[cfg(feature = "std")]
    pub(crate) fn tag(&self) -> u16 {
        let [a, b, c, d] = crate::checksum::of(&self.id.to_le_bytes()).to_le_bytes();
        match (self.id, u16::from_le_bytes([a ^ c, b ^ d])) {
            (0, _) => 0,
            (_, 0) => 1,
            (_, tag) => tag,
        }
    }

    pub(crate) fn encode(&self) -> [u8; FILE_HEADER] {
        let mut bytes = [0; FILE_HEADER];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &self.major.to_le_bytes());
        put(&mut bytes, 10, &self.minor.to_le_bytes());
        put(&mut bytes, 16, &self.id.to_le_bytes());
        let crc = crate::checksum::of(&bytes[..28]);
        put(&mut bytes, 28, &crc.to_le_bytes());
        bytes
    }

    /// The header, where its checksum is right.
    #[cfg(feature = "std")]
    pub(crate) fn decode(bytes: &[u8; FILE_HEADER]) -> Option<Self> {
        (bytes[..8] == MAGIC && u32_at(bytes, 28) == crate::checksum::of(&bytes[..28])).then(|| {
            Self {
                major: u16_at(bytes, 8),
                minor: u16_at(bytes, 10),
                id: u64_at(bytes, 16),
            }
        })
    }
}

/// The header of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// What it holds.
    pub kind: BlockKind,
    /// How it is stored.
    pub codec: Codec,
    /// Which recording it is of: a part of the recording's number, so that a block that strayed from one file into another
    /// is seen. 0 where its writer did not say.
    pub tag: u16,
    /// Bytes behind the header, without the padding to a multiple of 8.
    pub stored: u32,
    /// Bytes after decompression.
    pub raw: u32,
    /// The lane of the records, or the lane that is named.
    pub lane: u32,
    /// Records.
    pub entries: u32,
    /// Records that are calls.
    pub calls: u32,
    /// The checksum of the stored bytes.
    pub crc: u32,
    /// The index of the first call, or the one that follows where there is none.
    pub first_index: u64,
    /// The least time of a record, in ticks.
    pub first_ticks: u64,
    /// The greatest time of a record, in ticks.
    pub last_ticks: u64,
    /// Bit `id % 32` is set for each call that occurs.
    pub call_bits: u32,
}

impl BlockHeader {
    /// The header of a block that holds no records.
    pub(crate) const fn plain(kind: BlockKind, length: u32, crc: u32) -> Self {
        Self {
            kind,
            codec: Codec::None,
            tag: 0,
            stored: length,
            raw: length,
            lane: 0,
            entries: 0,
            calls: 0,
            crc,
            first_index: 0,
            first_ticks: 0,
            last_ticks: 0,
            call_bits: 0,
        }
    }

    /// Bytes from this header to the next.
    #[must_use]
    pub const fn span(&self) -> u64 {
        // At most 2^32 + 72.
        (BLOCK_HEADER as u64).saturating_add((self.stored as u64).next_multiple_of(ALIGN as u64))
    }

    pub(crate) fn encode(&self) -> [u8; BLOCK_HEADER] {
        let mut bytes = [0; BLOCK_HEADER];
        put(&mut bytes, 0, &BLOCK_MAGIC);
        put(&mut bytes, 4, &[self.kind.code(), self.codec.code()]);
        put(&mut bytes, 6, &self.tag.to_le_bytes());
        put(&mut bytes, 8, &self.stored.to_le_bytes());
        put(&mut bytes, 12, &self.raw.to_le_bytes());
        put(&mut bytes, 16, &self.lane.to_le_bytes());
        put(&mut bytes, 20, &self.entries.to_le_bytes());
        put(&mut bytes, 24, &self.calls.to_le_bytes());
        put(&mut bytes, 28, &self.crc.to_le_bytes());
        put(&mut bytes, 32, &self.first_index.to_le_bytes());
        put(&mut bytes, 40, &self.first_ticks.to_le_bytes());
        put(&mut bytes, 48, &self.last_ticks.to_le_bytes());
        put(&mut bytes, 56, &self.call_bits.to_le_bytes());
        let crc = crate::checksum::of(&bytes[..60]);
        put(&mut bytes, 60, &crc.to_le_bytes());
        bytes
    }

    /// The header, where its checksum is right.
    #[cfg(feature = "std")]
    pub(crate) fn decode(bytes: &[u8; BLOCK_HEADER]) -> Option<Self> {
        (bytes[..4] == BLOCK_MAGIC && u32_at(bytes, 60) == crate::checksum::of(&bytes[..60])).then(
            || Self {
                kind: BlockKind::from_code(bytes[4]),
                codec: Codec::from_code(bytes[5]),
                tag: u16_at(bytes, 6),
                stored: u32_at(bytes, 8),
                raw: u32_at(bytes, 12),
                lane: u32_at(bytes, 16),
                entries: u32_at(bytes, 20),
                calls: u32_at(bytes, 24),
                crc: u32_at(bytes, 28),
                first_index: u64_at(bytes, 32),
                first_ticks: u64_at(bytes, 40),
                last_ticks: u64_at(bytes, 48),
                call_bits: u32_at(bytes, 56),
            },
        )
    }
}

/// Copies bytes to an offset. What does not fit is left out.
#[inline]
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes
        .get_mut(at..)
        .and_then(|rest| rest.get_mut(..value.len()))
    {
        place.copy_from_slice(value);
    }
}

#[inline]
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

/// The integer at an offset; 0 outside.
#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

/// The integer at an offset; 0 outside.
#[cfg(feature = "std")]
#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

/// The integer at an offset; 0 outside.
#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}
