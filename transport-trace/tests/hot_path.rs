//! What a recorded call costs beside time: no allocation, and no system call. The calls are of every shape, and the drain runs
//! as it does in a program.
//!
//! The second half runs under `strace` (Debian's package of that name), and fails without it.
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
use hypercall::arg::Arg;
use hypercall::call::CallInfo;
use hypercall::{Client, SharedPage, Transport, TransportError};
use hypercall_trace::clock::{ClockPoint, DefaultClock};
use hypercall_trace::entry::Entry;
use hypercall_trace::read::Trace;
use hypercall_trace::record::{
    Full, Lane, Recorder, Recording, Redaction, Sink, SinkFailed, SinkLane, SinkLaneOptions,
    Watched, write_preamble,
};
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

/// Rounds of the program in a measurement: 10,000 calls and a few more.
const ROUNDS: u32 = 360;
/// Calls in a round: the program's, and one that gives a page away.
const IN_A_ROUND: u64 = CALLS + 1;

/// A device that also writes a page that it was given, as a hypervisor does.
#[derive(Default)]
struct Writer(Device);
impl Transport for Writer {
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        let answer = self.0.call(info, args);
        WATCHED.words()[9].fetch_add(1, Ordering::Relaxed);
        answer
    }
}

static WATCHED: SharedPage = SharedPage::new();

/// Every shape of a call, a page that changes at enter, exit and between calls, and a page that is given away.
fn rounds<L: Lane>(client: &Client<Recorder<Writer, L>>, rounds: u32) {
    for round in 0..rounds {
        program(client, round);
        WATCHED.words()[100].store(round, Ordering::Relaxed);
        client.transport().note_pages();
        WATCHED.words()[200].store(round, Ordering::Relaxed);
        let _ = client.share(PlotterId(1), (&WATCHED).into());
    }
}

/// What this thread allocates meanwhile: how often, and how many bytes.
fn allocated(work: impl FnOnce()) -> (u64, u64) {
    let info = allocation_counter::measure(work);
    (info.count_total, info.bytes_total)
}

/// Calls, changes of pages and lost calls in a file.
fn counted(path: &Path) -> (u64, u64, u64) {
    let trace = Trace::open(path).unwrap();
    assert!(trace.verify().unwrap().is_clean());
    let (mut calls, mut pages, mut lost) = (0, 0, 0);
    for entry in trace.entries() {
        match entry {
            Entry::Call(_) => calls += 1,
            Entry::Pages(_) => pages += 1,
            Entry::Lost(loss) => lost += loss.count,
            other => panic!("{other:?}"),
        }
    }
    (calls, pages, lost)
}

#[test]
fn what_is_allocated_is_counted() {
    assert_eq!(allocated(|| drop(Box::new([0_u8; 100]))), (1, 100));
}

/// In a ring that is emptied by another thread meanwhile.
#[test]
fn a_call_recorded_into_a_file_allocates_nothing() {
    let folder = Folder::new("file");
    for (full, ring) in [
        (Full::Drop, 64 << 20),
        (Full::Overwrite, 64 << 20),
        // This one is full at times, and calls wait for the drain.
        (Full::Block, 64 << 10),
    ] {
        let recording = Recording::options(INTERFACES)
            .redaction(Redaction::Hash([7; 16]))
            .ring(ring, 16)
            .full(full)
            .create(folder.file("run.hct"))
            .unwrap();
        let client = Client::new(Recorder::new(
            Writer::default(),
            recording.lane("main").unwrap(),
        ));
        client.transport().watch(&WATCHED).unwrap();
        assert_eq!(allocated(|| rounds(&client, ROUNDS)), (0, 0), "{full:?}");
        let finished = recording.finish();
        assert!(finished.complete);
        let (calls, pages, lost) = counted(&folder.file("run.hct"));
        assert_eq!(
            (calls, lost),
            (u64::from(ROUNDS) * IN_A_ROUND, 0),
            "{full:?}"
        );
        assert!(pages > calls, "{full:?}: {pages} changes");
        std::fs::remove_file(folder.file("run.hct")).unwrap();
    }
}

/// What happens beside the way of most calls: no room, the lane in use, and a lane of several threads.
#[test]
fn neither_a_lost_call_nor_a_shared_lane_allocates() {
    struct Within<'c>(&'c Client<Recorder<Writer, hypercall_trace::record::SharedLane>>);
    impl Transport for Within<'_> {
        fn call<'a>(&self, _: &'static CallInfo, _: [Arg<'a>; 2]) -> Result<i64, TransportError> {
            program(self.0, 1);
            Ok(0)
        }
    }
    let folder = Folder::new("shared");
    let recording = Recording::options(INTERFACES)
        .ring(16 << 10, 2)
        .create(folder.file("run.hct"))
        .unwrap();
    let lane = recording.shared_lane("main", 1).unwrap();
    let inner = Client::new(Recorder::new(Writer::default(), lane));
    let outer = Client::new(Recorder::new(Within(&inner), inner.transport().lane()));
    let made = 200 * (IN_A_ROUND + CALLS + 1);
    let count = allocated(|| {
        for _ in 0..200 {
            rounds(&inner, 1);
            // Its lane is in use while the inner calls are made.
            let _ = outer.reset();
        }
    });
    assert_eq!(count, (0, 0));
    recording.finish();
    let (calls, _, lost) = counted(&folder.file("run.hct"));
    assert_eq!(calls + lost, made);
    assert!(
        calls > 0 && lost >= 200 * CALLS,
        "{calls} kept, {lost} lost"
    );
}

/// Memory that stands for a serial port.
struct Port<'m> {
    memory: &'m mut [u8],
    used: usize,
}
impl Sink for Port<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkFailed> {
        let room = self
            .memory
            .get_mut(self.used..self.used + bytes.len())
            .ok_or(SinkFailed)?;
        room.copy_from_slice(bytes);
        self.used += bytes.len();
        Ok(())
    }
}

/// Without std there is no allocator at all; here one is there, and is not asked: neither for a call, nor to hand blocks on.
#[test]
fn a_lane_over_memory_allocates_nothing() {
    let mut bytes = vec![0; 16 << 20];
    let mut memory = vec![0_u64; 1 << 10];
    let mut port = Port {
        memory: &mut bytes,
        used: 0,
    };
    let mut watched = [Watched::new()];
    let count = allocated(|| {
        write_preamble(&mut port, 1, INTERFACES, &ClockPoint::default(), &["main"]).unwrap();
        let options = SinkLaneOptions {
            lane: 0,
            interfaces: INTERFACES,
            clock: DefaultClock::default(),
            redaction: Redaction::Hash([7; 16]),
            watched: &mut watched[..],
            announce: true,
        };
        let lane = SinkLane::new(&mut memory, &mut port, options).unwrap();
        let client = Client::new(Recorder::new(Writer::default(), lane));
        client.transport().watch(&WATCHED).unwrap();
        rounds(&client, ROUNDS);
        client.transport().lane().flush().unwrap();
    });
    assert_eq!(count, (0, 0));
    let used = port.used;
    bytes.truncate(used);
    let trace = Trace::from_bytes(bytes).unwrap();
    let report = trace.verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.calls, u64::from(ROUNDS) * IN_A_ROUND);
    assert_eq!(report.lost, 0);
}

const FOLDER: &str = "HYPERCALL_TRACE_HOT_PATH_FOLDER";

/// Asks the operating system for something at each call.
struct Asks;
impl Transport for Asks {
    fn call<'a>(&self, _: &'static CallInfo, _: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        Ok(i64::from(!Path::new("/").exists()))
    }
}

/// What runs under strace. Not a test of its own: without the folder it does nothing. Between the first two calls of `getppid`
/// it records calls, and between the second and the third one whose transport makes a system call.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let recording = Recording::options(INTERFACES)
        .ring(64 << 20, 16)
        .create(Path::new(&folder).join("run.hct"))
        .unwrap();
    let client = Client::new(Recorder::new(
        Writer::default(),
        recording.lane("main").unwrap(),
    ));
    client.transport().watch(&WATCHED).unwrap();
    let asking = Client::new(Recorder::new(Asks, recording.lane("asking").unwrap()));
    let _ = parent_id();
    rounds(&client, ROUNDS);
    let _ = parent_id();
    asking.reset().unwrap();
    let _ = parent_id();
    recording.finish();
}

#[test]
fn a_recorded_call_makes_no_system_call() {
    let folder = Folder::new("strace");
    let log = folder.0.join("strace.log");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, &folder.0)
        .stdout(std::process::Stdio::null())
        .status()
        .expect("this test needs the program strace: install the package of that name");
    assert!(status.success(), "the recording process: {status}");

    let log = std::fs::read_to_string(log).unwrap();
    let lines: Vec<(&str, &str)> = log
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(thread, call)| (thread, call.trim_start()))
        .collect();
    let (thread, _) = lines
        .iter()
        .find(|(_, call)| call.starts_with("getppid("))
        .expect("the first mark");
    let own: Vec<&str> = lines
        .iter()
        // The end of a call that another thread's came into is no call of its own.
        .filter(|line| line.0 == *thread && !line.1.starts_with("<... "))
        .map(|line| line.1)
        .collect();
    let windows: Vec<&[&str]> = own.split(|call| call.starts_with("getppid(")).collect();
    let [_, recorded, asked, _] = windows[..] else {
        panic!("three marks make four parts: {windows:?}");
    };
    assert_eq!(recorded, [""; 0], "system calls of the calling thread");
    assert_eq!(
        asked.len(),
        1,
        "a system call of a transport is seen: {asked:?}"
    );
    let (calls, pages, lost) = counted(&folder.file("run.hct"));
    assert_eq!((calls, lost), (u64::from(ROUNDS) * IN_A_ROUND + 1, 0));
    assert!(calls > 9000 && pages > calls);
}
