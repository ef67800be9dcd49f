//! How large a trace is, and how fast it is read, beside MCAP.

use crate::setup::*;
use hypercall_core::Transport;
use hypercall_core::arg::Arg;
use hypercall_trace::read::{Buffer, Trace};
use hypercall_trace::record::{Full, Recorder, Recording, Storage};
use hypercall_trace::write::{Compression, Options, Writer};
use std::hint::black_box;
use std::io::{self, Write};

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
    std::mem::take(&mut *memory.0.lock().unwrap())
}

pub(crate) fn sizes_and_reading() {
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
