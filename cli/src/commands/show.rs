//! `hcall show`: calls, one a line.

use std::collections::{BTreeMap, BTreeSet};

use hypercall_trace::entry::Entry;
use hypercall_trace::read::Trace;

use super::follow::follow;
use crate::args::Show;
use crate::failure::Failure;
use crate::filter::Filter;
use crate::format::{Columns, Context, Detail, JsonEntry, Lines, Paint, Times, Values};
use crate::input::{self, Losses, Of};
use crate::order::{ByTime, OfRecordings};
use crate::output::{Output, Progress};
use crate::status::Status;

/// Entries after which what was found is on the terminal, where a bar is.
const PROMPT: u64 = 1 << 14;

pub(crate) fn run(args: &Show, out: &mut Output) -> Result<Status, Failure> {
    if args.follow {
        return follow(args, out);
    }
    let trace = input::open(&args.trace)?;
    let filter = Filter::new(&args.filter, &trace)?;
    let mut view = View::new(args, &trace, filter, out.paint);
    let mut losses = Losses::of(&trace);
    all(args, &trace, &mut view, &mut losses, out)?;
    out.flush()?;
    input::tell_without_clock(&trace, "its times are in ticks");
    // What was not looked at is not told: a page of a large trace is as good as it is.
    Ok(Status::Done.or_partly(losses.report(&view.lines.context)))
}

/// Shows what passes. Whether everything was looked at.
fn all(
    args: &Show,
    trace: &Trace,
    view: &mut View,
    losses: &mut Losses,
    out: &mut Output,
) -> Result<bool, Failure> {
    let limit = args.limit.unwrap_or(u64::MAX);
    let progress = Progress::streaming("reading", trace.len(), view.filter.is_choosy());
    out.beside(&progress);
    let all = all_lanes(trace);
    let lanes = view.filter.lanes().unwrap_or(&all).to_vec();
    let since = view.filter.first_blocks(trace, &all);
    let file_order = args.file_order || all.len() <= 1 && since.is_empty();
    // Too many lanes come in the order of the file: behind a late call there may be early ones. So there may be in the next of
    // several recordings.
    let mut by_time = !args.file_order && !input::is_joined(trace);
    let mut merged = || {
        let merged = input::best_in_time(trace);
        by_time &= merged.in_order();
        merged
    };
    let mut skip = args.skip;
    // Lanes of which there is more before what is looked at, and whether there is of any.
    let mut late = Vec::new();
    let mut all_late = false;
    // Few blocks are looked at where a page of a large trace is asked for.
    let mut entries: Box<dyn OfRecordings + '_> = if file_order {
        let from = if view.filter.is_empty() {
            std::mem::take(&mut skip)
        } else {
            0
        };
        all_late = from != 0;
        Box::new(trace.entries_from(from))
    } else if let [lane] = lanes.as_slice() {
        let from = since.get(lane).copied().unwrap_or(0);
        late = late_lanes(trace, &since);
        Box::new(trace.lane_entries_from(*lane, from))
    } else if since.is_empty() && view.filter.lanes().is_none() {
        Box::new(merged())
    } else {
        match ByTime::new(trace, &lanes, &since) {
            Some(entries) => {
                late = late_lanes(trace, &since);
                Box::new(entries)
            }
            None => Box::new(merged()),
        }
    };
    for lane in late {
        view.begins_late(Some(lane));
    }
    let mut shown = 0_u64;
    let mut position = 0_u64;
    while let Some(entry) = entries.next() {
        view.recording(entries.recording());
        if all_late {
            // Those recordings that come behind this one are read from their start.
            all_late = false;
            view.begins_late(None);
        }
        progress.at(position);
        if progress.is_shown() && position.is_multiple_of(PROMPT) {
            out.flush()?;
        }
        position = position.saturating_add(1);
        if shown >= limit || by_time && view.filter.is_past(&entry) {
            return Ok(false);
        }
        losses.note(&entry);
        if skip != 0 {
            if view.passes(&entry) {
                skip = skip.saturating_sub(1);
            }
            view.lines.pass(&entry);
        } else if view.show(&entry, out)? {
            shown = shown.saturating_add(1);
            if shown >= limit {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The lanes that are named, and those that have entries without a name.
fn all_lanes(trace: &Trace) -> Vec<u32> {
    let named = trace.lanes().iter().map(|lane| lane.id);
    let used = trace.data().map(|block| block.header.lane);
    named
        .chain(used)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// The lanes of which there are calls before the one from which on they are read.
fn late_lanes(trace: &Trace, since: &BTreeMap<u32, u64>) -> Vec<u32> {
    let before = trace.data().filter(|block| {
        let from = since.get(&block.header.lane);
        block.misplaced.is_none() && from.is_some_and(|from| block.header.first_index < *from)
    });
    let lanes: BTreeSet<u32> = before.map(|block| block.header.lane).collect();
    lanes.into_iter().collect()
}

/// What is shown of an entry, and how.
pub(super) struct View {
    pub(super) filter: Filter,
    pub(super) lines: Lines,
    pub(super) plain: Lines,
    json: bool,
    raw: bool,
    text: String,
    /// Which recording is shown, whether there are several, and of which the last line was.
    recording: u32,
    joined: bool,
    told: u32,
}

impl View {
    pub(super) fn new(args: &Show, trace: &Trace, filter: Filter, paint: Paint) -> Self {
        let columns = Columns {
            times: args.time.into(),
            lane: trace.used_lanes().len() > 1 || args.follow,
            hints: args.hints,
            hex: args.hex,
        };
        let detail = if args.full {
            Detail::full()
        } else {
            Detail::default()
        };
        let lines = |paint| Lines::new(Context::of(trace), columns, Values { paint, detail });
        Self {
            filter,
            lines: lines(paint),
            plain: lines(Paint::default()),
            json: args.json,
            raw: args.raw,
            text: String::new(),
            recording: 0,
            joined: input::is_joined(trace),
            told: 0,
        }
    }

    /// With what is known about the trace by now.
    pub(super) fn set_context(&mut self, context: Context) {
        self.plain.context = context.clone();
        self.lines.context = context;
    }

    /// What comes next is of this recording of a file that was joined from several.
    pub(super) fn recording(&mut self, number: u32) {
        if number == self.recording {
            return;
        }
        self.recording = number;
        // One may be joined to a file that grows.
        self.joined = true;
        self.filter.recording(number);
        self.lines.recording(number);
        self.plain.recording(number);
    }

    /// Says that entries of a lane, or without one of any, were not looked at before the next one.
    fn begins_late(&mut self, lane: Option<u32>) {
        self.lines.begins_late(lane);
        self.plain.begins_late(lane);
    }

    /// Does something with an entry of another recording than the one that goes on, with its clock: what pages of that one hold is left
    /// as it is.
    pub(super) fn beside<T>(&mut self, recording: u32, does: impl FnOnce(&mut Self) -> T) -> T {
        let now = self.recording;
        let pages = [&mut self.lines, &mut self.plain].map(Lines::take_pages);
        self.recording(recording);
        let done = does(self);
        self.recording(now);
        for (lines, pages) in [&mut self.lines, &mut self.plain].into_iter().zip(pages) {
            lines.put_pages(pages);
        }
        done
    }

    fn passes(&mut self, entry: &Entry) -> bool {
        if !self.filter.passes(entry) {
            self.plain.pass(entry);
            return false;
        }
        if self.filter.wants_text() {
            self.text.clear();
            self.plain.entry(entry, &mut self.text);
            return self.filter.passes_text(entry, &self.text);
        }
        true
    }

    /// Shows an entry if it passes. Whether it did.
    pub(super) fn show(&mut self, entry: &Entry, out: &mut Output) -> Result<bool, Failure> {
        if !self.passes(entry) {
            self.lines.pass(entry);
            return Ok(false);
        }
        if self.json {
            let context = &self.lines.context;
            let value = &JsonEntry {
                entry,
                context,
                raw: self.raw,
            };
            if self.joined {
                let recording = Some(self.recording);
                out.json(&Of { value, recording })?;
            } else {
                out.json(value)?;
            }
            return Ok(true);
        }
        if self.told != self.recording {
            self.told = self.recording;
            let mut title = String::new();
            self.lines.title(self.recording, &mut title);
            out.text(&title)?;
        }
        if self.filter.wants_text()
            && !self.lines.values.paint.is_on()
            && self.lines.columns.times != Times::Delta
        {
            // It is the text that was looked at.
            self.lines.pass(entry);
            out.text(&self.text)?;
        } else {
            self.text.clear();
            self.lines.entry(entry, &mut self.text);
            out.text(&self.text)?;
        }
        Ok(true)
    }
}
