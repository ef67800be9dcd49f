//! A storm of SIGKILLs: whatever returned before the kill is in the rings or in the file, and nothing else is.
//!
//! The number of calls that returned is kept outside the process that is killed: it appends a byte to a file after each one.
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
use hypercall_core::{Client, SharedPage};
use hypercall_trace::entry::{Entry, Outcome, When};
use hypercall_trace::read::Trace;
use hypercall_trace::read::recover::{Ring, find, recover};
use hypercall_trace::record::{Full, Recorder, Recording};
use hypercall_trace::write::Options;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

const CHILD: &str = "HYPERCALL_TRACE_SIGKILL_FOLDER";
/// In which way the child records in a round.
const WAY: &str = "HYPERCALL_TRACE_SIGKILL_WAY";
const KILLS: u64 = 60;

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
        .create(folder.join("run.hct"))
        .unwrap();
    std::thread::scope(|scope| {
        for lane in 0..2_u32 {
            let recorder = Recorder::new(
                Device::default(),
                recording.lane(&format!("lane{lane}")).unwrap(),
            );
            let mut returned =
                std::fs::File::create(folder.join(format!("returned{lane}"))).unwrap();
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

fn returned(folder: &Path, lane: u32) -> u64 {
    std::fs::metadata(folder.join(format!("returned{lane}"))).map_or(0, |data| data.len())
}

#[test]
fn nothing_that_returned_is_lost() {
    let (mut calls, mut unfinished, mut from_rings) = (0, 0, 0);
    for round in 0..KILLS {
        let base = Path::new("/dev/shm");
        let base = if base.is_dir() {
            base.to_path_buf()
        } else {
            std::env::temp_dir()
        };
        let folder = base.join(format!("hct-kill-{}-{round}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, &folder)
            .env(WAY, ["block", "drop", "overwrite"][round as usize % 3])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let enough = 1 + round * round * 7 % 20_011;
        while returned(&folder, 0).max(returned(&folder, 1)) < enough {
            assert!(
                child.try_wait().unwrap().is_none(),
                "the child ended by itself"
            );
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();

        // The second lane may not have been made yet, or be half made.
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
        assert_eq!(done.lost, 0);
        assert_eq!(
            rings.iter().map(|ring| ring.damaged).sum::<u64>(),
            0,
            "round {round}"
        );
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
        unfinished += done.unfinished;
        from_rings += done.from_rings;
        std::fs::remove_dir_all(&folder).unwrap();
    }
    println!(
        "{KILLS} kills, {calls} calls that returned, 0 lost; {unfinished} unfinished seen, {from_rings} entries only in rings"
    );
    assert!(from_rings > 0);
}
