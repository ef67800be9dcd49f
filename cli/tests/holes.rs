//! What damage took from a trace stays missing in every trace that is made of it, and is told there: wherever in a lane it was,
//! and whichever command wrote it.

mod common;

use common::{Folder, Sample, hcall};
use hypercall_trace::entry::{Entry, LossCause, Lost, PageChange, Run, When};
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::Trace;

const CALLS: u64 = 300;

/// Two lanes of as many calls.
fn sample() -> Sample {
    let mut sample = Sample::many(CALLS);
    sample.lanes = vec!["one".into(), "two".into()];
    sample.block = 1024;
    sample.entries = std::mem::take(&mut sample.entries)
        .into_iter()
        .flat_map(|entry| {
            let mut other = entry.clone();
            if let Entry::Call(call) = &mut other {
                call.lane = 1;
                call.enter += 7;
            }
            [entry, other]
        })
        .collect();
    sample
}

/// The lane's blocks: where they are, the index of their first call, and how many they hold.
fn blocks(bytes: &[u8], lane: u32) -> Vec<(usize, u64, u64)> {
    let trace = Trace::from_bytes(bytes).unwrap();
    trace
        .blocks()
        .iter()
        .map(|block| (block.offset, block.header))
        .filter(|(_, header)| header.kind == BlockKind::Data && header.lane == lane)
        .map(|(offset, header)| {
            (
                usize::try_from(offset).unwrap(),
                header.first_index,
                header.calls.into(),
            )
        })
        .collect()
}

/// The trace without its index, which has all headers a second time.
fn without_index(bytes: &[u8]) -> Vec<u8> {
    let trace = Trace::from_bytes(bytes).unwrap();
    let end = trace.blocks().last().unwrap().offset;
    bytes[..usize::try_from(end).unwrap()].to_vec()
}

/// Where a bit flips: in the block's bytes, so that its header still says what was there, or in its header.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flip {
    Body,
    Header,
}

/// What `verify` finds missing, in records of losses and between indices, and how many calls it reads.
fn verified(path: &str) -> (u64, u64) {
    let output = hcall().args(["verify", "--json", path]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["damaged"].as_array().unwrap().is_empty(), "{report}");
    let gaps = report["missing"].as_array().unwrap().iter();
    let gaps: u64 = gaps.map(|gap| gap["count"].as_u64().unwrap()).sum();
    (
        report["lost"].as_u64().unwrap() + gaps,
        report["calls"].as_u64().unwrap(),
    )
}

/// Every way in which a trace becomes another one.
fn rewritten(folder: &Folder, trace: &str) -> Vec<(&'static str, String)> {
    let run = |arguments: &[&str]| {
        hcall().args(arguments).arg("--force").assert().code(4);
    };
    let path = |name: &str| folder.text(name);
    let (lines, imported) = (path("lines.jsonl"), path("imported.hct"));
    run(&["export", trace, "-o", &lines]);
    run(&["import", &lines, "-o", &imported]);
    let mut made = vec![("import", imported)];
    for command in ["pack", "redact", "recover"] {
        let to = path(&format!("{command}.hct"));
        let mut arguments = vec![command, trace, "-o", &to];
        if command == "redact" {
            // Where the schema is lost, nothing is described.
            arguments.extend(["--undescribed", "hash"]);
        }
        run(&arguments);
        made.push((command, to));
    }
    // What was made of what was made.
    let again = path("again.hct");
    // That calls are noted as lost is no damage of what is read; that a point of the clock or the schema is lost stays one.
    let lost = Trace::open(&made[0].1).unwrap().lost_descriptions();
    let describes = lost.clocks.is_empty() && !lost.schema;
    let status = if describes { 0 } else { 4 };
    hcall()
        .args(["pack", &made[0].1, "-o", &again, "--force"])
        .assert()
        .code(status);
    made.push(("pack of import", again));
    made
}

/// Which blocks of a lane are damaged, of so many.
type Places = fn(usize) -> Vec<usize>;

const PLACES: [(&str, Places); 5] = [
    ("start", |_| vec![0]),
    ("the first two", |_| vec![0, 1]),
    ("middle", |count| vec![count / 2]),
    ("end", |count| vec![count - 1]),
    ("start, middle and end", |count| {
        vec![0, count / 2, count - 2, count - 1]
    }),
];

#[test]
fn a_hole_anywhere_is_told_by_what_is_made_of_the_trace() {
    let folder = Folder::new();
    let whole = without_index(&sample().bytes());
    for (name, places) in PLACES {
        for lanes in [&[0_u32][..], &[0, 1]] {
            for flip in [Flip::Body, Flip::Header] {
                // Nobody knows how many calls the last block of a lane held when its header is gone.
                if flip == Flip::Header && name.contains("end") {
                    continue;
                }
                let mut bytes = whole.clone();
                let mut taken = 0;
                for lane in lanes {
                    let blocks = blocks(&whole, *lane);
                    assert!(blocks.len() > 6);
                    for place in places(blocks.len()) {
                        let (offset, _, calls) = blocks[place];
                        bytes[offset + if flip == Flip::Body { 70 } else { 33 }] ^= 4;
                        taken += calls;
                    }
                }
                let trace = folder.text("damaged.hct");
                std::fs::write(&trace, &bytes).unwrap();
                for (command, path) in rewritten(&folder, &trace) {
                    let found = verified(&path);
                    let expected = (taken, 2 * CALLS - taken);
                    assert_eq!(found, expected, "{command}: {name} of {lanes:?}, {flip:?}");
                }
            }
        }
    }
}

#[test]
fn nothing_is_left_of_a_lane_but_that_it_was_there() {
    let folder = Folder::new();
    let mut bytes = sample().bytes();
    for (offset, ..) in blocks(&bytes.clone(), 1) {
        bytes[offset + 70] ^= 1;
    }
    let trace = folder.text("damaged.hct");
    std::fs::write(&trace, &bytes).unwrap();
    for (command, path) in rewritten(&folder, &trace) {
        assert_eq!(verified(&path), (CALLS, CALLS), "{command}");
        let lost: Vec<_> = Trace::open(&path).unwrap().lane_entries(1).collect();
        let all = |entry: &Entry| {
            matches!(entry, Entry::Lost(lost)
                if (lost.index, lost.count, lost.cause) == (0, CALLS, LossCause::Damaged))
        };
        assert!(matches!(&lost[..], [entry] if all(entry)), "{lost:?}");
    }
}

/// A slice leaves out the calls before it on purpose, whatever is damaged in it.
#[test]
fn a_slice_does_not_lack_what_it_leaves_out() {
    let folder = Folder::new();
    let mut slice = sample();
    slice
        .entries
        .retain(|entry| matches!(entry, Entry::Call(call) if call.index >= 100));
    let whole = without_index(&slice.bytes());
    for (place, flip) in [(0, 70), (3, 70), (0, 33), (3, 33)] {
        let mut bytes = whole.clone();
        let (offset, _, taken) = blocks(&whole, 0)[place];
        bytes[offset + flip] ^= 1;
        let trace = folder.text("damaged.hct");
        std::fs::write(&trace, &bytes).unwrap();
        for (command, path) in rewritten(&folder, &trace) {
            let expected = (taken, 2 * (CALLS - 100) - taken);
            assert_eq!(verified(&path), expected, "{command} {place} {flip}");
            assert_eq!(Trace::open(&path).unwrap().lane_start(0), 100, "{command}");
        }
    }
}

/// Two recordings in a file: each counts for itself.
#[test]
fn in_a_joined_file_each_recording_lacks_its_own() {
    let folder = Folder::new();
    let one = sample().bytes();
    // Its index is left out: it is that of a file of its own.
    let one = without_index(&one);
    let joined = [&one[..], &one[32..]].concat();
    let of_lane = blocks(&joined, 0);
    let half = of_lane.len() / 2;
    assert_eq!(of_lane[half].1, 0);
    for places in [
        &[half - 1][..],
        &[half],
        &[half - 1, half],
        &[0, 2 * half - 1],
        &[half + 3],
    ] {
        let mut bytes = joined.clone();
        let mut taken = 0;
        for place in places {
            bytes[of_lane[*place].0 + 70] ^= 1;
            taken += of_lane[*place].2;
        }
        let trace = folder.text("damaged.hct");
        std::fs::write(&trace, &bytes).unwrap();
        for (command, path) in rewritten(&folder, &trace) {
            assert_eq!(
                verified(&path),
                (taken, 4 * CALLS - taken),
                "{command} {places:?}"
            );
        }
    }
}

/// No call is missing then, but what the pages held is not known any more.
#[test]
fn where_changes_of_pages_alone_stood_something_is_missing() {
    const AT: u64 = 100;
    // In the middle of the lane, at its start, at its end, and all that there is of it.
    for (first, last) in [(0, CALLS), (AT, CALLS), (0, AT), (AT, AT)] {
        let folder = Folder::new();
        let mut sample = sample();
        let change = |length: usize, index| {
            Entry::Pages(PageChange {
                lane: 0,
                index,
                when: When::Note,
                page: 0,
                ticks: 0,
                look: 1,
                late: false,
                runs: vec![Run {
                    offset: 0,
                    before: vec![0; length],
                    after: vec![1; length],
                }],
            })
        };
        sample.entries.retain(|entry| {
            let Entry::Call(call) = entry else {
                return true;
            };
            call.lane == 1 || (first..last).contains(&call.index)
        });
        let place = sample.entries.iter().position(
            |entry| matches!(entry, Entry::Call(call) if call.lane == 0 && call.index >= AT),
        );
        // More than a block has room for: it has one of its own.
        let place = place.unwrap_or(sample.entries.len());
        sample.entries.insert(place, change(1024, AT));
        let mut bytes = without_index(&sample.bytes());
        let of_lane = blocks(&bytes, 0);
        let (offset, index, _) = *of_lane.iter().find(|(.., calls)| *calls == 0).unwrap();
        assert_eq!(index, AT);
        bytes[offset + 70] ^= 4;
        let calls = last - first + CALLS;
        let trace = folder.text("damaged.hct");
        std::fs::write(&trace, &bytes).unwrap();
        for (command, path) in rewritten(&folder, &trace) {
            assert_eq!(verified(&path), (0, calls), "{command}");
            let opened = Trace::open(&path).unwrap();
            let lost: Vec<_> = opened
                .entries()
                .filter_map(|entry| match entry {
                    Entry::Lost(lost) => Some((lost.lane, lost.index, lost.how_many())),
                    _ => None,
                })
                .collect();
            assert_eq!(lost, [(0, AT, None)], "{command}");
            hcall()
                .args(["verify", &path])
                .assert()
                .success()
                .stdout(predicates::str::contains("is not whole"));
            // What is missing between calls, or behind them, a test would make up.
            if first < AT {
                for path in [&trace, &path] {
                    let test = folder.text("test.rs");
                    hcall()
                        .args(["gen-test", path, "--lane", "one", "-o", &test])
                        .assert()
                        .code(3);
                }
            }
        }
    }
}

/// Nothing is left of what a recording had of a lane, and the lane of the next recording counts from 0: its calls are not those.
#[test]
fn in_a_joined_file_the_next_recording_does_not_stand_for_what_one_lacks() {
    let folder = Folder::new();
    let mut sample = sample();
    sample.block = 1 << 20;
    let one = without_index(&sample.bytes());
    let joined = [&one[..], &one[32..]].concat();
    let of_lane = blocks(&joined, 0);
    assert_eq!(of_lane.len(), 2, "one in each recording");
    for (recording, (offset, ..)) in of_lane.into_iter().enumerate() {
        let mut bytes = joined.clone();
        // Its header is gone: nobody knows what it was.
        for at in [20, 33, 40] {
            bytes[offset + at] ^= 0xff;
        }
        let trace = folder.text("damaged.hct");
        std::fs::write(&trace, &bytes).unwrap();
        for (command, path) in rewritten(&folder, &trace) {
            let made = Trace::open(&path).unwrap();
            let mut entries = made.entries();
            let (mut unknown, mut calls) = (Vec::new(), [[0; 2]; 2]);
            while let Some(entry) = entries.next() {
                let of = entries.recording();
                match entry {
                    Entry::Lost(lost) => unknown.push((of, lost.lane, lost.how_many())),
                    Entry::Call(call) => calls[of as usize][call.lane as usize] += 1,
                    other => panic!("{command}: {other:?}"),
                }
            }
            let mut expected = [[CALLS; 2]; 2];
            expected[recording][0] = 0;
            assert_eq!(calls, expected, "{command} of {recording}");
            // Lane 1 may have had calls there as well.
            let here = unknown.iter().all(|(of, ..)| *of as usize == recording);
            let told = unknown
                .iter()
                .any(|(_, lane, count)| (*lane, *count) == (0, None));
            assert!(here && told, "{command} of {recording}: {unknown:?}");
            hcall()
                .args(["verify", &path])
                .assert()
                .stdout(predicates::str::contains("an unknown number of calls"));
        }
    }
}

/// What nobody can know is said by every view of the trace, and of what is made of it.
#[test]
fn without_a_header_at_the_end_an_unknown_number_is_told() {
    const TOLD: &str = "an unknown number of calls";
    let folder = Folder::new();
    let mut bytes = without_index(&sample().bytes());
    let last = *blocks(&bytes, 0).last().unwrap();
    bytes[last.0 + 33] ^= 1;
    // More than one bit: nobody knows what it was.
    bytes[last.0 + 40] ^= 0xff;
    bytes[last.0 + 20] ^= 0xff;
    let trace = folder.text("damaged.hct");
    std::fs::write(&trace, &bytes).unwrap();
    let run = |arguments: &[&str]| {
        let output = hcall().args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr))
    };
    let whole = folder.text("whole.hct");
    std::fs::write(&whole, sample().bytes()).unwrap();
    for path in [trace.clone()]
        .into_iter()
        .chain(rewritten(&folder, &trace).into_iter().map(|(_, path)| path))
    {
        let path = path.as_str();
        for arguments in [
            &["show", path][..],
            &["verify", path],
            &["check", path],
            &["state", path],
            &["replay", path, "--all"],
            &["diff", path, &whole],
            &["check", path, "--json"],
        ] {
            let (out, _) = run(arguments);
            assert!(out.contains(TOLD), "{arguments:?}: {out}");
            // What is of no lane has no index in one.
            assert!(!out.contains("(#"), "{arguments:?}: {out}");
        }
        for arguments in [
            &["stat", path][..],
            &["stat", path, "--json"],
            &["show", path, "--json"],
            &["state", path],
            &["replay", path, "--all"],
            &["export", path, "--to", "json"],
            &["export", path, "--to", "pcapng", "-o", "/dev/null"],
        ] {
            let (_, err) = run(arguments);
            assert!(err.contains(TOLD), "{arguments:?}: {err}");
        }
        for (arguments, keys) in [
            (
                &["state", path, "--json"][..],
                &[r#""missing_unknown": true"#][..],
            ),
            (
                &["replay", path, "--json", "--all"],
                &[r#""missing_unknown": true"#],
            ),
            (&["diff", path, &whole, "--json"], &[r#""count":null"#]),
            (
                &["show", path, "--json"],
                &[r#""count":null"#, r#""unknown":true"#],
            ),
            (
                &["verify", path, "--json"],
                &[r#""lost_unknown": 1"#, r#""unknown": true"#],
            ),
        ] {
            let (out, _) = run(arguments);
            assert!(
                keys.iter().any(|key| out.contains(key)),
                "{arguments:?}: {out}"
            );
        }
    }
    for (command, path) in rewritten(&folder, &trace) {
        assert_eq!(verified(&path), (0, 2 * CALLS - last.2), "{command}");
        let opened = Trace::open(&path).unwrap();
        // Only the lane that did not go on lacks something, and only at its end.
        let unknown = |lane| {
            let entries: Vec<_> = opened.lane_entries(lane).collect();
            let at =
                |entry: &Entry| matches!(entry, Entry::Lost(lost) if lost.how_many().is_none());
            (
                entries.iter().filter(|entry| at(entry)).count(),
                entries.last().is_some_and(at),
            )
        };
        assert_eq!(unknown(0), (1, true), "{command}");
        assert_eq!(unknown(1).0, 0, "{command}");
    }
    // What was imported exports to the same lines, and they import again.
    let (lines, again, twice) = (
        folder.text("1.jsonl"),
        folder.text("2.hct"),
        folder.text("2.jsonl"),
    );
    run(&["export", &folder.text("imported.hct"), "-o", &lines]);
    run(&["import", &lines, "-o", &again]);
    run(&["export", &again, "-o", &twice]);
    assert_eq!(
        std::fs::read(&lines).unwrap(),
        std::fs::read(&twice).unwrap()
    );
}

/// Where not even a lane is known, what is missing is said all the same, however often the trace is written again.
#[test]
fn without_any_lane_an_unknown_number_is_told() {
    const TOLD: &str = "an unknown number of calls";
    let folder = Folder::new();
    let whole = sample().bytes();
    let schema = Trace::from_bytes(whole.clone()).unwrap().blocks()[0];
    assert_eq!((schema.offset, schema.header.kind), (32, BlockKind::Schema));
    let clock = usize::try_from(schema.offset + schema.header.span()).unwrap();
    // In the header of the first block, and in that of the second one, behind a whole schema.
    for length in [33, 63, clock + 20] {
        let trace = folder.text("cut.hct");
        std::fs::write(&trace, &whole[..length]).unwrap();
        let described = length > clock;
        let mut made = rewritten_of_nothing(&folder, &trace, described);
        made.push(("the trace", trace));
        for (command, path) in made {
            let run = |arguments: &[&str]| {
                let output = hcall().args(arguments).output().unwrap();
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                text(&output.stdout) + &text(&output.stderr)
            };
            for view in [&["verify", &path][..], &["show", &path], &["stat", &path]] {
                let text = run(view);
                assert!(text.contains(TOLD), "{command} at {length} {view:?} {text}");
            }
            if described {
                for view in [&["check", &path][..], &["state", &path]] {
                    let text = run(view);
                    assert!(text.contains(TOLD), "{command} at {length} {view:?} {text}");
                }
            }
            if command != "the trace" {
                let opened = Trace::open(&path).unwrap();
                let lanes: Vec<_> = opened.lanes().iter().map(|lane| &*lane.name).collect();
                assert_eq!(lanes, ["?"], "{command} at {length}");
                let entries: Vec<_> = opened.entries().collect();
                assert!(
                    matches!(&entries[..], [Entry::Lost(lost)]
                        if lost.how_many().is_none() && lost.cause == LossCause::Damaged),
                    "{command} at {length}: {entries:?}"
                );
            }
        }
    }
}

/// As [`rewritten`], of a trace that may have no schema any more, and what `pack` makes of each.
fn rewritten_of_nothing(
    folder: &Folder,
    trace: &str,
    described: bool,
) -> Vec<(&'static str, String)> {
    let lines = folder.text("lines.jsonl");
    let mut made = Vec::new();
    let mut run = |command: &'static str, from: &str, to: &str, status: i32| {
        let to = folder.text(to);
        hcall()
            .args([command, from, "-o", &to, "--force"])
            .assert()
            .code(status);
        made.push((command, to.clone()));
        to
    };
    hcall()
        .args(["export", trace, "-o", &lines, "--force"])
        .assert()
        .code(4);
    for (command, from) in [
        ("import", &*lines),
        ("pack", trace),
        ("redact", trace),
        ("recover", trace),
    ] {
        let to = run(command, from, &format!("{command}.hct"), 4);
        // That calls are noted as lost is no damage of what is read; that the schema is lost stays one.
        let status = if described { 0 } else { 4 };
        run("pack", &to, &format!("{command}-again.hct"), status);
    }
    made
}

/// Where a schema is lost with its header, the recording that it begins is not.
#[test]
fn in_a_joined_file_a_lost_schema_takes_no_call_in_silence() {
    let folder = Folder::new();
    // An index would stand for the header.
    let one = without_index(&sample().bytes());
    let joined = [&one[..], &one[32..]].concat();
    let trace = folder.text("damaged.hct");
    for wrong in [1, 0xff] {
        for (first, schema) in [(true, 32), (false, one.len())] {
            let mut bytes = joined.clone();
            bytes[schema + 20] ^= wrong;
            std::fs::write(&trace, &bytes).unwrap();
            for (command, path) in rewritten(&folder, &trace) {
                let made = Trace::open(&path).unwrap().verify().unwrap();
                let all = made.calls == 4 * CALLS;
                let told = made.lost_unknown != 0 || made.lost + made.calls == 4 * CALLS;
                assert!(
                    if first { all } else { told },
                    "{command} {schema} {wrong}: {made:?}"
                );
            }
        }
    }
}

/// What a trace notes as lost is no damage; but whole it is not.
#[test]
fn what_is_noted_as_lost_is_not_called_whole() {
    let folder = Folder::new();
    let verify = |name: &str, lost: &[u64]| {
        let mut sample = Sample::life();
        sample.lanes.push("vcpu0".into());
        for (index, count) in lost.iter().enumerate() {
            sample.entries.push(Entry::Lost(Lost {
                lane: 1,
                index: u64::try_from(index).unwrap(),
                count: *count,
                cause: LossCause::RingFull,
                first: 0,
                last: 0,
            }));
        }
        let trace = folder.trace(name, &sample);
        let output = hcall().args(["verify", &trace]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = verify("whole.hct", &[]);
    assert!(
        text.ends_with("\nwhole: every checksum is right\n"),
        "{text}"
    );
    for (lost, told) in [
        (&[7][..], "7 calls are missing"),
        (&[0], "an unknown number of calls may be missing"),
        (
            &[1, 0],
            "1 call is missing, an unknown number of calls may be missing",
        ),
    ] {
        let text = verify("lost.hct", lost);
        let end = format!("\nevery checksum is right, but the trace is not whole: {told}\n");
        assert!(text.ends_with(&end), "{text}");
    }
}

/// Of a joined file each recording was finished, or not, for itself.
#[test]
fn in_a_joined_file_each_recording_has_an_end_of_its_own_or_none() {
    let folder = Folder::new();
    let whole = Sample::life().bytes();
    let mut alive = Sample::life();
    let last = alive.entries.pop();
    assert!(matches!(last, Some(Entry::Call(call)) if call.name() == "destroy_vm"));
    let early = without_index(&alive.bytes());
    let trace = folder.text("joined.hct");
    for (parts, without_end, last_ends) in [
        (vec![&whole, &whole, &whole], vec![], true),
        (vec![&early, &whole, &whole], vec![0], true),
        (vec![&whole, &early, &whole], vec![1], true),
        (vec![&early, &early, &early], vec![0, 1], false),
        (vec![&whole, &whole, &early], vec![], false),
    ] {
        let mut bytes = parts[0].clone();
        parts[1..].iter().for_each(|part| bytes.extend(&part[32..]));
        std::fs::write(&trace, &bytes).unwrap();
        let mut made = vec![("the trace", trace.clone())];
        for (command, from, to) in [
            ("export", "joined.hct", "lines.jsonl"),
            ("import", "lines.jsonl", "imported.hct"),
            ("pack", "joined.hct", "packed.hct"),
            ("pack", "packed.hct", "again.hct"),
            ("redact", "joined.hct", "redacted.hct"),
            ("recover", "joined.hct", "recovered.hct"),
        ] {
            let (from, to) = (folder.text(from), folder.text(to));
            // What the rings of an unfinished one had is not there.
            let lacks = command == "recover" && !(without_end.is_empty() && last_ends);
            hcall()
                .args([command, &from, "-o", &to, "--force"])
                .assert()
                .code(if lacks { 4 } else { 0 });
            if command != "export" {
                made.push((command, to));
            }
        }
        for (command, path) in made {
            let opened = Trace::open(&path).unwrap();
            let ends: Vec<_> = opened.recordings_without_end().into_iter().collect();
            assert_eq!(ends, without_end, "{command}");
            assert_eq!(!opened.ends_early(), last_ends, "{command}");
            assert_eq!(opened.recording_at(u64::MAX) as usize, parts.len() - 1);
            let run = |view: &str| {
                let output = hcall().args([view, &path]).output().unwrap();
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                (text(&output.stdout), text(&output.stderr))
            };
            let (verified, _) = run("verify");
            let (_, shown) = run("show");
            for number in 0..3 {
                let told = format!("recording {number} of the file was not finished");
                let is = without_end.contains(&number);
                assert_eq!(shown.contains(&told), is, "{command}: {shown}");
                assert_eq!(verified.contains(&told), is, "{command}: {verified}");
            }
            let is_whole = without_end.is_empty() && last_ends;
            assert_eq!(
                verified.contains("\nwhole: every checksum is right"),
                is_whole,
                "{command}: {verified}"
            );
            if !is_whole {
                let (checked, _) = run("check");
                assert!(!checked.contains("was never destroyed"), "{checked}");
            }
        }
    }
}
