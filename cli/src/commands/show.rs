//! `hcall show`: calls, one a line.

use std::time::Duration;

use hypercall_trace::entry::Entry;
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::{Buffer, OpenError, Trace};

use crate::args::Show;
use crate::failure::Failure;
use crate::filter::Filter;
use crate::format::{Columns, Context, Detail, JsonEntry, Lines, Paint, Values};
use crate::input::{self, Losses};
use crate::output::{Output, Progress};
use crate::status::Status;

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
    let lanes = view.filter.lanes().map(<[u32]>::to_vec);
    let limit = args.limit.unwrap_or(u64::MAX);
    let progress = Progress::unless_shown("reading", trace.len());
    let one_lane = trace.lanes().len() <= 1;
    let first = view.filter.first_position(trace);
    let mut shown = 0_u64;
    let mut each = |position: u64, entry: &Entry| -> Result<bool, Failure> {
        progress.at(position);
        if shown >= limit || one_lane && view.filter.is_past(entry) {
            return Ok(false);
        }
        losses.note(entry);
        if view.show(entry, out)? {
            shown = shown.saturating_add(1);
        }
        Ok(shown < limit)
    };
    let start = if one_lane {
        args.skip.max(first)
    } else {
        args.skip
    };
    if let Some([lane]) = lanes.as_deref() {
        visit(
            trace
                .lane_entries(*lane)
                .skip(usize::try_from(start).unwrap_or(usize::MAX)),
            &mut each,
        )
    } else if args.file_order || one_lane {
        visit(trace.entries_from(start), &mut each)
    } else {
        visit(
            trace
                .merged()
                .skip(usize::try_from(start).unwrap_or(usize::MAX)),
            &mut each,
        )
    }
}

/// Calls `each` until it says no. Whether it never did.
fn visit(
    entries: impl Iterator<Item = Entry>,
    each: &mut impl FnMut(u64, &Entry) -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    for (position, entry) in (0..).zip(entries) {
        if !each(position, &entry)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Opens a trace that may just have been begun.
fn open_growing(args: &Show) -> Result<Trace, Failure> {
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

    /// Shows an entry if it passes. Whether it did.
    fn show(&mut self, entry: &Entry, out: &mut Output) -> Result<bool, Failure> {
        if !self.filter.passes(entry) {
            return Ok(false);
        }
        if self.filter.wants_text() {
            self.text.clear();
            self.plain.entry(entry, &mut self.text);
            if !self.filter.passes_text(&self.text) {
                return Ok(false);
            }
        }
        if self.json {
            let context = &self.lines.context;
            out.json(&JsonEntry {
                entry,
                context,
                raw: self.raw,
            })?;
        } else {
            self.text.clear();
            self.lines.entry(entry, &mut self.text);
            out.text(&self.text)?;
        }
        Ok(true)
    }
}
