//! What recording a call costs, by the size of its memory.

use crate::setup::*;
use hypercall_trace::record::{Full, Recorder, Recording, SyncPolicy};
use hypercall_trace::write::Compression;

pub(crate) fn record() {
    println!("recording, ns per call less the call itself (median of {ROUNDS} rounds of {CALLS})");
    println!(" the ring alone: what is in it is overwritten");
    let stuck = Stuck::default();
    record_into(stuck.clone());
    println!(" with a live drain beside it");
    record_into(Stuck::open());
}

fn record_into(storage: Stuck) {
    let release = storage.clone();
    let folder = Folder::new();
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .full(Full::Overwrite)
        .sync(SyncPolicy::EachBlock)
        .compression(Compression::None)
        .ring(1 << 20, 4)
        .start(storage)
        .unwrap();
    let recorder = Recorder::new(Null, recording.lane("main").unwrap());
    let off = Recorder::new(Null, recording.lane("off").unwrap());
    off.set_enabled(false);
    let sizes = [0, 64, 128, 1024, 4096];
    let buffers: Vec<Vec<u8>> = sizes
        .iter()
        .map(|size| {
            let mut bytes = vec![0; *size];
            payload(&mut bytes, 7);
            bytes
        })
        .collect();
    let mut ring = vec![0_u8; 1 << 16];
    let (mut floor, mut bare, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    let mut costs = vec![Vec::new(); sizes.len()];
    let mut least = vec![Vec::new(); sizes.len()];
    for _ in 0..ROUNDS {
        floor.push(crate::setup::floor(&mut ring));
        bare.push(ns_per(CALLS, || calls(&Null, &buffers[1])));
        idle.push(ns_per(CALLS, || calls(&off, &buffers[1])));
        for ((bytes, cost), least) in buffers.iter().zip(&mut costs).zip(&mut least) {
            cost.push(ns_per(CALLS, || calls(&recorder, bytes)));
            least.push(copy_and_checksum(&mut ring, bytes));
        }
    }
    let (floor, bare, idle) = (median(floor), median(bare), median(idle));
    println!("  floor {floor:.1} ns; a call of the empty transport {bare:.1} ns");
    println!(
        "  off        {:6.1} ns  {:5.2} x floor  (gate 0.1)",
        idle - bare,
        (idle - bare) / floor
    );
    let gates = [2.3, 2.3, 2.3, 3.0, 9.0];
    for (((size, cost), gate), least) in sizes.iter().zip(costs).zip(gates).zip(least) {
        let (cost, least) = (median(cost) - bare, median(least));
        println!(
            "  {size:4} bytes {cost:6.1} ns  {:5.2} x floor  (gate {gate}; memcpy and crc-fast alone {:.2})",
            cost / floor,
            least / floor
        );
    }
    release.release();
    let done = recording.finish();
    println!("  {} calls recorded, {} overwritten", done.calls, done.lost);
}
