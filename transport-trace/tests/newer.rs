//! What a newer minor version may write is passed over, shown as unknown, and written again as it was. Files that were
//! appended to, joined, or are still being written.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test"
)]

extern crate hypercall_core as hypercall;

mod common;
mod file;
mod growing;

use common::INTERFACES;
use file::*;
use growing::Growing;
use hypercall_core::schema::Role;
use hypercall_trace::clock::ClockInfo;
use hypercall_trace::entry::{Argument, Call, Defect, Entry, Failure, LossCause, Outcome};
use hypercall_trace::read::Trace;
use hypercall_trace::replay::Recorded;
use hypercall_trace::schema::{Register, Schema};
use hypercall_trace::write::{Compression, Options, Writer};
use std::io;

/// Written again by the writer, as `pack` does.
fn rewritten(trace: &Trace) -> Trace {
    let options = Options {
        id: trace.header().id,
        ..Options::packed()
    };
    let mut writer = Writer::new(Vec::new(), trace.schema(), *trace.clock(), options).unwrap();
    for lane in trace.lanes() {
        writer.lane(&lane.name).unwrap();
    }
    for entry in trace.entries() {
        writer.push(&entry).unwrap();
    }
    Trace::from_bytes(writer.finish().unwrap()).unwrap()
}

/// The record of a call whose shapes and answer are these words.
fn call(kind: u8, shapes: [u8; 2], exit: &[u64]) -> Vec<u8> {
    let mut body = vec![0; 40];
    body[0..8].copy_from_slice(&5_u64.to_le_bytes());
    body[32..34].copy_from_slice(&[0xff, 0xff]);
    body[34..36].copy_from_slice(&shapes);
    body[36..40].copy_from_slice(&6_u32.to_le_bytes());
    for word in exit {
        body.extend_from_slice(&word.to_le_bytes());
    }
    record(kind, &body)
}

#[test]
fn unknown_records_survive_and_show() {
    let (mut bytes, before) = everything(Compression::None, false, 0);
    let mut lost = vec![0; 32];
    lost[16] = 4;
    lost[24] = 88;
    let mut page = vec![0; 16];
    page[12] = 9;
    let records = [
        record(9, &[1; 8]),
        record(200, &[2; 24]),
        call(2, [9, 0], &[1, 2, 3]),
        call(1, [0, 77], &[]),
        call(
            3,
            [0, 0],
            &[
                8,
                99 | 7 << 8 | 2 << 32 | 3 << 48,
                u64::from_le_bytes(*b"abcde\0\0\0"),
            ],
        ),
        record(16, &lost),
        record(17, &page),
        call(2, [0, 0], &[1, 0]),
    ];
    let about = About {
        kind: 4,
        lane: 2,
        entries: 8,
        calls: 5,
        last_ticks: 9,
        ..About::default()
    };
    let body = records.concat();
    bytes.extend(block(about, body.len(), &body));
    bytes.extend(block(
        About {
            kind: 200,
            ..About::default()
        },
        5,
        b"later",
    ));
    let trace = Trace::from_bytes(bytes).unwrap();
    let report = trace.verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
    let entries: Vec<_> = trace.entries().collect();
    assert_eq!(entries[..before.len()], before);
    let indices: Vec<_> = entries[before.len()..]
        .iter()
        .map(|entry| match entry {
            Entry::Unknown(unknown) => (unknown.index, Some(unknown.kind)),
            Entry::Call(call) => (call.index, None),
            Entry::Lost(lost) => {
                assert_eq!((lost.count, lost.cause), (4, LossCause::Other(88)));
                assert_eq!(lost.cause.to_string(), "cause 88");
                (lost.index, None)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        indices,
        [
            (0, Some(9)),
            (1, Some(200)),
            (1, Some(2)),
            (2, Some(1)),
            (3, None),
            (4, None),
            (8, Some(17)),
            (8, None)
        ]
    );
    let Entry::Call(Call {
        outcome: Outcome::Failed(failure),
        ..
    }) = &entries[before.len() + 4]
    else {
        panic!()
    };
    assert_eq!(
        *failure,
        Failure::Other {
            code: 99,
            detail: 7,
            text: "ab".into(),
            more: "cde".into()
        }
    );
    assert_eq!(failure.to_string(), "failure 99 (0x7): ab: cde");
    let mut named = Writer::new(
        Vec::new(),
        trace.schema(),
        *trace.clock(),
        Options::default(),
    )
    .unwrap();
    for name in ["main", "other", "third"] {
        named.lane(name).unwrap();
    }
    for entry in &entries {
        named.push(entry).unwrap();
    }
    let again = Trace::from_bytes(named.finish().unwrap()).unwrap();
    assert_eq!(again.entries().collect::<Vec<_>>(), entries);
    assert!(again.verify().unwrap().is_clean());
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_le_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A schema of one interface with these calls, behind a file's header.
fn with_schema(calls: &[Vec<u8>]) -> Trace {
    let mut body = vec![1, 0];
    body.extend(text("Later"));
    body.extend((calls.len() as u16).to_le_bytes());
    for call in calls {
        body.extend((call.len() as u32).to_le_bytes());
        body.extend(call);
    }
    let (bytes, _) = everything(Compression::None, false, 0);
    let mut bytes = bytes[..32].to_vec();
    bytes.extend(block(
        About {
            kind: 1,
            ..About::default()
        },
        body.len(),
        &body,
    ));
    Trace::from_bytes(bytes).unwrap()
}

#[test]
fn a_schema_that_says_more_is_kept_as_it_is() {
    let start =
        |name: &str, number: u64| [text(name), number.to_le_bytes().to_vec(), vec![0]].concat();
    let end = |index: u8| vec![0, 0, 0, 0, index, 0, 0, 0];
    // A register with a kind of value that nobody knows, a role that nobody knows, something behind the end, nothing odd.
    let calls = [
        [start("kind", 1), vec![1], text("new"), vec![99, 1, 2, 3]].concat(),
        [
            start("role", 2),
            vec![1],
            text("value"),
            vec![0, 77],
            end(1),
        ]
        .concat(),
        [start("more", 3), vec![0], end(2), b"more".to_vec()].concat(),
        [start("plain", 4), vec![0], end(3)].concat(),
    ];
    let trace = with_schema(&calls);
    let schema = trace.schema();
    let known: Vec<_> = schema
        .calls()
        .map(|call| (&*call.name, call.number, call.complete, call.raw.is_some()))
        .collect();
    assert_eq!(
        known,
        [
            ("kind", 1, false, true),
            ("role", 2, true, true),
            ("more", 3, true, true),
            ("plain", 4, true, false)
        ]
    );
    let role = &schema.find(None, "role").unwrap().registers[0];
    assert!(
        matches!(
            role,
            Register::Value {
                role: Role::Plain,
                ..
            }
        ),
        "{role:?}"
    );
    assert!(trace.verify().unwrap().is_clean());
    let again = rewritten(&trace);
    assert_eq!(again.schema(), schema);
    for (call, bytes) in again.schema().calls().zip(&calls) {
        assert_eq!(call.raw.as_deref().unwrap_or(bytes), &bytes[..]);
    }
    // Where a call stands at another place, what it says of others would be wrong: its name and number stay.
    let mut moved = (**schema).clone();
    moved.interfaces[0].calls.remove(0);
    let writer = Writer::new(Vec::new(), &moved, ClockInfo::default(), Options::default()).unwrap();
    let moved = Trace::from_bytes(writer.finish().unwrap()).unwrap();
    let names: Vec<_> = moved
        .schema()
        .calls()
        .map(|call| (&*call.name, call.number))
        .collect();
    assert_eq!(names, [("role", 2), ("more", 3), ("plain", 4)]);
}

#[test]
fn a_newer_minor_version_is_read_and_a_newer_major_version_is_refused() {
    let (mut bytes, entries) = everything(Compression::None, true, 5);
    bytes[10] = 9;
    let seal = |bytes: &mut Vec<u8>| {
        let crc = crc32c::crc32c(&bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    };
    seal(&mut bytes);
    let trace = Trace::from_bytes(bytes.clone()).unwrap();
    assert_eq!(trace.header().minor, 9);
    assert_eq!(trace.entries().collect::<Vec<_>>(), entries);
    assert!(trace.verify().unwrap().is_clean());
    for major in [0, 2, 0xffff_u16] {
        bytes[8..10].copy_from_slice(&major.to_le_bytes());
        seal(&mut bytes);
        let error = Trace::from_bytes(bytes.clone()).unwrap_err();
        assert!(
            matches!(error, hypercall_trace::read::OpenError::NewerMajor { found, supported: 1 } if found == major)
        );
    }
}

#[test]
fn a_codec_that_is_not_known_costs_its_block() {
    let (mut bytes, entries) = everything(Compression::None, false, 0);
    let body = record(9, &[1; 8]);
    let about = About {
        kind: 4,
        codec: 7,
        lane: 1,
        entries: 1,
        calls: 1,
        first: 10,
        ..About::default()
    };
    bytes.extend(block(about, 64, &body));
    let trace = Trace::from_bytes(bytes).unwrap();
    let told: Vec<_> = trace
        .verify()
        .unwrap()
        .damaged
        .iter()
        .map(|damaged| (damaged.defect, damaged.entries))
        .collect();
    assert_eq!(told, [(Defect::UnknownCodec, Some(1))]);
    let calls = entries
        .iter()
        .filter(|entry| entry.lane() == Some(0))
        .count();
    assert_eq!(
        really_read(&trace)
            .iter()
            .filter(|entry| entry.lane() == Some(0))
            .count(),
        calls
    );
}

#[test]
fn joined_files_are_read_one_after_the_other() {
    for (index, id) in [(true, 8), (true, 5), (false, 8)] {
        let (first, one) = everything(Compression::Lz4, index, 5);
        let (second, other) = everything(Compression::None, index, id);
        let mut bytes = first.clone();
        bytes.extend_from_slice(&second[32..]);
        let trace = Trace::from_bytes(bytes).unwrap();
        let both: Vec<_> = one.iter().chain(&other).cloned().collect();
        assert_eq!(trace.entries().collect::<Vec<_>>(), both);
        let report = trace.verify().unwrap();
        assert!(report.is_clean() && report.finished == index, "{report:?}");
        for (position, entry) in both.iter().enumerate() {
            assert_eq!(trace.entry(position as u64).as_ref(), Some(entry));
        }
        assert_eq!(
            by_lane(&trace.lane_entries(1).collect::<Vec<_>>())[1],
            by_lane(&both)[1]
        );
        // Packed, it is still two recordings.
        let again = rewritten(&trace);
        assert_eq!(
            by_lane(&again.entries().collect::<Vec<_>>()),
            by_lane(&both)
        );
        let report = again.verify().unwrap();
        assert!(report.is_clean(), "{report:?}");
    }
}

/// A call of a lane, which nothing is described of.
fn at(lane: u32, index: u64, enter: u64) -> Entry {
    Entry::Call(Call {
        lane,
        index,
        schema: None,
        number: 0x8000_0000,
        args: [Argument::Value(7), Argument::Unused],
        enter,
        duration: Some(1),
        outcome: Outcome::Returned(0),
    })
}

/// The machine started anew between the two: the clock of the second recording is behind.
#[test]
fn the_recordings_of_a_joined_file_are_not_mixed_by_their_times() {
    let recording = |entries: &[Entry]| {
        let clock = ClockInfo::with_frequency(1000);
        let mut writer =
            Writer::new(Vec::new(), &Schema::default(), clock, Options::default()).unwrap();
        for lane in ["main", "vcpu"] {
            writer.lane(lane).unwrap();
        }
        entries.iter().for_each(|entry| writer.push(entry).unwrap());
        writer.finish().unwrap()
    };
    // The first one has no call of the second lane.
    let first = [at(0, 0, 5000), at(0, 1, 7000)];
    let second = [at(0, 0, 2000), at(1, 0, 1000), at(1, 1, 6000)];
    let mut bytes = recording(&first);
    bytes.extend_from_slice(&recording(&second)[32..]);
    let trace = Trace::from_bytes(bytes).unwrap();
    let recorded = Recorded::read(&trace).unwrap();
    assert_eq!(recorded.joined, [2]);
    let times = |entries: Vec<&Entry>| {
        entries
            .iter()
            .map(|entry| entry.ticks())
            .collect::<Vec<_>>()
    };
    let expected = [5000, 7000, 1000, 2000, 6000];
    assert_eq!(times(recorded.in_time()), expected);
    let merged: Vec<_> = trace.merged().collect();
    assert_eq!(times(merged.iter().collect()), expected);
    // From entries that come lane by lane it is the same.
    let of = |lane: u32| {
        let mut entries = trace.lane_entries(lane);
        std::iter::from_fn(move || entries.next().map(|entry| (entries.recording(), entry)))
    };
    let again = Recorded::default().with_entries(of(1).chain(of(0)));
    assert_eq!(times(again.in_time()), expected);
    assert_eq!(again.recording_of(1), 0);
    assert_eq!(again.recording_of(2), 1);
}

#[test]
fn blocks_can_be_appended_behind_an_index() {
    let (mut bytes, entries) = everything(Compression::Lz4, true, 0);
    let body = record(9, &[1; 8]);
    let about = About {
        kind: 4,
        lane: 1,
        entries: 1,
        calls: 1,
        first: 9,
        ..About::default()
    };
    bytes.extend(block(about, body.len(), &body));
    let trace = Trace::from_bytes(bytes.clone()).unwrap();
    let report = trace.verify().unwrap();
    assert!(report.is_clean() && !report.finished, "{report:?}");
    assert_eq!(
        trace.len(),
        entries.len() as u64,
        "the announced call came back"
    );
    let trace = Trace::from_bytes(with_index(bytes)).unwrap();
    let report = trace.verify().unwrap();
    assert!(report.is_clean() && report.finished, "{report:?}");
}

#[test]
fn a_slice_says_where_it_starts() {
    let (bytes, entries) = everything(Compression::None, true, 0);
    let whole = Trace::from_bytes(bytes).unwrap();
    let mut writer = Writer::new(
        Vec::new(),
        whole.schema(),
        *whole.clock(),
        Options::default(),
    )
    .unwrap();
    writer.lane("main").unwrap();
    writer.lane("other").unwrap();
    let slice: Vec<_> = entries
        .iter()
        .filter(|entry| !matches!(entry, Entry::Call(call) if call.index < 3))
        .cloned()
        .collect();
    for entry in &slice {
        writer.push(entry).unwrap();
    }
    let trace = Trace::from_bytes(writer.finish().unwrap()).unwrap();
    assert!(trace.verify().unwrap().is_clean());
    assert_eq!(
        by_lane(&trace.entries().collect::<Vec<_>>()),
        by_lane(&slice)
    );
    assert_eq!(trace.lanes().len(), 2);
    assert_eq!(
        by_lane(&rewritten(&trace).entries().collect::<Vec<_>>()),
        by_lane(&slice)
    );
}

#[test]
fn a_trace_is_read_while_it_is_being_written() {
    let (bytes, entries) = everything(Compression::Lz4, true, 5);
    // Opened at any moment, also in the middle of a block, and looked at again now and then.
    for opened in (32..bytes.len()).step_by(37) {
        let growing = Growing::default();
        growing
            .0
            .lock()
            .unwrap()
            .extend_from_slice(&bytes[..opened]);
        let mut trace = Trace::from_source(Box::new(growing.clone())).unwrap();
        let mut seen = 0;
        for end in (opened..bytes.len()).step_by(211).chain([bytes.len()]) {
            let from = growing.0.lock().unwrap().len();
            growing
                .0
                .lock()
                .unwrap()
                .extend_from_slice(&bytes[from..end]);
            trace.refresh().unwrap();
            let read = really_read(&trace);
            assert!(read.len() >= seen, "opened at {opened}, {end}");
            assert_eq!(
                nameless(&read),
                nameless(&entries)[..read.len()],
                "opened at {opened}, {end}"
            );
            seen = read.len();
        }
        assert_eq!(
            trace.entries().collect::<Vec<_>>().len(),
            entries.len(),
            "opened at {opened}"
        );
        assert_eq!(trace.damage().count(), 0, "opened at {opened}");
        assert!(trace.is_finished());
        assert_eq!(trace.lanes().len(), 2);
        assert!(!trace.schema().interfaces.is_empty());
    }
}

#[test]
fn what_cannot_be_written_is_refused_and_not_bent() {
    let schema = Schema::from_interfaces(INTERFACES);
    let (bytes, _) = everything(Compression::None, false, 0);
    let trace = Trace::from_bytes(bytes).unwrap();
    let calls: Vec<Call> = trace
        .entries()
        .filter_map(|entry| match entry {
            Entry::Call(call) if call.lane == 0 => Some(call),
            _ => None,
        })
        .collect();
    let refused = |change: &dyn Fn(&mut Call) -> bool| {
        let mut tried = 0;
        for call in &calls {
            let mut call = call.clone();
            if change(&mut call) {
                let mut writer = Writer::new(
                    Vec::new(),
                    &schema,
                    ClockInfo::default(),
                    Options::default(),
                )
                .unwrap();
                writer.lane("main").unwrap();
                let error = writer.push(&Entry::Call(call)).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                tried += 1;
            }
        }
        assert!(tried > 0);
    };
    let with_block = |call: &mut Call, change: &dyn Fn(&mut hypercall_trace::entry::Block)| {
        let mut found = false;
        for argument in &mut call.args {
            if let hypercall_trace::entry::Argument::Block(block) = argument {
                change(block);
                found = true;
            }
        }
        found
    };
    refused(&|call| with_block(call, &|block| block.length = usize::MAX));
    refused(&|call| with_block(call, &|block| block.before.push(1)));
    refused(&|call| {
        with_block(call, &|block| {
            block.after = hypercall_trace::entry::After::Changed(vec![0; 9999])
        })
    });
    refused(&|call| call.duration.take().is_some());
    refused(&|call| {
        let finished = call.duration.is_some();
        call.outcome = Outcome::Unfinished;
        finished
    });
    refused(&|call| {
        call.lane = 7;
        true
    });
}
