//! `hcall replay`: the recorded calls again, on a fake ACRN; of a joined file, those of each recording on another one.

use hypercall_core::Gpa;
use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::acrn::server::AcrnServer;
use hypercall_mock::fake::FakeAcrn;
use hypercall_mock::loopback::Loopback;
use hypercall_trace::drive::{Driven, Driver};
use hypercall_trace::entry::Entry;
use hypercall_trace::read::{Merged, Trace};

use crate::args::Replay;
use crate::failure::Failure;
use crate::format::{Context, Part, UNKNOWN_NUMBER, plain, plain_lines};
use crate::input::{self, Losses, Of};
use crate::output::{Output, Progress};
use crate::status::Status;

/// The interface that the fake has.
const FAKED: &str = HypervisorCalls::INTERFACE.name;

/// Recordings that were not made again as a whole, and are told one by one.
const TOLD: u64 = 10;

pub(crate) fn run(args: &Replay, out: &mut Output) -> Result<Status, Failure> {
    let trace = input::open(&args.trace)?;
    input::described(&args.trace, &trace)?;
    let chosen = match args.recording {
        None => None,
        asked => Some(input::recording(asked, &trace, "")?),
    };
    let mut losses = Losses::of(&trace);
    let mut driver = Driver::new(HypervisorCalls::INTERFACE)
        .with_hazards()
        .reuse_pages();
    if args.all {
        driver = driver.all();
    }
    let mut told = Told {
        json: args.json,
        joined: input::is_joined(&trace),
        several: chosen.is_none() && input::used_recordings(&trace).len() > 1,
        foreign: foreign(&trace),
        ..Told::default()
    };
    let progress = if told.several {
        Progress::streaming("replaying", trace.len(), true)
    } else {
        Progress::new("replaying", trace.len())
    };
    out.beside(&progress);
    let mut entries = InTime::new(input::in_time(&args.trace, &trace)?);
    told.begin(out)?;
    while let Some(recording) = entries.recording() {
        if chosen.is_none_or(|chosen| chosen == recording) {
            let of_it = std::iter::from_fn(|| {
                let (position, entry) = entries.next_of(recording)?;
                progress.at(position);
                losses.note_all(&entry);
                Some(entry)
            });
            let driven = drive(&driver, &trace, of_it);
            told.recording(recording, &driven, out)?;
        }
        // What is behind an answer that differs, or is not asked for.
        while let Some((position, _)) = entries.next_of(recording) {
            progress.at(position);
        }
    }
    drop(progress);
    if told.count == 0 {
        let driven = drive(&driver, &trace, std::iter::empty());
        told.recording(chosen.unwrap_or(0), &driven, out)?;
    }
    told.end(out)?;
    out.flush()?;
    told.lacking();
    let damaged = losses.report(&Context::of(&trace));
    Ok(if told.differs {
        Status::Found
    } else {
        Status::Done.or_partly(damaged || told.incomplete != 0)
    })
}

/// What there is to say of a trace whose interface is not the fake's, where no call of it could be made.
fn foreign(trace: &Trace) -> Option<String> {
    if trace.schema().interface(FAKED).is_some() {
        return None;
    }
    let names = trace.schema().interfaces.iter();
    let names: Vec<_> = names.map(|interface| plain(&interface.name)).collect();
    let has = if names.is_empty() {
        "calls without a description".to_owned()
    } else {
        names.join(", ")
    };
    Some(format!(
        "the fake is ACRN's, and the trace has {has}: nothing can be replayed here; `hcall gen-test --types` makes a test of it"
    ))
}

/// Makes the calls of one recording, on a machine of its own.
fn drive(driver: &Driver, trace: &Trace, entries: impl Iterator<Item = Entry>) -> Driven {
    let machine = FakeAcrn::new();
    let server = AcrnServer::new(&machine);
    let transport = Loopback::new(server, &machine, Gpa(0x100_0000), 0x1_0000);
    driver.drive_entries(entries, |lane| trace.lane_name(lane), &transport)
}

/// The entries in the order of time, recording by recording.
struct InTime<'t> {
    entries: Merged<'t>,
    next: Option<(u32, Entry)>,
    position: u64,
}

impl<'t> InTime<'t> {
    fn new(entries: Merged<'t>) -> Self {
        let mut this = Self {
            entries,
            next: None,
            position: 0,
        };
        this.look();
        this
    }

    fn look(&mut self) {
        let next = self.entries.next();
        self.next = next.map(|entry| (self.entries.recording(), entry));
    }

    /// The recording that the next entry is of.
    fn recording(&self) -> Option<u32> {
        self.next.as_ref().map(|(recording, _)| *recording)
    }

    /// The next entry with its position, where it is of this recording.
    fn next_of(&mut self, recording: u32) -> Option<(u64, Entry)> {
        let (_, entry) = self.next.take_if(|(of, _)| *of == recording)?;
        let position = self.position;
        self.position = position.saturating_add(1);
        self.look();
        Some((position, entry))
    }
}

/// What was told of the recordings until now.
#[derive(Debug, Default)]
struct Told {
    json: bool,
    /// The file was joined from several recordings: each is named.
    joined: bool,
    /// Why nothing of it can be made: that is said in place of what is said of each call.
    foreign: Option<String>,
    /// More than one is told of.
    several: bool,
    count: u64,
    differs: bool,
    /// How many of them were not made again as a whole.
    incomplete: u64,
    /// Those of them of which it was said that there is no fake.
    foreign_recordings: u64,
    /// What there is to say of the first ones of the others.
    lacking: Vec<String>,
}

impl Told {
    fn begin(&self, out: &mut Output) -> Result<(), Failure> {
        if self.json && self.several {
            out.text("{\"recordings\":[")?;
        }
        Ok(())
    }

    fn recording(
        &mut self,
        recording: u32,
        driven: &Driven,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let first = self.count == 0;
        self.count = self.count.saturating_add(1);
        // One that only has another name has calls that can be made.
        let foreign = self
            .foreign
            .as_ref()
            .filter(|_| driven.made == 0 && !self.json);
        self.differs |= !driven.differences.is_empty();
        let named = self.joined.then_some(recording);
        if self.json {
            let value = Of {
                value: driven,
                recording: named,
            };
            if self.several {
                out.text(if first { "\n" } else { ",\n" })?;
                out.value(&value)?;
            } else {
                out.pretty(&value)?;
            }
        } else {
            if named.is_some() {
                let title = format!("recording {recording}");
                out.line(&out.paint.string(Part::Title, &title))?;
            }
            match foreign {
                Some(why) => out.line(&out.paint.string(Part::Notice, why))?,
                None => text(driven, out)?,
            }
        }
        if !driven.is_complete() {
            self.incomplete = self.incomplete.saturating_add(1);
            if foreign.is_some() {
                self.foreign_recordings = self.foreign_recordings.saturating_add(1);
            } else if self.incomplete.saturating_sub(self.foreign_recordings) <= TOLD {
                self.lacking.extend(lacking(driven, named));
            }
        }
        Ok(())
    }

    fn end(&self, out: &mut Output) -> Result<(), Failure> {
        if self.json && self.several {
            out.line("\n]}")?;
        }
        Ok(())
    }

    /// Says what was not made again, on the error output.
    fn lacking(&self) {
        for line in &self.lacking {
            crate::output::tell!("hcall: {line}");
        }
        let told = TOLD.saturating_add(self.foreign_recordings);
        if let more @ 1.. = self.incomplete.saturating_sub(told) {
            crate::output::tell!(
                "hcall: and {} more were not made again as a whole",
                super::count(more, "recording")
            );
        }
    }
}

fn text(driven: &Driven, out: &mut Output) -> Result<(), Failure> {
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
    out.line(&out.paint.string(part, text))
}

/// What was not made again.
fn lacking(driven: &Driven, recording: Option<u32>) -> impl Iterator<Item = String> {
    let of = input::of_recording(recording);
    let listed = u64::try_from(driven.not_made.len()).unwrap_or(u64::MAX);
    let not_made = super::count(listed.saturating_add(driven.more_not_made), "call");
    let missing = match (driven.missing, driven.missing_unknown) {
        (0, true) => UNKNOWN_NUMBER.to_owned(),
        (known, true) => format!("{} and {UNKNOWN_NUMBER}", super::count(known, "call")),
        (known, false) => super::count(known, "call"),
    };
    let unknown = super::count(driven.unknown, "call");
    let calls = format!(
        "not all{of} was made again: {not_made} not made, {missing} missing, {unknown} without a recorded answer"
    );
    let pages = (driven.pages_not_written != 0).then(|| {
        format!(
            "{} of shared pages{of} not written: there are more pages than are allocated",
            super::count(driven.pages_not_written, "change")
        )
    });
    [Some(calls), pages].into_iter().flatten()
}
