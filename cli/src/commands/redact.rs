//! `hcall redact`: a trace without what must not leave the house.

use std::io::Write;
use std::path::Path;

use hypercall_trace::entry::{Call, Entry};
use hypercall_trace::read::Trace;
use hypercall_trace::write::{Options, Writer};

use crate::args::{Redact, Undescribed};
use crate::failure::Failure;
use crate::format::Context;
use crate::input::{self, Losses};
use crate::output::{Output, Progress};
use crate::redaction::{Redaction, What, is_complete};
use crate::status::Status;
use crate::target::Target;

pub(crate) fn run(args: &Redact, out: &mut Output) -> Result<Status, Failure> {
    let trace = input::open(&args.trace)?;
    let what = What {
        fields: args.field.clone(),
        text: args.text,
        addresses: args.addresses,
        bytes: args.bytes,
        secrets: !args.keep_secrets,
    };
    for field in &what.fields {
        if !what.names_something(field, trace.schema()) {
            return Err(Failure::usage(
                format!("no call of the trace has a field `{field}`"),
                "name a field or argument as `hcall show` does, or CALL.FIELD",
            ));
        }
    }
    let key = match args.key {
        Some(key) => key,
        None => random()?,
    };
    let redaction = Redaction::new(what, key);
    let path = &args.target.output;
    let target = Target::create(&args.target, &[&args.trace])?;
    let mut losses = Losses::of(&trace);
    let (target, replaced) = write(&trace, target, redaction, &mut losses, args)?;
    target.finish()?;
    out.line(&format!(
        "{} replaced: {}",
        super::count(replaced, "value"),
        path.display()
    ))?;
    out.flush()?;
    Ok(Status::Done.or_partly(losses.report(&Context::of(&trace))))
}

fn random() -> Result<[u8; 16], Failure> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|error| {
        Failure::input(
            format!("the system gives no random key: {error}"),
            "give one with --key",
        )
    })?;
    Ok(key)
}

fn write<W: Write>(
    trace: &Trace,
    to: W,
    mut redaction: Redaction,
    losses: &mut Losses,
    args: &Redact,
) -> Result<(W, u64), Failure> {
    let failed = || Target::failed(&args.target.output);
    let options = Options {
        // No rings belong to it: what they hold is not redacted.
        id: redaction.trace_id(trace.header().id),
        ..Options::default()
    };
    let lost = trace.lost_descriptions();
    let mut writer =
        Writer::lacking(to, trace.schema(), *trace.clock(), options, &lost).map_err(failed())?;
    super::name_lanes(trace, &mut writer).map_err(failed())?;
    let progress = Progress::new("redacting", trace.len());
    let mut entries = trace.entries();
    let mut position = 0..;
    while let Some(mut entry) = entries.next() {
        progress.at(position.next().unwrap_or(u64::MAX));
        losses.note_all(&entry);
        match &mut entry {
            Entry::Call(call) => {
                if args.undescribed == Undescribed::Refuse && !is_complete(call) {
                    return Err(undescribed(call, trace, &args.trace));
                }
                redaction.call(call);
            }
            Entry::Pages(change) => redaction.pages(change),
            // Nobody knows what is in it, so nobody knows that it is no secret.
            Entry::Unknown(_) => continue,
            Entry::Lost(_) | Entry::Damaged(_) => {}
        }
        writer
            .recordings_of(trace, entries.recording())
            .map_err(failed())?;
        writer.push(&entry).map_err(failed())?;
    }
    let target = writer.finish_as(trace).map_err(failed())?;
    Ok((target, redaction.replaced()))
}

/// The error about a call of which nobody knows where secrets stand.
fn undescribed(call: &Call, trace: &Trace, path: &Path) -> Failure {
    let why = match (&call.schema, input::no_schema(trace)) {
        (_, Some(why)) => why,
        (None, None) => "the call is not in the trace's schema".to_owned(),
        (Some(_), None) => "it carries other memory than the schema describes".to_owned(),
    };
    let (lane, index) = (trace.lane_name(call.lane), call.index);
    Failure::input(
        crate::format::plain(&format!(
            "{}: where secrets stand in {lane}#{index}, number {:#x}, is not known: {why}",
            path.display(),
            call.number
        )),
        "nothing was written; with `--undescribed hash` all arguments of such calls are replaced",
    )
}
