//! The rings of a process that died: whatever bit of one flips, what is recovered was recorded, and what is missing is said.
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

use common::*;
use hypercall_core::Client;
use hypercall_trace::clock::{Clock, ClockFn};
use hypercall_trace::entry::{Call, Entry, LossCause, Lost};
use hypercall_trace::read::Trace;
use hypercall_trace::read::recover::{Ring, find, recover};
use hypercall_trace::record::{Recorder, Recording, RecordingOptions, Storage};
use hypercall_trace::write::Options;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A disk that is full from the start.
struct FullDisk;

impl io::Write for FullDisk {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Storage for FullDisk {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The ring of a recording of which nothing reached the disk.
fn ring(rounds: u32) -> Vec<u8> {
    ring_of(Recording::options(INTERFACES), rounds)
}

fn ring_of<C: Clock + Clone + Send + Sync + 'static>(
    options: RecordingOptions<C>,
    rounds: u32,
) -> Vec<u8> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("hct-flips-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let recording = options
        .rings(&folder)
        .ring(32 << 10, 4)
        .start(FullDisk)
        .unwrap();
    let client = Client::new(Recorder::new(
        Device::default(),
        recording.lane("main").unwrap(),
    ));
    for round in 0..rounds {
        program(&client, round);
    }
    drop(client);
    let done = recording.finish();
    assert!(!done.complete);
    let rings = find(&folder).unwrap();
    let bytes = std::fs::read(&rings[0]).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    bytes
}

fn open(bytes: &[u8]) -> Result<Ring, hypercall_trace::read::recover::RingError> {
    let source: Arc<[u8]> = bytes.into();
    Ring::from_source(PathBuf::from("main.ring"), &source)
}

fn calls(entries: &[Entry]) -> Vec<Call> {
    entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Call(call) => {
                let mut call = call.clone();
                // A damaged preamble takes the names.
                call.schema = None;
                Some(call)
            }
            _ => None,
        })
        .collect()
}

#[test]
fn a_flipped_bit_of_a_ring_gives_no_other_record_and_is_noticed() {
    let mut bytes = ring(4);
    let whole = open(&bytes).unwrap();
    assert_eq!((whole.damaged, whole.entries.len() as u64), (0, 4 * CALLS));
    let all = calls(&whole.entries);
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let (blocks, size, data) = (word(&bytes, 8), word(&bytes, 16), word(&bytes, 24) as usize);
    let controls = 192 + blocks as usize * 64;
    assert!(data > controls);
    // Every bit of what says where the records are; of the records, every bit of the first, and some of the others.
    let filled = (0..blocks as usize).flat_map(|block| {
        let used = word(&bytes, 192 + block * 64 + 8) as u32 as usize;
        let start = data + block * size as usize;
        start..start + used
    });
    let bits: Vec<usize> = (0..controls * 8)
        .chain((controls * 8..data * 8).step_by(61))
        .chain(filled.flat_map(|byte| byte * 8..byte * 8 + 8).step_by(41))
        .collect();
    let (mut noticed, mut harmless) = (0, 0);
    for bit in bits {
        let byte = bit / 8;
        bytes[byte] ^= 1 << (bit % 8);
        match open(&bytes) {
            Err(_) => noticed += 1,
            Ok(ring) => {
                let read = calls(&ring.entries);
                let lost = ring
                    .entries
                    .iter()
                    .any(|entry| matches!(entry, Entry::Lost(_)));
                let told = ring.damaged != 0 || lost;
                // No call that was not made; where nothing is said, every call at its place.
                let made = |call: &Call| {
                    all.iter().any(|other| {
                        Call {
                            index: other.index,
                            lane: other.lane,
                            ..call.clone()
                        } == *other
                    })
                };
                assert!(read.iter().all(made), "bit {bit}");
                let same = read == all;
                if same {
                    noticed += usize::from(told);
                    harmless += usize::from(!told);
                    bytes[byte] ^= 1 << (bit % 8);
                    continue;
                }
                let (bytes, done) = recover(None, &[ring], Vec::new(), Options::default()).unwrap();
                let recovered = Trace::from_bytes(bytes).unwrap();
                let report = recovered.verify().unwrap();
                assert!(report.damaged.is_empty(), "bit {bit}: {report:?}");
                let told = told || done.lost != 0 || !report.gaps.is_empty();
                assert!(
                    told,
                    "bit {bit} of byte {byte}: {} of {}",
                    read.len(),
                    all.len()
                );
                noticed += 1;
            }
        }
        bytes[byte] ^= 1 << (bit % 8);
    }
    assert!(noticed > harmless, "{noticed} noticed, {harmless} harmless");
}

/// How far each block is filled, and where it starts, is there more than once: a flipped bit of it is noticed even where no
/// record has a time, and costs nothing where they have.
#[test]
fn a_flipped_bit_of_a_control_line_is_put_right() {
    let untimed = Recording::options(INTERFACES).clock(ClockFn(|| 0), 0);
    let (mut short, mut all) = (0, 0);
    for (timed, mut bytes) in [(true, ring(4)), (false, ring_of(untimed, 4))] {
        let whole = open(&bytes).unwrap();
        assert_eq!((whole.damaged, whole.entries.len() as u64), (0, 4 * CALLS));
        let begun = |line: &usize| bytes[*line] != 0;
        let lines: Vec<usize> = (0..4).map(|block| 192 + block * 64).filter(begun).collect();
        assert!(!lines.is_empty());
        for line in lines {
            for bit in (line + 8) * 8..(line + 40) * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                let ring = open(&bytes).unwrap();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(ring.damaged != 0, "bit {bit}");
                if timed {
                    assert_eq!(ring.entries, whole.entries, "bit {bit}");
                } else {
                    // Where a record ends at the lesser number too, nothing tells the one behind it from an older one.
                    let there = calls(&whole.entries);
                    let read = calls(&ring.entries);
                    assert!(read.iter().all(|call| there.contains(call)), "bit {bit}");
                    // Where another block follows, it says how many are missing.
                    let lost = |entry: &&Entry| matches!(entry, Entry::Lost(lost) if lost.cause == LossCause::Damaged);
                    let losses = ring.entries.iter().filter(lost).count();
                    let ends_early = there.last() != read.last();
                    assert!(read == there || losses == 1 || ends_early, "bit {bit}");
                    short += usize::from(ring.entries != whole.entries);
                    all += 1;
                }
            }
        }
    }
    assert!(short * 20 < all, "{short} of {all}");
}

/// Losses that stand in no record yet, whatever bit of the words about them flips: as many, or it is said that the ring is damaged.
#[test]
fn a_flipped_bit_of_the_losses_makes_no_other_losses() {
    let mut bytes = ring(200);
    let whole = open(&bytes).unwrap();
    let lost = |entries: &[Entry]| -> Vec<Lost> {
        let lost = |entry: &Entry| match entry {
            Entry::Lost(lost) => Some(lost.clone()),
            _ => None,
        };
        entries.iter().filter_map(lost).collect()
    };
    let [there] = &lost(&whole.entries)[..] else {
        panic!("{:?}", lost(&whole.entries));
    };
    assert_eq!(whole.damaged, 0);
    assert_eq!(there.index + there.count, 200 * CALLS);
    for bit in (56 * 8..88 * 8).chain(96 * 8..128 * 8) {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let ring = open(&bytes).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let [read] = &lost(&ring.entries)[..] else {
            panic!("bit {bit}: {:?}", lost(&ring.entries));
        };
        assert_eq!(
            (read.index, read.count),
            (there.index, there.count),
            "bit {bit}"
        );
        // A time or a cause that is not sure is none.
        let times = (read.first, read.last);
        assert!(
            times == (there.first, there.last) || times == (0, 0),
            "bit {bit}"
        );
        let causes = [there.cause, LossCause::Other(0)];
        assert!(causes.contains(&read.cause), "bit {bit}: {}", read.cause);
        assert_eq!(calls(&ring.entries), calls(&whole.entries), "bit {bit}");
    }
}
