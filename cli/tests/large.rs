//! A page of a large trace costs the index and a block of each lane, in bytes that are read and in memory.
#![cfg(target_os = "linux")]

mod common;

use std::io::{BufRead as _, BufReader, BufWriter};
use std::process::{Command, Stdio};

use common::{Folder, Sample};
use hypercall_trace::clock::{ClockInfo, ClockPoint};
use hypercall_trace::entry::{Argument, Block, Call, Entry};
use hypercall_trace::write::{Compression, Options, Writer};

const CALLS: u64 = 80_000;
const PAYLOAD: usize = 2048;
const LANES: u32 = 4;
/// A call of each lane is entered so often, in nanoseconds.
const STEP: u64 = 1_000_000;

/// Writes a trace of more than 160 MB.
fn write(path: &std::path::Path) {
    let schema = common::schema();
    let ops = schema.find(None, "profiling_ops").unwrap();
    let first = ClockPoint {
        frequency: 1_000_000_000,
        ticks: 0,
        unix_nanoseconds: 0,
    };
    let clock = ClockInfo { first, last: first };
    let options = Options {
        compression: Compression::None,
        block: 256 << 10,
        id: 1,
    };
    let file = BufWriter::with_capacity(1 << 20, std::fs::File::create(path).unwrap());
    let mut writer = Writer::new(file, &schema, clock, options).unwrap();
    for lane in 0..LANES {
        writer.lane(&format!("vcpu{lane}")).unwrap();
    }
    let Some(Entry::Call(model)) = Sample::life()
        .entries
        .into_iter()
        .find(|entry| matches!(entry, Entry::Call(call) if call.name() == "profiling_ops"))
    else {
        panic!("no call");
    };
    let Argument::Block(small) = &model.args[1] else {
        panic!("no bytes");
    };
    let block = Block {
        before: vec![7; PAYLOAD],
        length: PAYLOAD,
        ..small.clone()
    };
    for number in 0..CALLS {
        let (index, lane) = (
            number / u64::from(LANES),
            u32::try_from(number).unwrap() % LANES,
        );
        writer
            .push(&Entry::Call(Call {
                lane,
                index,
                schema: Some(ops.clone()),
                args: [model.args[0].clone(), Argument::Block(block.clone())],
                enter: index * STEP,
                ..model.clone()
            }))
            .unwrap();
    }
    writer.finish().unwrap();
    assert!(std::fs::metadata(path).unwrap().len() > 160 << 20);
}

/// The number behind a name in a file of /proc.
fn figure(child: &std::process::Child, file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_page_reads_little_and_takes_little_memory() {
    let folder = Folder::new();
    let path = folder.path("large.hct");
    write(&path);
    let trace = path.to_str().unwrap();
    // The output is longer than a pipe holds, so the program waits in the middle of it and can be looked at.
    let views: [(&str, &[&str]); 4] = [
        ("vcpu0#0 ", &["--full"]),
        ("vcpu0#15000 ", &["--full", "--since", "15s"]),
        (
            "vcpu2#15000 ",
            &["--full", "--since", "15s", "--lane", "vcpu2"],
        ),
        ("#0 ", &["--full", "--file-order", "--skip", "60000"]),
    ];
    for (first, options) in views {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("hcall"))
            .args(["show", trace])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        if first == "#0 " {
            assert!(line.contains("vcpu"), "{line}");
        } else {
            assert!(line.contains(first), "{options:?}: {line}");
        }
        // A page is there.
        assert_eq!(lines.by_ref().take(50).count(), 50);
        let (read, peak) = (
            figure(&child, "io", "rchar"),
            figure(&child, "status", "VmHWM"),
        );
        child.kill().unwrap();
        child.wait().unwrap();
        // The index, a block of 256 KiB for each lane, the program's own libraries; of 160 MB.
        assert!(read < 4 << 20, "{options:?}: {read} bytes were read");
        assert!(peak < 64 << 10, "{options:?}: {peak} KiB");
    }
}
