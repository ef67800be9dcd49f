//! `hcall replay`: the recorded calls again, on a fake ACRN.

use hypercall_core::Gpa;
use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::acrn::server::AcrnServer;
use hypercall_mock::fake::FakeAcrn;
use hypercall_mock::loopback::Loopback;
use hypercall_trace::drive::Driver;

use crate::args::Replay;
use crate::failure::Failure;
use crate::format::{Context, Part, UNKNOWN_NUMBER, plain_lines};
use crate::input::{self, Losses};
use crate::output::{Output, Progress};
use crate::status::Status;

pub(crate) fn run(args: &Replay, out: &mut Output) -> Result<Status, Failure> {
    let trace = input::open(&args.trace)?;
    input::described(&args.trace, &trace)?;
    let mut losses = Losses::of(&trace);
    let machine = FakeAcrn::new();
    let server = AcrnServer::new(&machine);
    let transport = Loopback::new(server, &machine, Gpa(0x100_0000), 0x1_0000);
    let mut driver = Driver::new(HypervisorCalls::INTERFACE).with_hazards();
    if args.all {
        driver = driver.all();
    }
    let progress = Progress::new("replaying", trace.len());
    let in_time = input::in_time(&args.trace, &trace)?;
    let entries = (0..).zip(in_time).map(|(position, entry)| {
        progress.at(position);
        losses.note_all(&entry);
        entry
    });
    let driven = driver.drive_entries(entries, |lane| trace.lane_name(lane), &transport);
    drop(progress);
    if args.json {
        out.pretty(&driven)?;
    } else {
        out.text(&plain_lines(&driven.to_string()))?;
        let (part, text) = if !driven.differences.is_empty() {
            (Part::Bad, "the fake answers otherwise")
        } else if driven.is_complete() {
            (
                Part::Good,
                "the fake answers as the recorded hypervisor did",
            )
        } else if driven.made == 0 {
            (Part::Notice, "no call was made again: nothing was compared")
        } else {
            (
                Part::Notice,
                "what was made and compared was answered as recorded; that is not all that was recorded",
            )
        };
        out.line(&out.paint.string(part, text))?;
    }
    out.flush()?;
    let complete = driven.is_complete();
    if !complete {
        let listed = u64::try_from(driven.not_made.len()).unwrap_or(u64::MAX);
        let not_made = super::count(listed.saturating_add(driven.more_not_made), "call");
        let missing = match (driven.missing, driven.missing_unknown) {
            (0, true) => UNKNOWN_NUMBER.to_owned(),
            (known, true) => format!("{} and {UNKNOWN_NUMBER}", super::count(known, "call")),
            (known, false) => super::count(known, "call"),
        };
        let unknown = super::count(driven.unknown, "call");
        crate::output::tell!(
            "hcall: not all was made again: {not_made} not made, {missing} missing, {unknown} without a recorded answer"
        );
        if driven.pages_not_written != 0 {
            crate::output::tell!(
                "hcall: {} of shared pages not written: there are more pages than are allocated",
                super::count(driven.pages_not_written, "change")
            );
        }
    }
    let damaged = losses.report(&Context::of(&trace));
    Ok(if driven.differences.is_empty() {
        Status::Done.or_partly(damaged || !complete)
    } else {
        Status::Found
    })
}
