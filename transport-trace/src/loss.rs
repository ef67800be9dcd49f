//! Calls that were not recorded: how many, why, when.

use crate::format::put;

/// Why calls are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LossCause {
    /// The ring was full, and the calls were not recorded.
    #[default]
    RingFull,
    /// The ring was full, and they were overwritten by later ones.
    Overwritten,
    /// They did not fit into a block of the ring.
    TooLarge,
    /// The lane was in use by another call.
    Busy,
    /// The sink failed.
    Sink,
    /// They stood in a damaged stretch of a file that this one was made from.
    Damaged,
    /// A cause that this version does not know.
    Other(u8),
}

impl LossCause {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::RingFull => 1,
            Self::Overwritten => 2,
            Self::TooLarge => 3,
            Self::Busy => 4,
            Self::Sink => 5,
            Self::Damaged => 6,
            Self::Other(code) => code,
        }
    }

    #[cfg(feature = "std")]
    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::RingFull,
            2 => Self::Overwritten,
            3 => Self::TooLarge,
            4 => Self::Busy,
            5 => Self::Sink,
            6 => Self::Damaged,
            other => Self::Other(other),
        }
    }
}

impl core::fmt::Display for LossCause {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::RingFull => f.write_str("the ring was full"),
            Self::Overwritten => f.write_str("overwritten by later calls"),
            Self::TooLarge => f.write_str("larger than a block of the ring"),
            Self::Busy => f.write_str("the lane was in use"),
            Self::Sink => f.write_str("the sink failed"),
            Self::Damaged => f.write_str("the file is damaged there"),
            Self::Other(code) => write!(f, "cause {code}"),
        }
    }
}

/// Calls in a row that are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) count: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) cause: LossCause,
}

impl Loss {
    /// Adds a call. The cause is the first one's.
    pub(crate) const fn add(&mut self, cause: LossCause, ticks: u64) {
        if self.count == 0 {
            self.first = ticks;
            self.cause = cause;
        }
        self.last = ticks;
        self.count = self.count.saturating_add(1);
    }

    /// The record behind its first word.
    pub(crate) fn encode(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        put(&mut bytes, 0, &self.first.to_le_bytes());
        put(&mut bytes, 8, &self.last.to_le_bytes());
        put(&mut bytes, 16, &self.count.to_le_bytes());
        put(&mut bytes, 24, &[self.cause.code()]);
        bytes
    }
}
