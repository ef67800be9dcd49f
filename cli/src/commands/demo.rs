//! `hcall demo`: records a VM's life on a fake ACRN, shows it, and replays it.

use std::fs::File;
use std::path::Path;

use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::acrn::{HypervisorCalls, VcpuId, VmId};
use hypercall_core::{Client, Gpa, SharedPage};
use hypercall_mock::fake::{Access, FakeAcrn};
use hypercall_mock::loopback::Loopback;
use hypercall_trace::read::Trace;
use hypercall_trace::record::{Lane, Recorder, Recording};
use hypercall_trace::replay::{ReplayLane, Replayer};

use crate::args::Demo;
use crate::failure::Failure;
use crate::format::{Columns, Context, Lines, Part, Values};
use crate::input;
use crate::life::{World, live};
use crate::output::Output;
use crate::status::Status;

/// The pages of the VM's I/O requests: one for the recording, one for the replay.
static RECORDED: SharedPage = SharedPage::new();
static REPLAYED: SharedPage = SharedPage::new();

/// What to do where nothing can go wrong.
const REPORT: &str = "this is a mistake in hcall: please report it";

/// The lane's name.
const LANE: &str = "main";

/// What can be done with the trace next.
const NEXT: [(&str, &str); 7] = [
    ("show", "--hex --hints"),
    ("stat", ""),
    ("check", ""),
    ("state", "--at 9"),
    ("verify", ""),
    ("gen-test", "-o demo_test.rs"),
    ("export", "--to json"),
];

pub(crate) fn run(args: &Demo, out: &mut Output) -> Result<Status, Failure> {
    let path = args.output.as_path();
    let paint = out.paint;
    out.line(&format!(
        "A VM's life on a fake ACRN, recorded into {}:\n",
        paint.string(Part::Title, &path.display().to_string())
    ))?;
    out.flush()?;
    record(path)?;
    show(path, out)?;
    out.line("\nThe same program again, with the trace in the hypervisor's place:")?;
    let status = replay(path, out)?;
    out.line("\nNext:")?;
    for (command, options) in NEXT {
        let line = format!("  hcall {command} {} {options}", path.display());
        out.line(line.trim_end())?;
    }
    Ok(status)
}

/// Creates the file, or empties one that is a trace. Anything else stays as it is.
fn create(path: &Path) -> Result<File, Failure> {
    if path.exists() && Trace::open(path).is_err() {
        return Err(Failure::usage(
            format!("{} is there already, and is no trace", path.display()),
            "say with --output where the trace should go",
        ));
    }
    File::create(path).map_err(|error| Failure::Write {
        path: path.into(),
        error,
    })
}

fn record(path: &Path) -> Result<(), Failure> {
    let wrong = |error| Failure::Write {
        path: path.into(),
        error,
    };
    let recording = Recording::options(&[HypervisorCalls::INTERFACE])
        .ring(1 << 20, 8)
        .start(create(path)?)
        .map_err(wrong)?;
    let machine = FakeAcrn::new();
    let server = AcrnServer::new(&machine);
    let transport = Loopback::new(server, &machine, Gpa(0x100_0000), 0x1_0000);
    let recorder = Recorder::new(transport, recording.lane(LANE).map_err(wrong)?);
    recorder
        .watch(&RECORDED)
        .map_err(|error| wrong(std::io::Error::other(error)))?;
    let lived = live(
        &Client::new(&recorder),
        &RECORDED,
        &Guest {
            machine: &machine,
            recorder: &recorder,
        },
    );
    drop(recorder);
    let finished = recording.finish();
    if let Some(failure) = finished.failure {
        return Err(wrong(std::io::Error::other(failure)));
    }
    lived.map_err(|why| Failure::input(format!("the demo went wrong: {why}"), REPORT))
}

/// A guest that reads a port again and again.
struct Guest<'m, T, L> {
    machine: &'m FakeAcrn,
    recorder: &'m Recorder<T, L>,
}

impl<T, L: Lane> World for Guest<'_, T, L> {
    fn guest(&self, vm: VmId) -> Result<(), String> {
        let keyboard = Access::PortRead {
            port: 0x64,
            size: 1,
        };
        self.machine
            .guest_access(vm, VcpuId(0), keyboard)
            .map_err(|error| error.to_string())?;
        self.recorder.note_pages();
        Ok(())
    }
}

fn show(path: &Path, out: &mut Output) -> Result<(), Failure> {
    let trace = input::open(path)?;
    let columns = Columns {
        hints: true,
        ..Columns::default()
    };
    let values = Values {
        paint: out.paint,
        ..Values::default()
    };
    let mut lines = Lines::new(Context::of(&trace), columns, values);
    let mut text = String::new();
    for entry in trace.entries() {
        text.clear();
        lines.entry(&entry, &mut text);
        out.text(&text)?;
    }
    Ok(())
}

/// No guest: what it asked for comes from the trace.
struct NoGuest(ReplayLane);

impl World for NoGuest {
    fn guest(&self, _: VmId) -> Result<(), String> {
        self.0.note_pages();
        Ok(())
    }
}

fn replay(path: &Path, out: &mut Output) -> Result<Status, Failure> {
    let replayer = Replayer::options()
        .interface(HypervisorCalls::INTERFACE)
        .open(path)
        .map_err(|error| Failure::input(error.to_string(), REPORT))?;
    let lane = replayer.lane(LANE);
    lane.watch(&REPLAYED);
    let world = NoGuest(lane.clone());
    let lived = live(&Client::new(lane), &REPLAYED, &world);
    let report = replayer.report();
    match (report.is_clean(), lived) {
        (true, Ok(())) => {
            let text = format!(
                "  {} calls, each answered as recorded, none left over",
                report.answered
            );
            out.line(&out.paint.string(Part::Good, &text))?;
            Ok(Status::Done)
        }
        (_, lived) => {
            out.text(&report.to_string())?;
            if let Err(why) = lived {
                out.line(&why)?;
            }
            Ok(Status::Found)
        }
    }
}
