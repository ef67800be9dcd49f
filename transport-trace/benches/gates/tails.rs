//! How long the slowest calls take, and what of that is the recorder's: without one, with one that is off, with a ring that is
//! left to itself, with one that is emptied meanwhile; and with a buffer that is written when it is full.
//!
//! What the slowest thousandth of the recorded calls have in common is where in the ring they are: at the start of each page of
//! 4 KiB, which the processor does not fetch ahead, and most of all of each 64 KiB, where also the next line of the page table
//! is fetched. A ring that is left to itself has the same tail. The first call of a block is one of thousands.

use crate::setup::*;
use hypercall_core::Transport;
use hypercall_core::arg::Arg;
use hypercall_trace::clock::{Clock, Tsc};
use hypercall_trace::record::{
    FileLane, Full, Recorder, Recording, RecordingOptions, Storage, SyncPolicy,
};
use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Rounds of [`CALLS`], so that each kind is measured 400,000 times.
const ROUNDS: usize = 20;
/// Rounds before these.
const WARM: usize = 5;
/// Between two rounds, for the drain. A round of calls takes less than a millisecond.
/// The first calls behind it find everything cold, and are a part of the slowest ten-thousandth with every kind.
const PAUSE: Duration = Duration::from_millis(10);

/// A recording, and a recorder in it.
struct Recorded {
    recorder: Recorder<Null, FileLane>,
    recording: Recording,
    _folder: Folder,
}

impl Recorded {
    fn new(options: RecordingOptions, name: &str, storage: impl Storage) -> Self {
        let folder = Folder::named(name);
        let recording = options.rings(&folder.0).start(storage).unwrap();
        Self {
            recorder: Recorder::new(Null, recording.lane("main").unwrap()),
            recording,
            _folder: folder,
        }
    }
}

/// The ticks of each call.
fn ticks(to: &mut Vec<u64>, mut call: impl FnMut(u64)) {
    for count in 0..CALLS {
        let before = Tsc.now();
        call(count);
        to.push(Tsc.now() - before);
    }
}

/// Measures rounds, behind some in which everything gets warm: a ring has been written once then. Nobody calls without a pause,
/// and no drain could keep up with that.
fn measure(to: &mut Vec<u64>, mut round: impl FnMut(&mut Vec<u64>)) {
    for number in 0..WARM + ROUNDS {
        if number == WARM {
            to.clear();
        }
        round(to);
        std::thread::sleep(PAUSE);
    }
}

fn through(transport: &impl Transport, bytes: &[u8], to: &mut Vec<u64>) {
    ticks(to, |count| {
        let args = [Arg::Value(count), Arg::Read(black_box(bytes))];
        look(transport.call(BenchCalls::BLOB, args));
    });
}

/// A call, and a record of it in a buffer.
fn buffered(file: &mut impl Write, bytes: &[u8], to: &mut Vec<u64>) {
    ticks(to, |count| {
        let before = Tsc.now();
        let args = [Arg::Value(count), Arg::Read(black_box(bytes))];
        look(Null.call(BenchCalls::BLOB, args));
        let record = [
            before.to_le_bytes(),
            count.to_le_bytes(),
            Tsc.now().to_le_bytes(),
        ];
        let _ = file.write_all(record.as_flattened());
        let _ = file.write_all(bytes);
    });
}

pub(crate) fn tails() {
    println!(
        "tails around a call with 64 bytes, ns (with two readings of the counter in it, over {} calls each)",
        CALLS * ROUNDS as u64
    );
    let mut bytes = [0; 64];
    payload(&mut bytes, 3);
    let stuck = Stuck::default();
    let options = || Recording::options(INTERFACES);
    let alone = options().full(Full::Overwrite).sync(SyncPolicy::EachBlock);
    let alone = Recorded::new(alone, "alone", stuck.clone());
    let idle = Recorded::new(options(), "idle", Nowhere);
    let live = Recorded::new(options(), "live", Nowhere);
    let filed = Recorded::new(options(), "filed", tempfile());
    idle.recorder.set_enabled(false);
    let mut file = io::BufWriter::new(tempfile());
    let names = [
        "no recorder",
        "recorder off",
        "ring, left to itself",
        "ring, drained into nothing",
        "ring, drained into a file",
        "BufWriter",
    ];
    let mut all: [Vec<u64>; 6] = Default::default();
    let start = Instant::now();
    let first = Tsc.now();
    let [none, off, of_ring, of_live, of_filed, of_buffer] = &mut all;
    measure(none, |to| through(&Null, &bytes, to));
    measure(off, |to| through(&idle.recorder, &bytes, to));
    measure(of_ring, |to| through(&alone.recorder, &bytes, to));
    measure(of_live, |to| through(&live.recorder, &bytes, to));
    measure(of_filed, |to| through(&filed.recorder, &bytes, to));
    measure(of_buffer, |to| buffered(&mut file, &bytes, to));
    let scale = start.elapsed().as_nanos() as f64 / (Tsc.now() - first) as f64;
    for (name, mut ticks) in names.into_iter().zip(all) {
        ticks.sort_unstable();
        let at = |part: f64| ticks[(ticks.len() as f64 * part) as usize] as f64 * scale;
        println!(
            "  {name:27} p50 {:6.0}  p99 {:6.0}  p99.9 {:6.0}  p99.99 {:6.0}",
            at(0.5),
            at(0.99),
            at(0.999),
            at(0.9999)
        );
    }
    stuck.release();
    let lost = live.recording.finish().lost + filed.recording.finish().lost;
    println!("  lost by those that are drained: {lost}");
}
