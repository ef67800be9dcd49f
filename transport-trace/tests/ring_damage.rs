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
use hypercall_trace::entry::{Call, Entry};
use hypercall_trace::read::Trace;
use hypercall_trace::read::recover::{Ring, find, recover};
use hypercall_trace::record::{Recorder, Recording, Storage};
use hypercall_trace::write::Options;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

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
    let folder = std::env::temp_dir().join(format!("hct-flips-{}-{rounds}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let recording = Recording::options(INTERFACES)
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
    let controls = 128 + blocks as usize * 64;
    assert!(data > controls);
    // Every bit of what says where the records are; of the records, every bit of the first, and some of the others.
    let filled = (0..blocks as usize).flat_map(|block| {
        let used = word(&bytes, 128 + block * 64 + 8) as usize;
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
