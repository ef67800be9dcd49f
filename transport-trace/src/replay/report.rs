//! What replay says when a program leaves its trace.

use std::fmt;

use serde::Serialize;

use super::difference::FieldDifference;
use crate::plural::{are, calls_are};

/// The first call, or look, that a trace has no answer for: where, what was expected, why nothing fits.
///
/// [`Display`](fmt::Display) is for people, several lines. It is also data: `serde_json::to_string` gives one object.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// The lane.
    pub lane: String,
    /// The call's number in its lane, from 0, as the live program counts.
    pub call: u64,
    /// The index of the record that was due, where there was one.
    pub index: Option<u64>,
    /// The live call, as text; `note_pages()` where the program looked at its shared pages.
    pub live: String,
    /// What happened.
    pub cause: Cause,
    /// In what the live call differs from the record that was due.
    pub differences: Vec<FieldDifference>,
    /// The calls before it, the oldest first.
    pub before: Vec<Line>,
    /// The calls that the trace has next, the one that was due first.
    pub next: Vec<Line>,
    /// The records that come nearest, the nearest first.
    pub candidates: Vec<Candidate>,
}

/// Why a trace has no answer for a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The record that is due is another call.
    OtherCall,
    /// The record that is due is the same call with other arguments.
    OtherArguments,
    /// No unused record is the same call with these arguments.
    NoMatch,
    /// All records of the lane were used.
    End,
    /// There is no such lane in the trace: these there are.
    NoLane {
        /// The lanes' names.
        lanes: Vec<String>,
    },
    /// Calls are missing from the trace here.
    Missing {
        /// How many. 0 where only what a shared page held on the way is missing.
        count: u64,
        /// Why.
        why: String,
    },
    /// Calls are missing from the trace here, and nobody knows how many.
    MissingUnknown {
        /// Why.
        why: String,
    },
    /// The recorded call never returned: the recording ends inside it.
    Unfinished,
    /// A shared page does not hold what it held when the call was recorded.
    Page {
        /// The page's number in the lane.
        page: u32,
    },
    /// The program looks at its shared pages again and again, and the trace has nothing more to show before the next call: the
    /// recorded program saw what this one waits for without a look, or gave up.
    Waits {
        /// Looks in a row that found nothing while no lane made a call.
        looks: u64,
    },
    /// The program's description of the call is not the trace's: they are of different versions of the interface.
    OtherInterface {
        /// The first difference.
        what: String,
    },
}

/// A recorded call, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its index in the lane.
    pub index: u64,
    /// The call with its answer.
    pub text: String,
}

/// A record that comes near.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Its lane.
    pub lane: String,
    /// Its index in the lane.
    pub index: u64,
    /// The call with its answer.
    pub text: String,
    /// Why it is not the one.
    pub why_not: WhyNot,
}

/// Why a record that comes near is not the one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhyNot {
    /// It answered this call of the live program already.
    Used {
        /// The call's number in its lane.
        by: u64,
    },
    /// It differs.
    Differs {
        /// In these values.
        differences: Vec<FieldDifference>,
    },
    /// It fits, and other calls come before it.
    Later {
        /// How many.
        after: u64,
    },
    /// It fits, and stands in another lane.
    OtherLane,
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Used { by } => write!(f, "already used at #{by}"),
            Self::Later { after: 1 } => f.write_str("another call comes before it"),
            Self::Later { after } => write!(f, "{after} other calls come before it"),
            Self::OtherLane => f.write_str("it stands in another lane"),
            Self::Differs { differences } => {
                for (place, difference) in differences.iter().enumerate() {
                    write!(f, "{}{difference}", if place == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCall => f.write_str("the trace has another call here"),
            Self::OtherArguments => {
                f.write_str("the trace has this call with other arguments here")
            }
            Self::NoMatch => f.write_str("no unused record fits"),
            Self::End => f.write_str("the trace has no further call in this lane"),
            Self::NoLane { lanes } => {
                write!(f, "the trace has no such lane, only: {}", lanes.join(", "))
            }
            Self::Missing { count: 0, why } => {
                write!(
                    f,
                    "what was seen in between is missing from the trace ({why})"
                )
            }
            Self::Missing { count, why } => {
                let missing = are(*count, "call");
                write!(f, "{missing} missing from the trace here ({why})")
            }
            Self::MissingUnknown { why } => {
                let missing = calls_are(None);
                write!(f, "{missing} missing from the trace here ({why})")
            }
            Self::Unfinished => {
                f.write_str("the recorded call never returned: the recording ends inside it")
            }
            Self::Page { page } => {
                write!(
                    f,
                    "shared page {page} does not hold what it held when this was recorded"
                )
            }
            Self::Waits { looks } => write!(
                f,
                "the program waits: {looks} looks at its shared pages found nothing, and the trace has nothing more to show before \
                 the next call. The recorded program acted on what it saw without another look (note_pages), or gave up; \
                 `hcall check` tells where, `empty_looks` allows more"
            ),
            Self::OtherInterface { what } => write!(
                f,
                "the trace was recorded with another version of the interface: {what}"
            ),
        }
    }
}

impl Divergence {
    /// The report in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self {
            lane,
            call,
            live,
            cause,
            ..
        } = self;
        let due = match (cause, self.next.first()) {
            (Cause::OtherCall | Cause::OtherArguments, Some(Line { text, .. })) => {
                format!("; expected {text}")
            }
            _ => String::new(),
        };
        let first = match self.differences.first() {
            Some(difference) => format!("; {difference}"),
            None => String::new(),
        };
        format!("replay diverged at {lane}#{call}, {live}: {cause}{due}{first}")
    }
}

/// As [`Display`](fmt::Display): this is what `unwrap`, and a test that ends with it, print.
impl fmt::Debug for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lane,
            call,
            live,
            cause,
            ..
        } = self;
        writeln!(f, "replay diverged at {lane}#{call}: {cause}")?;
        writeln!(f, "  the program called   {live}")?;
        if let Some(due) = self.next.first() {
            writeln!(
                f,
                "  the trace has next   {} ({lane}#{})",
                due.text, due.index
            )?;
        }
        for difference in &self.differences {
            writeln!(f, "    {difference}")?;
        }
        lines(f, lane, "calls before:", &self.before)?;
        lines(
            f,
            lane,
            "expected next:",
            self.next.get(1..).unwrap_or_default(),
        )?;
        // The one that was due stands above, with what it differs in.
        let due = self.next.first().map(|due| due.index);
        let told = |candidate: &&Candidate| {
            candidate.lane == *lane
                && Some(candidate.index) == due
                && matches!(&candidate.why_not, WhyNot::Differs { differences } if *differences == self.differences)
        };
        let others = || self.candidates.iter().filter(|candidate| !told(candidate));
        if others().next().is_some() {
            writeln!(f, "  nearest records:")?;
        }
        for Candidate {
            lane,
            index,
            text,
            why_not,
        } in others()
        {
            writeln!(f, "    {lane}#{index}  {text}")?;
            writeln!(f, "      not this one: {why_not}")?;
        }
        Ok(())
    }
}

fn lines(f: &mut fmt::Formatter<'_>, lane: &str, title: &str, lines: &[Line]) -> fmt::Result {
    if !lines.is_empty() {
        writeln!(f, "  {title}")?;
    }
    for Line { index, text } in lines {
        writeln!(f, "    {lane}#{index}  {text}")?;
    }
    Ok(())
}

impl std::error::Error for Divergence {}
