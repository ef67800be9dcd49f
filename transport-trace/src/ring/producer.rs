//! The end of a ring that records are put in at.

use super::area::Area;
use super::layout::{
    FIRSTS, Full, Geometry, STATE, USED, head, line_at, lost_check, state, used_word,
};
use super::record::Record;
use crate::format::record::{LOST_LENGTH, kind};
use crate::loss::{Loss, LossCause};
#[cfg(not(loom))]
use core::sync::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};

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

/// The end that records are put in at.
#[derive(Debug)]
pub(crate) struct Producer<'m> {
    pub(super) area: Area<'m>,
    geometry: Geometry,
    full: Full,
    /// The block that is being filled.
    block: usize,
    /// Where its bytes start.
    pub(super) start: usize,
    /// Its `used`, so that it need not be loaded.
    pub(super) used: usize,
    /// Up to where it may be filled: 0 when there is no such block.
    pub(super) limit: usize,
    /// Where the control word is that says `used` to the consumer.
    pub(super) used_at: usize,
    sequence: u64,
    /// The index of the next call.
    next_index: u64,
    pub(super) loss: Loss,
    /// Below which `used` and the bytes of its arguments a call may take the short way: 0 where none may, and while there
    /// are losses to note first.
    pub(super) short_below: usize,
    /// Whether there is a short way.
    short: bool,
    /// Whether lines are copied and summed on it 64 bytes at a time.
    #[cfg(feature = "std")]
    pub(super) wide: bool,
}

impl<'m> Producer<'m> {
    pub(super) fn new(area: Area<'m>, geometry: Geometry, full: Full) -> Self {
        Self {
            area,
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
            short_below: 0,
            short: super::short::available(),
            #[cfg(feature = "std")]
            wide: super::lines::wide(),
        }
    }

    /// Where the calls are counted that come while the lane is in use.
    #[cfg(all(feature = "std", not(loom)))]
    pub(crate) fn busy(&self) -> super::Busy<'m> {
        super::Busy::new(self.area.twin())
    }

    pub(crate) const fn full(&self) -> Full {
        self.full
    }

    /// The most bytes that a record may have.
    pub(crate) const fn largest(&self) -> usize {
        self.geometry.block_size.saturating_sub(LOST_LENGTH)
    }

    /// Whether nobody empties the ring any more, or at present.
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
        for word in FIRSTS {
            self.area.line(next, word).store(first, Ordering::Relaxed);
        }
        self.area.line(next, STATE).store(
            state::WRITING | (self.sequence << state::SEQUENCE),
            Ordering::Release,
        );
        self.block = next;
        self.start = self.geometry.start(next);
        self.used = 0;
        self.limit = self.geometry.block_size;
        self.used_at = line_at(next, USED);
        self.open_short();
        Ok(())
    }

    /// Begins the next block, where there is a short way, and only too little room for a call with so many bytes of memory. Whether
    /// there is room now. Where not, the long way finds out what to do.
    pub(crate) fn open_for(&mut self, bytes: usize) -> bool {
        let need = bytes.saturating_add(super::short::ROOM + 7);
        self.short
            && self.loss.count == 0
            && need > self.limit.wrapping_sub(self.used)
            && need <= self.geometry.block_size
            && self.next_block().is_ok()
    }

    /// Closes the short way for good: to see whether the long one records the same.
    #[cfg(all(test, feature = "std", not(loom)))]
    pub(crate) fn only_long(&mut self) {
        (self.short, self.short_below) = (false, 0);
    }

    /// Opens the short way, where there is one and nothing is to be noted first.
    fn open_short(&mut self) {
        self.short_below = if self.short && self.loss.count == 0 {
            self.limit
                .saturating_add(1)
                .saturating_sub(super::short::ROOM)
        } else {
            0
        };
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
        Record::new(
            self.area.base,
            self.start,
            start,
            at.min(self.limit),
            self.limit,
            crc,
            self.used_at,
            &mut self.used,
        )
    }

    /// Counts a call: its index is taken.
    #[inline(always)]
    pub(crate) fn count_call(&mut self) {
        self.next_index = self.next_index.wrapping_add(1);
    }

    /// Notes a call that is not recorded.
    #[cold]
    pub(crate) fn lose(&mut self, cause: LossCause, ticks: u64) {
        if self.loss.count == 0 {
            // Whoever finds a later index taken out of the ring knows that these are in a record.
            for word in [head::LOST_INDEX, head::LOST_INDEX_AGAIN] {
                self.area
                    .head(word)
                    .store(self.next_index, Ordering::Relaxed);
            }
        }
        self.loss.add(cause, ticks);
        self.short_below = 0;
        self.next_index = self.next_index.saturating_add(1);
        // Only the producer writes these; the count goes last, so that whoever finds it finds the rest. The copy of the
        // count goes before it: whoever finds them one apart knows that the process died in between.
        // In both halves: the cause is sure also where the process died before the check was written.
        let cause = used_word(u64::from(self.loss.cause.code()));
        let check = lost_check(self.loss.count, self.loss.first, self.loss.last, cause);
        for (word, value) in [
            (head::LOST_FIRST, self.loss.first),
            (head::LOST_LAST, self.loss.last),
            (head::LOST_CAUSE, cause),
            (head::LOST_CHECK, check),
            (head::LOST_AGAIN, self.loss.count),
        ] {
            self.area.head(word).store(value, Ordering::Relaxed);
        }
        self.area
            .head(head::LOST)
            .store(self.loss.count, Ordering::Release);
    }

    /// Writes what was lost as a record, where there is room for it.
    pub(crate) fn settle(&mut self) {
        if self.loss.count != 0 {
            let _ = self.reserve_slowly(0);
        }
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
        self.open_short();
        self.area.head(head::LOST).store(0, Ordering::Release);
        self.area.head(head::LOST_AGAIN).store(0, Ordering::Release);
    }
}
