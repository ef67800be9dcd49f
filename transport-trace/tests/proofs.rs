//! Nothing is lost, and nothing is read that was not written: cuts at every byte, flips of every bit, storage that fails,
//! files that somebody made up.
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
mod storages;

use common::folder::Folder;
use common::in_memory::{recorded_without_std, ticking};
use common::*;
use hypercall_core::Client;
use hypercall_trace::clock::{ClockFn, ClockInfo, ClockPoint};
use hypercall_trace::entry::{Defect, Entry, LossCause};
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::{OpenError, Trace};
use hypercall_trace::record::{
    Full, Recorder, Recording, Redaction, Sink, SinkFailed, SinkLane, SinkLaneOptions, Storage,
    write_preamble,
};
use hypercall_trace::schema::Schema;
use hypercall_trace::write::{Compression, Options, Writer};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use storages::{Bytes, calls, client, recovered, rings_in};

/// Records by the core that needs neither std nor an allocator.
fn without_std(rounds: u32) -> Vec<u8> {
    let point = ClockPoint {
        frequency: 1_000_000,
        ticks: 1000,
        unix_nanoseconds: 5,
    };
    recorded_without_std(77, &point, 0..rounds)
}

/// A small trace: a schema of three calls, some blocks.
fn small(compression: Compression, index: bool) -> (Vec<u8>, Vec<Entry>) {
    trace_of(36, compression, index)
}

fn trace_of(count: usize, compression: Compression, index: bool) -> (Vec<u8>, Vec<Entry>) {
    let whole = Trace::from_bytes(without_std(2)).unwrap();
    let mut schema = Schema::from_interfaces(INTERFACES);
    schema.interfaces[0]
        .calls
        .retain(|call| matches!(&*call.name, "add" | "mirror"));
    let clock = ClockInfo {
        first: ClockPoint {
            frequency: 10,
            ticks: 1,
            unix_nanoseconds: 3,
        },
        last: ClockPoint {
            frequency: 10,
            ticks: 9,
            unix_nanoseconds: 4,
        },
    };
    let options = Options {
        compression,
        block: 1024,
        id: 0x1234_5678,
    };
    let mut writer = Writer::new(Vec::new(), &schema, clock, options).unwrap();
    writer.lane("main").unwrap();
    for entry in whole.entries().take(count) {
        writer.push(&entry).unwrap();
    }
    let mut bytes = writer.finish().unwrap();
    let trace = Trace::from_bytes(bytes.clone()).unwrap();
    assert!(trace.verify().unwrap().is_clean());
    if !index {
        let last = trace.blocks().last().unwrap();
        assert_eq!(last.header.kind, BlockKind::Index);
        bytes.truncate(last.offset as usize);
    }
    (bytes, trace.entries().collect())
}

const CODECS: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd(3)];

#[test]
fn a_lane_over_memory_records_the_same() {
    let trace = Trace::from_bytes(without_std(5)).unwrap();
    let report = trace.verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.calls, 5 * CALLS);
    assert_eq!(**trace.schema(), Schema::from_interfaces(INTERFACES));
    assert_eq!(
        (trace.lane_name(0), trace.header().id),
        ("boot".to_owned(), 77)
    );
    assert!(
        trace.blocks().len() > 5,
        "several blocks went through the sink"
    );
}

#[test]
fn writing_what_was_read_gives_the_same_entries() {
    for (compression, expected) in CODECS
        .into_iter()
        .map(|codec| (codec, small(codec, true).1))
    {
        assert_eq!(expected.len(), 36, "{compression:?}");
        assert_eq!(
            expected,
            small(Compression::None, true)
                .1
                .into_iter()
                .zip(&expected)
                .map(|(ours, theirs)| {
                    // Only the times differ: the clock went on.
                    match (ours, theirs) {
                        (Entry::Call(mut call), Entry::Call(other)) => {
                            call.enter = other.enter;
                            call.duration = other.duration;
                            Entry::Call(call)
                        }
                        (entry, _) => entry,
                    }
                })
                .collect::<Vec<_>>()
        );
    }
}

#[test]
fn cut_at_every_byte_gives_exactly_the_blocks_before_the_cut() {
    for compression in CODECS {
        let (bytes, entries) = small(compression, true);
        let whole = Trace::from_bytes(bytes.clone()).unwrap();
        for cut in 0..bytes.len() {
            let trace = match Trace::from_bytes(&bytes[..cut]) {
                Ok(trace) => trace,
                Err(OpenError::Empty) if cut == 0 => continue,
                Err(OpenError::CutHeader(length)) if cut < 32 => {
                    assert_eq!(length, cut as u64);
                    continue;
                }
                Err(error) => panic!("{cut}: {error}"),
            };
            let complete = |end: u64| end <= cut as u64;
            let expected: u32 = whole
                .data()
                .filter(|block| complete(block.offset + 64 + u64::from(block.header.stored)))
                .map(|block| block.header.entries)
                .sum();
            let read: Vec<_> = trace
                .entries()
                .filter(|entry| !matches!(entry, Entry::Damaged(_)))
                .collect();
            if !trace.schema().interfaces.is_empty() {
                assert_eq!(read, entries[..expected as usize], "cut at {cut}");
            }
            assert_eq!(read.len(), expected as usize, "cut at {cut}");
            // A report: what is missing where the cut is inside a block, else that the file was not finished.
            let report = trace.verify().unwrap();
            assert!(!report.finished);
            let inside = !whole.blocks().iter().any(|block| {
                let body = block.offset + 64 + u64::from(block.header.stored);
                block.offset == cut as u64
                    || (body..=block.offset + block.header.span()).contains(&(cut as u64))
            });
            assert_eq!(
                report
                    .damaged
                    .iter()
                    .any(|damaged| damaged.defect == Defect::Cut),
                inside,
                "cut at {cut}: {report:?}"
            );
        }
    }
}

/// The entries that were read, without the reports of damage.
fn really_read(trace: &Trace) -> Vec<Entry> {
    trace
        .entries()
        .filter(|entry| match entry {
            Entry::Damaged(_) => false,
            Entry::Lost(lost) => lost.cause != LossCause::Damaged,
            _ => true,
        })
        .collect()
}

fn is_subsequence(part: &[Entry], whole: &[Entry]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|entry| whole.any(|other| other == entry))
}

#[test]
fn flipping_any_bit_is_noticed_and_never_gives_another_record() {
    for (compression, index) in [
        (Compression::None, false),
        (Compression::None, true),
        (Compression::Lz4, true),
        (Compression::Zstd(3), false),
    ] {
        let (mut bytes, entries) = trace_of(12, compression, index);
        let whole = Trace::from_bytes(bytes.clone()).unwrap();
        let schema = whole.blocks()[0];
        assert_eq!(schema.header.kind, BlockKind::Schema);
        let schema = schema.offset..schema.offset + schema.header.span();
        let nameless: Vec<_> = entries
            .iter()
            .cloned()
            .map(|entry| match entry {
                Entry::Call(mut call) => {
                    call.schema = None;
                    Entry::Call(call)
                }
                entry => entry,
            })
            .collect();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            match Trace::from_bytes(&bytes[..]) {
                Ok(trace) => {
                    let read = really_read(&trace);
                    let expected = if schema.contains(&(bit as u64 / 8))
                        && trace.schema().interfaces.is_empty()
                    {
                        &nameless
                    } else {
                        &entries
                    };
                    assert!(
                        is_subsequence(&read, expected),
                        "bit {bit} of {compression:?}"
                    );
                    assert!(
                        !trace.verify().unwrap().is_clean(),
                        "bit {bit} of {compression:?}, byte {} of {}",
                        bit / 8,
                        bytes.len()
                    );
                }
                // The version and the start of the file.
                Err(error) => assert!(bit < 32 * 8, "bit {bit}: {error}"),
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn what_is_no_trace_says_so() {
    assert!(matches!(
        Trace::from_bytes(Vec::new()),
        Err(OpenError::Empty)
    ));
    assert!(matches!(
        Trace::from_bytes(b"hello".to_vec()),
        Err(OpenError::NotATrace)
    ));
    assert!(matches!(
        Trace::from_bytes(vec![b'x'; 100_000]),
        Err(OpenError::NotATrace)
    ));
    assert!(matches!(
        Trace::open("/nowhere/at/all.hct"),
        Err(OpenError::NotFound(_))
    ));
    let (mut bytes, _) = small(Compression::None, true);
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    let error = Trace::from_bytes(bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the trace has format version 2, and this program reads version 1: use a newer one"
    );
}

/// A block with a right header around any body.
fn block(kind: u8, codec: u8, raw: u32, stored: u32, entries: u32, body: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..4].copy_from_slice(b"HCTB");
    header[4] = kind;
    header[5] = codec;
    header[8..12].copy_from_slice(&stored.to_le_bytes());
    header[12..16].copy_from_slice(&raw.to_le_bytes());
    header[20..24].copy_from_slice(&entries.to_le_bytes());
    header[24..28].copy_from_slice(&entries.to_le_bytes());
    header[28..32].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    let crc = crc32c::crc32c(&header[..60]);
    header[60..].copy_from_slice(&crc.to_le_bytes());
    header.extend_from_slice(body);
    header.resize(header.len().next_multiple_of(8), 0);
    header
}

#[test]
fn a_newer_minor_version_is_read_as_far_as_it_is_known() {
    let (mut bytes, entries) = small(Compression::None, false);
    bytes[10] = 9;
    let crc = crc32c::crc32c(&bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    bytes.extend(block(200, 0, 5, 5, 0, b"later"));
    let trace = Trace::from_bytes(bytes).unwrap();
    assert_eq!(trace.header().minor, 9);
    assert_eq!(trace.entries().collect::<Vec<_>>(), entries);
    assert!(trace.verify().unwrap().is_clean());
}

#[test]
fn hostile_blocks_cost_nothing_and_say_nothing() {
    let (start, entries) = small(Compression::None, false);
    let bomb = zstd::bulk::compress(&vec![0; 200 << 20], 1).unwrap();
    for (body, expected) in [
        (block(4, 0, u32::MAX, u32::MAX, u32::MAX, &[]), 1),
        (block(4, 0, 8, 8, 1_000_000_000, &[0; 8]), 1),
        (block(4, 0, 16, 16, 1, &[0xff; 16]), 1),
        (block(4, 2, 200 << 20, bomb.len() as u32, 5, &bomb), 1),
        (block(4, 2, 1000, bomb.len() as u32, 5, &bomb), 1),
        (block(4, 1, 60 << 20, 4, 5, &[0xf0, 0xff, 0xff, 0xff]), 1),
        (block(4, 77, 4, 4, 5, &[1; 4]), 1),
        (block(1, 0, 4, 4, 0, &[0xff; 4]), 0),
        (block(6, 0, 16, 16, 0, b"\0\0\0\0\0\0\0\0HCTINDEX"), 0),
    ] {
        let mut bytes = start.clone();
        bytes.extend(&body);
        let trace = Trace::from_bytes(bytes).unwrap();
        let (good, bad): (Vec<_>, Vec<_>) = trace
            .entries()
            .partition(|entry| !matches!(entry, Entry::Damaged(_)));
        assert_eq!(good, entries);
        assert_eq!(bad.len(), expected, "{bad:?}");
        // An index that lists none of the blocks before it is said to be wrong, and not used.
        let clean = expected == 0 && body[4] != 6;
        assert_eq!(trace.verify().unwrap().is_clean(), clean);
        assert_eq!(
            trace
                .merged()
                .filter(|entry| matches!(entry, Entry::Call(_)))
                .count(),
            entries.len()
        );
    }
}

#[test]
fn files_can_be_joined_and_garbage_in_between_is_passed_over() {
    let (one, entries) = small(Compression::Lz4, true);
    let mut bytes = one.clone();
    bytes.extend([b'?'; 123]);
    bytes.extend(&one[32..]);
    let trace = Trace::from_bytes(bytes).unwrap();
    let read = really_read(&trace);
    assert_eq!(read.len(), 2 * entries.len());
    assert_eq!(read[..entries.len()], entries);
    let damaged: Vec<_> = trace
        .damage()
        .map(|damaged| (damaged.length, damaged.defect))
        .collect();
    assert_eq!(damaged, [(123, Defect::Header)]);
}

/// A storage that takes bytes as it likes, and fails as it is told.
#[derive(Clone)]
struct Shim {
    bytes: Bytes,
    seed: u64,
    /// Fails every write while it says so.
    fails: Arc<Mutex<Option<io::ErrorKind>>>,
}

impl Shim {
    fn new(seed: u64) -> Self {
        Self {
            bytes: Bytes::default(),
            seed,
            fails: Arc::default(),
        }
    }
    fn next(&mut self) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.seed >> 33
    }
}

impl io::Write for Shim {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(kind) = *self.fails.lock().unwrap() {
            return Err(kind.into());
        }
        match self.next() % 5 {
            0 => Err(io::ErrorKind::Interrupted.into()),
            1 => Err(io::ErrorKind::StorageFull.into()),
            2 => Err(io::Error::other("EIO")),
            _ => {
                let most = self.next() as usize % 3000 + 1;
                let count = bytes.len().min(most);
                self.bytes.take(&bytes[..count]);
                Ok(count)
            }
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Storage for Shim {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_storage_that_fails_now_and_then_loses_nothing() {
    for seed in 1..4 {
        let folder = Folder::new(&format!("shim-{seed}"));
        let shim = Shim::new(seed);
        let recording = Recording::options(INTERFACES)
            .rings(&folder.0)
            .ring(64 << 10, 8)
            .full(Full::Block)
            .start(shim.clone())
            .unwrap();
        let client = client(recording.lane("main").unwrap());
        for round in 0..60 {
            program(&client, round);
        }
        *shim.fails.lock().unwrap() = None;
        let done = recording.finish();
        // The last attempt may have met a failure too: then the file is cut, and says so.
        let trace = shim.bytes.trace();
        let report = trace.verify().unwrap();
        if done.complete {
            assert!(report.is_clean() && report.finished, "{report:?}");
            assert_eq!(report.calls, 60 * CALLS);
        }
        assert!(done.failures > 0);
        assert_eq!(calls(&trace).len() as u64, report.calls);
    }
}

#[test]
fn a_full_disk_fails_no_call_and_the_rings_keep_everything() {
    let folder = Folder::new("full-disk");
    let shim = Shim::new(9);
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .start(shim.clone())
        .unwrap();
    *shim.fails.lock().unwrap() = Some(io::ErrorKind::StorageFull);
    let client = client(recording.lane("main").unwrap());
    for round in 0..100 {
        program(&client, round);
    }
    assert_eq!(
        client.transport().transport().calls.load(Ordering::Relaxed),
        100 * CALLS
    );
    let done = recording.finish();
    assert!(!done.complete && done.failures > 0, "{done:?}");
    assert_eq!(done.rings.as_deref(), Some(&*folder.0));
    let left = rings_in(&folder.0);
    let file = Trace::from_bytes(shim.bytes.all()).ok();
    let (trace, recovered) = recovered(file.as_ref(), &left);
    let report = trace.verify().unwrap();
    assert!(report.is_clean() && report.finished);
    assert_eq!((report.calls, recovered.lost), (100 * CALLS, 0));
    assert!(
        recovered.damaged <= 1,
        "the file may be cut; the rings are not"
    );
    assert_eq!(trace.lane_name(0), "main");
}

/// A storage that breaks for good inside a block of records: the one at which `left` comes to 0.
#[derive(Clone)]
struct Breaking {
    bytes: Bytes,
    left: u32,
    broken: bool,
}

impl io::Write for Breaking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.broken {
            return Err(io::Error::other("EIO"));
        }
        let records = bytes.starts_with(b"HCTB") && bytes[4] == 4;
        let mut count = bytes.len();
        if records {
            self.left -= 1;
            if self.left == 0 {
                self.broken = true;
                count = 70;
            }
        }
        self.bytes.take(&bytes[..count]);
        Ok(count)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Storage for Breaking {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A ring that overwrites does not keep a batch for a broken storage: it lies beside the ring when the recording ends.
#[test]
fn what_left_a_ring_and_never_reached_the_storage_can_be_recovered() {
    for (left, keep) in [(1, true), (2, true), (1, false)] {
        let folder = Folder::new(&format!("waiting-{left}-{keep}"));
        let storage = Breaking {
            bytes: Bytes::default(),
            left,
            broken: false,
        };
        let recording = Recording::options(INTERFACES)
            .rings(&folder.0)
            .ring(8 << 20, 64)
            .full(Full::Overwrite)
            .start(storage.clone())
            .unwrap();
        let beside = folder.file("lane-0.waiting.ring");
        if !keep {
            std::fs::create_dir(&beside).unwrap();
        }
        let client = client(recording.lane("main").unwrap());
        // The ring has room for all of them, so that nothing is overwritten however late the drain comes.
        let broken = || {
            let cut = |trace: Trace| trace.damage().any(|damaged| damaged.defect == Defect::Cut);
            Trace::from_bytes(storage.bytes.all()).is_ok_and(cut)
        };
        let mut rounds = 0;
        while !broken() {
            if rounds < 400 {
                program(&client, rounds);
                rounds += 1;
            } else {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        for _ in 0..100 {
            program(&client, rounds);
            rounds += 1;
        }
        let made = u64::from(rounds) * CALLS;
        let done = recording.finish();
        assert!(!done.complete && done.failures > 0, "{done:?}");
        let file = storage.bytes.trace();
        // What the storage has not got does not count as written.
        assert_eq!(done.calls, file.verify().unwrap().calls, "{done:?}");
        if keep {
            assert_eq!(done.lost, 0, "{done:?}");
        } else {
            std::fs::remove_dir(&beside).unwrap();
        }
        let left = rings_in(&folder.0);
        assert_eq!(left.len(), if keep { 2 } else { 1 });
        let (trace, recovered) = recovered(Some(&file), &left);
        let report = trace.verify().unwrap();
        assert!(report.is_clean() && report.finished, "{report:?}");
        assert_eq!(report.calls + report.lost, made, "{report:?} {recovered:?}");
        if keep {
            assert_eq!(report.lost, 0, "{report:?}");
        } else {
            assert!(done.lost >= report.lost && done.lost != 0, "{done:?}");
        }
        let indices: Vec<_> = calls(&trace).iter().map(|call| call.index).collect();
        assert!(indices.is_sorted_by(|one, next| one < next));
        assert_eq!(trace.lane_name(0), "main");
    }
}

/// What a ring overwrote and the file never had is lost, and said to be.
#[test]
fn what_was_overwritten_before_the_ring_is_a_loss() {
    let folder = Folder::new("overwritten");
    let shim = Shim::new(1);
    *shim.fails.lock().unwrap() = Some(io::ErrorKind::StorageFull);
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .ring(16 << 10, 4)
        .full(Full::Overwrite)
        .start(shim)
        .unwrap();
    let client = client(recording.lane("main").unwrap());
    for round in 0..200 {
        program(&client, round);
    }
    let done = recording.finish();
    let ring = rings_in(&folder.0).remove(0);
    let first = ring.first.unwrap();
    assert!(first > 20);
    assert_eq!((done.calls, done.lost), (0, first), "{done:?}");
    // The same calls as a file that ends before the ring starts, of the same recording.
    let all = Trace::from_bytes(without_std(200)).unwrap();
    for reached in [0, 5, first - 1, first] {
        let options = Options {
            id: ring.id,
            ..Options::default()
        };
        let mut writer = Writer::new(Vec::new(), all.schema(), *all.clock(), options).unwrap();
        writer.lane("main").unwrap();
        let calls = all.lane_entries(0).filter_map(|entry| match entry {
            Entry::Call(call) if call.index < reached => Some(Entry::Call(call)),
            _ => None,
        });
        let mut calls: Vec<_> = calls.collect();
        let there = calls.len() as u64;
        assert_eq!(there, reached);
        calls.drain(..).for_each(|call| writer.push(&call).unwrap());
        let file = Trace::from_bytes(writer.finish().unwrap()).unwrap();
        let files = if reached == 0 {
            vec![None, Some(&file)]
        } else {
            vec![Some(&file)]
        };
        for file in files {
            let (trace, recovered) = recovered(file, std::slice::from_ref(&ring));
            let report = trace.verify().unwrap();
            assert!(report.is_clean(), "{report:?}");
            assert_eq!(recovered.lost, first - reached);
            assert_eq!(report.calls + first - reached, 200 * CALLS);
            let lost: Vec<_> = trace
                .entries()
                .filter_map(|entry| match entry {
                    Entry::Lost(lost) => Some((lost.index, lost.count, lost.cause)),
                    _ => None,
                })
                .collect();
            let expected = (reached, first - reached, LossCause::Overwritten);
            let expected = if reached == first {
                vec![]
            } else {
                vec![expected]
            };
            assert_eq!(lost, expected);
        }
    }
}

#[test]
fn a_sink_that_fails_is_said_so_in_the_trace() {
    struct Serial(Vec<u8>, Arc<AtomicU64>);
    impl Sink for Serial {
        fn write(&mut self, bytes: &[u8]) -> Result<(), SinkFailed> {
            if self.1.load(Ordering::Relaxed) == 1 {
                // The line breaks in the middle of something.
                self.0.extend_from_slice(&bytes[..bytes.len() / 2 + 1]);
                self.1.store(2, Ordering::Relaxed);
            }
            if self.1.load(Ordering::Relaxed) == 2 {
                return Err(SinkFailed);
            }
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }
    let mut memory = vec![0_u64; 1000];
    let broken = Arc::new(AtomicU64::new(0));
    let mut sink = Serial(Vec::new(), Arc::clone(&broken));
    write_preamble(&mut sink, 1, INTERFACES, &ClockPoint::default(), &["boot"]).unwrap();
    let options = SinkLaneOptions {
        lane: 0,
        interfaces: INTERFACES,
        clock: ClockFn(ticking),
        redaction: Redaction::Zero,
        watched: [],
        announce: true,
    };
    let lane = SinkLane::new(&mut memory, sink, options).unwrap();
    let client = Client::new(Recorder::new(Device::default(), lane));
    for round in 0..10 {
        match round {
            3 => broken.store(1, Ordering::Relaxed),
            6 => broken.store(0, Ordering::Relaxed),
            _ => {}
        }
        program(&client, round);
    }
    client.transport().lane().flush().unwrap();
    let bytes = client.into_inner().into_parts().1.into_sink().0;
    let trace = Trace::from_bytes(bytes).unwrap();
    let (mut calls, mut lost) = (0, 0);
    let mut seen = std::collections::BTreeSet::new();
    for entry in trace.entries() {
        match entry {
            Entry::Call(call) => {
                assert!(seen.insert(call.index), "{} comes twice", call.index);
                calls += 1;
            }
            Entry::Lost(loss) => lost += loss.count,
            Entry::Damaged(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(calls + lost, 10 * CALLS, "{calls} + {lost}");
    assert!(lost > 0 && calls > 5 * CALLS);
}
