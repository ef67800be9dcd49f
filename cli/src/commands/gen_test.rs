//! `hcall gen-test`: a Rust test of a slice of a trace.

use std::io::Write as _;
use std::sync::Arc;

use hypercall_core::acrn::HypervisorCalls;
use hypercall_trace::entry::Entry;
use hypercall_trace::gen_test::GenTest as Maker;
use hypercall_trace::read::Trace;
use hypercall_trace::replay::Recorded;

use crate::args::{ACRN_TYPES, GenTest};
use crate::failure::Failure;
use crate::format::{Context, plain};
use crate::input::{self, Losses};
use crate::output::{Output, Progress};
use crate::status::Status;
use crate::target::Target;

/// Records of a slice at most: what a compiler takes in a minute, more or less.
const MAX_ENTRIES: usize = 20_000;

pub(crate) fn run(args: &GenTest, out: &mut Output) -> Result<Status, Failure> {
    let trace = input::open(&args.trace)?;
    input::described(&args.trace, &trace)?;
    let mut losses = Losses::of(&trace);
    let recorded = slice(args, &trace, &mut losses)?;
    let source = &args.output;
    let slice_path = source.with_extension("hct");
    let wrong_name = || {
        Failure::usage(
            format!("{} is no name of a Rust file", source.display()),
            "name a file such as tests/field.rs",
        )
    };
    let slice_name = slice_path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(wrong_name)?;
    if slice_path == *source {
        return Err(wrong_name());
    }
    if slice_path == args.trace {
        return Err(Failure::usage(
            format!(
                "the slice that goes with {} would be {}, which is the trace itself",
                source.display(),
                slice_path.display()
            ),
            "give the test another name",
        ));
    }
    let name = match &args.name {
        Some(name) => name.clone(),
        None => source
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .ok_or_else(wrong_name)?,
    };
    let types: Vec<&str> = args.types.iter().map(String::as_str).collect();
    let mut maker = Maker::new(&name, slice_name)
        .range(args.from, args.to.unwrap_or(u64::MAX))
        .crates(&args.core, &args.trace_crate)
        .types(&types);
    let lanes: Vec<&str> = args.lane.iter().map(String::as_str).collect();
    if !lanes.is_empty() {
        let used = trace.used_lanes();
        let there = |name: &&&str| used.iter().any(|lane| lane.name == **name);
        if let Some(lane) = lanes.iter().find(|name| !there(name)) {
            let known: Vec<_> = used.iter().map(|lane| lane.name.as_str()).collect();
            return Err(Failure::usage(
                format!("the trace has no lane `{lane}`"),
                format!("its lanes: {}", known.join(", ")),
            ));
        }
        maker = maker.lanes(&lanes);
    }
    let made = maker.generate(&recorded).map_err(|error| {
        // What the slice lacks may be in what cannot be read.
        losses.report(&Context::of(&trace));
        Failure::input(
            error.to_string(),
            "choose a slice with --lane, --from and --to; `hcall show` has the indices",
        )
    })?;
    has_types(args, &recorded)?;
    // Both or none, as far as that can be had.
    let mut files = Vec::new();
    for (path, bytes) in [
        (&slice_path, made.trace.as_slice()),
        (source, made.source.as_bytes()),
    ] {
        let mut target = Target::at(path, args.force, &[&args.trace])?;
        target.write_all(bytes).map_err(Target::failed(path))?;
        files.push(target);
    }
    files.into_iter().try_for_each(Target::finish)?;
    out.line(&format!(
        "{}: {} and {}",
        super::count(made.calls, "call"),
        source.display(),
        slice_path.display()
    ))?;
    out.line(&plain(&format!(
        "the test uses {}, {} and {}; `hypercall::trace` needs the feature `trace`",
        args.core,
        args.trace_crate,
        args.types.join(", ")
    )))?;
    out.flush()?;
    Ok(Status::Done.or_partly(losses.report(&Context::of(&trace))))
}

/// Refuses a test that could not be compiled: calls of an own interface need its types, and only ACRN's are known.
fn has_types(args: &GenTest, recorded: &Recorded) -> Result<(), Failure> {
    if args.types != [ACRN_TYPES] {
        return Ok(());
    }
    let other = recorded.entries.iter().find_map(|entry| match entry {
        Entry::Call(call) => call
            .schema
            .as_deref()
            .map(|schema| &*schema.interface)
            .filter(|interface| *interface != HypervisorCalls::INTERFACE.name),
        _ => None,
    });
    other.map_or(Ok(()), |interface| {
        let interface = plain(interface);
        Err(Failure::usage(
            format!("the calls are of the interface {interface}, whose types the test needs"),
            format!("say where {interface} and its types are, with --types my_interface::*"),
        ))
    })
}

/// Whether an entry is of a call before this index.
const fn is_before(entry: &Entry, from: u64) -> bool {
    match entry {
        Entry::Call(call) => call.index < from,
        Entry::Lost(lost) => lost.index < from,
        Entry::Pages(pages) => pages.index < from,
        Entry::Unknown(unknown) => unknown.index < from,
        Entry::Damaged(_) => false,
    }
}

/// The entries that are asked for, so that a part of a trace larger than memory can be had.
fn slice(args: &GenTest, trace: &Trace, losses: &mut Losses) -> Result<Recorded, Failure> {
    // Each has an index 0 in each lane.
    let recording = input::recording(args.recording, trace, "a test is of one")?;
    let mut taken = Vec::new();
    let last = args.to.unwrap_or(u64::MAX);
    let mut memory = Recorded::LIMIT;
    let progress = Progress::new("reading", trace.len());
    for lane in trace.used_lanes() {
        if !args.lane.is_empty() && !args.lane.contains(&lane.name) {
            continue;
        }
        let mut entries = trace.lane_entries_of(recording, lane.id, args.from);
        while let Some(entry) = entries.next() {
            if entries.recording() > recording {
                break;
            }
            if entries.recording() < recording || is_before(&entry, args.from) {
                continue;
            }
            let behind = match &entry {
                Entry::Call(call) => call.index > last,
                Entry::Lost(lost) => lost.index > last,
                _ => false,
            };
            if behind {
                break;
            }
            if taken.len() >= MAX_ENTRIES {
                return Err(Failure::usage(
                    format!(
                        "a test of more than {MAX_ENTRIES} records would be too long to compile"
                    ),
                    "choose a slice with --lane, --from and --to; `hcall show` has the indices",
                ));
            }
            let Some(left) = memory.checked_sub(entry.memory()) else {
                return Err(Failure::usage(
                    format!(
                        "the slice takes more than {} bytes of memory",
                        Recorded::LIMIT
                    ),
                    "choose a smaller one with --lane, --from and --to",
                ));
            };
            memory = left;
            losses.note_all(&entry);
            taken.push((entries.recording(), entry));
            progress.at(u64::try_from(taken.len()).unwrap_or(u64::MAX));
        }
    }
    let recorded = Recorded {
        schema: Arc::clone(trace.schema()),
        lanes: trace.used_lanes(),
        ..Recorded::default()
    };
    Ok(recorded.with_entries(taken))
}
