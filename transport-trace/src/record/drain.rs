//! Empties the rings of a recording into its file.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::patient::Patient;
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
/// How often the rings are looked at when the recording stops, while calls go on.
const LAST_ROUNDS: u32 = 8;
/// How often a ring is taken from until the next one has its turn.
const TAKES: u32 = 1024;

/// When what was written is asked onto the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// When the operating system likes. A killed process loses nothing; a machine that loses its power may.
    #[default]
    Never,
    /// At most this long after it was written.
    Every(Duration),
    /// After each block.
    EachBlock,
    /// Before each call: the call is announced on the disk before it is made, so that a call that stops the machine is
    /// seen there. A call then takes as long as the disk; one that the disk does not take is made all the same, after one
    /// attempt, and so is one for which it takes longer than the recording's [patience](super::RecordingOptions::patience).
    EachCall,
}

/// Takes the bytes of a recording: a file, or something that plays one in a test. It is used, and dropped, in a thread of its own.
pub trait Storage: Write + Send + 'static {
    /// Asks what was written onto the disk.
    ///
    /// # Errors
    /// As the storage says.
    fn sync(&mut self) -> io::Result<()>;
}

impl Storage for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// What came of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finished {
    /// Calls that the storage took.
    pub calls: u64,
    /// Calls that are known to be neither in the storage nor beside the rings: those that were not recorded, those that were
    /// overwritten.
    pub lost: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// How often the storage failed. What it did not take was kept and tried again.
    pub failures: u64,
    /// What it said the last time.
    pub failure: Option<String>,
    /// Whether everything reached the storage.
    pub complete: bool,
    /// Where the rings are, which stay when not everything reached the storage. What had left them already lies beside them;
    /// `recover` reads both.
    pub rings: Option<std::path::PathBuf>,
}

/// What the lanes and the drain share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    turn: Condvar,
    /// The process that the drain runs in.
    process: u32,
    /// Ticks a second, as the newest point of the clock says; 0 where that is not known.
    frequency: AtomicU64,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            turn: Condvar::new(),
            process: std::process::id(),
            frequency: AtomicU64::new(0),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    added: Vec<Added>,
    stop: bool,
    /// Announcements that were asked for, and that were made.
    asked: u64,
    answered: u64,
    gone: bool,
}

/// A lane that the drain does not know yet.
#[derive(Debug)]
pub(crate) struct Added {
    pub(crate) lane: u32,
    pub(crate) name: String,
    pub(crate) consumer: Consumer<'static>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the drain runs in this process. In a child of `fork` it does not, and the lock may be held by a thread that is
    /// not there either.
    pub(crate) fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    pub(crate) fn set_frequency(&self, frequency: u64) {
        self.frequency.store(frequency, Ordering::Relaxed);
    }

    /// Puts how fast the clock is into a ring, for whoever finds that alone.
    fn note_frequency(&self, consumer: &Consumer<'static>) {
        consumer.note_frequency(self.frequency.load(Ordering::Relaxed));
    }

    pub(crate) fn add(&self, added: Added) {
        // The process may be killed before the drain looks.
        self.note_frequency(&added.consumer);
        let mut state = self.state();
        if state.gone {
            added.consumer.close();
        } else {
            state.added.push(added);
        }
    }

    pub(crate) fn stop(&self) {
        self.state().stop = true;
        self.turn.notify_all();
    }

    /// Waits until the call that was just entered is on the disk, or the drain is gone.
    pub(crate) fn announce(&self) {
        if !self.is_here() {
            return;
        }
        let mut state = self.state();
        state.asked = state.asked.saturating_add(1);
        let ticket = state.asked;
        self.turn.notify_all();
        while state.answered < ticket && !state.gone {
            state = self
                .turn
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

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
    id: u32,
    consumer: Consumer<'static>,
    /// Whether the batch that was refused waits in `out` already.
    queued: bool,
    /// The index of the call that was announced last.
    announced: Option<u64>,
    /// The index behind the call that is in the file as one that never returned. Nothing is taken behind it, not even its
    /// return.
    ended: Option<u64>,
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
                self.note_refusal(result.is_err() && self.out.written() == before);
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

    /// Takes what the rings have.
    fn round(&mut self, partial: bool, moved: &mut bool) -> io::Result<()> {
        self.out.flush()?;
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
                if taken == Taken::Some && self.sync == SyncPolicy::EachBlock && result.is_ok() {
                    result = self.out.sink().sync();
                }
                result?;
                if taken != Taken::Some {
                    break;
                }
                if self.sync != SyncPolicy::Never {
                    self.unsynced.get_or_insert_with(Instant::now);
                }
            }
        }
        Ok(())
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
            self.out.sink().sync()?;
            self.unsynced = None;
        }
        Ok(())
    }

    /// Takes what the rings have at the end: calls that returned while the storage was waited for, and those in flight as
    /// calls that never returned. Whoever looks for the one may miss the other, when a call returns meanwhile; so the rings
    /// are looked at until a look behind the last one for calls in flight finds nothing.
    ///
    /// A program that goes on with calls meanwhile does not hold this up: what it enters from now on is not recorded.
    fn last_records(&mut self) -> io::Result<()> {
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

    fn sync_if_due(&mut self) -> io::Result<()> {
        if let (SyncPolicy::Every(limit), Some(since)) = (self.sync, self.unsynced)
            && since.elapsed() >= limit
        {
            self.out.sink().sync()?;
            self.unsynced = None;
        }
        Ok(())
    }

    /// Leaves what the storage does not take to `recover`. There is no index: what is not in the file is in the rings, or left
    /// them when they overwrite, and waits beside them.
    fn give_up(mut self) -> Finished {
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

    /// Writes what is left: losses that stand in no record, the last point of the clock, the index.
    fn finish(mut self) -> Finished {
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
        self.out.queue_index();
        let result = self.out.flush().and_then(|()| self.out.sink().flush());
        let result = result.and_then(|()| match self.sync {
            SyncPolicy::Never => Ok(()),
            _ => self.out.sink().sync(),
        });
        self.finished.complete = result.is_ok();
        if let Err(error) = result {
            self.finished.failures = self.finished.failures.saturating_add(1);
            self.finished.failure = Some(error.to_string());
            // The calls stand in the rings too; not all losses do.
            self.leave_waiting(true);
        }
        self.finished.bytes = self.out.written();
        self.finished
    }
}

fn queue_loss<S: Write>(out: &mut Out<S>, lane: u32, index: u64, loss: &Loss) {
    let mut record = [0; LOST_LENGTH];
    put(&mut record, 8, &loss.encode());
    let (_, first) = word(0, &record[8..], LOST_LENGTH / 8, kind::LOST);
    put(&mut record, 0, &first.to_le_bytes());
    out.queue(Summary::of(&record).header(lane, index, &[]), &record);
}

fn queue_entered<S: Write>(
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

/// Lets nobody wait for a drain that is gone, however it went.
struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.gone = true;
        for added in state.added.drain(..) {
            added.consumer.close();
        }
        drop(state);
        self.0.turn.notify_all();
    }
}
