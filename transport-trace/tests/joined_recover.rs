//! The rings of a recording that another one was joined to.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test"
)]

extern crate hypercall_core as hypercall;

mod common;
mod storages;

use common::folder::Folder;
use common::{INTERFACES, Plotter as _};
use hypercall_trace::entry::{Argument, Entry};
use hypercall_trace::format::FILE_HEADER;
use hypercall_trace::read::Trace;
use hypercall_trace::read::recover::{lanes_without_ring, may_have_rings, recover_part};
use hypercall_trace::record::{Recording, SyncPolicy};
use hypercall_trace::write::Options;
use storages::{Bytes, calls, client, finished, recovered, rings_in, willing};

/// So many calls of each recording, which are told apart by their first argument.
const CALLS: u32 = 30;

/// A recording that is under way, as it is left when its process dies: some calls are in the file, all are in the ring.
fn killed(folder: &Folder) -> (Vec<u8>, Vec<hypercall_trace::read::recover::Ring>) {
    let bytes = Bytes::default();
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .sync(SyncPolicy::EachCall)
        .start(willing(&bytes))
        .unwrap();
    let client = client(recording.lane("main").unwrap());
    for round in 0..CALLS {
        client.add(round, 1).unwrap();
    }
    let rings = rings_in(&folder.0);
    // Not all of it came to the file.
    (bytes.all(), rings)
}

fn first_values(trace: &Trace) -> Vec<(u32, u64)> {
    let mut entries = trace.entries();
    let mut found = Vec::new();
    while let Some(entry) = entries.next() {
        let Entry::Call(call) = entry else {
            panic!("{entry:?}");
        };
        let Argument::Value(value) = call.args[0] else {
            panic!("{call:?}");
        };
        found.push((entries.recording(), value));
    }
    found
}

#[test]
fn rings_go_into_the_recording_that_they_are_of() {
    let folder = Folder::new("joined-recover");
    let (first, rings) = killed(&folder);
    let second = finished(INTERFACES, &[("main", Some(1000))], CALLS);
    let joined = [&first[..], &second[FILE_HEADER..]].concat();
    let joined = Trace::from_bytes(joined).unwrap();
    assert!(may_have_rings(&joined));
    assert!(calls(&joined).len() >= CALLS as usize);
    let (whole, done) = recovered(Some(&joined), &rings);
    let expected: Vec<(u32, u64)> = (0..CALLS)
        .map(|round| (0, u64::from(round)))
        .chain((0..CALLS).map(|round| (1, u64::from(1000 + round))))
        .collect();
    assert_eq!(first_values(&whole), expected);
    assert_eq!((done.lost, done.damaged), (0, 0));
    assert_eq!(done.from_file + done.from_rings, u64::from(2 * CALLS));
    let report = whole.verify().unwrap();
    assert!(report.is_clean() && report.finished, "{report:?}");
    assert!(whole.recordings_without_end().is_empty());
    assert_eq!(whole.clock_of(1), joined.clock_of(1));

    // With other rings that cannot be read, or with none, the first one still has no end.
    for some in [&rings[..], &[]] {
        let (bytes, _) = recover_part(Some(&joined), some, Vec::new(), Options::default()).unwrap();
        let part = Trace::from_bytes(bytes).unwrap();
        assert!(part.recordings_without_end().contains(&0));
        assert!(!part.ends_early());
    }
    assert_eq!(lanes_without_ring(&joined, &[]).len(), 1);

    // What was recovered needs no rings any more.
    assert!(!may_have_rings(&whole));
    assert_eq!(first_values(&recovered(Some(&whole), &[]).0), expected);
}

/// A ring stands for nothing in the second one, whose lane has another number there and here.
#[test]
fn lanes_of_the_second_recording_alone_lack_nothing() {
    let folder = Folder::new("joined-lanes");
    let (first, rings) = killed(&folder);
    let lanes = [("main", None), ("other", Some(2000))];
    let second = finished(INTERFACES, &lanes, CALLS);
    let joined = [&first[..], &second[FILE_HEADER..]].concat();
    let joined = Trace::from_bytes(joined).unwrap();
    assert!(lanes_without_ring(&joined, &rings).is_empty());
    let (whole, done) = recovered(Some(&joined), &rings);
    assert_eq!(first_values(&whole).len(), 2 * CALLS as usize);
    assert_eq!((done.lost, done.damaged), (0, 0));
    assert!(whole.verify().unwrap().is_clean());
    let other = whole.lane("other").unwrap();
    assert_eq!(whole.lane_entries(other).count(), CALLS as usize);
}

/// The second one is not finished either: its rings are not those of the first one.
#[test]
fn the_last_recording_stays_without_an_end() {
    let folder = Folder::new("joined-both");
    let (first, rings) = killed(&folder);
    let other = Folder::new("joined-other");
    let (second, others) = killed(&other);
    let joined = [&first[..], &second[FILE_HEADER..]].concat();
    let joined = Trace::from_bytes(joined).unwrap();
    let (whole, _) = recovered(Some(&joined), &rings);
    assert!(whole.recordings_without_end().is_empty() && whole.ends_early());
    let of_first = first_values(&whole)
        .into_iter()
        .filter(|(recording, _)| *recording == 0);
    assert_eq!(of_first.count(), CALLS as usize);
    let error = hypercall_trace::read::recover::recover(
        Some(&joined),
        &others,
        Vec::new(),
        Options::default(),
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("belongs to recording"),
        "{error}"
    );
}
