//! Tests made of traces: they compile, and they pass. The files `generated_…` in this folder are what is
//! generated here.

extern crate hypercall_core as hypercall;

mod replay_support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hypercall_core::acrn::*;
use hypercall_core::{Error, Payload, SharedPage, SharedRef};
use hypercall_trace::entry::{
    After, Argument, Block, Call, Damaged, Defect, Entry, LossCause, Lost, Outcome, When,
};
use hypercall_trace::gen_test::{GenError, GenTest, Generated};
use hypercall_trace::read::{Lane, Trace};
use hypercall_trace::replay::{Recorded, Replayer};
use hypercall_trace::schema::Schema;
use replay_support::*;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

hypercall::register_id! {
    /// A door.
    pub struct DoorId(u32) as Handle;
}
hypercall::register_id! {
    /// What opens it.
    pub struct Password(u16) as Secret;
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
pub struct Key {
    #[payload(secret)]
    pub key: [u8; 16],
}

/// A vault.
#[hypercall::interface(crate = ::hypercall_core)]
pub trait Vault {
    /// A name in RAX.
    #[call(0x30, result = rax)]
    fn open(&self, password: Password) -> Result<DoorId, Error>;
    /// A secret in the answer.
    #[call(0x31)]
    fn key(&self, door: DoorId) -> Result<Key, Error>;
    /// Takes the name back.
    #[call(0x32)]
    fn close(&self, door: DoorId) -> Result<(), Error>;
}

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
        "main_lane.note_pages()?;",
        // An error, or an assertion that fails, says less than the report.
        "let _told = TellsWhereItLeft(&replayer);",
    ] {
        assert!(life.source.contains(part), "{part} in {}", life.source);
    }
    is_up_to_date("answers", &answers);
    let lanes = is_up_to_date("two_lanes", &two_lanes);
    for part in [
        "let device_model = Client::new(&device_model_lane);",
        "for _ in 0..3 {\n        device_model_lane.note_pages()?;\n    }",
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

/// As `hcall gen-test` does: one dependency is enough.
#[test]
fn without_other_names_a_test_depends_on_the_facade_alone() {
    let made = GenTest::new("x", "x.hct")
        .generate(&record(&vm_life))
        .unwrap();
    let used = |line: &&str| line.starts_with("use ");
    for path in made.source.lines().filter(used) {
        assert!(path.starts_with("use hypercall::"), "{path}");
    }
    assert!(
        made.source
            .contains("use hypercall::trace::replay::Replayer;")
    );
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

#[test]
fn bytes_that_are_not_asserted_are_told() {
    let with = |bytes: Vec<u8>| {
        let mut recorded = record(&every_call);
        for entry in &mut recorded.entries {
            if let Entry::Call(call) = entry
                && call.name() == "profiling_ops"
                && call.rax() == Some(0)
                && let Argument::Block(block) = &mut call.args[1]
            {
                block.length = bytes.len();
                block.before = vec![0; bytes.len()];
                block.after = After::Changed(bytes.clone());
            }
        }
        generator("x").generate(&recorded).unwrap().source
    };
    let told = "// The 257 bytes that came back are in the trace, and are not asserted.";
    assert!(with(vec![7; 257]).contains(told));
    let few = with(vec![7; 256]);
    assert!(few.contains("assert_eq!(buffer, [0x07,") && !few.contains("not asserted"));
}

#[test]
fn variables_of_a_test_are_each_other_than_all_others() {
    let mut recorded = record(&vm_life);
    let source = |recorded: &Recorded| generator("x").generate(recorded).unwrap().source;
    // An argument of that name, a handle's variable, a name of the test's own.
    for (lane, variable) in [
        ("msi", "lane_msi"),
        ("creation", "lane_creation"),
        ("vm_2", "lane_vm_2_n2"),
        ("error", "lane_error"),
        ("main", "main"),
        ("vcpu!0", "lane_vcpu_0_n2"),
    ] {
        recorded.lanes[0].name = lane.to_owned();
        let text = source(&recorded);
        for part in [
            format!("let {variable}_lane = replayer.lane({lane:?});"),
            format!("let {variable} = Client::new(&{variable}_lane);"),
            format!("{variable}.start_vm("),
        ] {
            assert!(text.contains(&part), "{part} in {text}");
        }
    }
    let mut two = record(&two_lanes);
    assert_eq!(two.lanes.len(), 2);
    two.lanes[0].name = "a lane".to_owned();
    two.lanes[1].name = "a-lane".to_owned();
    let text = source(&two);
    let variables: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("let ")?.split_once(" = Client"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(variables.len(), 2, "{text}");
}

#[test]
fn secrets_names_in_rax_and_codes_without_a_name_make_tests_that_hold() {
    let mut recorded = Recorded {
        schema: Schema::from_interfaces(&[VaultCalls::INTERFACE]).into(),
        lanes: vec![Lane {
            id: 0,
            name: "main".to_owned(),
        }],
        ..Recorded::default()
    };
    let described = recorded.schema.clone();
    let call = |name: &str, index, args, rax| {
        let schema = described.calls().find(|call| &*call.name == name);
        let schema = schema.unwrap().clone();
        Entry::Call(Call {
            lane: 0,
            index,
            number: schema.number,
            schema: Some(schema),
            args,
            enter: index,
            duration: Some(0),
            outcome: Outcome::Returned(rax),
        })
    };
    let key = Block {
        direction: hypercall_core::call::Direction::Write,
        before: Vec::new(),
        after: After::Changed(vec![0xab; 16]),
        length: 16,
        link: None,
    };
    let hash = 0xdead_beef_1234_5678;
    let unused = || Argument::Unused;
    recorded.entries = vec![
        call("open", 0, [Argument::Value(hash), unused()], 5),
        call("key", 1, [Argument::Value(5), Argument::Block(key)], 0),
        call("close", 2, [Argument::Value(5), unused()], -99),
    ];
    let text = generator("vault").generate(&recorded).unwrap().source;
    for (part, there) in [
        ("let door_5 = main.open(arg(0 /* a secret */))?;", true),
        ("main.key(door_5)?;", true),
        ("expected", false),
        ("assert_eq!(error.rax, -99, \"{error}\");", true),
        ("Given out before", false),
        ("0xdeadbeef12345678)", false),
    ] {
        assert_eq!(text.contains(part), there, "{part} in {text}");
    }
}

/// Damage may have taken changes of pages alone, of which the indices of calls do not tell.
#[test]
fn a_slice_with_damage_inside_is_refused() {
    let recorded = record(&vm_life);
    let call = |wanted| {
        let is = |entry: &Entry| matches!(entry, Entry::Call(call) if call.index == wanted);
        recorded.entries.iter().position(is).unwrap()
    };
    let damaged = |at: usize, lane| {
        let mut recorded = recorded.clone();
        let stretch = Damaged {
            offset: 0,
            length: 8,
            defect: Defect::Checksum,
            lane,
            entries: Some(2),
            index: Some(5),
            calls: Some(0),
        };
        recorded.entries.insert(at, Entry::Damaged(stretch));
        recorded
    };
    let made = |recorded: &Recorded, first, last| {
        let made = generator("x").range(first, last).generate(recorded);
        match made {
            Ok(made) => Ok(made.calls),
            Err(GenError::Missing { index, .. }) => Err(index),
            Err(error) => panic!("{error}"),
        }
    };
    for lane in [Some(0), None] {
        let inside = damaged(call(5), lane);
        assert_eq!(made(&inside, 0, u64::MAX), Err(5));
        assert_eq!(made(&inside, 4, 5), Err(5));
        assert_eq!((made(&inside, 0, 4), made(&inside, 6, 9)), (Ok(5), Ok(4)));
        let behind = damaged(recorded.entries.len(), lane);
        assert_eq!(made(&behind, 0, u64::MAX), Err(14));
        assert_eq!(made(&behind, 0, 13), Ok(14));
        let before = damaged(0, lane);
        assert_eq!(made(&before, 0, u64::MAX), Ok(14));
    }
}

/// One page of the trace is one page of the test, whether it is handed over alone or with those behind it.
#[test]
fn a_page_is_the_same_one_alone_and_with_others() {
    static RING: [SharedPage; 3] = [const { SharedPage::new() }; 3];
    let recorded = record(&|world: &World| {
        let port = world.lane("main");
        port.watch(&RING[0]);
        for pages in [&RING[..], &RING[..1], &RING[..2], &[]] {
            let pages = SharedRef::Pages(pages);
            let _ = port
                .hypervisor()
                .setup_sbuf(VmId(1), PcpuId(0), SbufId::ASYNCIO, pages);
        }
    });
    let text = generator("ring").generate(&recorded).unwrap().source;
    for part in [
        "static PAGE_MAIN_0: [SharedPage; 3] = [const { SharedPage::new() }; 3];",
        ", SharedRef::Pages(&PAGE_MAIN_0))",
        ", (&PAGE_MAIN_0[0]).into())",
        ", SharedRef::Pages(&PAGE_MAIN_0[..2]))",
        ", SharedRef::Pages(&[]))",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(text.matches("static PAGE").count(), 1, "{text}");
}

/// Whether a name is used later is not looked for in all lines that follow: this would not end.
#[test]
fn a_test_of_many_calls_is_made_in_one_walk() {
    let schema = Schema::from_interfaces(&[VaultCalls::INTERFACE]);
    let open = schema.find(None, "open").unwrap().clone();
    let calls = 30_000;
    let entries = (0..calls).map(|index| {
        Entry::Call(Call {
            lane: 0,
            index,
            schema: Some(open.clone()),
            number: open.number,
            args: [Argument::Value(1), Argument::Unused],
            enter: index,
            duration: Some(0),
            outcome: Outcome::Returned(0x1_0000 + index as i64),
        })
    });
    let recorded = Recorded {
        entries: entries.collect(),
        schema: schema.into(),
        lanes: vec![Lane {
            id: 0,
            name: "main".to_owned(),
        }],
        joined: Vec::new(),
    };
    let made = generator("many").generate(&recorded).unwrap();
    assert_eq!(made.calls, calls as usize);
    assert!(!made.source.contains("let door_"), "none is used");
}
