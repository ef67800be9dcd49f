//! A recording without entries keeps its place in what is made of a joined file: the others keep their numbers, and each its end, or none.

mod common;

use common::{Folder, Sample, hcall, output};
use hypercall_trace::clock::{ClockInfo, ClockPoint};
use hypercall_trace::entry::Entry;
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::Trace;
use hypercall_trace::write::{Options, Writer};

/// A recording of these entries that began then, and was finished or not.
fn recording(entries: &[Entry], began: u64, finished: bool) -> Vec<u8> {
    let point = |ticks| ClockPoint {
        frequency: 1_000_000_000,
        ticks,
        unix_nanoseconds: 0,
    };
    let clock = ClockInfo {
        first: point(began),
        last: point(began + 1_000_000_000),
    };
    let schema = common::schema();
    let mut writer = Writer::new(Vec::new(), &schema, clock, Options::default()).unwrap();
    writer.lane("main").unwrap();
    for entry in entries {
        writer.push(entry).unwrap();
    }
    if finished {
        writer.finish().unwrap()
    } else {
        writer.finish_early().unwrap()
    }
}

/// Whether each recording has entries, and whether it was finished.
const FILES: [&[(bool, bool)]; 6] = [
    &[(true, false), (false, false)],
    &[(true, true), (false, false)],
    &[(true, false), (false, true)],
    &[(false, false), (true, true), (false, true), (true, true)],
    &[(true, false), (false, false), (false, true), (true, false)],
    &[(false, true), (false, false), (false, true)],
];

fn joined(recordings: &[(bool, bool)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let entries = Sample::life().entries;
    for (number, (used, finished)) in (0..).zip(recordings) {
        let entries: &[Entry] = if *used { &entries } else { &[] };
        let one = recording(entries, 1000 * number, *finished);
        bytes.extend_from_slice(if number == 0 { &one } else { &one[32..] });
    }
    bytes
}

/// What each recording is: where its clock began, whether it has an end, how many entries.
fn recordings(path: &str) -> Vec<(u64, bool, usize)> {
    let trace = Trace::open(path).unwrap();
    let last = trace.recording_at(u64::MAX);
    let without_end = trace.recordings_without_end();
    let mut entries = trace.entries();
    let mut of = vec![0; last as usize + 1];
    while entries.next().is_some() {
        of[entries.recording() as usize] += 1;
    }
    (0..=last)
        .map(|number| {
            let ends = if number == last {
                !trace.ends_early()
            } else {
                !without_end.contains(&number)
            };
            let began = trace.clock_of(number).first.ticks;
            (began, ends, of[number as usize])
        })
        .collect()
}

#[test]
fn what_is_made_of_a_joined_file_has_all_of_its_recordings() {
    let folder = Folder::new();
    let path = folder.text("joined.hct");
    for file in FILES {
        std::fs::write(&path, joined(file)).unwrap();
        let whole = recordings(&path);
        assert_eq!(whole.len(), file.len());
        let lines = folder.text("lines.jsonl");
        output(&["export", &path, "-o", &lines, "--force"]);
        let verdict = |path: &str| {
            let text = output(&["verify", path]);
            text.lines().last().unwrap().to_owned()
        };
        for (command, from) in [
            ("pack", &path),
            ("redact", &path),
            ("recover", &path),
            ("import", &lines),
        ] {
            let made = folder.text("made.hct");
            // What the rings of an unfinished one had is not there.
            let lacks = command == "recover" && file.iter().any(|(_, ends)| !ends);
            hcall()
                .args([command, from, "-o", &made, "--force"])
                .assert()
                .code(if lacks { 4 } else { 0 });
            assert_eq!(recordings(&made), whole, "{command} of {file:?}");
            assert_eq!(verdict(&made), verdict(&path), "{command} of {file:?}");
        }
    }
}

#[test]
fn the_schema_that_each_recording_has_takes_little_room() {
    let folder = Folder::new();
    let (path, made) = (folder.text("joined.hct"), folder.text("made.hct"));
    std::fs::write(&path, joined(&[(true, true); 3])).unwrap();
    let schema = Trace::open(&path).unwrap().schema().clone();
    for command in ["pack", "redact"] {
        output(&[command, &path, "-o", &made, "--force"]);
        let trace = Trace::open(&made).unwrap();
        assert_eq!(trace.schema(), &schema, "{command}");
        let schemas = trace.blocks().iter().map(|block| block.header);
        let mut schemas = schemas.filter(|header| header.kind == BlockKind::Schema);
        assert!(
            schemas.all(|header| header.stored < header.raw / 2),
            "{command}"
        );
    }
}

#[test]
fn where_lines_are_cut_in_a_recording_without_an_end_it_has_none() {
    let folder = Folder::new();
    let (path, lines) = (folder.text("joined.hct"), folder.text("lines.jsonl"));
    std::fs::write(&path, joined(&[(true, false), (true, true)])).unwrap();
    let text = output(&["export", &path]);
    let first: Vec<_> = text
        .lines()
        .take_while(|line| !line.starts_with("{\"recording\""))
        .collect();
    std::fs::write(&lines, first.join("\n") + "\n").unwrap();
    let made = folder.text("made.hct");
    hcall()
        .args(["import", &lines, "-o", &made])
        .assert()
        .code(4);
    assert!(Trace::open(&made).unwrap().ends_early());
}

#[test]
fn many_recordings_without_an_end_are_told_in_a_few_lines() {
    let folder = Folder::new();
    let (path, lines) = (folder.text("joined.hct"), folder.text("lines.jsonl"));
    std::fs::write(&path, joined(&[(false, false); 40])).unwrap();
    output(&["export", &path, "-o", &lines]);
    let made = folder.text("made.hct");
    let told = hcall()
        .args(["import", &lines, "-o", &made])
        .output()
        .unwrap();
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("and 29 more recordings"), "{told}");
}
