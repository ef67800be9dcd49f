//! The operating system refuses what a recording writes, for real: under `strace`, which answers its system calls with
//! errors. No call fails, and what the file has not got is in the rings or counted.
//!
//! Needs the program `strace` (Debian's package of that name), and fails without it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test"
)]
#![cfg(target_os = "linux")]

extern crate hypercall_core as hypercall;

mod common;

use common::folder::Folder;
use common::*;
use hypercall_core::Client;
use hypercall_trace::entry::Entry;
use hypercall_trace::read::Trace;
use hypercall_trace::read::recover::{Ring, find, recover};
use hypercall_trace::record::{Finished, Full, Recorder, Recording, SyncPolicy};
use hypercall_trace::write::Options;
use std::path::Path;
use std::process::Command;

const FOLDER: &str = "HYPERCALL_TRACE_FULL_DISK_FOLDER";
const RING: &str = "HYPERCALL_TRACE_FULL_DISK_RING";
const SYNC: &str = "HYPERCALL_TRACE_FULL_DISK_SYNC";
const COUNT: u32 = 3000;

/// What runs under strace. Not a test of its own: without the folder it does nothing.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let ring: usize = std::env::var(RING).unwrap().parse().unwrap();
    let sync = match &*std::env::var(SYNC).unwrap() {
        "never" => SyncPolicy::Never,
        "call" => SyncPolicy::EachCall,
        _ => SyncPolicy::EachBlock,
    };
    let recording = Recording::options(INTERFACES)
        .rings(folder.join("rings"))
        .ring(ring, 8)
        .full(Full::Drop)
        .sync(sync)
        .create(folder.join("run.hct"))
        .unwrap();
    let lane = match recording.lane("main") {
        Ok(lane) => lane,
        Err(error) => {
            std::fs::write(folder.join("no-lane"), error.to_string()).unwrap();
            return;
        }
    };
    let client = Client::new(Recorder::new(Device::default(), lane));
    for count in 0..COUNT {
        assert_eq!(client.add(count, 1), Ok(count + 1), "no call fails");
    }
    let Finished {
        calls,
        lost,
        failures,
        complete,
        rings,
        ..
    } = recording.finish();
    std::fs::write(
        folder.join("finished"),
        format!(
            "{calls} {lost} {failures} {} {}",
            u8::from(complete),
            u8::from(rings.is_some())
        ),
    )
    .unwrap();
}

/// Runs the child under strace, which answers the system calls on a file of the folder as `inject` says. How often it did.
fn under_strace(folder: &Path, file: &str, inject: &str, ring: usize, sync: &str) -> usize {
    let log = folder.join("strace.log");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        .arg("-P")
        .arg(folder.join(file))
        .args(["-e", &format!("inject={inject}")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(RING, ring.to_string())
        .env(SYNC, sync)
        .stdout(std::process::Stdio::null())
        .status()
        .expect("this test needs the program strace: install the package of that name");
    assert!(status.success(), "the recording process: {status}");
    std::fs::read_to_string(log)
        .unwrap()
        .lines()
        .filter(|line| line.contains("(INJECTED)"))
        .count()
}

/// Calls, lost calls, failures, whether all is in the file, whether the rings stay.
fn finished(folder: &Path) -> [u64; 5] {
    let text = std::fs::read_to_string(folder.join("finished")).unwrap();
    let words: Vec<u64> = text.split(' ').map(|word| word.parse().unwrap()).collect();
    words.try_into().unwrap()
}

/// The rings that were left.
fn rings(folder: &Path) -> Vec<Ring> {
    find(&folder.join("rings"))
        .unwrap()
        .into_iter()
        .map(|path| Ring::open(path).unwrap())
        .collect()
}

/// Calls in a trace, each of which must be what was called, and lost ones.
fn counted(trace: &Trace) -> (u64, u64) {
    let (mut calls, mut lost) = (0, 0);
    for entry in trace.entries() {
        match entry {
            Entry::Call(call) => {
                assert_eq!(call.index, calls + lost, "no index is passed over");
                assert_eq!(call.registers(), [call.index, 1]);
                assert_eq!(call.rax(), Some(call.index as i64 + 1));
                calls += 1;
            }
            Entry::Lost(loss) => {
                assert_eq!(loss.index, calls + lost);
                lost += loss.count;
            }
            other => panic!("{other:?}"),
        }
    }
    (calls, lost)
}

/// What the file and the rings have together.
fn recovered(folder: &Path) -> Trace {
    let file = Trace::open(folder.join("run.hct")).ok();
    let (bytes, _) = recover(
        file.as_ref(),
        &rings(folder),
        Vec::new(),
        Options::default(),
    )
    .unwrap();
    let trace = Trace::from_bytes(bytes).unwrap();
    let report = trace.verify().unwrap();
    assert!(report.is_clean() && report.finished, "{report:?}");
    trace
}

#[test]
fn a_disk_that_is_full_from_the_start_loses_nothing_that_the_rings_hold() {
    for (name, when) in [("header", "1+"), ("later", "2+")] {
        let folder = Folder::new(name);
        let inject = format!("write:error=ENOSPC:when={when}");
        let injected = under_strace(&folder.0, "run.hct", &inject, 8 << 20, "never");
        let [_, _, failures, complete, kept] = finished(&folder.0);
        assert!(injected > 0 && failures > 0, "{name}");
        assert_eq!((complete, kept), (0, 1), "{name}: the rings stay");
        assert_eq!(
            counted(&recovered(&folder.0)),
            (u64::from(COUNT), 0),
            "{name}"
        );
    }
}

#[test]
fn a_disk_that_has_room_again_gets_everything() {
    let folder = Folder::new("again");
    let inject = "write:error=ENOSPC:when=2..6";
    let injected = under_strace(&folder.0, "run.hct", inject, 8 << 20, "never");
    assert_eq!(injected, 5);
    assert_eq!(finished(&folder.0), [u64::from(COUNT), 0, 5, 1, 0]);
    assert!(rings(&folder.0).is_empty());
    let trace = Trace::open(folder.0.join("run.hct")).unwrap();
    let report = trace.verify().unwrap();
    assert!(report.is_clean() && report.finished, "{report:?}");
    assert_eq!(counted(&trace), (u64::from(COUNT), 0));
}

#[test]
fn what_neither_the_disk_nor_the_ring_had_room_for_is_counted() {
    let folder = Folder::new("counted");
    let inject = "write:error=ENOSPC:when=2+";
    under_strace(&folder.0, "run.hct", inject, 64 << 10, "never");
    let (calls, lost) = counted(&recovered(&folder.0));
    assert_eq!(calls + lost, u64::from(COUNT));
    assert!(calls > 100 && lost > 100, "{calls} kept, {lost} lost");
}

#[test]
fn interrupted_writes_are_made_again() {
    let folder = Folder::new("interrupted");
    let inject = "write:error=EINTR:when=1+2";
    let injected = under_strace(&folder.0, "run.hct", inject, 8 << 20, "block");
    assert!(injected > 0);
    // An interruption is no failure.
    assert_eq!(finished(&folder.0), [u64::from(COUNT), 0, 0, 1, 0]);
    let trace = Trace::open(folder.0.join("run.hct")).unwrap();
    assert!(trace.verify().unwrap().is_clean());
    assert_eq!(counted(&trace), (u64::from(COUNT), 0));
}

#[test]
fn calls_that_wait_for_a_broken_disk_are_made_all_the_same() {
    for (name, inject) in [
        ("call-write", "write:error=EIO:when=3+"),
        ("call-sync", "fdatasync:error=EIO:when=2+"),
    ] {
        let folder = Folder::new(name);
        let injected = under_strace(&folder.0, "run.hct", inject, 8 << 20, "call");
        let [_, _, failures, complete, kept] = finished(&folder.0);
        assert!(injected > 0 && failures > 0, "{name}");
        assert_eq!((complete, kept), (0, 1), "{name}");
        assert_eq!(
            counted(&recovered(&folder.0)),
            (u64::from(COUNT), 0),
            "{name}"
        );
    }
}

#[test]
fn a_ring_for_which_there_is_no_memory_is_an_error_and_leaves_nothing() {
    let folder = Folder::new("ring");
    let inject = "write:error=ENOSPC:when=5+";
    let injected = under_strace(&folder.0, "rings/lane-0.ring", inject, 8 << 20, "never");
    assert_eq!(injected, 1);
    let error = std::fs::read_to_string(folder.0.join("no-lane")).unwrap();
    assert!(
        error.contains("lane-0.ring") && error.contains("No space left"),
        "{error}"
    );
    assert!(rings(&folder.0).is_empty());
}
