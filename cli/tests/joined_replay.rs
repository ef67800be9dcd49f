//! `replay` and `diff` of files that were joined from several recordings.

mod common;

use common::{Folder, Sample, Tape, hcall, loopback, output};
use hypercall_core::Client;
use hypercall_core::acrn::{Hypervisor as _, PcpuSet, VmCreation};
use hypercall_mock::fake::FakeAcrn;
use hypercall_trace::entry::{Entry, Failure, Outcome};
use serde_json::Value;

/// A VM's life without its end: the next recording's machine has no such VM yet.
fn life() -> Sample {
    let mut sample = Sample::life();
    sample
        .entries
        .retain(|entry| !matches!(entry, Entry::Call(call) if call.name() == "destroy_vm"));
    sample
}

/// A VM on a machine that has as many others.
fn one_vm(others: usize) -> Sample {
    let creation =
        |name: &str| VmCreation::new(name.try_into().unwrap()).with_cpu_affinity(PcpuSet(1));
    let machine = FakeAcrn::new();
    for other in 0..others {
        let mut other = creation(&format!("other{other}"));
        machine.create_vm(&mut other).unwrap();
    }
    let tape = Tape::new(loopback(&machine), 0);
    let acrn = Client::new(&tape);
    let vm = acrn.create_vm(&mut creation("one")).unwrap();
    acrn.pause_vm(vm).unwrap();
    Sample {
        entries: tape.entries.take(),
        ..Sample::life()
    }
}

fn nothing() -> Sample {
    let mut sample = Sample::life();
    sample.entries.clear();
    sample
}

/// One file of several.
fn joined(folder: &Folder, name: &str, recordings: &[&Sample]) -> String {
    let mut bytes = Vec::new();
    for sample in recordings {
        let of = sample.bytes();
        bytes.extend_from_slice(if bytes.is_empty() { &of } else { &of[32..] });
    }
    std::fs::write(folder.path(name), bytes).unwrap();
    folder.text(name)
}

/// The status, what was written, and what was told.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = hcall().args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn each_recording_is_replayed_on_a_machine_of_its_own() {
    let folder = Folder::new();
    let (life, nothing) = (life(), nothing());
    let single = folder.trace("single.hct", &life);
    let alone = output(&["replay", &single]);
    assert!(!alone.contains("recording"), "{alone}");
    let file = joined(&folder, "joined.hct", &[&life, &nothing, &life, &life]);
    let expected = [0, 2, 3].map(|number| format!("recording {number}\n{alone}"));
    assert_eq!(output(&["replay", &file]), expected.concat());

    let told = json(&output(&["replay", "--json", &file]));
    let single = json(&output(&["replay", "--json", &single]));
    assert_eq!(single.get("recording"), None);
    let with = |number: u32| {
        let mut value = single.clone();
        value["recording"] = number.into();
        value
    };
    assert_eq!(
        told["recordings"],
        Value::from([0, 2, 3].map(with).to_vec())
    );

    // One of them.
    assert_eq!(output(&["replay", "--recording", "2", &file]), expected[1]);
    let told = json(&output(&["replay", "--recording", "2", "--json", &file]));
    assert_eq!(told, with(2));
    let (status, _, told) = run(&["replay", "--recording", "1", &file]);
    assert_eq!(status, Some(4), "{told}");
    assert!(
        told.contains("not all of recording 1 was made again"),
        "{told}"
    );
    let (status, _, told) = run(&["replay", "--recording", "4", &file]);
    assert_eq!(status, Some(2), "{told}");
    assert!(told.contains("no recording 4"), "{told}");
}

#[test]
fn an_answer_that_differs_ends_its_own_recording() {
    let folder = Folder::new();
    let (good, mut bad) = (life(), life());
    let second = bad.entries.iter_mut().find_map(|entry| match entry {
        Entry::Call(call) if call.name() == "create_vm" => Some(call),
        _ => None,
    });
    second.unwrap().outcome = Outcome::Returned(-16);
    let file = joined(&folder, "joined.hct", &[&good, &bad, &good]);
    let (status, text, told) = run(&["replay", &file]);
    assert_eq!(status, Some(1), "{told}");
    let (first, rest) = text.split_once("recording 1\n").unwrap();
    let (second, third) = rest.split_once("recording 2\n").unwrap();
    assert!(second.contains("the fake answers otherwise"), "{text}");
    for good in [first, third] {
        assert!(good.contains("the fake answers as the recorded"), "{text}");
    }
    let (_, text, _) = run(&["replay", "--json", &file]);
    let differences: Vec<_> = json(&text)["recordings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["differences"].as_array().unwrap().len())
        .collect();
    assert_eq!(differences, [0, 1, 0]);
}

#[test]
fn what_many_recordings_lack_is_told_of_the_first_ones() {
    let folder = Folder::new();
    let mut one = life();
    one.entries.truncate(2);
    let Some(Entry::Call(call)) = one.entries.last_mut() else {
        panic!()
    };
    call.outcome = Outcome::Failed(Failure::Lost("the line went dead".into()));
    let all: Vec<_> = std::iter::repeat_n(&one, 15).collect();
    let file = joined(&folder, "joined.hct", &all);
    let (status, _, told) = run(&["replay", &file]);
    assert_eq!(status, Some(4), "{told}");
    let lines: Vec<_> = told
        .lines()
        .filter(|line| line.contains("made again"))
        .collect();
    assert_eq!(lines.len(), 11, "{told}");
    assert!(lines[9].contains("not all of recording 9 was"), "{told}");
    assert!(lines[10].contains("and 5 recordings more"), "{told}");
}

#[test]
fn recordings_are_compared_with_names_of_their_own() {
    let folder = Folder::new();
    // The same on a machine whose ids are other ones.
    let (one, other, nothing) = (one_vm(0), one_vm(1), nothing());
    let left = joined(&folder, "left.hct", &[&one, &nothing, &one]);
    let right = joined(&folder, "right.hct", &[&one, &nothing, &other]);
    let told = output(&["diff", &left, &right]);
    assert!(told.ends_with("0 differences\n"), "{told}");

    let mut changed = one.clone();
    let Some(Entry::Call(call)) = changed.entries.last_mut() else {
        panic!()
    };
    call.outcome = Outcome::Returned(-1);
    let right = joined(&folder, "changed.hct", &[&one, &nothing, &changed]);
    let (status, told, _) = run(&["diff", &left, &right]);
    assert_eq!(status, Some(1));
    assert!(
        told.starts_with("~ main#1 of recording 2  pause_vm("),
        "{told}"
    );
    let (_, told, _) = run(&["diff", "--json", &left, &right]);
    assert_eq!(json(&told)["differences"][0]["recording"], 2);

    let more = joined(&folder, "more.hct", &[&one, &nothing, &one, &one]);
    let (status, told, _) = run(&["diff", &left, &more]);
    assert_eq!(status, Some(1));
    assert!(
        told.starts_with("+ recording 3 is in the second trace only\n"),
        "{told}"
    );
    let (_, told, _) = run(&["diff", "--json", &more, &left]);
    let told = &json(&told)["differences"][0];
    assert_eq!(
        (&told["kind"], &told["first"], &told["last"]),
        (&"recordings_only_left".into(), &3.into(), &3.into())
    );
}
