//! `hcall redact`: a trace without what must not leave the house.

use std::io::Write;

use hypercall_trace::entry::Entry;
use hypercall_trace::read::Trace;
use hypercall_trace::write::{Options, Writer};

use crate::args::Redact;
use crate::failure::Failure;
use crate::format::Context;
use crate::input::{self, Losses};
use crate::output::{Output, Progress};
use crate::redaction::{Redaction, What};
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
    let (target, replaced) =
        write(&trace, target, redaction, &mut losses).map_err(Target::failed(path))?;
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
) -> std::io::Result<(W, u64)> {
    let options = Options {
        id: trace.header().id,
        ..Options::default()
    };
    let mut writer = Writer::new(to, trace.schema(), *trace.clock(), options)?;
    super::name_lanes(trace, &mut writer)?;
    let progress = Progress::new("redacting", trace.len());
    for (position, mut entry) in (0..).zip(trace.entries()) {
        progress.at(position);
        losses.note(&entry);
        match &mut entry {
            Entry::Call(call) => redaction.call(call),
            Entry::Pages(change) => redaction.pages(change),
            // Nobody knows what is in it, so nobody knows that it is no secret.
            Entry::Unknown(_) => continue,
            Entry::Lost(_) | Entry::Damaged(_) => {}
        }
        writer.push(&entry)?;
    }
    Ok((writer.finish()?, redaction.replaced()))
}
