//! What a call may write, by its description alone.

use std::ops::Range;

use hypercall_core::call::{CallInfo, Direction, LinkTarget, RegisterInfo};

use crate::recorder::{Read, Write};

/// The guest memory that a call may write. Addresses are wider than the guest's, so that nothing wraps.
///
/// `extent` is what its rules say of a buffer that the interface does not describe; `reads` is what the dispatcher saw
/// of a header.
pub fn allowed(call: &CallInfo, args: [u64; 2], extent: usize, reads: &[Read]) -> Vec<Range<u128>> {
    let mut ranges = Vec::new();
    for (register, address) in call.registers.iter().zip(args) {
        match register {
            RegisterInfo::Unused | RegisterInfo::Value { .. } => {}
            RegisterInfo::Bytes { direction, .. } => {
                if writes(*direction) {
                    ranges.push(range(address, extent as u128));
                }
            }
            RegisterInfo::Block {
                direction,
                size,
                link,
                ..
            } => {
                if writes(*direction) {
                    ranges.push(range(address, *size as u128));
                }
                if let Some(link) = link
                    && let LinkTarget::Array {
                        direction,
                        size: element,
                        count_offset,
                        count_size,
                        ..
                    } = link.target
                    && writes(direction)
                    && let Some(header) = seen(reads, address, *size)
                {
                    let pointer = field(header, link.offset, 8);
                    let count = field(header, count_offset, count_size);
                    ranges.push(range(pointer, u128::from(count) * element as u128));
                }
            }
        }
    }
    ranges
}

/// Holds a call to its description: where it wrote, and that a call that fails stored nothing.
///
/// Two ways to fail come after a store: an element of an array that is refused after others were applied, and memory
/// that cannot be written, which the last write then is.
///
/// # Panics
/// Where it did otherwise.
pub fn check_writes(
    call: &CallInfo,
    answer: Option<i64>,
    writes: &[Write],
    allowed: &[Range<u128>],
) {
    for write in writes {
        assert!(
            write.is_within(allowed),
            "{call:?}: {write:x?} is outside {allowed:x?}"
        );
    }
    let failed = answer.is_none_or(|rax| rax < 0);
    let unwritable = writes.last().is_some_and(|last| !last.stored);
    if failed && !unwritable && !call.has_array() {
        assert!(
            writes.is_empty(),
            "{call:?} answered {answer:?}, and yet stored {writes:x?}"
        );
    }
}

const fn writes(direction: Direction) -> bool {
    matches!(direction, Direction::Write | Direction::ReadWrite)
}

fn range(start: u64, length: u128) -> Range<u128> {
    u128::from(start)..u128::from(start) + length
}

/// What the dispatcher saw of a block, the last time that it looked.
pub fn seen(reads: &[Read], gpa: u64, size: usize) -> Option<&[u8]> {
    reads.iter().rev().find_map(|read| match &read.bytes {
        Ok(bytes) if read.gpa == gpa && bytes.len() == size => Some(bytes.as_slice()),
        _ => None,
    })
}

/// A little-endian field of at most eight bytes.
pub fn field(block: &[u8], offset: usize, size: usize) -> u64 {
    let bytes = block.iter().skip(offset).take(size);
    bytes
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}
