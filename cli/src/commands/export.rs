//! `hcall export`: a trace in a form that other programs read.

use std::io::{BufWriter, Write};

use crate::args::{Export, Form};
use crate::export::{Exporter, JsonLines, Pcapng, dissector};
use crate::failure::Failure;
use crate::format::Context;
use crate::input::{self, Losses};
use crate::output::{self, Output, Progress};
use crate::status::Status;

pub(crate) fn run(args: &Export, out: &mut Output) -> Result<Status, Failure> {
    let trace = input::open(&args.trace)?;
    let Some(path) = &args.output else {
        return write(args, &trace, out, &Failure::Output);
    };
    let mut file = BufWriter::new(output::create(path, args.force, Some(&args.trace))?);
    write(args, &trace, &mut file, &|error| Failure::Write {
        path: path.clone(),
        error,
    })
}

fn write(
    args: &Export,
    trace: &hypercall_trace::read::Trace,
    to: &mut impl Write,
    failed: &dyn Fn(std::io::Error) -> Failure,
) -> Result<Status, Failure> {
    let mut losses = Losses::of(trace);
    let progress = Progress::new("exporting", trace.len());
    let mut all = |exporter: &mut dyn Exporter| -> Result<(), Failure> {
        exporter.start(trace).map_err(failed)?;
        for (position, entry) in (0..).zip(trace.entries()) {
            progress.at(position);
            losses.note(&entry);
            exporter.entry(&entry).map_err(failed)?;
        }
        exporter.finish().map_err(failed)
    };
    match args.to {
        Form::Json => all(&mut JsonLines::new(to))?,
        Form::Pcapng => all(&mut Pcapng::new(to))?,
        Form::Dissector => {
            let script = dissector(trace.schema());
            to.write_all(script.as_bytes())
                .and_then(|()| to.flush())
                .map_err(failed)?;
        }
    }
    drop(progress);
    Ok(Status::Done.or_partly(losses.report(&Context::of(trace))))
}
