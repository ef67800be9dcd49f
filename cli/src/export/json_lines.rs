//! JSON lines: a line about the trace, then one for each entry, one where another recording of a joined file begins, and a last one that
//! says how many there are: lines that were cut off are missed. `hcall import` reads them back to the same trace.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use hypercall_trace::clock::{ClockInfo, ClockPoint};
use hypercall_trace::entry::Entry;
use hypercall_trace::read::{Lane, LostDescriptions, Trace};
use hypercall_trace::schema;
use serde::{Deserialize, Serialize};

use super::schema_json::Schema;
use super::{Exporter, raw};
use crate::format::{Context, JsonEntry};

/// The version of this form. A reader refuses another one.
pub const VERSION: u32 = 1;

/// The first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    trace: About,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct About {
    form: String,
    version: u32,
    id: u64,
    /// The first and the last point; of a joined file, those of its first recording.
    clock: [Point; 2],
    lanes: Vec<(u32, String)>,
    /// The indices of the first calls of lanes that do not start at 0, as in a slice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    starts: Vec<(u32, u64)>,
    /// Lanes that nothing follows of behind a damaged stretch without a header: nobody knows how many calls they lack. Of a joined
    /// file, those of its first recording.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ends: Vec<u32>,
    /// Descriptions that damage took, and the ends of recordings.
    #[serde(default, skip_serializing_if = "Lacking::is_empty")]
    lacking: Lacking,
    /// The recording, of a joined file the last one, has no end: what came later is not here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unfinished: bool,
    schema: Schema,
}

/// See [`LostDescriptions`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Lacking {
    schema: bool,
    /// That of the first recording.
    clock: bool,
    /// Those of later recordings of a joined file.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    clocks: BTreeSet<u32>,
    lanes: BTreeSet<u32>,
    /// The ends of recordings of a joined file that others follow.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    ends: BTreeSet<u32>,
}

impl Lacking {
    fn of(trace: &Trace) -> Self {
        let LostDescriptions {
            schema,
            mut clocks,
            lanes,
            ends,
        } = trace.lost_descriptions();
        Self {
            schema,
            clock: clocks.remove(&0),
            clocks,
            lanes,
            ends,
        }
    }

    fn is_empty(&self) -> bool {
        !self.schema
            && !self.clock
            && self.clocks.is_empty()
            && self.lanes.is_empty()
            && self.ends.is_empty()
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Point {
    frequency: u64,
    ticks: u64,
    unix_nanoseconds: i64,
}

impl Point {
    fn both(clock: &ClockInfo) -> [Self; 2] {
        [clock.first, clock.last].map(|point| Self {
            frequency: point.frequency,
            ticks: point.ticks,
            unix_nanoseconds: point.unix_nanoseconds,
        })
    }

    fn into_clock(both: [Self; 2]) -> ClockInfo {
        let [first, last] = both.map(|point| ClockPoint {
            frequency: point.frequency,
            ticks: point.ticks,
            unix_nanoseconds: point.unix_nanoseconds,
        });
        ClockInfo { first, last }
    }
}

const FORM: &str = "hypercall-trace";

impl Header {
    /// About a trace.
    #[must_use]
    pub fn of(trace: &Trace) -> Self {
        let lanes = crate::input::lanes(trace).unwrap_or_else(|| trace.lanes().to_vec());
        let starts = lanes
            .iter()
            .map(|lane| (lane.id, trace.lane_start(lane.id)));
        Self {
            trace: About {
                form: FORM.into(),
                version: VERSION,
                id: trace.header().id,
                clock: Point::both(trace.clock()),
                starts: starts.filter(|(_, start)| *start != 0).collect(),
                ends: unknown_ends(trace, &lanes).remove(&0).unwrap_or_default(),
                lanes: lanes.into_iter().map(|lane| (lane.id, lane.name)).collect(),
                lacking: Lacking::of(trace),
                unfinished: trace.ends_early(),
                schema: Schema::of(trace.schema()),
            },
        }
    }

    /// The lanes whose first call has another index than 0, and that index.
    #[must_use]
    pub fn starts(&self) -> &[(u32, u64)] {
        &self.trace.starts
    }

    /// The lanes of which nobody knows how many calls they lack at their end, in the first recording.
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.trace.ends
    }

    /// Whether the recording was not finished.
    #[must_use]
    pub const fn is_unfinished(&self) -> bool {
        self.trace.unfinished
    }

    /// The descriptions that damage took.
    #[must_use]
    pub fn lacking(&self) -> LostDescriptions {
        let Lacking {
            schema,
            clock,
            mut clocks,
            lanes,
            ends,
        } = self.trace.lacking.clone();
        if clock {
            clocks.insert(0);
        }
        LostDescriptions {
            schema,
            clocks,
            lanes,
            ends,
        }
    }

    /// What it says: the schema, the clock, the lanes, the trace's number.
    ///
    /// # Errors
    /// What about it nothing can be done with.
    pub fn into_parts(self) -> Result<(schema::Schema, ClockInfo, Vec<Lane>, u64), String> {
        let About {
            form,
            version,
            id,
            clock,
            lanes,
            schema,
            starts: _,
            ends: _,
            lacking: _,
            unfinished: _,
        } = self.trace;
        if form != FORM || version != VERSION {
            return Err(format!(
                "this is {form} {version}; this program reads {FORM} {VERSION}"
            ));
        }
        let lanes = lanes
            .into_iter()
            .map(|(id, name)| Lane { id, name })
            .collect();
        Ok((schema.into_schema()?, Point::into_clock(clock), lanes, id))
    }
}

/// By recording, the lanes that do not go on behind the last stretch of which nobody knows what it held. In the order of time, such
/// a stretch stands in front of all of its recording, so that the entries do not tell.
fn unknown_ends(trace: &Trace, lanes: &[Lane]) -> BTreeMap<u32, Vec<u32>> {
    let unknown = trace.damage().filter(|damaged| damaged.is_unknown());
    // They are in the order of the file.
    let last: BTreeMap<u32, u64> = unknown
        .map(|damaged| (trace.recording_at(damaged.offset), damaged.offset))
        .collect();
    let mut go_on: BTreeSet<(u32, u32)> = BTreeSet::new();
    // What is in a wrong place is not what a lane goes on with.
    for block in trace.data().filter(|block| block.misplaced.is_none()) {
        let recording = trace.recording_at(block.offset);
        if last
            .get(&recording)
            .is_some_and(|last| block.offset > *last)
        {
            go_on.insert((recording, block.header.lane));
        }
    }
    let ends = |recording| {
        let lanes = lanes.iter().map(|lane| lane.id);
        lanes
            .filter(|lane| !go_on.contains(&(recording, *lane)))
            .collect()
    };
    last.into_keys()
        .map(|recording| (recording, ends(recording)))
        .collect()
}

/// The line where a recording begins behind another one.
#[derive(Debug, Serialize)]
struct Begins {
    recording: u32,
    clock: [Point; 2],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ends: Vec<u32>,
}

/// The last line.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct End {
    /// How many lines stand between the first one and this one.
    lines: u64,
}

/// Any line behind the first. Keys that are for people are not read.
#[derive(Debug, Deserialize)]
pub struct Line {
    call: Option<String>,
    interface: Option<String>,
    number: Option<String>,
    index: Option<u64>,
    ticks: Option<u64>,
    raw: Option<raw::Call>,
    lost: Option<raw::Lost>,
    pages: Option<raw::Pages>,
    unknown: Option<raw::Unknown>,
    damaged: Option<raw::Hole>,
    recording: Option<u32>,
    clock: Option<[Point; 2]>,
    #[serde(default)]
    ends: Vec<u32>,
    end: Option<End>,
}

impl Line {
    /// Of the last line, how many stand between the first one and it. `None`: the line is another one.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        Some(self.end?.lines)
    }

    /// The recording that begins here, its clock, which earlier versions did not write, and the lanes of it of which nobody knows how
    /// many calls they lack at their end. `None`: the line is an entry.
    #[must_use]
    pub fn begins(&self) -> Option<(u32, ClockInfo, &[u32])> {
        // What `show` writes of an entry has the number of its recording as well.
        let holes = self.lost.is_some() || self.damaged.is_some();
        if self.call.is_some() || self.pages.is_some() || self.unknown.is_some() || holes {
            return None;
        }
        let clock = self.clock.map(Point::into_clock).unwrap_or_default();
        Some((self.recording?, clock, &self.ends))
    }

    /// The entry.
    ///
    /// # Errors
    /// What is missing or makes no sense.
    pub fn into_entry(self, schema: &schema::Schema) -> Result<Entry, String> {
        if let Some(damaged) = self.damaged {
            return Ok(Entry::Damaged(damaged.into()));
        }
        if let Some(lost) = self.lost {
            return Ok(Entry::Lost(lost.into()));
        }
        if let Some(pages) = self.pages {
            return Ok(Entry::Pages(pages.into()));
        }
        if let Some(unknown) = self.unknown {
            return Ok(Entry::Unknown(unknown.into()));
        }
        let name = self
            .call
            .ok_or("an entry has the key `call`, `lost`, `pages`, `unknown` or `damaged`")?;
        let raw = self
            .raw
            .ok_or("the call has no `raw`: it was made by `show --json`, not by `export`")?;
        let number = self
            .number
            .as_deref()
            .and_then(|number| u64::from_str_radix(number.strip_prefix("0x")?, 16).ok())
            .ok_or("the call has no `number` such as \"0x80000012\"")?;
        let call = match &self.interface {
            None => None,
            Some(interface) => Some(
                schema
                    .find(Some(interface), &name)
                    .cloned()
                    .ok_or_else(|| format!("the schema has no call `{name}` of `{interface}`"))?,
            ),
        };
        let index = self.index.ok_or("the call has no `index`")?;
        let ticks = self.ticks.ok_or("the call has no `ticks`")?;
        Ok(Entry::Call(raw.into_entry(call, number, index, ticks)))
    }
}

/// Writes them.
#[derive(Debug)]
pub struct JsonLines<W> {
    to: W,
    context: Context,
    ends: BTreeMap<u32, Vec<u32>>,
    /// Lines behind the first one.
    lines: u64,
}

impl<W: Write> JsonLines<W> {
    /// To a sink, best a buffered one.
    #[must_use]
    pub fn new(to: W) -> Self {
        Self {
            to,
            context: Context::default(),
            ends: BTreeMap::new(),
            lines: 0,
        }
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.to, value)?;
        self.to.write_all(b"\n")
    }
}

impl<W: Write> Exporter for JsonLines<W> {
    fn start(&mut self, trace: &Trace) -> io::Result<()> {
        self.context = Context::of(trace);
        let lanes = crate::input::lanes(trace).unwrap_or_else(|| trace.lanes().to_vec());
        self.ends = unknown_ends(trace, &lanes);
        self.line(&Header::of(trace))
    }

    fn recording(&mut self, recording: u32) -> io::Result<()> {
        let ends = self.ends.remove(&recording).unwrap_or_default();
        self.lines = self.lines.saturating_add(1);
        self.context.recording(recording);
        let clock = Point::both(self.context.clock());
        self.line(&Begins {
            recording,
            clock,
            ends,
        })
    }

    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.lines = self.lines.saturating_add(1);
        let context = std::mem::take(&mut self.context);
        let written = self.line(&JsonEntry {
            entry,
            context: &context,
            raw: true,
        });
        self.context = context;
        written
    }

    fn finish(&mut self) -> io::Result<()> {
        let end = End { lines: self.lines };
        self.line(&serde_json::json!({ "end": end }))?;
        self.to.flush()
    }
}
