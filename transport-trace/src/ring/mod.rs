//! The ring: memory that one side fills with records and the other side empties, and that survives the process when it
//! lies in a shared mapping. This is the only file of the crate with `unsafe` code.
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

use core::marker::PhantomData;

use crate::format::record::{LOST_LENGTH, kind, parse_word, word};
use crate::loss::{Loss, LossCause};

pub(crate) mod layout;
#[cfg(all(test, loom))]
mod model;

pub use layout::Full;
use layout::{FIRST, Geometry, RING_MAGIC, STATE, USED, head, line_at, state};

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};

/// The memory of a ring, and what keeps it.
#[derive(Debug)]
struct Area<'m> {
    base: Base<'m>,
    #[cfg(all(feature = "std", not(loom)))]
    _keep: Option<std::sync::Arc<memmap2::MmapRaw>>,
}

impl Area<'_> {
    /// The same memory once more, for the other side.
    fn twin(&self) -> Self {
        Self {
            base: self.base,
            #[cfg(all(feature = "std", not(loom)))]
            _keep: self._keep.clone(),
        }
    }
}

impl<'m> core::ops::Deref for Area<'m> {
    type Target = Base<'m>;
    #[inline]
    fn deref(&self) -> &Base<'m> {
        &self.base
    }
}

/// Where the memory of a ring is. Does not outlive the [`Area`] that it is from.
///
/// Plain accesses are `unsafe`: that they do not race is the protocol's to say.
#[cfg(not(loom))]
#[derive(Clone, Copy, Debug)]
struct Base<'m> {
    start: *mut u8,
    bytes: usize,
    borrowed: PhantomData<&'m ()>,
}

// SAFETY: it is a pointer to memory that stays valid for 'm (or while the mapping is kept) whichever thread holds it. Which
// thread may access which bytes when is the protocol of this module, not a matter of where the pointer lives.
#[cfg(not(loom))]
unsafe impl Send for Base<'_> {}

#[cfg(not(loom))]
impl<'m> Base<'m> {
    /// A word as an atomic.
    ///
    /// # Safety
    /// `at` is a multiple of 8, and no plain access to the word is concurrent with the use of the result.
    #[inline(always)]
    unsafe fn atomic(self, at: usize) -> &'m AtomicU64 {
        debug_assert!(at.is_multiple_of(8) && at.saturating_add(8) <= self.bytes);
        // SAFETY: the callers' offsets come from a geometry that `bytes` was checked against when the ring was made; the
        // base is aligned to 8 (it was a [u64], or a page) and so is `at`; the memory is initialised and stays valid for
        // 'm, or as long as the mapping is kept. That no plain access is concurrent is the caller's promise.
        unsafe { AtomicU64::from_ptr(self.start.add(at).cast()) }
    }

    /// Copies bytes to `at`.
    ///
    /// # Safety
    /// Nobody else accesses these bytes at the same time.
    #[inline(always)]
    unsafe fn put(self, at: usize, bytes: &[u8]) {
        debug_assert!(at.saturating_add(bytes.len()) <= self.bytes);
        // SAFETY: in bounds by the geometry, as above; `bytes` is a Rust slice, which cannot overlap memory that only
        // this module hands out as slices while the producer does not write to it (P1, P4); no access is concurrent by
        // the caller's promise.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(at), bytes.len()) }
    }

    /// Puts a word at `at`.
    ///
    /// # Safety
    /// `at` is a multiple of 8, and nobody else accesses the word at the same time.
    #[inline(always)]
    unsafe fn put_word(self, at: usize, word: u64) {
        debug_assert!(at.is_multiple_of(8) && at.saturating_add(8) <= self.bytes);
        // SAFETY: in bounds and aligned, as in `atomic`; no access is concurrent by the caller's promise.
        unsafe { self.start.add(at).cast::<u64>().write(word.to_le()) }
    }

    /// Bytes at `at`.
    ///
    /// # Safety
    /// Nobody writes these bytes while the result lives.
    #[inline(always)]
    unsafe fn bytes(self, at: usize, length: usize) -> Bytes<'m> {
        debug_assert!(at.saturating_add(length) <= self.bytes);
        // SAFETY: in bounds, initialised and valid, as above; not written meanwhile by the caller's promise.
        unsafe { core::slice::from_raw_parts(self.start.add(at), length) }
    }
}

#[cfg(not(loom))]
type Bytes<'a> = &'a [u8];

/// The memory of a ring under loom: every word is both an atomic and a cell whose accesses loom checks for races.
#[cfg(loom)]
#[derive(Clone, Copy, Debug)]
struct Base<'m> {
    words: &'m [(AtomicU64, loom::cell::UnsafeCell<u64>)],
}

#[cfg(loom)]
type Bytes<'a> = Vec<u8>;

// SAFETY: as for the real one.
#[cfg(loom)]
unsafe impl Send for Base<'_> {}

#[cfg(loom)]
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a model for tests"
)]
impl<'m> Base<'m> {
    #[cfg(test)]
    fn modelled(bytes: usize) -> Self {
        let words: Vec<_> = (0..bytes / 8)
            .map(|_| (AtomicU64::new(0), loom::cell::UnsafeCell::new(0)))
            .collect();
        Self {
            words: words.leak(),
        }
    }
    unsafe fn atomic(self, at: usize) -> &'m AtomicU64 {
        &self.words[at / 8].0
    }
    unsafe fn put(self, at: usize, bytes: &[u8]) {
        for (step, part) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            // The first word of an earlier record is one no more.
            self.words[at / 8 + step].0.store(0, Ordering::Relaxed);
            // SAFETY: loom checks that nobody else accesses the cell.
            self.words[at / 8 + step]
                .1
                .with_mut(|cell| unsafe { *cell = u64::from_le_bytes(word) });
        }
    }
    unsafe fn put_word(self, at: usize, word: u64) {
        // SAFETY: as the caller promises.
        unsafe { self.put(at, &word.to_le_bytes()) };
    }
    unsafe fn bytes(self, at: usize, length: usize) -> Bytes<'m> {
        let mut bytes = Vec::new();
        for step in 0..length.div_ceil(8) {
            // The first words of records were stored as atomics.
            let (atomic, cell) = &self.words[at / 8 + step];
            let first = atomic.load(Ordering::Relaxed);
            // SAFETY: loom checks that nobody writes the cell.
            let word = if first == 0 {
                cell.with(|cell| unsafe { *cell })
            } else {
                first
            };
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

/// Bytes that were taken from a ring, under loom or not.
#[inline(always)]
fn view<'b>(bytes: &'b Bytes<'_>) -> &'b [u8] {
    bytes
}

impl<'m> Base<'m> {
    /// A control word: below the data, and only ever accessed atomically.
    #[inline]
    fn control(self, at: usize) -> &'m AtomicU64 {
        // SAFETY: control words have no plain accesses at all once the ring is made.
        unsafe { self.atomic(at) }
    }

    fn head(self, word: usize) -> &'m AtomicU64 {
        self.control(word.saturating_mul(8))
    }

    /// A control word of a block.
    fn line(self, block: usize, word: usize) -> &'m AtomicU64 {
        self.control(line_at(block, word))
    }
}

/// Loads a block's state for the producer.
#[inline]
fn look(line: &AtomicU64) -> u64 {
    // Loom 0.7 forgets the consumer's load of a word once the producer has loaded it too, and then does not try the
    // orders of the producer's store and that load. It does not forget when the producer's access is a write.
    if cfg!(loom) {
        line.fetch_or(0, Ordering::Acquire)
    } else {
        line.load(Ordering::Acquire)
    }
}

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
    let producer = Producer {
        area: area.twin(),
        geometry,
        full,
        block: geometry.blocks.saturating_sub(1),
        start: 0,
        used: 0,
        limit: 0,
        used_at: 0,
        sequence: 0,
        next_index: 0,
        loss: Loss::default(),
    };
    let consumer = Consumer {
        area,
        geometry,
        block: 0,
        sequence: 1,
        done: 0,
        index: 0,
        refused: None,
    };
    (producer, consumer)
}

/// The end that records are put in at.
#[derive(Debug)]
pub(crate) struct Producer<'m> {
    area: Area<'m>,
    geometry: Geometry,
    full: Full,
    /// The block that is being filled.
    block: usize,
    /// Where its bytes start.
    start: usize,
    /// Its `used`, so that it need not be loaded.
    used: usize,
    /// Up to where it may be filled: 0 when there is no such block.
    limit: usize,
    /// Where the control word is that says `used` to the consumer.
    used_at: usize,
    sequence: u64,
    /// The index of the next call.
    next_index: u64,
    loss: Loss,
}

impl<'m> Producer<'m> {
    pub(crate) const fn full(&self) -> Full {
        self.full
    }

    /// The most bytes that a record may have.
    pub(crate) const fn largest(&self) -> usize {
        self.geometry.block_size.saturating_sub(LOST_LENGTH)
    }

    /// Whether nobody empties the ring any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.area.head(head::CLOSED).load(Ordering::Relaxed) != 0
    }

    /// Finds room for a record that will need up to `need` bytes.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, need: usize) -> Result<(), LossCause> {
        if self.loss.count == 0 && need <= self.limit.wrapping_sub(self.used) {
            return Ok(());
        }
        self.reserve_slowly(need)
    }

    #[cold]
    fn reserve_slowly(&mut self, need: usize) -> Result<(), LossCause> {
        let loss_first = need.saturating_add(LOST_LENGTH);
        if loss_first > self.geometry.block_size {
            return Err(LossCause::TooLarge);
        }
        if loss_first > self.limit.wrapping_sub(self.used) {
            self.next_block()?;
        }
        self.put_loss();
        Ok(())
    }

    /// Takes the next block that may be begun anew. Where the oldest is overwritten, one that is being read is passed over: a
    /// consumer may wait for a disk.
    fn claim_next(&self) -> Option<usize> {
        let mut next = self.block;
        let tries = if self.full == Full::Overwrite {
            self.geometry.blocks.saturating_sub(1)
        } else {
            1
        };
        for _ in 0..tries {
            next = self.geometry.after(next);
            let line = self.area.line(next, STATE);
            let now = look(line);
            match now & state::MASK {
                state::FREE => return Some(next),
                // P3: not while somebody reads it.
                state::FULL if self.full == Full::Overwrite && now & state::READING == 0 => {
                    let claimed = (now & !state::MASK) | state::CLAIMED;
                    if line
                        .compare_exchange(now, claimed, Ordering::Acquire, Ordering::Relaxed)
                        .is_ok()
                    {
                        return Some(next);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Goes on to the next block.
    fn next_block(&mut self) -> Result<(), LossCause> {
        let next = self.claim_next().ok_or(LossCause::RingFull)?;
        if self.limit != 0 {
            // WRITING becomes FULL; READING stays as the consumer has it.
            self.area
                .line(self.block, STATE)
                .fetch_add(state::FULL.wrapping_sub(state::WRITING), Ordering::Release);
        }
        self.sequence = self.sequence.saturating_add(1);
        self.area.line(next, USED).store(0, Ordering::Relaxed);
        // What was lost before the block's first call becomes its first record.
        let first = self.next_index.saturating_sub(self.loss.count);
        self.area.line(next, FIRST).store(first, Ordering::Relaxed);
        self.area.line(next, STATE).store(
            state::WRITING | (self.sequence << state::SEQUENCE),
            Ordering::Release,
        );
        self.block = next;
        self.start = self.geometry.start(next);
        self.used = 0;
        self.limit = self.geometry.block_size;
        self.used_at = line_at(next, USED);
        Ok(())
    }

    /// Starts the record for which [`reserve`](Self::reserve) found room.
    #[inline(always)]
    pub(crate) fn begin(&mut self) -> Record<'_, 'm> {
        let at = self.used;
        // Room for the first word, which is written last.
        self.record(at, at.wrapping_add(8), 0)
    }

    /// Goes on with the last record, which starts at `start`, behind what is published of it, whose checksum is `crc`.
    #[inline(always)]
    pub(crate) fn resume(&mut self, start: usize, crc: u32) -> Record<'_, 'm> {
        let at = self.used;
        self.record(start.min(at), at, crc)
    }

    #[inline(always)]
    fn record(&mut self, start: usize, at: usize, crc: u32) -> Record<'_, 'm> {
        let at = at.min(self.limit);
        Record {
            base: self.area.base,
            block: self.start,
            start,
            from: at,
            summed: at,
            at,
            limit: self.limit,
            crc,
            used_at: self.used_at,
            used: &mut self.used,
        }
    }

    /// Counts a call: its index is taken.
    #[inline(always)]
    pub(crate) fn count_call(&mut self) {
        self.next_index = self.next_index.wrapping_add(1);
    }

    /// Notes a call that is not recorded.
    #[cold]
    pub(crate) fn lose(&mut self, cause: LossCause, ticks: u64) {
        self.loss.add(cause, ticks);
        self.next_index = self.next_index.saturating_add(1);
        // Only the producer writes these; the count goes last, so that whoever finds it finds the rest.
        self.area
            .head(head::LOST_FIRST)
            .store(self.loss.first, Ordering::Relaxed);
        self.area
            .head(head::LOST_LAST)
            .store(self.loss.last, Ordering::Relaxed);
        self.area
            .head(head::LOST_CAUSE)
            .store(u64::from(self.loss.cause.code()), Ordering::Relaxed);
        self.area
            .head(head::LOST)
            .store(self.loss.count, Ordering::Release);
    }

    /// Writes what was lost as a record, at the place where it was. There is room.
    fn put_loss(&mut self) {
        if self.loss.count == 0 {
            return;
        }
        let body = self.loss.encode();
        let mut record = self.begin();
        record.bytes(&body);
        record.publish(kind::LOST);
        self.loss = Loss::default();
        self.area.head(head::LOST).store(0, Ordering::Release);
    }
}

/// Bytes whose checksum is taken from the ring, together with that of what stands around them.
const SUMMED_LATER: usize = 192;

/// The checksum of bytes, and of more, and of zeros.
fn sum(crc: u32, bytes: &[u8], more: &[u8], zeros: usize) -> u32 {
    let crc = crate::checksum::append(crc, bytes);
    let crc = crate::checksum::append(crc, more);
    match [0; 8].get(..zeros) {
        None | Some([]) => crc,
        Some(zeros) => crate::checksum::append(crc, zeros),
    }
}

/// A record that is being written, from its second word on, or from where it was published up to.
///
/// What does not fit the block is left out; `reserve` found room for all that its caller announced. Offsets are in bytes from
/// the start of the block.
#[derive(Debug)]
pub(crate) struct Record<'p, 'm> {
    base: Base<'m>,
    /// Where the block is.
    block: usize,
    /// Where the record starts.
    start: usize,
    /// Where this part of it starts.
    from: usize,
    /// Up to where `crc` is the checksum of it, its first word left out.
    summed: usize,
    crc: u32,
    /// Where the next bytes go: a multiple of 8, not below `used` and not above `limit`.
    at: usize,
    /// The end of the block.
    limit: usize,
    used_at: usize,
    /// The producer's, which this borrows: nobody else writes to the block.
    used: &'p mut usize,
}

impl Record<'_, '_> {
    /// Where the record starts.
    pub(crate) const fn start(&self) -> usize {
        self.start
    }

    /// Where the next bytes go.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Puts words.
    ///
    /// They go straight into the ring. If they were gathered in front of it, they would be read back wider than they were
    /// written, for which processors wait.
    #[inline(always)]
    pub(crate) fn words<const N: usize>(&mut self, words: [u64; N]) {
        if self.limit.wrapping_sub(self.at) >= const { N * 8 } {
            let mut to = self.block.wrapping_add(self.at);
            for word in words {
                // SAFETY: P1: the block is being filled and the word is at or above `used`; in bounds, as just compared.
                unsafe { self.base.put_word(to, word) };
                to = to.wrapping_add(8);
            }
            self.at = self.at.wrapping_add(const { N * 8 });
        }
    }

    /// Puts a word.
    #[inline(always)]
    pub(crate) fn word(&mut self, word: u64) {
        self.words([word]);
    }

    /// Puts bytes, padded with zeros to whole words.
    #[inline(always)]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let length = bytes.len();
        // `limit` and `at` are multiples of 8: what fits still does when it is padded.
        if length <= self.limit.wrapping_sub(self.at) {
            let to = self.block.wrapping_add(self.at);
            let padded = crate::format::record::padded(length);
            if padded != length {
                // SAFETY: P1, as in `words`; in bounds, as just compared.
                unsafe {
                    self.base
                        .put_word(to.wrapping_add(padded).wrapping_sub(8), 0)
                };
            }
            // SAFETY: as above.
            unsafe { self.base.put(to, bytes) };
            if length > SUMMED_LATER {
                // While the source is at hand: bytes that were just written are slow to read back.
                self.crc = sum(
                    self.crc,
                    view(&self.unsummed()),
                    bytes,
                    padded.wrapping_sub(length),
                );
                self.summed = self.at.wrapping_add(padded);
            }
            self.at = self.at.wrapping_add(padded);
        }
    }

    /// What was put and has not gone into the checksum.
    #[inline(always)]
    fn unsummed(&self) -> Bytes<'_> {
        let at = self.block.wrapping_add(self.summed);
        // SAFETY: only the producer writes a block that is being filled, and it is borrowed.
        unsafe { self.base.bytes(at, self.at.wrapping_sub(self.summed)) }
    }

    /// Puts bytes over those that were put at `at`, as words or not longer than `SUMMED_LATER`.
    pub(crate) fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        if at >= self.summed
            && at
                .checked_add(bytes.len())
                .is_some_and(|end| end <= self.at)
        {
            // SAFETY: P1: between where this part of the record started, which was not below `used`, and what was put.
            unsafe { self.base.put(self.block.wrapping_add(at), bytes) };
        }
    }

    /// Whether the record holds these bytes at `at`.
    #[inline]
    pub(crate) fn holds(&self, at: usize, bytes: &[u8]) -> bool {
        if at
            .checked_add(bytes.len())
            .is_none_or(|end| end > self.limit)
        {
            return false;
        }
        // SAFETY: only the producer writes a block that is being filled, and it is borrowed. A record's first word, which
        // it writes atomically, may be among the bytes.
        let held = unsafe { self.base.bytes(self.block.wrapping_add(at), bytes.len()) };
        view(&held) == bytes
    }

    /// Makes the record visible as far as it was put. The checksum of all of it, its first word left out.
    #[inline(always)]
    pub(crate) fn publish(self, kind: u8) -> u32 {
        let words = self.at.wrapping_sub(self.start) / 8;
        let (crc, value) = word(self.crc, view(&self.unsummed()), words, kind);
        if self.at != self.from {
            let first = self.block.wrapping_add(self.start);
            // SAFETY: the first word of a record: at or above `used` (P1), or of the last record, where the consumer
            // accesses it atomically too until it is complete (P2, P4). A record is complete once and is not published
            // after that.
            unsafe { self.base.atomic(first) }.store(value, Ordering::Release);
            *self.used = self.at;
            self.base
                .control(self.used_at)
                .store(wide(self.at), Ordering::Release);
        }
        crc
    }
}

/// The end that records are taken out at.
#[derive(Debug)]
pub(crate) struct Consumer<'m> {
    area: Area<'m>,
    geometry: Geometry,
    /// The block that comes next.
    block: usize,
    /// The sequence number that it has, if nothing was overwritten.
    sequence: u64,
    /// What was taken of it already.
    done: usize,
    /// The index of the next call.
    index: u64,
    /// Where the batch ended that was refused, and the index behind it: it is offered again as it was.
    refused: Option<(usize, u64)>,
}

/// Records that are taken out.
#[derive(Debug)]
pub(crate) struct Batch<'b> {
    /// The records, one behind the other. Empty when there are only lost calls to report.
    pub(crate) bytes: &'b [u8],
    /// The index of the first call.
    pub(crate) first_index: u64,
    /// Calls before it that were overwritten.
    #[cfg_attr(
        not(feature = "std"),
        expect(dead_code, reason = "nothing is overwritten there")
    )]
    pub(crate) overwritten: u64,
}

/// What came of an attempt to take records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// There was nothing.
    Nothing,
    /// They were taken.
    Some,
    /// The taker did not want them. They stay, and are offered again, neither fewer nor more, unless they are overwritten.
    Refused,
}

impl Consumer<'_> {
    /// Hands the next records to `take`: those of a full block, or with `partial` also what is complete of the one that
    /// is being filled. They leave the ring when `take` says that it has them.
    pub(crate) fn take(&mut self, partial: bool, take: impl FnOnce(Batch<'_>) -> bool) -> Taken {
        let Some((now, overwritten)) = self.hold(partial) else {
            return Taken::Nothing;
        };
        let line = self.area.line(self.block, STATE);
        // The state first: `used` of a full block is final.
        let full = now & state::MASK == state::FULL;
        let start = self.geometry.start(self.block);
        let all = self.complete(start, full);
        let (end, index) = self.refused.take().unwrap_or(all);
        let mut taken = Taken::Nothing;
        if end != self.done || overwritten != 0 {
            let length = end.saturating_sub(self.done);
            // SAFETY: P4: READING is held, and the records up to `end` are complete: nobody writes them while it is.
            let bytes = unsafe { self.area.bytes(start.saturating_add(self.done), length) };
            let batch = Batch {
                bytes: view(&bytes),
                first_index: self.index,
                overwritten,
            };
            if !take(batch) {
                line.fetch_and(!state::READING, Ordering::Release);
                self.refused = Some((end, index));
                // What was overwritten is reported again with the next attempt.
                self.index = self.index.saturating_sub(overwritten);
                return Taken::Refused;
            }
            taken = Taken::Some;
            self.done = end;
            self.index = index;
        }
        if full && end == all.0 {
            // The last access is over: P3.
            line.store(state::FREE, Ordering::Release);
            self.sequence = self.sequence.saturating_add(1);
            self.block = self.geometry.after(self.block);
            self.done = 0;
            taken = Taken::Some;
        } else {
            line.fetch_and(!state::READING, Ordering::Release);
        }
        taken
    }

    /// Sets READING on the oldest block, where there is one. Its state as it was, and how many calls were overwritten
    /// before it.
    fn hold(&mut self, partial: bool) -> Option<(u64, u64)> {
        // An attempt fails only when the producer moved, so a few are enough; the next poll comes anyway.
        for _ in 0..8 {
            let line = self.area.line(self.block, STATE);
            let now = line.load(Ordering::Acquire);
            if now >> state::SEQUENCE != self.sequence || now & state::MASK == state::CLAIMED {
                self.find_oldest()?;
                continue;
            }
            match now & state::MASK {
                state::FULL => {}
                state::WRITING if partial => {}
                _ => return None,
            }
            if line
                .compare_exchange(
                    now,
                    now | state::READING,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                )
                .is_ok()
            {
                if self.done != 0 {
                    return Some((now, 0));
                }
                let first = self.area.line(self.block, FIRST).load(Ordering::Relaxed);
                let overwritten = first.saturating_sub(self.index);
                self.index = first;
                return Some((now, overwritten));
            }
        }
        None
    }

    /// Moves to the oldest block that was not taken. `None` when there is none.
    fn find_oldest(&mut self) -> Option<()> {
        let mut oldest: Option<(u64, usize)> = None;
        for block in 0..self.geometry.blocks {
            let now = self.area.line(block, STATE).load(Ordering::Acquire);
            let sequence = now >> state::SEQUENCE;
            if matches!(now & state::MASK, state::WRITING | state::FULL)
                && sequence >= self.sequence
                && oldest.is_none_or(|(least, _)| sequence < least)
            {
                oldest = Some((sequence, block));
            }
        }
        let (sequence, block) = oldest?;
        if sequence == self.sequence && block == self.block {
            return None;
        }
        self.sequence = sequence;
        self.block = block;
        self.done = 0;
        self.refused = None;
        Some(())
    }

    /// The end of the complete records of the held block, and the index behind them. In a full block an entered call is
    /// complete as it is: the producer went on without its return.
    fn complete(&self, start: usize, full: bool) -> (usize, u64) {
        let used = narrow(self.area.line(self.block, USED).load(Ordering::Acquire))
            .min(self.geometry.block_size);
        let (mut at, mut index) = (self.done, self.index);
        while at < used {
            // SAFETY: P4: the first word of a record below `used`, with READING held.
            let word =
                unsafe { self.area.atomic(start.saturating_add(at)) }.load(Ordering::Acquire);
            let (record, length) = parse_word(word);
            let end = at.saturating_add(length);
            // A record that just got longer is complete when `used` says so too.
            let in_flight = record == kind::ENTERED && end == used && !full;
            if in_flight || length < 16 || end > used {
                break;
            }
            if record < kind::OTHERS {
                index = index.saturating_add(1);
            } else if record == kind::LOST && length >= LOST_LENGTH {
                // SAFETY: P4: a complete record.
                let count = unsafe {
                    self.area
                        .bytes(start.saturating_add(at).saturating_add(24), 8)
                };
                index = index.saturating_add(crate::format::u64_at(view(&count), 0));
            }
            at = end;
        }
        (at, index)
    }

    /// Shows the call that was entered and has not returned, where that is the next record: its index, its first word,
    /// the rest of it.
    pub(crate) fn entered<R>(&mut self, show: impl FnOnce(u64, u64, &[u8]) -> R) -> Option<R> {
        let (_, overwritten) = self.hold(true)?;
        let line = self.area.line(self.block, STATE);
        if overwritten != 0 {
            // That is for `take` to report first.
            self.index = self.index.saturating_sub(overwritten);
            line.fetch_and(!state::READING, Ordering::Release);
            return None;
        }
        let start = self.geometry.start(self.block).saturating_add(self.done);
        let used = narrow(self.area.line(self.block, USED).load(Ordering::Acquire))
            .min(self.geometry.block_size);
        let mut shown = None;
        if self.done < used {
            // SAFETY: P4: the first word of a record below `used`, with READING held.
            let word = unsafe { self.area.atomic(start) }.load(Ordering::Acquire);
            let (record, length) = parse_word(word);
            if record == kind::ENTERED && length > 8 && self.done.saturating_add(length) <= used {
                // SAFETY: P2: what stands behind the first word of an entered record, up to the length that it had when
                // it was entered, is not written any more; it is below `used`, and READING is held.
                let body = unsafe {
                    self.area
                        .bytes(start.saturating_add(8), length.saturating_sub(8))
                };
                shown = Some(show(self.index, word, view(&body)));
            }
        }
        line.fetch_and(!state::READING, Ordering::Release);
        shown
    }

    #[cfg(feature = "std")]
    /// The index of the next call that will be taken.
    pub(crate) const fn index(&self) -> u64 {
        self.index
    }

    #[cfg(feature = "std")]
    /// Calls that were lost and stand in no record yet.
    pub(crate) fn loss(&self) -> Loss {
        let count = self.area.head(head::LOST).load(Ordering::Acquire);
        let cause = self
            .area
            .head(head::LOST_CAUSE)
            .load(Ordering::Relaxed)
            .to_le_bytes();
        Loss {
            count,
            first: self.area.head(head::LOST_FIRST).load(Ordering::Relaxed),
            last: self.area.head(head::LOST_LAST).load(Ordering::Relaxed),
            cause: LossCause::from_code(cause[0]),
        }
    }

    #[cfg(feature = "std")]
    /// Says that nobody empties the ring any more: a producer does not wait for room.
    pub(crate) fn close(&self) {
        self.area.head(head::CLOSED).store(1, Ordering::Relaxed);
    }
}

/// CRC-32C by the processor's instruction for it: of bytes that follow bytes with the checksum `crc`, and of those followed
/// by `more`. `None` where the processor has no such instruction.
#[cfg(all(feature = "std", target_arch = "x86_64", not(loom)))]
#[inline]
pub(crate) fn checksum_short(crc: u32, bytes: &[u8], more: u32) -> Option<(u32, u32)> {
    #[target_feature(enable = "sse4.2")]
    #[inline]
    fn with_sse(crc: u32, bytes: &[u8], more: u32) -> (u32, u32) {
        use core::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u32, _mm_crc32_u64};
        let (words, rest) = bytes.as_chunks();
        let mut wide = u64::from(!crc);
        for word in words {
            wide = _mm_crc32_u64(wide, u64::from_le_bytes(*word));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the instruction clears the upper half"
        )]
        let mut narrow = wide as u32;
        for byte in rest {
            narrow = _mm_crc32_u8(narrow, *byte);
        }
        (!narrow, !_mm_crc32_u32(narrow, more))
    }
    if std::is_x86_feature_detected!("sse4.2") {
        // SAFETY: the processor has what the function is compiled for, as was just asked.
        Some(unsafe { with_sse(crc, bytes, more) })
    } else {
        None
    }
}

/// The processor's time-stamp counter.
#[cfg(all(target_arch = "x86_64", not(loom)))]
#[inline]
pub(crate) fn time_stamp() -> u64 {
    // SAFETY: RDTSC has no operands and touches no memory. Where an operating system forbids it (CR4.TSD), the processor
    // raises an exception instead; that ends the program, it does not make it undefined.
    unsafe { core::arch::x86_64::_rdtsc() }
}
