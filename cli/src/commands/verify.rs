//! `hcall verify`: every byte is looked at.

use std::path::Path;

use hypercall_trace::entry::{Damaged, Lost};
use hypercall_trace::read::recover::may_have_rings;
use hypercall_trace::read::{Report, Trace};
use serde_json::json;

use super::count;
use super::places::{Owners, Places};
use crate::args::Verify;
use crate::failure::Failure;
use crate::format::{Context, Part, UNKNOWN_NUMBER, damage};
use crate::input;
use crate::output::{Output, Progress};
use crate::status::Status;

/// Findings that are listed one by one.
const LISTED: usize = 100;

pub(crate) fn run(args: &Verify, out: &mut Output) -> Result<Status, Failure> {
    let trace = input::open(&args.trace)?;
    let failed = |error| Failure::Read {
        path: args.trace.clone(),
        error,
    };
    let progress = Progress::new("verifying", trace.source().length().map_err(failed)?);
    let report = trace
        .verify_with(&mut |bytes| progress.now(bytes))
        .map_err(failed)?;
    drop(progress);
    if args.json {
        out.pretty(&as_json(&report, &trace, &args.trace))?;
    } else {
        as_text(&report, &trace, &args.trace, out)?;
    }
    Ok(if report.is_clean() {
        Status::Done
    } else {
        Status::Found
    })
}

fn as_text(report: &Report, trace: &Trace, path: &Path, out: &mut Output) -> Result<(), Failure> {
    let Report {
        bytes,
        blocks,
        entries,
        calls,
        unfinished,
        lost,
        lost_to_damage,
        lost_unknown,
        gaps,
        damaged,
        finished: _,
    } = report;
    let paint = out.paint;
    let context = &Context::of(trace);
    out.line(&format!(
        "{bytes} bytes, {}, {}, {}",
        count(*blocks, "block"),
        count(*entries, "record"),
        count(*calls, "call")
    ))?;
    if *unfinished != 0 {
        out.line(&format!("{} never returned", count(*unfinished, "call")))?;
    }
    let by_recorder = lost.saturating_sub(*lost_to_damage);
    if by_recorder != 0 {
        out.line(&format!(
            "{} lost by the recorder, which noted it",
            count(by_recorder, "call")
        ))?;
    }
    if *lost_to_damage != 0 {
        out.line(&format!(
            "{} lost with damaged parts of the trace that this one was made from",
            count(*lost_to_damage, "call")
        ))?;
    }
    if *lost_unknown != 0 {
        let places = count(*lost_unknown, "place");
        out.line(&format!(
            "{UNKNOWN_NUMBER} lost in {places}; `hcall show` says where, and why"
        ))?;
    }
    let places = rings(trace, path);
    if trace.ends_early() {
        let places: String = places
            .iter()
            .map(|folder| format!(" in {folder}"))
            .collect::<Vec<_>>()
            .join(" and");
        let why = if trace.end_is_damaged() {
            input::END_DAMAGED
        } else {
            "no index at the end: the recording goes on, was killed, was cut, or its storage failed"
        };
        let file = path.display();
        out.line(&match goes_on(trace, path) {
            _ if input::is_joined(trace) => format!(
                "{why}; what is left in the rings of the last recording cannot be joined to it here: the file does not have its number"
            ),
            Some(true) => format!("the recording goes on; its rings are{places}"),
            Some(false) => format!(
                "nobody goes on with the recording: it was killed, or its storage failed; `hcall recover {file} -o WHOLE` also has what is left in its rings{places}"
            ),
            None => format!(
                "{why}; if it was killed or its storage failed, `hcall recover {file} -o WHOLE` also has what is left in its rings{places}"
            ),
        })?;
    }
    let without_end = trace.recordings_without_end();
    let with_damaged_end = trace.recordings_with_damaged_end();
    for recording in without_end.iter().take(LISTED) {
        let why = if with_damaged_end.contains(recording) {
            input::with_damaged_end(*recording)
        } else {
            input::without_end(*recording)
        };
        let rings = places.iter().filter(|_| *recording == 0);
        let rings: String = rings
            .map(|folder| {
                format!("; `hcall recover` also has what is left in its rings in {folder}")
            })
            .collect();
        out.line(&format!("{why}{rings}"))?;
    }
    for hole in damaged.iter().take(LISTED) {
        let what = input::what_is_damaged(trace, hole)
            .map_or_else(String::new, |what| format!("{what}: "));
        let how = if input::was_lost_before(hole) {
            input::LOST_BEFORE.to_owned()
        } else {
            damage(hole, context)
        };
        let text = format!("damaged: {what}{how}");
        out.line(&paint.string(Part::Bad, &text))?;
    }
    for gap in gaps.iter().take(LISTED) {
        let Lost {
            lane, index, count, ..
        } = gap;
        let text = format!(
            "missing: {} of {} from #{index} on",
            super::count(*count, "call"),
            context.lane(*lane)
        );
        out.line(&paint.string(Part::Bad, &text))?;
    }
    let more = damaged
        .len()
        .saturating_sub(LISTED)
        .saturating_add(gaps.len().saturating_sub(LISTED));
    if more != 0 {
        out.line(&format!("and {more} more"))?;
    }
    if report.is_clean() {
        let lacks = lacks(report, without_end.len());
        if lacks.is_empty() {
            return out.line(&paint.string(Part::Good, "whole: every checksum is right"));
        }
        let text = format!(
            "every checksum is right, but the trace is not whole: {}",
            lacks.join(", ")
        );
        out.line(&paint.string(Part::Notice, &text))
    } else {
        let entries: u64 = damaged
            .iter()
            .filter_map(|hole| hole.entries)
            .map(u64::from)
            .sum();
        let unknown = if damaged.iter().any(Damaged::is_unknown) {
            format!(" and {UNKNOWN_NUMBER}")
        } else {
            String::new()
        };
        let mut found = Vec::new();
        if !damaged.is_empty() {
            let stretches = count(damaged.len(), "stretch").replace("stretchs", "stretches");
            let held = match (entries, unknown.as_str()) {
                (0, "") => "without records".to_owned(),
                (0, _) => format!("with {UNKNOWN_NUMBER}"),
                _ => format!("with at least {}{unknown}", count(entries, "record")),
            };
            found.push(format!("{stretches} {held}"));
        }
        if !gaps.is_empty() {
            found.push(count(gaps.len(), "gap"));
        }
        let found = found.join(", and ");
        out.line(&paint.string(
            Part::Bad,
            &format!("damaged: {found}; the rest can be used"),
        ))?;
        if gaps.is_empty() && damaged.iter().all(input::was_lost_before) {
            // Nothing makes it more whole than it is.
            return Ok(());
        }
        out.line("what is left: `hcall recover TRACE -o WHOLE` makes a whole trace of it")
    }
}

/// What an undamaged trace does not have of its recording, and says so. `without_end`: recordings of a joined file that others follow.
fn lacks(report: &Report, without_end: usize) -> Vec<String> {
    let mut lacks = Vec::new();
    if report.lost != 0 {
        let (calls, are) = super::count_are(report.lost, "call");
        lacks.push(format!("{calls} {are} missing"));
    }
    if report.lost_unknown != 0 {
        lacks.push(format!("{UNKNOWN_NUMBER} may be missing"));
    }
    if without_end != 0 {
        let recordings = count(without_end, "recording");
        lacks.push(format!("{recordings} that others follow had no end"));
    }
    if !report.finished {
        lacks.push("the recording was not finished, or the end of its file was lost".to_owned());
    }
    lacks
}

/// Where the rings of an unfinished recording are. What somebody else put there is told on the error output.
fn rings(trace: &Trace, path: &Path) -> Vec<String> {
    if !may_have_rings(trace) {
        return Vec::new();
    }
    let places = Places::of(trace.header().id, &Owners::of(path));
    places.tell_foreign();
    let folders = places.own.iter().map(|place| &place.folder);
    folders
        .filter(|folder| folder.exists())
        .map(|folder| folder.display().to_string())
        .collect()
}

/// Whether the recording goes on. `None` where nobody can say.
fn goes_on(trace: &Trace, path: &Path) -> Option<bool> {
    if !trace.ends_early() {
        Some(false)
    } else if input::is_joined(trace) {
        // The file does not have the number of the last one.
        None
    } else {
        Places::of(trace.header().id, &Owners::of(path)).goes_on()
    }
}

fn as_json(report: &Report, trace: &Trace, path: &Path) -> serde_json::Value {
    let hole = |hole: &Damaged| {
        json!({
            "offset": hole.offset,
            "length": hole.length,
            "reason": hole.defect.to_string(),
            "what": input::what_is_damaged(trace, hole),
            "lane_id": hole.lane,
            "records": hole.entries,
            "index": hole.index,
            "calls": hole.calls,
            "unknown": hole.is_unknown(),
        })
    };
    let gap = |gap: &Lost| json!({ "lane_id": gap.lane, "index": gap.index, "count": gap.count });
    json!({
        "clean": report.is_clean(),
        "finished": report.finished,
        "without_end": trace.recordings_without_end(),
        "goes_on": goes_on(trace, path),
        "rings": rings(trace, path),
        "bytes": report.bytes,
        "blocks": report.blocks,
        "records": report.entries,
        "calls": report.calls,
        "unfinished": report.unfinished,
        "lost": report.lost,
        "lost_to_damage": report.lost_to_damage,
        "lost_unknown": report.lost_unknown,
        "damaged": report.damaged.iter().map(hole).collect::<Vec<_>>(),
        "missing": report.gaps.iter().map(gap).collect::<Vec<_>>(),
    })
}
