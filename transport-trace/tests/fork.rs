//! A process that forks while it records, for real: what its child has of the recording, and that the recording is whole.
//!
//! `fork` is called by a process of the test's own, so that the child is not one of the test runner.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test"
)]
#![cfg(unix)]

extern crate hypercall_core as hypercall;

mod common;

use common::folder::Folder;
use common::*;
use fork::Fork;
use hypercall_core::Client;
use hypercall_trace::entry::{Entry, Outcome};
use hypercall_trace::read::Trace;
use hypercall_trace::record::{FileLane, Finished, Full, Recorder, Recording, SyncPolicy};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FOLDER: &str = "HYPERCALL_TRACE_FORK_FOLDER";
const WAY: &str = "HYPERCALL_TRACE_FORK_WAY";
const CALLS: u32 = 100;

fn client(recording: &Recording) -> Client<Recorder<Device, FileLane>> {
    let lane = recording.lane("main").unwrap();
    Client::new(Recorder::new(Device::default(), lane))
}

fn add(client: &Client<Recorder<Device, FileLane>>, numbers: std::ops::Range<u32>) {
    for number in numbers {
        assert_eq!(client.add(number, 1), Ok(number + 1));
    }
}

/// The process that forks. Not a test of its own: without the folder it does nothing.
#[test]
fn process() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let way = std::env::var(WAY).unwrap();
    let recording = Recording::options(INTERFACES)
        .rings(folder.join("rings"))
        .ring(64 << 10, 4)
        .full(if way == "each call" {
            Full::Drop
        } else {
            Full::Block
        })
        .sync(if way == "each call" {
            SyncPolicy::EachCall
        } else {
            SyncPolicy::Never
        })
        .create(folder.join("run.hct"))
        .unwrap();
    let client = client(&recording);
    add(&client, 0..CALLS);
    match fork::fork().unwrap() {
        Fork::Child => {
            if way == "leaves" {
                leave(recording, folder);
            } else if way == "threads" {
                drop_among_threads(recording);
            } else {
                // More than the ring has room for: calls neither fail nor wait, for there is nobody who would make room.
                add(&client, 0..50 * CALLS);
            }
            std::process::exit(7);
        }
        Fork::Parent(child) => {
            let status = fork::waitpid(child).unwrap();
            // It exited with the status 7.
            assert_eq!(status, 7 << 8);
        }
    }
    if way == "leaves" || way == "threads" {
        add(&client, CALLS..2 * CALLS);
        let done = recording.finish();
        assert_eq!((done.calls, done.lost, done.complete), (200, 0, true));
    }
}

/// What a child may do: leave the recording alone, drop it, and have one of its own.
fn leave(recording: Recording, folder: &Path) {
    let error = recording.lane("child").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("parent process"), "{error}");
    let Finished {
        complete,
        failure,
        rings,
        ..
    } = recording.finish();
    assert!(!complete && failure.unwrap().contains("parent process"));
    assert_eq!(rings, Some(folder.join("rings")));
    let own = Recording::options(INTERFACES)
        .rings(folder.join("own"))
        .create(folder.join("own.hct"))
        .unwrap();
    let client = client(&own);
    add(&client, 0..CALLS / 2);
    assert!(own.finish().complete);
}

/// A child with threads of its own, which have the stacks of its parent's by now: more than the recording has threads.
fn drop_among_threads(recording: Recording) {
    let (go_on, goes_on) = std::sync::mpsc::channel::<()>();
    let goes_on = std::sync::Arc::new(std::sync::Mutex::new(goes_on));
    let workers: Vec<_> = (0..8)
        .map(|number| {
            let goes_on = std::sync::Arc::clone(&goes_on);
            std::thread::spawn(move || {
                let _ = goes_on.lock().unwrap().recv();
                number
            })
        })
        .collect();
    drop(recording);
    drop(go_on);
    let numbers: Vec<_> = workers
        .into_iter()
        .map(|worker| worker.join().unwrap())
        .collect();
    assert!(numbers.into_iter().eq(0..8));
}

fn run(folder: &Folder, way: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process", "--nocapture", "--test-threads=1"])
        .env(FOLDER, &folder.0)
        .env(WAY, way)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{way}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The numbers of the calls, all of which returned.
fn calls(path: PathBuf) -> Vec<u64> {
    let trace = Trace::open(path).unwrap();
    let report = trace.verify().unwrap();
    assert!(report.is_clean() && report.finished, "{report:?}");
    trace
        .entries()
        .map(|entry| match entry {
            Entry::Call(call) => {
                assert!(matches!(call.outcome, Outcome::Returned(_)));
                call.registers()[0]
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_child_that_leaves_the_recording_alone_leaves_it_whole() {
    let folder = Folder::new("leaves");
    run(&folder, "leaves");
    assert!(calls(folder.0.join("run.hct")).into_iter().eq(0..200));
    assert!(calls(folder.0.join("own.hct")).into_iter().eq(0..50));
    // The parent, and nobody before it, removed its rings.
    let rings = std::fs::read_dir(folder.0.join("rings")).unwrap();
    assert_eq!(rings.count(), 0);
}

#[test]
fn a_child_that_drops_the_recording_can_join_its_own_threads() {
    let folder = Folder::new("threads");
    run(&folder, "threads");
    assert!(calls(folder.0.join("run.hct")).into_iter().eq(0..200));
}

/// Against the rule: the recording is spoilt, but the program goes on.
#[test]
fn no_call_of_a_child_waits_for_its_parents_threads() {
    for way in ["block", "each call"] {
        run(&Folder::new(way), way);
    }
}
