//! How a replay went.

use std::collections::BTreeMap;
use std::fmt;

use hypercall_core::layer::fault::Tally;
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

/// What became of a fault of the [plan](super::Options::faults).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Injected {
    /// The fault, as a plan has it.
    pub fault: String,
    /// How many calls it was about.
    pub seen: u64,
    /// To how many of them it happened.
    pub acted: u64,
}

/// How a replay went.
///
/// [`Display`](fmt::Display) is for people: of long lists it has the first lines of each lane. `serde_json::to_string` gives all.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Calls that were answered from records.
    pub answered: u64,
    /// The faults of the plan, in its order: one that never happened tested nothing.
    pub faults: Vec<Injected>,
    /// Where the program left the trace.
    pub divergence: Option<Divergence>,
    /// Records that a loose replay passed over.
    pub skipped: Vec<OfLane>,
    /// Records that no call used.
    pub unused: Vec<OfLane>,
    /// Places where calls are missing from the trace: nobody knows whether the program would have made them. Those that were
    /// [crossed](super::Options::cross_losses) are not among them.
    pub missing: Vec<Gap>,
    /// Pairs of recorded and live names that were not tied to each other, since 1,048,576 are: later calls with any other name in
    /// their place were accepted.
    pub untied: u64,
}

impl Report {
    /// Whether the program did what was recorded, all of it, and nothing else, and every fault of the plan happened.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.divergence.is_none()
            && self.skipped.is_empty()
            && self.unused.is_empty()
            && self.missing.is_empty()
            && self.untied == 0
            && self.faults.iter().all(|fault| fault.acted != 0)
    }
}

impl From<Tally<'_>> for Injected {
    fn from(tally: Tally<'_>) -> Self {
        let Tally { fault, seen, acted } = tally;
        Self {
            fault: fault.to_string(),
            seen,
            acted,
        }
    }
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, seen, acted } = self;
        let seen_calls = counted(*seen, "call");
        match (acted, seen) {
            (0, 0) => write!(f, "{fault}  never happened: no such call was made"),
            (0, _) => write!(
                f,
                "{fault}  never happened: it is about {seen_calls} that came, and struck none"
            ),
            _ => write!(f, "{fault}  happened to {acted} of {seen_calls}"),
        }
    }
}

/// How many lines of each lane a list has: a program that stops at its first call leaves all others unused.
const LINES: u64 = 10;

/// Cuts a list behind so many lines of each lane.
#[derive(Default)]
struct Cut<'l>(BTreeMap<&'l str, u64>);

impl<'l> Cut<'l> {
    /// Whether the next line of a lane is shown.
    fn shows(&mut self, lane: &'l str) -> bool {
        let lines = self.0.entry(lane).or_default();
        *lines = lines.saturating_add(1);
        *lines <= LINES
    }

    /// What was not shown.
    fn more(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (lane, lines) in &self.0 {
            if let more @ 1.. = lines.saturating_sub(LINES) {
                writeln!(f, "  and {more} more of {lane}")?;
            }
        }
        Ok(())
    }
}

/// As [`Display`](fmt::Display): this is what `unwrap`, and a test that ends with the report, print.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} answered", counted(self.answered, "call"))?;
        // Before what they may have led to.
        if !self.faults.is_empty() {
            writeln!(f, "faults of the plan:")?;
        }
        for fault in &self.faults {
            writeln!(f, "  {fault}")?;
        }
        if let Some(divergence) = &self.divergence {
            write!(f, "{divergence}")?;
        }
        for (what, records) in [("skipped", &self.skipped), ("never used", &self.unused)] {
            if !records.is_empty() {
                let records = u64::try_from(records.len()).unwrap_or(u64::MAX);
                writeln!(f, "{} {what}:", were(records, "record"))?;
            }
            let mut cut = Cut::default();
            for OfLane {
                lane,
                line: Line { index, text },
            } in records
            {
                if cut.shows(lane) {
                    writeln!(f, "  {lane}#{index}  {text}")?;
                }
            }
            cut.more(f)?;
        }
        let mut cut = Cut::default();
        for Gap {
            lane,
            after,
            count,
            why,
        } in &self.missing
        {
            if !cut.shows(lane) {
                continue;
            }
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
        if cut.0.values().any(|gaps| *gaps > LINES) {
            writeln!(f, "more is missing:")?;
            cut.more(f)?;
        }
        if self.untied != 0 {
            let pairs = were(self.untied, "pair");
            writeln!(f, "{pairs} of names not tied: there are more than are kept")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hypercall_core::Client;
    use hypercall_core::acrn::{Hypervisor as _, HypervisorCalls, VmId};

    use crate::entry::{Argument, Call, Entry, Outcome};
    use crate::replay::{Recorded, Replayer};
    use crate::schema::Schema;

    #[test]
    fn a_replay_whose_names_are_not_all_compared_is_not_clean() {
        let schema = Arc::new(Schema::from_interfaces(&[HypervisorCalls::INTERFACE]));
        let pause = schema.find(None, "pause_vm").unwrap();
        let call = |index| {
            Entry::Call(Call {
                lane: 0,
                index,
                schema: Some(Arc::clone(pause)),
                number: pause.number,
                args: [Argument::Value(1), Argument::Unused],
                enter: 0,
                duration: None,
                outcome: Outcome::Returned(0),
            })
        };
        let recorded = Recorded {
            entries: vec![call(0), call(1)],
            schema: Arc::clone(&schema),
            ..Recorded::default()
        };
        let replay = |full: bool, second: u16| {
            let replayer = Replayer::options().recorded(recorded.clone()).unwrap();
            if full {
                replayer.shared.lock().bindings.fill();
            }
            let hypervisor = Client::new(replayer.lane("lane 0"));
            hypervisor.pause_vm(VmId(1)).unwrap();
            let _ = hypervisor.pause_vm(VmId(second));
            replayer.finish()
        };
        assert!(replay(false, 1).is_ok());
        assert!(replay(false, 2).unwrap_err().divergence.is_some());
        let report = replay(true, 2).unwrap_err();
        assert_eq!((report.answered, report.untied), (2, 2));
        assert!(report.divergence.is_none());
        assert!(report.to_string().contains("2 pairs were"), "{report}");
        // Each name stood for itself, and nobody would have noticed otherwise.
        assert_eq!(replay(true, 1).unwrap_err().untied, 2);
    }
}
