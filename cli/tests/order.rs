//! The order of time over many lanes: what depends on it is never told from another order.

mod common;

use common::{Folder, Sample, hcall};
use hypercall_trace::clock::ClockInfo;
use hypercall_trace::entry::{Call, Entry};
use hypercall_trace::read::Trace;
use hypercall_trace::write::{Options, Writer};

/// A VM is created, started, paused and destroyed by lanes whose order in the file is the other way round; the other lanes have a
/// call each.
fn life(lanes: u32) -> Vec<u8> {
    let sample = Sample::life();
    let mut writer = Writer::new(
        Vec::new(),
        &common::schema(),
        ClockInfo::with_frequency(1_000_000_000),
        Options::default(),
    )
    .unwrap();
    for lane in 0..lanes {
        writer.lane(&format!("thread {lane}")).unwrap();
    }
    let made = |name: &str| {
        let find = |entry: &Entry| match entry {
            Entry::Call(call) if call.name() == name && call.rax() == Some(0) => Some(call.clone()),
            _ => None,
        };
        sample.entries.iter().find_map(find).unwrap()
    };
    let order = [
        "create_vm",
        "set_ioreq_buffer",
        "start_vm",
        "pause_vm",
        "destroy_vm",
    ];
    let version = made("get_api_version");
    for lane in 0..lanes {
        let place = (lanes - lane - 1) as usize;
        let call = order
            .get(place)
            .map_or_else(|| version.clone(), |name| made(name));
        writer
            .push(&Entry::Call(Call {
                lane,
                index: 0,
                enter: 1 + place as u64,
                ..call
            }))
            .unwrap();
    }
    writer.finish().unwrap()
}

fn write(folder: &Folder, lanes: u32) -> String {
    let path = folder.text(&format!("{lanes}.hct"));
    std::fs::write(&path, life(lanes)).unwrap();
    path
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = hcall().args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn more_lanes_than_have_a_block_in_memory_are_judged_in_the_order_of_time() {
    let folder = Folder::new();
    let trace = write(&folder, 1500);
    let (status, out, err) = run(&["check", &trace]);
    assert_eq!((status, err.as_str()), (Some(0), ""), "{out}");
    assert_eq!(out, "no rule is broken\n");
    let (_, out, _) = run(&["state", &trace, "--at", "2"]);
    assert!(
        out.contains("after thread 1497#0 start_vm (entry 2)"),
        "{out}"
    );
    assert!(out.contains("running"), "{out}");
    let (_, shown, _) = run(&["show", &trace, "--limit", "1"]);
    assert!(shown.contains("create_vm"), "{shown}");
    let (_, lines, _) = run(&["export", &trace, "--to", "json"]);
    assert!(
        lines
            .lines()
            .nth(1)
            .unwrap()
            .contains(r#""call":"create_vm""#)
    );
}

#[test]
fn where_there_is_no_order_of_time_it_is_said_and_nothing_is_judged() {
    let folder = Folder::new();
    let trace = write(&folder, (1 << 16) + 1);
    for arguments in [
        &["check", &trace][..],
        &["state", &trace],
        &["replay", &trace],
    ] {
        let (status, out, err) = run(arguments);
        assert_eq!((status, out.as_str()), (Some(3), ""), "{arguments:?}");
        let told = err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            told.contains("more lanes than can be put into the order of time"),
            "{told}"
        );
    }
    for arguments in [
        &["show", &trace, "--limit", "1", "--json"][..],
        &["export", &trace, "--to", "json"],
    ] {
        let (status, _, err) = run(arguments);
        assert_eq!(status, Some(0), "{arguments:?}");
        assert!(
            err.contains("what follows is in the order of the file"),
            "{arguments:?}: {err}"
        );
    }
    // What was asked for is no surprise.
    let (_, _, err) = run(&["show", &trace, "--limit", "1", "--file-order"]);
    assert_eq!(err, "");
}

/// A call of each of two lanes at these times.
fn recording(times: [[u64; 2]; 2]) -> Vec<u8> {
    let mut writer = Writer::new(
        Vec::new(),
        &common::schema(),
        ClockInfo::with_frequency(1_000_000_000),
        Options::default(),
    )
    .unwrap();
    let calls = Sample::life().entries;
    let Some(Entry::Call(call)) = calls.first() else {
        panic!("no call");
    };
    for (lane, times) in (0..).zip(times) {
        writer.lane(&format!("thread {lane}")).unwrap();
        for (index, enter) in (0..).zip(times) {
            let call = call.clone();
            writer
                .push(&Entry::Call(Call {
                    lane,
                    index,
                    enter,
                    ..call
                }))
                .unwrap();
        }
    }
    writer.finish().unwrap()
}

/// The machine started anew between the two: the second recording's clock is behind.
#[test]
fn two_recordings_in_one_file_are_not_mixed_by_their_times() {
    let folder = Folder::new();
    let first = recording([[5000, 7000], [6000, 8000]]);
    let second = recording([[1000, 5500], [6500, 9000]]);
    let trace = folder.text("joined.hct");
    std::fs::write(&trace, [&first[..], &second[32..]].concat()).unwrap();
    let times = |options: &[&str]| -> Vec<u64> {
        let arguments = [&["show", &trace, "--json"], options].concat();
        let (status, out, err) = run(&arguments);
        assert_eq!((status, err.as_str()), (Some(0), ""), "{options:?}");
        let ticks = |line: &str| -> u64 {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["ticks"].as_u64().unwrap()
        };
        out.lines().map(ticks).collect()
    };
    let all = [5000, 6000, 7000, 8000, 1000, 5500, 6500, 9000];
    assert_eq!(times(&[]), all);
    let lanes = ["--lane", "thread 0", "--lane", "thread 1"];
    assert_eq!(times(&lanes), all);
    let since = ["--since", "6us"];
    let late = [6000, 7000, 8000, 6500, 9000];
    assert_eq!(times(&since), late);
    assert_eq!(times(&[&since[..], &lanes].concat()), late);
    assert_eq!(times(&["--since", "6us", "--lane", "thread 0"]), [7000]);
    let until = ["--until", "6us"];
    assert_eq!(times(&until), [5000, 1000, 5500]);
    assert_eq!(times(&[&until[..], &lanes].concat()), [5000, 1000, 5500]);
    assert_eq!(
        times(&["--until", "6us", "--lane", "thread 0"]),
        [5000, 1000, 5500]
    );
}

#[test]
fn a_test_is_of_one_recording_of_a_joined_file() {
    let folder = Folder::new();
    let first = recording([[5000, 7000], [6000, 8000]]);
    let second = recording([[1000, 5500], [6500, 9000]]);
    let trace = folder.text("joined.hct");
    std::fs::write(&trace, [&first[..], &second[32..]].concat()).unwrap();
    let test = folder.text("of_one.rs");
    let make = |options: &[&str]| {
        let arguments = [&["gen-test", &trace, "-o", &test, "--force"], options].concat();
        let (status, out, err) = run(&arguments);
        (
            status,
            out,
            err.split_whitespace().collect::<Vec<_>>().join(" "),
        )
    };
    let (status, _, err) = make(&[]);
    assert_eq!(status, Some(2));
    assert!(err.contains("choose one with --recording, 0 to 1"), "{err}");
    assert_eq!(make(&["--recording", "2"]).0, Some(2));
    for (chosen, all, from_one) in [
        ("0", [5000, 6000, 7000, 8000], [7000, 8000]),
        ("1", [1000, 5500, 6500, 9000], [5500, 9000]),
    ] {
        for (options, expected) in [(&[][..], &all[..]), (&["--from", "1"], &from_one)] {
            let (status, _, err) = make(&[&["--recording", chosen], options].concat());
            assert_eq!((status, err.as_str()), (Some(0), ""));
            let slice = Trace::open(folder.path("of_one.hct")).unwrap();
            let times: Vec<_> = slice.merged().map(|entry| entry.ticks()).collect();
            assert_eq!(times, expected, "{chosen} {options:?}");
        }
    }
    // Where nothing was recorded in the others, there is nothing to choose.
    let empty = Writer::new(
        Vec::new(),
        &common::schema(),
        ClockInfo::default(),
        Options::default(),
    );
    let empty = empty.unwrap().finish().unwrap();
    for parts in [[&empty, &second[..]], [&second, &empty]] {
        let [one, two] = parts;
        std::fs::write(&trace, [one, &two[32..]].concat()).unwrap();
        let (status, _, err) = make(&[]);
        assert_eq!((status, err.as_str()), (Some(0), ""));
        let slice = Trace::open(folder.path("of_one.hct")).unwrap();
        assert_eq!(slice.merged().count(), 4);
    }
}
