//! A description that damage took is not taken for one that never was, whatever is made of the trace.

mod common;

use common::{Folder, Sample, hcall};
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::Trace;
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
                told.stdout(contains(text).and(contains("what is left").not()));
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
