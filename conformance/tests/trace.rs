//! The suite's trace: of a loopback, and the one that the guest captured in ring 0. They say the same, and a replayer
//! answers the suite from either.

use std::path::{Path, PathBuf};

use hypercall_conformance::{
    Counts, FakeSurroundings, KEPT_PAGES, Lent, Noting, Options, Report, Row, Surroundings, run,
};
use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::call::InterfaceInfo;
use hypercall_core::{Client, Gpa};
use hypercall_mock::fake::FakeAcrn;
use hypercall_mock::loopback::Loopback;
use hypercall_trace::diff::{self, diff_traces};
use hypercall_trace::read::Trace;
use hypercall_trace::record::{Recorder, Recording, Redaction};
use hypercall_trace::replay::Replayer;

static INTERFACES: &[&InterfaceInfo] = &[HypervisorCalls::INTERFACE];

/// Rows that do not hold.
#[derive(Default)]
struct Failed(Vec<String>);

impl Report for Failed {
    fn heading(&mut self, _: &str) {}
    fn row(&mut self, row: &Row<'_>) {
        if !row.holds() {
            self.0.push(row.to_string());
        }
    }
}

/// The trace of the suite over a loopback.
fn loopback(path: &Path, options: Options) -> Counts {
    let fake = FakeAcrn::new();
    let around = FakeSurroundings::new(&fake);
    let server = AcrnServer::new(fake.clone());
    let loopback = Loopback::new(server, fake.clone(), Gpa(0x100_0000), 0x1_0000);
    let recording = Recording::options(INTERFACES)
        .redaction(Redaction::Zero)
        .create(path)
        .expect("a file");
    let recorder = Recorder::new(loopback, recording.lane("main").expect("a lane"));
    for page in around.lent().pages.iter().take(KEPT_PAGES) {
        recorder.watch(page).expect("room for the page");
    }
    let client = Client::new(recorder);
    let note = || client.transport().note_pages();
    let noting = Noting {
        inner: &around,
        note: &note,
    };
    let mut failed = Failed::default();
    let counts = run(&client, &noting, options, &mut failed);
    assert_eq!(failed.0, Vec::<String>::new());
    drop(client);
    let done = recording.finish();
    assert!(done.complete && done.lost == 0, "{done:?}");
    counts
}

/// The trace that the guest captured: the one in the repository, or another that the runner names.
fn ring0() -> PathBuf {
    std::env::var_os("RING0_TRACE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ring0.hct"),
        PathBuf::from,
    )
}

/// Which steps the guest made. Where the runner says `any`, nothing told it that this is the test bed.
fn options() -> Options {
    match std::env::var("RING0_OPTIONS").as_deref() {
        Ok("any") => Options::any_machine(Options::RECORDED.vm),
        _ => Options::RECORDED,
    }
}

/// Time does not pass by anybody's work: what the pages show comes from the trace.
struct Replayed;

impl Surroundings for Replayed {
    fn lent(&self) -> Lent {
        Lent {
            pages: &hypercall_conformance::PAGES,
            gpa: hypercall_conformance::LENT_AT,
        }
    }
    fn wait(&self, done: &dyn Fn() -> bool) -> bool {
        (0..8).any(|_| done())
    }
}

/// Runs the suite with answers from a trace. A guest that waits by its clock looks at the pages as often as it can; this
/// suite finds at its first look what that one found at some later one.
fn replay(path: &Path, options: Options) -> Counts {
    for page in &hypercall_conformance::PAGES {
        page.words()
            .iter()
            .for_each(|word| word.store(0, std::sync::atomic::Ordering::Relaxed));
    }
    let replay = if options.recorded_machine {
        Replayer::options()
    } else {
        Replayer::options().at_first_look()
    };
    let replayer = replay.open(path).expect("a trace that can be replayed");
    let lane = replayer.lane("main");
    for page in hypercall_conformance::PAGES.iter().take(KEPT_PAGES) {
        lane.watch(page);
    }
    let client = Client::new(lane.clone());
    let note = || lane.note_pages().expect("the trace goes on");
    let noting = Noting {
        inner: &Replayed,
        note: &note,
    };
    let mut failed = Failed::default();
    let counts = run(&client, &noting, options, &mut failed);
    assert_eq!(
        failed.0,
        Vec::<String>::new(),
        "{:?}",
        replayer.divergence().map(|told| told.to_string())
    );
    let report = replayer
        .finish()
        .unwrap_or_else(|report| panic!("{report}"));
    println!("{}: {counts}; {report}", path.display());
    counts
}

/// One test: the pages are the same in all its parts.
#[test]
fn ring_0_and_a_loopback_say_the_same() {
    let folder = std::env::temp_dir().join(format!("hypercall-conformance-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("loopback.hct");
    let options = options();
    let counts = loopback(&path, options);

    let ours = Trace::open(&path).expect("the loopback's trace");
    let theirs = Trace::open(ring0()).expect("the guest's trace");
    for trace in [&ours, &theirs] {
        let report = trace.verify().expect("readable");
        assert!(report.is_clean(), "{report:?}");
        assert_eq!((report.lost, report.unfinished), (0, 0));
    }
    let difference = diff_traces(&ours, &theirs, diff::Options::default());
    assert!(difference.is_empty(), "{difference:?}");

    for path in [path.as_path(), ring0().as_path()] {
        let replayed = replay(path, options);
        assert_eq!((replayed.failed, replayed.calls), (0, counts.calls));
    }
    std::fs::remove_dir_all(&folder).expect("the folder was ours");
}

/// What a serial line may do to a trace: one bit of a byte. A line that is missing the runner notices by the count at the end.
#[test]
fn a_damaged_byte_is_noticed() {
    let whole = std::fs::read(ring0()).expect("the guest's trace");
    let noticed = |bytes: &[u8]| match Trace::from_bytes(bytes.to_vec()) {
        Ok(trace) => !trace.verify().expect("memory can be read").is_clean(),
        Err(_) => true,
    };
    assert!(!noticed(&whole));
    for at in (0..whole.len()).step_by(211).chain(0..64) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(noticed(&damaged), "byte {at} of {}", whole.len());
    }
}
