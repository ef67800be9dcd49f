//! The suite makes every call of the interface, with good and bad arguments, and expects what a real ACRN was seen to answer.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hypercall_conformance::{Expected, FakeSurroundings, Options, Report, Row, run};
use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::{Client, Gpa, Transport, TransportError};
use hypercall_mock::fake::FakeAcrn;
use hypercall_mock::loopback::Loopback;
use hypercall_mock::vectors::{Op, parse};

/// RAX of each call that passed, by the method's name.
type Answers = BTreeMap<&'static str, BTreeSet<i64>>;

/// Looks at what passes.
struct Watching<T> {
    inner: T,
    seen: RefCell<Answers>,
}

impl<T: Transport> Transport for Watching<T> {
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        let rax = self.inner.call(info, args)?;
        self.seen
            .borrow_mut()
            .entry(info.name)
            .or_default()
            .insert(rax);
        Ok(rax)
    }
}

/// What the suite's rows expect, in which state.
#[derive(Default)]
struct Rows(Vec<(&'static CallInfo, String, Expected)>);

impl Report for Rows {
    fn heading(&mut self, _: &str) {}
    fn row(&mut self, row: &Row<'_>) {
        assert!(row.holds(), "{row}");
        self.0.push((row.call, row.what.to_owned(), row.expected));
    }
}

fn suite() -> (Answers, Rows) {
    let fake = FakeAcrn::new();
    let server = AcrnServer::new(fake.clone());
    let client = Client::new(Watching {
        inner: Loopback::new(server, fake.clone(), Gpa(0x100_0000), 0x1_0000),
        seen: RefCell::default(),
    });
    let mut rows = Rows::default();
    let surroundings = FakeSurroundings::new(&fake);
    let counts = run(&client, &surroundings, Options::RECORDED, &mut rows);
    assert!(counts.passed() && counts.complete(), "{counts}");
    (client.into_inner().seen.into_inner(), rows)
}

/// The recordings of a real ACRN.
fn recordings() -> Vec<(String, Vec<Op>)> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../transport-mock/tests/data/observed");
    let mut recordings: Vec<_> = std::fs::read_dir(folder)
        .expect("recordings")
        .map(|file| {
            let path = file.expect("a file").path();
            let text = std::fs::read(&path).expect("a recording");
            let operations = parse(&text).expect("a recording that can be read");
            let name = path.file_stem().expect("a name").to_string_lossy();
            let operations = operations.into_iter().map(|(_, operation)| operation);
            (name.into_owned(), operations.collect())
        })
        .collect();
    recordings.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(recordings.len() >= 6, "{}", recordings.len());
    recordings
}

/// Calls that nothing makes succeed on the recorded machine: it has no device to assign, no power states, no other world.
const NEVER_DONE: [&str; 11] = [
    "set_ptdev_intr_info",
    "reset_ptdev_intr_info",
    "assign_pcidev",
    "deassign_pcidev",
    "remove_vdev",
    "initialize_trusty",
    "save_restore_sworld_ctx",
    "pm_get_px_count",
    "pm_get_px_data",
    "pm_get_cx_data",
    "tee_vcpu_boot_done",
];
/// Calls that a debug build refuses only for memory that it cannot reach, which typed arguments never name.
const NEVER_REFUSED: [&str; 3] = ["get_api_version", "setup_hv_npk_log", "get_hw_info"];

#[test]
fn every_call_is_made_with_good_and_bad_arguments() {
    let (answers, _) = suite();
    let calls = || {
        HypervisorCalls::INTERFACE
            .calls
            .iter()
            .map(|call| call.name)
    };
    assert!(answers.keys().copied().eq(BTreeSet::from_iter(calls())));
    let without = |has: fn(&BTreeSet<i64>) -> bool| -> Vec<&str> {
        calls().filter(|name| !has(&answers[name])).collect()
    };
    assert_eq!(without(|rax| rax.contains(&0)), NEVER_DONE);
    assert_eq!(without(|rax| rax.iter().any(|rax| *rax < 0)), NEVER_REFUSED);
}

/// Calls that no recording has, or only with memory that cannot be reached: what they answer is from the source.
const NOT_RECORDED: [&str; 5] = [
    "setup_hv_npk_log",
    "profiling_ops",
    "initialize_trusty",
    "save_restore_sworld_ctx",
    "tee_vcpu_boot_done",
];

#[test]
fn no_answer_is_expected_that_a_real_one_never_gave() {
    let (answers, _) = suite();
    let mut seen: BTreeMap<u64, BTreeSet<i64>> = BTreeMap::new();
    let mut no_such_vm = BTreeSet::new();
    for (_, operations) in recordings() {
        for operation in operations {
            if let Op::Hypercall { registers, rax } = operation {
                seen.entry(registers.number).or_default().insert(rax);
                if registers.args[0] & 0xffff >= 16 && rax == -25 {
                    no_such_vm.insert(registers.number);
                }
            }
        }
    }
    // The dispatcher answers so before it looks for a handler, whatever the number.
    assert!(no_such_vm.len() >= 3, "{no_such_vm:x?}");
    let calls = HypervisorCalls::INTERFACE.calls.iter();
    let invented = calls.filter(|call| {
        let recorded = seen.get(&call.number);
        let known =
            |rax: &i64| *rax == -25 || recorded.is_some_and(|recorded| recorded.contains(rax));
        recorded.is_none() || !answers[call.name].iter().all(known)
    });
    let invented = BTreeSet::from_iter(invented.map(|call| call.name));
    assert_eq!(invented, BTreeSet::from(NOT_RECORDED));
}

/// The state that a recording's label is about, by the suite's name for it.
fn state(label: &str) -> Option<&'static str> {
    match label.split_once(':')?.0 {
        "poweroff" => Some("powered off"),
        "created" | "created-nobuf" => Some("created"),
        "running" => Some("running"),
        "paused" => Some("paused"),
        _ => None,
    }
}

#[test]
fn every_state_answers_as_the_real_one_did_in_it() {
    let mut seen: BTreeMap<(&str, u64), BTreeSet<i64>> = BTreeMap::new();
    let mut now = None;
    let recordings = recordings();
    let (_, operations) = recordings
        .iter()
        .find(|(name, _)| name == "states")
        .expect("the recording of every state");
    for operation in operations {
        match operation {
            Op::Label(text) => now = state(text),
            Op::Hypercall { registers, rax } => {
                if let Some(state) = now {
                    seen.entry((state, registers.number))
                        .or_default()
                        .insert(*rax);
                }
            }
            _ => {}
        }
    }
    let (_, Rows(rows)) = suite();
    let (mut compared, mut not_recorded, mut other) = (0, BTreeSet::new(), BTreeSet::new());
    for (call, what, expected) in rows {
        let expected = match expected {
            Expected::Done => 0,
            Expected::Code(code) => code,
            _ => continue,
        };
        if !["powered off", "created", "running", "paused"].contains(&what.as_str()) {
            continue;
        }
        match seen.get(&(what.as_str(), call.number)) {
            Some(answers) => {
                compared += 1;
                if !answers.contains(&expected) {
                    other.insert((what, call.name, expected));
                }
            }
            None => {
                not_recorded.insert((what, call.name));
            }
        }
    }
    assert!(compared >= 120, "{compared}");
    // Recorded in other files or between the labels: a root port of a created VM, and the start of one that has a page.
    let elsewhere = [("created", "add_vdev", 0), ("created", "start_vm", 0)];
    assert_eq!(
        other,
        elsewhere
            .map(|(what, name, rax)| (what.to_owned(), name, rax))
            .into()
    );
    // Recorded under other labels. The table of the rules has all of these.
    let unlabelled = [
        ("created", "pause_vm"),
        ("paused", "destroy_vm"),
        ("powered off", "asyncio_assign"),
        ("powered off", "asyncio_deassign"),
        ("powered off", "create_vm"),
        ("running", "pause_vm"),
    ];
    assert_eq!(
        not_recorded,
        unlabelled
            .map(|(what, name)| (what.to_owned(), name))
            .into()
    );
}
