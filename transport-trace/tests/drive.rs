//! A trace driven into a hypervisor.

mod replay_support;

use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::acrn::*;
use hypercall_core::arg::{Arg, Linked, Target};
use hypercall_core::call::CallInfo;
use hypercall_core::{Gpa, SharedPage, SharedRef, Transport, TransportError};
use hypercall_mock::fake::FakeAcrn;
use hypercall_mock::loopback::Loopback;
use hypercall_trace::drive::{Driver, WhyNotMade};
use hypercall_trace::entry::{self, Argument, Entry, Failure, Outcome};
use hypercall_trace::replay::{Reason, Recorded};
use replay_support::*;

type Fake = Loopback<AcrnServer<FakeAcrn>, FakeAcrn>;

fn fake() -> (FakeAcrn, Fake) {
    let machine = FakeAcrn::new();
    let transport = Loopback::new(
        AcrnServer::new(machine.clone()),
        machine.clone(),
        Gpa(0x100_0000),
        0x4_0000,
    );
    (machine, transport)
}

fn driver() -> Driver {
    Driver::new(HypervisorCalls::INTERFACE)
}

#[test]
fn the_fake_answers_as_it_did() {
    for (name, program) in CORPUS {
        let recorded = record(program);
        let driven = driver().with_hazards().all().drive(&recorded, &fake().1);
        assert!(driven.differences.is_empty(), "{name}: {driven}");
        assert_eq!(driven.made, driven.same);
        assert!(
            driven
                .not_made
                .iter()
                .all(|call| call.why == WhyNotMade::Secret),
            "{name}: {driven}"
        );
    }
}

#[test]
fn names_are_tied_to_live_ones() {
    let (machine, transport) = fake();
    // The slot that the trace's VM had is taken.
    machine.create_vm(&mut creation("somebody else")).unwrap();
    let driven = driver().drive(&record(&vm_life), &transport);
    assert!(driven.differences.is_empty(), "{driven}");
    assert_eq!(machine.vms().len(), 2, "the trace's VM was destroyed");
}

#[test]
fn the_first_other_answer_is_told() {
    let (machine, transport) = fake();
    machine.create_vm(&mut creation("demo")).unwrap();
    let recorded = record(&vm_life);
    let driven = driver().drive(&recorded, &transport);
    let [other] = driven.differences.as_slice() else {
        panic!("{driven}")
    };
    assert_eq!(
        (other.call.line.index, other.answer.as_str()),
        (1, "-1 EPERM")
    );
    assert_eq!(other.differences[0].reason, Reason::Value);
    assert_eq!(driven.made, 2);
    assert!(
        driven.to_string().contains("now answers -1 EPERM"),
        "{driven}"
    );
    let all = driver().all().drive(&recorded, &fake_with("demo").1);
    assert!(!all.differences.is_empty(), "{all}");
    assert!(all.made > 2);
}

fn fake_with(name: &str) -> (FakeAcrn, Fake) {
    let (machine, transport) = fake();
    machine.create_vm(&mut creation(name)).unwrap();
    (machine, transport)
}

/// Answers all with what it writes.
struct Odd<T>(T);

impl<T: Transport> Transport for Odd<T> {
    fn call<'a>(
        &self,
        info: &'static CallInfo,
        mut args: [Arg<'a>; 2],
    ) -> Result<i64, TransportError> {
        let rax = self
            .0
            .call(info, hypercall_core::arg::reborrow(&mut args))?;
        if info.name == "get_api_version"
            && let Some(output) = args[0].output()
        {
            output[4] ^= 1;
        }
        Ok(rax)
    }
}

#[test]
fn what_comes_out_in_memory_is_compared() {
    let driven = driver().drive(&record(&vm_life), &Odd(fake().1));
    let [other] = driven.differences.as_slice() else {
        panic!("{driven}")
    };
    assert_eq!(other.call.line.index, 0);
    assert_eq!(other.differences[0].field, "minor");
}

#[test]
fn dangerous_calls_are_not_made_unless_asked_for() {
    let recorded = record(&answers);
    let (machine, transport) = fake();
    let driven = driver().drive(&recorded, &transport);
    assert!(machine.down().is_none(), "the machine lives");
    let why: Vec<_> = driven.not_made.iter().map(|call| call.why).collect();
    assert!(
        why.contains(&WhyNotMade::Hazard) && why.contains(&WhyNotMade::Secret),
        "{driven}"
    );

    let mut unfinished = record(&vm_life);
    for entry in &mut unfinished.entries {
        if let Entry::Call(call) = entry
            && call.name() == "pause_vm"
        {
            call.outcome = Outcome::Unfinished;
        }
    }
    let driven = driver().drive(&unfinished, &fake().1);
    assert_eq!(driven.not_made[0].why, WhyNotMade::Unfinished);
}

#[test]
fn addresses_can_be_mapped() {
    let (machine, transport) = fake();
    let mut recorded = record(&vm_life);
    // Up to the start.
    recorded
        .entries
        .retain(|entry| matches!(entry, Entry::Call(call) if call.index < 6));
    let driven = driver()
        .map_addresses(|address| {
            if address >= 0x400_0000 {
                address + 0x100_0000
            } else {
                address
            }
        })
        .drive(&recorded, &transport);
    assert!(driven.differences.is_empty(), "{driven}");
    let vm = machine.vms()[1];
    assert_eq!(
        machine.translate(vm, Gpa(0)).map(|hpa| hpa.0),
        machine.translate(VmId(0), Gpa(0x500_0000)).map(|hpa| hpa.0)
    );
}

#[test]
fn pages_hold_what_was_recorded() {
    let page = fresh();
    let driven = driver()
        .page("main", 0, page)
        .drive(&record(&vm_life), &fake().1);
    assert!(driven.differences.is_empty(), "{driven}");
    // The device model's last answer was written for the hypervisor to see.
    assert_eq!(
        page.words()[88 / 4].load(std::sync::atomic::Ordering::Acquire),
        0x1c
    );
    let none = driver().drive(&Recorded::default(), &fake().1);
    assert_eq!(none.made, 0);
}

/// A call that carries other things in this program's interface is not made: it would say something else.
#[test]
fn an_older_interface_is_not_driven() {
    use hypercall_trace::schema::Register;

    let mut recorded = record(&vm_life);
    let mut schema = (*recorded.schema).clone();
    for call in &mut schema.interfaces[0].calls {
        if call.name == "inject_msi"
            && let Register::Block { size, .. } = &mut std::sync::Arc::make_mut(call).registers[1]
        {
            *size += 8;
        }
    }
    let schema = std::sync::Arc::new(schema);
    for entry in &mut recorded.entries {
        if let Entry::Call(call) = entry {
            let name = call.name().to_owned();
            call.schema = schema.find(None, &name).cloned();
        }
    }
    recorded.schema = schema;
    let driven = driver().drive(&recorded, &fake().1);
    let not_made: Vec<_> = driven
        .not_made
        .iter()
        .map(|not| (not.call.line.index, not.why))
        .collect();
    assert_eq!(not_made, [(11, WhyNotMade::OtherInterface)], "{driven}");
}

/// A VM's id inside a register's number is the live one's.
#[test]
fn a_power_command_is_about_the_live_vm() {
    let recorded = record(&|world: &World| {
        let port = world.lane("main");
        let vm = port.hypervisor().create_vm(&mut creation("one")).unwrap();
        let _ = port.hypervisor().pm_get_cx_count(PmCommand::new(vm));
        port.hypervisor().pause_vm(vm).unwrap();
        port.hypervisor().destroy_vm(vm).unwrap();
        // An id of no VM.
        let _ = port.hypervisor().pm_get_cx_count(PmCommand::new(vm));
    });
    let seen = Seen(fake_with("somebody else").1, std::sync::Mutex::default());
    let driven = driver().drive(&recorded, &seen);
    assert!(driven.differences.is_empty(), "{driven}");
    let asked = seen.1.into_inner().unwrap();
    assert_eq!(asked, [VmId(3), VmId(3)], "the trace has VmId(2)");
}

/// Notes which VM is asked about.
struct Seen<T>(T, std::sync::Mutex<Vec<VmId>>);

impl<T: Transport> Transport for Seen<T> {
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        if info.name == "pm_get_cx_count"
            && let Arg::Value(command) = args[0]
        {
            self.1.lock().unwrap().push(PmCommand(command).vm());
        }
        self.0.call(info, args)
    }
}

/// What never reached the hypervisor says nothing about it, and a lost answer neither.
#[test]
fn failures_on_the_way_are_no_answers_of_the_hypervisor() {
    let mut recorded = record(&vm_life);
    let failures = [
        (
            2,
            Failure::Layer {
                layer: "allow".to_owned(),
                reason: "not on the list".to_owned(),
            },
        ),
        (4, Failure::Lost("the line went dead".to_owned())),
        (
            11,
            Failure::Untranslatable {
                register: 1,
                nested: false,
            },
        ),
    ];
    for entry in &mut recorded.entries {
        if let Entry::Call(call) = entry
            && let Some((_, failure)) = failures.iter().find(|(index, _)| *index == call.index)
        {
            call.outcome = Outcome::Failed(failure.clone());
        }
    }
    let driven = driver().all().drive(&recorded, &fake().1);
    assert!(driven.differences.is_empty(), "{driven}");
    let not_made: Vec<_> = driven
        .not_made
        .iter()
        .map(|not| (not.call.line.index, not.why))
        .collect();
    assert_eq!(
        not_made,
        [(2, WhyNotMade::NeverIssued), (11, WhyNotMade::NeverIssued)]
    );
    // The one whose answer was lost was made: the VM has its memory.
    assert_eq!((driven.made, driven.same, driven.unknown), (12, 11, 1));
    assert!(
        driven.to_string().contains("1 call was not compared"),
        "{driven}"
    );
}

/// Takes the pages that are handed over, and answers 0.
#[derive(Default)]
struct Takes(std::sync::Mutex<Vec<&'static [SharedPage]>>);

impl Transport for Takes {
    fn call<'a>(&self, _: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        for arg in &args {
            if let Arg::Linked(Linked {
                target: Target::Shared(SharedRef::Pages(pages)),
                ..
            }) = arg
            {
                self.0.lock().unwrap().push(pages);
            }
        }
        Ok(0)
    }
}

/// The trace knows the first page of several: what the program wrote into it is in those that go out.
#[test]
fn of_several_pages_the_first_one_holds_what_was_recorded() {
    static RING: [SharedPage; 3] = [const { SharedPage::new() }; 3];
    let recorded = record(&|world: &World| {
        let port = world.lane("main");
        port.watch(&RING[0]);
        RING[0].write(0, &[1; 4]).unwrap();
        let buffer = || SharedRef::Pages(&RING);
        let setup = |buffer| {
            let _ = port
                .hypervisor()
                .setup_sbuf(VmId(1), PcpuId(0), SbufId::ASYNCIO, buffer);
        };
        setup(buffer());
        RING[0].write(8, &[2; 4]).unwrap();
        setup(buffer());
        setup((&RING[0]).into());
    });
    let takes = Takes::default();
    let driven = driver().all().drive(&recorded, &takes);
    assert_eq!((driven.made, driven.not_made.len()), (3, 0), "{driven}");
    let taken = takes.0.into_inner().unwrap();
    let counts: Vec<_> = taken.iter().map(|pages| pages.len()).collect();
    assert_eq!(counts, [3, 3, 1]);
    assert!(
        taken
            .iter()
            .all(|pages| std::ptr::eq(&pages[0], &taken[0][0])),
        "it is one page"
    );
    let word = |at: usize| taken[0][0].words()[at].load(std::sync::atomic::Ordering::Acquire);
    assert_eq!((word(0), word(2)), (0x0101_0101, 0x0202_0202));

    // A call that hands over none of them does not keep the others from following the first.
    let mut none = recorded.clone();
    let first = none.entries.iter_mut().find_map(|entry| match entry {
        Entry::Call(call) => call.args.iter_mut().find_map(|argument| match argument {
            Argument::Block(block) => match &mut block.link.as_mut()?.target {
                entry::Target::Pages { count, .. } => Some(count),
                _ => None,
            },
            _ => None,
        }),
        _ => None,
    });
    assert_eq!(std::mem::replace(first.unwrap(), 0), 3);
    let takes = Takes::default();
    let driven = driver().all().drive(&none, &takes);
    assert_eq!((driven.made, driven.not_made.len()), (3, 0), "{driven}");
    let taken = takes.0.into_inner().unwrap();
    let counts: Vec<_> = taken.iter().map(|pages| pages.len()).collect();
    assert_eq!(counts, [0, 3, 1]);

    // One page that is given does not become several.
    let takes = Takes::default();
    let driven = driver()
        .all()
        .page("main", 0, fresh())
        .drive(&recorded, &takes);
    let why: Vec<_> = driven.not_made.iter().map(|not| not.why).collect();
    assert_eq!(why, [WhyNotMade::PagesApart; 2], "{driven}");
    assert_eq!(takes.0.into_inner().unwrap().len(), 1);
}
