//! `hcall state`: what there was at a point of a trace.

use hypercall_trace::entry::Entry;
use hypercall_trace::read::Trace;
use hypercall_trace::state::Machine;

use crate::args::State;
use crate::failure::Failure;
use crate::format::{Context, Part, plain_lines};
use crate::input::{self, Losses, Of};
use crate::output::{Output, Progress};
use crate::status::Status;

/// The point.
#[derive(Clone, Copy, Debug)]
enum Place {
    End,
    Position(u64),
    Call { lane: u32, index: u64 },
}

pub(crate) fn run(args: &State, out: &mut Output) -> Result<Status, Failure> {
    let trace = input::open(&args.trace)?;
    input::described(&args.trace, &trace)?;
    let place = args
        .at
        .as_deref()
        .map_or(Ok(Place::End), |text| place(text, &trace))?;
    let chosen = chosen(args, place, &trace)?;
    let mut losses = Losses::of(&trace);
    let mut machine = Machine::new();
    let mut last = None;
    let mut reached = false;
    let progress = Progress::new("reading", trace.len());
    let mut entries = input::in_time(&args.trace, &trace)?;
    let named = input::is_joined(&trace);
    let mut recording = chosen.unwrap_or(0);
    let mut position = 0_u64;
    while let Some(entry) = entries.next() {
        progress.at(position);
        if chosen.is_some_and(|chosen| entries.recording() != chosen) {
            if Some(entries.recording()) > chosen {
                break;
            }
            position = position.saturating_add(1);
            continue;
        }
        losses.note_all(&entry);
        if std::mem::replace(&mut recording, entries.recording()) != entries.recording() {
            // Another one may be of another machine, and its pages have their numbers anew.
            (machine, last) = (Machine::new(), None);
        }
        let name = entry
            .lane()
            .map(|lane| trace.lane_name(lane))
            .unwrap_or_default();
        machine.take(position, &name, &entry);
        if let Entry::Call(call) = &entry {
            last = Some(format!(
                "{name}#{}{} {} (entry {position})",
                call.index,
                input::of_recording(named.then_some(recording)),
                call.name()
            ));
        }
        reached = match (place, &entry) {
            (Place::Position(at), _) => position >= at,
            (Place::Call { lane, index }, Entry::Call(call)) => {
                call.lane == lane && call.index >= index
            }
            _ => false,
        };
        if reached {
            break;
        }
        position = position.saturating_add(1);
    }
    drop(progress);
    if !reached && let Some(at) = &args.at {
        // It may be in what cannot be read.
        losses.report(&Context::of(&trace));
        return Err(Failure::usage(
            format!(
                "the trace ends before `{at}`{}",
                input::of_recording(chosen.filter(|_| named))
            ),
            "`hcall show` has the calls with their lanes and indices",
        ));
    }
    if args.json {
        out.pretty(&Of {
            value: &machine,
            recording: named.then_some(recording),
        })?;
    } else {
        let after = last.map_or_else(
            || {
                let of = input::of_recording(named.then_some(recording));
                format!("before any call{of}")
            },
            |last| format!("after {last}"),
        );
        out.line(&out.paint.string(Part::Title, &plain_lines(&after)))?;
        out.text(&plain_lines(&machine.to_string()))?;
    }
    out.flush()?;
    Ok(Status::Done.or_partly(losses.report(&Context::of(&trace))))
}

/// The only recording that is looked at: of several the one that is asked for.
fn chosen(args: &State, place: Place, trace: &Trace) -> Result<Option<u32>, Failure> {
    let asked = args.recording;
    match place {
        Place::Position(_) if asked.is_some() => Err(Failure::usage(
            "a position counts through all recordings of the file",
            "leave out --recording, or name a call with LANE#INDEX",
        )),
        Place::Call { .. } => input::recording(asked, trace, "each may have such a call").map(Some),
        _ if asked.is_none() => Ok(None),
        _ => input::recording(asked, trace, "").map(Some),
    }
}

/// Reads `12`, `main#12`, or `#12` where there is one lane.
fn place(text: &str, trace: &Trace) -> Result<Place, Failure> {
    let wrong = || {
        let lanes: Vec<_> = trace
            .lanes()
            .iter()
            .map(|lane| lane.name.as_str())
            .collect();
        Failure::usage(
            format!("`{text}` is no place in the trace"),
            format!(
                "write a position such as 12, or LANE#INDEX; the lanes: {}",
                lanes.join(", ")
            ),
        )
    };
    let Some((lane, index)) = text.rsplit_once('#') else {
        return text.parse().map(Place::Position).map_err(|_| wrong());
    };
    let index = index.parse().map_err(|_| wrong())?;
    let lane = match (lane, trace.lanes()) {
        ("", [only]) => only.id,
        (name, _) => trace.lane(name).ok_or_else(wrong)?,
    };
    Ok(Place::Call { lane, index })
}
