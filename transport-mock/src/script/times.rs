//! How often something is expected.

use core::fmt;
use core::ops::{RangeFrom, RangeFull, RangeInclusive, RangeToInclusive};

/// How often a call is expected: `3`, `1..=3`, `..=3`, `2..`, or `..` for as often as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    least: usize,
    most: Option<usize>,
}

impl Times {
    /// How often it must come.
    #[must_use]
    pub const fn least(&self) -> usize {
        self.least
    }

    /// How often it may come, where that is limited.
    #[must_use]
    pub const fn most(&self) -> Option<usize> {
        self.most
    }

    pub(super) fn allow_more_than(self, met: usize) -> bool {
        self.most.is_none_or(|most| met < most)
    }

    pub(super) fn can_be(self) -> bool {
        self.most.is_none_or(|most| self.least <= most)
    }
}

impl From<usize> for Times {
    fn from(count: usize) -> Self {
        (count..=count).into()
    }
}

impl From<RangeInclusive<usize>> for Times {
    fn from(range: RangeInclusive<usize>) -> Self {
        let (least, most) = range.into_inner();
        Self {
            least,
            most: Some(most),
        }
    }
}

impl From<RangeToInclusive<usize>> for Times {
    fn from(range: RangeToInclusive<usize>) -> Self {
        (0..=range.end).into()
    }
}

impl From<RangeFrom<usize>> for Times {
    fn from(range: RangeFrom<usize>) -> Self {
        Self {
            least: range.start,
            most: None,
        }
    }
}

impl From<RangeFull> for Times {
    fn from(_: RangeFull) -> Self {
        (0..).into()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (1, Some(1)) => f.write_str("once"),
            (least, Some(most)) if least == most => write!(f, "{least} times"),
            (0, None) => f.write_str("any number of times"),
            (least, Some(most)) => write!(f, "{least} to {most} times"),
            (1, None) => f.write_str("at least once"),
            (least, None) => write!(f, "at least {least} times"),
        }
    }
}
