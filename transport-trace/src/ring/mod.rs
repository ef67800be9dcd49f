//! The ring: memory that one side fills with records and the other side empties, and that survives the process when it
//! lies in a shared mapping. This folder is the only one of the crate with `unsafe` code.
//!
//! # Shape
//! A head, a control line for each block, then the blocks. The producer fills one block after the other; the consumer
//! takes whole blocks, or what is complete of the one that is being filled. All control words are atomics and are only
//! ever accessed as such.
//!
//! A block's control line is `state | READING | sequence << 8`, `used`, `first index`. The states go
//! `FREE → WRITING → FULL → FREE`; when the oldest is overwritten, `FULL → CLAIMED → WRITING`.
//!
//! # Who may touch which byte
//! - **P1** Bytes at or above `used` of the block in state `WRITING` belong to the producer alone. It alone moves `used`,
//!   only upwards, and only while the block is `WRITING`.
//! - **P2** Bytes below `used` are never written again before the block is begun anew, except the first word of the last
//!   record, which is written once more, atomically, when a call returns.
//! - **P3** A block is begun anew only out of `FREE`, or out of `FULL` without `READING` by a compare-and-exchange to
//!   `CLAIMED`. Only the consumer makes a block `FREE`, and only after its last access.
//! - **P4** The consumer accesses a block's bytes only while it holds `READING`, which it sets with a
//!   compare-and-exchange on `WRITING` or `FULL`; then below `used`, loaded with acquire; and the first word of a record only atomically until it has
//!   seen in it that the record is complete.
//!
//! So plain writes (P1) and plain reads (P4) of the same byte are ordered: by the release store of `used` and its acquire load; and for the next
//! round by the consumer's release of the block and the producer's acquire of its state.
//!
//! There is one [`Producer`] and one [`Consumer`] for a ring: they are made together, by an exclusive borrow or a fresh
//! mapping, and neither can be cloned.
#![expect(
    unsafe_code,
    reason = "memory that two threads share, and that outlives the process; the protocol is above"
)]

mod area;
#[cfg(all(feature = "std", not(loom)))]
mod busy;
mod consumer;
mod crc;
pub(crate) mod layout;
#[cfg(feature = "std")]
mod lines;
#[cfg(all(test, loom))]
mod model;
#[cfg(feature = "std")]
mod polynomial;
mod processor;
mod producer;
mod record;
mod short;
#[cfg(all(test, feature = "std", not(loom)))]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]
mod threads;

use area::{Area, Base};
#[cfg(all(feature = "std", not(loom)))]
pub(crate) use busy::Busy;
pub(crate) use consumer::{Consumer, Taken};
pub use layout::Full;
use layout::{Geometry, RING_MAGIC, head};
#[cfg(all(
    feature = "std",
    target_arch = "x86_64",
    target_pointer_width = "64",
    not(any(loom, miri))
))]
pub(crate) use lines::sum_of_lines;
#[cfg(all(feature = "std", target_arch = "x86_64", not(loom)))]
pub(crate) use processor::checksum_short;
#[cfg(all(target_arch = "x86_64", not(loom)))]
pub(crate) use processor::time_stamp;
pub(crate) use producer::Producer;
pub(crate) use record::Record;
pub(crate) use short::Short;

#[cfg(not(loom))]
use core::marker::PhantomData;
#[cfg(not(loom))]
use core::sync::atomic::Ordering;
#[cfg(loom)]
use loom::sync::atomic::Ordering;

fn wide(value: usize) -> u64 {
    // usize has at most 64 bits where this crate compiles.
    value as u64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the values were written from a usize"
)]
fn narrow(value: u64) -> usize {
    value as usize
}

/// The two ends of a ring in memory that the caller gives. `None` when there is not room for two blocks of 1 KiB.
#[cfg(not(loom))]
pub(crate) fn borrowed<'m>(
    memory: &'m mut [u64],
    blocks: usize,
    full: Full,
) -> Option<(Producer<'m>, Consumer<'m>)> {
    let geometry = Geometry::divide(size_of_val(memory), blocks, 0, 8)?;
    memory.fill(0);
    let bytes = size_of_val(memory);
    let base = Base {
        start: memory.as_mut_ptr().cast(),
        bytes,
        borrowed: PhantomData,
    };
    let area = Area {
        base,
        #[cfg(feature = "std")]
        _keep: None,
    };
    Some(ends(area, geometry, full))
}

/// The two ends of a ring in a fresh mapping, with a preamble that says what a reader of the mapping needs to know.
/// `None` when there is not room for two blocks of 1 KiB.
#[cfg(all(feature = "std", not(loom)))]
pub(crate) fn mapped(
    map: memmap2::MmapRaw,
    blocks: usize,
    full: Full,
    preamble: &[u8],
    id: u64,
    lane: u32,
) -> Option<(Producer<'static>, Consumer<'static>)> {
    let geometry = Geometry::divide(map.len(), blocks, preamble.len(), 4096)?;
    let base = Base {
        start: map.as_mut_ptr(),
        bytes: map.len(),
        borrowed: PhantomData,
    };
    let area = Area {
        base,
        _keep: Some(std::sync::Arc::new(map)),
    };
    let at = Geometry::controls(geometry.blocks);
    // SAFETY: the mapping is fresh and its ends are not made yet: nobody else accesses it. The geometry has room for the
    // preamble between the control lines and the data.
    unsafe { area.put(at, preamble) };
    area.head(head::PREAMBLE)
        .store(wide(at) | (wide(preamble.len()) << 32), Ordering::Relaxed);
    area.head(head::ID).store(id, Ordering::Relaxed);
    area.head(head::LANE)
        .store(u64::from(lane), Ordering::Relaxed);
    Some(ends(area, geometry, full))
}

/// The two ends of a ring of two blocks, whose memory is loom's.
#[cfg(all(test, loom))]
pub(crate) fn modelled(block_size: usize, full: Full) -> (Producer<'static>, Consumer<'static>) {
    let geometry = Geometry {
        blocks: 2,
        block_size,
        data: Geometry::controls(2),
    };
    ends(
        Area {
            base: Base::modelled(geometry.total()),
        },
        geometry,
        full,
    )
}

fn ends(area: Area<'_>, geometry: Geometry, full: Full) -> (Producer<'_>, Consumer<'_>) {
    area.head(head::BLOCKS)
        .store(wide(geometry.blocks), Ordering::Relaxed);
    area.head(head::BLOCK_SIZE)
        .store(wide(geometry.block_size), Ordering::Relaxed);
    area.head(head::DATA)
        .store(wide(geometry.data), Ordering::Relaxed);
    area.head(head::MAGIC).store(RING_MAGIC, Ordering::Release);
    let producer = Producer::new(area.twin(), geometry, full);
    (producer, Consumer::new(area, geometry))
}
