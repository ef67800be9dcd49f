//! `hcall recover`: what a killed recording left, joined to a whole trace.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hypercall_trace::read::recover::{
    RecoverError, Recovered, Ring, RingError, find, is_recording, lanes_without_ring,
    may_have_rings, recover, recover_part,
};
use hypercall_trace::read::{OpenError, Trace};
use hypercall_trace::write::Options;

use super::places::{Owners, Places};
use crate::args::Recover;
use crate::failure::Failure;
use crate::format::{Context, Part, UNKNOWN_NUMBER};
use crate::input::{self, Losses};
use crate::output::{Output, Progress};
use crate::status::Status;
use crate::target::Target;

const HELP: &str = "the rings are in /dev/shm/hypercall-PID-ID, or a link /dev/shm/hypercall-PID.NAMESPACES-ID leads to them where the recording was given another folder; see `ls -l /dev/shm`";

/// Lanes without a ring that are told one by one.
const TOLD: usize = 10;

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
    // Without a trace there is no number to look for.
    let owners = Owners::of(args.trace.as_deref().unwrap_or_else(|| Path::new("")));
    let mut folders = args.rings.clone();
    let mut unreadable = 0;
    if folders.is_empty()
        && let Some(trace) = trace.as_ref().filter(|trace| may_have_rings(trace))
    {
        (folders, unreadable) = search(trace, &owners);
    }
    if let Some(trace) = &trace {
        tell_others(trace);
    }
    let goes_on = goes_on(&folders);
    let (rings, no_rings) = rings(&folders)?;
    let mut left_out = without_ring(trace.as_ref(), &rings);
    if trace.as_ref().is_none_or(may_have_rings) {
        left_out = left_out.saturating_add(not_named(&args.rings));
    }
    let unreadable = no_rings.saturating_add(unreadable).saturating_add(left_out);
    if trace.is_none() && rings.is_empty() {
        // Nothing was looked at where none was named.
        let why = if args.rings.is_empty() {
            "nothing of the recording reached the file, so its number is not known: name the rings with --rings"
        } else {
            "none of the rings can be read"
        };
        return Err(Failure::input(why, HELP));
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
    let of_all = if unreadable == 0 {
        recover
    } else {
        recover_part
    };
    let (target, recovered) = of_all(
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
        lost_unknown,
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
    if goes_on {
        crate::output::tell!(
            "hcall: the recording goes on: what it did meanwhile is not in what was written, or noted as lost. Recover it again when its process has ended"
        );
    } else if !rings.is_empty() {
        let first = rings.first();
        let folder = first.and_then(|ring| ring.path.parent());
        let link = Places::of(first.map_or(0, |ring| ring.id), &owners)
            .own
            .into_iter()
            .find(|place| place.entry != place.folder && Some(&*place.folder) == folder)
            .map_or_else(String::new, |place| {
                format!(
                    ", and the link that leads there, {},",
                    place.entry.display()
                )
            });
        let folder = folder.map_or_else(String::new, |folder| format!(" in {}", folder.display()));
        let text = format!(
            "the rings are left{folder}: delete them{link} when the trace is what you need"
        );
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
    if lost_unknown {
        let text = format!("{UNKNOWN_NUMBER} is noted as lost");
        out.line(&paint.string(Part::Notice, &text))?;
    }
    if damaged != 0 {
        let (stretches, are) = super::count_are(damaged, "damaged stretch or record");
        let stretches = stretches.replace("stretch or records", "stretches or records");
        crate::output::tell!("hcall: {stretches} {are} not in what was written");
    }
    let described = trace.as_ref().map(|trace| {
        // What is damaged among the records was told.
        // That the recording was not finished is why this runs.
        let mut losses = Losses::default();
        losses.describe(trace);
        losses.report(&Context::of(trace))
    });
    let damaged = damaged != 0 || unreadable != 0 || described == Some(true);
    Ok(Status::Done.or_partly(damaged))
}

/// Says where the rings of an unfinished recording are. The files that there are, and how many places and files cannot be read
/// or are somebody else's.
fn search(trace: &Trace, owners: &Owners) -> (Vec<PathBuf>, usize) {
    let places = Places::of(trace.header().id, owners);
    let (mut files, mut unreadable, mut gone) = (Vec::new(), places.tell_foreign(), false);
    for place in places.own {
        let is = |text: &str| {
            let folder = place.folder.display();
            crate::output::tell!("hcall: the recording's rings {text} {folder}");
        };
        match place.rings(owners) {
            Ok((rings, foreign)) if !rings.is_empty() || foreign != 0 => {
                is("are in");
                files.extend(rings);
                unreadable = unreadable.saturating_add(foreign);
            }
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                unreadable = unreadable.saturating_add(1);
                is(&format!("cannot be read ({error}): they are in"));
            }
            _ => {
                gone = true;
                is("are not there any more: they were in");
            }
        }
    }
    if gone && !files.is_empty() {
        // What they held is not there.
        unreadable = unreadable.saturating_add(1);
    }
    if files.is_empty() && unreadable == 0 && !gone {
        let why = if trace.end_is_damaged() {
            "whether the recording was finished is not known"
        } else {
            "the recording was not finished"
        };
        crate::output::tell!(
            "hcall: {why}, and nothing in /dev/shm leads to its rings: what they hold is not in what was written. If they are elsewhere, name the folder with --rings"
        );
    }
    (files, unreadable)
}

/// Says of which recordings of a joined file nobody can find the rings.
fn tell_others(trace: &Trace) {
    let mut without_end = trace.recordings_without_end();
    if trace.ends_early() {
        without_end.insert(trace.recording_at(u64::MAX));
    }
    without_end.remove(&0);
    for recording in without_end.iter().take(TOLD) {
        crate::output::tell!(
            "hcall: recording {recording} of the file was not finished, and only the first one can be recovered here: the file does not have its number. Recover it before it is joined"
        );
    }
}

/// Whether the recording goes on whose rings these are. Where nobody can say it was killed, as nearly all were that are recovered.
fn goes_on(rings: &[PathBuf]) -> bool {
    let folder = |path: &PathBuf| {
        if path.is_dir() {
            path.clone()
        } else {
            folder_of(path)
        }
    };
    let folders: BTreeSet<_> = rings.iter().map(folder).collect();
    let live = |folder: &PathBuf| is_recording(folder).unwrap_or(false);
    folders.iter().any(live)
}

/// The folder that a file is in.
fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_path_buf(),
        // A name alone is in the folder that this runs in.
        _ => PathBuf::from("."),
    }
}

/// Says which rings lie beside those that were named, and were not. How many there are.
fn not_named(named: &[PathBuf]) -> usize {
    let mut beside = BTreeSet::new();
    let files = named.iter().filter(|path| !path.is_dir());
    for folder in files.map(|path| folder_of(path)) {
        beside.extend(find(&folder).unwrap_or_default());
    }
    let same = |path: &Path| path.canonicalize().ok();
    let have: Vec<_> = named.iter().filter_map(|path| same(path)).collect();
    let is_in = |path: &PathBuf| {
        same(path).is_some_and(|path| have.iter().any(|have| path.starts_with(have)))
    };
    beside.retain(|path| !is_in(path));
    for path in &beside {
        crate::output::tell!(
            "hcall: {} was not named: what it holds is not in what was written",
            path.display()
        );
    }
    beside.len()
}

/// Says which lanes of the file have no ring, where there are rings. How many there are.
fn without_ring(trace: Option<&Trace>, rings: &[Ring]) -> usize {
    let Some(trace) = trace.filter(|_| !rings.is_empty()) else {
        return 0;
    };
    let lanes = lanes_without_ring(trace, rings);
    for lane in lanes.iter().take(TOLD) {
        crate::output::tell!(
            "hcall: there is no ring of lane {}: what it held is not in what was written",
            crate::format::plain(&lane.name)
        );
    }
    if let more @ 1.. = lanes.len().saturating_sub(TOLD) {
        crate::output::tell!("hcall: nor of {}", super::count(more, "more lane"));
    }
    lanes.len()
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
