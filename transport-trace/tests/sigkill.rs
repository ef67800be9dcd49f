//! Storms of SIGKILLs: whatever returned before the kill is in the rings or in the file, and nothing else is. In one storm each
//! thread has a lane, in the other several threads share one.
//!
//! The number of calls that returned is kept outside the process that is killed: it appends a byte to a file after each one.
//! So a kill falls into any part of a call: in one lane only values travel, in another calls of every shape are made, with blocks that are
//! read, written, nested, short and long. What stands in that one is compared with what the same program records when nobody kills it.
//! The kill comes when that file has grown to a size that differs from round to round, so that no time is waited for.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test"
)]
#![cfg(unix)]

extern crate hypercall_core as hypercall;

mod common;

use common::*;
use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::{Client, SharedPage, Transport, TransportError};
use hypercall_trace::entry::{After, Call, Entry, LossCause, Outcome, When};
use hypercall_trace::read::Trace;
use hypercall_trace::read::recover::{Recovered, Ring, find, recover};
use hypercall_trace::record::{FileLane, Full, Recorder, Recording, Redaction};
use hypercall_trace::write::Options;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::Ordering;

const CHILD: &str = "HYPERCALL_TRACE_SIGKILL_FOLDER";
/// In which way the child records in a round.
const WAY: &str = "HYPERCALL_TRACE_SIGKILL_WAY";
/// How many calls at a time there is room for, where the child's threads share a lane.
const SHARED: &str = "HYPERCALL_TRACE_SIGKILL_SHARED";
const KILLS: u64 = 60;
/// The number of the file for the lane with calls of every shape.
const SHAPES: u32 = 2;
/// Threads that share a lane, in the rounds that have one.
const THREADS: u32 = 4;

/// Counts the calls that returned, outside of the process.
struct Counted<T> {
    inner: T,
    returned: RefCell<File>,
}

impl<T: Transport> Transport for Counted<T> {
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        let outcome = self.inner.call(info, args);
        self.returned.borrow_mut().write_all(b".").unwrap();
        outcome
    }
}

/// Calls of every shape, and the longer blocks that [`program`] has not: one that is read, one that is read and written, an array
/// behind a header.
fn shapes<T: Transport>(client: &Client<T>, round: u32) {
    program(client, round);
    for length in [96, 248, 249, 3000] {
        let bytes: Vec<u8> = (0..length).map(|at| (at as u32 ^ round) as u8).collect();
        let args = [Arg::Value(round.into()), Arg::Read(&bytes)];
        let _ = client.transport().call(PlotterCalls::MOVE_TO, args);
        let _ = client.firmware(round, &mut bytes.clone());
    }
    let mut points = [Point { x: round, y: 1 }; 70];
    let _ = client.draw(1, &points);
    points[3].y = 2;
    let _ = client.transpose(1, &mut points);
}

/// What a recording of [`shapes`] has when it is not killed, times left out: at least so many calls.
fn undisturbed(count: usize) -> Vec<Call> {
    let folder = std::env::temp_dir().join(format!("hct-kill-{}-shapes", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let recording = Recording::options(INTERFACES)
        .rings(folder.join("rings"))
        .redaction(Redaction::Zero)
        .full(Full::Block)
        .create(folder.join("run.hct"))
        .unwrap();
    let counted = Counted {
        inner: Recorder::new(Device::default(), recording.lane("main").unwrap()),
        returned: RefCell::new(returned_file(&folder, 0)),
    };
    let client = Client::new(counted);
    for round in 0.. {
        if returned(&folder, 0) >= count as u64 {
            break;
        }
        shapes(&client, round);
    }
    assert!(recording.finish().complete);
    let trace = Trace::open(folder.join("run.hct")).unwrap();
    let calls = trace.entries().map(|entry| match entry {
        Entry::Call(call) => untimed(call),
        other => panic!("{other:?}"),
    });
    let calls = calls.collect();
    std::fs::remove_dir_all(&folder).unwrap();
    calls
}

fn untimed(call: Call) -> Call {
    Call {
        lane: 0,
        enter: 0,
        duration: None,
        ..call
    }
}

/// Whether a call that never returned is, as it was entered, one that did.
fn entered_as(call: &Call, whole: &Call) -> bool {
    let blocks = call.blocks().zip(whole.blocks());
    (call.name(), call.number, call.index) == (whole.name(), whole.number, whole.index)
        && call.registers() == whole.registers()
        && call.blocks().count() == whole.blocks().count()
        && blocks.into_iter().all(|((place, ours), (other, theirs))| {
            (place, ours.direction, ours.length) == (other, theirs.direction, theirs.length)
                && ours.before == theirs.before
                && matches!(ours.after, After::Unfinished)
        })
}

/// What the child does until it is killed. Not a test of its own: without the folder it does nothing.
#[test]
fn child() {
    static WATCHED: SharedPage = SharedPage::new();
    let Ok(folder) = std::env::var(CHILD) else {
        return;
    };
    let folder = Path::new(&folder);
    // Where calls do not wait, the ring holds more than is called until the kill.
    let (full, ring) = match &*std::env::var(WAY).unwrap() {
        "drop" => (Full::Drop, 32 << 20),
        "overwrite" => (Full::Overwrite, 32 << 20),
        _ => (Full::Block, 1 << 20),
    };
    let recording = Recording::options(INTERFACES)
        .rings(folder.join("rings"))
        .ring(ring, 16)
        .full(full)
        .redaction(Redaction::Zero)
        .create(folder.join("run.hct"))
        .unwrap();
    if let Ok(width) = std::env::var(SHARED) {
        let lane = recording
            .shared_lane("main", width.parse().unwrap())
            .unwrap();
        let client = Client::new(Recorder::new(Device::default(), lane));
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (client, mut returned) = (&client, returned_file(folder, thread));
                scope.spawn(move || {
                    for count in 0.. {
                        assert_eq!(client.add(count, thread), Ok(count + thread));
                        returned.write_all(b".").unwrap();
                    }
                });
            }
        });
    }
    std::thread::scope(|scope| {
        let recorder = Recorder::new(Device::default(), recording.lane("shapes").unwrap());
        let returned = RefCell::new(returned_file(folder, SHAPES));
        scope.spawn(move || {
            let client = Client::new(Counted {
                inner: recorder,
                returned,
            });
            for round in 0.. {
                shapes(&client, round);
            }
        });
        for lane in 0..2_u32 {
            let recorder = Recorder::new(
                Device::default(),
                recording.lane(&format!("lane{lane}")).unwrap(),
            );
            let mut returned = returned_file(folder, lane);
            scope.spawn(move || {
                if lane == 1 {
                    recorder.watch(&WATCHED).unwrap();
                }
                let client = Client::new(recorder);
                for count in 0.. {
                    if lane == 1 {
                        WATCHED.word(64).unwrap().store(count, Ordering::Relaxed);
                    }
                    assert_eq!(client.add(count, lane), Ok(count + lane));
                    returned.write_all(b".").unwrap();
                }
            });
        }
    });
}

fn returned_file(folder: &Path, number: u32) -> File {
    File::create(folder.join(format!("returned{number}"))).unwrap()
}

/// Calls that returned, of a lane or of a thread that shares one.
fn returned(folder: &Path, number: u32) -> u64 {
    std::fs::metadata(folder.join(format!("returned{number}"))).map_or(0, |data| data.len())
}

/// Runs the child in a way until one of its threads has made enough calls, and kills it.
fn run_and_kill(round: u64, way: &str, shared: Option<u64>) -> PathBuf {
    let base = Path::new("/dev/shm");
    let base = if base.is_dir() {
        base.to_path_buf()
    } else {
        std::env::temp_dir()
    };
    let kind = if shared.is_some() { "shared" } else { "own" };
    let folder = base.join(format!("hct-kill-{}-{kind}-{round}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, &folder)
        .env(WAY, way)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(width) = shared {
        command.env(SHARED, width.to_string());
    }
    let mut child = command.spawn().unwrap();
    let enough = 1 + round * round * 7 % 20_011;
    while (0..THREADS).all(|number| returned(&folder, number) < enough) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the child ended by itself"
        );
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    folder
}

/// What the file and the rings have together. A lane may not have been made yet when the kill came, or be half made.
fn recovered(folder: &Path, round: u64) -> (Trace, Recovered) {
    let rings: Vec<_> = find(&folder.join("rings"))
        .unwrap()
        .into_iter()
        .filter_map(|path| Ring::open(path).ok())
        .collect();
    let file = Trace::open(folder.join("run.hct")).ok();
    let (bytes, done) = recover(file.as_ref(), &rings, Vec::new(), Options::default()).unwrap();
    let trace = Trace::from_bytes(bytes).unwrap();
    let report = trace.verify().unwrap();
    assert!(report.is_clean(), "round {round}: {report:?}");
    assert_eq!(
        rings.iter().map(|ring| ring.damaged).sum::<u64>(),
        0,
        "round {round}"
    );
    (trace, done)
}

#[test]
fn nothing_that_returned_is_lost() {
    let (mut calls, mut unfinished, mut from_rings) = (0, 0, 0);
    let (mut of_shapes, mut cut_shapes) = (0, 0);
    let mut whole = Vec::new();
    for round in 0..KILLS {
        let way = ["block", "drop", "overwrite"][round as usize % 3];
        let folder = run_and_kill(round, way, None);
        let (trace, done) = recovered(&folder, round);
        assert_eq!(done.lost, 0);
        for lane in 0..2_u32 {
            let expected = returned(&folder, lane);
            let Some(id) = trace.lane(&format!("lane{lane}")) else {
                assert_eq!(expected, 0);
                continue;
            };
            let (mut next, mut finished, mut page) = (0_u64, 0, 0_u32);
            for entry in trace.lane_entries(id) {
                match entry {
                    Entry::Call(call) => {
                        assert_eq!((call.name(), call.index), ("add", next), "round {round}");
                        assert_eq!(call.registers(), [next, u64::from(lane)]);
                        if lane == 1 {
                            assert_eq!(u64::from(page), next, "the page was as the call found it");
                        }
                        match call.outcome {
                            Outcome::Returned(rax) => {
                                assert_eq!(rax as u64, next + u64::from(lane));
                                finished += 1;
                            }
                            Outcome::Unfinished => assert_eq!(finished, next, "only the last one"),
                            other => panic!("{other:?}"),
                        }
                        next += 1;
                    }
                    Entry::Pages(change) => {
                        assert_eq!(
                            (change.when, change.index, change.runs.len()),
                            (When::Enter, next, 1)
                        );
                        assert_eq!(change.runs[0].before, page.to_le_bytes());
                        page = u32::from_le_bytes(change.runs[0].after[..].try_into().unwrap());
                    }
                    other => panic!("round {round}: {other:?}"),
                }
            }
            // One more may have returned whose byte was not written any more.
            assert!(
                finished == expected || finished == expected + 1,
                "round {round}, lane {lane}: {finished} of {expected}"
            );
            calls += finished;
        }
        let (finished, cut) = check_shapes(&trace, returned(&folder, SHAPES), &mut whole, round);
        of_shapes += finished;
        cut_shapes += cut;
        unfinished += done.unfinished;
        from_rings += done.from_rings;
        std::fs::remove_dir_all(&folder).unwrap();
    }
    println!(
        "{KILLS} kills, {calls} calls with values and {of_shapes} of every shape that returned, 0 lost; {unfinished} unfinished seen, \
         {cut_shapes} of them of every shape; {from_rings} entries only in rings"
    );
    assert!(from_rings > 0 && of_shapes > 0);
}

/// Each call of every shape that returned is there as one that was not disturbed is. How many did, and whether one more was entered.
fn check_shapes(trace: &Trace, expected: u64, whole: &mut Vec<Call>, round: u64) -> (u64, u64) {
    let Some(id) = trace.lane("shapes") else {
        assert_eq!(expected, 0);
        return (0, 0);
    };
    let entries: Vec<_> = trace.lane_entries(id).collect();
    if whole.len() < entries.len() {
        *whole = undisturbed(2 * entries.len());
    }
    let (mut finished, mut cut) = (0, 0);
    for (entry, whole) in entries.into_iter().zip(&*whole) {
        let Entry::Call(call) = entry else {
            panic!("round {round}: {entry:?}");
        };
        assert_eq!(cut, 0, "round {round}: only the last one is cut");
        if matches!(call.outcome, Outcome::Unfinished) {
            assert!(
                entered_as(&call, whole),
                "round {round}: {call:?}, {whole:?}"
            );
            cut += 1;
        } else {
            assert_eq!(&untimed(call), whole, "round {round}");
            finished += 1;
        }
    }
    assert!(
        finished == expected || finished == expected + 1,
        "round {round}: {finished} of {expected}"
    );
    (finished, cut)
}

/// Which lane a call takes is chance, and where none is free it is made and counted as lost: each thread's calls are found in
/// any of the lanes, each once, and what is not there was counted.
#[test]
fn nothing_that_returned_is_lost_where_threads_share_a_lane() {
    let (mut calls, mut unfinished, mut busy) = (0, 0, 0);
    for round in 0..KILLS / 2 {
        // Too little room for all threads, or plenty.
        let (way, width) = [("block", 2), ("drop", 2), ("block", 16)][round as usize % 3];
        let folder = run_and_kill(round, way, Some(width));
        let (trace, done) = recovered(&folder, round);
        // Whether a thread's call returned.
        let mut made: BTreeMap<(u32, u64), bool> = BTreeMap::new();
        let mut lost = 0;
        for lane in trace.lanes() {
            let mut next = 0;
            for entry in trace.lane_entries(lane.id) {
                match entry {
                    Entry::Call(call) => {
                        assert_eq!((call.name(), call.index), ("add", next), "round {round}");
                        let [count, thread] = call.registers();
                        let returned = match call.outcome {
                            Outcome::Returned(rax) => {
                                assert_eq!(rax as u64, count + thread);
                                true
                            }
                            Outcome::Unfinished => false,
                            other => panic!("{other:?}"),
                        };
                        let again = made.insert((thread as u32, count), returned);
                        assert_eq!(again, None, "round {round}: {thread}, {count}");
                        next += 1;
                    }
                    Entry::Lost(loss) => {
                        assert_eq!((loss.cause, loss.index), (LossCause::Busy, next));
                        lost += loss.count;
                        next += loss.count;
                    }
                    other => panic!("round {round}: {other:?}"),
                }
            }
        }
        assert_eq!(lost, done.lost, "round {round}");
        let mut missing = 0;
        for thread in 0..THREADS {
            let expected = returned(&folder, thread);
            for count in 0..expected {
                match made.remove(&(thread, count)) {
                    Some(true) => calls += 1,
                    Some(false) => panic!("round {round}: {thread}, {count} returned"),
                    None => missing += 1,
                }
            }
            // The call that it was in, or one more that returned and whose byte was not written any more.
            unfinished += u64::from(made.remove(&(thread, expected)) == Some(false));
        }
        assert!(made.is_empty(), "round {round}: never made: {made:?}");
        // Each thread may have been about to count a call, or between a count and its byte.
        assert!(
            lost.abs_diff(missing) <= u64::from(THREADS),
            "round {round}: {missing} missing, {lost} counted"
        );
        busy += lost;
        std::fs::remove_dir_all(&folder).unwrap();
    }
    println!(
        "{} kills, {calls} calls that returned, each there; {busy} that were made while no lane was free, and counted; {unfinished} unfinished seen",
        KILLS / 2
    );
    assert!(calls > 0);
}

/// Calls that came while the lane was in use, of which no record speaks yet when the process dies: they are counted in the ring.
#[test]
fn calls_without_a_free_lane_are_counted_when_nothing_came_after_them() {
    /// Makes calls through the lane that it is called by, and keeps what a kill would leave then.
    struct Within {
        lane: Rc<FileLane>,
        folder: PathBuf,
        left: RefCell<Option<(Trace, Recovered)>>,
    }
    impl Transport for Within {
        fn call<'a>(&self, _: &'static CallInfo, _: [Arg<'a>; 2]) -> Result<i64, TransportError> {
            let inner = Client::new(Recorder::new(Device::default(), &*self.lane));
            for count in 0..50 {
                assert_eq!(inner.add(count, 1), Ok(count + 1));
            }
            *self.left.borrow_mut() = Some(recovered(&self.folder, 0));
            Ok(0)
        }
    }
    let folder = std::env::temp_dir().join(format!("hct-kill-{}-within", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let recording = Recording::options(INTERFACES)
        .rings(folder.join("rings"))
        .create(folder.join("run.hct"))
        .unwrap();
    let lane = Rc::new(recording.lane("main").unwrap());
    let within = Within {
        lane: Rc::clone(&lane),
        folder: folder.clone(),
        left: RefCell::default(),
    };
    let outer = Client::new(Recorder::new(within, &*lane));
    outer.reset().unwrap();
    let (trace, done) = outer.transport().transport().left.take().unwrap();
    let entries: Vec<_> = trace.entries().collect();
    let [Entry::Call(call), Entry::Lost(lost)] = &entries[..] else {
        panic!("{entries:?}");
    };
    assert_eq!(
        (call.name(), &call.outcome),
        ("reset", &Outcome::Unfinished)
    );
    assert_eq!(
        (lost.index, lost.count, lost.cause),
        (1, 50, LossCause::Busy)
    );
    assert_eq!((done.unfinished, done.lost), (1, 50));
    assert_eq!(recording.finish().lost, 50);
    std::fs::remove_dir_all(&folder).unwrap();
}
