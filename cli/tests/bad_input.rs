//! Traces that are cut, damaged or hostile: what can be read is shown, what cannot is counted, nothing panics.

mod common;

use std::process::Command;

use common::{Folder, Sample, arguments, hcall};
use hypercall_trace::entry::Entry;
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::Trace;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;

/// Every way to read a trace: the command line, in which `IN`, `GOOD` and `OUT` stand for files.
const READERS: [&str; 19] = [
    "show IN",
    "show IN --json",
    "show IN --follow",
    "stat IN",
    "stat GOOD IN",
    "diff IN GOOD",
    "diff GOOD IN",
    "replay IN",
    "check IN",
    "state IN --at 2",
    "verify IN",
    "calls IN",
    "export IN",
    "export IN --to pcapng -o OUT",
    "pack IN -o OUT",
    "redact IN -o OUT",
    "recover IN -o OUT",
    "recover --rings IN -o OUT",
    "gen-test IN -o OUT.rs",
];

#[test]
fn what_cannot_be_read_at_all_is_said_by_every_subcommand() {
    let folder = Folder::new();
    let good = folder.trace("good.hct", &Sample::life());
    let file = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path(name), bytes).unwrap();
        folder.text(name)
    };
    let pipe = folder.text("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    std::fs::create_dir(folder.path("folder")).unwrap();
    let inputs = [
        ("missing", folder.text("none.hct")),
        ("below a file", format!("{good}/x.hct")),
        ("a folder", folder.text("folder")),
        ("a pipe that nobody writes", pipe),
        ("a device", "/dev/zero".to_owned()),
        (
            "a letter",
            file("letter", &b"this is a letter, not a trace. ".repeat(9)),
        ),
        ("zeros", file("zeros", &[0; 4096])),
    ];
    let out = folder.text("out");
    for (what, input) in &inputs {
        for line in READERS {
            let arguments = arguments(line, input, &good, &out);
            let output = hcall()
                .args(&arguments)
                .timeout(std::time::Duration::from_secs(60))
                .output()
                .unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(3), "{what}: {line}: {errors}");
            assert!(errors.contains("help:"), "{what}: {line}: {errors}");
            assert!(output.stdout.is_empty(), "{what}: {line}");
            let left: Vec<_> = std::fs::read_dir(folder.path(""))
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .filter(|name| name.to_string_lossy().contains("out"))
                .collect();
            assert!(left.is_empty(), "{what}: {line}: {left:?}");
        }
    }
}

#[test]
fn a_later_minor_version_is_read_and_a_later_major_one_is_not() {
    let folder = Folder::new();
    let trace = |at: usize| {
        let mut bytes = Sample::life().bytes();
        bytes[at] = 9;
        let crc = common::crc(&bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
        std::fs::write(folder.path("other.hct"), bytes).unwrap();
        folder.text("other.hct")
    };
    common::output(&["show", &trace(10)]);
    let newer = trace(8);
    let good = folder.trace("good.hct", &Sample::life());
    for line in READERS.iter().filter(|line| !line.contains("--rings")) {
        hcall()
            .args(arguments(line, &newer, &good, &folder.text("out")))
            .assert()
            .code(3)
            .stderr(contains("version 9"));
    }
}

/// Every subcommand that reads a trace, with one that is broken.
fn all(path: &str, folder: &Folder) {
    let out = folder.text("out");
    for command in [
        "show", "stat", "verify", "check", "state", "replay", "export", "calls",
    ] {
        run(&[command, path]);
    }
    run(&["show", path, "--json", "--raw"]);
    run(&["show", path, "--hex", "--full", "--hints"]);
    run(&["diff", path, path]);
    run(&["export", path, "--to", "pcapng", "-o", &out, "--force"]);
    run(&["export", path, "--to", "dissector"]);
    for command in ["pack", "redact", "recover"] {
        run(&[command, path, "-o", &out, "--force"]);
    }
    run(&["gen-test", path, "-o", &folder.text("test.rs"), "--force"]);
}

/// It ends by itself, with one of the documented statuses, and says nothing of a panic.
fn run(arguments: &[&str]) {
    let output = hcall()
        .args(arguments)
        .timeout(std::time::Duration::from_secs(60))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
    assert!(
        matches!(output.status.code(), Some(0..=5)),
        "{arguments:?}: {:?} {errors}",
        output.status
    );
}

#[test]
fn a_cut_trace_shows_what_is_left() {
    let folder = Folder::new();
    let mut sample = Sample::many(5000);
    sample.block = 4096;
    let bytes = sample.bytes();
    let path = folder.text("cut.hct");
    std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
    hcall()
        .args(["show", &path])
        .assert()
        .code(4)
        .stdout(contains("#0 "))
        .stderr(contains("cannot be read"));
    hcall()
        .args(["verify", &path])
        .assert()
        .code(1)
        .stdout(contains("the file ends inside a block"));
    hcall()
        .args(["stat", &path, "--json"])
        .assert()
        .code(4)
        .stdout(contains("\"inject_msi\""));
    all(&path, &folder);
    // What recover makes of it is whole.
    hcall()
        .args(["recover", &path, "-o", &folder.text("whole.hct")])
        .assert()
        .code(4);
    hcall()
        .args(["verify", &folder.text("whole.hct")])
        .assert()
        .code(0);
}

#[test]
fn any_damage_is_noticed_by_every_view() {
    let folder = Folder::new();
    let mut sample = Sample::everything();
    sample.block = 1024;
    let bytes = sample.bytes();
    let path = folder.text("damaged.hct");
    let good = folder.trace("good.hct", &sample);
    // Some bytes everywhere, and one of each block that describes.
    let mut places: Vec<_> = (0..bytes.len()).step_by(bytes.len() / 23).collect();
    let trace = Trace::open(&good).unwrap();
    let describing = trace.blocks().iter().filter(|block| {
        let kind = block.header.kind;
        matches!(kind, BlockKind::Schema | BlockKind::Lane | BlockKind::Clock)
    });
    places.extend(describing.map(|block| usize::try_from(block.offset).unwrap() + 64));
    let mut kinds = std::collections::BTreeSet::new();
    for at in places {
        let mut broken = bytes.clone();
        broken[at] ^= 0x10;
        std::fs::write(&path, &broken).unwrap();
        let verified = hcall().args(["verify", &path, "--json"]).output().unwrap();
        let code = verified.status.code();
        assert!(matches!(code, Some(1 | 3)), "byte {at}");
        let report: serde_json::Value =
            serde_json::from_slice(&verified.stdout).unwrap_or_default();
        let holes = report["damaged"].as_array().cloned().unwrap_or_default();
        kinds.extend(holes.iter().filter_map(|hole| {
            let what = hole["what"].as_str()?;
            Some(what.split(" of lane").next()?.to_owned())
        }));
        if code == Some(1)
            && holes
                .iter()
                .all(|hole| hole["what"] == "the index at the end")
        {
            // Nothing is missing: without an index the blocks are found one after the other.
            continue;
        }
        for line in VIEWS {
            let output = hcall()
                .args(arguments(line, &path, &good, &folder.text("out")))
                .output()
                .unwrap();
            let (errors, said) = (
                String::from_utf8_lossy(&output.stderr),
                String::from_utf8_lossy(&output.stdout),
            );
            // A difference, a finding or a loss may be told instead of the damage itself.
            let told = if code == Some(3) {
                output.status.code() == Some(3)
            } else {
                matches!(output.status.code(), Some(1 | 3 | 4))
            };
            assert!(told, "byte {at}: {line}: {:?} {errors}", output.status);
            let difference = output.status.code() == Some(1);
            assert!(difference || !errors.is_empty(), "byte {at}: {line}");
            assert!(!said.contains("no rule is broken\n"), "byte {at}: {line}");
        }
    }
    let all_kinds = ["a point of the clock", "the name", "the schema"];
    for kind in all_kinds {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
    all(&path, &folder);
}

/// Views of a trace, of which each must say what it could not see.
const VIEWS: [&str; 14] = [
    "show IN",
    "show IN --json",
    "stat IN",
    "stat GOOD IN",
    "diff IN GOOD",
    "diff GOOD IN",
    "replay IN --all",
    "check IN",
    "state IN",
    "export IN",
    "export IN --to pcapng -o OUT --force",
    "pack IN -o OUT --force",
    "redact IN -o OUT --force",
    "recover IN -o OUT --force",
];

#[test]
fn a_damaged_description_is_named() {
    let folder = Folder::new();
    let good = folder.trace("good.hct", &Sample::everything());
    let bytes = std::fs::read(&good).unwrap();
    let trace = Trace::open(&good).unwrap();
    let damaged = |kind| {
        let block = trace
            .blocks()
            .iter()
            .rfind(|block| block.header.kind == kind);
        let mut broken = bytes.clone();
        broken[usize::try_from(block.unwrap().offset).unwrap() + 65] ^= 1;
        std::fs::write(folder.path("damaged.hct"), broken).unwrap();
        folder.text("damaged.hct")
    };
    let path = damaged(BlockKind::Schema);
    hcall()
        .args(["show", &path])
        .assert()
        .code(4)
        .stderr(contains("the schema cannot be read").and(contains("no names")));
    for line in [
        "check IN",
        "state IN",
        "replay IN",
        "diff IN GOOD",
        "diff GOOD IN",
    ] {
        hcall()
            .args(arguments(line, &path, &good, ""))
            .assert()
            .code(3)
            .stdout("")
            .stderr(contains("the schema cannot be read"));
    }
    hcall()
        .args(["verify", &path])
        .assert()
        .code(1)
        .stdout(contains("damaged: the schema: "));
    // Lanes without a name are lanes.
    let path = damaged(BlockKind::Lane);
    hcall()
        .args(["show", &path])
        .assert()
        .code(4)
        .stdout(contains("lane 1#0").and(contains("main#0")))
        .stderr(contains("the name of lane 1 cannot be read"));
    hcall()
        .args(["diff", &good, &path])
        .assert()
        .code(1)
        .stdout(contains("- lane vcpu0").and(contains("+ lane lane 1")));
    hcall()
        .args(["show", &path, "--lane", "lane 1"])
        .assert()
        .code(4)
        .stdout(contains("lane 1#0").and(contains("main#0").not()));
    let path = damaged(BlockKind::Clock);
    hcall()
        .args(["stat", &path])
        .assert()
        .code(4)
        .stderr(contains("a point of the clock cannot be read"));
}

#[test]
fn diff_tells_damage_that_took_no_call() {
    let folder = Folder::new();
    let good = folder.trace("good.hct", &Sample::life());
    let bytes = std::fs::read(&good).unwrap();
    let cut = folder.text("cut.hct");
    std::fs::write(&cut, &bytes[..bytes.len() - 40]).unwrap();
    for [left, right] in [[&good, &cut], [&cut, &good]] {
        for json in [None, Some("--json")] {
            hcall()
                .args(["diff", left, right])
                .args(json)
                .assert()
                .code(4)
                .stderr(contains("the index at the end cannot be read"));
        }
    }
    // A block that stands a second time took nothing either.
    let trace = Trace::open(&good).unwrap();
    let (first, index) = (
        trace.data().next().unwrap().offset,
        trace.blocks().last().unwrap().offset,
    );
    let next = trace
        .blocks()
        .iter()
        .map(|block| block.offset)
        .find(|offset| *offset > first)
        .unwrap();
    let place = |offset: u64| usize::try_from(offset).unwrap();
    let twice = folder.text("twice.hct");
    let doubled = [
        &bytes[..place(next)],
        &bytes[place(first)..place(next)],
        &bytes[place(next)..place(index)],
    ];
    std::fs::write(&twice, doubled.concat()).unwrap();
    hcall()
        .args(["diff", &good, &twice])
        .assert()
        .code(4)
        .stdout(contains("0 differences"))
        .stderr(contains("cannot be read"));
}

#[test]
fn a_damaged_header_for_which_the_index_stands_is_told_and_takes_nothing() {
    let folder = Folder::new();
    let mut sample = Sample::everything();
    sample.block = 1024;
    let good = folder.trace("good.hct", &sample);
    let bytes = std::fs::read(&good).unwrap();
    let trace = Trace::open(&good).unwrap();
    let path = folder.text("header.hct");
    let report = |path: &str| -> serde_json::Value {
        let output = hcall().args(["verify", path, "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let shown = |path: &str| {
        let output = hcall().args(["show", path, "--json"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter(|line| !line.contains("\"damaged\""));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    // Without positions, which count what cannot be read as well.
    let checked = |path: &str| {
        let output = hcall().args(["check", path]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text
            .lines()
            .filter_map(|line| line.split(", entry ").next());
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (all, whole, rules) = (shown(&good), report(&good), checked(&good));
    let blocks = trace.blocks().iter();
    let kinds = [BlockKind::Schema, BlockKind::Lane, BlockKind::Data];
    for block in blocks.filter(|block| kinds.contains(&block.header.kind)) {
        // One bit, from which the length can be had again, and many.
        for wrong in [1, 0xff] {
            let mut broken = bytes.clone();
            let header = usize::try_from(block.offset).unwrap();
            broken[header + 20] ^= wrong;
            std::fs::write(&path, &broken).unwrap();
            let verified = report(&path);
            assert_eq!(verified["clean"], false);
            for count in ["blocks", "records", "calls", "lost", "missing"] {
                assert_eq!(verified[count], whole[count], "{count} {block:?}");
            }
            let damaged = verified["damaged"].as_array().unwrap();
            assert_eq!(damaged.len(), 1, "{damaged:?}");
            assert_eq!(damaged[0]["offset"], block.offset);
            assert_eq!(damaged[0]["unknown"], false);
            assert_eq!(shown(&path), all);
            assert_eq!(checked(&path), rules, "{block:?}");
            for line in VIEWS {
                let arguments = arguments(line, &path, &good, &folder.text("out"));
                // One call of the sample is not in its schema.
                let undescribed = line.starts_with("redact").then_some("--undescribed=hash");
                let output = hcall().args(&arguments).args(undescribed).output().unwrap();
                let errors = String::from_utf8(output.stderr).unwrap();
                let status = output.status.code();
                assert!(matches!(status, Some(1 | 4)), "{line}: {status:?} {errors}");
                let told = errors.contains("header") || line.starts_with("recover");
                assert!(told && !errors.is_empty(), "{line} {block:?}: {errors}");
            }
        }
    }
}

#[test]
fn a_recording_without_an_end_is_said_to_be_one() {
    let folder = Folder::new();
    let good = folder.trace("good.hct", &Sample::life());
    let bytes = std::fs::read(&good).unwrap();
    let trace = Trace::open(&good).unwrap();
    let path = folder.text("early.hct");
    let place = trace.data().next().unwrap().offset;
    std::fs::write(&path, &bytes[..usize::try_from(place).unwrap()]).unwrap();
    let early = contains("the recording was not finished");
    for line in ["show IN", "stat IN", "check IN", "state IN", "export IN"] {
        let arguments = arguments(line, &path, &good, "");
        hcall()
            .args(&arguments)
            .assert()
            .code(0)
            .stderr(early.clone());
    }
    hcall()
        .args(["check", &path])
        .assert()
        .stdout("no rule is broken by what could be read\n");
    // What came behind the end may have been the VM's end.
    let mut sample = Sample::life();
    let last = sample.entries.pop();
    assert!(matches!(last, Some(Entry::Call(call)) if call.name() == "destroy_vm"));
    let alive = folder.trace("alive.hct", &sample);
    let never = contains("was never destroyed");
    let check = |path: &str| hcall().args(["check", path]).assert().code(1);
    check(&alive).stdout(never.clone());
    let mut bytes = std::fs::read(&alive).unwrap();
    let index = Trace::open(&alive).unwrap().blocks().last().unwrap().offset;
    bytes.truncate(usize::try_from(index).unwrap());
    std::fs::write(&path, &bytes).unwrap();
    check(&path).stdout(never.not()).stderr(early.clone());
    let bytes = std::fs::read(&good).unwrap();
    hcall().args(["show", &good]).assert().code(0).stderr("");
    // A cut inside a block is damage as well, and what it took is named. Behind an index there was nothing.
    for block in trace.blocks() {
        let inside = usize::try_from(block.offset).unwrap() + 66;
        std::fs::write(&path, &bytes[..inside]).unwrap();
        let what = match block.header.kind {
            BlockKind::Schema => "the schema cannot be read",
            BlockKind::Clock => "a point of the clock cannot be read",
            BlockKind::Lane => "the name of lane 0 cannot be read",
            BlockKind::Index => "the index at the end cannot be read",
            _ => "15 records of main",
        };
        let told = contains(what).and(contains("the file ends inside a block"));
        let run = hcall().args(["show", &path]).assert().code(4);
        let run = run.stderr(told.and(contains("0 records of").not()));
        let held = match block.header.kind {
            BlockKind::Data => "damaged: 1 stretch with at least 15 records; the rest",
            _ => "damaged: 1 stretch without records; the rest",
        };
        let verified = hcall().args(["verify", &path]).assert().code(1);
        verified.stdout(contains(held));
        let packed = folder.text("packed.hct");
        hcall()
            .args(["pack", &path, "-o", &packed, "--force"])
            .assert()
            .code(4);
        let finished = Trace::open(&packed).unwrap().is_finished();
        if block.header.kind == BlockKind::Index {
            run.stderr(early.clone().not());
            assert!(finished);
        } else {
            run.stderr(early.clone());
            assert!(!finished, "{block:?}");
        }
    }
}

/// What is asked for may be in what cannot be read: the damage is told where nothing else can be said.
#[test]
fn damage_is_told_where_nothing_is_left() {
    let folder = Folder::new();
    let good = folder.trace("good.hct", &Sample::life());
    let trace = Trace::open(&good).unwrap();
    let mut bytes = std::fs::read(&good).unwrap();
    let block = trace.data().next().unwrap();
    bytes[usize::try_from(block.offset).unwrap() + 70] ^= 1;
    let path = folder.text("damaged.hct");
    std::fs::write(&path, bytes).unwrap();
    let damage = contains("the block's checksum is wrong");
    hcall()
        .args(["state", &path, "--at", "main#2"])
        .assert()
        .code(2)
        .stderr(damage.clone().and(contains("the trace ends before")));
    hcall()
        .args(["gen-test", &path, "-o", &folder.text("out.rs")])
        .assert()
        .code(3)
        .stderr(damage.and(contains("the slice has no call")));
    let lost = format!("{} calls are noted as lost", block.header.calls);
    hcall()
        .args(["recover", &path, "-o", &folder.text("out.hct")])
        .assert()
        .code(4)
        .stdout(contains("0 records that only the file has").and(contains(lost)));
}

/// Behind an index that is there in part there was nothing: the recording was finished.
#[test]
fn a_cut_inside_the_index_takes_only_the_index() {
    let folder = Folder::new();
    let bytes = Sample::life().bytes();
    let path = folder.text("cut.hct");
    std::fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
    let said = |arguments: &[&str]| {
        let output = hcall().args(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let (whole, good) = (folder.text("whole.hct"), folder.text("good.hct"));
    std::fs::write(&good, &bytes).unwrap();
    let (out, errors) = said(&["verify", &path]);
    assert!(out.contains("the index at the end"), "{out}");
    assert!(
        !out.contains("no index at the end") && !out.contains("goes on"),
        "{out}"
    );
    assert_eq!(errors, "");
    // Once, and not a second time as a stretch of bytes.
    let (_, errors) = said(&["show", &path]);
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(
        errors.contains("the index at the end cannot be read"),
        "{errors}"
    );
    let (_, errors) = said(&["recover", &path, "-o", &whole]);
    assert!(!errors.contains("finished"), "{errors}");
    let calls = |path: &str| common::output(&["show", "--json", path]);
    assert_eq!(calls(&whole), calls(&good));
    assert!(Trace::open(&whole).unwrap().is_finished());
}

/// Where the index would be stands something else.
#[test]
fn where_the_end_is_damaged_nobody_knows_whether_it_was_finished() {
    let folder = Folder::new();
    let good = Sample::life().bytes();
    let index = Trace::from_bytes(good.clone())
        .unwrap()
        .blocks()
        .last()
        .unwrap()
        .offset;
    let mut flipped = good.clone();
    flipped[usize::try_from(index).unwrap() + 33] ^= 1;
    let behind = [&good[..], &[7; 100]].concat();
    let (path, copy) = (folder.text("bad.hct"), folder.text("copy.hct"));
    for bytes in [flipped, behind] {
        std::fs::write(&path, &bytes).unwrap();
        let unknown = "whether the recording was finished is not known";
        for line in ["show", "stat", "check", "state", "export"] {
            let output = hcall().args([line, &path]).output().unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert!(errors.contains(unknown), "{line}: {errors}");
            assert!(!errors.contains("was not finished"), "{line}: {errors}");
        }
        hcall()
            .args(["verify", &path])
            .assert()
            .code(1)
            .stdout(contains(unknown).and(contains("no index at the end").not()));
        hcall()
            .args(["recover", &path, "-o", &copy, "--force"])
            .assert()
            .code(4)
            .stderr(contains(unknown).and(contains("was not finished").not()));
        hcall()
            .args(["pack", &path, "-o", &copy, "--force"])
            .assert()
            .code(4);
        // The copy has no end either, and says no more than that.
        hcall()
            .args(["verify", &copy])
            .assert()
            .code(0)
            .stdout(contains(
                "was not finished, or the end of its file was lost",
            ));
        hcall()
            .args(["show", &copy])
            .assert()
            .code(0)
            .stderr(contains(
                "was not finished, or the end of its file was lost",
            ));
    }
}

#[test]
fn of_two_traces_it_is_told_which_one_is_damaged() {
    let folder = Folder::new();
    let good = folder.trace("good.hct", &Sample::life());
    let bytes = std::fs::read(&good).unwrap();
    let cut = folder.text("cut.hct");
    std::fs::write(&cut, &bytes[..bytes.len() - 400]).unwrap();
    let told = format!("hcall: {cut}: the recording was not finished");
    for arguments in [
        ["stat", &cut, &good],
        ["stat", &good, &cut],
        ["diff", &cut, &good],
        ["diff", &good, &cut],
    ] {
        let output = hcall().args(arguments).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(&told), "{errors}");
        assert!(errors.lines().all(|line| line.contains(&cut)), "{errors}");
    }
}

#[test]
fn cuts_at_many_places_end_well() {
    let folder = Folder::new();
    let bytes = Sample::everything().bytes();
    let path = folder.text("cut.hct");
    for at in (0..bytes.len()).step_by(bytes.len() / 31) {
        std::fs::write(&path, &bytes[..at]).unwrap();
        run(&["show", &path]);
        run(&["check", &path]);
    }
}

#[test]
fn names_cannot_command_the_terminal() {
    let folder = Folder::new();
    let mut sample = Sample::life();
    sample.lanes = vec!["\x1b]0;owned\x07\u{202e}main".into()];
    let path = folder.trace("hostile.hct", &sample);
    for arguments in [
        &["show", &path, "--time", "utc"][..],
        &["stat", &path],
        &["check", &path],
        &["state", &path],
        &["verify", &path],
        &["diff", &path, &path],
        &["calls", &path],
    ] {
        let output = hcall().args(arguments).output().unwrap();
        assert!(
            !String::from_utf8_lossy(&output.stdout).contains(['\x1b', '\x07', '\u{202e}']),
            "{arguments:?}"
        );
        assert!(!output.stderr.contains(&0x1b), "{arguments:?}");
    }
    all(&path, &folder);
}

#[test]
fn broken_json_is_told_with_line_and_byte() {
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::life());
    let good = common::output(&["export", &trace]);
    let lines: Vec<_> = good.lines().collect();
    let path = folder.text("broken.jsonl");
    let out = folder.text("out.hct");
    let attempt = |text: &str, said: &str| {
        std::fs::write(&path, text).unwrap();
        hcall()
            .args(["import", &path, "-o", &out])
            .assert()
            .code(3)
            .stderr(contains(said));
        assert!(
            !std::path::Path::new(&out).exists(),
            "half a trace was left"
        );
    };
    attempt("", "empty");
    attempt("not json\n", "line 1, at byte 0");
    attempt(lines[1], "line 1");
    let offset = lines[0].len() + lines[1].len() + 2;
    attempt(
        &format!("{}\n{}\n{{}}\n", lines[0], lines[1]),
        &format!("line 3, at byte {offset}"),
    );
    attempt(
        &format!(
            "{}\n{}\n",
            lines[0],
            lines[2].replace("\"length\":48", "\"length\":47")
        ),
        "bytes",
    );
    attempt(
        &format!(
            "{}\n{}\n",
            lines[0],
            lines[1].replace("get_api_version", "no_such_call")
        ),
        "no call",
    );
    attempt(
        &format!("{}\n{{\"x\":{}\n", lines[0], "[".repeat(100_000)),
        "line 2, at byte",
    );
    attempt(
        &lines[0].replace("\"version\":1", "\"version\":2"),
        "hypercall-trace 2",
    );
}
