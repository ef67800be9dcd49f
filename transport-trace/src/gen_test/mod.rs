//! Makes a Rust test of a slice of a trace.
//!
//! The test makes the recorded calls, typed and with names, over a [`Replayer`](crate::replay::Replayer) of the slice,
//! and asserts the recorded answers. The slice lies beside it as a packed trace, which the test includes. From there a
//! developer goes on: replaces the calls by the program under test, or the replayer by a fake.
//!
//! The interface's types must be in scope under the names that they have in the schema: see [`GenTest::types`].
//!
//! ```no_run
//! use hypercall_trace::{gen_test::GenTest, read::Trace, replay::Recorded};
//!
//! let trace = Recorded::read(&Trace::open("field.hct")?)?;
//! // Calls 400 to 420 of the lane main, as tests/boot_hangs.rs with tests/boot_hangs.hct.
//! let made = GenTest::new("boot_hangs", "boot_hangs.hct").lanes(&["main"]).range(400, 420).generate(&trace)?;
//! std::fs::write("tests/boot_hangs.rs", made.source)?;
//! std::fs::write("tests/boot_hangs.hct", made.trace)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answers;
mod calls;
mod literal;
mod names;

use std::fmt::{self, Write as _};
use std::io;

use crate::clock::ClockInfo;
use crate::entry::{Entry, Outcome, When};
use crate::plural::{count, no_recording};
use crate::replay::{LaneEntries, NotOne, Recorded};
use crate::write::{Options, Writer};
use calls::Calls;

/// How the test is to be made.
#[derive(Clone, Debug)]
pub struct GenTest {
    name: String,
    trace_file: String,
    core: String,
    trace: String,
    types: Vec<String>,
    lanes: Option<Vec<String>>,
    first: u64,
    last: u64,
    recording: Option<u32>,
}

/// A test and its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The test, a file of Rust.
    pub source: String,
    /// The slice, to be saved beside it under the name that [`GenTest::new`] was given.
    pub trace: Vec<u8>,
    /// How many calls it makes.
    pub calls: usize,
}

/// Why no test can be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum GenError {
    /// The slice has no call.
    Empty,
    /// A call is in no interface of the trace's schema, so it cannot be typed.
    UnknownCall {
        /// The lane.
        lane: String,
        /// The call's index.
        index: u64,
        /// Its number.
        number: u64,
    },
    /// Calls, or changes of shared pages, are missing inside the slice: take one that ends before, or starts behind.
    Missing {
        /// The lane.
        lane: String,
        /// The index of the first of them.
        index: u64,
    },
    /// The trace was joined from several recordings, and a test is of one: [`GenTest::recording`] chooses it.
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
    /// The slice cannot be written.
    Write(io::Error),
}

impl fmt::Display for GenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                f.write_str("the slice has no call: choose others of lane, first and last")
            }
            Self::UnknownCall {
                lane,
                index,
                number,
            } => write!(
                f,
                "{lane}#{index} has the number {number:#x}, which the trace does not describe: leave it out of the slice"
            ),
            Self::Missing { lane, index } => write!(
                f,
                "calls or changes of shared pages are missing at {lane}#{index}: take a slice that ends before it, or starts behind"
            ),
            Self::Joined { recordings } => {
                let last = recordings.saturating_sub(1);
                write!(
                    f,
                    "the trace was joined from {recordings} recordings, and a test is of one of them: choose it with \
                     `GenTest::recording`, 0 to {last}"
                )
            }
            Self::NoRecording { asked, recordings } => {
                f.write_str(&no_recording(*asked, *recordings))
            }
            Self::Write(error) => write!(f, "the slice cannot be written: {error}"),
        }
    }
}

impl From<NotOne> for GenError {
    fn from(error: NotOne) -> Self {
        match error {
            NotOne::Joined { recordings } => Self::Joined { recordings },
            NotOne::NoRecording { asked, recordings } => Self::NoRecording { asked, recordings },
        }
    }
}

impl std::error::Error for GenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Write(error) => Some(error),
            _ => None,
        }
    }
}

impl GenTest {
    /// A test function of this name, which includes the trace `trace_file` from beside it. The name is made a Rust name
    /// where it is none.
    #[must_use]
    pub fn new(name: &str, trace_file: &str) -> Self {
        Self {
            name: literal::identifier(name),
            trace_file: trace_file.to_owned(),
            core: "hypercall".to_owned(),
            trace: "hypercall::trace".to_owned(),
            types: vec!["hypercall::acrn::*".to_owned()],
            lanes: None,
            first: 0,
            last: u64::MAX,
            recording: None,
        }
    }

    /// The crates' names: of the call model (`hypercall`, or `hypercall_core`) and of this library (`hypercall::trace`, or
    /// `hypercall_trace`). The defaults are those of a program that depends on `hypercall` with its feature `trace`.
    #[must_use]
    pub fn crates(mut self, core: &str, trace: &str) -> Self {
        core.clone_into(&mut self.core);
        trace.clone_into(&mut self.trace);
        self
    }

    /// What brings the interface's trait and types into scope: paths behind `use`. The default is `hypercall::acrn::*`.
    #[must_use]
    pub fn types(mut self, paths: &[&str]) -> Self {
        self.types = paths.iter().map(|path| (*path).to_owned()).collect();
        self
    }

    /// Only these lanes.
    #[must_use]
    pub fn lanes(mut self, lanes: &[&str]) -> Self {
        self.lanes = Some(lanes.iter().map(|lane| (*lane).to_owned()).collect());
        self
    }

    /// Only calls with an index from `first` to `last` in their lane.
    #[must_use]
    pub const fn range(mut self, first: u64, last: u64) -> Self {
        self.first = first;
        self.last = last;
        self
    }

    /// Only calls of this one of the recordings that the trace was joined from, as a
    /// [replay](crate::replay::Options::recording) is of one: 0 is the first.
    #[must_use]
    pub const fn recording(mut self, number: u32) -> Self {
        self.recording = Some(number);
        self
    }

    /// Makes the test.
    ///
    /// # Errors
    /// [`GenError`].
    pub fn generate(&self, recorded: &Recorded) -> Result<Generated, GenError> {
        let slice = if recorded.joined.is_empty() && self.recording.is_none() {
            self.slice(recorded)?
        } else {
            self.slice(&recorded.clone().one(self.recording)?)?
        };
        let mut calls = Calls::default();
        calls.lanes = names::lanes(
            slice.lanes.iter().map(|lane| lane.name.as_str()),
            &slice.schema,
        );
        calls.handles = crate::replay::leaf::handles(&slice.schema);
        let names = slice.names();
        for entry in &slice.entries {
            if let Entry::Call(call) = entry {
                calls.pages_of(&names(call.lane), call);
            }
        }
        for entry in slice.in_time() {
            let lane = entry.lane().map(&names).unwrap_or_default();
            match entry {
                Entry::Call(call) if call.schema.is_none() => {
                    let (index, number) = (call.index, call.number);
                    return Err(GenError::UnknownCall {
                        lane,
                        index,
                        number,
                    });
                }
                Entry::Call(call) => calls.call(&lane, call),
                Entry::Pages(change) => calls.pages(&lane, change),
                _ => {}
            }
        }
        if calls.made == 0 {
            return Err(GenError::Empty);
        }
        let trace = write(&slice).map_err(GenError::Write)?;
        Ok(Generated {
            source: self.source(&slice, &calls),
            trace,
            calls: calls.made,
        })
    }

    /// The slice. It ends before a call that never returned: no test can make it.
    fn slice(&self, recorded: &Recorded) -> Result<Recorded, GenError> {
        let mut slice = Recorded {
            schema: recorded.schema.clone(),
            ..Recorded::default()
        };
        let mut taken = Vec::new();
        for lane in recorded.by_lane(true) {
            let name = lane.name.clone();
            let wanted = |lanes: &Vec<String>| lanes.contains(&name);
            if !self.lanes.as_ref().is_none_or(wanted) {
                continue;
            }
            let new = u32::try_from(slice.lanes.len()).unwrap_or(u32::MAX);
            let before = taken.len();
            if let Err(index) = self.lane(new, lane, &mut taken) {
                return Err(GenError::Missing { lane: name, index });
            }
            if taken.len() != before {
                slice.lanes.push(crate::read::Lane { id: new, name });
            }
        }
        slice.entries = taken;
        Ok(slice)
    }

    /// The part of a lane that is in the slice. The error is an index at which something is missing: what is missing before the
    /// first entry, or behind the last call that was asked for, does not matter.
    fn lane(&self, new: u32, lane: LaneEntries<'_>, slice: &mut Vec<Entry>) -> Result<(), u64> {
        // The index of the next call, once there is an entry; and whether damage took something before it.
        let (mut due, mut damaged) = (None, false);
        for entry in lane.entries {
            let index = match entry {
                Entry::Call(call) => call.index,
                Entry::Pages(change) => change.index,
                Entry::Lost(lost) => lost.index,
                Entry::Unknown(unknown) if unknown.is_call() => unknown.index,
                Entry::Unknown(_) => continue,
                Entry::Damaged(stretch) => {
                    damaged |= !stretch.took_nothing();
                    continue;
                }
            };
            // Changes of pages, at the least.
            if let Some(due) = due
                && damaged
                && due <= self.last
            {
                return Err(due);
            }
            damaged = false;
            if !(self.first..=self.last).contains(&index) {
                continue;
            }
            let mut entry = entry.clone();
            match &mut entry {
                Entry::Call(call) => {
                    if due.is_some_and(|due| due != index) {
                        return Err(index);
                    }
                    due = index.checked_add(1);
                    if call.outcome == Outcome::Unfinished {
                        return Ok(());
                    }
                    call.lane = new;
                }
                // What a look found before it is not there.
                Entry::Pages(change) if change.late => return Err(index),
                Entry::Pages(change) => {
                    change.lane = new;
                    if change.when != When::Exit {
                        due.get_or_insert(index);
                    }
                }
                // Calls that are missing before the first one do not matter.
                _ if due.is_none() => continue,
                _ => return Err(index),
            }
            slice.push(entry);
        }
        match due {
            Some(due) if damaged && due <= self.last => Err(due),
            _ => Ok(()),
        }
    }

    fn source(&self, slice: &Recorded, calls: &Calls) -> String {
        let Self {
            name,
            trace_file,
            core,
            trace,
            ..
        } = self;
        let body = calls.body();
        let mut text = format!(
            "//! {} as a test. Generated; from here on it is yours.\n\n",
            count(
                u64::try_from(calls.made).unwrap_or(u64::MAX),
                "recorded call"
            )
        );
        text.push_str("#![cfg_attr(rustfmt, rustfmt_skip)]\n");
        text.push_str("#![allow(unused_imports, unused_mut, clippy::unreadable_literal)]\n\n");
        for path in &self.types {
            let _ = writeln!(text, "use {path};");
        }
        let _ = writeln!(
            text,
            "use {core}::{{Client, Error, ErrorKind, Gpa, Hpa, PageAligned, Payload, SharedPage, SharedRef, Value}};"
        );
        let _ = writeln!(text, "use {trace}::replay::Replayer;\n");
        let _ = writeln!(
            text,
            "/// The calls with their answers.\nconst TRACE: &[u8] = include_bytes!({trace_file:?});\n"
        );
        text.push_str(&calls.statics());
        let _ = writeln!(
            text,
            "#[test]\nfn {name}() -> Result<(), Box<dyn std::error::Error>> {{"
        );
        let _ = writeln!(
            text,
            "    let replayer = Replayer::options().from_bytes(TRACE)?;\n    let _told = TellsWhereItLeft(&replayer);"
        );
        for lane in &slice.lanes {
            let variable = calls.lane(&lane.name);
            let _ = writeln!(
                text,
                "    let {variable}_lane = replayer.lane({:?});",
                lane.name
            );
            let _ = writeln!(text, "    let {variable} = Client::new(&{variable}_lane);");
        }
        text.push_str(&body);
        text.push_str(
            "\n    // Every recorded call was made.\n    replayer.finish()?;\n    Ok(())\n}\n",
        );
        text.push_str(literal::TELLS);
        text.push_str(&literal::helpers(&text, core));
        text
    }
}

/// The slice as a packed trace.
fn write(slice: &Recorded) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new(
        Vec::new(),
        &slice.schema,
        ClockInfo::default(),
        Options::packed(),
    )?;
    for lane in &slice.lanes {
        writer.lane(&lane.name)?;
    }
    for entry in &slice.entries {
        writer.push(entry)?;
    }
    writer.finish()
}
