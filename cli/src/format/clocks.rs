//! The clocks of a file: each of the recordings that were joined to it has its own.

use std::collections::BTreeMap;

use hypercall_trace::clock::ClockInfo;
use hypercall_trace::read::Trace;

/// The clocks, and which of them counts now.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    /// Those that are known, by recording.
    all: BTreeMap<u32, ClockInfo>,
    recording: u32,
    now: ClockInfo,
}

impl Clocks {
    /// Of an opened trace, at its first recording.
    #[must_use]
    pub fn of(trace: &Trace) -> Self {
        Self {
            all: trace.clocks().map(|(of, clock)| (of, *clock)).collect(),
            recording: 0,
            now: *trace.clock(),
        }
    }

    /// What comes next is of this recording. Whether it is another one than before.
    pub fn enter(&mut self, recording: u32) -> bool {
        if recording == self.recording {
            return false;
        }
        self.recording = recording;
        // No recording has the clock of another: one that has none has no times.
        self.now = self.all.get(&recording).copied().unwrap_or_default();
        true
    }

    /// The clock of the recording that is looked at.
    #[must_use]
    pub const fn now(&self) -> &ClockInfo {
        &self.now
    }
}

impl From<ClockInfo> for Clocks {
    /// Of the first recording; nothing is known of others.
    fn from(clock: ClockInfo) -> Self {
        Self {
            all: BTreeMap::from([(0, clock)]),
            recording: 0,
            now: clock,
        }
    }
}
