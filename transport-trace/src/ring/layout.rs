//! How the memory of a ring is divided: a head, a control line for each block, a preamble, the blocks.

use crate::format::MAX_BLOCK;

/// The first word of a ring: "HCTRING" and its version.
pub(crate) const RING_MAGIC: u64 = u64::from_le_bytes(*b"HCTRING\x02");
/// Bytes of the head.
pub(crate) const HEAD: usize = 192;
/// Bytes of a control line.
pub(crate) const LINE: usize = 64;
/// The least bytes of a block.
pub(crate) const LEAST_BLOCK: usize = 1024;
/// The most blocks that a ring has.
pub(crate) const MAX_BLOCKS: usize = 4096;

/// Words of the head.
pub(crate) mod head {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const BLOCKS: usize = 1;
    pub(crate) const BLOCK_SIZE: usize = 2;
    pub(crate) const DATA: usize = 3;
    #[cfg(feature = "std")]
    /// Where the preamble is: the offset in the low half, the length in the high half.
    pub(crate) const PREAMBLE: usize = 4;
    #[cfg(feature = "std")]
    pub(crate) const ID: usize = 5;
    #[cfg(feature = "std")]
    pub(crate) const LANE: usize = 6;
    pub(crate) const LOST: usize = 7;
    pub(crate) const LOST_FIRST: usize = 8;
    pub(crate) const LOST_LAST: usize = 9;
    pub(crate) const LOST_CAUSE: usize = 10;
    /// 1 when nobody empties the ring any more; 2 while whoever does cannot, because the storage takes nothing.
    pub(crate) const CLOSED: usize = 11;
    /// The index of the first lost call. Where it lies before what is taken out, the losses are in a record already: the
    /// process died, or is, between the record and the count.
    pub(crate) const LOST_INDEX: usize = 12;
    /// How many were lost, a second time: written just before [`LOST`], and cleared just after it.
    pub(crate) const LOST_AGAIN: usize = 13;
    /// The index, a second time.
    pub(crate) const LOST_INDEX_AGAIN: usize = 14;
    /// What the count, the times and the cause of the losses make together: see [`lost_check`](super::lost_check).
    pub(crate) const LOST_CHECK: usize = 15;
    #[cfg(feature = "std")]
    /// Calls that came while the lane was in use, and stand nowhere yet.
    pub(crate) const BUSY: usize = 16;
    #[cfg(feature = "std")]
    /// The clock's ticks a second as last measured; 0 where that is not known.
    pub(crate) const FREQUENCY: usize = 17;
}

/// States of a block, in the low bits of its first control word.
pub(crate) mod state {
    pub(crate) const FREE: u64 = 0;
    pub(crate) const WRITING: u64 = 1;
    pub(crate) const FULL: u64 = 2;
    pub(crate) const CLAIMED: u64 = 3;
    pub(crate) const MASK: u64 = 3;
    pub(crate) const READING: u64 = 4;
    pub(crate) const SEQUENCE: u32 = 8;
}

/// What a producer does when the ring is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Full {
    /// Does not record the call, and counts it.
    #[default]
    Drop,
    /// Gives up the oldest block.
    Overwrite,
    /// Waits until there is room. A call then takes as long as the disk. When the storage has taken nothing in some fifty
    /// attempts, which is about a second, calls are dropped and counted until it takes something again.
    Block,
}

/// How a ring is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) blocks: usize,
    pub(crate) block_size: usize,
    /// Where the blocks start, in bytes.
    pub(crate) data: usize,
}

impl Geometry {
    /// Divides memory of this many bytes into blocks, behind a preamble. `None` when there is not room for two blocks
    /// of 1 KiB.
    pub(crate) fn divide(
        bytes: usize,
        blocks: usize,
        preamble: usize,
        align: usize,
    ) -> Option<Self> {
        let blocks = blocks.clamp(2, MAX_BLOCKS);
        let data = Self::controls(blocks)
            .checked_add(preamble)?
            .checked_next_multiple_of(align.max(8))?;
        let block_size = bytes.checked_sub(data)?.checked_div(blocks)?.min(MAX_BLOCK) & !7;
        (block_size >= LEAST_BLOCK).then_some(Self {
            blocks,
            block_size,
            data,
        })
    }

    /// The least memory that can be divided into so many blocks of 1 KiB behind a preamble.
    #[cfg(all(feature = "std", not(loom)))]
    pub(crate) fn least(blocks: usize, preamble: usize, align: usize) -> usize {
        let blocks = blocks.clamp(2, MAX_BLOCKS);
        Self::controls(blocks)
            .saturating_add(preamble)
            .checked_next_multiple_of(align.max(8))
            .unwrap_or(usize::MAX)
            .saturating_add(blocks.saturating_mul(LEAST_BLOCK))
    }

    /// Bytes of the head and the control lines.
    pub(crate) const fn controls(blocks: usize) -> usize {
        HEAD.saturating_add(blocks.saturating_mul(LINE))
    }

    /// Bytes of the whole ring.
    #[cfg(all(test, loom))]
    pub(crate) const fn total(&self) -> usize {
        self.data
            .saturating_add(self.blocks.saturating_mul(self.block_size))
    }

    /// The block behind a block.
    pub(crate) const fn after(&self, block: usize) -> usize {
        match block.checked_add(1) {
            Some(next) if next < self.blocks => next,
            _ => 0,
        }
    }

    pub(crate) const fn start(&self, block: usize) -> usize {
        self.data
            .saturating_add(block.saturating_mul(self.block_size))
    }
}

/// Where a control word of a block is, in bytes from the start of the ring.
pub(crate) const fn line_at(block: usize, word: usize) -> usize {
    HEAD.saturating_add(block.saturating_mul(LINE))
        .saturating_add(word.saturating_mul(8))
}

/// The control word with a block's state.
pub(crate) const STATE: usize = 0;
/// The control word that says how many of a block's bytes are used.
pub(crate) const USED: usize = 1;
/// The control words with the index of a block's first call: the same three times, so that two of them are right whichever
/// bit flips.
pub(crate) const FIRST: usize = 2;
pub(crate) const FIRSTS: [usize; 3] = [2, 3, 4];

/// The word that says how many bytes are used: the number in both halves, so that a flipped bit of it is noticed and the
/// process still stores one word. A block has less than 4 GiB.
#[inline(always)]
pub(crate) const fn used_word(used: u64) -> u64 {
    used | (used << 32)
}

/// The bytes that such a word tells of.
#[inline(always)]
pub(crate) const fn used_of(word: u64) -> u64 {
    word & 0xffff_ffff
}

/// What tells whether the words about losses are those that were written together.
pub(crate) const fn lost_check(count: u64, first: u64, last: u64, cause: u64) -> u64 {
    count ^ first.rotate_left(16) ^ last.rotate_left(32) ^ cause.rotate_left(48)
}
