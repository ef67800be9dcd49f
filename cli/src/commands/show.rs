//! `hcall show`: calls, one a line.

use std::collections::BTreeSet;
use std::time::Duration;

use hypercall_trace::entry::Entry;
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::{Buffer, OpenError, Trace};

use crate::args::Show;
use crate::failure::Failure;
use crate::filter::Filter;
use crate::format::{Columns, Context, Detail, JsonEntry, Lines, Paint, Times, Values};
use crate::input::{self, Losses};
use crate::order::ByTime;
use crate::output::{Output, Progress};
use crate::status::Status;

/// Entries after which what was found is on the terminal, where a bar is.
const PROMPT: u64 = 1 << 14;
/// How often a growing file is looked at.
const PAUSE: Duration = Duration::from_millis(100);

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
    // Too many lanes come in the order of the file: behind a late call there may be early ones.
    let mut by_time = !args.file_order;
    let mut merged = || {
        let merged = trace.merged();
        by_time &= merged.in_order();
        merged
    };
    let mut skip = args.skip;
    // Few blocks are looked at where a page of a large trace is asked for.
    let entries: Box<dyn Iterator<Item = Entry> + '_> = if file_order {
        let from = if view.filter.is_empty() {
            std::mem::take(&mut skip)
        } else {
            0
        };
        Box::new(trace.entries_from(from))
    } else if let [lane] = lanes.as_slice() {
        let from = since.get(lane).copied().unwrap_or(0);
        Box::new(trace.lane_entries_from(*lane, from))
    } else if since.is_empty() && view.filter.lanes().is_none() {
        Box::new(merged())
    } else {
        match ByTime::new(trace, &lanes, &since) {
            Some(entries) => Box::new(entries),
            None => Box::new(merged()),
        }
    };
    let mut shown = 0_u64;
    for (position, entry) in (0..).zip(entries) {
        progress.at(position);
        if progress.is_shown() && position.is_multiple_of(PROMPT) {
            out.flush()?;
        }
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

/// Opens a trace that may just have been begun.
fn open_growing(args: &Show) -> Result<Trace, Failure> {
    input::regular(&args.trace)?;
    loop {
        match Trace::open(&args.trace) {
            Err(OpenError::Empty | OpenError::CutHeader(_)) => std::thread::sleep(PAUSE),
            _ => return input::open(&args.trace),
        }
    }
}

/// Shows what is there, then what comes, until the recording is finished.
fn follow(args: &Show, out: &mut Output) -> Result<Status, Failure> {
    let mut trace = open_growing(args)?;
    let filter = Filter::growing(&args.filter, &trace)?;
    let mut view = View::new(args, &trace, filter, out.paint);
    let mut losses = Losses::default();
    let mut left = args.limit.unwrap_or(u64::MAX);
    let (mut seen, mut buffer, mut entries) = (0_usize, Buffer::default(), Vec::new());
    while left != 0 {
        for block in trace.blocks().get(seen..).unwrap_or_default() {
            // A call that was only announced comes again when it has returned.
            if block.header.kind != BlockKind::Data {
                continue;
            }
            entries.clear();
            match trace.load(block, &mut buffer) {
                Err(damaged) => entries.push(Entry::Damaged(damaged)),
                Ok(mut views) => {
                    let lane = views.lane;
                    while let Some(Ok((index, record))) = views.next() {
                        entries.push(record.to_entry(lane, index, trace.schema()));
                    }
                }
            }
            for entry in &entries {
                losses.note(entry);
                if left != 0 && view.show(entry, out)? {
                    left = left.saturating_sub(1);
                }
            }
        }
        out.flush()?;
        seen = trace.blocks().len();
        if trace.is_finished() {
            break;
        }
        std::thread::sleep(PAUSE);
        let grown = trace.refresh().map_err(|error| Failure::Read {
            path: args.trace.clone(),
            error,
        })?;
        if grown {
            view.filter = Filter::growing(&args.filter, &trace)?;
            view.lines.context = Context::of(&trace);
            view.plain.context = view.lines.context.clone();
        }
    }
    Ok(Status::Done.or_partly(losses.report(&view.lines.context)))
}

/// What is shown of an entry, and how.
struct View {
    filter: Filter,
    lines: Lines,
    plain: Lines,
    json: bool,
    raw: bool,
    text: String,
}

impl View {
    fn new(args: &Show, trace: &Trace, filter: Filter, paint: Paint) -> Self {
        let columns = Columns {
            times: args.time.into(),
            lane: trace.lanes().len() > 1 || args.follow,
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
        }
    }

    fn passes(&mut self, entry: &Entry) -> bool {
        if !self.filter.passes(entry) {
            self.plain.pass(entry);
            return false;
        }
        if self.filter.wants_text() {
            self.text.clear();
            self.plain.entry(entry, &mut self.text);
            return self.filter.passes_text(&self.text);
        }
        true
    }

    /// Shows an entry if it passes. Whether it did.
    fn show(&mut self, entry: &Entry, out: &mut Output) -> Result<bool, Failure> {
        if !self.passes(entry) {
            self.lines.pass(entry);
            return Ok(false);
        }
        if self.json {
            let context = &self.lines.context;
            out.json(&JsonEntry {
                entry,
                context,
                raw: self.raw,
            })?;
        } else if self.filter.wants_text()
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
