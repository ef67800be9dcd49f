//! `hcall redact`: a trace without what must not leave the house.

use std::io::{BufWriter, Write};

use hypercall_trace::entry::Entry;
use hypercall_trace::read::Trace;
use hypercall_trace::write::{Options, Writer};

use crate::args::Redact;
use crate::failure::Failure;
use crate::format::Context;
use crate::input::{self, Losses};
use crate::output::{self, Output, Progress};
use crate::redaction::{Redaction, What};
use crate::status::Status;

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
    let file = output::create(path, args.target.force, Some(&args.trace))?;
    let mut losses = Losses::of(&trace);
    let replaced = write(&trace, file, redaction, &mut losses).map_err(|error| {
        let _ = std::fs::remove_file(path);
        Failure::Write {
            path: path.clone(),
            error,
        }
    })?;
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

fn write(
    trace: &Trace,
    to: impl Write,
    mut redaction: Redaction,
    losses: &mut Losses,
) -> std::io::Result<u64> {
    let options = Options {
        id: trace.header().id,
        ..Options::default()
    };
    let mut writer = Writer::new(BufWriter::new(to), trace.schema(), *trace.clock(), options)?;
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
    writer.finish()?;
    Ok(redaction.replaced())
}
