//! The gates of the recorder and of the reader, as ratios to a floor that is measured in the same run: one reading of the
//! time-stamp counter and a copy of 128 bytes into a warm ring.
//!
//! `cargo bench -p hypercall-trace`. Every number is thread CPU time, the median of interleaved rounds. The gates are printed; whether they
//! hold is for the reader of a quiet machine to say, so nothing fails here.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark"
)]

extern crate hypercall_core as hypercall;

use hypercall_core::arg::Arg;
use hypercall_core::call::{CallInfo, CodeInfo};
use hypercall_core::{Error, Transport, TransportError};
use hypercall_trace::clock::{Clock, Tsc};
use hypercall_trace::read::{Buffer, Trace};
use hypercall_trace::record::{Full, Recorder, Recording, Storage, SyncPolicy};
use hypercall_trace::write::{Compression, Options, Writer};
use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

const CODES: &[CodeInfo] = &[];

/// Calls to measure with.
#[hypercall::interface(codes = CODES, crate = ::hypercall_core)]
pub trait Bench {
    /// A value and bytes.
    #[call(0x20)]
    fn blob(&self, id: u32, bytes: &mut [u8]) -> Result<(), Error>;
}

const INTERFACES: &[&hypercall::call::InterfaceInfo] = &[BenchCalls::INTERFACE];

/// Answers at once.
struct Null;
impl Transport for Null {
    #[inline(never)]
    fn call<'a>(&self, _: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        black_box(&args);
        Ok(0)
    }
}

/// Takes everything.
#[derive(Default)]
struct Nowhere;
impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        black_box(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
impl Storage for Nowhere {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const CALLS: u64 = 20_000;
const ROUNDS: usize = 41;

/// This thread's time on a processor, ns.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn ns_per(count: u64, work: impl FnOnce()) -> f64 {
    let start = cpu();
    work();
    (cpu() - start) / count as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A payload as programs have it: small numbers, an address, some flags, mostly zeros.
fn payload(bytes: &mut [u8], count: u64) {
    for (place, word) in bytes.chunks_exact_mut(8).enumerate() {
        let value = match place % 8 {
            0 => 1 + count % 3,
            1 => 0x1_0000_0000 + count * 0x1000,
            2 => 0x1000,
            3 => 0x3,
            _ => 0,
        };
        word.copy_from_slice(&value.to_le_bytes());
    }
}

fn calls(transport: &impl Transport, bytes: &[u8]) {
    let info = BenchCalls::BLOB;
    for count in 0..CALLS {
        let args = [Arg::Value(count), Arg::Read(black_box(bytes))];
        let _ = black_box(transport.call(info, args));
    }
}

fn record() {
    println!("recording, ns per call less the call itself (median of {ROUNDS} rounds of {CALLS})");
    println!(" the ring alone: what is in it is overwritten");
    let stuck = Stuck::default();
    record_into(stuck.clone());
    println!(" with a live drain beside it");
    record_into(Stuck::open());
}

/// Takes everything, and is then long asked onto the disk: the ring in front of it is left to itself.
#[derive(Clone, Default)]
struct Stuck(std::sync::Arc<(std::sync::Mutex<bool>, std::sync::Condvar)>);
impl Stuck {
    fn open() -> Self {
        let stuck = Self::default();
        stuck.release();
        stuck
    }
    fn release(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}
impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        black_box(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
impl Storage for Stuck {
    fn sync(&mut self) -> io::Result<()> {
        let mut open = self.0.0.lock().unwrap();
        while !*open {
            open = self.0.1.wait(open).unwrap();
        }
        Ok(())
    }
}

fn record_into(storage: Stuck) {
    let release = storage.clone();
    let folder = Folder::new();
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .full(Full::Overwrite)
        .sync(SyncPolicy::EachBlock)
        .compression(Compression::None)
        .ring(std::env::var("RINGK").map_or(1024, |k| k.parse().unwrap()) << 10, 4)
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
    for _ in 0..ROUNDS {
        floor.push(ns_per(CALLS, || {
            let source = [7_u8; 128];
            let mut at = 0;
            for _ in 0..CALLS {
                black_box(Tsc.now());
                ring[at..at + 128].copy_from_slice(black_box(&source));
                at = (at + 128) & 0xffff;
            }
        }));
        bare.push(ns_per(CALLS, || calls(&Null, &buffers[1])));
        idle.push(ns_per(CALLS, || calls(&off, &buffers[1])));
        for (bytes, cost) in buffers.iter().zip(&mut costs) {
            cost.push(ns_per(CALLS, || calls(&recorder, bytes)));
        }
    }
    let (floor, bare, idle) = (median(floor), median(bare), median(idle));
    println!("  floor {floor:.1} ns; a call of the empty transport {bare:.1} ns");
    println!(
        "  off        {:6.1} ns  {:5.2} x floor  (gate 0.1)",
        idle - bare,
        (idle - bare) / floor
    );
    for ((size, cost), gate) in sizes.iter().zip(costs).zip([2.3, 2.3, 2.3, 3.0, 9.0]) {
        let cost = median(cost) - bare;
        println!(
            "  {size:4} bytes {cost:6.1} ns  {:5.2} x floor  (gate {gate})",
            cost / floor
        );
    }
    release.release();
    let done = recording.finish();
    println!("  {} calls recorded, {} overwritten", done.calls, done.lost);
}

fn tails() {
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

fn tempfile() -> std::fs::File {
    let path = std::env::temp_dir().join(format!("hct-bench-{}", std::process::id()));
    let file = std::fs::File::create(&path).unwrap();
    let _ = std::fs::remove_file(path);
    file
}

/// A recording of so many calls with 64 bytes each, in memory.
fn recorded(compression: Compression, count: u64) -> Vec<u8> {
    #[derive(Clone, Default)]
    struct Memory(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Storage for Memory {
        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let folder = Folder::new();
    let memory = Memory::default();
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .full(Full::Block)
        .compression(compression)
        .start(memory.clone())
        .unwrap();
    let recorder = Recorder::new(Null, recording.lane("main").unwrap());
    let mut bytes = [0; 64];
    for number in 0..count {
        payload(&mut bytes, number);
        let _ = recorder.call(
            BenchCalls::BLOB,
            [Arg::Value(number % 4), Arg::Read(&bytes)],
        );
    }
    assert_eq!(recording.finish().lost, 0);
    let bytes = memory.0.lock().unwrap().clone();
    bytes
}

fn sizes_and_reading() {
    const COUNT: u64 = 1_000_000;
    println!("size and reading of {COUNT} calls with 64 bytes");
    let plain = recorded(Compression::None, COUNT);
    let lz4 = recorded(Compression::Lz4, COUNT);
    let source = Trace::from_bytes(lz4.clone()).unwrap();
    let mut packer = Writer::new(
        Vec::new(),
        source.schema(),
        *source.clock(),
        Options::packed(),
    )
    .unwrap();
    packer.lane("main").unwrap();
    for entry in source.entries() {
        packer.push(&entry).unwrap();
    }
    let packed = packer.finish().unwrap();
    for (name, bytes, gate) in [
        ("plain", &plain, ""),
        ("recorded (lz4)", &lz4, "(gate 60)"),
        ("packed (zstd)", &packed, "(gate 30)"),
    ] {
        println!(
            "  {name:15} {:5.1} bytes per call {gate}",
            bytes.len() as f64 / COUNT as f64
        );
    }
    for (name, compression) in [("plain", None), ("lz4", Some(mcap::Compression::Lz4))] {
        let file = mcap_of(&plain, compression);
        let times = (0..5).map(|_| {
            ns_per(COUNT, || {
                let mut count = 0_u64;
                for message in mcap::MessageStream::new(&file).unwrap() {
                    black_box(message.unwrap().log_time);
                    count += 1;
                }
                assert_eq!(count, COUNT);
            })
        });
        println!(
            "  MCAP {name:6} read, chunks checked {:6.1} M/s (gate: an eighth of ours)",
            1000.0 / median(times.collect())
        );
    }
    for (name, bytes) in [("plain", plain), ("lz4", lz4), ("packed", packed)] {
        let trace = Trace::from_bytes(bytes).unwrap();
        let mut times = Vec::new();
        let mut checked = Vec::new();
        let mut owned = Vec::new();
        for _ in 0..5 {
            times.push(ns_per(COUNT, || {
                let mut buffer = Buffer::default();
                let (mut calls, mut sum) = (0_u64, 0_u64);
                for block in trace.data() {
                    for record in trace.load(block, &mut buffer).unwrap().records() {
                        calls += u64::from(record.is_call());
                        sum = sum.wrapping_add(record.ticks());
                    }
                }
                assert_eq!(calls, COUNT);
                black_box(sum);
            }));
            checked.push(ns_per(COUNT, || {
                assert_eq!(trace.verify().unwrap().calls, COUNT)
            }));
            owned.push(ns_per(COUNT, || {
                assert_eq!(trace.entries().count() as u64, COUNT)
            }));
        }
        let rate = |times: Vec<f64>| 1000.0 / median(times);
        println!(
            "  {name:7} read, blocks checked {:6.1} M/s; verified record by record {:6.1} M/s; entries of their own {:6.1} M/s",
            rate(times),
            rate(checked),
            rate(owned)
        );
    }
}

/// The same records as messages of an MCAP file.
fn mcap_of(trace: &[u8], compression: Option<mcap::Compression>) -> Vec<u8> {
    let trace = Trace::from_bytes(trace.to_vec()).unwrap();
    let mut file = io::Cursor::new(Vec::new());
    let mut writer = mcap::WriteOptions::new()
        .compression(compression)
        .chunk_size(Some(256 << 10))
        .create(&mut file)
        .unwrap();
    let channel = writer
        .add_channel(0, "calls", "raw", &std::collections::BTreeMap::new())
        .unwrap();
    let mut buffer = Buffer::default();
    for block in trace.data() {
        for record in trace.load(block, &mut buffer).unwrap().records() {
            let header = mcap::records::MessageHeader {
                channel_id: channel,
                sequence: record.index as u32,
                log_time: record.ticks(),
                publish_time: record.ticks(),
            };
            writer
                .write_to_known_channel(&header, record.bytes())
                .unwrap();
        }
    }
    writer.finish().unwrap();
    drop(writer);
    file.into_inner()
}

/// What a call costs in a thread of its own, beside as many others as there are lanes.
fn lanes() {
    println!("thread CPU time of a recorded call with 64 bytes");
    let mut medians = Vec::new();
    for count in [1, 2] {
        let folder = Folder::new();
        let recording = Recording::options(INTERFACES)
            .rings(&folder.0)
            .full(Full::Overwrite)
            .sync(SyncPolicy::EachBlock)
            .ring(1 << 20, 4)
            .start(Stuck::open())
            .unwrap();
        let barrier = std::sync::Barrier::new(count);
        let times: Vec<f64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..count)
                .map(|number| {
                    let lane = recording.lane(&format!("lane{number}")).unwrap();
                    let barrier = &barrier;
                    scope.spawn(move || {
                        let recorder = Recorder::new(Null, lane);
                        let bytes = [5; 64];
                        barrier.wait();
                        let times = (0..ROUNDS).map(|_| ns_per(CALLS, || calls(&recorder, &bytes)));
                        median(times.collect())
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        println!("  {count} lane(s): {mean:5.1} ns");
        medians.push(mean);
    }
    println!("  ratio {:.2}  (gate 1.1)", medians[1] / medians[0]);
}

/// A folder for rings, removed at the end.
struct Folder(std::path::PathBuf);
impl Folder {
    fn new() -> Self {
        Self(std::path::Path::new("/dev/shm").join(format!("hct-bench-{}", std::process::id())))
    }
}
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn main() {
    // `cargo bench -p hypercall-trace -- record tails`: only these.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let parts: [(&str, fn()); 4] = [
        ("record", record),
        ("tails", tails),
        ("lanes", lanes),
        ("read", sizes_and_reading),
    ];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            part();
        }
    }
}
