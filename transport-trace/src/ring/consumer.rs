//! The end of a ring that records are taken out at.

use super::area::{Area, view};
#[cfg(feature = "std")]
use super::layout::head;
use super::layout::{FIRST, Geometry, STATE, USED, state, used_of};
use super::narrow;
use crate::format::record::{LOST_LENGTH, kind, parse_word};
#[cfg(feature = "std")]
use crate::loss::{Loss, LossCause};
#[cfg(not(loom))]
use core::sync::atomic::Ordering;
#[cfg(loom)]
use loom::sync::atomic::Ordering;

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

impl<'m> Consumer<'m> {
    pub(super) const fn new(area: Area<'m>, geometry: Geometry) -> Self {
        Self {
            area,
            geometry,
            block: 0,
            sequence: 1,
            done: 0,
            index: 0,
            refused: None,
        }
    }

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
    ///
    /// One look over the blocks is not enough: the producer may begin a block that was looked at already, fill it, and begin
    /// another one, and the later one would be found alone. But whoever finds a block finds, from then on, every older one
    /// that is still there: the producer began it before. So the second look finds the oldest.
    fn find_oldest(&mut self) -> Option<()> {
        self.look_over()?;
        let (sequence, block) = self.look_over()?;
        if sequence == self.sequence && block == self.block {
            return None;
        }
        self.sequence = sequence;
        self.block = block;
        self.done = 0;
        self.refused = None;
        Some(())
    }

    /// The oldest block of those that one look over all of them finds.
    fn look_over(&self) -> Option<(u64, usize)> {
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
        oldest
    }

    /// The end of the complete records of the held block, and the index behind them. In a full block an entered call is
    /// complete as it is: the producer went on without its return.
    fn complete(&self, start: usize, full: bool) -> (usize, u64) {
        let used = narrow(used_of(
            self.area.line(self.block, USED).load(Ordering::Acquire),
        ))
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
        let used = narrow(used_of(
            self.area.line(self.block, USED).load(Ordering::Acquire),
        ))
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
    /// Calls that were overwritten before the next batch.
    pub(crate) fn overwritten(&mut self) -> u64 {
        let Some((_, overwritten)) = self.hold(true) else {
            return 0;
        };
        // That is still for `take` to report.
        self.index = self.index.saturating_sub(overwritten);
        self.area
            .line(self.block, STATE)
            .fetch_and(!state::READING, Ordering::Release);
        overwritten
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
        if self.area.head(head::LOST_INDEX).load(Ordering::Relaxed) < self.index {
            return Loss::default();
        }
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

    #[cfg(all(feature = "std", not(loom)))]
    /// Calls that came while the lane was in use, and stand nowhere yet.
    pub(crate) fn busy(&self) -> u64 {
        self.area.head(head::BUSY).load(Ordering::Relaxed)
    }

    #[cfg(all(feature = "std", not(loom)))]
    /// Takes the count of the calls that came while the lane was in use, and stand nowhere yet.
    pub(crate) fn take_busy(&self) -> Loss {
        Loss {
            count: self.area.head(head::BUSY).swap(0, Ordering::Relaxed),
            cause: LossCause::Busy,
            ..Loss::default()
        }
    }

    #[cfg(feature = "std")]
    /// Says that nobody empties the ring any more: a producer does not wait for room.
    pub(crate) fn close(&self) {
        self.area.head(head::CLOSED).store(1, Ordering::Relaxed);
    }

    #[cfg(all(feature = "std", not(loom)))]
    /// Notes the clock's ticks a second, for whoever finds the ring alone.
    pub(crate) fn note_frequency(&self, frequency: u64) {
        self.area
            .head(head::FREQUENCY)
            .store(frequency, Ordering::Relaxed);
    }

    #[cfg(all(feature = "std", not(loom)))]
    /// Says whether whoever empties the ring cannot do so at present: a producer does not wait for room meanwhile.
    pub(crate) fn set_stuck(&self, stuck: bool) {
        let word = if stuck { 2 } else { 0 };
        self.area.head(head::CLOSED).store(word, Ordering::Relaxed);
    }
}
