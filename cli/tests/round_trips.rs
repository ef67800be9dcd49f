//! What goes out comes back: JSON lines, packing, recovery; and what redaction takes away.

mod common;

use common::{Folder, Sample, hcall, output};
use hypercall_core::call::Direction;
use hypercall_trace::entry::{After, Argument, Block, Call, Entry};
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::Trace;
use predicates::str::contains;

fn entries(path: &str) -> Vec<Entry> {
    Trace::open(path).unwrap().entries().collect()
}

#[test]
fn json_lines_lose_nothing() {
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::everything());
    let (lines, back, again) = (
        folder.text("a.jsonl"),
        folder.text("b.hct"),
        folder.text("b.jsonl"),
    );
    output(&["export", &trace, "-o", &lines]);
    output(&["import", &lines, "-o", &back]);
    output(&["export", &back, "-o", &again]);
    assert_eq!(
        std::fs::read_to_string(&lines).unwrap(),
        std::fs::read_to_string(&again).unwrap()
    );
    let (first, second) = (Trace::open(&trace).unwrap(), Trace::open(&back).unwrap());
    assert_eq!(first.schema(), second.schema());
    assert_eq!(first.clock(), second.clock());
    assert_eq!(first.lanes(), second.lanes());
    assert_eq!(first.header().id, second.header().id);
    assert_eq!(entries(&trace), entries(&back));
    assert!(entries(&trace).len() > 20);
    // From the standard input as well.
    let text = std::fs::read(&lines).unwrap();
    hcall()
        .args(["import", "-", "-o", &folder.text("c.hct")])
        .write_stdin(text)
        .assert()
        .code(0);
    assert_eq!(entries(&trace), entries(&folder.text("c.hct")));
}

#[test]
fn packing_keeps_every_entry_and_takes_less_room() {
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::many(20_000));
    let packed = folder.text("p.hct");
    output(&["pack", &trace, "-o", &packed]);
    assert_eq!(entries(&trace), entries(&packed));
    let size = |path: &str| std::fs::metadata(path).unwrap().len();
    assert!(
        size(&packed) * 3 < size(&trace) * 2,
        "{} of {}",
        size(&packed),
        size(&trace)
    );
}

#[test]
fn redaction_hides_values_and_keeps_equality() {
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::life());
    let redact = |name: &str, options: &[&str]| {
        let out = folder.text(name);
        let mut arguments = vec![
            "redact",
            &trace,
            "-o",
            &out,
            "--key",
            "000102030405060708090a0b0c0d0e0f",
        ];
        arguments.extend(options);
        output(&arguments);
        output(&["show", &out])
    };
    let text = redact("t.hct", &["--text"]);
    assert!(!text.contains("POST_STD_VM1") && text.contains("cpu_affinity=PcpuSet(1)"));
    let addresses = redact("d.hct", &["--addresses"]);
    assert!(!addresses.contains("Gpa(0x4000000)") && addresses.contains("POST_STD_VM1"));
    let field = redact("f.hct", &["--field", "create_vm.name,data"]);
    assert!(!field.contains("POST_STD_VM1") && !field.contains("MsiData(0x41)"));
    let data = |line: &str| {
        line.split("data=")
            .nth(1)
            .and_then(|rest| rest.split(')').next())
            .map(str::to_owned)
    };
    let values: Vec<_> = field.lines().filter_map(data).collect();
    assert_eq!(values.len(), 2);
    assert_eq!(values[0], values[1], "the same value has the same hash");
    let bytes = redact("b.hct", &["--bytes"]);
    assert!(!bytes.contains("<010203>"));
    // That a named field was zero is as much of a secret.
    let flags = |file: &str| {
        let lines = output(&["show", file, "--json", "--call", "create_vm"]);
        let line: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        line["args"]["creation"]["flags"].clone()
    };
    let before = flags(&trace);
    redact("z.hct", &["--field", "create_vm.flags"]);
    assert_ne!(flags(&folder.text("z.hct")), before);
    let out = folder.text("x.hct");
    hcall()
        .args(["redact", &trace, "-o", &out, "--field", "nonsense"])
        .assert()
        .code(2);
}

/// What it hides of a page is no mistake of the program's.
#[test]
fn redaction_makes_no_findings() {
    let folder = Folder::new();
    let (trace, hidden) = (folder.text("demo.hct"), folder.text("hidden.hct"));
    output(&["demo", "--output", &trace]);
    output(&["redact", &trace, "-o", &hidden, "--bytes"]);
    let findings = |path: &str| {
        let checked = hcall().args(["check", path, "--json"]).output().unwrap();
        let lines = String::from_utf8(checked.stdout).unwrap();
        let rule = |line: &str| {
            let finding: serde_json::Value = serde_json::from_str(line).unwrap();
            finding["rule"].clone()
        };
        lines.lines().map(rule).collect::<Vec<_>>()
    };
    let found = findings(&trace);
    assert!(!found.is_empty(), "the demo shows a finding");
    assert_eq!(findings(&hidden), found);
}

#[test]
fn redaction_refuses_what_it_cannot_see_into() {
    let folder = Folder::new();
    let secret = "c0ffee0102030405";
    let value = u64::from_le_bytes([0xc0, 0xff, 0xee, 1, 2, 3, 4, 5]);
    let change = |how: &dyn Fn(&mut Call)| {
        let mut sample = Sample::life();
        let Some(Entry::Call(call)) = sample.entries.last_mut() else {
            panic!("no call");
        };
        how(call);
        folder.trace("a.hct", &sample)
    };
    let block = |bytes: &[u8]| {
        Argument::Block(Block {
            direction: Direction::Read,
            before: bytes.to_vec(),
            after: After::Unchanged,
            length: bytes.len(),
            link: None,
        })
    };
    let traces: [&dyn Fn(&mut Call); 3] = [
        // Not in the schema.
        &|call| {
            call.schema = None;
            call.args = [Argument::Value(value), block(&value.to_le_bytes())];
        },
        // A block where a value is described.
        &|call| call.args[0] = block(&value.to_le_bytes()),
        // A block of another length.
        &|call| {
            let schema = common::schema();
            call.schema = schema.find(None, "inject_msi").map(std::sync::Arc::clone);
            call.args[1] = block(&value.to_le_bytes());
        },
    ];
    let out = folder.text("out.hct");
    let bytes_of = |path: &str| output(&["export", path]);
    for how in traces {
        let trace = change(how);
        assert!(bytes_of(&trace).contains(secret));
        hcall()
            .args(["redact", &trace, "-o", &out])
            .assert()
            .code(3)
            .stderr(predicates::str::contains("where secrets stand"));
        assert!(!std::path::Path::new(&out).exists());
        output(&["redact", &trace, "-o", &out, "--undescribed", "hash"]);
        let redacted = bytes_of(&out);
        assert!(!redacted.contains(secret));
        assert!(
            !redacted.contains(&value.to_string()) && !redacted.contains(&format!("{value:#x}"))
        );
        std::fs::remove_file(&out).unwrap();
    }
    // Nothing is described.
    let trace = folder.trace("a.hct", &Sample::life());
    let mut bytes = std::fs::read(&trace).unwrap();
    let blocks = Trace::open(&trace).unwrap();
    let mut blocks = blocks.blocks().iter();
    let schema = blocks.find(|block| block.header.kind == BlockKind::Schema);
    bytes[usize::try_from(schema.unwrap().offset).unwrap() + 100] ^= 1;
    std::fs::write(&trace, bytes).unwrap();
    hcall()
        .args(["redact", &trace, "-o", &out, "--text"])
        .assert()
        .code(3)
        .stderr(predicates::str::contains("the schema cannot be read"));
    hcall()
        .args(["redact", &trace, "-o", &out, "--undescribed", "hash"])
        .assert()
        .code(4);
    let bytes = std::fs::read(&out).unwrap();
    assert!(!bytes.windows(12).any(|part| part == b"POST_STD_VM1"));
}

#[test]
fn diff_names_the_field_that_differs() {
    let folder = Folder::new();
    let left = folder.trace("a.hct", &Sample::life());
    let mut other = Sample::life();
    other.entries.remove(2);
    for entry in other.entries.iter_mut().skip(2) {
        if let Entry::Call(call) = entry {
            call.index -= 1;
        }
    }
    let right = folder.trace("b.hct", &other);
    hcall()
        .args(["diff", &left, &right])
        .assert()
        .code(1)
        .stdout(predicates::str::contains("- main#2  start_vm"))
        .stdout(predicates::str::contains("1 difference"));
    let json = hcall()
        .args(["diff", &left, &right, "--json"])
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["differences"].as_array().unwrap().len(), 1);
}

#[test]
fn state_tells_what_there_is() {
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::life());
    let at = |place: &str| output(&["state", &trace, "--at", place]);
    assert!(at("main#1").contains("created") && at("#6").contains("running"));
    assert!(at("5").contains("0x4000000"));
    assert!(!output(&["state", &trace]).contains("running"));
    hcall()
        .args(["state", &trace, "--at", "nowhere"])
        .assert()
        .code(2);
    hcall()
        .args(["state", &trace, "--at", "1000"])
        .assert()
        .code(2);
    let json: serde_json::Value =
        serde_json::from_str(&output(&["state", &trace, "--at", "#6", "--json"])).unwrap();
    assert_eq!(json["vms"].as_object().unwrap().len(), 1);
}

/// A recording that was killed in a call: the call was announced, and the file has no end.
fn killed(folder: &Folder) -> String {
    let mut sample = Sample::everything();
    sample.lanes.push("boot".into());
    let never = sample.entries.last().cloned();
    let Some(Entry::Call(call)) = never else {
        panic!("no call");
    };
    sample.entries.push(Entry::Call(Call {
        lane: 2,
        index: 0,
        enter: 1_200_000,
        ..call
    }));
    let mut bytes = sample.bytes();
    let trace = Trace::from_bytes(bytes.clone()).unwrap();
    let place = |block: &hypercall_trace::read::BlockEntry| usize::try_from(block.offset).unwrap();
    let of_boot = trace.data().rfind(|block| block.header.lane == 2).unwrap();
    let header = &mut bytes[place(of_boot)..][..64];
    header[4] = 5;
    let crc = common::crc(&header[..60]).to_le_bytes();
    header[60..].copy_from_slice(&crc);
    bytes.truncate(place(trace.blocks().last().unwrap()));
    let path = folder.text("killed.hct");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn what_is_made_of_an_unfinished_recording_is_unfinished() {
    let folder = Folder::new();
    let trace = killed(&folder);
    assert_eq!(Trace::open(&trace).unwrap().announced().len(), 1);
    let mut made = Vec::new();
    for command in ["pack", "redact", "recover"] {
        let to = folder.text(&format!("{command}.hct"));
        let mut run = hcall();
        run.args([command, &trace, "-o", &to]);
        if command == "redact" {
            // It has nothing to hide.
            run.args(["--undescribed", "hash", "--keep-secrets"]);
        }
        // What its rings had is not there.
        let code = if command == "recover" { 4 } else { 0 };
        run.assert().code(code).stderr(contains("was not finished"));
        made.push(to);
    }
    let (lines, imported) = (folder.text("lines.jsonl"), folder.text("imported.hct"));
    hcall()
        .args(["export", &trace, "-o", &lines])
        .assert()
        .code(0)
        .stderr(contains("was not finished"));
    hcall()
        .args(["import", &lines, "-o", &imported])
        .assert()
        .code(0)
        .stderr(contains("was not finished"));
    let exported = output(&["export", &imported]);
    assert_eq!(exported, std::fs::read_to_string(&lines).unwrap());
    made.push(imported);
    let run = |arguments: &[&str]| hcall().args(arguments).output().unwrap();
    let verified = |path: &str| -> [serde_json::Value; 4] {
        let report = run(&["verify", "--json", path]).stdout;
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        ["clean", "finished", "calls", "unfinished"].map(|key| report[key].clone())
    };
    let original = verified(&trace);
    assert_eq!(
        (&original[1], &original[3]),
        (&false.into(), &2_u64.into()),
        "{original:?}"
    );
    for path in made {
        assert_eq!(verified(&path), original, "{path}");
        for view in ["stat", "check", "show"] {
            // What redaction made of the call that nothing is known of is shown otherwise.
            if view == "show" && path.ends_with("redact.hct") {
                continue;
            }
            let (of_it, of_original) = (run(&[view, &path]), run(&[view, &trace]));
            assert!(of_it == of_original, "{view} {path}: {of_it:?}");
        }
        let again = folder.text("again.hct");
        hcall()
            .args(["pack", &path, "-o", &again, "--force"])
            .assert()
            .code(0);
        assert!(!Trace::open(&again).unwrap().is_finished());
    }
}
