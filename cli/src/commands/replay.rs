//! `hcall replay`: the recorded calls again, on a fake ACRN.

use hypercall_core::Gpa;
use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::acrn::server::AcrnServer;
use hypercall_mock::fake::FakeAcrn;
use hypercall_mock::loopback::Loopback;
use hypercall_trace::drive::Driver;

use crate::args::Replay;
use crate::failure::Failure;
use crate::format::{Context, Part, plain_lines};
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
    let entries = (0..).zip(trace.merged()).map(|(position, entry)| {
        progress.at(position);
        losses.note(&entry);
        entry
    });
    let driven = driver.drive_entries(entries, |lane| trace.lane_name(lane), &transport);
    drop(progress);
    if args.json {
        out.pretty(&driven)?;
    } else {
        out.text(&plain_lines(&driven.to_string()))?;
        let (part, text) = match (driven.differences.is_empty(), driven.not_made.is_empty()) {
            (true, true) => (
                Part::Good,
                "the fake answers as the recorded hypervisor did",
            ),
            (true, false) => (
                Part::Notice,
                "what was made was answered as recorded; not all was made",
            ),
            (false, _) => (Part::Bad, "the fake answers otherwise"),
        };
        out.line(&out.paint.string(part, text))?;
    }
    out.flush()?;
    let damaged = losses.report(&Context::of(&trace));
    Ok(if driven.differences.is_empty() {
        Status::Done.or_partly(damaged)
    } else {
        Status::Found
    })
}
