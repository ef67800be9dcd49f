//! Files that somebody made up: they cost no more memory than a few blocks and a few times their own bytes, and no more time
//! than reading them takes. What would take the square of their size would not end here.
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

use common::Device;
use file::*;
use hypercall_core::call::Direction;
use hypercall_trace::canonical::canonical;
use hypercall_trace::check::{Checker, Rule, check};
use hypercall_trace::diff::{Difference, diff, diff_traces};
use hypercall_trace::drive::{Driven, Driver};
use hypercall_trace::entry::{
    After, Argument, Block, Call, Damaged, Defect, Entry, Link, LossCause, Lost, Outcome,
    PageChange, Run, Target, Unknown, When,
};
use hypercall_trace::read::{Lane, Trace};
use hypercall_trace::replay::{Recorded, ReplayError, Replayer};
use hypercall_trace::schema::{self, Kind, LinkTarget, Register, Schema};
use hypercall_trace::state::Machine;
use hypercall_trace::write::{Compression, Options, Writer};
use std::sync::{Arc, Mutex, MutexGuard};

#[global_allocator]
static MEMORY: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

/// A test that runs alone, so that what it has is all that there is.
struct Alone(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

fn alone() -> Alone {
    static ALONE: Mutex<()> = Mutex::new(());
    Alone(
        ALONE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner),
    )
}

impl Alone {
    /// Lets it have this much more memory than it has now. Asking for more ends the process.
    fn limit(&self, mebibytes: usize) {
        MEMORY
            .set_limit(MEMORY.allocated() + (mebibytes << 20))
            .unwrap();
    }
    fn no_limit(&self) {
        MEMORY.set_limit(usize::MAX).unwrap();
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.no_limit();
    }
}

fn header() -> Vec<u8> {
    let (bytes, _) = everything(Compression::None, false, 0);
    bytes[..32].to_vec()
}

fn data(codec: u8, lane: u32, first: u64, entries: u32, raw: usize, body: &[u8]) -> Vec<u8> {
    let about = About {
        kind: 4,
        codec,
        lane,
        first,
        entries,
        calls: entries,
        last_ticks: u64::MAX,
        ..About::default()
    };
    block(about, raw, body)
}

#[test]
fn blocks_that_unpack_to_millions_of_records_are_read_one_record_at_a_time() {
    let alone = alone();
    // 64 MiB of the smallest record there is, in a few kilobytes; twenty times.
    let record = record(9, &[0; 8]);
    let count = (64_u32 << 20) / 16;
    let raw = record.repeat(count as usize);
    let packed = zstd::bulk::compress(&raw, 3).unwrap();
    drop(raw);
    let mut bytes = header();
    for number in 0..3_u64 {
        bytes.extend(data(
            2,
            0,
            number * u64::from(count),
            count,
            64 << 20,
            &packed,
        ));
    }
    assert!(bytes.len() < 200_000, "{}", bytes.len());
    alone.limit(140);
    let trace = Trace::from_bytes(bytes).unwrap();
    assert_eq!(trace.len(), 3 * u64::from(count));
    let unknown = |entry: Option<Entry>| matches!(entry, Some(Entry::Unknown(_)));
    assert!(unknown(trace.entry(u64::from(count) * 2 + 7)));
    assert!(unknown(trace.entries().nth(100_000)));
    assert!(unknown(trace.merged().nth(100_000)));
    assert_eq!(trace.entry(3 * u64::from(count)), None);
}

/// What reads all of a trace stops at a limit: 192 MiB of records would be some gigabytes of entries.
#[test]
fn a_trace_that_does_not_fit_memory_is_refused_before_it_is_read() {
    let alone = alone();
    let record = record(9, &[0; 8]);
    let count = (64_u32 << 20) / 16;
    let raw = record.repeat(count as usize);
    let packed = zstd::bulk::compress(&raw, 3).unwrap();
    drop(raw);
    let mut bytes = header();
    for number in 0..3_u64 {
        let first = number * u64::from(count);
        bytes.extend(data(2, 0, first, count, 64 << 20, &packed));
    }
    let trace = Trace::from_bytes(bytes).unwrap();
    let memory = 32 << 20;
    alone.limit(140 + 48);
    let error = Recorded::read_at_most(&trace, memory).unwrap_err();
    assert_eq!((error.limit, error.entries), (memory, trace.len()));
    assert!((50_000..500_000).contains(&error.fit), "{error:?}");
    let refused = Replayer::options().memory(memory).replay(&trace).map(drop);
    let Err(ReplayError::TooLarge(told)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(told, error);
    let text = told.to_string();
    assert!(
        text.contains("33554432 bytes") && text.contains("raise the limit"),
        "{text}"
    );
}

#[test]
fn the_memory_that_is_asked_for_is_enough_to_the_byte() {
    let _alone = alone();
    let (bytes, entries) = everything(Compression::Lz4, true, 0);
    let trace = Trace::from_bytes(bytes).unwrap();
    let read = Recorded::read(&trace).unwrap();
    assert_eq!(read.entries, entries);
    let whole: u64 = trace.entries().map(|entry| entry.memory()).sum();
    assert_eq!(Recorded::read_at_most(&trace, whole).unwrap(), read);
    let error = Recorded::read_at_most(&trace, whole - 1).unwrap_err();
    assert_eq!((error.fit, error.entries), (trace.len() - 1, trace.len()));
    // Nothing of what an entry owns is forgotten.
    let owned: usize = entries
        .iter()
        .map(|entry| match entry {
            Entry::Call(call) => call
                .blocks()
                .map(|(_, block)| match &block.after {
                    After::Changed(after) => block.before.len() + after.len(),
                    _ => block.before.len(),
                })
                .sum(),
            Entry::Pages(change) => change.runs.iter().map(|run| 2 * run.after.len()).sum(),
            Entry::Unknown(unknown) => unknown.bytes.len(),
            _ => 0,
        })
        .sum();
    assert!(whole >= (owned + entries.len() * size_of::<Entry>()) as u64);
}

/// As many lanes as there are entries, two of each: what looks for each lane among all would not end here.
#[test]
fn many_lanes_are_taken_apart_in_one_walk() {
    let _alone = alone();
    const LANES: u32 = 200_000;
    let mut recorded = Recorded::default();
    for lane in (0..LANES).rev().chain(0..LANES) {
        recorded.entries.push(Entry::Unknown(Unknown {
            lane,
            index: 0,
            kind: 100,
            bytes: Vec::new(),
        }));
    }
    let ids = recorded.lane_ids();
    assert!(ids.iter().copied().eq((0..LANES).rev()));
    assert_eq!(canonical(&recorded).lanes.len(), LANES as usize);
    let options = hypercall_trace::diff::Options::default();
    // Records that nobody understands cannot be compared, which is said of each, on either side.
    let told = diff(&recorded, &recorded.clone(), options).differences;
    assert_eq!(told.len(), 4 * LANES as usize);
    let unknown = |difference: &Difference| matches!(difference, Difference::Missing { index: 0, count: Some(0), why, .. } if why.contains("kind 100"));
    assert!(told.iter().all(unknown));
    assert!(check(&recorded).is_empty());
    let replayer = Replayer::options().recorded(recorded).unwrap();
    assert!(replayer.finish().is_ok());
}

#[test]
fn declared_sizes_are_not_believed() {
    let alone = alone();
    let small = [0xff; 16];
    let bomb = zstd::bulk::compress(&vec![0; 200 << 20], 1).unwrap();
    alone.limit(160);
    for (body, defect) in [
        (data(0, 0, 0, u32::MAX, 16, &small), Defect::Record),
        (
            data(1, 0, 0, 5, 60 << 20, &[0xf0, 0xff, 0xff, 0xff]),
            Defect::Compression,
        ),
        (data(1, 0, 0, 5, 65 << 20, &small), Defect::Header),
        (data(2, 0, 0, 5, 200 << 20, &bomb), Defect::Header),
        (data(2, 0, 0, 5, 1000, &bomb), Defect::Compression),
        (data(2, 0, 0, 5, 64 << 20, &bomb), Defect::Compression),
    ] {
        let trace = Trace::from_bytes([header(), body].concat()).unwrap();
        let told: Vec<_> = trace.entries().collect();
        assert!(
            matches!(&told[..], [Entry::Damaged(damaged)] if damaged.defect == defect),
            "{told:?}"
        );
        assert!(!trace.verify().unwrap().is_clean());
    }
}

#[test]
fn millions_of_tiny_blocks_and_lanes_take_no_more_than_their_bytes() {
    let alone = alone();
    let one = record(9, &[0; 8]);
    for lanes in [1_u32, u32::MAX] {
        let mut bytes = header();
        for number in 0..200_000_u32 {
            let (lane, first) = if lanes == 1 {
                (0, u64::from(number))
            } else {
                (number, 0)
            };
            bytes.extend(block(
                About {
                    kind: 3,
                    lane,
                    ..About::default()
                },
                2,
                &[0, 0],
            ));
            bytes.extend(data(0, lane, first, 1, 16, &one));
        }
        alone.limit((bytes.len() * 9) >> 20);
        let trace = Trace::from_bytes(bytes).unwrap();
        assert_eq!(trace.len(), 200_000);
        assert_eq!(trace.entries().count(), 200_000);
        assert_eq!(trace.merged().count(), 200_000);
        for number in (0..200_000).step_by(11) {
            assert!(trace.entry(number).is_some());
            assert!(trace.lane_entries(number as u32 % lanes).next().is_some());
            assert_eq!(trace.lane_name(number as u32 % lanes), "");
        }
        assert!(trace.verify().unwrap().is_clean());
        alone.no_limit();
    }
}

#[test]
fn garbage_that_looks_like_blocks_is_passed_over_once() {
    let _alone = alone();
    // Headers with right checksums that each declare the rest of the file as their body, and a wrong checksum for it.
    let mut bytes = header();
    let liar = |stored: u32| {
        let mut header = block(
            About {
                kind: 4,
                ..About::default()
            },
            0,
            &[],
        )[..64]
            .to_vec();
        header[8..12].copy_from_slice(&stored.to_le_bytes());
        header[28] = 1;
        let crc = crc32c::crc32c(&header[..60]);
        header[60..].copy_from_slice(&crc.to_le_bytes());
        header
    };
    bytes.push(b'?');
    for number in (0..50_000_u32).rev() {
        bytes.extend(liar(number * 64));
    }
    let trace = Trace::from_bytes(bytes.clone()).unwrap();
    assert!(!trace.verify().unwrap().is_clean());
    assert!(
        trace
            .entries()
            .all(|entry| matches!(entry, Entry::Damaged(_)))
    );
    // Only the beginnings of headers.
    bytes.truncate(32);
    bytes.extend(b"HCTB".repeat(500_000));
    let trace = Trace::from_bytes(bytes).unwrap();
    assert_eq!(trace.entries().count(), 1);
}

#[test]
fn numbers_at_their_ends_do_not_overflow() {
    let _alone = alone();
    let mut lost = vec![0xff; 32];
    lost[24..].fill(0);
    let mut call = vec![0xff; 40];
    call[24..32].fill(0);
    call[34..36].fill(0);
    call[36..40].copy_from_slice(&6_u32.to_le_bytes());
    let call = record(1, &call);
    let body = [
        record(16, &lost),
        call.clone(),
        call.clone(),
        record(16, &lost),
        call,
    ]
    .concat();
    for first in [0, 1, u64::MAX - 1, u64::MAX] {
        let about = About {
            kind: 4,
            first,
            entries: 5,
            calls: 3,
            last_ticks: u64::MAX,
            ..About::default()
        };
        let bytes = [
            header(),
            block(about, body.len(), &body),
            block(about, body.len(), &body),
        ]
        .concat();
        let trace = Trace::from_bytes(bytes).unwrap();
        let entries: Vec<_> = trace.entries().collect();
        assert!(entries.len() >= 5);
        assert_eq!(trace.merged().count(), entries.len());
        let _ = trace.verify().unwrap();
        let _ = trace.call(0, u64::MAX);
        let mut writer = Writer::new(
            Vec::new(),
            trace.schema(),
            *trace.clock(),
            Options::default(),
        )
        .unwrap();
        writer.lane("main").unwrap();
        for entry in &entries {
            writer.push(entry).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(trace.clock().unix_nanoseconds(u64::MAX), None);
    }
}

#[test]
fn an_index_that_lies_is_not_used() {
    let _alone = alone();
    let (bytes, entries) = everything(Compression::None, false, 0);
    let good = with_index(bytes.clone());
    let ranges = blocks(&good);
    let index = ranges.last().unwrap().clone();
    let change = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut body = good[index.start + 64..].to_vec();
        edit(&mut body);
        let whole = block(
            About {
                kind: 6,
                ..About::default()
            },
            body.len(),
            &body,
        );
        Trace::from_bytes([&good[..index.start], &whole].concat()).unwrap()
    };
    for (what, trace) in [
        (
            "points at itself",
            change(&|body| {
                let end = body.len() - 88;
                body[end..end + 8].copy_from_slice(&(index.start as u64).to_le_bytes());
            }),
        ),
        (
            "points before the file",
            change(&|body| body[..8].copy_from_slice(&u64::MAX.to_le_bytes())),
        ),
        (
            "has an entry twice",
            change(&|body| {
                let first = body[..72].to_vec();
                body.splice(0..0, first);
            }),
        ),
        (
            "leaves one out",
            change(&|body| {
                body.drain(..72);
            }),
        ),
        (
            "is empty",
            change(&|body| {
                let end = body.len() - 16;
                body.drain(..end);
            }),
        ),
        ("has no end", change(&|body| body.truncate(40))),
    ] {
        assert_eq!(trace.entries().collect::<Vec<_>>(), entries, "it {what}");
        let told: Vec<_> = trace
            .verify()
            .unwrap()
            .damaged
            .iter()
            .map(|damaged| damaged.defect)
            .collect();
        // One that lists the last blocks only is what a joined file has, behind a schema of its own.
        assert_eq!(told, [Defect::Index], "it {what}");
    }
}

#[test]
fn schemas_are_bounded_in_depth_and_in_what_they_describe() {
    let alone = alone();
    fn text(text: &str) -> Vec<u8> {
        [&(text.len() as u16).to_le_bytes(), text.as_bytes()].concat()
    }
    let call = |register: Vec<u8>| {
        let body = [
            text("odd"),
            7_u64.to_le_bytes().to_vec(),
            vec![0],
            register,
            vec![0, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let length = (body.len() as u32).to_le_bytes().to_vec();
        [vec![1, 0], text("Odd"), vec![1, 0], length, body].concat()
    };
    let value = |kind: Vec<u8>| [vec![1], text("value"), kind, vec![0]].concat();
    let array = |size: u32, length: u32, of: Vec<u8>| {
        [
            vec![7],
            size.to_le_bytes().to_vec(),
            length.to_le_bytes().to_vec(),
            of,
        ]
        .concat()
    };
    let mut deep = vec![0];
    for _ in 0..10_000 {
        deep = array(1, 1, deep);
    }
    let field = |offset: u32, size: u32| {
        [
            text("f"),
            text("f"),
            offset.to_le_bytes().to_vec(),
            size.to_le_bytes().to_vec(),
            vec![0, 0],
            text(""),
        ]
        .concat()
    };
    let structure = |fields: Vec<Vec<u8>>| {
        let count = (fields.len() as u16).to_le_bytes().to_vec();
        [
            vec![6],
            text("s"),
            text("s"),
            8_u32.to_le_bytes().to_vec(),
            vec![0; 4],
            count,
            fields.concat(),
        ]
        .concat()
    };
    let block_of = |kind: Vec<u8>, size: u32| {
        [
            vec![2],
            text("block"),
            vec![3],
            kind,
            size.to_le_bytes().to_vec(),
            vec![0],
        ]
        .concat()
    };
    alone.limit(64);
    for (what, register) in [
        ("nests without an end", value(deep)),
        (
            "is an array of billions in a register",
            value(array(1, u32::MAX, vec![0])),
        ),
        (
            "is an array of nothing",
            value(array(0, u32::MAX, array(0, u32::MAX, vec![0]))),
        ),
        (
            "has fields that overlap",
            value(structure(vec![field(0, 8), field(0, 8)])),
        ),
        ("has a field outside", value(structure(vec![field(8, 8)]))),
        (
            "has a field of no bytes",
            value(structure(vec![field(0, 0)])),
        ),
        ("is larger than a block can be", block_of(vec![0], u32::MAX)),
        (
            "is an array beyond its block",
            block_of(array(8, 8, vec![0]), 32),
        ),
        (
            "has a name without an end",
            value([vec![4], text(&"x".repeat(60_000))].concat()),
        ),
    ] {
        let body = call(register);
        let bytes = [
            header(),
            block(
                About {
                    kind: 1,
                    ..About::default()
                },
                body.len(),
                &body,
            ),
        ]
        .concat();
        let trace = Trace::from_bytes(bytes).unwrap();
        let read = trace.schema().find(None, "odd").unwrap();
        assert!(!read.complete, "a description that {what}");
        assert_eq!(read.number, 7);
    }
    // Sizes of the whole.
    let many = [&1000_u16.to_le_bytes()[..], &[0; 4000]].concat();
    let huge = vec![0; 5 << 20];
    for (body, defect) in [(many, Defect::Description), (huge, Defect::TooLarge)] {
        let bytes = [
            header(),
            block(
                About {
                    kind: 1,
                    ..About::default()
                },
                body.len(),
                &body,
            ),
        ]
        .concat();
        let trace = Trace::from_bytes(bytes).unwrap();
        assert_eq!(trace.damage().next().unwrap().defect, defect);
    }
}

#[test]
fn merging_tells_when_the_order_is_not_that_of_time() {
    let _alone = alone();
    let lanes = |count: u32| {
        let mut bytes = header();
        // The later lanes have the earlier calls.
        for lane in 0..count {
            let mut body = vec![0; 40];
            body[..8].copy_from_slice(&u64::from(count - lane).to_le_bytes());
            body[32..34].copy_from_slice(&u16::MAX.to_le_bytes());
            body[36..40].copy_from_slice(&6_u32.to_le_bytes());
            let call = record(1, &body);
            bytes.extend(data(0, lane, 0, 1, call.len(), &call));
        }
        Trace::from_bytes(bytes).unwrap()
    };
    for (count, in_order) in [
        (2, true),
        (1024, true),
        (1025, true),
        (65_536, true),
        (65_537, false),
    ] {
        let trace = lanes(count);
        let merged = trace.merged();
        assert_eq!(merged.in_order(), in_order, "{count} lanes");
        let ticks: Vec<_> = merged.map(|entry| entry.ticks()).collect();
        assert_eq!(ticks.len(), count as usize);
        assert_eq!(ticks.is_sorted(), in_order, "{count} lanes");
    }
}

/// More than the blocks of all lanes have room for: a part of each is in memory, and the order is that of time.
#[test]
fn lanes_are_merged_whose_blocks_do_not_fit() {
    const LANES: u64 = 20;
    const CALLS: u64 = 200;
    let alone = alone();
    // A block of 16 MiB, of a few bytes as it is stored.
    let block_of = |lane: u64| {
        let mut records = Vec::new();
        for call in 0..CALLS {
            // One of them takes more than the lane's part of memory.
            let filled = if call == CALLS / 2 { 15 << 20 } else { 4 << 10 };
            let mut body = vec![0; 40 + filled];
            let enter = 1 + call * LANES + lane;
            body[..8].copy_from_slice(&enter.to_le_bytes());
            body[8..12].copy_from_slice(&(filled as u32).to_le_bytes());
            body[32..34].copy_from_slice(&u16::MAX.to_le_bytes());
            body[34] = 2;
            body[36..40].copy_from_slice(&((6 + filled / 8) as u32).to_le_bytes());
            records.extend(record(1, &body));
        }
        data(
            2,
            lane as u32,
            0,
            CALLS as u32,
            records.len(),
            &zstd::bulk::compress(&records, 1).unwrap(),
        )
    };
    let mut bytes = header();
    (0..LANES).for_each(|lane| bytes.extend(block_of(lane)));
    let trace = Trace::from_bytes(bytes).unwrap();
    // Its entries take more than 300 MiB.
    alone.limit(128);
    let merged = trace.merged();
    assert!(merged.in_order());
    let ticks: Vec<_> = merged.map(|entry| entry.ticks()).collect();
    let due: Vec<_> = (1..=LANES * CALLS).collect();
    assert_eq!(ticks, due);
}

/// A record of a page's change: 64 bytes, and a page to follow.
fn page_change(page: u32) -> Entry {
    Entry::Pages(PageChange {
        lane: 0,
        index: 0,
        when: When::Enter,
        page,
        ticks: u64::from(page) + 1,
        look: 0,
        late: false,
        runs: vec![Run {
            offset: 0,
            before: vec![0; 4],
            after: vec![1; 4],
        }],
    })
}

#[test]
fn a_checker_follows_no_more_pages_than_a_program_has() {
    let alone = alone();
    let mut checker = Checker::new();
    alone.limit(32);
    for page in 0..100_000 {
        checker.take(page.into(), "main", &page_change(page));
    }
    // It is said once.
    let found = checker.finish().findings;
    let rules: Vec<_> = found.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, [Rule::NotFollowed]);
    assert!(found[0].message.contains("page 4096 "), "{found:?}");
}

/// Where changes are missing again and again, only pages that were seen meanwhile are forgotten: to go through all each time would
/// take hours.
#[test]
fn pages_are_not_forgotten_again_at_each_loss() {
    let _alone = alone();
    let mut checker = Checker::new();
    for page in 0..4096 {
        checker.take(page.into(), "main", &page_change(page));
    }
    let lost = |lane| {
        Entry::Lost(Lost {
            lane,
            index: 0,
            count: 1,
            cause: LossCause::Sink,
            first: 5000,
            last: 5000,
        })
    };
    let damaged = Entry::Damaged(Damaged {
        offset: 4096,
        length: 64,
        defect: Defect::Header,
        lane: None,
        entries: None,
        index: None,
        calls: None,
    });
    for turn in 0..30_000_u32 {
        let (lane, entry) = match turn % 3 {
            0 => ("main", lost(0)),
            1 => ("other", lost(1)),
            _ => ("", damaged.clone()),
        };
        checker.take(5000, lane, &entry);
        checker.take(5000, "main", &page_change(turn % 4096));
        let found = checker.take_findings();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].rule, Rule::CallsMissing);
    }
}

/// What a VM has beyond what is followed may be what a call takes away.
#[test]
fn what_is_not_followed_is_not_blamed() {
    let _alone = alone();
    let schema = Schema::from_interfaces(&[hypercall::acrn::HypervisorCalls::INTERFACE]);
    let position = |checker: &mut Checker, at: u64, name: &str, args| {
        let described = schema.find(None, name).unwrap();
        let call = Call {
            lane: 0,
            index: at,
            number: described.number,
            schema: Some(described.clone()),
            args,
            enter: at,
            duration: Some(1),
            outcome: Outcome::Returned(0),
        };
        checker.take(at, "main", &Entry::Call(call));
    };
    let block = |name: &str, before: Vec<u8>, after| {
        let described = schema.find(None, name).unwrap();
        let size = |register: &Register| match register {
            Register::Block { size, .. } => Some(*size),
            _ => None,
        };
        let length = described.registers.iter().find_map(size).unwrap();
        let sized = |mut bytes: Vec<u8>| {
            bytes.resize(length, 0);
            bytes
        };
        Block {
            direction: Direction::ReadWrite,
            before: sized(before),
            after: match after {
                Some(bytes) => After::Changed(sized(bytes)),
                None => After::Unchanged,
            },
            length,
            link: None,
        }
    };
    let mut checker = Checker::new();
    let created = block("create_vm", Vec::new(), Some(vec![1, 0]));
    let args = [Argument::Block(created), Argument::Unused];
    position(&mut checker, 0, "create_vm", args);
    assert!(checker.findings().is_empty());
    let (count_at, link_at) = match &schema.find(None, "set_memory_regions").unwrap().registers[0] {
        Register::Block {
            link: Some(link), ..
        } => match &link.target {
            LinkTarget::Array { count_offset, .. } => (*count_offset, link.offset),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let elements = |kind: u32, ranges: std::ops::Range<u64>| {
        let mut header = vec![0; 64];
        header[..2].copy_from_slice(&1_u16.to_le_bytes());
        let count = (ranges.end - ranges.start) as u32;
        header[count_at..count_at + 4].copy_from_slice(&count.to_le_bytes());
        let bytes = ranges.flat_map(|range| {
            let mut one = [0; 32];
            one[..4].copy_from_slice(&kind.to_le_bytes());
            one[4..8].copy_from_slice(&7_u32.to_le_bytes());
            one[8..16].copy_from_slice(&(range * 0x2000).to_le_bytes());
            one[16..24].copy_from_slice(&(range * 0x2000).to_le_bytes());
            one[24..].copy_from_slice(&0x1000_u64.to_le_bytes());
            one
        });
        let bytes: Vec<u8> = bytes.collect();
        let mut block = block("set_memory_regions", header, None);
        block.link = Some(Link {
            offset: link_at,
            target: Target::Block(Box::new(Block {
                direction: Direction::Read,
                length: bytes.len(),
                before: bytes,
                after: After::Unchanged,
                link: None,
            })),
        });
        [Argument::Block(block), Argument::Unused]
    };
    let unmap = |checker: &mut Checker, at| {
        position(checker, at, "set_memory_regions", elements(2, 0..1));
        let found = checker.take_findings();
        found.into_iter().map(|one| one.rule).collect::<Vec<_>>()
    };
    assert_eq!(unmap(&mut checker, 1), [Rule::UnmapsNothing]);
    for at in 2..5000_u64 {
        let protect = block(
            "write_protect_page",
            [1, at << 12].map(u64::to_le_bytes).concat(),
            None,
        );
        let args = [Argument::Value(1), Argument::Block(protect)];
        position(&mut checker, at, "write_protect_page", args);
    }
    assert_eq!(unmap(&mut checker, 5000), [Rule::NotFollowed]);
}

#[test]
fn a_vm_lists_no_more_than_it_can_have() {
    let _alone = alone();
    let schema = Schema::from_interfaces(&[hypercall::acrn::HypervisorCalls::INTERFACE]);
    let add = schema.find(None, "add_vdev").unwrap();
    let bytes = |slot: u32| {
        let mut bytes = vec![0; 128];
        bytes[8..12].copy_from_slice(&slot.to_le_bytes());
        bytes
    };
    let length = match &add.registers[1] {
        Register::Block { size, .. } => *size,
        other => panic!("{other:?}"),
    };
    let mut machine = Machine::new();
    for vm in [1, 16] {
        for slot in 0..5000_u32 {
            let mut before = bytes(slot);
            before.resize(length, 0);
            let call = Call {
                lane: 0,
                index: slot.into(),
                schema: Some(add.clone()),
                number: add.number,
                args: [
                    Argument::Value(vm),
                    Argument::Block(Block {
                        direction: Direction::Read,
                        before,
                        after: After::Unchanged,
                        length,
                        link: None,
                    }),
                ],
                enter: slot.into(),
                duration: Some(1),
                outcome: Outcome::Returned(0),
            };
            machine.take(slot.into(), "main", &Entry::Call(call));
        }
        // No VM of ACRN has an id from 16 on: none is listed, and that is said.
        let one = &machine.vms[&1];
        assert_eq!((one.devices.len(), one.more), (4096, true));
        assert_eq!((machine.vms.len(), machine.more), (1, vm == 16));
        let more = machine.to_string().matches("and more").count();
        assert_eq!(more, 1 + usize::from(vm == 16));
    }
}

/// Buffers that are handed over again are not each looked for among all that there are: this would take minutes.
#[test]
fn who_has_a_page_is_known_without_looking_through_all() {
    let _alone = alone();
    let schema = Schema::from_interfaces(&[hypercall::acrn::HypervisorCalls::INTERFACE]);
    let setup = schema.find(None, "setup_sbuf").unwrap();
    let mut checker = Checker::new();
    let mut position = 0;
    let mut make = |vm: u64, id: u32, gpa: u64| {
        let mut before = vec![0; 16];
        before[4..8].copy_from_slice(&id.to_le_bytes());
        let link = Link {
            offset: 8,
            target: Target::Address(gpa),
        };
        let block = Block {
            direction: Direction::Read,
            before,
            after: After::Unchanged,
            length: 16,
            link: Some(link),
        };
        let call = Call {
            lane: 0,
            index: position,
            schema: Some(setup.clone()),
            number: setup.number,
            args: [Argument::Value(vm), Argument::Block(block)],
            enter: position,
            duration: Some(1),
            outcome: Outcome::Returned(0),
        };
        checker.take(position, "main", &Entry::Call(call));
        position += 1;
        let found = checker.take_findings();
        found
            .into_iter()
            .map(|finding| (finding.rule, finding.message))
            .collect::<Vec<_>>()
    };
    let page = |vm: u64, id: u32| (vm << 32) + (u64::from(id) << 12);
    for vm in 1..16 {
        for id in 100..4100 {
            assert_eq!(make(vm, id, page(vm, id)), []);
        }
    }
    for _ in 0..50_000 {
        assert_eq!(make(3, 100, page(3, 100)), [], "the same one again");
    }
    let told = make(3, 100, page(7, 200));
    let [(Rule::PageGivenTwice, why)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(why.ends_with("which VM 7 has as its buffer 200"), "{why}");
    // What it had is free, and what it has is not.
    assert_eq!(make(4, 100, page(3, 100)), []);
    let told = make(5, 100, page(7, 200));
    assert!(told[0].1.ends_with("which VM 7 has as its buffer 200"));
    assert_eq!(make(7, 200, page(7, 201) + 0x7000_0000), []);
    let told = make(6, 100, page(7, 200));
    assert!(told[0].1.ends_with("which VM 5 has as its buffer 100"));
}

#[test]
fn processors_beyond_those_that_are_listed_are_told() {
    let schema = Schema::from_interfaces(&[hypercall::acrn::HypervisorCalls::INTERFACE]);
    let call = schema.find(None, "service_vm_offline_cpu").unwrap();
    let mut machine = Machine::new();
    for lapic in 0..=4096 {
        assert!(!machine.more);
        let entry = Entry::Call(Call {
            lane: 0,
            index: lapic,
            schema: Some(call.clone()),
            number: call.number,
            args: [Argument::Value(lapic), Argument::Unused],
            enter: lapic,
            duration: Some(1),
            outcome: Outcome::Returned(0),
        });
        machine.take(lapic, "main", &entry);
    }
    assert_eq!((machine.offline.len(), machine.more), (4096, true));
}

#[test]
fn a_drive_lists_and_allocates_no_more_than_is_bounded() {
    let alone = alone();
    let driver = Driver::new(hypercall::acrn::HypervisorCalls::INTERFACE);
    let unknown = |index| {
        Entry::Call(Call {
            lane: 0,
            index,
            schema: None,
            number: 7,
            args: [Argument::Unused, Argument::Unused],
            enter: index,
            duration: Some(1),
            outcome: Outcome::Returned(0),
        })
    };
    // Pages of a hypervisor's are never freed: 256 MiB of them.
    alone.limit(340);
    let entries = (0..100_000)
        .map(page_change)
        .chain((0..10_005).map(unknown));
    let driven = driver.drive_entries(entries, |_| "main".to_owned(), &Device::default());
    assert_eq!((driven.not_made.len(), driven.more_not_made), (10_000, 5));
    assert!(!driven.is_complete());
    assert!(driven.to_string().contains("and 5 more not made"));
    // One whose calls were all made, and not all of its pages.
    assert_eq!(driven.pages_not_written, 100_000 - (1 << 16));
    assert!(driven.to_string().contains("of shared pages not written"));
    assert!(
        !Driven {
            made: 1,
            same: 1,
            pages_not_written: 1,
            ..Driven::default()
        }
        .is_complete()
    );
}

#[test]
fn a_comparison_of_large_calls_takes_a_window_of_bytes() {
    const CALLS: u64 = 64;
    let alone = alone();
    // 4 MiB each, and a few bytes as they are stored.
    let mut bytes = header();
    for index in 0..CALLS {
        let filled = 4 << 20;
        let mut body = vec![0; 40 + filled];
        body[..8].copy_from_slice(&(index + 1).to_le_bytes());
        body[8..12].copy_from_slice(&(filled as u32).to_le_bytes());
        body[32..34].copy_from_slice(&u16::MAX.to_le_bytes());
        body[34] = 2;
        body[36..40].copy_from_slice(&((6 + filled / 8) as u32).to_le_bytes());
        let call = record(1, &body);
        let packed = zstd::bulk::compress(&call, 1).unwrap();
        bytes.extend(data(2, 0, index, 1, call.len(), &packed));
    }
    let trace = Trace::from_bytes(bytes).unwrap();
    alone.limit(220);
    let told = diff_traces(&trace, &trace, Default::default());
    assert_eq!((told.same, told.differences.len()), (CALLS, 0));
}

/// A trace of one call with a block of this kind.
fn of_block(kind: Kind, before: Vec<u8>) -> Recorded {
    let length = before.len();
    let schema = Arc::new(schema::Call {
        interface: "Made".into(),
        index: 0,
        name: "up".to_owned(),
        number: 1,
        selector: None,
        registers: [
            Register::Block {
                name: "block".to_owned(),
                direction: Direction::Read,
                kind,
                size: length,
                link: None,
            },
            Register::Unused,
        ],
        result: schema::ResultKind::Unit,
        hints: Vec::new(),
        codes: Arc::new([]),
        complete: true,
        raw: None,
    });
    let block = Block {
        direction: Direction::Read,
        before,
        after: After::Unchanged,
        length,
        link: None,
    };
    let call = Call {
        lane: 0,
        index: 0,
        schema: Some(schema),
        number: 1,
        args: [Argument::Block(block), Argument::Unused],
        enter: 1,
        duration: Some(1),
        outcome: Outcome::Returned(0),
    };
    Recorded {
        lanes: vec![Lane {
            id: 0,
            name: "main".to_owned(),
        }],
        entries: vec![Entry::Call(call)],
        ..Recorded::default()
    }
}

/// Names of values are as long as what they stand in is deep: of a block of a megabyte they would be gigabytes.
#[test]
fn values_are_compared_without_the_names_of_all() {
    let alone = alone();
    let mut kind = Kind::Signed;
    for _ in 0..14 {
        let field = schema::Field {
            name: "n".repeat(256),
            c_name: String::new(),
            offset: 0,
            size: 1,
            kind,
            role: hypercall_core::schema::Role::Plain,
            units: String::new(),
        };
        kind = Kind::Struct(Arc::new(schema::Struct {
            name: String::new(),
            c_name: String::new(),
            size: 1,
            align: 1,
            fields: vec![field],
        }));
    }
    let length = 1 << 18;
    let array = Kind::Array {
        element: Arc::new(kind),
        size: 1,
        length,
    };
    let one = of_block(array.clone(), vec![0; length]);
    let mut other = of_block(array, vec![1; length]);
    if let Some(Entry::Call(call)) = other.entries.first_mut() {
        call.number = 2;
    }
    alone.limit(8);
    let told = diff(&one, &one, Default::default());
    assert_eq!((told.same, told.differences.len()), (1, 0));
    // Nor does a text of the call have them all.
    let told = diff(&one, &other, Default::default()).differences;
    let [
        Difference::OnlyLeft { call: ours, .. },
        Difference::OnlyRight { call: theirs, .. },
    ] = told.as_slice()
    else {
        panic!("{} differences", told.len());
    };
    assert_eq!(ours.text, "up() = 0");
    assert!(theirs.text.contains("[23].") && theirs.text.ends_with(", …) = 0"));
}

/// Names of one call are tied to each other; each new pair is not compared with all before it. This would not end.
#[test]
fn names_of_one_call_are_tied_in_one_walk() {
    let alone = alone();
    let names = 300_000_u32;
    let field = schema::Field {
        name: "id".to_owned(),
        c_name: String::new(),
        offset: 0,
        size: 4,
        kind: Kind::Id("N".repeat(256)),
        role: hypercall_core::schema::Role::Handle,
        units: String::new(),
    };
    let element = Kind::Struct(Arc::new(schema::Struct {
        name: String::new(),
        c_name: String::new(),
        size: 4,
        align: 4,
        fields: vec![field],
    }));
    let array = Kind::Array {
        element: Arc::new(element),
        size: 4,
        length: names as usize,
    };
    let of = |first: u32| {
        let ids = (first..).take(names as usize).flat_map(u32::to_le_bytes);
        of_block(array.clone(), ids.collect())
    };
    let (one, other) = (of(0x10_0000), of(0x80_0000));
    // Of each name's pair a few words, and no copy of the space's name.
    alone.limit(90);
    let told = diff(&one, &other, Default::default());
    assert_eq!((told.same, told.differences.len()), (1, 0));
}

#[test]
fn differences_of_one_call_are_not_each_compared_with_all() {
    let _alone = alone();
    let length = 400_000;
    let array = || Kind::Array {
        element: Arc::new(Kind::Unsigned),
        size: 2,
        length: length / 2,
    };
    let (one, other) = (
        of_block(array(), vec![1; length]),
        of_block(array(), vec![2; length]),
    );
    let told = diff(&one, &other, Default::default()).differences;
    let [Difference::Changed { differences, .. }] = told.as_slice() else {
        panic!("{} differences", told.len());
    };
    assert_eq!(differences.len(), length / 2);
}

#[test]
fn changes_of_pages_without_end_are_not_compared_and_that_is_told() {
    let _alone = alone();
    let mut recorded = Recorded {
        lanes: vec![Lane {
            id: 0,
            name: "main".to_owned(),
        }],
        ..Recorded::default()
    };
    recorded.entries.extend((0..20_000).map(page_change));
    let told = diff(&recorded, &recorded, Default::default()).differences;
    let many = |difference: &Difference| matches!(difference, Difference::Missing { count: Some(0), why, .. } if why.contains("more changes"));
    assert!(told.len() == 2 && told.iter().all(many), "{told:?}");
}

#[test]
fn names_of_lanes_are_bounded_in_all() {
    let alone = alone();
    let named = |length: u16, lanes: std::ops::Range<u32>| {
        let mut name = length.to_le_bytes().to_vec();
        name.resize(2 + usize::from(length), b'x');
        let packed = zstd::bulk::compress(&name, 1).unwrap();
        lanes.flat_map(move |lane| {
            let about = About {
                kind: 3,
                codec: 2,
                lane,
                ..About::default()
            };
            block(about, name.len(), &packed)
        })
    };
    const LANES: u32 = 66_000;
    let mut bytes = header();
    bytes.extend(named(256, 0..LANES));
    alone.limit(80);
    let trace = Trace::from_bytes(bytes).unwrap();
    assert_eq!(trace.lanes().len(), (16 << 20) / 256 + 1);
    assert_eq!(trace.damage().count(), LANES as usize - trace.lanes().len());
    assert!(
        trace
            .damage()
            .all(|damaged| damaged.defect == Defect::TooLarge)
    );
    assert_eq!(trace.lane_name(LANES - 1), format!("lane {}", LANES - 1));
    alone.no_limit();
    // It is repeated wherever something happened in the lane.
    let mut bytes = header();
    bytes.extend(named(257, 0..1));
    let trace = Trace::from_bytes(bytes).unwrap();
    assert!(trace.lanes().is_empty());
    let damage: Vec<_> = trace.damage().map(|damaged| damaged.defect).collect();
    assert_eq!(damage, [Defect::Description]);
    let options = Options::default();
    let mut writer =
        Writer::new(Vec::new(), &Schema::default(), Default::default(), options).unwrap();
    writer.lane(&"x".repeat(256)).unwrap();
    let refused = writer.lane(&"x".repeat(257)).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn a_writer_of_many_lanes_does_not_hold_a_block_of_each() {
    let alone = alone();
    let options = Options {
        block: 4 << 20,
        compression: Compression::None,
        id: 1,
    };
    let mut writer = Writer::new(
        std::io::sink(),
        &Schema::default(),
        Default::default(),
        options,
    )
    .unwrap();
    let bytes = record(99, &vec![7; 3 << 20]);
    for lane in 0..100 {
        writer.lane(&lane.to_string()).unwrap();
    }
    alone.limit(280);
    for lane in 0..100 {
        let entry = Entry::Unknown(Unknown {
            lane,
            index: 0,
            kind: 99,
            bytes: bytes.clone(),
        });
        writer.push(&entry).unwrap();
    }
    writer.finish().unwrap();
}

/// Each of these lanes may have lost calls in each of these stretches; nobody goes through all of them for each lane.
#[test]
fn damage_of_no_lane_is_not_walked_through_for_each_lane() {
    let _alone = alone();
    const LANES: u32 = 20_000;
    let mut bytes = header();
    let call = record(9, &[7; 8]);
    for lane in 0..LANES {
        bytes.extend(data(0, lane, 0, 1, call.len(), &call));
        bytes.extend(data(0, lane, 1, 1, call.len(), &call));
        bytes.extend([0xee; 8]);
    }
    let trace = Trace::from_bytes(bytes).unwrap();
    let (lanes, stretches) = (LANES as usize, trace.damage().count());
    assert_eq!(stretches, lanes);
    assert!(trace.merged().in_order());
    assert_eq!(trace.merged().count(), 2 * lanes + stretches);
    let told = diff_traces(&trace, &trace, Default::default()).differences;
    let anywhere =
        |difference: &&Difference| matches!(difference, Difference::MissingAnywhere { .. });
    assert_eq!(told.iter().filter(anywhere).count(), 2 * stretches);
    // In memory as well, for a comparison and for a replay that goes on behind it.
    let recorded = Recorded::read(&trace).unwrap();
    assert_eq!(
        diff(&recorded, &recorded, Default::default()).differences,
        told
    );
    let accepting = Replayer::options().accept_damage();
    assert!(accepting.recorded(recorded).is_ok());
    // Who asks for a lane alone gets what may have been of it.
    assert_eq!(trace.lane_entries(LANES / 2).count(), 2 + stretches);
}

/// However lanes are merged, each comes as it is alone: with what is damaged and what is missing in it.
#[test]
fn merging_many_lanes_leaves_each_as_it_is() {
    let _alone = alone();
    const LANES: u32 = 1100;
    let mut bytes = header();
    for number in 0..3_u32 {
        for lane in 0..LANES {
            let call = |index: u32| {
                let mut body = vec![0; 40];
                body[..8].copy_from_slice(&u64::from(1 + index * LANES + lane % 7).to_le_bytes());
                body[32..34].copy_from_slice(&u16::MAX.to_le_bytes());
                body[36..40].copy_from_slice(&6_u32.to_le_bytes());
                record(1, &body)
            };
            let two = [call(2 * number), call(2 * number + 1)].concat();
            // Some lanes lack two calls of which nobody tells.
            let later = u32::from(lane % 5 == 0 && number == 2);
            let start = bytes.len();
            bytes.extend(data(
                0,
                lane,
                (2 * (number + later)).into(),
                2,
                two.len(),
                &two,
            ));
            match (lane % 11, number) {
                // A record, a block, a header that is not one any more.
                (1, 1) => bytes[start + 64 + 60] ^= 1,
                (2, 0) => bytes[start + 64 + 20] ^= 1,
                (3, 2) => bytes[start + 8..start + 40].fill(0x55),
                _ => {}
            }
        }
    }
    let trace = Trace::from_bytes(bytes).unwrap();
    let mut merged: Vec<Vec<Entry>> = vec![Vec::new(); LANES as usize];
    let mut of_none = 0;
    for entry in trace.merged() {
        match entry.lane() {
            Some(lane) => merged[lane as usize].push(entry),
            None => of_none += 1,
        }
    }
    for (lane, merged) in (0..).zip(merged) {
        let alone: Vec<_> = trace
            .lane_entries(lane)
            .filter(|entry| entry.lane().is_some())
            .collect();
        assert!(!alone.is_empty());
        assert_eq!(merged, alone, "lane {lane}");
    }
    let unknown = trace
        .damage()
        .filter(|damaged| damaged.is_unknown())
        .count();
    assert!(unknown > 90, "{unknown}");
    assert_eq!(of_none, unknown);
}
