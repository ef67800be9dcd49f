//! How a replay went.

use std::fmt;

use serde::Serialize;

use super::report::{Divergence, Line};
use crate::plural::{count, were};

/// A recorded call, by its lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OfLane {
    /// The lane.
    pub lane: String,
    /// The call.
    #[serde(flatten)]
    pub line: Line,
}

/// How a replay went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Calls that were answered from records.
    pub answered: u64,
    /// Where the program left the trace.
    pub divergence: Option<Divergence>,
    /// Records that a loose replay passed over.
    pub skipped: Vec<OfLane>,
    /// Records that no call used.
    pub unused: Vec<OfLane>,
}

impl Report {
    /// Whether the program did what the trace has, all of it, and nothing else.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.divergence.is_none() && self.skipped.is_empty() && self.unused.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} answered", count(self.answered, "call"))?;
        if let Some(divergence) = &self.divergence {
            write!(f, "{divergence}")?;
        }
        for (what, records) in [("skipped", &self.skipped), ("never used", &self.unused)] {
            if !records.is_empty() {
                let records = u64::try_from(records.len()).unwrap_or(u64::MAX);
                writeln!(f, "{} {what}:", were(records, "record"))?;
            }
            for OfLane {
                lane,
                line: Line { index, text },
            } in records
            {
                writeln!(f, "  {lane}#{index}  {text}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Report {}
