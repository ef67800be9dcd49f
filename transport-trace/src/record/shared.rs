//! What the lanes of a recording and its drain share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ring::Consumer;

/// What the lanes and the drain share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(super) turn: Condvar,
    /// The process that the drain runs in.
    process: u32,
    /// Ticks a second, as the newest point of the clock says; 0 where that is not known.
    frequency: AtomicU64,
    /// How long a call waits for its announcement.
    patience: Duration,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) added: Vec<Added>,
    pub(super) stop: bool,
    /// Announcements that were asked for, and that were made.
    pub(super) asked: u64,
    pub(super) answered: u64,
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
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            state: Mutex::default(),
            turn: Condvar::new(),
            process: std::process::id(),
            frequency: AtomicU64::new(0),
            patience,
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
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
    pub(super) fn note_frequency(&self, consumer: &Consumer<'static>) {
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

    /// Waits until the call that was just entered is on the disk, the drain is gone, or all of that takes too long: one
    /// announcement may be many writes, each of which the drain has patience with.
    pub(crate) fn announce(&self) {
        if !self.is_here() {
            return;
        }
        let start = Instant::now();
        let mut state = self.state();
        state.asked = state.asked.saturating_add(1);
        let ticket = state.asked;
        self.turn.notify_all();
        while state.answered < ticket && !state.gone {
            let left = self.patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return;
            }
            (state, _) = self
                .turn
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Lets nobody wait for a drain that is gone, however it went.
pub(super) struct Gone(pub(super) Arc<Shared>);

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
