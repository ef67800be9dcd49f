//! Exit statuses, errors, pipes.

mod common;

use std::io::Read as _;
use std::process::Stdio;

use common::{Folder, Sample, hcall, output};
use predicates::str::contains;

#[test]
fn help_has_the_table_of_statuses() {
    let help = output(&["--help"]);
    for status in hypercall_cli::Status::ALL {
        assert!(
            help.contains(&format!("  {}  {}", status.code(), status.meaning())),
            "{help}"
        );
    }
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/hcall.md")).unwrap();
    for status in hypercall_cli::Status::ALL {
        assert!(
            page.contains(&format!("| {} | {} |", status.code(), status.meaning())),
            "{status:?}"
        );
    }
}

#[test]
fn each_status_is_met() {
    let folder = Folder::new();
    let good = folder.trace("good.hct", &Sample::life());
    let status = |arguments: &[&str], code: i32| hcall().args(arguments).assert().code(code);
    status(&["show", &good], 0);
    status(&["verify", &good], 0);
    status(&["diff", &good, &good], 0);
    status(&["check", &good], 1).stdout(contains("start_vm"));
    status(&["shwo"], 2).stderr(contains("show"));
    status(&["show"], 2);
    status(&["show", &folder.text("none.hct")], 3)
        .stderr(contains("there is no trace"))
        .stderr(contains("hcall demo"));
    status(&["verify", &folder.text("")], 3).stderr(contains("folder"));
    status(&["pack", &good, "-o", "/no/such/folder/x.hct"], 5)
        .stderr(contains("cannot be written"));
    let other = folder.text("other.hct");
    status(&["pack", &good, "-o", &other], 0);
    status(&["pack", &good, "-o", &other], 2).stderr(contains("--force"));
    status(&["pack", &good, "-o", &other, "--force"], 0);
}

#[test]
fn the_input_is_never_overwritten() {
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::life());
    let before = std::fs::read(&trace).unwrap();
    let link = folder.text("link.hct");
    std::os::unix::fs::symlink(&trace, &link).unwrap();
    for command in ["pack", "redact", "export", "import", "recover"] {
        for output in [&trace, &link] {
            hcall()
                .args([command, &trace, "-o", output, "--force"])
                .assert()
                .code(if command == "import" { 3 } else { 2 });
            assert_eq!(std::fs::read(&trace).unwrap(), before, "{command}");
        }
    }
}

#[test]
fn what_is_no_trace_is_named() {
    let folder = Folder::new();
    let file = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path(name), bytes).unwrap();
        folder.text(name)
    };
    let mut newer = Sample::life().bytes();
    newer[8] = 9;
    let crc = common::crc(&newer[..28]);
    newer[28..32].copy_from_slice(&crc.to_le_bytes());
    let cases = [
        (file("empty", b""), "empty"),
        (
            file(
                "text",
                b"this is a letter, and a long one, not a trace of any kind",
            ),
            "not a trace",
        ),
        (file("newer", &newer), "version 9"),
        (file("head", &Sample::life().bytes()[..20]), "header"),
    ];
    for command in [
        "show", "stat", "verify", "check", "state", "replay", "export", "calls",
    ] {
        for (path, said) in &cases {
            hcall()
                .args([command, path])
                .assert()
                .code(3)
                .stderr(contains(*said))
                .stderr(contains("help:"));
        }
    }
}

#[test]
fn a_pipe_that_closes_ends_quietly() {
    let folder = Folder::new();
    let trace = folder.trace("many.hct", &Sample::many(50_000));
    for arguments in [
        &["show", &trace][..],
        &["show", &trace, "--json"],
        &["export", &trace],
        &["calls"],
        &["--help"],
    ] {
        let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("hcall"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn nobody_who_reads_errors_is_no_crash() {
    let folder = Folder::new();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("hcall"))
        .args(["show", &folder.text("none.hct")])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn a_full_disk_is_an_output_error() {
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::life());
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = std::process::Command::new(assert_cmd::cargo::cargo_bin!("hcall"))
        .args(["show", &trace])
        .stdout(full)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(5));
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(
            output(&["completions", shell]).contains("gen-test"),
            "{shell}"
        );
    }
}
