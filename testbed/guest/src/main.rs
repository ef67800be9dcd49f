//! A guest in ring 0: finds out who the hypervisor is, makes every hypercall through the typed interface, and says what
//! came back.
//!
//! Under ACRN, as its Service VM, it runs the conformance suite. Under the test bed's own hypervisor it also looks at what
//! is around the calls: registers, privilege, what a hypervisor that answers nonsense does to a client, what a call costs.
//! Anywhere else it says who it found and calls nothing.
#![no_std]
#![no_main]

mod checks;
mod cost;
mod ee;
mod exits;
mod hostile;
mod lent;
mod probe;
mod ring3;
mod shown;
mod timer;
mod trace;
mod worlds;

use bare::control::{Command, command};
use bare::exit::{Verdict, end};
use bare::{interrupts, line};
use hypercall_conformance::{Counts, KEPT_PAGES, Noting, Options, Report, Row, Surroundings as _};
use hypercall_core::Client;
use hypercall_vmcall::{Acrn, Identity, Vmcall, detect};

use checks::Checks;
use lent::Around;
use trace::Serial;

/// The way to the hypervisor.
pub type Way = Vmcall<Identity>;

/// The table of the suite's steps, as lines.
struct Lines;

impl Report for Lines {
    fn heading(&mut self, text: &str) {
        line!("== {text}");
    }
    fn row(&mut self, row: &Row<'_>) {
        line!("{row}");
    }
}

#[unsafe(no_mangle)]
extern "sysv64" fn image_main() -> ! {
    line!("guest: started");
    // SAFETY: the first thing that the only processor does.
    unsafe { interrupts::install() };
    let acrn = match detect() {
        Ok(acrn) => acrn,
        Err(why) => {
            line!("guest: no hypercall was made: {why}");
            line!("ring0: refused");
            end(Verdict::Refused)
        }
    };
    line!(
        "guest: ACRN, Service VM: {}, TSC kHz: {:?}",
        acrn.is_service_vm(),
        acrn.tsc_khz()
    );
    let test_bed = command(Command::About, 0);
    let around = Around::new(test_bed.is_some(), acrn);
    let options = match test_bed {
        Some(_) => Options::RECORDED,
        None => Options::any_machine(Options::RECORDED.vm),
    };
    let (counts, whole) = recorded(acrn, &around, options);
    line!("conformance: {counts}");
    let client = Client::new(way(acrn));
    let mut checks = Checks::default();
    if let Some(about) = test_bed {
        exits::run(&mut checks, about);
        ring3::run(&mut checks);
        shown::run(&mut checks);
        hostile::run(&mut checks, &client, around.lent());
        worlds::run(&mut checks, client.transport(), around.lent());
        ee::run(&mut checks, client.transport(), around.lent());
        timer::run(&mut checks, &client, around.lent());
        cost::run(&mut checks, &client);
    }
    line!(
        "checks: {} of {} hold",
        checks.made - checks.failed,
        checks.made
    );
    let passed =
        counts.passed() && whole && checks.failed == 0 && (test_bed.is_none() || counts.complete());
    line!(
        "ring0: {}: {} steps, {} checks, {} failed",
        if passed { "passed" } else { "FAILED" },
        counts.made,
        checks.made,
        counts.failed + checks.failed + usize::from(!whole)
    );
    end(if passed {
        Verdict::Passed
    } else {
        Verdict::Failed
    })
}

/// Runs the suite under the recorder, whose trace goes out beside the table. Also says whether the trace has everything.
fn recorded(acrn: Acrn, around: &Around, options: Options) -> (Counts, bool) {
    let mut serial = Serial::new();
    let started = trace::preamble(&mut serial, acrn.tsc_khz());
    // SAFETY: called once.
    let memory = unsafe { trace::FIRST.take() };
    let Some(recorder) = trace::recorder::<_, KEPT_PAGES>(way(acrn), memory, serial) else {
        line!("guest: the recorder has too little memory");
        end(Verdict::Failed)
    };
    for page in around.lent().pages.iter().take(KEPT_PAGES) {
        if let Err(why) = recorder.watch(page) {
            line!("guest: a page is not watched: {why}");
            end(Verdict::Failed)
        }
    }
    let client = Client::new(recorder);
    let note = || client.transport().note_pages();
    let noting = Noting {
        inner: around,
        note: &note,
    };
    let counts = hypercall_conformance::run(&client, &noting, options, &mut Lines);
    let flushed = client.transport().lane().flush();
    let (_, lane) = client.into_inner().into_parts();
    // The last line may be the one that does not get through.
    let whole = started.and(flushed).and(lane.into_sink().end());
    if let Err(why) = whole {
        line!("guest: the trace is not complete: FAILED: {why}");
    }
    (counts, whole.is_ok())
}

/// The transport.
pub fn way(acrn: Acrn) -> Way {
    // SAFETY: this is ring 0 of the machine that `acrn` was detected on; all memory is mapped to itself; the only memory
    // that payloads name are the lent pages, which are atomics and no allocation of Rust's; and the suite leaves out the
    // calls that stop the machine or the caller.
    unsafe { Vmcall::new(acrn, Identity::new()) }
}
