//! The way of the README: a demo's trace shows, checks, compares, exports, replays, and becomes a test.

mod common;

use std::path::Path;

use common::{Folder, hcall, output};

#[test]
fn the_demo_goes_all_the_way() {
    let folder = Folder::new();
    let trace = folder.text("run.hct");
    let told = output(&["demo", "--output", &trace]);
    assert!(told.contains(&trace), "the output names the file: {told}");
    assert!(told.contains("start_vm(vm=VmId(2)) = -1 EPERM"), "{told}");
    assert!(
        told.contains("12 calls, each answered as recorded"),
        "{told}"
    );
    // What it says to type next can be typed, and does what it says.
    let next: Vec<_> = told
        .lines()
        .filter_map(|line| line.split_once("hcall ").or(line.split_once(" -- ")))
        .filter_map(|(_, typed)| typed.split_once("  #"))
        .collect();
    assert_eq!(next.len(), 8, "{told}");
    for (typed, what) in next {
        let words = typed.split_whitespace().map(|word| word.trim_matches('\''));
        let run = hcall()
            .args(words)
            .current_dir(folder.path(""))
            .output()
            .unwrap();
        let finds = i32::from(what.contains("finds"));
        assert_eq!(run.status.code(), Some(finds), "{typed}");
        assert!(!run.stdout.is_empty(), "{typed}");
    }
    // Again, over the old trace.
    output(&["demo", "-o", &trace]);
    output(&["verify", &trace]);
    let other = folder.text("other.hct");
    output(&["demo", "-o", &other]);
    output(&["diff", &trace, &other]);
    output(&["replay", &trace]);
    hcall()
        .args(["check", &trace])
        .assert()
        .code(1)
        .stdout(predicates::str::contains("1 finding\n"));
    assert!(
        output(&["show", &trace, "--json"])
            .lines()
            .any(|line| line.contains("\"call\":\"create_vm\""))
    );
    // Bytes that are hashes are no requests.
    assert!(output(&["show", &trace]).contains("PENDING"));
    let redacted = folder.text("redacted.hct");
    output(&["redact", &trace, "--bytes", "-o", &redacted]);
    let shown = output(&["show", &redacted]);
    assert!(
        shown.contains("--- page 0 ") && !shown.contains("vCPU"),
        "{shown}"
    );
    let test = folder.text("field_run.rs");
    output(&["gen-test", &trace, "-o", &test]);
    let made = std::fs::read_to_string(&test).unwrap();
    // That one is compiled and run with the other tests.
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field_run.rs");
    if std::env::var("SNAPSHOTS").is_ok_and(|action| action == "overwrite") {
        std::fs::write(&kept, &made).unwrap();
        std::fs::copy(folder.path("field_run.hct"), kept.with_extension("hct")).unwrap();
    }
    // Of an interface that is not ACRN's, it names that one's.
    let own = [
        "--types",
        "mine::*",
        "--types",
        "mine::kinds::*",
        "--crate",
        "hypercall_core",
    ];
    let mut arguments = vec!["gen-test", &trace, "-o", &test, "--force"];
    arguments.extend(own);
    arguments.extend(["--trace-crate", "hypercall_trace"]);
    output(&arguments);
    let other = std::fs::read_to_string(&test).unwrap();
    assert!(other.contains("use mine::*;\nuse mine::kinds::*;\nuse hypercall_core::{Client,"));
    assert!(other.contains("use hypercall_trace::replay::Replayer;") && !other.contains("acrn"));
    assert_eq!(
        made,
        std::fs::read_to_string(kept).unwrap(),
        "run it with SNAPSHOTS=overwrite if that is right"
    );
}

#[test]
fn the_demo_without_a_file_name_names_its_own() {
    let folder = Folder::new();
    let run = hcall()
        .arg("demo")
        .current_dir(folder.path(""))
        .output()
        .unwrap();
    assert!(run.status.success());
    assert!(String::from_utf8_lossy(&run.stdout).contains("demo.hct"));
    assert!(folder.path("demo.hct").exists());
}

#[test]
fn the_demo_does_not_overwrite_what_is_no_trace() {
    let folder = Folder::new();
    std::fs::write(folder.path("letter"), "Dear all").unwrap();
    hcall()
        .args(["demo", "-o", &folder.text("letter")])
        .assert()
        .code(2);
    assert_eq!(
        std::fs::read_to_string(folder.path("letter")).unwrap(),
        "Dear all"
    );
}
