//! Each recording of a joined file has a clock of its own, also while the file grows and in what is written of it.

#![allow(
    clippy::cast_possible_truncation,
    reason = "offsets of files in memory"
)]

use std::sync::{Arc, Mutex};

mod growing;

use growing::Growing;
use hypercall_trace::clock::{ClockInfo, ClockPoint};
use hypercall_trace::entry::{Entry, LossCause, Lost};
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::recover::recover;
use hypercall_trace::read::{BlockEntry, Trace};
use hypercall_trace::schema::Schema;
use hypercall_trace::write::{Options, Writer};

const fn point(frequency: u64, ticks: u64, unix_nanoseconds: i64) -> ClockPoint {
    ClockPoint {
        frequency,
        ticks,
        unix_nanoseconds,
    }
}

const FIRST: ClockInfo = ClockInfo {
    first: point(0, 900, 10),
    last: point(2_000_000_000, 5_000, 20),
};
const SECOND: ClockInfo = ClockInfo {
    first: point(0, 100, 1_000_000_000),
    last: point(3_000_000_000, 700, 1_000_000_500),
};
const UNKNOWN: ClockInfo = ClockInfo::with_frequency(0);

fn loss(index: u64, ticks: u64) -> Entry {
    Entry::Lost(Lost {
        lane: 0,
        index,
        count: 1,
        cause: LossCause::RingFull,
        first: ticks,
        last: ticks,
    })
}

fn writer(clock: ClockInfo) -> Writer<Vec<u8>> {
    let options = Options {
        id: 7,
        ..Options::default()
    };
    let mut writer = Writer::new(Vec::new(), &Schema::default(), clock, options).unwrap();
    writer.lane("main").unwrap();
    writer
}

fn recording(clock: ClockInfo) -> Vec<u8> {
    let mut writer = writer(clock);
    writer.push(&loss(0, clock.first.ticks + 1)).unwrap();
    writer.finish().unwrap()
}

fn clocks(trace: &Trace) -> Vec<ClockInfo> {
    let last = trace.recording_at(u64::MAX);
    (0..=last).map(|of| *trace.clock_of(of)).collect()
}

#[test]
fn a_recording_that_is_appended_changes_no_time_of_the_one_before_it() {
    let file = Growing(Arc::new(Mutex::new(recording(FIRST))));
    let mut trace = Trace::from_source(Box::new(file.clone())).unwrap();
    assert_eq!(clocks(&trace), [FIRST]);
    let second = recording(SECOND);
    let ends: Vec<_> = {
        let blocks = Trace::from_bytes(second.clone()).unwrap();
        let offsets = blocks.blocks().iter().map(|block| block.offset as usize);
        offsets.skip(1).chain([second.len()]).collect()
    };
    let mut from = 32;
    let mut seen = Vec::new();
    // Block by block, as a recorder writes them.
    for end in ends {
        file.0.lock().unwrap().extend_from_slice(&second[from..end]);
        from = end;
        assert!(trace.refresh().unwrap());
        assert_eq!(trace.clock(), &FIRST);
        seen.push(*trace.clock_of(1));
    }
    let begun = ClockInfo {
        first: SECOND.first,
        last: SECOND.first,
    };
    seen.dedup();
    assert_eq!(seen, [UNKNOWN, begun, SECOND]);
    assert_eq!(begun.frequency(), 0);
    assert_eq!(
        clocks(&Trace::from_source(Box::new(file)).unwrap()),
        [FIRST, SECOND]
    );
    assert_eq!(trace.clock_of(2), &UNKNOWN);
    assert!(trace.verify().unwrap().is_clean());
}

#[test]
fn a_recording_without_a_point_takes_no_clock_of_another() {
    let first = recording(FIRST);
    let second = recording(SECOND);
    let trace = Trace::from_bytes(second.clone()).unwrap();
    // The second without its clock.
    let mut bytes = first;
    let blocks = trace.blocks();
    let ends = blocks.iter().skip(1).map(|block| block.offset as usize);
    for (block, end) in blocks.iter().zip(ends) {
        if block.header.kind != BlockKind::Clock {
            bytes.extend_from_slice(&second[block.offset as usize..end]);
        }
    }
    let trace = Trace::from_bytes(bytes).unwrap();
    assert_eq!(clocks(&trace), [FIRST, UNKNOWN]);
    assert_eq!(trace.clock_of(1).nanoseconds(600), None);
    assert_eq!(trace.clock_of(1).unix_nanoseconds(600), None);
}

/// Where the first point is gone, the first records are the beginning: times go up from there, and are not all 0.
#[test]
fn a_recording_without_its_first_point_begins_with_its_records() {
    let second = recording(SECOND);
    let trace = Trace::from_bytes(second.clone()).unwrap();
    let is_clock = |block: &&BlockEntry| block.header.kind == BlockKind::Clock;
    let point = trace.blocks().iter().find(is_clock).unwrap();
    let (start, end) = (
        point.offset as usize,
        (point.offset + point.header.span()) as usize,
    );
    for joined in [false, true] {
        let mut bytes = if joined {
            recording(FIRST)
        } else {
            second[..32].to_vec()
        };
        bytes.extend_from_slice(&second[32..start]);
        bytes.extend_from_slice(&second[end..]);
        let trace = Trace::from_bytes(bytes).unwrap();
        let clock = trace.clock_of(u32::from(joined));
        assert_eq!((clock.first.ticks, clock.last), (101, SECOND.last));
        // 599 ticks before the last point, at 3 GHz.
        assert_eq!(clock.unix_nanoseconds(101), Some(1_000_000_500 - 199));
        assert!(!joined || trace.clock() == &FIRST);
    }
}

#[test]
fn what_is_written_has_the_clock_that_was_said_and_no_other() {
    let mut told = writer(FIRST);
    told.push(&loss(0, 901)).unwrap();
    told.recording(1, &SECOND).unwrap();
    told.push(&loss(0, 101)).unwrap();
    // It is under way already.
    told.recording(1, &FIRST).unwrap();
    told.push(&loss(1, 102)).unwrap();
    let told = told.finish().unwrap();
    assert_eq!(
        clocks(&Trace::from_bytes(told.clone()).unwrap()),
        [FIRST, SECOND]
    );

    // Nobody said that a recording begins.
    let mut untold = writer(FIRST);
    untold.push(&loss(0, 901)).unwrap();
    untold.push(&loss(0, 101)).unwrap();
    let untold = Trace::from_bytes(untold.finish().unwrap()).unwrap();
    assert_eq!(clocks(&untold), [FIRST, UNKNOWN]);

    let joined = Trace::from_bytes(told).unwrap();
    let (recovered, _) = recover(Some(&joined), &[], Vec::new(), Options::default()).unwrap();
    assert_eq!(
        clocks(&Trace::from_bytes(recovered).unwrap()),
        [FIRST, SECOND]
    );
}

/// A lane has a call of each index in each of them.
#[test]
fn an_index_is_of_one_recording() {
    let mut both = writer(FIRST);
    for recording in [0, 1] {
        both.recording(recording, &SECOND).unwrap();
        for index in 0..4 {
            both.push(&loss(index, u64::from(recording) * 1000 + index))
                .unwrap();
        }
    }
    let trace = Trace::from_bytes(both.finish().unwrap()).unwrap();
    let from = |recording, index| {
        let mut entries = trace.lane_entries_of(recording, 0, index);
        let mut found = Vec::new();
        while let Some(entry) = entries.next() {
            found.push((entries.recording(), entry.ticks() % 1000));
        }
        found
    };
    let all: Vec<_> = [0, 1]
        .into_iter()
        .flat_map(|of| (0..4).map(move |index| (of, index)))
        .collect();
    for recording in 0..2 {
        for index in 0..4 {
            let start = recording as usize * 4 + index as usize;
            assert_eq!(from(recording, index), all[start..], "{recording} {index}");
        }
        assert_eq!(from(recording, 9), all[(recording as usize + 1) * 4..]);
    }
    let entries: Vec<_> = trace.lane_entries_from(0, 2).collect();
    assert_eq!(entries.len(), 6);
}
