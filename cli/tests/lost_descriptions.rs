//! A description that damage took is not taken for one that never was, whatever is made of the trace.

mod common;

use common::{Folder, Sample, hcall};
use hypercall_trace::clock::{ClockInfo, ClockPoint};
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::Trace;
use hypercall_trace::write::{Options, Writer};
use predicates::prelude::*;
use predicates::str::contains;

/// The trace with some bytes of the last block of this kind turned over, from an offset in the block on.
fn damaged(folder: &Folder, kind: BlockKind, places: &[usize]) -> String {
    let mut bytes = Sample::everything().bytes();
    let trace = Trace::from_bytes(bytes.clone()).unwrap();
    // The index says where the blocks are; without it a damaged header is a damaged stretch.
    let end = usize::try_from(trace.blocks().last().unwrap().offset).unwrap();
    let block = trace
        .blocks()
        .iter()
        .rfind(|block| block.header.kind == kind)
        .unwrap();
    for place in places {
        bytes[usize::try_from(block.offset).unwrap() + place] ^= 0xff;
    }
    bytes.truncate(end);
    let path = folder.text("damaged.hct");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Every way in which a trace becomes another one, and what is made of that.
fn rewritten(folder: &Folder, trace: &str) -> Vec<(String, String)> {
    let run = |arguments: &[&str]| {
        hcall().args(arguments).arg("--force").assert().code(4);
    };
    let (lines, imported) = (folder.text("lines.jsonl"), folder.text("imported.hct"));
    run(&["export", trace, "-o", &lines]);
    run(&["import", &lines, "-o", &imported]);
    let mut made = vec![("import".to_owned(), imported)];
    for command in ["pack", "redact", "recover"] {
        let to = folder.text(&format!("{command}.hct"));
        let mut arguments = vec![command, trace, "-o", &to];
        if command == "redact" {
            arguments.extend(["--undescribed", "hash"]);
        }
        run(&arguments);
        made.push((command.to_owned(), to.clone()));
        let again = folder.text(&format!("{command}-again.hct"));
        run(&["pack", &to, "-o", &again]);
        made.push((format!("pack of {command}"), again));
    }
    made
}

#[test]
fn what_is_made_of_a_trace_without_a_schema_is_not_judged_either() {
    let folder = Folder::new();
    for places in [&[70][..], &[20, 33, 40]] {
        let trace = damaged(&folder, BlockKind::Schema, places);
        let all = [("the trace".to_owned(), trace.clone())];
        for (made, path) in all.into_iter().chain(rewritten(&folder, &trace)) {
            let is_made = path != trace;
            let made = format!("{made}, bytes {places:?}");
            for arguments in [
                &["check", &path][..],
                &["state", &path],
                &["replay", &path],
                &["diff", &path, &path],
            ] {
                let output = hcall().args(arguments).output().unwrap();
                let text = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(3), "{made} {arguments:?} {text}");
                assert!(text.contains("nothing can be judged"), "{made}: {text}");
            }
            for arguments in [&["show", &path][..], &["stat", &path], &["export", &path]] {
                let output = hcall().args(arguments).output().unwrap();
                let text = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(4), "{made} {arguments:?} {text}");
                assert!(text.contains("the schema "), "{made}: {text}");
            }
            let told = hcall().args(["verify", &path]).assert().code(1);
            // Of a damaged header nobody knows whose it was.
            if is_made {
                let text =
                    "damaged: the schema: it was damaged in the trace that this one was made from";
                told.stdout(contains(text).and(contains("what is left: ").not()));
            }
            // Every call is there all the same.
            let calls = Trace::open(&path).unwrap().verify().unwrap().calls;
            let whole = Trace::from_bytes(Sample::everything().bytes()).unwrap();
            assert_eq!(calls, whole.verify().unwrap().calls, "{made}");
        }
    }
}

#[test]
fn a_lost_point_of_the_clock_and_a_lost_name_of_a_lane_stay_lost() {
    let folder = Folder::new();
    for (kind, told) in [
        (BlockKind::Clock, "a point of the clock cannot be read"),
        (BlockKind::Lane, "the name of lane 1 cannot be read"),
    ] {
        let trace = damaged(&folder, kind, &[65]);
        for (made, path) in rewritten(&folder, &trace) {
            let shown = hcall().args(["show", &path]).assert().code(4);
            shown.stderr(contains(told).and(contains("that this one was made from")));
            let report = Trace::open(&path).unwrap().verify().unwrap();
            assert_eq!(report.damaged.len(), 1, "{made}: {report:?}");
            if kind == BlockKind::Lane {
                hcall()
                    .args(["show", &path, "--lane", "lane 1"])
                    .assert()
                    .stdout(contains("lane 1#0"));
            }
        }
        // What was imported exports to the same lines.
        let again = folder.text("again.jsonl");
        hcall()
            .args(["export", &folder.text("imported.hct"), "-o", &again])
            .arg("--force")
            .assert()
            .code(4);
        let lines = |path: &str| std::fs::read_to_string(path).unwrap();
        assert_eq!(lines(&folder.text("lines.jsonl")), lines(&again));
    }
}

#[test]
fn a_trace_without_interfaces_is_whole() {
    let folder = Folder::new();
    let empty = Sample {
        schema: hypercall_trace::schema::Schema::default(),
        lanes: vec!["main".into()],
        entries: Vec::new(),
        block: 1024,
    };
    let (trace, packed) = (folder.trace("empty.hct", &empty), folder.text("packed.hct"));
    hcall()
        .args(["pack", &trace, "-o", &packed])
        .assert()
        .success();
    hcall().args(["verify", &packed]).assert().success();
    hcall().args(["check", &packed]).assert().success();
}

/// A trace with three points of the clock, of which the first does not say how fast it is, as in a recording; with an index. And where
/// the other two points are.
fn three_points() -> (Vec<u8>, [usize; 2]) {
    let sample = Sample::everything();
    let point = |frequency, ticks| ClockPoint {
        frequency,
        ticks,
        unix_nanoseconds: 1_767_225_600_000_000_000,
    };
    let clock = ClockInfo {
        first: point(0, 1_000_000),
        last: point(1_000_000_000, 1_001_000_000),
    };
    let options = Options::default();
    let mut writer = Writer::new(Vec::new(), &sample.schema, clock, options).unwrap();
    for lane in &sample.lanes {
        writer.lane(lane).unwrap();
    }
    for entry in &sample.entries {
        writer.push(entry).unwrap();
    }
    let made = writer.finish().unwrap();
    let trace = Trace::from_bytes(made.clone()).unwrap();
    let offsets: Vec<usize> = trace
        .blocks()
        .iter()
        .map(|block| usize::try_from(block.offset).unwrap())
        .collect();
    let [.., last, index] = offsets[..] else {
        panic!("no blocks");
    };
    let mut bytes = [&made[..index], &made[last..index]].concat();
    let again = bytes.len();
    // The index lists the block that was put in, too.
    let mut body = Vec::new();
    for offset in offsets[..offsets.len() - 1].iter().copied().chain([index]) {
        body.extend_from_slice(&(offset as u64).to_le_bytes());
        body.extend_from_slice(&bytes[offset..offset + 64]);
    }
    body.extend_from_slice(&(again as u64).to_le_bytes());
    body.extend_from_slice(b"HCTINDEX");
    let mut header = made[index..index + 64].to_vec();
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    header[5] = 0;
    header[8..12].copy_from_slice(&length);
    header[12..16].copy_from_slice(&length);
    header[28..32].copy_from_slice(&common::crc(&body).to_le_bytes());
    let crc = common::crc(&header[..60]).to_le_bytes();
    header[60..].copy_from_slice(&crc);
    bytes.extend(header);
    bytes.extend(body);
    (bytes, [last, index])
}

#[test]
fn a_point_of_the_clock_between_the_others_is_used_where_the_last_one_is_damaged() {
    let folder = Folder::new();
    let (whole, [middle, last]) = three_points();
    let file = |name: &str, place: Option<usize>| {
        let mut bytes = whole.clone();
        if let Some(place) = place {
            bytes[place] ^= 0x10;
        }
        std::fs::write(folder.path(name), bytes).unwrap();
        folder.text(name)
    };
    let good = file("good.hct", None);
    hcall().args(["verify", &good]).assert().code(0);
    let views = [
        &["show"][..],
        &["show", "--json"],
        &["stat"],
        &["state"],
        &["export"],
    ];
    let run = |view: &[&str], path: &str| hcall().args(view).arg(path).output().unwrap();
    // Of the middle one, the header or the bytes: nothing depends on it, and only verify tells.
    for place in [middle + 20, middle + 70] {
        let path = file("middle.hct", Some(place));
        hcall()
            .args(["verify", &path])
            .assert()
            .code(1)
            .stdout(contains("a point of the clock"));
        for view in views {
            let (of_it, of_good) = (run(view, &path), run(view, &good));
            assert!(of_it == of_good, "{view:?}");
        }
    }
    // Of the last one: the middle one says how fast the clock is.
    let path = file("last.hct", Some(last + 70));
    for view in [&["show"][..], &["stat"], &["show", "--slower", "2us"]] {
        let (of_it, of_good) = (run(view, &path), run(view, &good));
        assert!(of_it.stdout == of_good.stdout, "{view:?}");
        assert_eq!(of_it.status.code(), Some(4));
        let told = String::from_utf8(of_it.stderr).unwrap();
        assert!(told.contains("times may be a little off"), "{told}");
    }
}
