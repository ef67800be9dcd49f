//! `hcall pack`: the same trace, smaller.

use hypercall_trace::write::{Compression, Options, Writer};

use crate::args::Pack;
use crate::failure::Failure;
use crate::format::Context;
use crate::input::{self, Losses};
use crate::output::{Output, Progress};
use crate::status::Status;
use crate::target::Target;

pub(crate) fn run(args: &Pack, out: &mut Output) -> Result<Status, Failure> {
    let trace = input::open(&args.trace)?;
    let path = &args.target.output;
    let failed = Target::failed(path);
    let target = Target::create(&args.target, &[&args.trace])?;
    let options = Options {
        compression: Compression::Zstd(args.level),
        id: trace.header().id,
        ..Options::packed()
    };
    let mut losses = Losses::of(&trace);
    let written = || -> std::io::Result<Target> {
        let lost = trace.lost_descriptions();
        let mut writer = Writer::lacking(target, trace.schema(), *trace.clock(), options, &lost)?;
        super::name_lanes(&trace, &mut writer)?;
        let progress = Progress::new("packing", trace.len());
        let mut entries = trace.entries();
        let mut position = 0..;
        while let Some(entry) = entries.next() {
            progress.at(position.next().unwrap_or(u64::MAX));
            losses.note(&entry);
            writer.recordings_of(&trace, entries.recording())?;
            writer.push(&entry)?;
        }
        writer.finish_as(&trace)
    };
    written().map_err(failed)?.finish()?;
    let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |data| data.len());
    let (before, after) = (size(&args.trace), size(path));
    let percent = after.saturating_mul(100).checked_div(before).unwrap_or(100);
    out.line(&format!(
        "{before} bytes became {after}, {percent} %: {}",
        path.display()
    ))?;
    Ok(Status::Done.or_partly(losses.report(&Context::of(&trace))))
}
