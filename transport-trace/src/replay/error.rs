//! Why a trace cannot be replayed at all.

use std::fmt;
use std::path::PathBuf;

use crate::entry::{Damaged, Entry};
use crate::plural::{count, no_recording};
use crate::read::OpenError;

use super::recorded::{Recorded, TooLarge};

/// Why a trace cannot be replayed.
#[non_exhaustive]
pub enum ReplayError {
    /// There is no such trace.
    Missing(PathBuf),
    /// The trace cannot be opened.
    Open(OpenError),
    /// Parts of the trace cannot be read. [`Options::accept_damage`](super::Options::accept_damage) replays the rest up to
    /// the first call that is missing.
    Damaged(Vec<Damaged>),
    /// The trace is larger than memory may be. [`Options::memory`](super::Options::memory) raises the limit.
    TooLarge(TooLarge),
    /// The trace was joined from several recordings, and a replay is of one: [`Options::recording`](super::Options::recording)
    /// chooses it.
    Joined {
        /// How many there are, those of which nothing was recorded included.
        recordings: u32,
    },
    /// The recording that was chosen is not in the trace.
    NoRecording {
        /// Its number, from 0.
        asked: u32,
        /// How many there are.
        recordings: u32,
    },
    /// The trace was recorded with another version of the interface.
    OtherInterface {
        /// The interface's name.
        interface: String,
        /// What differs, a phrase for each call that the trace uses.
        differences: Vec<String>,
    },
}

/// As [`Display`](fmt::Display): this is what `unwrap`, and a test that ends with it, print.
impl fmt::Debug for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => {
                write!(
                    f,
                    "there is no trace {}: record one first, or check the path",
                    path.display()
                )
            }
            Self::Open(error) => error.fmt(f),
            Self::TooLarge(error) => error.fmt(f),
            Self::Damaged(stretches) => {
                let parts = u64::try_from(stretches.len()).unwrap_or(u64::MAX);
                write!(f, "{} of the trace cannot be read", count(parts, "part"))?;
                if let Some(first) = stretches.first() {
                    write!(
                        f,
                        "; the first, {} bytes from byte {} on: {}",
                        first.length, first.offset, first.defect
                    )?;
                }
                if stretches.iter().any(Damaged::is_unknown) {
                    f.write_str(", and an unknown number of calls with them")?;
                }
                f.write_str(". What is whole can be replayed with accept_damage")
            }
            Self::Joined { recordings } => {
                let last = recordings.saturating_sub(1);
                write!(
                    f,
                    "the trace was joined from {recordings} recordings, and a replay is of one of them: choose it with \
                     `Options::recording`, 0 to {last}"
                )
            }
            Self::NoRecording { asked, recordings } => {
                f.write_str(&no_recording(*asked, *recordings))
            }
            Self::OtherInterface {
                interface,
                differences,
            } => {
                write!(
                    f,
                    "the trace was recorded with another version of the interface {interface}: {}",
                    differences.join("; ")
                )
            }
        }
    }
}

impl std::error::Error for ReplayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open(error) => Some(error),
            Self::TooLarge(error) => Some(error),
            _ => None,
        }
    }
}

impl From<OpenError> for ReplayError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::NotFound(path) => Self::Missing(path),
            other => Self::Open(other),
        }
    }
}

impl From<TooLarge> for ReplayError {
    fn from(error: TooLarge) -> Self {
        Self::TooLarge(error)
    }
}

/// The damage among the entries.
pub(crate) fn damage(recorded: &Recorded) -> Vec<Damaged> {
    let damaged = recorded.entries.iter().filter_map(|entry| match entry {
        Entry::Damaged(damaged) => Some(damaged.clone()),
        _ => None,
    });
    damaged.collect()
}
