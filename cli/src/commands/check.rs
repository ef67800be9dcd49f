//! `hcall check`: the rules of a VM's life, held against a trace.

use hypercall_trace::check::{Checker, Finding, Severity};

use crate::args::Check;
use crate::failure::Failure;
use crate::format::{Context, Part, plain};
use crate::input::{self, Losses};
use crate::output::{Output, Progress};
use crate::status::Status;

pub(crate) fn run(args: &Check, out: &mut Output) -> Result<Status, Failure> {
    let trace = input::open(&args.trace)?;
    let mut losses = Losses::of(&trace);
    let mut checker = Checker::new();
    let progress = Progress::new("checking", trace.len());
    for (position, entry) in (0..).zip(trace.merged()) {
        progress.at(position);
        losses.note(&entry);
        let lane = entry
            .lane()
            .map(|lane| trace.lane_name(lane))
            .unwrap_or_default();
        checker.take(position, &lane, &entry);
    }
    drop(progress);
    let findings = checker.finish().findings;
    for finding in &findings {
        if args.json {
            out.json(finding)?;
        } else {
            show(finding, out)?;
        }
    }
    if !args.json {
        match findings.len() {
            0 => out.line(&out.paint.string(Part::Good, "no rule is broken"))?,
            many => out.line(&super::count(many, "finding"))?,
        }
    }
    out.flush()?;
    let damaged = losses.report(&Context::of(&trace));
    Ok(if findings.is_empty() {
        Status::Done.or_partly(damaged)
    } else {
        Status::Found
    })
}

fn show(finding: &Finding, out: &mut Output) -> Result<(), Failure> {
    let Finding {
        severity,
        at,
        vm,
        message,
        advice,
        ..
    } = finding;
    let (part, word) = match severity {
        Severity::Warning => (Part::Notice, "warning"),
        Severity::Error => (Part::Bad, "error"),
    };
    let paint = out.paint;
    let mut text = paint.string(part, word);
    text.push_str(": ");
    if let Some(vm) = vm {
        text.push_str(&format!("VM {vm}: "));
    }
    text.push_str(&plain(message));
    paint.put(
        Part::Place,
        &format!(
            "  ({}#{}, entry {})",
            plain(&at.lane),
            at.index,
            at.position
        ),
        &mut text,
    );
    out.line(&text)?;
    out.line(&paint.string(Part::Aside, &format!("    {advice}")))
}
