//! Empties the rings of a recording into its file.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::patient::Patient;
use super::shared::{Added, Gone, Shared};
use super::storage::{Finished, Storage as _, SyncPolicy};
use super::summary::Summary;
use super::waiting::Beside;
use crate::clock::ClockPoint;
use crate::format::out::Out;
use crate::format::record::{LOST_LENGTH, kind, word};
use crate::format::{BlockKind, put};
use crate::loss::{Loss, LossCause};
use crate::ring::{Consumer, Full, Taken};

/// How often the drain looks for full blocks, and how often for what is in blocks that are not full.
const POLL: Duration = Duration::from_millis(1);
const IDLE: Duration = Duration::from_millis(10);
const PARTIAL: Duration = Duration::from_millis(100);
/// When the second point of the clock is written: without it the ticks of a process that is killed are no times.
const EARLY: Duration = Duration::from_millis(20);
/// How often further points of the clock are written.
const CLOCK: Duration = Duration::from_secs(1);
/// How long after a failure of the sink it is tried again.
const RETRY: Duration = Duration::from_millis(20);
/// How often it is tried again when the recording stops.
const LAST_TRIES: u32 = 10;
/// How often in a row the sink may take nothing until no call waits for it any more: about a second.
const PATIENCE: u32 = 50;
/// How often a ring is taken from until the next one has its turn.
const TAKES: u32 = 1024;

/// The drain of a recording.
pub(crate) struct Drain {
    pub(crate) shared: Arc<Shared>,
    pub(crate) out: Out<Patient>,
    pub(crate) sync: SyncPolicy,
    pub(crate) full: Full,
    pub(crate) clock: Box<dyn Fn() -> ClockPoint + Send>,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) finished: Finished,
    pub(crate) unsynced: Option<Instant>,
    pub(crate) beside: Beside,
    /// How often in a row the sink took nothing.
    pub(crate) refusals: u32,
}

pub(crate) struct Lane {
    pub(super) id: u32,
    pub(super) consumer: Consumer<'static>,
    /// Whether the batch that was refused waits in `out` already.
    queued: bool,
    /// The index of the call that was announced last.
    announced: Option<u64>,
    /// The index behind the call that is in the file as one that never returned. Nothing is taken behind it, not even its
    /// return.
    pub(super) ended: Option<u64>,
}

/// However the drain goes, no call waits for it.
impl Drop for Lane {
    fn drop(&mut self) {
        self.consumer.close();
    }
}

impl Drain {
    /// Runs until the recording stops.
    pub(crate) fn run(mut self) -> Finished {
        let _gone = Gone(Arc::clone(&self.shared));
        let mut last_partial = Instant::now();
        let mut last_clock = Instant::now();
        let mut clock_every = EARLY;
        let mut tries = LAST_TRIES;
        loop {
            let (stop, asked) = self.news();
            let announce = self.sync == SyncPolicy::EachCall;
            let partial = stop || announce || last_partial.elapsed() >= PARTIAL;
            if partial {
                last_partial = Instant::now();
            }
            let mut moved = false;
            let before = self.out.written();
            let result = self.round(partial, &mut moved);
            if last_clock.elapsed() >= clock_every {
                last_clock = Instant::now();
                clock_every = CLOCK;
                self.note_clock(result.is_ok());
            }
            let result = result.and_then(|()| if announce { self.announce() } else { Ok(()) });
            let result = result
                .and_then(|()| self.out.flush())
                .and_then(|()| self.sync_if_due());
            self.answer(asked);
            let result = result.and_then(|()| if stop { self.last_records() } else { Ok(()) });
            if let Err(error) = &result {
                self.finished.failures = self.finished.failures.saturating_add(1);
                self.finished.failure = Some(error.to_string());
            }
            if !stop {
                let nothing = self.out.written() == before && !self.out.is_flushed();
                self.note_refusal(result.is_err() && nothing);
            }
            if stop && result.is_ok() {
                return self.finish();
            }
            if stop {
                tries = tries.saturating_sub(1);
                if tries == 0 {
                    return self.give_up();
                }
                std::thread::sleep(RETRY);
                continue;
            }
            self.sleep(match result {
                Err(_) => RETRY,
                Ok(()) if moved => POLL,
                Ok(()) => IDLE,
            });
        }
    }

    /// Takes in new lanes. Whether to stop, and how many announcements were asked for.
    fn news(&mut self) -> (bool, u64) {
        let (added, stop, asked) = {
            let mut state = self.shared.state();
            (std::mem::take(&mut state.added), state.stop, state.asked)
        };
        for Added {
            lane,
            name,
            consumer,
        } in added
        {
            self.out.queue_lane(lane, &name);
            // It may have been measured meanwhile.
            self.shared.note_frequency(&consumer);
            self.beside.names.insert(lane, name);
            self.lanes.push(Lane {
                id: lane,
                consumer,
                queued: false,
                announced: None,
                ended: None,
            });
        }
        (stop, asked)
    }

    /// Puts a point of the clock into the file, where that takes it, and how fast the clock goes into the rings.
    fn note_clock(&mut self, into_file: bool) {
        let point = (self.clock)();
        self.shared.set_frequency(point.frequency);
        for lane in &self.lanes {
            self.shared.note_frequency(&lane.consumer);
        }
        if into_file {
            self.out.queue_clock(&point);
        }
    }

    /// Says to the lanes whether to wait for room is of use.
    fn note_refusal(&mut self, refused: bool) {
        let was = self.refusals;
        self.refusals = if refused { was.saturating_add(1) } else { 0 };
        if was >= PATIENCE || self.refusals >= PATIENCE {
            for lane in &self.lanes {
                lane.consumer.set_stuck(self.refusals >= PATIENCE);
            }
        }
    }

    fn answer(&self, asked: u64) {
        let mut state = self.shared.state();
        if asked > state.answered {
            state.answered = asked;
            drop(state);
            self.shared.turn.notify_all();
        }
    }

    /// Waits for the time, or for somebody who wants something.
    fn sleep(&self, time: Duration) {
        let state = self.shared.state();
        if !state.stop && state.asked == state.answered {
            drop(self.shared.turn.wait_timeout(state, time));
        }
    }

    /// Takes what the rings have. A sync that fails keeps nothing from being taken.
    pub(super) fn round(&mut self, partial: bool, moved: &mut bool) -> io::Result<()> {
        self.out.flush()?;
        let mut synced = Ok(());
        for lane in self.lanes.iter_mut().filter(|lane| lane.ended.is_none()) {
            for _ in 0..TAKES {
                let mut result = Ok(());
                let Lane {
                    id,
                    consumer,
                    queued,
                    ..
                } = &mut *lane;
                let (out, full, finished) = (&mut self.out, self.full, &mut self.finished);
                let taken = consumer.take(partial, |batch| {
                    if !std::mem::take(queued) {
                        if batch.overwritten != 0 {
                            let loss = Loss {
                                count: batch.overwritten,
                                cause: LossCause::Overwritten,
                                ..Loss::default()
                            };
                            let first = batch.first_index.saturating_sub(batch.overwritten);
                            queue_loss(out, *id, first, &loss);
                            finished.lost = finished.lost.saturating_add(batch.overwritten);
                        }
                        if !batch.bytes.is_empty() {
                            let summary = Summary::of(batch.bytes);
                            let header = summary.header(*id, batch.first_index, &[]);
                            let calls = u64::from(header.calls);
                            finished.calls = finished.calls.saturating_add(calls);
                            finished.lost = finished
                                .lost
                                .saturating_add(summary.indices.saturating_sub(calls));
                            out.queue(header, batch.bytes);
                        }
                    }
                    result = out.flush();
                    // The records leave the ring when they are written. Where the ring overwrites, it may not wait for
                    // a disk: they stay in memory then.
                    let gone = result.is_ok() || full == Full::Overwrite;
                    *queued = !gone;
                    gone
                });
                *moved |= taken == Taken::Some;
                if taken == Taken::Some && self.sync != SyncPolicy::Never {
                    self.unsynced.get_or_insert_with(Instant::now);
                }
                result?;
                if taken != Taken::Some {
                    break;
                }
                if self.sync == SyncPolicy::EachBlock {
                    synced = synced.and(sync(&mut self.out, &mut self.unsynced));
                }
            }
        }
        synced
    }

    /// Puts the calls that were entered and have not returned onto the disk.
    fn announce(&mut self) -> io::Result<()> {
        for lane in &mut self.lanes {
            let Lane {
                id,
                consumer,
                announced,
                ..
            } = lane;
            let (out, unsynced) = (&mut self.out, &mut self.unsynced);
            consumer.entered(|index, word, body| {
                // A call that takes longer than the drain sleeps is seen again.
                if announced.replace(index) != Some(index) {
                    queue_entered(out, BlockKind::Announce, *id, index, word, body);
                    unsynced.get_or_insert_with(Instant::now);
                }
            });
        }
        self.out.flush()?;
        if self.unsynced.is_some() {
            sync(&mut self.out, &mut self.unsynced)?;
        }
        Ok(())
    }

    fn sync_if_due(&mut self) -> io::Result<()> {
        let due = match (self.sync, self.unsynced) {
            (SyncPolicy::Every(limit), Some(since)) => since.elapsed() >= limit,
            // The one behind a block failed.
            (SyncPolicy::EachBlock, Some(_)) => true,
            _ => false,
        };
        if due {
            sync(&mut self.out, &mut self.unsynced)?;
        }
        Ok(())
    }
}

/// Asks what was written onto the disk. Where that fails, what was written stays unsynced.
pub(super) fn sync(out: &mut Out<Patient>, unsynced: &mut Option<Instant>) -> io::Result<()> {
    loop {
        match out.sink().sync() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(()) => {
                *unsynced = None;
                return Ok(());
            }
        }
    }
}

pub(super) fn queue_loss<S: Write>(out: &mut Out<S>, lane: u32, index: u64, loss: &Loss) {
    let mut record = [0; LOST_LENGTH];
    put(&mut record, 8, &loss.encode());
    let (_, first) = word(0, &record[8..], LOST_LENGTH / 8, kind::LOST);
    put(&mut record, 0, &first.to_le_bytes());
    out.queue(Summary::of(&record).header(lane, index, &[]), &record);
}

pub(super) fn queue_entered<S: Write>(
    out: &mut Out<S>,
    kind: BlockKind,
    lane: u32,
    index: u64,
    word: u64,
    body: &[u8],
) {
    let mut record = word.to_le_bytes().to_vec();
    record.extend_from_slice(body);
    let mut header = Summary::of_entered(word, body).header(lane, index, &[]);
    header.kind = kind;
    out.queue(header, &record);
}
