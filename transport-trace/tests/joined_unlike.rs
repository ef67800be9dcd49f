//! A recording that was joined to one with other calls or lanes: it is not read as what the first one describes.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test"
)]

extern crate hypercall_core as hypercall;

mod common;
mod growing;
mod storages;

use std::sync::{Arc, Mutex};

use common::INTERFACES;
use growing::Growing;
use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::call::InterfaceInfo;
use hypercall_trace::entry::{Defect, Entry};
use hypercall_trace::format::{BlockKind, FILE_HEADER};
use hypercall_trace::read::Trace;
use hypercall_trace::read::recover::recover;
use hypercall_trace::write::Options;
use storages::finished;

const CALLS: u32 = 5;
const OTHER: &[&InterfaceInfo] = &[HypervisorCalls::INTERFACE];

/// Calls in each of these lanes.
fn recording(interfaces: &'static [&'static InterfaceInfo], lanes: &[&str]) -> Vec<u8> {
    let lanes: Vec<_> = lanes.iter().map(|lane| (*lane, Some(0))).collect();
    finished(interfaces, &lanes, CALLS)
}

/// The calls that are read of each recording, and the damage.
fn read(trace: &Trace) -> ([u32; 2], Vec<Defect>) {
    let (mut calls, mut damage) = ([0, 0], Vec::new());
    let mut entries = trace.entries();
    while let Some(entry) = entries.next() {
        match entry {
            Entry::Call(call) => {
                let name = call.schema.as_ref().map(|schema| schema.name.clone());
                assert_eq!(name.as_deref(), Some("add"));
                calls[usize::try_from(entries.recording()).unwrap()] += 1;
            }
            Entry::Damaged(damaged) => {
                assert_eq!((damaged.index, damaged.calls), (Some(0), Some(CALLS)));
                damage.push(damaged.defect);
            }
            other => panic!("{other:?}"),
        }
    }
    (calls, damage)
}

#[test]
fn what_the_first_recording_does_not_describe_is_not_read_by_it() {
    let first = recording(INTERFACES, &["main", "other"]);
    let both = 2 * CALLS;
    let unlike = vec![Defect::Unlike; 2];
    for (interfaces, lanes, read_of_second, damage) in [
        (INTERFACES, &["main", "other"][..], both, vec![]),
        (INTERFACES, &["main"], CALLS, vec![]),
        (INTERFACES, &["main", "other", "more"], 3 * CALLS, vec![]),
        // A program whose threads began in another order.
        (INTERFACES, &["other", "main"], 0, unlike.clone()),
        (OTHER, &["main", "other"], 0, unlike),
    ] {
        let second = recording(interfaces, lanes);
        let joined = [&first[..], &second[FILE_HEADER..]].concat();
        let trace = Trace::from_bytes(joined.clone()).unwrap();
        assert_eq!(
            read(&trace),
            ([both, read_of_second], damage.clone()),
            "{lanes:?}"
        );
        let report = trace.verify().unwrap();
        assert_eq!(report.damaged.len(), damage.len());
        assert_eq!(trace.unlike().len(), usize::from(!damage.is_empty()));

        // Also where it is appended while somebody reads.
        let file = Growing(Arc::new(Mutex::new(first.clone())));
        let mut grown = Trace::from_source(Box::new(file.clone())).unwrap();
        file.0.lock().unwrap().extend(&second[FILE_HEADER..]);
        assert!(grown.refresh().unwrap());
        assert_eq!(read(&grown), read(&trace));

        // What is made of it says that they are missing.
        let (copy, done) = recover(Some(&trace), &[], Vec::new(), Options::default()).unwrap();
        let copy = Trace::from_bytes(copy).unwrap();
        let lost = u64::try_from(damage.len()).unwrap() * u64::from(CALLS);
        assert_eq!((done.lost, copy.verify().unwrap().lost), (lost, lost));
    }
}

/// Turns a bit of the body of the first block of this kind over.
fn damaged(mut bytes: Vec<u8>, kind: BlockKind) -> Vec<u8> {
    let trace = Trace::from_bytes(bytes.clone()).unwrap();
    let block = trace
        .blocks()
        .iter()
        .find(|block| block.header.kind == kind);
    let body = block.unwrap().offset + 64;
    bytes[usize::try_from(body).unwrap()] ^= 1;
    bytes
}

/// The names of calls and lanes that are read of the first recording.
fn names(trace: &Trace) -> (Option<String>, String) {
    let Some(Entry::Call(call)) = trace.entries().find(|entry| entry.lane() == Some(0)) else {
        panic!("no call");
    };
    let schema = call.schema.as_ref().map(|schema| schema.name.clone());
    (schema, trace.lane_name(0))
}

/// What is damaged in the first one is taken from another one only where that says the same.
#[test]
fn the_first_recording_gets_no_names_of_another() {
    let first = recording(INTERFACES, &["main"]);
    let like = recording(INTERFACES, &["main"]);
    let unlike = recording(OTHER, &["kvm"]);
    for (kind, second, name, lane) in [
        (BlockKind::Schema, &like, Some("add"), "main"),
        (BlockKind::Schema, &unlike, None, "main"),
        (BlockKind::Lane, &like, Some("add"), "main"),
        (BlockKind::Lane, &unlike, Some("add"), "lane 0"),
    ] {
        let bytes = [&damaged(first.clone(), kind), &second[FILE_HEADER..]].concat();
        let trace = Trace::from_bytes(bytes).unwrap();
        let expected = (name.map(str::to_owned), lane.to_owned());
        assert_eq!(names(&trace), expected, "{kind:?}");
        // What is made of it knows no more.
        let (copy, _) = recover(Some(&trace), &[], Vec::new(), Options::default()).unwrap();
        let copy = Trace::from_bytes(copy).unwrap();
        assert_eq!(names(&copy).0, expected.0, "{kind:?}");
        let lost = copy.lost_descriptions();
        assert_eq!(lost.schema, name.is_none(), "{kind:?}");
        assert_eq!(!lost.lanes.is_empty(), lane != "main", "{kind:?}");
    }
}

/// A recording that is not read names no lane for those behind it.
#[test]
fn what_is_not_read_is_in_nobodys_way() {
    let first = recording(INTERFACES, &["main"]);
    let unlike = recording(OTHER, &["main", "worker-a"]);
    let third = recording(INTERFACES, &["main", "worker-b"]);
    let bytes = [&first[..], &unlike[FILE_HEADER..], &third[FILE_HEADER..]].concat();
    let trace = Trace::from_bytes(bytes).unwrap();
    assert_eq!(trace.unlike().iter().collect::<Vec<_>>(), [&1]);
    assert_eq!(trace.lane_name(1), "worker-b");
}
