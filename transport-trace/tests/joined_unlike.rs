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
use hypercall_trace::format::FILE_HEADER;
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
