//! `hcall recover`: what a killed recording left, joined to a whole trace.

use std::path::{Path, PathBuf};

use hypercall_trace::read::recover::{RecoverError, Recovered, Ring, RingError, find, recover};
use hypercall_trace::read::{OpenError, Trace};
use hypercall_trace::write::Options;

use crate::args::Recover;
use crate::failure::Failure;
use crate::format::{Context, Part};
use crate::input::{self, Losses};
use crate::output::{Output, Progress};
use crate::status::Status;
use crate::target::Target;

const HELP: &str = "the rings are in the folder that the recording was given, else in /dev/shm/hypercall-PID-ID; see `ls /dev/shm`";

/// Opens what reached the file. That may be nothing, where the recording was killed at once: all of it is in the rings then.
fn begun(path: &Path) -> Result<Option<Trace>, Failure> {
    input::regular(path)?;
    match Trace::open(path) {
        Ok(trace) => Ok(Some(trace)),
        Err(OpenError::Empty | OpenError::CutHeader(_)) => {
            crate::output::tell!("hcall: nothing reached {}", path.display());
            Ok(None)
        }
        Err(error) => Err(Failure::open(path, error)),
    }
}

pub(crate) fn run(args: &Recover, out: &mut Output) -> Result<Status, Failure> {
    let trace = args.trace.as_deref().map(begun).transpose()?.flatten();
    let mut folders = args.rings.clone();
    if folders.is_empty()
        && let Some(trace) = trace.as_ref().filter(|trace| !trace.is_finished())
    {
        folders = left_behind(trace);
    }
    let (rings, unreadable) = rings(&folders)?;
    if trace.is_none() && rings.is_empty() {
        return Err(Failure::input("none of the rings can be read", HELP));
    }
    let path = &args.target.output;
    let inputs: Vec<&Path> = args
        .trace
        .iter()
        .map(PathBuf::as_path)
        .chain(rings.iter().map(|ring| ring.path.as_path()))
        .collect();
    let target = Target::create(&args.target, &inputs)?;
    // What comes out is about as long as what goes in.
    let size = |path: &&Path| path.metadata().map_or(0, |data| data.len());
    let progress = Progress::new("recovering", inputs.iter().map(size).sum());
    let (target, recovered) = recover(
        trace.as_ref(),
        &rings,
        progress.counting(target),
        Options::default(),
    )
    .map_err(|error| match error {
        RecoverError::Io(error) => Target::failed(path)(error),
        other => Failure::input(other.to_string(), HELP),
    })?;
    let target = target.into_inner();
    drop(progress);
    target.finish()?;
    let Recovered {
        from_file,
        from_rings,
        unfinished,
        lost,
        damaged,
    } = recovered;
    let paint = out.paint;
    out.line(&format!(
        "{} from the file, {} from {}: {}",
        super::count(from_file, "record"),
        super::count(from_rings, "record"),
        super::count(rings.len(), "ring"),
        path.display()
    ))?;
    if !rings.is_empty() {
        let folder = rings.first().and_then(|ring| ring.path.parent());
        let folder = folder.map_or_else(String::new, |folder| format!(" in {}", folder.display()));
        let text =
            format!("the rings are left{folder}: delete them when the trace is what you need");
        out.line(&paint.string(Part::Aside, &text))?;
    }
    if unfinished != 0 {
        let text = format!(
            "{} never returned: `hcall show {} -r unfinished`",
            super::count(unfinished, "call"),
            path.display()
        );
        out.line(&paint.string(Part::Notice, &text))?;
    }
    if lost != 0 {
        let (calls, are) = super::count_are(lost, "call");
        out.line(&paint.string(Part::Notice, &format!("{calls} {are} noted as lost")))?;
    }
    if damaged != 0 {
        let (stretches, are) = super::count_are(damaged, "damaged stretch or record");
        let stretches = stretches.replace("stretch or records", "stretches or records");
        crate::output::tell!("hcall: {stretches} {are} not in what was written");
    }
    let described = trace.as_ref().map(|trace| {
        // What is damaged among the records was told.
        Losses::of(trace).report(&Context::of(trace))
    });
    let damaged = damaged != 0 || unreadable != 0 || described == Some(true);
    Ok(Status::Done.or_partly(damaged))
}

/// Where the rings of a recording that was not finished lie, if it was given no folder for them: the folder's name ends with
/// the trace's number.
fn left_behind(trace: &Trace) -> Vec<PathBuf> {
    let end = format!("-{:016x}", trace.header().id);
    let mut folders = Vec::new();
    for base in [PathBuf::from("/dev/shm"), std::env::temp_dir()] {
        let Ok(entries) = std::fs::read_dir(&base) else {
            continue;
        };
        folders.extend(entries.flatten().map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy());
            name.is_some_and(|name| name.starts_with("hypercall-") && name.ends_with(&end))
                && find(path).is_ok_and(|rings| !rings.is_empty())
        }));
    }
    folders.sort();
    folders.dedup();
    if let Some(folder) = folders.first() {
        crate::output::tell!("hcall: the recording's rings are in {}", folder.display());
    } else {
        crate::output::tell!(
            "hcall: the recording was not finished, and its rings are not in /dev/shm: what they hold is not in what was written. If it was given a folder for them, name it with --rings"
        );
    }
    folders
}

/// Opens the rings in folders and files. How many could not be read is said on the error output.
fn rings(paths: &[PathBuf]) -> Result<(Vec<Ring>, usize), Failure> {
    let (mut rings, mut unreadable) = (Vec::new(), 0_usize);
    for path in paths {
        let files = if path.is_dir() {
            let files = find(path).map_err(|error| Failure::Read {
                path: path.clone(),
                error,
            })?;
            if files.is_empty() {
                return Err(Failure::input(
                    format!("there are no rings in {}", path.display()),
                    HELP,
                ));
            }
            files
        } else {
            vec![path.clone()]
        };
        for file in files {
            input::regular(&file)?;
            match Ring::open(file) {
                Ok(ring) => rings.push(ring),
                Err(RingError::Io { path, error }) => return Err(Failure::Read { path, error }),
                Err(error) => {
                    crate::output::tell!("hcall: {error}");
                    unreadable = unreadable.saturating_add(1);
                }
            }
        }
    }
    Ok((rings, unreadable))
}
