//! What a replayer answers, what it refuses, and what it says about it.

mod replay_support;

use std::sync::Arc;

use hypercall_core::acrn::*;
use hypercall_core::layer::fault::Plan;
use hypercall_core::{Client, ErrorKind, Gpa, Hazard, Transport, TransportError};
use hypercall_trace::clock::ClockInfo;
use hypercall_trace::entry::{Call, Entry, Failure, LossCause, Lost, Outcome};
use hypercall_trace::read::{OpenError, Trace};
use hypercall_trace::replay::{
    Cause, FieldDifference, Mode, Reason, Recorded, ReplayError, ReplayLane, Replayer, WhyNot,
};
use hypercall_trace::write::{Options as WriteOptions, Writer};
use replay_support::*;

/// Three calls with arguments of their own, and a fourth that repeats the first.
fn lines(world: &World) {
    let port = world.lane("main");
    let hypervisor = port.hypervisor();
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    for line in [3, 4, 5, 3] {
        hypervisor
            .set_irqline(vm, IrqLine::new(Gsi(line), IrqLineOp::HIGH))
            .unwrap();
    }
    hypervisor.pause_vm(vm).unwrap();
}

fn set(hypervisor: &impl Hypervisor, vm: VmId, line: u32) -> Result<(), hypercall_core::Error> {
    hypervisor.set_irqline(vm, IrqLine::new(Gsi(line), IrqLineOp::HIGH))
}

fn lane(
    options: hypercall_trace::replay::Options,
    recorded: &Recorded,
) -> (Replayer, Client<ReplayLane>) {
    let replayer = options.recorded(recorded.clone()).unwrap();
    let client = Client::new(replayer.lane("main"));
    (replayer, client)
}

/// The calls of a trace, without their answers' times.
fn calls(recorded: &Recorded) -> impl Iterator<Item = &Call> {
    recorded.entries.iter().filter_map(|entry| match entry {
        Entry::Call(call) => Some(call),
        _ => None,
    })
}

fn each_call(recorded: &mut Recorded, mut change: impl FnMut(&mut Call)) {
    for entry in &mut recorded.entries {
        if let Entry::Call(call) = entry {
            change(call);
        }
    }
}

#[test]
fn another_argument_is_told_by_name() {
    let recorded = record(&lines);
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    set(&hypervisor, vm, 3).unwrap();
    let error = set(&hypervisor, vm, 7).unwrap_err();
    let ErrorKind::Transport(TransportError::Unexpected(said)) = error.kind else {
        panic!("{error}")
    };
    assert!(
        said.contains("call 2 of lane main") && said.contains("gsi"),
        "{said}"
    );

    let told = replayer.divergence().unwrap();
    assert_eq!(
        (told.lane.as_str(), told.call, told.index),
        ("main", 2, Some(2))
    );
    assert_eq!(told.cause, Cause::OtherArguments);
    assert_eq!(told.before.len(), 2);
    assert_eq!(told.next.len(), 4);
    assert_eq!(told.next[0].text, told.candidates[0].text);
    let [difference] = told.differences.as_slice() else {
        panic!("{told}")
    };
    assert_eq!(difference.place, "RSI");
    assert_eq!(difference.reason, Reason::Value);
    let text = told.to_string();
    for part in [
        "the program called",
        "the trace has next",
        "calls before:",
        "expected next:",
        "nearest records:",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let json = serde_json::to_value(&told).unwrap();
    assert_eq!(json["cause"]["kind"], "other_arguments");
    assert_eq!(json["differences"][0]["place"], "RSI");
    assert_eq!(json["candidates"][0]["why_not"]["kind"], "differs");

    // Whatever comes next, in whatever lane: the same error.
    let again = set(&hypervisor, vm, 4).unwrap_err();
    assert_eq!(again.kind, error.kind);
    let elsewhere = Client::new(replayer.lane("elsewhere"));
    assert_eq!(elsewhere.get_api_version().unwrap_err().kind, error.kind);
    let report = replayer.finish().unwrap_err();
    assert_eq!((report.answered, report.unused.len()), (2, 4));
    assert!(report.to_string().contains("never used"));
}

#[test]
fn another_call_names_the_nearest_and_why_not() {
    let recorded = record(&lines);
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    hypervisor.pause_vm(vm).unwrap_err();
    let told = replayer.divergence().unwrap();
    assert_eq!(told.cause, Cause::OtherCall);
    assert_eq!(told.candidates[0].why_not, WhyNot::Later { after: 4 });

    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    hypervisor.create_vm(&mut creation("one")).unwrap_err();
    let told = replayer.divergence().unwrap();
    assert_eq!(told.candidates[0].why_not, WhyNot::Used { by: 0 });
    assert!(told.to_string().contains("already used at 0"), "{told}");
    let _ = vm;
}

#[test]
fn the_end_and_lanes_that_are_not_there() {
    let recorded = record(&lines);
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    for line in [3, 4, 5, 3] {
        set(&hypervisor, vm, line).unwrap();
    }
    hypervisor.pause_vm(vm).unwrap();
    assert!(replayer.finish().is_ok());
    hypervisor.destroy_vm(vm).unwrap_err();
    assert_eq!(replayer.divergence().unwrap().cause, Cause::End);

    let (replayer, _) = lane(Replayer::options(), &recorded);
    Client::new(replayer.lane("vcpu7"))
        .get_api_version()
        .unwrap_err();
    let told = replayer.divergence().unwrap();
    assert_eq!(
        told.cause,
        Cause::NoLane {
            lanes: vec!["main".to_owned()]
        }
    );
    assert_eq!(told.lane, "vcpu7");
}

#[test]
fn keyed_takes_the_first_unused_one() {
    let recorded = record(&lines);
    let (replayer, hypervisor) = lane(Replayer::options().mode(Mode::Keyed), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    hypervisor.pause_vm(vm).unwrap();
    for line in [5, 3, 3, 4] {
        set(&hypervisor, vm, line).unwrap();
    }
    assert!(replayer.finish().is_ok());
    set(&hypervisor, vm, 3).unwrap_err();
    let told = replayer.divergence().unwrap();
    assert_eq!(told.cause, Cause::End);
    let used: Vec<_> = told
        .candidates
        .iter()
        .map(|candidate| &candidate.why_not)
        .collect();
    assert!(
        used.contains(&&WhyNot::Used { by: 3 }) && used.contains(&&WhyNot::Used { by: 4 }),
        "{told}"
    );
}

#[test]
fn a_key_is_what_the_user_says() {
    let recorded = record(&lines);
    let options = || Replayer::options().key("create_vm", &["cpu_affinity"]);
    let (_, hypervisor) = lane(options(), &recorded);
    hypervisor.create_vm(&mut creation("another name")).unwrap();
    let (_, hypervisor) = lane(options(), &recorded);
    let other = creation("one").with_cpu_affinity(PcpuSet(2));
    hypervisor.create_vm(&mut { other }).unwrap_err();
    let (_, hypervisor) = lane(Replayer::options().ignore("*", "name"), &recorded);
    hypervisor.create_vm(&mut creation("another name")).unwrap();
}

/// What the hypervisor left alone stays the program's: a value that is not compared does not become the recorded one.
#[test]
fn what_is_not_compared_is_not_overwritten() {
    let recorded = record(&lines);
    let options = Replayer::options()
        .ignore("create_vm", "cpu_affinity")
        .ignore("create_vm", "ioreq_buf");
    let (replayer, hypervisor) = lane(options, &recorded);
    let mut description = creation("one").with_cpu_affinity(PcpuSet(2));
    description.ioreq_buf = Gpa(0x77_0000);
    let vm = hypervisor.create_vm(&mut description).unwrap();
    assert_eq!(
        (description.cpu_affinity, description.ioreq_buf),
        (PcpuSet(2), Gpa(0x77_0000))
    );
    assert_eq!((description.vmid, description.vcpu_num), (vm, 1));
    assert!(replayer.divergence().is_none());
}

#[test]
fn groups_are_unordered_and_the_rest_is_strict() {
    let recorded = record(&lines);
    for options in [
        Replayer::options().unordered(&["set_irqline"]),
        Replayer::options().unordered_range("main", 1, 4),
    ] {
        let (replayer, hypervisor) = lane(options.clone(), &recorded);
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        for line in [5, 3, 4, 3] {
            set(&hypervisor, vm, line).unwrap();
        }
        hypervisor.pause_vm(vm).unwrap();
        assert!(replayer.finish().is_ok());

        let (replayer, hypervisor) = lane(options, &recorded);
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        set(&hypervisor, vm, 5).unwrap();
        hypervisor.pause_vm(vm).unwrap_err();
        assert_eq!(replayer.divergence().unwrap().cause, Cause::NoMatch);
    }
}

#[test]
fn loose_goes_on_and_tells_what_it_skipped() {
    let recorded = record(&lines);
    let (replayer, hypervisor) = lane(Replayer::options().mode(Mode::Loose), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    set(&hypervisor, vm, 5).unwrap();
    hypervisor.pause_vm(vm).unwrap();
    let report = replayer.finish().unwrap_err();
    assert_eq!(report.divergence, None);
    assert!(report.unused.is_empty());
    let skipped: Vec<_> = report
        .skipped
        .iter()
        .map(|skipped| skipped.line.index)
        .collect();
    assert_eq!(skipped, [1, 2, 4]);
    set(&hypervisor, vm, 3).unwrap_err();
}

#[test]
fn addresses_are_tied() {
    let program = |world: &World| {
        let hypervisor = world.lane("main");
        let hypervisor = hypervisor.hypervisor();
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        hypervisor
            .set_memory_regions(vm, &[ram(0, 0x1000), ram(0x8000, 0x1000)])
            .unwrap();
    };
    let recorded = record(&program);
    let moved =
        |at: u64, service: u64| MemoryRegion::map(Gpa(at), Gpa(service), 0x1000, MemoryProt::RAM);

    // Other memory of the Service VM: tied, and kept.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    hypervisor
        .set_memory_regions(vm, &[moved(0, 0x900_0000), moved(0x8000, 0x700_0000)])
        .unwrap();
    assert!(replayer.finish().is_ok());

    // Where the trace has two addresses, one does not do.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    hypervisor
        .set_memory_regions(vm, &[moved(0, 0x900_0000), moved(0x8000, 0x900_0000)])
        .unwrap_err();
    let told = replayer.divergence().unwrap();
    assert!(
        matches!(
            &told.differences[0].reason,
            Reason::FoundIsTied { since: None, .. }
        ),
        "{told}"
    );
    assert_eq!(told.differences[0].field, "regions[1].service_vm_gpa");

    // Where a VM sees its memory is the program's choice: compared.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    hypervisor
        .set_memory_regions(vm, &[moved(0, 0x900_0000), moved(0x9000, 0x700_0000)])
        .unwrap_err();
    let told = replayer.divergence().unwrap();
    let [difference] = told.differences.as_slice() else {
        panic!("{told}")
    };
    assert_eq!(
        (difference.field.as_str(), &difference.reason),
        ("regions[1].gpa", &Reason::Value)
    );

    // Zero stands for itself, on either side.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    hypervisor
        .set_memory_regions(vm, &[moved(0, 0), moved(0x8000, 0x700_0000)])
        .unwrap_err();
    let told = replayer.divergence().unwrap();
    assert_eq!(told.differences[0].reason, Reason::Value, "{told}");
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let mut description = creation("one");
    description.ioreq_buf = Gpa(0x5000);
    hypervisor.create_vm(&mut description).unwrap_err();
    let told = replayer.divergence().unwrap();
    assert_eq!(told.differences[0].field, "ioreq_buf", "{told}");
}

/// What a call tied holds for those after it, in both directions.
#[test]
fn later_uses_of_an_address_must_agree() {
    let map = |hypervisor: &dyn Hypervisor, services: [u64; 3]| {
        let vm = hypervisor.create_vm(&mut creation("one"))?;
        for (at, service) in (0..).zip(services) {
            let region = MemoryRegion::map(Gpa(at * 0x1000), Gpa(service), 0x1000, MemoryProt::RAM);
            hypervisor.set_memory_regions(vm, &[region])?;
        }
        Ok::<(), hypercall_core::Error>(())
    };
    let (one, two) = (0x400_0000, 0x500_0000);
    let recorded = record(&|world: &World| {
        map(&world.lane("main").hypervisor(), [one, two, one]).unwrap();
    });
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    map(&hypervisor, [0x10_0000, 0x20_0000, 0x10_0000]).unwrap();
    assert!(replayer.finish().is_ok());
    // Where the trace has one address, two do not do.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    map(&hypervisor, [0x10_0000, 0x20_0000, 0x30_0000]).unwrap_err();
    let told = replayer.divergence().unwrap();
    let [
        FieldDifference {
            reason:
                Reason::ExpectedIsTied {
                    to,
                    since: Some(since),
                },
            ..
        },
    ] = told.differences.as_slice()
    else {
        panic!("{told}")
    };
    assert_eq!((to.as_str(), since.index), ("Gpa(0x100000)", 1));
    // Where it has two, one does not.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    map(&hypervisor, [0x10_0000, 0x10_0000, 0x10_0000]).unwrap_err();
    let told = replayer.divergence().unwrap();
    assert!(
        matches!(&told.differences[0].reason, Reason::FoundIsTied { to, .. } if to == "Gpa(0x4000000)"),
        "{told}"
    );
    // Nor the two exchanged.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    map(&hypervisor, [0x10_0000, 0x20_0000, 0x20_0000]).unwrap_err();
    assert!(replayer.divergence().is_some());
}

/// A VM's id inside a register's number is a name as well.
#[test]
fn a_vm_in_a_power_command_is_a_name() {
    let recorded = record(&|world: &World| {
        let port = world.lane("main");
        let hypervisor = port.hypervisor();
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        set(&hypervisor, vm, 3).unwrap();
        let _ = hypervisor.pm_get_cx_count(PmCommand::new(vm));
    });
    let mut slice = recorded.clone();
    slice
        .entries
        .retain(|entry| !matches!(entry, Entry::Call(call) if call.index == 0));
    let (replayer, hypervisor) = lane(Replayer::options(), &slice);
    set(&hypervisor, VmId(7), 3).unwrap();
    hypervisor.pm_get_cx_count(PmCommand::new(VmId(7))).unwrap();
    assert!(replayer.finish().is_ok());
    let (replayer, hypervisor) = lane(Replayer::options(), &slice);
    set(&hypervisor, VmId(7), 3).unwrap();
    hypervisor
        .pm_get_cx_count(PmCommand::new(VmId(6)))
        .unwrap_err();
    let told = replayer.divergence().unwrap();
    assert_eq!(told.differences[0].field, "command.vm", "{told}");
}

#[test]
fn names_are_rewritten_in_answers() {
    // The slice begins behind the creation of VM 1; the live program calls that VM 2, and then creates one.
    let program = |world: &World| {
        let port = world.lane("main");
        let hypervisor = port.hypervisor();
        let first = hypervisor.create_vm(&mut creation("one")).unwrap();
        set(&hypervisor, first, 3).unwrap();
        let second = hypervisor.create_vm(&mut creation("two")).unwrap();
        set(&hypervisor, second, 4).unwrap();
        hypervisor
            .vm_gpa2hpa(second, &mut GpaToHpa::of(Gpa(0xfee0_0000)))
            .unwrap();
    };
    let mut recorded = record(&program);
    let ids: Vec<u64> = calls(&recorded).map(|call| call.registers()[0]).collect();
    recorded
        .entries
        .retain(|entry| !matches!(entry, Entry::Call(call) if call.index == 0));
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let second_id = VmId(u16::try_from(ids[3]).unwrap());
    set(&hypervisor, second_id, 3).unwrap();
    let second = hypervisor.create_vm(&mut creation("two")).unwrap();
    assert_ne!(second, second_id, "that name is taken");
    set(&hypervisor, second, 4).unwrap();
    let mut question = GpaToHpa::of(Gpa(0xfee0_0000));
    hypervisor.vm_gpa2hpa(second, &mut question).unwrap();
    assert_eq!(question.gpa, Gpa(0xfee0_0000));
    assert!(replayer.finish().is_ok());
}

#[test]
fn memory_that_does_not_fit_diverges() {
    let program = |world: &World| {
        let port = world.lane("main");
        let _ = port
            .hypervisor()
            .profiling_ops(ProfilingCommand(1), &mut [1; 64]);
    };
    let recorded = record(&program);
    for length in [63, 65] {
        let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
        hypervisor
            .profiling_ops(ProfilingCommand(1), &mut vec![1; length])
            .unwrap_err();
        let told = replayer.divergence().unwrap();
        assert_eq!(told.differences[0].reason, Reason::Length, "{told}");
    }
}

#[test]
fn secrets_are_compared_where_the_key_is_known() {
    let program = |world: &World| {
        let port = world.lane("main");
        let param = TrustyBootParam::new(Gpa(0x1000), Gpa(0x2000), 0x1000, [7; 64]);
        port.hypervisor().initialize_trusty(&param).unwrap_err();
    };
    let recorded = record(&program);
    let other = TrustyBootParam::new(Gpa(0x1000), Gpa(0x2000), 0x1000, [8; 64]);
    let same = TrustyBootParam::new(Gpa(0x1000), Gpa(0x2000), 0x1000, [7; 64]);
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    assert_eq!(
        hypervisor.initialize_trusty(&other).unwrap_err().code(),
        Some(-25)
    );
    assert!(replayer.divergence().is_none());
    let (_, hypervisor) = lane(Replayer::options().secret_key(KEY), &recorded);
    assert_eq!(
        hypervisor.initialize_trusty(&same).unwrap_err().code(),
        Some(-25)
    );
    let (replayer, hypervisor) = lane(Replayer::options().secret_key(KEY), &recorded);
    assert_eq!(
        hypervisor.initialize_trusty(&other).unwrap_err().code(),
        None
    );
    let told = replayer.divergence().unwrap();
    assert_eq!(told.differences[0].reason, Reason::Secret);
    // No part of the secret is in what is told.
    for text in [told.to_string(), serde_json::to_string(&told).unwrap()] {
        assert!(!text.contains("0707") && !text.contains("0808"), "{text}");
    }
}

#[test]
fn recorded_failures_are_answers() {
    let mut recorded = record(&lines);
    let failures = [
        (
            Failure::Untranslatable {
                register: 1,
                nested: true,
            },
            TransportError::Untranslatable {
                register: 1,
                nested: true,
            },
        ),
        (
            Failure::Crashed("by a test".to_owned()),
            TransportError::Dead(Hazard::Crashed("by a test")),
        ),
        (
            Failure::Hung("for ever".to_owned()),
            TransportError::Dead(Hazard::Hung("for ever")),
        ),
        (Failure::Fault(13), TransportError::Fault(13)),
        (
            Failure::Lost("on the way".to_owned()),
            TransportError::Lost("on the way"),
        ),
    ];
    let mut left = failures.iter();
    each_call(&mut recorded, |call| {
        if let Some((failure, _)) = left.next() {
            call.outcome = Outcome::Failed(failure.clone());
        }
    });
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = VmId(u16::try_from(calls(&recorded).nth(1).unwrap().registers()[0]).unwrap());
    let kinds = [
        hypervisor.create_vm(&mut creation("one")).map(|_| ()),
        set(&hypervisor, vm, 3),
        set(&hypervisor, vm, 4),
        set(&hypervisor, vm, 5),
        set(&hypervisor, vm, 3),
    ];
    for (answer, (_, failure)) in kinds.into_iter().zip(failures) {
        assert_eq!(answer.unwrap_err().kind, ErrorKind::Transport(failure));
    }
    hypervisor.pause_vm(vm).unwrap();
    assert!(replayer.finish().is_ok());
}

#[test]
fn losses_gaps_and_unfinished_calls_are_ends_of_their_own() {
    let recorded = record(&lines);
    let run = |recorded: &Recorded, options| {
        let (replayer, hypervisor) = lane(options, recorded);
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        set(&hypervisor, vm, 3).unwrap();
        let answer = hypervisor.pause_vm(vm);
        (replayer, answer)
    };
    // A loss that was recorded.
    let mut lossy = recorded.clone();
    lossy
        .entries
        .retain(|entry| !matches!(entry, Entry::Call(call) if (2..=4).contains(&call.index)));
    let lost = Lost {
        lane: 0,
        index: 2,
        count: 3,
        cause: LossCause::RingFull,
        first: 0,
        last: 0,
    };
    let mut told = lossy.clone();
    told.entries.insert(2, Entry::Lost(lost));
    let (replayer, answer) = run(&told, Replayer::options());
    answer.unwrap_err();
    let divergence = replayer.divergence().unwrap();
    assert_eq!(
        divergence.cause,
        Cause::Missing {
            count: 3,
            why: "the ring was full".to_owned()
        }
    );
    let (_, answer) = run(&told, Replayer::options().cross_losses());
    answer.unwrap();
    // A gap that nothing tells of.
    let (replayer, answer) = run(&lossy, Replayer::options());
    answer.unwrap_err();
    assert!(matches!(
        replayer.divergence().unwrap().cause,
        Cause::Missing { count: 3, .. }
    ));
    let (_, answer) = run(&lossy, Replayer::options().mode(Mode::Keyed));
    answer.unwrap_err();
    let (_, answer) = run(&lossy, Replayer::options().mode(Mode::Keyed).cross_losses());
    answer.unwrap();

    let mut unfinished = recorded;
    each_call(&mut unfinished, |call| {
        if call.index == 1 {
            call.outcome = Outcome::Unfinished;
        }
    });
    let (replayer, hypervisor) = lane(Replayer::options(), &unfinished);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    let error = set(&hypervisor, vm, 3).unwrap_err();
    assert!(
        matches!(
            error.kind,
            ErrorKind::Transport(TransportError::Dead(Hazard::Hung(_)))
        ),
        "{error}"
    );
    assert_eq!(replayer.divergence().unwrap().cause, Cause::Unfinished);
    assert_eq!(set(&hypervisor, vm, 4).unwrap_err().kind, error.kind);
}

#[test]
fn each_trace_that_cannot_be_replayed_has_its_own_error() {
    let missing = Replayer::open("there/is/no/such.hct").unwrap_err();
    assert!(
        matches!(&missing, ReplayError::Missing(path) if path.ends_with("such.hct")),
        "{missing}"
    );
    let empty = Replayer::options().from_bytes(&[]).unwrap_err();
    assert!(matches!(empty, ReplayError::Open(OpenError::Empty)));
    let other = Replayer::options().from_bytes(&[b'x'; 100]).unwrap_err();
    assert!(matches!(other, ReplayError::Open(OpenError::NotATrace)));

    let bytes = written(&record(&vm_life));
    Replayer::options().from_bytes(&bytes).unwrap();
    let mut damaged = bytes.clone();
    // In the middle of the records.
    let trace = Trace::from_bytes(bytes.clone()).unwrap();
    let block = trace.data().last().unwrap();
    let at = usize::try_from(block.offset).unwrap() + 64 + 40;
    damaged[at] ^= 0x40;
    let error = Replayer::options().from_bytes(&damaged).unwrap_err();
    assert!(
        matches!(&error, ReplayError::Damaged(stretches) if !stretches.is_empty()),
        "{error}"
    );
    Replayer::options()
        .accept_damage()
        .from_bytes(&damaged)
        .unwrap();
}

fn written(recorded: &Recorded) -> Vec<u8> {
    let options = WriteOptions {
        block: 1024,
        ..WriteOptions::default()
    };
    let mut writer =
        Writer::new(Vec::new(), &recorded.schema, ClockInfo::default(), options).unwrap();
    for lane in &recorded.lanes {
        writer.lane(&lane.name).unwrap();
    }
    for entry in &recorded.entries {
        writer.push(entry).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn another_version_of_the_interface_is_refused() {
    let mut recorded = record(&lines);
    Replayer::options()
        .interface(HypervisorCalls::INTERFACE)
        .recorded(recorded.clone())
        .unwrap();
    let mut schema = (*recorded.schema).clone();
    for call in &mut schema.interfaces[0].calls {
        if call.name == "set_irqline" {
            Arc::make_mut(call).registers[1] = hypercall_trace::schema::Register::Unused;
        }
        if call.name == "pause_vm" {
            Arc::make_mut(call).number = 0x99;
        }
        // What the trace does not use does not matter.
        if call.name == "start_vm" {
            Arc::make_mut(call).number = 0x98;
        }
    }
    recorded.schema = Arc::new(schema);
    let schema = Arc::clone(&recorded.schema);
    each_call(&mut recorded, |call| {
        let name = call.name().to_owned();
        call.schema = schema.find(None, &name).cloned();
    });
    let error = Replayer::options()
        .interface(HypervisorCalls::INTERFACE)
        .recorded(recorded.clone())
        .unwrap_err();
    let ReplayError::OtherInterface {
        interface,
        differences,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!((interface.as_str(), differences.len()), ("Hypervisor", 2));
    assert!(
        differences[0].contains("RSI of set_irqline carries nothing in the trace"),
        "{differences:?}"
    );

    // A block of another layout is another version; another name, unit or role is not.
    let changed = |change: &dyn Fn(&mut hypercall_trace::schema::Field)| {
        use hypercall_trace::schema::{Kind, Register};
        let mut recorded = record(&lines);
        let mut schema = (*recorded.schema).clone();
        for call in &mut schema.interfaces[0].calls {
            if let Register::Block {
                kind: Kind::Struct(layout),
                ..
            } = &mut Arc::make_mut(call).registers[0]
                && layout.name == "VmCreation"
            {
                change(&mut Arc::make_mut(layout).fields[1]);
            }
        }
        recorded.schema = Arc::new(schema);
        let schema = Arc::clone(&recorded.schema);
        each_call(&mut recorded, |call| {
            let name = call.name().to_owned();
            call.schema = schema.find(None, &name).cloned();
        });
        let options = Replayer::options().interface(HypervisorCalls::INTERFACE);
        options.recorded(recorded).map(|_| ())
    };
    changed(&|_| ()).unwrap();
    changed(&|field| {
        field.name.push('x');
        field.units = "apples".to_owned();
        field.role = hypercall_core::schema::Role::Volatile;
    })
    .unwrap();
    let error = changed(&|field| field.offset += 2).unwrap_err();
    assert!(
        error.to_string().contains("RDI of create_vm has the field"),
        "{error}"
    );

    // Without the check it shows at the call.
    let (replayer, hypervisor) = lane(Replayer::options().mode(Mode::Loose), &recorded);
    hypervisor.pause_vm(VmId(1)).unwrap_err();
    assert!(matches!(
        replayer.divergence().unwrap().cause,
        Cause::OtherInterface { .. }
    ));
}

#[test]
fn faults_are_injected() {
    let recorded = record(&lines);
    let plan = "set_irqline: instead=EPERM @ 2; pause_vm: after=lost; create_vm: flip=vcpu_num.1";
    let plan = Plan::parse(plan, HypervisorCalls::INTERFACE).unwrap();
    let (replayer, hypervisor) = lane(Replayer::options().faults(plan), &recorded);
    let mut description = creation("one");
    let vm = hypervisor.create_vm(&mut description).unwrap();
    assert_eq!(description.vcpu_num, 1 ^ 2);
    set(&hypervisor, vm, 3).unwrap();
    assert_eq!(set(&hypervisor, vm, 4).unwrap_err().code(), Some(-1));
    // No record was used: a program that tries again gets the recorded answer.
    for line in [4, 5, 3] {
        set(&hypervisor, vm, line).unwrap();
    }
    assert!(hypervisor.pause_vm(vm).unwrap_err().may_have_run());
    assert!(replayer.finish().is_ok());
    assert_eq!(
        replayer
            .faults()
            .map(|tally| tally.acted)
            .collect::<Vec<_>>(),
        [1, 1, 1]
    );
}

#[test]
fn a_page_that_the_program_wrote_differently_diverges() {
    let recorded = record(&vm_life);
    let replayer = Replayer::options().recorded(recorded.clone()).unwrap();
    let lane = replayer.lane("main");
    let hypervisor = Client::new(&lane);
    let page = fresh();
    lane.watch(page);
    hypervisor.get_api_version().unwrap();
    let vm = hypervisor.create_vm(&mut creation("demo")).unwrap();
    hypervisor.start_vm(vm).unwrap_err();
    hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
    let state =
        |slot: usize| page.words()[slot * 64 + 34].load(std::sync::atomic::Ordering::Acquire);
    assert!(
        (0..16).all(|slot| state(slot) == 3),
        "what the hypervisor wrote is there"
    );
    hypervisor
        .set_memory_regions(vm, &[ram(0, 0x10_0000), ram(0x20_0000, 0x1000)])
        .unwrap();
    hypervisor.start_vm(vm).unwrap();
    assert_eq!(state(0), 3, "nothing is written before it was seen");
    lane.note_pages();
    assert_eq!(state(0), 0, "the request is there");
    let claimed = ioreq::IoReqPage::new(page).claim().unwrap();
    let completed = claimed.complete_read(0x1d).unwrap();
    hypervisor
        .notify_request_finish(vm, completed.vcpu())
        .unwrap_err();
    let told = replayer.divergence().unwrap();
    assert_eq!(told.cause, Cause::Page { page: 0 });
    assert_eq!(
        (
            told.differences[0].expected.as_str(),
            told.differences[0].found.as_str()
        ),
        ("0x1c", "0x1d")
    );

    // Unless nobody wants to know.
    let replayer = Replayer::options()
        .unchecked_pages()
        .pages_ahead()
        .recorded(recorded)
        .unwrap();
    let lane = replayer.lane("main");
    let hypervisor = Client::new(&lane);
    let page = fresh();
    hypervisor.get_api_version().unwrap();
    let vm = hypervisor.create_vm(&mut creation("demo")).unwrap();
    hypervisor.start_vm(vm).unwrap_err();
    hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
    hypervisor
        .set_memory_regions(vm, &[ram(0, 0x10_0000), ram(0x20_0000, 0x1000)])
        .unwrap();
    hypervisor.start_vm(vm).unwrap();
    // The page was found by the call that handed it over, and what was noted is there without being asked for.
    for _ in 0..5 {
        let completed = ioreq::IoReqPage::new(page)
            .claim()
            .unwrap()
            .complete_read(0x77)
            .unwrap();
        hypervisor
            .notify_request_finish(vm, completed.vcpu())
            .unwrap();
    }
    hypervisor
        .inject_msi(
            vm,
            &MsiEntry::new(MsiAddress::to_apic(0), MsiData::vector_of(0x41)),
        )
        .unwrap();
}

#[test]
fn nothing_falls_through() {
    // A replayer of an empty trace answers nothing.
    let replayer = Replayer::options().recorded(Recorded::default()).unwrap();
    let transport: &dyn Transport = &replayer;
    Client::new(transport).get_api_version().unwrap_err();
    assert!(replayer.divergence().is_some());
    // Two replayers of one trace do not share a place.
    let recorded = record(&lines);
    let one = Replayer::options().recorded(recorded.clone()).unwrap();
    let other = Replayer::options().recorded(recorded).unwrap();
    Client::new(one.lane("main"))
        .create_vm(&mut creation("one"))
        .unwrap();
    Client::new(other.lane("main"))
        .create_vm(&mut creation("one"))
        .unwrap();
    Client::new(one.lane("main"))
        .create_vm(&mut creation("one"))
        .unwrap_err();
    assert!(other.divergence().is_none());
}

/// Whoever left the trace hears that, and no fault, from then on.
#[test]
fn faults_do_not_hide_a_divergence() {
    let recorded = record(&lines);
    let plan = Plan::parse(
        "set_irqline: instead=EPERM @ 2..",
        HypervisorCalls::INTERFACE,
    )
    .unwrap();
    let (replayer, hypervisor) = lane(Replayer::options().faults(plan), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    let left = set(&hypervisor, vm, 9).unwrap_err();
    assert!(replayer.divergence().is_some());
    assert_eq!(set(&hypervisor, vm, 3).unwrap_err().kind, left.kind);
    assert_eq!(replayer.faults().map(|tally| tally.acted).sum::<u64>(), 0);
}

/// Damage before the first call that can be read, and behind the last one, is a loss as well.
#[test]
fn damage_at_either_end_is_a_loss() {
    let recorded = record(&lines);
    let damaged = || {
        Entry::Damaged(hypercall_trace::entry::Damaged {
            offset: 4000,
            length: 100,
            defect: hypercall_trace::entry::Defect::Checksum,
            lane: None,
            entries: None,
        })
    };
    let options = || Replayer::options().accept_damage();
    let mut start = recorded.clone();
    start
        .entries
        .retain(|entry| !matches!(entry, Entry::Call(call) if call.index < 2));
    start.entries.insert(0, damaged());
    let (replayer, hypervisor) = lane(options(), &start);
    hypervisor.create_vm(&mut creation("one")).unwrap_err();
    assert!(matches!(
        replayer.divergence().unwrap().cause,
        Cause::Missing { count: 2, .. }
    ));

    let mut end = recorded;
    end.entries.truncate(1);
    end.entries.push(damaged());
    let run = |end: &Recorded, options| {
        let (replayer, hypervisor) = lane(options, end);
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        set(&hypervisor, vm, 3).unwrap_err();
        replayer.divergence().unwrap().cause
    };
    assert!(matches!(
        run(&end, options()),
        Cause::Missing { count: 1, .. }
    ));
    assert_eq!(run(&end, options().cross_losses()), Cause::End);
}

/// Threads that share a lane: which of its parts a call was recorded in is chance.
#[test]
fn a_pool_is_one_lane_again() {
    use hypercall_trace::record::{Recorder, Recording};

    let calls = |hypervisor: &(dyn Hypervisor + Sync), vms: &[VmId]| {
        std::thread::scope(|scope| {
            for (number, vm) in vms.iter().copied().enumerate() {
                scope.spawn(move || {
                    for line in 0..40 {
                        let gsi = Gsi(line + u32::try_from(number).unwrap());
                        let answer = hypervisor.set_irqline(vm, IrqLine::new(gsi, IrqLineOp::HIGH));
                        assert_eq!(answer.is_ok(), gsi.0 < 48);
                    }
                });
            }
        });
    };
    let machine = hypercall_mock::fake::FakeAcrn::new();
    let vms: Vec<VmId> = (0..3)
        .map(|vm| {
            machine
                .create_vm(&mut creation(&format!("vm{vm}")))
                .unwrap()
        })
        .collect();
    let transport = hypercall_mock::loopback::Loopback::new(
        server::AcrnServer::new(machine.clone()),
        machine,
        Gpa(0x100_0000),
        0x1_0000,
    );
    let path = scratch_file("pool");
    let recording = Recording::options(&[HypervisorCalls::INTERFACE])
        .create(&path)
        .unwrap();
    let pool = recording.shared_lane("pool", 4).unwrap();
    let hypervisor = Client::new(Recorder::new(transport, pool));
    calls(&hypervisor, &vms);
    drop(hypervisor);
    recording.finish();
    for _ in 0..5 {
        let replayer = Replayer::options().pool("pool").open(&path).unwrap();
        assert_eq!(replayer.lanes(), ["pool"]);
        calls(&Client::new(replayer.lane("pool")), &vms);
        let report = replayer.finish().unwrap();
        assert_eq!(report.answered, 120);
    }
    std::fs::remove_file(path).unwrap();
}

/// A program that never looks by itself: what the hypervisor wrote meanwhile is there at the next call, as recorded.
#[test]
fn pages_are_written_at_the_call_where_nobody_looked() {
    let program = |world: &World| {
        let page = fresh();
        let port = world.lane("main");
        port.watch(page);
        let hypervisor = port.hypervisor();
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
        hypervisor
            .set_memory_regions(vm, &[ram(0, 0x4000)])
            .unwrap();
        hypervisor.start_vm(vm).unwrap();
        world.guest(|machine| {
            let access = hypercall_mock::fake::Access::PortWrite {
                port: 0x510,
                size: 4,
                value: 77,
            };
            machine.guest_access(vm, VcpuId::BSP, access).unwrap();
        });
        hypervisor.get_api_version().unwrap();
        assert_eq!(
            page.words()[88 / 4].load(std::sync::atomic::Ordering::Acquire),
            77
        );
        assert_eq!(
            page.words()[136 / 4].load(std::sync::atomic::Ordering::Acquire),
            0
        );
    };
    let recorded = record(&program);
    let (_, report) = replay(&program, &recorded, Replayer::options());
    assert!(report.is_clean(), "{report}");
}

/// A page that holds something of an earlier use is as good as a fresh one: what it held was not the recorded program's.
#[test]
fn a_used_page_is_as_good_as_a_fresh_one() {
    let page = fresh();
    let program = |world: &World| {
        let port = world.lane("main");
        port.watch(page);
        let hypervisor = port.hypervisor();
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
        hypervisor.pause_vm(vm).unwrap();
    };
    let recorded = record(&program);
    page.words()[700].store(0x55, std::sync::atomic::Ordering::Release);
    let (_, report) = replay(&program, &recorded, Replayer::options());
    assert!(report.is_clean(), "{report}");
    assert_eq!(
        page.words()[700].load(std::sync::atomic::Ordering::Acquire),
        0
    );
}

/// Where the order is open, a record of the same name is taken before one that would need another.
#[test]
fn names_are_not_confused_where_the_order_is_open() {
    let program = |world: &World| {
        let port = world.lane("main");
        let hypervisor = port.hypervisor();
        let one = hypervisor.create_vm(&mut creation("one")).unwrap();
        let two = hypervisor.create_vm(&mut creation("two")).unwrap();
        set(&hypervisor, one, 3).unwrap();
        set(&hypervisor, two, 3).unwrap();
        set(&hypervisor, two, 4).unwrap();
    };
    let mut recorded = record(&program);
    recorded
        .entries
        .retain(|entry| !matches!(entry, Entry::Call(call) if call.index < 2));
    let ids: Vec<VmId> = calls(&recorded)
        .map(|call| VmId(u16::try_from(call.registers()[0]).unwrap()))
        .collect();
    for options in [
        Replayer::options().mode(Mode::Keyed),
        Replayer::options().unordered(&["set_irqline"]),
    ] {
        let (replayer, hypervisor) = lane(options, &recorded);
        set(&hypervisor, ids[1], 3).unwrap();
        set(&hypervisor, ids[1], 4).unwrap();
        set(&hypervisor, ids[0], 3).unwrap();
        assert!(replayer.finish().is_ok());
    }
}

/// Memory that only comes out may be longer than recorded, and not shorter.
#[test]
fn room_for_an_answer_is_needed() {
    use hypercall_core::arg::Arg;

    let recorded = record(&vm_life);
    for (room, fits) in [(4, false), (8, true), (12, true)] {
        let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
        let mut memory = vec![0xee; room];
        let args = [Arg::Write(&mut memory), Arg::None];
        let answer = hypervisor
            .transport()
            .call(HypervisorCalls::GET_API_VERSION, args);
        assert_eq!(answer.is_ok(), fits, "{room}");
        if fits {
            assert_eq!(memory[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
            assert!(
                memory[8..].iter().all(|byte| *byte == 0xee),
                "the rest is as it was"
            );
        } else {
            let told = replayer.divergence().unwrap();
            assert_eq!(told.differences[0].reason, Reason::Length);
        }
    }
}
