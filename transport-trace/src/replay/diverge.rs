//! Writes the report of a divergence: what stood around the place, and what came near.

use super::bind::Bindings;
use super::choose::{Live, Nothing, try_record};
use super::options::Options;
use super::report::{Candidate, Cause, Divergence, Line, WhyNot};
use super::tape::{Record, Tape};
use super::text;

/// Calls that are shown before and after the place.
const AROUND: usize = 5;
/// Records that are shown as near.
const NEAREST: usize = 4;
/// How far from the place a near record may be.
const REACH: usize = 512;

/// The report.
pub(crate) fn report(
    options: &Options,
    bindings: &Bindings,
    tapes: &[Tape],
    lane: Option<usize>,
    live: &Live,
    nothing: Nothing,
) -> Divergence {
    let tape = lane.and_then(|lane| tapes.get(lane));
    let mut report = Divergence {
        lane: String::new(),
        call: live.index,
        index: None,
        live: text::request(live),
        cause: nothing.cause,
        differences: nothing.differences,
        before: Vec::new(),
        next: Vec::new(),
        candidates: nearest(options, bindings, tapes, lane, live),
    };
    if let Some(tape) = tape {
        report.lane.clone_from(&tape.name);
        around(tape, &mut report);
    }
    report
}

/// The report of a program that left the trace between two calls.
pub(crate) fn at_a_look(tape: Option<&Tape>, lane: &str, cause: Cause) -> Divergence {
    let mut report = Divergence {
        lane: lane.to_owned(),
        call: tape.map_or(0, |tape| tape.made),
        index: None,
        live: "note_pages()".to_owned(),
        cause,
        differences: Vec::new(),
        before: Vec::new(),
        next: Vec::new(),
        candidates: Vec::new(),
    };
    if let Some(tape) = tape {
        around(tape, &mut report);
    }
    report
}

/// What stands around the place.
fn around(tape: &Tape, report: &mut Divergence) {
    let used = tape.used.iter().rev().take(AROUND).rev();
    report.before = used.filter_map(|at| tape.record(*at)).map(line).collect();
    report.next = tape
        .open()
        .take(AROUND)
        .map(|(_, record)| line(record))
        .collect();
    report.index = report.next.first().map(|line| line.index);
}

/// A record as text.
pub(crate) fn line(record: &Record) -> Line {
    Line {
        index: record.call.index,
        text: text::call(&record.call),
    }
}

/// Records of the same call that come near, in this lane and in others.
fn nearest(
    options: &Options,
    bindings: &Bindings,
    tapes: &[Tape],
    lane: Option<usize>,
    live: &Live,
) -> Vec<Candidate> {
    let mut found: Vec<((usize, usize), Candidate)> = Vec::new();
    for (number, tape) in tapes.iter().enumerate() {
        let here = Some(number) == lane;
        let from = tape.head.saturating_sub(REACH);
        let open_before = |at: usize| {
            let open = tape.open().take_while(|(place, _)| *place < at).count();
            u64::try_from(open).unwrap_or(u64::MAX)
        };
        for at in from..tape.head.saturating_add(REACH).min(tape.items.len()) {
            let Some(record) = tape.record(at) else {
                continue;
            };
            let Some(tried) = try_record(options, bindings, &record.call, live) else {
                continue;
            };
            let distance = tape.head.abs_diff(at);
            let (rank, why_not) = match (tried, record.used, here) {
                (Ok(_), Some(by), true) => (2, WhyNot::Used { by }),
                (Ok(_), None, true) if record.is_open() => (
                    0,
                    WhyNot::Later {
                        after: open_before(at),
                    },
                ),
                (Ok(_), None, false) if record.is_open() => (1, WhyNot::OtherLane),
                (Err(differences), None, true) => (
                    differences.len().saturating_add(2),
                    WhyNot::Differs { differences },
                ),
                _ => continue,
            };
            let Line { index, text } = line(record);
            let lane = tape.name.clone();
            found.push((
                (rank, distance),
                Candidate {
                    lane,
                    index,
                    text,
                    why_not,
                },
            ));
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    found
        .into_iter()
        .take(NEAREST)
        .map(|(_, candidate)| candidate)
        .collect()
}
