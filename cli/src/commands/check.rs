//! `hcall check`: the rules of a VM's life, held against a trace.

use hypercall_core::acrn::HypervisorCalls;
use hypercall_trace::check::{Checker, Finding, Rule, Severity};

use crate::args::Check;
use crate::failure::Failure;
use crate::format::{Context, Part, plain};
use crate::input::{self, Losses, Of};
use crate::output::{Output, Progress};
use crate::status::Status;

/// The interface that the rules are about.
const RULED: &str = HypervisorCalls::INTERFACE.name;

pub(crate) fn run(args: &Check, out: &mut Output) -> Result<Status, Failure> {
    let trace = input::open(&args.trace)?;
    input::described(&args.trace, &trace)?;
    let mut losses = Losses::of(&trace);
    let mut checker = Checker::new();
    let progress = Progress::streaming("checking", trace.len(), true);
    out.beside(&progress);
    let mut count = 0_u64;
    let named = input::is_joined(&trace);
    let mut tell = |findings: Vec<Finding>, of: u32, out: &mut Output| -> Result<(), Failure> {
        let recording = named.then_some(of);
        for value in &findings {
            count = count.saturating_add(1);
            if args.json {
                out.json(&Of { value, recording })?;
            } else {
                show(value, recording, out)?;
            }
        }
        Ok(())
    };
    // What was still there where a recording was cut may have been destroyed behind that.
    let cut = trace.recordings_without_end();
    let end = |checker: Checker, early: bool| {
        if early {
            checker.finish_early()
        } else {
            checker.finish()
        }
    };
    let mut entries = input::in_time(&args.trace, &trace)?;
    let mut recording = 0;
    let mut position = 0_u64;
    while let Some(entry) = entries.next() {
        progress.at(position);
        losses.note_all(&entry);
        let before = std::mem::replace(&mut recording, entries.recording());
        if before != recording {
            // Another one may be of another machine, and its pages have their numbers anew.
            let checked = end(std::mem::take(&mut checker), cut.contains(&before));
            tell(checked.findings, before, out)?;
        }
        let lane = entry
            .lane()
            .map(|lane| trace.lane_name(lane))
            .unwrap_or_default();
        checker.take(position, &lane, &entry);
        if !checker.findings().is_empty() {
            tell(checker.take_findings(), recording, out)?;
        }
        position = position.saturating_add(1);
    }
    drop(progress);
    // Behind the one that is checked there may be another one without entries, which is the one that the file's end cut.
    let is_last = recording == trace.recording_at(u64::MAX);
    let of_it = cut.contains(&recording) || is_last && trace.ends_early();
    let checked = end(checker, of_it);
    let early = trace.ends_early() || !cut.is_empty();
    tell(checked.findings, recording, out)?;
    if !args.json {
        match count {
            0 if trace.schema().interface(RULED).is_none() => {
                let names = trace.schema().interfaces.iter();
                let names: Vec<_> = names.map(|interface| plain(&interface.name)).collect();
                let text = if names.is_empty() {
                    "no rules for calls without a description: they are ACRN's".to_owned()
                } else {
                    let names = names.join(", ");
                    format!("no rules for this interface ({names}): they are ACRN's")
                };
                out.line(&out.paint.string(Part::Notice, &text))?;
            }
            0 if losses.any_damage() || early => out.line(
                &out.paint
                    .string(Part::Notice, "no rule is broken by what could be read"),
            )?,
            0 => out.line(&out.paint.string(Part::Good, "no rule is broken"))?,
            many => out.line(&super::count(many, "finding"))?,
        }
    }
    out.flush()?;
    let damaged = losses.report(&Context::of(&trace));
    Ok(if count == 0 {
        Status::Done.or_partly(damaged)
    } else {
        Status::Found
    })
}

fn show(finding: &Finding, recording: Option<u32>, out: &mut Output) -> Result<(), Failure> {
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
    // Damage that may have held calls of any lane stands in none.
    let place = if finding.rule == Rule::CallsMissing && at.lane.is_empty() {
        let of = input::of_recording(recording);
        format!("  (entry {}{of})", at.position)
    } else {
        let lane = plain(&at.lane);
        let of = input::of_recording(recording);
        format!("  ({lane}#{}{of}, entry {})", at.index, at.position)
    };
    paint.put(Part::Place, &place, &mut text);
    out.line(&text)?;
    out.line(&paint.string(Part::Aside, &format!("    {advice}")))
}
