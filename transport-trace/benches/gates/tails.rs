//! How long the slowest calls take: beside a drain, and beside a buffer that is written when it is full.

use crate::setup::*;
use hypercall_core::Transport;
use hypercall_core::arg::Arg;
use hypercall_trace::clock::{Clock, Tsc};
use hypercall_trace::record::{Recorder, Recording};
use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

pub(crate) fn tails() {
    println!(
        "tails around a recorded call with 64 bytes, ns (with two readings of the counter in it)"
    );
    let folder = Folder::new();
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .start(Nowhere)
        .unwrap();
    let recorder = Recorder::new(Null, recording.lane("main").unwrap());
    let mut bytes = [0; 64];
    payload(&mut bytes, 3);
    let start = Instant::now();
    let first = Tsc.now();
    let mut file = io::BufWriter::new(tempfile());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for count in 0..400_000_u64 {
        let before = Tsc.now();
        let _ = black_box(recorder.call(BenchCalls::BLOB, [Arg::Value(count), Arg::Read(&bytes)]));
        ours.push(Tsc.now() - before);
        let before = Tsc.now();
        let _ = black_box(Null.call(BenchCalls::BLOB, [Arg::Value(count), Arg::Read(&bytes)]));
        let record = [
            before.to_le_bytes(),
            count.to_le_bytes(),
            Tsc.now().to_le_bytes(),
        ];
        let _ = file.write_all(record.as_flattened());
        let _ = file.write_all(&bytes);
        theirs.push(Tsc.now() - before);
    }
    let scale = start.elapsed().as_nanos() as f64 / (Tsc.now() - first) as f64;
    for (name, mut ticks) in [("ring, drained", ours), ("BufWriter", theirs)] {
        ticks.sort_unstable();
        let at = |part: f64| ticks[(ticks.len() as f64 * part) as usize] as f64 * scale;
        println!(
            "  {name:14} p50 {:6.0}  p99 {:6.0}  p99.9 {:6.0}  p99.99 {:6.0}",
            at(0.5),
            at(0.99),
            at(0.999),
            at(0.9999)
        );
    }
    println!("  lost: {}", recording.finish().lost);
}
