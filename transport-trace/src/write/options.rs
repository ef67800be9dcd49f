//! How a trace is written.

use crate::format::out::Compression;

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
