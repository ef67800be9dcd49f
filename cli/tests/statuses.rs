//! Exit statuses, errors, pipes.

mod common;

use std::io::Read as _;
use std::process::Stdio;
use std::sync::Arc;

use common::{Folder, Sample, hcall, output};
use hypercall_trace::entry::{Entry, LossCause, Lost, Unknown};
use hypercall_trace::read::Trace;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;

/// The same entries, with a clock whose speed is not known, as a recording has that was killed at once.
fn without_frequency(folder: &Folder, sample: &Sample) -> String {
    let options = hypercall_trace::write::Options::default();
    let clock = hypercall_trace::clock::ClockInfo::default();
    let mut writer =
        hypercall_trace::write::Writer::new(Vec::new(), &sample.schema, clock, options).unwrap();
    for lane in &sample.lanes {
        writer.lane(lane).unwrap();
    }
    for entry in &sample.entries {
        writer.push(entry).unwrap();
    }
    std::fs::write(folder.path("timeless.hct"), writer.finish().unwrap()).unwrap();
    folder.text("timeless.hct")
}

#[test]
fn a_clock_without_a_frequency_chooses_nothing_and_invents_nothing() {
    let folder = Folder::new();
    let path = without_frequency(&folder, &Sample::life());
    for option in ["--slower", "--since", "--until"] {
        for command in ["show", "stat"] {
            hcall()
                .args([command, &path, option, "1us"])
                .assert()
                .code(3)
                .stdout("")
                .stderr(contains("how fast its clock is"));
        }
    }
    hcall().args(["show", &path]).assert().code(0);
    hcall()
        .args(["export", &path, "--to", "pcapng"])
        .assert()
        .code(0)
        .stderr(contains("no packet has a time"));
}

#[test]
fn replay_says_what_it_did_not_do() {
    let folder = Folder::new();
    let whole = folder.trace("whole.hct", &Sample::life());
    hcall().args(["replay", &whole]).assert().code(0).stderr("");
    let of = |how: &dyn Fn(&mut Sample)| {
        let mut sample = Sample::life();
        how(&mut sample);
        folder.trace("part.hct", &sample)
    };
    // An interface that the fake does not have: nothing is made.
    let strange = of(&|sample| {
        for entry in &mut sample.entries {
            if let Entry::Call(call) = entry {
                call.schema = None;
            }
        }
    });
    hcall()
        .args(["replay", &strange])
        .assert()
        .code(4)
        .stdout(contains("nothing was compared").and(contains("secret").not()))
        .stdout(contains("interface has no such call"))
        .stderr(contains("not made"));
    // One line for a reason, not for a call: here all have the same.
    let many = of(&|sample| {
        let call = sample.entries.iter().find_map(|entry| match entry {
            Entry::Call(call) => Some(call.clone()),
            _ => None,
        });
        let call = call.unwrap();
        sample.entries = (0..30)
            .map(|index| {
                let (schema, enter) = (None, index);
                Entry::Call(hypercall_trace::entry::Call {
                    index,
                    schema,
                    enter,
                    ..call.clone()
                })
            })
            .collect();
    });
    let output = hcall().args(["replay", &many]).assert().code(4);
    let shown = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    assert!(
        shown.contains("30 calls were not made: of each, the driver's interface has no such call")
            && shown.contains("\n  and 20 more\n"),
        "{shown}"
    );
    assert!(shown.lines().count() < 20, "{shown}");
    // Of an interface that is not ACRN's nothing can be: that is all there is to say, once.
    let mut other = Sample::own();
    let mut schema = other.schema.clone();
    for call in schema.interfaces.iter_mut().flat_map(|of| &mut of.calls) {
        let call = Arc::make_mut(call);
        call.name = format!("own_{}", call.name);
    }
    for entry in &mut other.entries {
        if let Entry::Call(call) = entry {
            call.schema = schema.find(None, &format!("own_{}", call.name())).cloned();
        }
    }
    other.schema = schema;
    let own = folder.trace("own.hct", &other);
    hcall()
        .args(["replay", &own])
        .assert()
        .code(4)
        .stdout(
            "the fake is ACRN's, and the trace has Own: nothing can be replayed here; `hcall gen-test --types` makes a test \
             of it\n",
        )
        .stderr("");
    hcall()
        .args(["replay", &own, "--json"])
        .assert()
        .code(4)
        .stdout(contains("other_interface"));
    // Calls were lost.
    let lost = of(&|sample| {
        let index = sample.entries.len() as u64;
        sample.entries.push(Entry::Lost(Lost {
            lane: 0,
            index,
            count: 7,
            cause: LossCause::RingFull,
            first: 2_000_000,
            last: 2_000_001,
        }));
    });
    hcall()
        .args(["replay", &lost])
        .assert()
        .code(4)
        .stdout(contains("not all that was recorded"))
        .stderr(contains("7 calls missing"));
}

#[test]
fn diff_says_what_stopped_it() {
    let folder = Folder::new();
    let (left, right) = (
        folder.trace("left.hct", &Sample::many(9)),
        folder.trace("right.hct", &Sample::life()),
    );
    let diff = |limit: &[&str]| {
        let arguments = [&["diff", &left, &right], limit].concat();
        let output = hcall().args(arguments).assert().code(1);
        String::from_utf8_lossy(&output.get_output().stdout).into_owned()
    };
    let shown = diff(&["--limit", "2"]);
    assert!(
        shown.ends_with("2 differences; stopped at --limit 2, the rest was not compared\n"),
        "{shown}"
    );
    assert!(!diff(&[]).contains("stopped"));
}

#[test]
fn grep_hides_neither_losses_nor_damage_and_finds_pages() {
    let folder = Folder::new();
    let mut sample = Sample::everything();
    sample.block = 1024;
    let trace = folder.trace("a.hct", &sample);
    hcall()
        .args(["show", &trace, "--grep", "0x40"])
        .assert()
        .stdout(contains("page 0 seen changed").and(contains("7 calls of vcpu0 are missing")));
    hcall()
        .args(["show", &trace, "--grep", "no such text"])
        .assert()
        .stdout(contains("are missing").and(contains("page 0").not()));
    let mut bytes = std::fs::read(&trace).unwrap();
    let place = Trace::open(&trace).unwrap().data().next().unwrap().offset;
    bytes[usize::try_from(place).unwrap() + 70] ^= 1;
    std::fs::write(&trace, bytes).unwrap();
    hcall()
        .args(["show", &trace, "--grep", "no such text"])
        .assert()
        .code(4)
        .stdout(contains("cannot be read"));
}

#[test]
fn records_that_this_version_does_not_know_are_not_left_out_in_silence() {
    let folder = Folder::new();
    let good = folder.trace("good.hct", &Sample::life());
    let mut sample = Sample::life();
    let index = sample.entries.len() as u64;
    // Three words: checksum, length and kind; the time; something.
    let mut record = vec![0; 24];
    record[4..8].copy_from_slice(&[3, 0, 0, 0x70]);
    let covered = [&record[8..], &record[4..8]].concat();
    record[..4].copy_from_slice(&common::crc(&covered).to_le_bytes());
    sample.entries.push(Entry::Unknown(Unknown {
        lane: 0,
        index,
        kind: 0x70,
        bytes: record,
    }));
    let trace = folder.trace("newer.hct", &sample);
    let out = folder.text("out.hct");
    for line in [
        "stat IN",
        "redact IN -o OUT --force",
        "check IN",
        "state IN",
        "replay IN",
    ] {
        let output = hcall()
            .args(common::arguments(line, &trace, &good, &out))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains("does not know"), "{line}: {errors}");
        assert!(matches!(output.status.code(), Some(1 | 4)), "{line}");
    }
    for line in ["diff IN GOOD", "diff GOOD IN"] {
        hcall()
            .args(common::arguments(line, &trace, &good, &out))
            .assert()
            .code(1)
            .stdout(contains("does not know"));
    }
}

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

#[test]
fn rings_are_asked_for_where_nothing_reached_the_file() {
    let folder = Folder::new();
    let file = folder.text("killed.hct");
    std::fs::write(&file, "").unwrap();
    hcall()
        .args(["recover", &file, "-o", &folder.text("whole.hct")])
        .assert()
        .code(3)
        .stderr(contains("name the rings with --rings").and(contains("can be read").not()));
}

#[test]
fn check_does_not_praise_what_it_has_no_rules_for() {
    let folder = Folder::new();
    let own = folder.trace("own.hct", &Sample::own());
    hcall()
        .args(["check", &own])
        .assert()
        .code(0)
        .stdout("no rules for this interface (Own): they are ACRN's\n");
    // Nor where there is no end.
    let trace = Trace::open(&own).unwrap();
    let index = usize::try_from(trace.blocks().last().unwrap().offset).unwrap();
    let bytes = std::fs::read(&own).unwrap();
    std::fs::write(&own, &bytes[..index]).unwrap();
    hcall()
        .args(["check", &own])
        .assert()
        .stdout(contains("no rules for this interface"))
        .stderr(contains("was not finished"));
}

#[test]
fn a_test_of_an_own_interface_needs_its_types() {
    let folder = Folder::new();
    let own = folder.trace("own.hct", &Sample::own());
    let test = folder.text("own_test.rs");
    hcall()
        .args(["gen-test", &own, "-o", &test])
        .assert()
        .code(2)
        .stdout("")
        .stderr(contains("interface Own").and(contains("--types")));
    assert!(!folder.path("own_test.rs").exists());
    hcall()
        .args(["gen-test", &own, "-o", &test, "--types", "mine::*"])
        .assert()
        .code(0);
}
