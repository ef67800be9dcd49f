//! A large trace is opened and looked into without reading it.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

use hypercall_core::call::Direction;
use hypercall_trace::clock::ClockInfo;
use hypercall_trace::entry::{After, Argument, Block, Call, Entry, Outcome};
use hypercall_trace::read::Trace;
use hypercall_trace::schema::Schema;
use hypercall_trace::write::{Compression, Options, Writer};

/// The memory in which a trace of any size is opened and shown, in bytes.
const LIMIT: u64 = 64 << 20;

/// The most memory that this process had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_page_from_the_middle_costs_the_index_and_a_block() {
    const CALLS: u64 = 150_000;
    let path = std::env::temp_dir().join(format!("hct-large-{}.hct", std::process::id()));
    let file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let options = Options {
        compression: Compression::None,
        block: 64 << 10,
        id: 1,
    };
    let mut writer = Writer::new(file, &Schema::default(), ClockInfo::default(), options).unwrap();
    writer.lane("main").unwrap();
    let block = Block {
        direction: Direction::Read,
        before: vec![5; 1000],
        after: After::Unchanged,
        length: 1000,
        link: None,
    };
    let mut entry = Entry::Call(Call {
        lane: 0,
        index: 0,
        schema: None,
        number: 1,
        args: [Argument::Value(0), Argument::Block(block)],
        enter: 0,
        duration: Some(1),
        outcome: Outcome::Returned(0),
    });
    for index in 0..CALLS {
        if let Entry::Call(call) = &mut entry {
            (call.index, call.enter) = (index, index);
        }
        writer.push(&entry).unwrap();
    }
    writer.finish().unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    let trace = Trace::open(&path).unwrap();
    let page: Vec<_> = trace.entries_from(CALLS / 2).take(50).collect();
    assert!(matches!(&page[0], Entry::Call(call) if call.index == CALLS / 2));
    let peak = peak();
    std::fs::remove_file(&path).unwrap();
    println!(
        "{size} bytes, {} blocks, at most {peak} KiB resident",
        trace.blocks().len()
    );
    assert!(size > 2 * LIMIT, "the trace is larger than the limit");
    assert!(peak << 10 < LIMIT, "{peak} KiB");
}
