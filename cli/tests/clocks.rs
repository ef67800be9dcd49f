//! A file that was joined from several recordings has a clock for each: no time of one is told by that of another.

mod common;

use common::{Folder, Sample, hcall};
use hypercall_trace::clock::{ClockInfo, ClockPoint};
use hypercall_trace::entry::{Call, Entry, LossCause, Lost};
use hypercall_trace::read::Trace;
use hypercall_trace::write::{Options, Writer};
use serde_json::{Value, json};

const DATE: i64 = 1_767_225_600_000_000_000;
const HOUR: i64 = 3600 * 1_000_000_000;

const fn point(frequency: u64, ticks: u64, unix_nanoseconds: i64) -> ClockPoint {
    ClockPoint {
        frequency,
        ticks,
        unix_nanoseconds,
    }
}

/// A machine that has run for a while, with 2 ticks a nanosecond, as measured.
const BEFORE: ClockInfo = ClockInfo {
    first: point(0, 8_000_000_000_000, DATE),
    last: point(2_000_000_000, 8_002_000_000_000, DATE + 1_000_000_000),
};
/// After it started anew an hour later, with 3.
const AFTER: ClockInfo = ClockInfo {
    first: point(0, 5_000, DATE + HOUR),
    last: point(3_000_000_000, 3_000_005_000, DATE + HOUR + 1_000_000_000),
};
/// The same, killed before it was measured how fast the clock is.
const KILLED: ClockInfo = ClockInfo {
    first: AFTER.first,
    last: AFTER.first,
};

/// Two calls, 600 and 1200 ticks after the clock's first point, of 300 ticks each.
fn recording(clock: ClockInfo) -> Vec<u8> {
    behind(&[], clock)
}

/// The same behind these entries.
fn behind(before: &[Entry], clock: ClockInfo) -> Vec<u8> {
    let Some(Entry::Call(call)) = Sample::life().entries.first().cloned() else {
        panic!("no call");
    };
    let schema = common::schema();
    let mut writer = Writer::new(Vec::new(), &schema, clock, Options::default()).unwrap();
    writer.lane("main").unwrap();
    for entry in before {
        writer.push(entry).unwrap();
    }
    let first = before.len() as u64;
    for number in 0..2 {
        let index = first + number;
        let call = Call {
            lane: 0,
            index,
            enter: clock.first.ticks + 600 * (number + 1),
            duration: Some(300),
            ..call.clone()
        };
        writer.push(&Entry::Call(call)).unwrap();
    }
    if clock.last == clock.first {
        writer.finish_early().unwrap()
    } else {
        writer.finish().unwrap()
    }
}

fn joined(folder: &Folder, clocks: &[ClockInfo]) -> String {
    let path = folder.text("joined.hct");
    let all = clocks.iter().map(|clock| recording(*clock));
    let mut bytes = Vec::new();
    for one in all {
        bytes.extend_from_slice(if bytes.is_empty() { &one } else { &one[32..] });
    }
    std::fs::write(&path, bytes).unwrap();
    path
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = hcall().args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let told = text(output.stderr);
    (
        output.status.code(),
        text(output.stdout),
        told.split_whitespace().collect::<Vec<_>>().join(" "),
    )
}

/// Of each call the time since its recording began, the date, and how long it took.
fn times(path: &str, options: &[&str]) -> Vec<Value> {
    let (status, out, told) = run(&[&["show", "--json", path], options].concat());
    assert_eq!(status, Some(0), "{told}");
    out.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            json!([line["time_ns"], line["unix_ns"], line["duration_ns"]])
        })
        .collect()
}

fn copies(folder: &Folder, path: &str) -> Vec<String> {
    let lines = folder.text("lines.jsonl");
    let [packed, redacted, imported] =
        ["packed", "redacted", "imported"].map(|name| folder.text(&format!("{name}.hct")));
    for arguments in [
        &["pack", path, "-o", &packed][..],
        &["redact", path, "-o", &redacted],
        &["export", path, "--to", "json", "-o", &lines],
        &["import", &lines, "-o", &imported],
    ] {
        let (status, _, told) = run(&[arguments, &["--force"]].concat());
        assert_eq!(status, Some(0), "{arguments:?}: {told}");
    }
    vec![packed, redacted, imported]
}

#[test]
fn each_recording_has_its_own_times_in_views_and_in_copies() {
    let folder = Folder::new();
    let trace = joined(&folder, &[BEFORE, AFTER]);
    let first = [json!([300, DATE + 300, 150]), json!([600, DATE + 600, 150])];
    let second = [
        json!([200, DATE + HOUR + 200, 100]),
        json!([400, DATE + HOUR + 400, 100]),
    ];
    let all = [&first[..], &second].concat();
    let mut files = copies(&folder, &trace);
    files.push(trace);
    for file in &files {
        let opened = Trace::open(file).unwrap();
        assert_eq!(opened.clock(), &BEFORE, "{file}");
        let clocks: Vec<_> = opened.clocks().map(|(of, clock)| (of, *clock)).collect();
        assert_eq!(clocks, [(0, BEFORE), (1, AFTER)], "{file}");
        assert_eq!(times(file, &[]), all, "{file}");
        assert_eq!(times(file, &["--file-order"]), all);
        assert_eq!(times(file, &["--lane", "main"]), all);
        assert_eq!(times(file, &["--slower", "120ns"]), first);
        // Since the beginning of each, and by the calendar.
        assert_eq!(
            times(file, &["--since", "350ns"]),
            [first[1].clone(), second[1].clone()]
        );
        assert_eq!(
            times(file, &["--until", "350ns"]),
            [first[0].clone(), second[0].clone()]
        );
        assert_eq!(times(file, &["--since", "2026-01-01T00:30:00Z"]), second);
        assert_eq!(times(file, &["--skip", "3"]), second[1..]);
        assert_eq!(times(file, &["--follow"]), all);
        let (_, text, _) = run(&["show", file, "--time", "utc"]);
        let calls = |line: &&str| !line.starts_with("--- ");
        let dates: Vec<_> = text
            .lines()
            .filter(calls)
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert!(dates[1].starts_with("2026-01-01T00:00:00"), "{text}");
        assert!(dates[2].starts_with("2026-01-01T01:00:00"), "{text}");
        // Between two clocks no time passes that anybody could count.
        let (_, text, _) = run(&["show", file, "--time", "delta"]);
        let deltas = text
            .lines()
            .filter(calls)
            .filter_map(|line| line.split_whitespace().next());
        assert_eq!(
            deltas.collect::<Vec<_>>(),
            ["0.000000000", "0.000000300", "0.000000000", "0.000000200"]
        );
        let (_, stat, told) = run(&["stat", file, "--json"]);
        let stat: Value = serde_json::from_str(&stat).unwrap();
        let latency = &stat["calls"][0]["latency_ns"];
        assert_eq!(
            (&latency["p50"], &latency["max"]),
            (&json!(100), &json!(150))
        );
        assert_eq!(told, "");
        assert_eq!(run(&["verify", file]).0, Some(0), "{file}");
    }
}

/// The dates of the packets, in nanoseconds since 1970.
fn packets(path: &str, to: &str) -> (Vec<u128>, String) {
    use pcap_file::pcapng::{Block, PcapNgReader};
    let (status, _, told) = run(&["export", path, "--to", "pcapng", "-o", to, "--force"]);
    assert_eq!(status, Some(0), "{told}");
    let mut reader = PcapNgReader::new(std::fs::File::open(to).unwrap()).unwrap();
    let mut dates = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.unwrap() {
            dates.push(packet.timestamp.as_nanos());
        }
    }
    (dates, told)
}

#[test]
fn packets_have_the_time_of_their_recording() {
    let folder = Folder::new();
    let to = folder.text("packets.pcapng");
    let date = |since: i64| u128::try_from(DATE + since).unwrap();
    let trace = joined(&folder, &[BEFORE, AFTER]);
    let (dates, told) = packets(&trace, &to);
    let all = [date(300), date(600), date(HOUR + 200), date(HOUR + 400)];
    assert_eq!((dates, told.as_str()), (all.to_vec(), ""));
    let trace = joined(&folder, &[BEFORE, KILLED]);
    let (dates, told) = packets(&trace, &to);
    assert_eq!(dates, [date(300), date(600), 0, 0]);
    assert!(
        told.contains("recording 1 of the file does not say"),
        "{told}"
    );
    let trace = joined(&folder, &[KILLED, KILLED]);
    let (dates, told) = packets(&trace, &to);
    assert_eq!(dates, [0; 4]);
    assert!(told.contains("no packet has a time"), "{told}");
}

/// What was lost before anything else of a recording has no time, also not the last one of the recording before.
#[test]
fn packets_without_a_time_have_none_of_another_recording() {
    let folder = Folder::new();
    let lost = Entry::Lost(Lost {
        lane: 0,
        index: 0,
        count: 1,
        cause: LossCause::Sink,
        first: 0,
        last: 0,
    });
    let second = behind(&[lost], AFTER);
    let bytes = [&recording(BEFORE)[..], &second[32..]].concat();
    std::fs::write(folder.path("lost.hct"), bytes).unwrap();
    let (dates, _) = packets(&folder.text("lost.hct"), &folder.text("packets.pcapng"));
    let date = |since: i64| u128::try_from(DATE + since).unwrap();
    let all = [date(300), date(600), 0, date(HOUR + 200), date(HOUR + 400)];
    assert_eq!(dates, all);
}

/// While a recording goes on that does not say how fast its clock is, all lines are in ticks: those of the first look as well.
#[test]
fn follow_has_one_unit_from_the_first_line_on() {
    let folder = Folder::new();
    let trace = joined(&folder, &[BEFORE, KILLED]);
    let times = times(&trace, &["--follow", "-n", "4"]);
    assert_eq!(times, vec![json!([null, null, null]); 4]);
}

/// A file of many recordings without times says no more of them than of other damage.
#[test]
fn recordings_without_a_clock_are_told_one_by_one_up_to_ten() {
    let folder = Folder::new();
    let mut clocks = [KILLED; 16];
    clocks[3] = BEFORE;
    let trace = joined(&folder, &clocks);
    for view in ["show", "stat"] {
        let (_, _, told) = run(&[view, &trace]);
        assert_eq!(told.matches("does not say how fast").count(), 10, "{told}");
        assert!(
            told.contains("and 5 more recordings of it do not"),
            "{told}"
        );
    }
}

#[test]
fn a_recording_that_does_not_say_how_fast_its_clock_is_takes_that_of_no_other() {
    let folder = Folder::new();
    for clocks in [[BEFORE, KILLED], [KILLED, BEFORE]] {
        let trace = joined(&folder, &clocks);
        let mut files = copies(&folder, &trace);
        files.push(trace);
        let killed = clocks.iter().position(|clock| *clock == KILLED).unwrap();
        let known = 2 - 2 * killed..4 - 2 * killed;
        for file in &files {
            let all = times(file, &[]);
            for (place, times) in all.iter().enumerate() {
                if known.contains(&place) {
                    assert_eq!(times[2], json!(150), "{file}");
                } else {
                    assert_eq!(times, &json!([null, null, null]), "{file}");
                }
            }
            let whose =
                format!("recording {killed} of the file does not say how fast its clock is");
            let (_, text, told) = run(&["show", file]);
            assert_eq!(text.matches("<300 ticks>").count(), 2, "{text}");
            assert!(told.contains(&whose), "{told}");
            let (_, stat, told) = run(&["stat", file, "--json"]);
            let stat: Value = serde_json::from_str(&stat).unwrap();
            let row = &stat["calls"][0];
            assert_eq!(
                (&row["count"], &row["latency_ns"]["p50"]),
                (&json!(4), &json!(150))
            );
            assert!(told.contains(&whose), "{told}");
            for filter in ["--slower", "--since", "--until"] {
                for view in ["show", "stat"] {
                    let (status, out, told) = run(&[view, file, filter, "1ns"]);
                    assert_eq!((status, out.as_str()), (Some(3), ""), "{view} {filter}");
                    assert!(told.contains(&whose), "{told}");
                }
            }
        }
    }
}

/// An export of a joined file by a version that wrote one clock for all.
#[test]
fn lines_of_a_recording_without_its_clock_are_read_and_have_no_times() {
    let folder = Folder::new();
    let trace = joined(&folder, &[BEFORE, AFTER]);
    let (_, lines, _) = run(&["export", &trace, "--to", "json"]);
    let old: String = lines
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            if line.get("recording").is_some() {
                line.as_object_mut().unwrap().remove("clock").unwrap();
            }
            format!("{line}\n")
        })
        .collect();
    std::fs::write(folder.path("old.jsonl"), old).unwrap();
    let imported = folder.text("old.hct");
    let (status, _, told) = run(&["import", &folder.text("old.jsonl"), "-o", &imported]);
    assert_eq!((status, told.as_str()), (Some(0), ""));
    let times = times(&imported, &[]);
    assert_eq!(times[1][0], json!(600));
    assert_eq!(
        times[2..],
        [json!([null, null, null]), json!([null, null, null])]
    );
}

/// Each recording's point of the clock stands where it stood, and so does the word that one is lost.
#[test]
fn a_damaged_clock_is_that_of_its_recording_alone() {
    let folder = Folder::new();
    let trace = joined(&folder, &[BEFORE, AFTER]);
    let opened = Trace::open(&trace).unwrap();
    let is_clock = |block: &&hypercall_trace::read::BlockEntry| {
        block.header.kind == hypercall_trace::format::BlockKind::Clock
    };
    let last = opened.blocks().iter().rfind(is_clock).unwrap();
    let at = usize::try_from(last.offset).unwrap() + 70;
    let mut bytes = std::fs::read(&trace).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&trace, bytes).unwrap();
    let packed = folder.text("packed.hct");
    assert_eq!(run(&["pack", &trace, "-o", &packed]).0, Some(4));
    for file in [&trace, &packed] {
        let opened = Trace::open(file).unwrap();
        let lost = opened.lost_descriptions().clocks;
        assert_eq!(lost.into_iter().collect::<Vec<_>>(), [1]);
        assert_eq!(opened.clock(), &BEFORE);
        let (status, text, told) = run(&["show", file]);
        assert_eq!(status, Some(4));
        assert!(told.contains("times are in ticks"), "{told}");
        assert_eq!(
            text.matches("<150ns>").count() + text.matches("<300 ticks>").count(),
            4,
            "{text}"
        );
    }
}
