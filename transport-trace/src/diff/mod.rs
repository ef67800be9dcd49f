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
//! Traces that were joined from several recordings are compared recording by recording, the first with the first: names that the hypervisor
//! gave out in one mean nothing in the next. Where one trace has more of them, that is a difference.
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
mod difference;
mod key;
mod pair;
mod side;
mod units;
mod work;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::entry::Entry;
use crate::plural::{are, count, were};
use crate::read::Trace;
use crate::replay::Recorded;
use crate::schema::Schema;
pub use difference::Difference;
pub(crate) use pair::{differences, outcome};
use side::Side;
use units::Units;
use work::Work;

/// What is compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Leave out what changed in shared pages.
    pub without_pages: bool,
}

/// The result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// How many calls are the same.
    pub same: u64,
    /// In what the traces differ, recording by recording, lane by lane, in the order of the calls.
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
    let (left, right) = (by_recording(left), by_recording(right));
    compare(
        &sides.0,
        &sides.1,
        |of, id| in_memory(&left, (of, id)),
        |of, id| in_memory(&right, (of, id)),
        (options, schema),
    )
}

/// The entries of each recording, lane by lane.
type ByRecording<'r> = BTreeMap<(u32, u32), Vec<&'r Entry>>;

fn by_recording(recorded: &Recorded) -> ByRecording<'_> {
    let mut all = ByRecording::new();
    for lane in recorded.by_lane(false) {
        for (entry, place) in lane.entries.into_iter().zip(lane.places) {
            let of = (recorded.recording_of(place), lane.id);
            all.entry(of).or_default().push(entry);
        }
    }
    all
}

fn in_memory(all: &ByRecording<'_>, of: (u32, u32)) -> impl Iterator<Item = Entry> + use<> {
    let entries: Vec<_> = all
        .get(&of)
        .into_iter()
        .flatten()
        .copied()
        .cloned()
        .collect();
    entries.into_iter()
}

/// The entries of a lane of one recording of a file.
fn in_file(trace: &Trace, recording: u32, lane: u32) -> impl Iterator<Item = Entry> {
    let entries = trace.lane_entries_of(recording, lane, 0);
    let mut entries = entries.without_shared_damage();
    std::iter::from_fn(move || {
        loop {
            let entry = entries.next()?;
            match entries.recording().cmp(&recording) {
                Ordering::Less => {}
                Ordering::Equal => return Some(entry),
                Ordering::Greater => return None,
            }
        }
    })
}

/// Compares two opened traces, a window of calls at a time.
#[must_use]
pub fn diff_traces(left: &Trace, right: &Trace, options: Options) -> Diff {
    compare(
        &Side::opened(left),
        &Side::opened(right),
        |of, id| in_file(left, of, id),
        |of, id| in_file(right, of, id),
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
        |of, id| in_file(left, of, id),
        |of, id| in_file(right, of, id),
        (options, left.schema()),
        found,
    )
}

fn compare<L: Iterator<Item = Entry>, R: Iterator<Item = Entry>>(
    left: &Side<'_>,
    right: &Side<'_>,
    entries_left: impl Fn(u32, u32) -> L,
    entries_right: impl Fn(u32, u32) -> R,
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
    entries_left: impl Fn(u32, u32) -> L,
    entries_right: impl Fn(u32, u32) -> R,
    how: (Options, &Schema),
    found: &mut dyn FnMut(Vec<Difference>, u64) -> bool,
) -> Diff {
    let mut work = Work::new(how.0, how.1, found);
    let most = left.recordings.max(right.recordings);
    let both = left.recordings.min(right.recordings);
    let mut ours: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, (_, name)) in left.lanes.iter().enumerate() {
        ours.entry(name).or_default().push(place);
    }
    // The first of a name, where there are more.
    let theirs = right.lanes.iter().rev();
    let theirs: BTreeMap<&str, u32> = theirs.map(|(id, name)| (&**name, *id)).collect();
    for recording in 0..both {
        let told = (most != 1).then_some(recording);
        work.begin(told);
        for (side, is_left) in [(left, true), (right, false)] {
            for damaged in side.damage_of(recording) {
                work.out.differences.push(Difference::MissingAnywhere {
                    recording: told,
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
        let mut only_right = Vec::new();
        let mut places: BTreeSet<usize> = left.lanes_of(recording).map(|(at, ..)| at).collect();
        for (_, id, name) in right.lanes_of(recording) {
            match ours.get(name) {
                Some(at) if theirs.get(name) == Some(&id) => places.extend(at),
                Some(_) => {}
                None => only_right.push(Difference::LaneOnlyRight {
                    recording: told,
                    lane: name.to_owned(),
                }),
            }
        }
        for (id, name) in places.iter().filter_map(|place| left.lanes.get(*place)) {
            let Some(other) = theirs.get(&**name) else {
                work.out.differences.push(Difference::LaneOnlyLeft {
                    recording: told,
                    lane: name.clone(),
                });
                continue;
            };
            let (ours, theirs) = (
                entries_left(recording, *id),
                entries_right(recording, *other),
            );
            if !work.lanes(name, Units::new(ours), Units::new(theirs)) {
                return work.finish();
            }
        }
        work.out.differences.extend(only_right);
        if !work.hand_out() {
            return work.finish();
        }
    }
    let (first, last) = (both, most.saturating_sub(1));
    if left.recordings > both {
        let only = Difference::RecordingsOnlyLeft { first, last };
        work.out.differences.push(only);
    }
    if right.recordings > both {
        let only = Difference::RecordingsOnlyRight { first, last };
        work.out.differences.push(only);
    }
    work.hand_out();
    work.finish()
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
