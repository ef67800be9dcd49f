//! What cannot be written is said, and nothing half is left.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{Folder, Sample, arguments, hcall};

#[test]
fn what_cannot_be_written_is_said_by_every_subcommand() {
    let folder = Folder::new();
    let good = folder.trace("good.hct", &Sample::life());
    let lines = folder.text("good.jsonl");
    std::fs::write(&lines, common::output(&["export", &good])).unwrap();
    std::fs::create_dir(folder.path("folder")).unwrap();
    let outputs = [
        ("/no/such/folder/out.hct".to_owned(), 5, "cannot be written"),
        (format!("{good}/out.hct"), 5, "cannot be written"),
        ("/dev/full".to_owned(), 5, "No space left"),
        (folder.text("folder"), 2, "is a folder"),
        (good.clone(), 2, ""),
    ];
    let writers = [
        "pack IN -o OUT",
        "redact IN -o OUT",
        "recover IN -o OUT",
        "export IN -o OUT",
        "export IN --to pcapng -o OUT",
        "export IN --to dissector -o OUT",
        "import LINES -o OUT",
    ];
    for (out, status, said) in &outputs {
        for line in writers {
            let arguments = arguments(line, &good, "", out);
            let arguments = arguments.iter().map(|word| word.replace("LINES", &lines));
            let output = hcall().args(arguments).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(*status),
                "{line} {out}: {errors}"
            );
            assert!(
                errors.contains(said) && errors.contains("help:"),
                "{line} {out}: {errors}"
            );
        }
    }
    hcall()
        .args(["gen-test", &good, "-o", "/no/such/folder/test.rs"])
        .assert()
        .code(5);
    hcall()
        .args(["demo", "-o", "/no/such/folder/demo.hct"])
        .assert()
        .code(5);
}

#[test]
fn a_full_disk_behind_the_standard_output_is_an_error_of_every_subcommand() {
    let folder = Folder::new();
    let good = folder.trace("good.hct", &Sample::life());
    for line in [
        "show IN",
        "show IN --json",
        "stat IN",
        "stat IN --json",
        "stat IN IN",
        "diff IN IN",
        "diff IN IN --json",
        "replay IN",
        "replay IN --json",
        "check IN",
        "check IN --json",
        "state IN",
        "state IN --json",
        "verify IN",
        "verify IN --json",
        "calls",
        "calls --json",
        "explain start_vm",
        "explain start_vm --json",
        "export IN",
        "export IN --to pcapng",
        "export IN --to dissector",
        "completions bash",
        "demo -o OUT",
        "pack IN -o OUT2",
        "redact IN -o OUT3",
        "recover IN -o OUT4",
        "gen-test IN -o OUT5.rs",
    ] {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = Command::new(assert_cmd::cargo::cargo_bin!("hcall"))
            .args(arguments(line, &good, "", &folder.text("out")))
            .stdout(full)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{line}: {errors}");
        assert!(errors.contains("No space left"), "{line}: {errors}");
    }
}

/// The names in a folder.
fn names(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path("")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn an_interrupted_run_leaves_what_was_there() {
    use std::io::{Read as _, Write as _};
    let folder = Folder::new();
    let good = folder.trace("good.hct", &Sample::life());
    let old = folder.text("old.hct");
    std::fs::write(&old, "kept").unwrap();
    let text = common::output(&["export", &good]);
    for (out, force) in [(&old, true), (&folder.text("new.hct"), false)] {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("hcall"))
            .args(["import", "-", "-o", out])
            .args(force.then_some("--force"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        // It has begun to write when there is a file beside the one that was asked for.
        while !names(&folder).iter().any(|name| name.ends_with(".partial")) {
            assert!(child.try_wait().unwrap().is_none());
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut said = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(said, "");
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "kept");
        assert!(!folder.path("new.hct").exists());
        for name in names(&folder)
            .iter()
            .filter(|name| name.ends_with(".partial"))
        {
            std::fs::remove_file(folder.path(name)).unwrap();
        }
    }
    // One that fails leaves nothing beside it either.
    std::fs::write(folder.path("broken.jsonl"), format!("{text}{{}}\n")).unwrap();
    hcall()
        .args([
            "import",
            &folder.text("broken.jsonl"),
            "-o",
            &old,
            "--force",
        ])
        .assert()
        .code(3);
    assert_eq!(std::fs::read_to_string(&old).unwrap(), "kept");
    assert_eq!(names(&folder), ["broken.jsonl", "good.hct", "old.hct"]);
    // One that ends well replaces it, also where a link leads to it, and devices are written as they are.
    std::os::unix::fs::symlink(&old, folder.path("link.hct")).unwrap();
    common::output(&["pack", &good, "-o", &folder.text("link.hct"), "--force"]);
    common::output(&["verify", &old]);
    assert!(Path::new(&folder.text("link.hct")).is_symlink());
    common::output(&["pack", &good, "-o", "/dev/null"]);
    common::output(&["pack", &good, "-o", &folder.text(&"n".repeat(255))]);
    let given = hcall()
        .args(["pack", &good, "-o", "/dev/stdout"])
        .output()
        .unwrap();
    assert!(given.stdout.starts_with(b"\x89HCT"));
}
