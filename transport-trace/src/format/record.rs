//! The layout of a record. Everything is little-endian; a record is a multiple of 8 bytes.
//!
//! ```text
//! 0   u32  checksum of the bytes from 8 to the end (without lines that have a sum of their own), then of the bytes 4 to 8
//! 4   u24  length in words of 8 bytes, all of the record
//! 7   u8   kind: 1 entered, 2 returned, 3 failed; 16 lost, 17 pages
//! ```
//! A call (kinds below 16):
//! ```text
//! 8   u64  time of entry, ticks
//! 16  u64  RDI: its value; for a block, its length (low half) and the offset of its link (high half)
//! 24  u64  RSI, likewise
//! 32  u64  hypercall number
//! 40  u16  call id: its place in the schema, or 0xffff
//! 42  u8   shape of RDI
//! 43  u8   shape of RSI
//! 44  u24  words from the record's start to the exit part
//! 47  u8   lines of 64 bytes that have a sum of their own, at most 64
//! 48  …    where there are such: the 16 bytes of their sum, then they; the arguments start with them.
//!          For RDI and then for RSI: the block's bytes (not of a written one); for a linked block then one word (the
//!          length of the nested block; or the number of pages, and in the high half the first one's number + 1; or the
//!          address) and the nested block's bytes. Each padded to 8 with zeros.
//! exit part, where the call came back:
//!     u64  duration, ticks
//!     u64  RAX; for a failure u8 code, u8 detail, u16 0, u16 and u16 the lengths of its two texts
//!     u64  only where a block may be written: bit 0 to 3: the block of RDI, RDI nested, RSI, RSI nested changed
//!     …    the changed blocks' bytes, in this order, each padded to 8
//!     …    the texts of a failure, padded to 8
//! …    zeros, less than 32 bytes
//! ```

/// Kinds of record.
pub(crate) mod kind {
    pub(crate) const ENTERED: u8 = 1;
    pub(crate) const RETURNED: u8 = 2;
    pub(crate) const FAILED: u8 = 3;
    /// Kinds from here on are no calls.
    pub(crate) const OTHERS: u8 = 16;
    pub(crate) const LOST: u8 = 16;
    pub(crate) const PAGES: u8 = 17;
}

/// Shapes of an argument.
pub(crate) mod shape {
    pub(crate) const NONE: u8 = 0;
    pub(crate) const VALUE: u8 = 1;
    pub(crate) const READ: u8 = 2;
    pub(crate) const WRITE: u8 = 3;
    pub(crate) const READ_WRITE: u8 = 4;
    pub(crate) const LINKED_READ: u8 = 5;
    pub(crate) const LINKED_READ_WRITE: u8 = 6;
    pub(crate) const LINKED_PAGES: u8 = 7;
    pub(crate) const LINKED_ADDRESS: u8 = 8;
    /// The last one that this version knows.
    #[cfg(feature = "std")]
    pub(crate) const LAST: u8 = LINKED_ADDRESS;

    /// Whether the hypervisor may write a block of an argument of this shape.
    pub(crate) const fn written(shape: u8) -> bool {
        matches!(shape, WRITE | READ_WRITE | LINKED_READ_WRITE)
    }
}

/// Codes of failures.
pub(crate) mod failure {
    pub(crate) const UNTRANSLATABLE: u8 = 1;
    pub(crate) const LAYER: u8 = 2;
    pub(crate) const CRASHED: u8 = 3;
    pub(crate) const HUNG: u8 = 4;
    pub(crate) const FAULT: u8 = 5;
    pub(crate) const UNSUPPORTED: u8 = 6;
    pub(crate) const UNEXPECTED: u8 = 7;
    pub(crate) const LOST: u8 = 8;
    pub(crate) const OTHER: u8 = 0xff;
}

/// Bytes of the head of a call's record.
pub(crate) const CALL_HEAD: usize = 48;
/// Bytes of the exit part, before its blocks.
pub(crate) const EXIT_HEAD: usize = 16;
/// Bytes that an exit part may take besides the memory that was written.
pub(crate) const EXIT_ROOM: usize = EXIT_HEAD + 8 + 2 * MAX_TEXT + 8;
/// Bytes of a loss record.
pub(crate) const LOST_LENGTH: usize = 40;
/// Bytes of a page record before its runs.
pub(crate) const PAGES_HEAD: usize = 24;
/// The bit of a page record's point that says: later than it came.
pub(crate) const PAGES_LATE: u8 = 0x80;
/// In the byte of the look: a word behind the head says which it was.
pub(crate) const PAGES_MANY_LOOKS: u8 = 0xff;
/// Bytes of a page.
#[cfg(feature = "std")]
pub(crate) const PAGE: usize = 4096;
/// The most words that a record may have.
pub(crate) const MAX_WORDS: usize = 0x00ff_ffff;
/// The most bytes of each text of a failure.
pub(crate) const MAX_TEXT: usize = 256;

/// Bytes padded to whole words. Lengths that a record can have never overflow; beyond them this saturates.
#[inline]
pub(crate) const fn padded(length: usize) -> usize {
    // Slices are shorter than half of the address space, and declared lengths than 2^32.
    length.wrapping_add(7) & !7
}

/// The first word of a record whose last bytes are these, behind bytes with the checksum `crc`; and the checksum of all of
/// them without the first word.
#[inline(always)]
pub(crate) fn word(crc: u32, bytes: &[u8], words: usize, kind: u8) -> (u32, u64) {
    let meta = meta(words, kind);
    let (crc, all) = crate::checksum::append_and(crc, bytes, meta);
    (crc, (u64::from(meta) << 32) | u64::from(all))
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "masked to 24 bits")]
pub(crate) fn meta(words: usize, kind: u8) -> u32 {
    (words & MAX_WORDS) as u32 | (u32::from(kind) << 24)
}

/// The kind and the length in bytes that a first word says.
#[inline]
pub(crate) const fn parse_word(word: u64) -> (u8, usize) {
    ((word >> 56) as u8, ((word >> 32) as usize & MAX_WORDS) << 3)
}

/// How many of a record's lines have a sum of their own.
#[cfg(feature = "std")]
#[inline]
pub(crate) fn lines_of(record: &[u8]) -> usize {
    match record.get(7) {
        Some(&(kind::ENTERED | kind::RETURNED | kind::FAILED)) => {
            record.get(47).copied().map_or(0, usize::from)
        }
        _ => 0,
    }
}

/// How many bytes a call's enter part has, the head included.
#[cfg(feature = "std")]
#[inline]
pub(crate) fn enter_bytes(record: &[u8]) -> Option<usize> {
    let words = usize::try_from(super::u32_at(record.get(..CALL_HEAD)?, 44)).ok()? & MAX_WORDS;
    words.checked_mul(8)
}

/// Where the arguments of a call start.
#[cfg(feature = "std")]
#[inline]
pub(crate) const fn arguments_at(lines: usize) -> usize {
    if lines == 0 {
        CALL_HEAD
    } else {
        CALL_HEAD + super::lines::SUM
    }
}

/// Whether a whole record's checksum is right, and the sum of its lines.
#[cfg(feature = "std")]
#[inline]
pub(crate) fn checks(record: &[u8]) -> bool {
    let Some((head, body)) = record.split_first_chunk::<8>() else {
        return false;
    };
    let crc = if lines_of(record) == 0 {
        crate::checksum::of(body)
    } else {
        match around_lines(record) {
            Some([before, behind]) => crate::checksum::append(crate::checksum::of(before), behind),
            None => return false,
        }
    };
    head[..4] == crate::checksum::append(crc, &head[4..]).to_le_bytes()
}

/// What stands in a record from 8 on, before the sum of its lines and behind them. `None` where that sum is not theirs.
#[cfg(feature = "std")]
fn around_lines(record: &[u8]) -> Option<[&[u8]; 2]> {
    use super::lines::{MOST_LINES, SUM, of_record, sum};
    let (lines, expected) = of_record(record)?;
    let end = size_of_val(lines).checked_add(CALL_HEAD + SUM)?;
    let parts = [record.get(8..CALL_HEAD)?, record.get(end..)?];
    let time = crate::format::u64_at(record, 8);
    (lines.len() <= MOST_LINES && sum(time, lines) == expected).then_some(parts)
}
