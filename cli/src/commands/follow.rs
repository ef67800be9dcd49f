//! `hcall show --follow`: calls as they come.

use std::collections::BTreeSet;
use std::time::Duration;

use hypercall_trace::clock::ClockInfo;
use hypercall_trace::entry::Entry;
use hypercall_trace::read::{OpenError, Reached, Trace};

use super::places::{Owners, Places};
use super::show::View;
use crate::args::Show;
use crate::failure::Failure;
use crate::filter::Filter;
use crate::format::Context;
use crate::input::{self, Losses};
use crate::output::Output;
use crate::status::Status;

/// How often a growing file is looked at.
const PAUSE: Duration = Duration::from_millis(100);
/// Looks after which a clock without a frequency is not waited for any more.
const CLOCK_PAUSES: u32 = 20;

/// Opens a trace that may just have been begun.
fn open_growing(args: &Show) -> Result<Trace, Failure> {
    input::regular(&args.trace)?;
    loop {
        match Trace::open(&args.trace) {
            Err(OpenError::Empty | OpenError::CutHeader(_)) => std::thread::sleep(PAUSE),
            _ => return input::open(&args.trace),
        }
    }
}

/// Shows what is there, then what comes, until the recording is finished, or until nobody goes on with it.
pub(super) fn follow(args: &Show, out: &mut Output) -> Result<Status, Failure> {
    let mut trace = open_growing(args)?;
    wait_for_clock(args, &mut trace)?;
    let filter = Filter::growing(&args.filter, &trace)?;
    let mut view = View::new(args, &trace, filter, out.paint);
    view.filter.can_tell_time(&trace)?;
    // A column has one unit from the first line to the last.
    let in_ticks = last_clock(&trace).frequency() == 0;
    view.set_context(context(&trace, in_ticks));
    let mut losses = Losses::default();
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut reached = Reached::default();
    let mut waiting = Announced::default();
    let mut one = |entry: &Entry, view: &mut View, out: &mut Output| -> Result<bool, Failure> {
        losses.note(entry);
        if left != 0 && view.show(entry, out)? {
            left = left.saturating_sub(1);
        }
        Ok(left != 0)
    };
    let mut more = args.limit != Some(0);
    let mut recording = 0;
    let mut recorder = Recorder::of(args, &trace);
    let mut gone = false;
    while more {
        let mut entries = trace.entries_since(reached);
        while let Some(entry) = entries.next() {
            recording = entries.recording();
            view.recording(recording);
            more = more && one(&entry, &mut view, out)?;
        }
        reached = entries.reached();
        for (of, entry) in waiting.look(&trace, gone || trace.is_finished()) {
            // The other recording goes on where it was.
            more = more && view.beside(of, |view| one(&entry, view, out))?;
        }
        out.flush()?;
        if gone || trace.is_finished() {
            break;
        }
        std::thread::sleep(PAUSE);
        // Asked before it is seen that nothing more came.
        let is_gone = recorder.is_gone();
        let grew = refresh(args, &mut trace)?;
        gone = is_gone && !grew;
        if grew {
            view.filter = Filter::growing(&args.filter, &trace)?;
            let mut context = context(&trace, in_ticks);
            context.recording(recording);
            view.filter.recording(recording);
            view.set_context(context);
        }
    }
    if gone && more {
        // A block that is there only in part was waited for.
        let whole = input::open(&args.trace)?;
        losses.describe(&whole);
        if let Some(cut) = whole.open_end() {
            let entry = Entry::Damaged(cut.clone());
            losses.note(&entry);
            view.show(&entry, out)?;
            out.flush()?;
        }
        losses.end(&whole);
        crate::output::tell!(
            "hcall: nobody goes on with the recording: its process was killed, or its storage failed; `hcall recover` also has what is left in its rings"
        );
    } else {
        losses.describe(&trace);
    }
    Ok(Status::Done.or_partly(losses.report(&view.lines.context)))
}

/// What lines need to know of the trace.
fn context(trace: &Trace, in_ticks: bool) -> Context {
    if in_ticks {
        Context::new(trace.schema(), ClockInfo::default(), trace.used_lanes())
    } else {
        Context::of(trace)
    }
}

/// The clock of the recording that goes on.
fn last_clock(trace: &Trace) -> &ClockInfo {
    trace.clock_of(trace.recording_at(u64::MAX))
}

fn refresh(args: &Show, trace: &mut Trace) -> Result<bool, Failure> {
    trace.refresh().map_err(|error| Failure::Read {
        path: args.trace.clone(),
        error,
    })
}

/// How fast the clock is, a recording notes a second after its start. Lines that show times wait for it; not for ever, since
/// the recording may have been killed before.
fn wait_for_clock(args: &Show, trace: &mut Trace) -> Result<(), Failure> {
    for _ in 0..CLOCK_PAUSES {
        if last_clock(trace).frequency() != 0 || trace.is_finished() {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
        refresh(args, trace)?;
    }
    crate::output::tell!(
        "hcall: the recording does not say how fast its clock is: times are in ticks"
    );
    Ok(())
}

/// Who fills the trace.
struct Recorder {
    id: u64,
    owners: Owners,
    /// Whether the recording was seen to go on.
    seen: bool,
    /// Whether it was said that nobody knows.
    told: bool,
}

impl Recorder {
    fn of(args: &Show, trace: &Trace) -> Self {
        Self {
            // The number of one that was joined to the file is not known.
            id: if input::is_joined(trace) {
                0
            } else {
                trace.header().id
            },
            owners: Owners::of(&args.trace),
            seen: false,
            told: false,
        }
    }

    /// Whether nobody fills it any more. Of a recording whose rings were never found here nobody knows.
    fn is_gone(&mut self) -> bool {
        let places = Places::of(self.id, &self.owners);
        let goes_on = places.goes_on();
        self.seen |= goes_on == Some(true);
        match goes_on {
            Some(goes_on) => !goes_on,
            // They were taken away.
            None if self.seen => !places.own.iter().any(|place| place.folder.exists()),
            None => {
                if !std::mem::replace(&mut self.told, true) {
                    crate::output::tell!(
                        "hcall: the rings of the recording are not here, so that nobody knows whether it goes on: waiting for more of it"
                    );
                }
                false
            }
        }
    }
}

/// The recording of a call, its lane and its index.
type CallKey = (u32, u32, u64);

/// The announced calls of which nothing more came so far.
#[derive(Debug, Default)]
struct Announced {
    /// Those that were there at the look before.
    seen: BTreeSet<CallKey>,
    shown: BTreeSet<CallKey>,
}

impl Announced {
    /// What is to be shown now. A call that is announced at two looks hangs, or takes long: it is shown, and again when it has
    /// returned. At the end all are.
    fn look(&mut self, trace: &Trace, last: bool) -> Vec<(u32, Entry)> {
        let mut calls = trace.announced();
        let key = |(recording, entry): &(u32, Entry)| match entry {
            Entry::Call(call) => Some((*recording, call.lane, call.index)),
            _ => None,
        };
        let now: BTreeSet<_> = calls.iter().filter_map(key).collect();
        let seen = std::mem::replace(&mut self.seen, now.clone());
        let shown = std::mem::take(&mut self.shown);
        self.shown = shown.intersection(&now).copied().collect();
        calls.retain(|entry| match key(entry) {
            Some(key) => (last || seen.contains(&key)) && self.shown.insert(key),
            None => last,
        });
        calls
    }
}
