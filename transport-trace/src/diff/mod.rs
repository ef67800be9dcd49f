//! Compares two traces: call by call, field by field.
//!
//! Lanes are compared by name. Within a lane calls are aligned by call and key, so that a call that only one trace has
//! does not make all that follows differ. The key is every plain value that goes in; names that the hypervisor gave out
//! count by the call that they came from, addresses not at all. What is left between aligned calls is aligned by the
//! calls' names. Then two calls are compared value by value, each by its role: names and addresses are tied at their first
//! sight, counters are not compared, and times never are.
//!
//! A window of 512 calls of each trace is in memory at a time (8192 where the traces have nothing in common), so traces may
//! be longer than memory, and time grows with their length. A call that was moved is one that only the first trace has,
//! and one that only the second has.
//!
//! ```
//! use hypercall_core::{Client, Gpa, acrn::{Hypervisor, HypervisorCalls, Vector, server::AcrnServer}};
//! use hypercall_mock::{fake::FakeAcrn, loopback::Loopback};
//! use hypercall_trace::diff::{Options, diff_traces};
//! use hypercall_trace::{read::Trace, record::{Recorder, Recording}};
//!
//! let run = |name: &str, vectors: &[u64]| -> Result<Trace, Box<dyn std::error::Error>> {
//!     let machine = FakeAcrn::new();
//!     let transport = Loopback::new(AcrnServer::new(&machine), &machine, Gpa(0x100_0000), 0x1_0000);
//!     let path = std::env::temp_dir().join(format!("hypercall-doc-diff-{}-{name}.hct", std::process::id()));
//!     let recording = Recording::options(&[HypervisorCalls::INTERFACE]).create(&path)?;
//!     let hypervisor = Client::new(Recorder::new(transport, recording.lane("main")?));
//!     for vector in vectors {
//!         hypervisor.set_callback_vector(Vector(*vector))?;
//!     }
//!     drop(hypervisor);
//!     recording.finish();
//!     let trace = Trace::open(&path);
//! #   std::fs::remove_file(&path)?;
//!     Ok(trace?)
//! };
//! let told = diff_traces(&run("one", &[0x40, 0x41, 0x42])?, &run("two", &[0x40, 0x42])?, Options::default());
//! assert_eq!((told.same, told.differences.len()), (2, 1));
//! assert_eq!(told.differences[0].to_string(), "- main#1  set_callback_vector(vector=Vector(0x41)) = 0");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod align;
mod key;
mod pair;
mod units;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::entry::{Damaged, Entry};
use crate::plural::{are, calls_are, count, were};
use crate::read::Trace;
use crate::replay::{FieldDifference, Line, Recorded};
use crate::schema::Schema;
pub(crate) use pair::{differences, outcome};
use units::Units;
use work::Work;

/// What is compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Leave out what changed in shared pages.
    pub without_pages: bool,
}

/// One thing in which two traces differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Difference {
    /// A call is in both, with other values.
    Changed {
        /// The lane.
        lane: String,
        /// The call in the first trace.
        left: Line,
        /// The call in the second trace.
        right: Line,
        /// The values: expected are the first trace's, found the second's.
        differences: Vec<FieldDifference>,
    },
    /// Other changes of shared pages are behind a lane's last call.
    PagesBehind {
        /// The lane.
        lane: String,
        /// The words: expected are the first trace's, found the second's.
        differences: Vec<FieldDifference>,
    },
    /// A call is in the first trace only.
    OnlyLeft {
        /// The lane.
        lane: String,
        /// The call.
        call: Line,
    },
    /// A call is in the second trace only.
    OnlyRight {
        /// The lane.
        lane: String,
        /// The call.
        call: Line,
    },
    /// Calls are missing from a trace: what was made of them is not known.
    Missing {
        /// The lane.
        lane: String,
        /// Whether they are missing from the first trace.
        left: bool,
        /// The index of the first of them, where it is known.
        index: u64,
        /// How many; `None` where nobody knows.
        count: Option<u64>,
        /// Why.
        why: String,
    },
    /// Calls are missing from a trace, of whichever lanes: what stood there says nothing any more.
    MissingAnywhere {
        /// Whether they are missing from the first trace.
        left: bool,
        /// Where in the file, in bytes.
        offset: u64,
        /// How many; `None` where nobody knows.
        count: Option<u64>,
        /// Why.
        why: String,
    },
    /// A lane is in the first trace only.
    LaneOnlyLeft {
        /// The lane.
        lane: String,
    },
    /// A lane is in the second trace only.
    LaneOnlyRight {
        /// The lane.
        lane: String,
    },
}

/// The result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// How many calls are the same.
    pub same: u64,
    /// In what the traces differ, lane by lane, in the order of the calls.
    pub differences: Vec<Difference>,
    /// Pairs of names and addresses that were not tied to each other, since 1,048,576 are: where they differ is not found.
    pub untied: u64,
}

impl Diff {
    /// Whether the traces are the same, but for times, names and addresses.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Compares two traces in memory.
#[must_use]
pub fn diff(left: &Recorded, right: &Recorded, options: Options) -> Diff {
    let schema = &left.schema;
    let sides = (Side::in_memory(left), Side::in_memory(right));
    let (left, right) = (by_id(left), by_id(right));
    let entries = |lanes: &BTreeMap<u32, Vec<&Entry>>, id| -> Vec<Entry> {
        let of_lane = lanes.get(&id).into_iter().flatten();
        of_lane.copied().cloned().collect()
    };
    compare(
        &sides.0,
        &sides.1,
        |id| entries(&left, id).into_iter(),
        |id| entries(&right, id).into_iter(),
        (options, schema),
    )
}

fn by_id(recorded: &Recorded) -> BTreeMap<u32, Vec<&Entry>> {
    let lanes = recorded.by_lane(false).into_iter();
    lanes.map(|lane| (lane.id, lane.entries)).collect()
}

/// Compares two opened traces, a window of calls at a time.
#[must_use]
pub fn diff_traces(left: &Trace, right: &Trace, options: Options) -> Diff {
    compare(
        &Side::opened(left),
        &Side::opened(right),
        |id| left.lane_entries(id).without_shared_damage(),
        |id| right.lane_entries(id).without_shared_damage(),
        (options, left.schema()),
    )
}

/// Compares two opened traces, and hands out what differs as it is found: for traces with more differences than memory has
/// room for. `found` gets the next differences, which may be none, and how many calls of the first trace were looked at;
/// where it says no, the comparison ends. The result has the count of the calls that are the same, and no differences.
pub fn diff_traces_to(
    left: &Trace,
    right: &Trace,
    options: Options,
    found: &mut dyn FnMut(Vec<Difference>, u64) -> bool,
) -> Diff {
    compare_to(
        &Side::opened(left),
        &Side::opened(right),
        |id| left.lane_entries(id).without_shared_damage(),
        |id| right.lane_entries(id).without_shared_damage(),
        (options, left.schema()),
        found,
    )
}

/// What is there of a trace beside its entries.
struct Side<'t> {
    /// The lanes, those included that have calls and no name.
    lanes: Vec<(u32, String)>,
    /// What may have held calls of any lane.
    damage: Vec<&'t Damaged>,
}

impl<'t> Side<'t> {
    fn in_memory(recorded: &'t Recorded) -> Self {
        let name = recorded.names();
        let damage = recorded.entries.iter().filter_map(|entry| match entry {
            Entry::Damaged(damaged) => Some(damaged),
            _ => None,
        });
        Self {
            lanes: recorded
                .lane_ids()
                .into_iter()
                .map(|id| (id, name(id)))
                .collect(),
            damage: of_no_lane(damage),
        }
    }

    fn opened(trace: &'t Trace) -> Self {
        let lanes = trace.used_lanes().into_iter();
        Self {
            lanes: lanes.map(|lane| (lane.id, lane.name)).collect(),
            damage: of_no_lane(trace.gaps().iter()),
        }
    }
}

/// The file's own header held no calls.
fn of_no_lane<'t>(damage: impl Iterator<Item = &'t Damaged>) -> Vec<&'t Damaged> {
    damage
        .filter(|damaged| damaged.lane.is_none() && damaged.offset != 0)
        .collect()
}

fn compare<L: Iterator<Item = Entry>, R: Iterator<Item = Entry>>(
    left: &Side<'_>,
    right: &Side<'_>,
    entries_left: impl Fn(u32) -> L,
    entries_right: impl Fn(u32) -> R,
    how: (Options, &Schema),
) -> Diff {
    let mut differences = Vec::new();
    let diff = compare_to(
        left,
        right,
        entries_left,
        entries_right,
        how,
        &mut |more, _| {
            differences.extend(more);
            true
        },
    );
    Diff {
        differences,
        ..diff
    }
}

fn compare_to<L: Iterator<Item = Entry>, R: Iterator<Item = Entry>>(
    left: &Side<'_>,
    right: &Side<'_>,
    entries_left: impl Fn(u32) -> L,
    entries_right: impl Fn(u32) -> R,
    how: (Options, &Schema),
    found: &mut dyn FnMut(Vec<Difference>, u64) -> bool,
) -> Diff {
    let mut work = Work::new(how.0, how.1, found);
    for (side, is_left) in [(left, true), (right, false)] {
        for damaged in &side.damage {
            work.out.differences.push(Difference::MissingAnywhere {
                left: is_left,
                offset: damaged.offset,
                count: damaged.calls.map(u64::from),
                why: damaged.defect.to_string(),
            });
            if !work.hand_out() {
                return work.finish();
            }
        }
    }
    let (left, right) = (&left.lanes, &right.lanes);
    let ours: BTreeSet<&str> = left.iter().map(|(_, name)| &**name).collect();
    // The first of a name, where there are more.
    let theirs: BTreeMap<&str, u32> = right
        .iter()
        .rev()
        .map(|(id, name)| (&**name, *id))
        .collect();
    for (id, name) in left {
        match theirs.get(&**name) {
            Some(other) => {
                let (ours, theirs) = (entries_left(*id), entries_right(*other));
                if !work.lanes(name, Units::new(ours), Units::new(theirs)) {
                    return work.finish();
                }
            }
            None => work
                .out
                .differences
                .push(Difference::LaneOnlyLeft { lane: name.clone() }),
        }
    }
    for (_, name) in right {
        if !ours.contains(&**name) {
            work.out
                .differences
                .push(Difference::LaneOnlyRight { lane: name.clone() });
        }
    }
    work.hand_out();
    work.finish()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed {
                lane,
                left,
                right,
                differences,
            } => {
                write!(f, "~ {lane}#{}", left.index)?;
                if left.index != right.index {
                    write!(f, "/#{}", right.index)?;
                }
                write!(f, "  {}", left.text)?;
                for difference in differences {
                    write!(f, "\n      {difference}")?;
                }
                Ok(())
            }
            Self::PagesBehind { lane, differences } => {
                write!(f, "~ {lane}  shared pages behind the last call")?;
                for difference in differences {
                    write!(f, "\n      {difference}")?;
                }
                Ok(())
            }
            Self::OnlyLeft { lane, call } => write!(f, "- {lane}#{}  {}", call.index, call.text),
            Self::OnlyRight { lane, call } => write!(f, "+ {lane}#{}  {}", call.index, call.text),
            Self::Missing {
                lane,
                left,
                index,
                count,
                why,
            } => {
                let side = if *left { "first" } else { "second" };
                if *count == Some(0) {
                    return write!(
                        f,
                        "? {lane}#{index}  not compared in the {side} trace: {why}"
                    );
                }
                let missing = calls_are(*count);
                write!(
                    f,
                    "? {lane}#{index}  {missing} missing from the {side} trace ({why})"
                )
            }
            Self::MissingAnywhere {
                left,
                offset,
                count,
                why,
            } => {
                let side = if *left { "first" } else { "second" };
                let missing = calls_are(*count);
                write!(
                    f,
                    "? {missing} missing from the {side} trace, of whichever lanes, at byte {offset} ({why})"
                )
            }
            Self::LaneOnlyLeft { lane } => write!(f, "- lane {lane} is in the first trace only"),
            Self::LaneOnlyRight { lane } => write!(f, "+ lane {lane} is in the second trace only"),
        }
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        let differences = u64::try_from(self.differences.len()).unwrap_or(u64::MAX);
        writeln!(
            f,
            "{} the same, {}",
            are(self.same, "call"),
            count(differences, "difference")
        )?;
        if self.untied != 0 {
            let pairs = were(self.untied, "pair");
            writeln!(
                f,
                "{pairs} of names or addresses not compared: there are too many"
            )?;
        }
        Ok(())
    }
}
