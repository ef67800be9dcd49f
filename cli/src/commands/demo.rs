//! `hcall demo`: records a VM's life on a fake ACRN, shows it, and replays it.

use std::fs::File;
use std::path::Path;

use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::acrn::{HypervisorCalls, VcpuId, VmId};
use hypercall_core::{Client, Gpa, SharedPage};
use hypercall_mock::fake::{Access, FakeAcrn};
use hypercall_mock::loopback::Loopback;
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

/// How lines are read.
const LEGEND: &str = "   Seconds, #index of the call, what went in = what came back, what the hypervisor wrote, <how long it took>.
   Between ---: the page through which the guest's I/O requests come. #2 is too early on purpose, and refused.
";

/// What can be done with the trace next.
const NEXT: [(&str, &str, &str); 8] = [
    ("show", "--result error --hints", "only what failed"),
    ("show", "--hex", "with the memory of each call"),
    ("stat", "", "counts, errors, latencies"),
    ("check", "", "the rules of a VM's life: finds #2"),
    ("state", "--at '#5'", "what there was after call #5"),
    ("replay", "", "does the fake still answer so?"),
    ("gen-test", "-o demo_test.rs", "a Rust test of it"),
    ("export", "--to json", "for other programs"),
];

pub(crate) fn run(args: &Demo, out: &mut Output) -> Result<Status, Failure> {
    let path = args.output.as_path();
    let paint = out.paint;
    let file = path.display();
    let title = |text: &str| paint.string(Part::Title, text);
    out.line(&title(&format!(
        "1. A device model drives a VM through its life, by typed hypercalls on a fake ACRN. Recorded into {file}:"
    )))?;
    out.line(&paint.string(Part::Aside, LEGEND))?;
    out.flush()?;
    record(path)?;
    show(path, out)?;
    out.text("\n")?;
    out.line(&title(
        "2. The same program again, with no hypervisor: the trace answers in its place.",
    ))?;
    let status = replay(path, out)?;
    out.text("\n")?;
    out.line(&title(&format!(
        "3. {file} is yours to look at. What a field engineer would do next:"
    )))?;
    let program = program();
    let typed = NEXT.map(|(command, options, what)| {
        let line = format!("{program} {command} {file} {options}");
        (line.trim_end().to_owned(), what)
    });
    let width = typed.iter().map(|(line, _)| line.chars().count()).max();
    for (line, what) in &typed {
        out.text(&format!("   {line:0$}", width.unwrap_or(0)))?;
        out.line(&paint.string(Part::Aside, &format!("  # {what}")))?;
    }
    Ok(status)
}

/// How this program was started, so that what is printed can be typed: by cargo, or by its name.
fn program() -> &'static str {
    let by_cargo = std::env::var_os("CARGO_PKG_NAME").is_some_and(|name| name == "hypercall-cli");
    if by_cargo {
        "cargo run -qp hypercall-cli --"
    } else {
        "hcall"
    }
}

/// Creates the file, or empties one that is a trace. Anything else stays as it is.
fn create(path: &Path) -> Result<File, Failure> {
    if path.exists() && input::open(path).is_err() {
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
        self.0.note_pages().map_err(|error| error.to_string())
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
                "   {}, each answered as recorded, none left over",
                super::count(report.answered, "call")
            );
            out.line(&out.paint.string(Part::Good, &text))?;
            Ok(Status::Done)
        }
        (_, lived) => {
            out.text(&crate::format::plain_lines(&report.to_string()))?;
            if let Err(why) = lived {
                out.line(&why)?;
            }
            Ok(Status::Found)
        }
    }
}
