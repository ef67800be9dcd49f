//! What came of driving a trace.

use std::fmt;

use serde::Serialize;

use crate::plural::{calls_are, count, were};
use crate::replay::{FieldDifference, Line, OfLane};

/// Calls of each list that are told one by one.
pub(super) const MAX_LISTED: usize = 10_000;
/// Calls that are shown of those that were not made for one reason.
const LINES: usize = 10;

/// What came of driving a trace.
///
/// [`Display`](fmt::Display) is for people: of the calls that were not made it has the first of each reason. `serde_json::to_string` gives
/// all that are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Driven {
    /// Calls that were made.
    pub made: u64,
    /// Calls that were answered as recorded.
    pub same: u64,
    /// Calls that were made and not compared: their answers were lost when they were recorded.
    pub unknown: u64,
    /// Calls that were answered otherwise: the first one, unless all were asked for; at most 10,000.
    pub differences: Vec<OtherAnswer>,
    /// How many more were.
    pub more_differences: u64,
    /// Calls that were not made, at most 10,000.
    pub not_made: Vec<NotMade>,
    /// How many more were not.
    pub more_not_made: u64,
    /// Pairs of recorded and live names that were not tied to each other, since 1,048,576 are: later calls had the recorded ones.
    pub untied: u64,
    /// Changes of shared pages that were not written: there are more pages than are allocated, 65,536.
    pub pages_not_written: u64,
    /// Calls that are missing from the trace, of those whose number is known.
    pub missing: u64,
    /// Whether there are others, of which nobody knows how many.
    pub missing_unknown: bool,
}

impl Driven {
    pub(super) fn leave_out(&mut self, call: impl Fn() -> OfLane, why: WhyNotMade) {
        if self.not_made.len() < MAX_LISTED {
            self.not_made.push(NotMade { call: call(), why });
        } else {
            self.more_not_made = self.more_not_made.saturating_add(1);
        }
    }

    /// Each reason once, with the first calls that have it.
    fn not_made_by_reason(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons: Vec<(WhyNotMade, Vec<&OfLane>)> = Vec::new();
        for NotMade { call, why } in &self.not_made {
            match reasons.iter_mut().find(|(reason, _)| reason == why) {
                Some((_, calls)) => calls.push(call),
                None => reasons.push((*why, vec![call])),
            }
        }
        for (why, calls) in reasons {
            let number = u64::try_from(calls.len()).unwrap_or(u64::MAX);
            let of = if number == 1 { "" } else { "of each, " };
            writeln!(f, "{} not made: {of}{why}", were(number, "call"))?;
            for OfLane {
                lane,
                line: Line { index, text },
            } in calls.iter().take(LINES)
            {
                writeln!(f, "  {lane}#{index}  {text}")?;
            }
            if let more @ 1.. = calls.len().saturating_sub(LINES) {
                writeln!(f, "  and {more} more")?;
            }
        }
        Ok(())
    }

    pub(super) fn miss(&mut self, count: Option<u64>) {
        self.missing = self.missing.saturating_add(count.unwrap_or(0));
        self.missing_unknown |= count.is_none();
    }

    /// Whether every recorded call that had reached the hypervisor was made and compared, with its pages, and there was one.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let left_out = |call: &NotMade| call.why != WhyNotMade::NeverIssued;
        self.made != 0
            && self.unknown == 0
            && self.missing == 0
            && !self.missing_unknown
            && self.more_not_made == 0
            && self.untied == 0
            && self.pages_not_written == 0
            && !self.not_made.iter().any(left_out)
    }
}

/// A call that was answered otherwise than recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherAnswer {
    /// The call with its recorded answer.
    pub call: OfLane,
    /// The live answer.
    pub answer: String,
    /// The values: expected are the recorded ones, found the live ones.
    pub differences: Vec<FieldDifference>,
}

/// A call that was not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotMade {
    /// The call.
    pub call: OfLane,
    /// Why.
    pub why: WhyNotMade,
}

/// Why a call was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhyNotMade {
    /// It brought the machine down when it was recorded.
    Hazard,
    /// It never returned when it was recorded.
    Unfinished,
    /// It holds a secret, of which the trace has no more than a hash.
    Secret,
    /// It never reached the hypervisor when it was recorded: a layer or the transport refused it.
    NeverIssued,
    /// The driver's interface has no such call, or it carries other things there.
    OtherInterface,
    /// It hands over pages, and the calls before it handed over more than are allocated, 65,536: nobody gives them back.
    TooManyPages,
    /// It hands over several pages that follow each other, and what stands for the first of them was given or handed over with fewer.
    PagesApart,
}

impl fmt::Display for WhyNotMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hazard => "it brought the machine down when it was recorded",
            Self::Unfinished => "it never returned when it was recorded",
            Self::Secret => "it holds a secret, of which the trace has no more than a hash",
            Self::NeverIssued => "it never reached the hypervisor when it was recorded",
            Self::TooManyPages => "the calls before it handed over more pages than are allocated",
            Self::PagesApart => {
                "it hands over several pages, and the first of them was given or handed over with fewer"
            }
            Self::OtherInterface => {
                "the driver's interface has no such call, or it carries other things there"
            }
        })
    }
}

impl fmt::Display for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} made, {} answered as recorded",
            count(self.made, "call"),
            self.same
        )?;
        for OtherAnswer {
            call:
                OfLane {
                    lane,
                    line: Line { index, text },
                },
            answer,
            differences,
        } in &self.differences
        {
            writeln!(f, "{lane}#{index}  {text}\n  now answers {answer}")?;
            for difference in differences {
                writeln!(f, "    {difference}")?;
            }
        }
        self.not_made_by_reason(f)?;
        for (more, what) in [
            (self.more_differences, "answered otherwise"),
            (self.more_not_made, "not made"),
        ] {
            if more != 0 {
                writeln!(f, "and {more} more {what}")?;
            }
        }
        if self.untied != 0 {
            let names = were(self.untied, "name");
            writeln!(f, "{names} not tied to a live one: there are too many")?;
        }
        if self.pages_not_written != 0 {
            let changes = were(self.pages_not_written, "change");
            writeln!(
                f,
                "{changes} of shared pages not written: there are more pages than are allocated"
            )?;
        }
        if self.unknown != 0 {
            writeln!(
                f,
                "{} not compared: the recorded answer was lost",
                were(self.unknown, "call")
            )?;
        }
        let known = (self.missing != 0).then_some(self.missing);
        let unknown = self.missing_unknown.then_some(None);
        for count in known.map(Some).into_iter().chain(unknown) {
            writeln!(f, "{} missing from the trace", calls_are(count))?;
        }
        Ok(())
    }
}
