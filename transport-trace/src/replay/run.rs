//! How a replay went.

use std::fmt;

use serde::Serialize;

use super::report::{Divergence, Line};
use crate::plural::{calls_are, count as counted, were};

/// A recorded call, by its lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OfLane {
    /// The lane.
    pub lane: String,
    /// The call.
    #[serde(flatten)]
    pub line: Line,
}

/// A place where calls are missing from the trace, which a replay did not cross.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The lane.
    pub lane: String,
    /// The index of the last recorded call before it.
    pub after: Option<u64>,
    /// How many calls; 0 where only what a shared page held is missing, `None` where nobody knows.
    pub count: Option<u64>,
    /// Why.
    pub why: String,
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
    /// Places where calls are missing from the trace: nobody knows whether the program would have made them. Those that were
    /// [crossed](super::Options::cross_losses) are not among them.
    pub missing: Vec<Gap>,
}

impl Report {
    /// Whether the program did what was recorded, all of it, and nothing else.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.divergence.is_none()
            && self.skipped.is_empty()
            && self.unused.is_empty()
            && self.missing.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} answered", counted(self.answered, "call"))?;
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
        for Gap {
            lane,
            after,
            count,
            why,
        } in &self.missing
        {
            match after {
                Some(after) => write!(f, "behind {lane}#{after} ")?,
                None => write!(f, "at the start of {lane} ")?,
            }
            match count {
                Some(0) => writeln!(
                    f,
                    "what a shared page held is missing from the trace ({why})"
                )?,
                count => writeln!(f, "{} missing from the trace ({why})", calls_are(*count))?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Report {}
