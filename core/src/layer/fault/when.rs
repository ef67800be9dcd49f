//! When a fault strikes.

/// Which of a sequence of calls, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct When {
    first: u64,
    last: Option<u64>,
    step: u64,
}

impl When {
    /// Every call.
    pub const ALWAYS: Self = Self {
        first: 1,
        last: None,
        step: 1,
    };

    /// From the call `first` to `last`, where there is a last one, every `step`th.
    ///
    /// `None` where it would never be, or says nothing: `first` and `step` start at 1, and `last` is not before
    /// `first`.
    #[must_use]
    pub const fn new(first: u64, last: Option<u64>, step: u64) -> Option<Self> {
        if first == 0 || step == 0 {
            return None;
        }
        let step = match last {
            Some(last) if last < first => return None,
            // A single call has no step, so that equal schedules compare equal.
            Some(last) if last == first => 1,
            _ => step,
        };
        Some(Self { first, last, step })
    }

    /// This call only.
    #[must_use]
    pub const fn once(count: u64) -> Option<Self> {
        Self::new(count, Some(count), 1)
    }

    /// This call and all after it.
    #[must_use]
    pub const fn starting(first: u64) -> Option<Self> {
        Self::new(first, None, 1)
    }

    /// Every `step`th call: `step`, twice `step`, …
    #[must_use]
    pub const fn every(step: u64) -> Option<Self> {
        Self::new(step, None, step)
    }

    /// Whether the call of this count is one of them.
    #[must_use]
    pub const fn contains(&self, count: u64) -> bool {
        let Some(since) = count.checked_sub(self.first) else {
            return false;
        };
        let ended = match self.last {
            Some(last) => count > last,
            None => false,
        };
        // The step is never 0.
        !ended && matches!(since.checked_rem(self.step), Some(0))
    }

    /// The first of them.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The count after which there is none, where there is such a count.
    #[must_use]
    pub const fn last(&self) -> Option<u64> {
        self.last
    }

    /// The distance between two of them.
    #[must_use]
    pub const fn step(&self) -> u64 {
        self.step
    }
}
