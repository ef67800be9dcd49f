//! Exported lines say how many they are: what was cut off, or left out, is missed by `import`.

mod common;

use common::{Folder, Sample, hcall, output};
use hypercall_trace::entry::Entry;
use hypercall_trace::read::Trace;
use predicates::prelude::*;
use predicates::str::contains;

const TOLD: &str = "an unknown number of calls";

/// Imports these lines; what is written notes that calls are missing at the end of each lane.
fn lacks(folder: &Folder, lines: &[&str], why: &str) {
    let (path, made) = (folder.text("cut.jsonl"), folder.text("made.hct"));
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    hcall()
        .args(["import", &path, "-o", &made, "--force"])
        .assert()
        .code(4)
        .stderr(contains(why).and(contains(TOLD)));
    for view in ["show", "verify"] {
        let shown = hcall().args([view, &made]).assert();
        shown.stdout(contains(TOLD));
    }
    let trace = Trace::open(&made).unwrap();
    assert!(!trace.lanes().is_empty());
    for lane in trace.lanes() {
        let last = trace.lane_entries(lane.id).last();
        assert!(
            matches!(&last, Some(Entry::Lost(lost)) if lost.how_many().is_none()),
            "{why}: {last:?}"
        );
    }
}

#[test]
fn lines_that_were_cut_off_are_missed() {
    let folder = Folder::new();
    for sample in [Sample::life(), Sample::everything()] {
        let trace = folder.trace("a.hct", &sample);
        let text = output(&["export", &trace]);
        let lines: Vec<_> = text.lines().collect();
        let behind = lines.len() - 2;
        assert_eq!(
            lines.last().copied(),
            Some(&*format!(r#"{{"end":{{"lines":{behind}}}}}"#))
        );
        for left in [1, 2, behind / 2, behind, behind + 1] {
            lacks(&folder, &lines[..left], "the lines have no end");
        }
        let mut without = lines.clone();
        without.remove(behind / 2);
        let why = format!(
            "{} lines are behind the first one, and {behind} were",
            behind - 1
        );
        lacks(&folder, &without, &why);
    }
}

#[test]
fn nothing_stands_behind_the_end() {
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::life());
    let text = output(&["export", &trace]);
    let lines: Vec<_> = text.lines().collect();
    let path = folder.text("more.jsonl");
    for more in [lines[1], lines[lines.len() - 1]] {
        std::fs::write(&path, format!("{text}{more}\n")).unwrap();
        hcall()
            .args(["import", &path, "-o", &folder.text("made.hct")])
            .assert()
            .code(3)
            .stderr(contains("the end of what was exported"));
    }
}

#[test]
fn an_empty_trace_has_an_end_too() {
    let folder = Folder::new();
    let mut sample = Sample::life();
    sample.entries.clear();
    let (trace, path) = (folder.trace("a.hct", &sample), folder.text("a.jsonl"));
    let text = output(&["export", &trace]);
    assert!(text.ends_with("{\"end\":{\"lines\":0}}\n"), "{text}");
    std::fs::write(&path, text).unwrap();
    output(&["import", &path, "-o", &folder.text("b.hct")]);
}
