//! How a drain ends: with everything in the file, or with what the storage does not take left to `recover`.

use std::io::{self, Write as _};

use super::drain::{Drain, queue_entered, queue_loss, sync};
use super::storage::{Finished, SyncPolicy};
use crate::format::BlockKind;
use crate::ring::Full;

/// How often the rings are looked at when the recording stops, while calls go on.
const LAST_ROUNDS: u32 = 8;

impl Drain {
    /// Takes what the rings have at the end: calls that returned while the storage was waited for, and those in flight as
    /// calls that never returned. Whoever looks for the one may miss the other, when a call returns meanwhile; so the rings
    /// are looked at until a look behind the last one for calls in flight finds nothing.
    ///
    /// A program that goes on with calls meanwhile does not hold this up: what it enters from now on is not recorded.
    pub(super) fn last_records(&mut self) -> io::Result<()> {
        self.lanes.iter().for_each(|lane| lane.consumer.close());
        for round in 0..LAST_ROUNDS {
            let mut moved = false;
            self.round(true, &mut moved)?;
            if round != 0 && !moved {
                break;
            }
            for lane in self.lanes.iter_mut().filter(|lane| lane.ended.is_none()) {
                let (id, out, finished) = (lane.id, &mut self.out, &mut self.finished);
                lane.ended = lane.consumer.entered(|entered, word, body| {
                    queue_entered(out, BlockKind::Data, id, entered, word, body);
                    finished.calls = finished.calls.saturating_add(1);
                    entered.saturating_add(1)
                });
            }
        }
        self.out.flush()
    }

    /// Leaves what the storage does not take to `recover`. There is no index: what is not in the file is in the rings, or left
    /// them when they overwrite, and waits beside them.
    pub(super) fn give_up(mut self) -> Finished {
        for lane in &mut self.lanes {
            lane.consumer.close();
            for lost in [
                lane.consumer.overwritten(),
                lane.consumer.loss().count,
                lane.consumer.busy(),
            ] {
                self.finished.lost = self.finished.lost.saturating_add(lost);
            }
        }
        let (calls, kept) = self.leave_waiting(self.full == Full::Overwrite);
        if !kept && self.full == Full::Overwrite {
            self.finished.lost = self.finished.lost.saturating_add(calls);
        }
        self.finished.bytes = self.out.written();
        self.finished
    }

    /// Counts the calls that wait for the storage as not written, and with `keep` puts them beside the rings. How many there
    /// are, and whether they were put there.
    fn leave_waiting(&mut self, keep: bool) -> (u64, bool) {
        let waiting = self.out.waiting();
        let calls = super::waiting::calls(&waiting);
        self.finished.calls = self.finished.calls.saturating_sub(calls);
        if !keep {
            return (calls, false);
        }
        match self.beside.keep(&waiting) {
            Ok(()) => (calls, true),
            Err(error) => {
                self.finished.failures = self.finished.failures.saturating_add(1);
                self.finished.failure = Some(error.to_string());
                (calls, false)
            }
        }
    }

    /// Writes what is left: losses that stand in no record, the last point of the clock, and when all that is where it was asked to
    /// be, the index.
    ///
    /// Where a sync failed, whenever that was, there is no index: what was written before may be gone, and nobody can say.
    pub(super) fn finish(mut self) -> Finished {
        for lane in &self.lanes {
            let mut index = lane.ended.unwrap_or_else(|| lane.consumer.index());
            for loss in [lane.consumer.loss(), lane.consumer.take_busy()] {
                if loss.count != 0 {
                    queue_loss(&mut self.out, lane.id, index, &loss);
                    self.finished.lost = self.finished.lost.saturating_add(loss.count);
                    index = index.saturating_add(loss.count);
                }
            }
        }
        self.out.queue_clock(&(self.clock)());
        let mut result = self.settle();
        if result.is_ok() && self.out.sink().failed_sync().is_none() {
            self.out.queue_index();
            result = self.settle();
        }
        let failed_sync = self.out.sink().failed_sync().map(str::to_owned);
        self.finished.complete = result.is_ok() && failed_sync.is_none();
        if let Err(error) = result {
            self.finished.failures = self.finished.failures.saturating_add(1);
            self.finished.failure = Some(error.to_string());
            // The calls stand in the rings too; not all losses do.
            self.leave_waiting(true);
        }
        if let Some(text) = failed_sync {
            self.finished.failure = Some(format!(
                "a sync failed, so that what was written before it may not be on the disk: {text}"
            ));
        }
        self.finished.bytes = self.out.written();
        self.finished
    }

    /// Writes what is queued, and asks it onto the disk where the policy does that at all.
    fn settle(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.out.sink().flush()?;
        match self.sync {
            SyncPolicy::Never => Ok(()),
            _ => sync(&mut self.out, &mut self.unsynced),
        }
    }
}
