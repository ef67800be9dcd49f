//! Files of each version of the format are decoded for ever: `tests/data/v1-*.hct` hold what `tests/data/v1.txt` says, and
//! `tests/data/v1-pages.hct` what `tests/data/v1-pages.txt` says: shared pages, at looks of any number, and late.
//!
//! A new version gets files of its own; these are never made again. What made them is still here, as a test that today's
//! writer writes what reads the same.
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

use common::in_memory::{InMemory, ticking};
use common::*;
use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::{Client, Transport, TransportError};
use hypercall_trace::clock::{ClockFn, ClockInfo, ClockPoint};
use hypercall_trace::entry::{
    After, Argument, Call, Entry, LossCause, Lost, Outcome, PageChange, Run, When,
};
use hypercall_trace::read::Trace;
use hypercall_trace::record::{Recorder, Redaction, SinkLane, SinkLaneOptions, write_preamble};
use hypercall_trace::schema::Schema;
use hypercall_trace::write::{Compression, Options, Writer};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// A call's description. The form is that of the files, whatever the types look like today.
fn description(call: &hypercall_trace::schema::Call) -> String {
    let mut text = format!(
        "Call {{ interface: {:?}, index: {:?}, name: {:?}, number: {:?}, selector: {:?}, registers: {:?}, result: {:?}, ",
        call.interface,
        call.index,
        call.name,
        call.number,
        call.selector,
        call.registers,
        call.result
    );
    write!(
        text,
        "hints: {:?}, codes: {:?}, complete: {:?} }}",
        call.hints, call.codes, call.complete
    )
    .unwrap();
    text
}

/// What a trace says, line by line.
fn text(trace: &Trace) -> String {
    let mut text = String::new();
    let header = trace.header();
    writeln!(
        text,
        "version {}.{}, id {:#x}",
        header.major, header.minor, header.id
    )
    .unwrap();
    writeln!(text, "clock {:?}", trace.clock()).unwrap();
    for lane in trace.lanes() {
        writeln!(text, "lane {} {:?}", lane.id, lane.name).unwrap();
    }
    for call in trace.schema().calls() {
        writeln!(text, "{}", description(call)).unwrap();
    }
    for entry in trace.entries() {
        match entry {
            Entry::Call(call) => writeln!(
                text,
                "{}/{} {}::{} {:#x} {:?} at {} for {:?}: {:?}",
                call.lane,
                call.index,
                call.interface(),
                call.name(),
                call.number,
                call.args,
                call.enter,
                call.duration,
                call.outcome
            ),
            other => writeln!(text, "{other:?}"),
        }
        .unwrap();
    }
    text
}

#[test]
fn files_of_version_1_are_read_for_ever() {
    let expected = std::fs::read_to_string(data("v1.txt")).unwrap();
    for name in ["v1-plain.hct", "v1-lz4.hct", "v1-zstd.hct"] {
        let trace = Trace::open(data(name)).unwrap();
        let read = text(&trace);
        for (number, (ours, theirs)) in read.lines().zip(expected.lines()).enumerate() {
            assert_eq!(ours, theirs, "{name}, line {}", number + 1);
        }
        assert_eq!(read.lines().count(), expected.lines().count());
        let report = trace.verify().unwrap();
        assert!(report.is_clean() && report.finished, "{report:?}");
    }
}

#[test]
fn shared_pages_of_version_1_are_read_for_ever() {
    let trace = Trace::open(data("v1-pages.hct")).unwrap();
    let expected = std::fs::read_to_string(data("v1-pages.txt")).unwrap();
    assert_eq!(text(&trace), expected);
    let report = trace.verify().unwrap();
    assert!(report.is_clean() && report.finished, "{report:?}");
    assert_eq!(trace.entries().collect::<Vec<_>>(), pages());
}

#[test]
fn lines_of_version_1_are_read_for_ever() {
    let trace = Trace::open(data("v1-lines.hct")).unwrap();
    let expected = std::fs::read_to_string(data("v1-lines.txt")).unwrap();
    assert_eq!(text(&trace), expected);
    let report = trace.verify().unwrap();
    assert!(report.is_clean() && report.entries == 7, "{report:?}");
    let written = Trace::from_bytes(with_lines()).unwrap();
    assert_eq!(text(&written), expected);
}

/// Calls with so much memory that its lines have a sum of their own, where the processor has the short way: from the least to the most.
fn with_lines() -> Vec<u8> {
    let point = ClockPoint {
        frequency: 1_000_000,
        ticks: 1000,
        unix_nanoseconds: 1_795_000_000_000_000_000,
    };
    let mut sink = InMemory::default();
    write_preamble(&mut sink, 1, INTERFACES, &point, &["boot"]).unwrap();
    let mut memory = vec![0; 4096];
    let options = SinkLaneOptions {
        lane: 0,
        interfaces: INTERFACES,
        clock: ClockFn(|| {
            static TICKS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1000);
            TICKS.fetch_add(10, std::sync::atomic::Ordering::Relaxed)
        }),
        redaction: Redaction::Zero,
        watched: [],
        announce: false,
    };
    let lane = SinkLane::new(&mut memory, sink, options).unwrap();
    let recorder = Recorder::new(Scribbles, lane);
    for length in [256_u32, 1003, 4159] {
        let mut bytes: Vec<u8> = (0..length).map(|n| (n * n % 251) as u8).collect();
        let value = Arg::Value(u64::from(length));
        let _ = recorder.call(PlotterCalls::FIRMWARE, [value, Arg::Read(&bytes)]);
        if length > 4096 {
            continue;
        }
        let value = Arg::Value(u64::from(length));
        let _ = recorder.call(PlotterCalls::FIRMWARE, [value, Arg::ReadWrite(&mut bytes)]);
        let _ = recorder.call(PlotterCalls::FIRMWARE, [Arg::Write(&mut bytes), Arg::None]);
    }
    recorder.lane().flush().unwrap();
    recorder.into_parts().1.into_sink().0
}

/// Writes what it may write, one byte; does not answer to 1003 bytes.
struct Scribbles;

impl Transport for Scribbles {
    fn call<'a>(&self, _: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        for argument in args {
            match argument {
                Arg::Read(bytes) if bytes.len() == 1003 => {
                    return Err(TransportError::Lost("the line is dead"));
                }
                Arg::ReadWrite(bytes) => bytes[bytes.len() / 2] ^= 0x40,
                _ => {}
            }
        }
        Ok(7)
    }
}

/// Changes of pages at every point; at looks around 254 and 255, from where on their number stands elsewhere in the record, and
/// at the last there can be; some late.
fn pages() -> Vec<Entry> {
    let mut entries = Vec::new();
    let looks = [1, 2, 254, 255, 256, 1 << 40, u64::MAX, 0];
    let notes = looks.map(|look| (When::Note, look));
    let points = notes.into_iter().chain([(When::Enter, 0), (When::Exit, 0)]);
    for (number, (when, look)) in (0_u32..).zip(points) {
        for late in [false, true] {
            let before = number * 2 + u32::from(late);
            entries.push(Entry::Pages(PageChange {
                lane: 0,
                index: u64::from(number),
                when,
                page: u32::from(late),
                ticks: 1000 + u64::from(before),
                look,
                late,
                runs: vec![
                    Run {
                        offset: 64 * number,
                        before: before.to_le_bytes().to_vec(),
                        after: (before + 1).to_le_bytes().to_vec(),
                    },
                    Run {
                        offset: 4084,
                        before: vec![0; 12],
                        after: vec![0xa5; 12],
                    },
                ],
            }));
        }
        let call = Entry::Call(Call {
            lane: 0,
            index: u64::from(number),
            schema: None,
            number: 0x8000_0031,
            args: [Argument::Value(1), Argument::Unused],
            enter: 1000 + u64::from(number * 2 + 1),
            duration: Some(1),
            outcome: Outcome::Returned(0),
        });
        // What is seen at the exit stands behind the call.
        let behind = if when == When::Exit { 2 } else { 0 };
        entries.insert(entries.len() - behind, call);
    }
    entries
}

#[test]
fn shared_pages_that_are_written_today_read_like_those_of_version_1() {
    let options = Options {
        compression: Compression::None,
        block: 1024,
        id: 0x0123_4567_89ab_cdef,
    };
    let mut writer = Writer::new(
        Vec::new(),
        &Schema::default(),
        ClockInfo::default(),
        options,
    )
    .unwrap();
    writer.lane("boot").unwrap();
    for entry in pages() {
        writer.push(&entry).unwrap();
    }
    let bytes = writer.finish().unwrap();
    let trace = Trace::from_bytes(bytes).unwrap();
    let expected = std::fs::read_to_string(data("v1-pages.txt")).unwrap();
    assert_eq!(text(&trace), expected);
}

#[test]
fn what_is_written_today_reads_like_the_files_of_version_1() {
    let first = ClockPoint {
        frequency: 1_000_000,
        ticks: 1000,
        unix_nanoseconds: 1_795_000_000_000_000_000,
    };
    let last = ClockPoint {
        frequency: 1_000_000,
        ticks: 9000,
        unix_nanoseconds: 1_795_000_000_008_000_000,
    };
    let mut sink = InMemory::default();
    write_preamble(&mut sink, 1, INTERFACES, &first, &["boot"]).unwrap();
    let mut memory = vec![0; 4096];
    let options = SinkLaneOptions {
        lane: 0,
        interfaces: INTERFACES,
        clock: ClockFn(ticking),
        redaction: Redaction::Hash([9; 16]),
        watched: [],
        announce: false,
    };
    let lane = SinkLane::new(&mut memory, sink, options).unwrap();
    let client = Client::new(Recorder::new(Device::default(), lane));
    program(&client, 300);
    client.transport().lane().flush().unwrap();
    let recorded = Trace::from_bytes(client.into_inner().into_parts().1.into_sink().0).unwrap();
    let mut entries: Vec<_> = recorded.entries().collect();
    // The files are of a time when a client did not yet overwrite the result of the call before: 0 went in, and came out
    // behind, since the device turns the block round.
    let Some(Entry::Call(call)) = entries.get_mut(8) else {
        panic!()
    };
    let [Argument::Block(block), _] = &mut call.args else {
        panic!()
    };
    let After::Changed(after) = &mut block.after else {
        panic!()
    };
    for result in [&mut block.before[8..12], &mut after[4..8]] {
        assert_eq!(result, [0xff; 4]);
        result.fill(0);
    }
    let run = Run {
        offset: 256,
        before: vec![0; 8],
        after: vec![1, 0, 0, 0, 2, 0, 0, 0],
    };
    entries.push(Entry::Lost(Lost {
        lane: 0,
        index: CALLS,
        count: 5,
        cause: LossCause::RingFull,
        first: 5000,
        last: 6000,
    }));
    let next = CALLS + 5;
    for when in [When::Note, When::Enter] {
        entries.push(Entry::Pages(PageChange {
            lane: 0,
            index: next,
            when,
            page: 1,
            ticks: 6500,
            look: 0,
            late: false,
            runs: vec![run.clone()],
        }));
    }
    // A call that never returned.
    let Entry::Call(mut call) = entries[3].clone() else {
        panic!()
    };
    (call.index, call.enter, call.duration) = (next, 7000, None);
    call.outcome = hypercall_trace::entry::Outcome::Unfinished;
    entries.push(Entry::Call(call));
    let expected = std::fs::read_to_string(data("v1.txt")).unwrap();
    for (name, compression) in [
        ("plain", Compression::None),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd(19)),
    ] {
        let schema = Schema::from_interfaces(INTERFACES);
        let options = Options {
            compression,
            block: 1024,
            id: 0x0123_4567_89ab_cdef,
        };
        let mut writer =
            Writer::new(Vec::new(), &schema, ClockInfo { first, last }, options).unwrap();
        writer.lane("boot").unwrap();
        writer.lane("vcpu0").unwrap();
        for entry in &entries {
            writer.push(entry).unwrap();
        }
        let bytes = writer.finish().unwrap();
        let trace = Trace::from_bytes(bytes.clone()).unwrap();
        assert_eq!(trace.entries().collect::<Vec<_>>(), entries);
        let differs = text(&trace)
            .lines()
            .zip(expected.lines())
            .position(|(ours, theirs)| ours != theirs);
        assert_eq!(differs, None, "{name}: the first line that differs");
        assert_eq!(text(&trace).lines().count(), expected.lines().count());
    }
}
