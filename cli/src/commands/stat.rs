//! `hcall stat`: how often each call was made, how it ended, how long it took.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table};
use hdrhistogram::Histogram;
use hypercall_trace::clock::ClockInfo;
use hypercall_trace::entry::{Call, Entry, Outcome};
use hypercall_trace::explain::unwritten;
use hypercall_trace::read::Trace;
use serde_json::{Value, json};

use crate::args::Stat;
use crate::failure::Failure;
use crate::filter::{Filter, succeeded};
use crate::format::{Context, duration, plain};
use crate::input::{self, Losses};
use crate::output::{Output, Progress};
use crate::status::Status;

/// Different calls that are counted on their own; a trace with more is a hostile one.
const MAX_CALLS: usize = 512;
/// Different errors of a call that are counted on their own.
const MAX_ERRORS: usize = 64;
/// Letters of an error's name that are shown.
const MAX_NAME: usize = 64;
/// Digits of a latency that are kept.
const DIGITS: u8 = 3;
/// Where the calls beyond [`MAX_CALLS`] are counted.
const OTHERS: &str = "(others)";

/// The latencies that are shown.
const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("max", 1.0),
];

/// What is known of one call.
#[derive(Debug, Default)]
struct Row {
    count: u64,
    /// By what they are called.
    errors: BTreeMap<String, u64>,
    /// In nanoseconds, or in ticks where the clock's frequency is not known. `None` until the first.
    latency: Option<Histogram<u64>>,
    /// The longest, exactly: the histogram has the edges of its steps.
    longest: u64,
}

/// What is known of a trace.
#[derive(Debug, Default)]
struct Counts {
    rows: BTreeMap<String, Row>,
    /// Whether latencies are nanoseconds.
    nanoseconds: bool,
}

pub(crate) fn run(args: &Stat, out: &mut Output) -> Result<Status, Failure> {
    let (first, mut damaged) = read(&args.trace, args)?;
    let second = match &args.other {
        None => None,
        Some(path) => {
            let (table, more) = read(path, args)?;
            damaged |= more;
            Some(table)
        }
    };
    match (&second, args.json) {
        (None, true) => out.pretty(&first.json())?,
        (None, false) => out.line(&super::table_text(&mut first.table(), &[]))?,
        (Some(second), true) => {
            out.pretty(&json!({ "first": first.json(), "second": second.json() }))?;
        }
        (Some(second), false) => {
            out.line(&super::table_text(&mut compare(&first, second), &[]))?;
        }
    }
    out.flush()?;
    Ok(Status::Done.or_partly(damaged))
}

fn read(path: &std::path::Path, args: &Stat) -> Result<(Counts, bool), Failure> {
    let trace = input::open(path)?;
    let filter = Filter::new(&args.filter, &trace)?;
    let mut losses = Losses::of(&trace);
    if args.other.is_some() {
        losses = losses.named(path);
    }
    let table = Counts::of(&trace, filter, &mut losses);
    input::tell_without_clock(&trace, "its calls are counted, and not among the latencies");
    Ok((table, losses.report(&Context::of(&trace))))
}

impl Counts {
    fn of(trace: &Trace, mut filter: Filter, losses: &mut Losses) -> Self {
        let mut table = Self {
            nanoseconds: input::has_times(trace),
            ..Self::default()
        };
        let progress = Progress::new("counting", trace.len());
        let mut lines = crate::format::Lines::new(
            Context::of(trace),
            crate::format::Columns::default(),
            crate::format::Values::default(),
        );
        let mut text = String::new();
        let mut entries = trace.entries();
        let mut position = 0_u64;
        while let Some(entry) = entries.next() {
            let recording = entries.recording();
            progress.at(position);
            position = position.saturating_add(1);
            filter.recording(recording);
            lines.recording(recording);
            losses.note_all(&entry);
            if !filter.passes(&entry) {
                lines.pass(&entry);
                continue;
            }
            if filter.wants_text() {
                text.clear();
                lines.entry(&entry, &mut text);
                if !filter.passes_text(&entry, &text) {
                    continue;
                }
            }
            if let Entry::Call(call) = &entry {
                table.add(call, trace.clock_of(recording));
            }
        }
        table
    }

    fn add(&mut self, call: &Call, clock: &ClockInfo) {
        let full = self.rows.len() >= MAX_CALLS;
        let number;
        let name = match call.name() {
            "?" => {
                number = format!("{:#x}", call.number);
                number.as_str()
            }
            name => name,
        };
        let name = if full && !self.rows.contains_key(name) {
            OTHERS
        } else {
            name
        };
        if !self.rows.contains_key(name) {
            self.rows.insert(name.to_owned(), Row::default());
        }
        let Some(row) = self.rows.get_mut(name) else {
            return;
        };
        row.count = row.count.saturating_add(1);
        if !succeeded(call) {
            let mut kind = kind_of(call);
            if row.errors.len() >= MAX_ERRORS && !row.errors.contains_key(&kind) {
                OTHERS.clone_into(&mut kind);
            }
            let count = row.errors.entry(kind).or_default();
            *count = count.saturating_add(1);
        }
        let Some(ticks) = call.duration else { return };
        let latency = if self.nanoseconds {
            clock.nanoseconds(ticks)
        } else {
            Some(ticks)
        };
        if row.latency.is_none() {
            row.latency = Histogram::new(DIGITS).ok();
        }
        if let (Some(histogram), Some(latency)) = (&mut row.latency, latency) {
            row.longest = row.longest.max(latency);
            // It grows as needed; only a count beyond 64 bits fails.
            let _ = histogram.record(latency);
        }
    }

    fn time(&self, latency: u64) -> String {
        if !self.nanoseconds {
            return format!("{latency}t");
        }
        let mut text = String::new();
        duration(latency, &mut text);
        text
    }

    fn table(&self) -> Table {
        let mut table = super::table();
        let mut header = vec!["call", "count", "errors"];
        header.extend(QUANTILES.map(|(name, _)| name));
        table.set_header(header);
        for (name, row) in &self.rows {
            let mut cells = vec![plain(name), row.count.to_string(), row.error_text("\n")];
            cells.extend(
                QUANTILES.map(|(_, at)| row.at(at).map_or_else(String::new, |t| self.time(t))),
            );
            table.add_row(cells);
        }
        let total: u64 = self
            .rows
            .values()
            .map(|row| row.count)
            .fold(0, u64::saturating_add);
        let errors: u64 = self
            .rows
            .values()
            .map(Row::error_count)
            .fold(0, u64::saturating_add);
        table.add_row(["all".to_owned(), total.to_string(), errors.to_string()]);
        align(&mut table);
        table
    }

    fn json(&self) -> Value {
        let calls = self.rows.iter().map(|(name, row)| {
            let mut latency = serde_json::Map::new();
            for (quantile, at) in QUANTILES {
                latency.insert(quantile.to_owned(), json!(row.at(at)));
            }
            json!({
                "call": name,
                "count": row.count,
                "errors": row.errors,
                (if self.nanoseconds { "latency_ns" } else { "latency_ticks" }): latency,
            })
        });
        json!({ "calls": calls.collect::<Vec<_>>() })
    }
}

impl Row {
    fn at(&self, quantile: f64) -> Option<u64> {
        let histogram = self.latency.as_ref()?;
        if quantile >= 1.0 {
            return Some(self.longest);
        }
        Some(histogram.value_at_quantile(quantile).min(self.longest))
    }

    fn error_count(&self) -> u64 {
        self.errors.values().copied().fold(0, u64::saturating_add)
    }

    fn error_text(&self, between: &str) -> String {
        let kinds = self
            .errors
            .iter()
            .map(|(kind, count)| format!("{kind}×{count}"));
        kinds.collect::<Vec<_>>().join(between)
    }
}

/// What an unsuccessful call's end is called.
fn kind_of(call: &Call) -> String {
    let mut kind = full_kind_of(call);
    // Names of codes may have any length.
    if let Some((end, _)) = kind.char_indices().nth(MAX_NAME) {
        kind.truncate(end);
    }
    kind
}

fn full_kind_of(call: &Call) -> String {
    match &call.outcome {
        Outcome::Unfinished => "never returned".to_owned(),
        Outcome::Failed(_) => "no answer".to_owned(),
        Outcome::Returned(rax) => match call.schema.as_ref().and_then(|schema| schema.code(*rax)) {
            Some(code) => plain(&code.name),
            None if call.schema.is_none() && *rax >= 0 => "other".to_owned(),
            None => unwritten(*rax).map_or_else(|| rax.to_string(), str::to_owned),
        },
    }
}

/// Numbers stand at the right.
fn align(table: &mut Table) {
    for (number, column) in table.column_iter_mut().enumerate() {
        if number == 1 || number > 2 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn compare(first: &Counts, second: &Counts) -> Table {
    let mut table = super::table();
    table.set_header(["call", "count", "errors", "p50", "p99", "max", "p50 ratio"]);
    let names: std::collections::BTreeSet<_> =
        first.rows.keys().chain(second.rows.keys()).collect();
    let none = Row::default();
    // A terminal may be narrow; a program reads a row as one line.
    let (arrow, between) = if table.is_tty() {
        ("\n→ ", "\n")
    } else {
        (" → ", " ")
    };
    let both = |left: &str, right: &str| both(left, right, arrow);
    for name in names {
        let left = first.rows.get(name).unwrap_or(&none);
        let right = second.rows.get(name).unwrap_or(&none);
        let pair = |at: f64| {
            let show = |row: &Row, table: &Counts| {
                row.at(at).map_or_else(|| "–".to_owned(), |t| table.time(t))
            };
            both(&show(left, first), &show(right, second))
        };
        #[expect(clippy::cast_precision_loss, reason = "a ratio with two digits")]
        let ratio = match (left.at(0.5), right.at(0.5)) {
            (Some(left), Some(right)) if left != 0 && first.nanoseconds == second.nanoseconds => {
                format!("{:.2}", right as f64 / left as f64)
            }
            _ => String::new(),
        };
        table.add_row([
            plain(name),
            both(&left.count.to_string(), &right.count.to_string()),
            both(&left.error_text(between), &right.error_text(between)),
            pair(0.5),
            pair(0.99),
            pair(1.0),
            ratio,
        ]);
    }
    align(&mut table);
    table
}

/// `old → new`, or one of them where they are the same.
fn both(left: &str, right: &str, arrow: &str) -> String {
    match (left, right) {
        (left, right) if left == right => left.to_owned(),
        ("", right) => format!("0{arrow}{right}"),
        (left, "") => format!("{left}{arrow}0"),
        (left, right) => format!("{left}{arrow}{right}"),
    }
}
