//! Damage where one recording of a joined file ends and the next one begins: each keeps its own clock, its end, and its calls.

#![allow(
    clippy::cast_possible_truncation,
    reason = "offsets of files in memory"
)]

use std::sync::{Arc, Mutex};

mod growing;

use growing::Growing;
use hypercall_trace::clock::{ClockInfo, ClockPoint};
use hypercall_trace::entry::{Argument, Call, Defect, Entry, Outcome, PageChange, Run, When};
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::Trace;
use hypercall_trace::schema::Schema;
use hypercall_trace::write::{Options, Writer};

const fn clock(began: u64, frequency: u64, ends: u64) -> ClockInfo {
    ClockInfo {
        first: ClockPoint {
            frequency: 0,
            ticks: began,
            unix_nanoseconds: 0,
        },
        last: ClockPoint {
            frequency,
            ticks: ends,
            unix_nanoseconds: 0,
        },
    }
}

const FIRST: ClockInfo = clock(1_000, 2_000_000_000, 9_000);

fn call(lane: u32, index: u64, enter: u64) -> Entry {
    Entry::Call(Call {
        lane,
        index,
        number: 0x8000_0000,
        enter,
        duration: Some(1),
        args: [Argument::Unused, Argument::Unused],
        outcome: Outcome::Returned(0),
        schema: None,
    })
}

/// A recording with this clock, of three calls.
fn recording(id: u64, clock: ClockInfo, finished: bool) -> Vec<u8> {
    let options = Options {
        id,
        ..Options::default()
    };
    let mut writer = Writer::new(Vec::new(), &Schema::default(), clock, options).unwrap();
    writer.lane("main").unwrap();
    for index in 0..3 {
        let ticks = clock.first.ticks + 1 + index;
        writer.push(&call(0, index, ticks)).unwrap();
    }
    if finished {
        writer.finish().unwrap()
    } else {
        writer.finish_early().unwrap()
    }
}

/// Where the first block of a kind begins, and where it ends.
fn block(bytes: &[u8], kind: BlockKind) -> std::ops::Range<usize> {
    let trace = Trace::from_bytes(bytes.to_vec()).unwrap();
    let blocks = trace.blocks();
    let place = blocks
        .iter()
        .position(|block| block.header.kind == kind)
        .unwrap();
    let start = blocks[place].offset as usize;
    let end = blocks.get(place + 1).map(|block| block.offset as usize);
    start..end.unwrap_or(bytes.len())
}

fn join(first: &[u8], second: &[u8]) -> Vec<u8> {
    [first, &second[32..]].concat()
}

fn open(bytes: &[u8]) -> Trace {
    Trace::from_bytes(bytes.to_vec()).unwrap()
}

/// The entries of each recording that could be read.
fn entries(trace: &Trace) -> Vec<usize> {
    let mut of = vec![0; trace.recording_at(u64::MAX) as usize + 1];
    let mut entries = trace.entries();
    while let Some(entry) = entries.next() {
        of[entries.recording() as usize] += usize::from(!matches!(entry, Entry::Damaged(_)));
    }
    of
}

#[test]
fn the_points_of_a_recording_whose_schema_is_lost_are_not_those_of_the_one_before() {
    for second in [clock(10, 3_000_000_000, 800), clock(20_000, 3, 30_000)] {
        let (a, b) = (recording(0, FIRST, true), recording(0, second, false));
        let mut bytes = join(&a, &b);
        // Two bits: one alone would be turned back.
        bytes[a.len() + 4] ^= 0x18;
        bytes[a.len() + 60] ^= 0x18;
        let trace = open(&bytes);
        assert_eq!(trace.recording_at(u64::MAX), 0);
        assert_eq!(trace.clock(), &FIRST);
        let lost: Vec<_> = trace.damaged_descriptions().collect();
        assert!(
            lost.iter()
                .any(|(kind, damaged)| *kind == BlockKind::Clock
                    && damaged.defect == Defect::Order),
            "{lost:?}"
        );
        assert!(trace.lost_descriptions().clocks.contains(&0));
    }
}

#[test]
fn the_index_of_each_recording_stands_for_the_headers_of_its_blocks() {
    for id in [0, 7] {
        let a = recording(id, FIRST, true);
        let whole = join(&join(&a, &a), &a);
        let first = open(&a);
        let blocks: Vec<_> = open(&whole).blocks().to_vec();
        let blocks = blocks
            .iter()
            .filter(|block| block.header.kind != BlockKind::Index);
        for block in blocks {
            let mut bytes = whole.clone();
            let at = block.offset as usize;
            bytes[at + 4] ^= 0x18;
            bytes[at + 60] ^= 0x18;
            let trace = open(&bytes);
            assert_eq!(entries(&trace), [3, 3, 3], "{block:?}");
            assert!(trace.lost_descriptions() == first.lost_descriptions());
            assert!((0..3).all(|of| trace.clock_of(of) == &FIRST));
            let damaged = trace.verify().unwrap().damaged;
            let [damaged] = damaged.as_slice() else {
                panic!("{damaged:?}");
            };
            assert_eq!((damaged.offset, damaged.length), (block.offset, 64));
            assert_eq!(damaged.defect, Defect::Header);
            assert!(damaged.took_nothing());
        }
    }
}

#[test]
fn while_a_file_grows_points_are_left_when_what_follows_says_whose_they_are() {
    let second = recording(0, clock(20_000, 3, 30_000), false);
    let a = recording(0, FIRST, true);
    let mut bytes = join(&a, &second);
    bytes[a.len() + 4] ^= 0x18;
    bytes[a.len() + 60] ^= 0x18;
    let whole = open(&bytes);
    let last = whole.data().last().unwrap().offset as usize;
    // Of the second recording the clock alone is there, then all of it.
    let file = Growing(Arc::new(Mutex::new(bytes[..last].to_vec())));
    let mut trace = Trace::from_source(Box::new(file.clone())).unwrap();
    assert_ne!(trace.clock(), &FIRST);
    *file.0.lock().unwrap() = bytes;
    assert!(trace.refresh().unwrap());
    assert_eq!(trace.clock(), &FIRST);
    assert_eq!(trace.clock(), whole.clock());
    assert!(trace.lost_descriptions().clocks.contains(&0));
}

#[test]
fn a_point_of_the_clock_that_stands_twice_takes_no_time_away() {
    let bytes = recording(7, FIRST, false);
    let point = block(&bytes, BlockKind::Clock);
    let twice = [&bytes, &bytes[point]].concat();
    let trace = open(&twice);
    assert_eq!(trace.clock(), &FIRST);
    let lost: Vec<_> = trace.damaged_descriptions().collect();
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(lost[0].1.defect, Defect::Order);
}

#[test]
fn what_is_cut_off_an_index_does_not_take_the_next_recording() {
    for (first, second) in [(0, 0), (7, 7), (7, 8), (7, 0)] {
        let a = recording(first, FIRST, true);
        let index = block(&a, BlockKind::Index);
        let b = recording(second, FIRST, true);
        for cut in [1, 8, 63, 64, 72, 100, index.len() - 64] {
            let bytes = join(&a[..a.len() - cut], &b);
            let trace = open(&bytes);
            assert_eq!(entries(&trace), [3, 3], "{cut} bytes of {first}, {second}");
            assert!(trace.recordings_without_end().is_empty());
            assert!(trace.is_finished());
            let report = trace.verify().unwrap();
            let [damaged] = report.damaged.as_slice() else {
                panic!("{:?}", report.damaged);
            };
            assert_eq!(damaged.defect, Defect::Cut);
            assert_eq!(damaged.offset, index.start as u64);
            assert_eq!(trace.kind_of(damaged), Some(BlockKind::Index));
        }
    }
}

#[test]
fn an_index_of_another_recording_is_no_end() {
    let whole = recording(8, FIRST, true);
    let stray = &whole[block(&whole, BlockKind::Index)];
    let early = recording(7, FIRST, false);
    let last = open(&[&early, stray].concat());
    assert!(!last.is_finished() && last.ends_early());
    let next = recording(7, FIRST, true);
    let bytes = join(&[&early, stray].concat(), &next);
    assert!(open(&bytes).recordings_without_end().contains(&0));
    // Behind its own, it takes no end away.
    let ends = recording(7, FIRST, true);
    let bytes = join(&[&ends, stray].concat(), &next);
    assert!(open(&bytes).recordings_without_end().is_empty());
    // Where nothing follows, whether it ended there is not known.
    let last = open(&[&ends, stray].concat());
    assert!(last.ends_early() && last.end_is_damaged());
}

#[test]
fn where_the_header_of_an_index_is_damaged_nobody_knows_whether_there_is_an_end() {
    let a = recording(7, FIRST, true);
    let index = block(&a, BlockKind::Index).start;
    for finished in [true, false] {
        let mut bytes = join(&recording(7, FIRST, finished), &a);
        if finished {
            bytes[index + 9] ^= 4;
        }
        let trace = open(&bytes);
        assert_eq!(entries(&trace), [3, 3]);
        assert!(trace.recordings_without_end().contains(&0));
        let unknown = trace.recordings_with_damaged_end();
        assert_eq!(unknown.contains(&0), finished);
    }
}

#[test]
fn behind_a_whole_index_a_few_bytes_leave_the_end_unknown() {
    let bytes = recording(7, FIRST, true);
    for count in 1..100 {
        let trace = open(&[&bytes, vec![0x5a; count].as_slice()].concat());
        assert!(trace.ends_early() && trace.end_is_damaged(), "{count}");
    }
    // Where there is none, more blocks may have come.
    let early = recording(7, FIRST, false);
    let trace = open(&[&early, b"HCTB".as_slice()].concat());
    assert!(trace.ends_early() && !trace.end_is_damaged());
}

/// A change that no other record has room beside in a block.
fn change(lane: u32, index: u64) -> Entry {
    Entry::Pages(PageChange {
        lane,
        index,
        when: When::Note,
        page: 0,
        ticks: 0,
        look: 1,
        late: false,
        runs: vec![Run {
            offset: 0,
            before: vec![0; 1024],
            after: vec![1; 1024],
        }],
    })
}

#[test]
fn where_no_header_says_that_changes_of_pages_stood_there_they_are_missing_all_the_same() {
    let options = Options {
        id: 7,
        block: 1 << 10,
        ..Options::default()
    };
    let clock = ClockInfo::default();
    let mut writer = Writer::new(Vec::new(), &Schema::default(), clock, options).unwrap();
    for lane in ["main", "never", "behind"] {
        writer.lane(lane).unwrap();
    }
    let entries = [
        call(1, 0, 1),
        call(2, 0, 2),
        change(0, 0),
        call(0, 0, 3),
        change(0, 1),
        call(0, 1, 4),
        call(1, 1, 5),
        change(2, 1),
        call(2, 1, 6),
        change(2, 2),
        change(0, 2),
    ];
    entries.iter().for_each(|entry| writer.push(entry).unwrap());
    let second = writer.finish_early().unwrap();
    let first = recording(7, FIRST, true);
    let mut bytes = join(&first, &second);
    let joined = open(&bytes);
    let of_pages = joined.blocks().iter().find(|block| {
        let header = &block.header;
        header.entries == 1 && header.calls == 0 && (header.lane, header.first_index) == (0, 1)
    });
    let header = of_pages.unwrap().offset as usize;
    bytes[header + 4] ^= 0x18;
    bytes[header + 60] ^= 0x18;
    let damaged = open(&bytes);
    let lost = damaged.lost_descriptions();
    let (schema, clock) = (damaged.schema(), *damaged.clock());
    let mut copy = Writer::lacking(Vec::new(), schema, clock, options, &lost).unwrap();
    for lane in damaged.lanes() {
        copy.lane(&lane.name).unwrap();
    }
    let mut all = damaged.entries();
    while let Some(entry) = all.next() {
        copy.recordings_of(&damaged, all.recording()).unwrap();
        copy.push(&entry).unwrap();
    }
    let copy = open(&copy.finish_as(&damaged).unwrap());
    let notes: Vec<_> = copy
        .entries()
        .filter_map(|entry| match entry {
            Entry::Lost(lost) => Some((lost.lane, lost.index, lost.how_many())),
            _ => None,
        })
        .collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    // Before the next call of the lane that had changes, and before the first change of one that may have had some.
    assert!(
        notes.contains(&(0, 1, None)) && notes.contains(&(2, 1, None)),
        "{notes:?}"
    );
}
