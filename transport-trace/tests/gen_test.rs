//! Tests made of traces: they compile, and they pass. The files `generated_…` in this folder are what is
//! generated here.

mod replay_support;

use std::path::{Path, PathBuf};

use hypercall_core::acrn::*;
use hypercall_trace::entry::{Entry, LossCause, Lost, Outcome, When};
use hypercall_trace::gen_test::{GenError, GenTest, Generated};
use hypercall_trace::read::Trace;
use hypercall_trace::replay::{Recorded, Replayer};
use replay_support::*;

fn generator(name: &str) -> GenTest {
    GenTest::new(name, &format!("data/{name}.hct"))
        .crates("hypercall_core", "hypercall_trace")
        .types(&["hypercall_core::acrn::*"])
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The test in this folder is what would be generated of its trace now. With `GENERATE=1` both are written anew.
fn is_up_to_date(name: &str, program: Program<'_>) -> Generated {
    let (test, trace) = (
        folder().join(format!("generated_{name}.rs")),
        folder().join(format!("data/{name}.hct")),
    );
    if std::env::var_os("GENERATE").is_some() {
        let made = generator(name)
            .generate(&timeless(record(program)))
            .unwrap();
        std::fs::create_dir_all(folder().join("data")).unwrap();
        std::fs::write(&test, &made.source).unwrap();
        std::fs::write(&trace, &made.trace).unwrap();
    }
    let recorded = Recorded::read(&Trace::open(&trace).unwrap()).unwrap();
    let made = generator(name).generate(&recorded).unwrap();
    assert_eq!(
        made.source,
        std::fs::read_to_string(&test).unwrap(),
        "generate it anew with GENERATE=1"
    );
    let again = Recorded::read(&Trace::from_bytes(made.trace.clone()).unwrap()).unwrap();
    assert_eq!(again, recorded);
    made
}

/// With the order in place of the times, so that the file does not change with each recording.
fn timeless(mut recorded: Recorded) -> Recorded {
    let mut entries: Vec<Entry> = recorded.in_time().into_iter().cloned().collect();
    let mut now = 0;
    for entry in &mut entries {
        // What one look found has one time.
        let same =
            matches!(entry, Entry::Pages(change) if change.when == When::Note && change.look == 0);
        now += u64::from(!same);
        match entry {
            Entry::Call(call) => (call.enter, call.duration) = (now, Some(0)),
            Entry::Pages(change) => change.ticks = now,
            _ => {}
        }
    }
    recorded.entries = entries;
    recorded
}

#[test]
fn generated_tests_are_those_of_this_folder() {
    let life = is_up_to_date("vm_life", &vm_life);
    assert_eq!(life.calls, 14);
    for part in [
        "main.create_vm(&mut creation)",
        "name: text(\"demo\")",
        "// main#2: start_vm(vm=VmId(2)) = -1 EPERM",
        "main_lane.note_pages();",
    ] {
        assert!(life.source.contains(part), "{part} in {}", life.source);
    }
    is_up_to_date("answers", &answers);
    let lanes = is_up_to_date("two_lanes", &two_lanes);
    for part in [
        "let device_model = Client::new(&device_model_lane);",
        "(0..3).for_each(|_| device_model_lane.note_pages());",
        "main_lane",
    ] {
        assert_eq!(lanes.source.contains(part), part != "main_lane", "{part}");
    }
    // No part of the secret is in the test or in its trace.
    assert!(!lanes.source.contains("[9; 64]"));
    let secret = [9_u8; 16];
    assert!(!lanes.trace.windows(16).any(|window| window == secret));
    let every = is_up_to_date("every_call", &every_call);
    for call in HypervisorCalls::INTERFACE.calls {
        assert!(
            every.source.contains(&format!("main.{}(", call.name)),
            "{}",
            call.name
        );
    }
}

#[test]
fn a_slice_names_what_was_given_out_before_it() {
    let recorded = record(&vm_life);
    let made = generator("slice").range(5, 6).generate(&recorded).unwrap();
    assert_eq!(made.calls, 2);
    assert!(
        made.source.contains("let vm_2 = VmId(2);"),
        "{}",
        made.source
    );
    let slice = Trace::from_bytes(made.trace.clone()).unwrap();
    assert_eq!(slice.call(0, 5).unwrap().name(), "start_vm");
    let replayer = Replayer::options().from_bytes(&made.trace).unwrap();
    let hypervisor = hypercall_core::Client::new(replayer.lane("main"));
    hypervisor.start_vm(VmId(2)).unwrap();

    let all = record(&threads);
    let made = generator("workers")
        .lanes(&["worker1"])
        .generate(&all)
        .unwrap();
    assert_eq!(made.calls, 43);
    assert!(!made.source.contains("worker0"));
    assert_eq!(
        generator("all of them!")
            .generate(&all)
            .unwrap()
            .source
            .matches("fn all_of_them_")
            .count(),
        1
    );
}

#[test]
fn what_no_test_can_be_made_of_is_said() {
    let recorded = record(&vm_life);
    let none = generator("x")
        .range(100, 200)
        .generate(&recorded)
        .unwrap_err();
    assert!(matches!(none, GenError::Empty), "{none}");
    let mut unknown = recorded.clone();
    for entry in &mut unknown.entries {
        if let Entry::Call(call) = entry {
            call.schema = None;
        }
    }
    let error = generator("x").generate(&unknown).unwrap_err();
    assert!(
        matches!(
            error,
            GenError::UnknownCall {
                index: 0,
                number: 0x8000_0000,
                ..
            }
        ),
        "{error}"
    );
    let mut lossy = recorded.clone();
    let lost = Lost {
        lane: 0,
        index: 2,
        count: 1,
        cause: LossCause::RingFull,
        first: 0,
        last: 0,
    };
    let place = lossy
        .entries
        .iter()
        .position(|entry| matches!(entry, Entry::Call(call) if call.index == 2))
        .unwrap();
    lossy.entries[place] = Entry::Lost(lost);
    let error = generator("x").generate(&lossy).unwrap_err();
    assert!(
        matches!(error, GenError::Missing { index: 2, .. }),
        "{error}"
    );
    let mut late = recorded.clone();
    for entry in &mut late.entries {
        if let Entry::Pages(change) = entry {
            change.late = change.index == 7;
        }
    }
    let error = generator("x").generate(&late).unwrap_err();
    assert!(
        matches!(error, GenError::Missing { index: 7, .. }),
        "{error}"
    );
    assert_eq!(generator("x").range(0, 6).generate(&late).unwrap().calls, 7);
    // A call that never returned ends the slice.
    let mut unfinished = recorded;
    for entry in &mut unfinished.entries {
        if let Entry::Call(call) = entry
            && call.index == 4
        {
            call.outcome = Outcome::Unfinished;
        }
    }
    assert_eq!(generator("x").generate(&unfinished).unwrap().calls, 4);
}
