//! `hcall export`: a trace in a form that other programs read.

use std::io::Write;

use crate::args::{Export, Form};
use crate::export::{Exporter, JsonLines, Pcapng, dissector};
use crate::failure::Failure;
use crate::format::Context;
use crate::input::{self, Losses};
use crate::output::{Output, Progress};
use crate::status::Status;
use crate::target::Target;

pub(crate) fn run(args: &Export, out: &mut Output) -> Result<Status, Failure> {
    let trace = input::open(&args.trace)?;
    let Some(path) = &args.output else {
        let progress = Progress::streaming("exporting", trace.len(), false);
        return write(args, &trace, out, &progress, &Failure::Output);
    };
    let mut target = Target::at(path, args.force, &[&args.trace])?;
    let progress = Progress::new("exporting", trace.len());
    let status = write(args, &trace, &mut target, &progress, &Target::failed(path))?;
    drop(progress);
    target.finish()?;
    Ok(status)
}

fn write(
    args: &Export,
    trace: &hypercall_trace::read::Trace,
    to: &mut impl Write,
    progress: &Progress,
    failed: &dyn Fn(std::io::Error) -> Failure,
) -> Result<Status, Failure> {
    let mut losses = Losses::of(trace);
    let mut all = |exporter: &mut dyn Exporter| -> Result<(), Failure> {
        exporter.start(trace).map_err(failed)?;
        let mut entries = input::best_in_time(trace);
        let mut position = 0..;
        // Each recording begins, those without entries too.
        let last = trace.recording_at(u64::MAX);
        let mut recordings = (1..=last).peekable();
        while let Some(entry) = entries.next() {
            progress.at(position.next().unwrap_or(u64::MAX));
            losses.note(&entry);
            let of = entries.recording();
            while let Some(number) = recordings.next_if(|number| *number <= of) {
                exporter.recording(number).map_err(failed)?;
            }
            exporter.entry(&entry).map_err(failed)?;
        }
        recordings.try_for_each(|number| exporter.recording(number).map_err(failed))?;
        exporter.finish().map_err(failed)
    };
    match args.to {
        Form::Json => all(&mut JsonLines::new(to))?,
        Form::Pcapng if !input::has_times(trace) && !trace.is_empty() => {
            all(&mut Pcapng::new(to))?;
            crate::output::tell!(
                "hcall: the trace does not say how fast its clock is: no packet has a time, all stand at 1970"
            );
        }
        Form::Pcapng => {
            all(&mut Pcapng::new(to))?;
            input::tell_without_clock(trace, "no packet of it has a time, all stand at 1970");
        }
        Form::Dissector => {
            let script = dissector(trace.schema());
            to.write_all(script.as_bytes())
                .and_then(|()| to.flush())
                .map_err(failed)?;
        }
    }
    Ok(Status::Done.or_partly(losses.report(&Context::of(trace))))
}
