//! Which record answers a call, and what is said where none does.

use hypercall_core::acrn::*;
use hypercall_core::{Client, ErrorKind, Gpa, Transport, TransportError};
use hypercall_trace::entry::Entry;
use hypercall_trace::replay::{Cause, Mode, Reason, Recorded, Replayer, WhyNot};

use super::replay_support::*;
use super::{calls, lane, lines, set};

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
    assert!(said.contains("main#2") && said.contains("gsi"), "{said}");

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
        "replay diverged at main#2: ",
        "the program called",
        "the trace has next",
        "(main#2)\n",
        "calls before:\n    main#0  create_vm(",
        "expected next:\n    main#3  ",
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
    let text = report.to_string();
    assert!(
        text.starts_with("2 calls answered\nreplay diverged at main#2: "),
        "{text}"
    );
    assert!(
        text.contains("4 records were never used:\n  main#2  set_irqline("),
        "{text}"
    );

    // One is one.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    hypervisor.create_vm(&mut creation("one")).unwrap();
    let text = replayer.finish().unwrap_err().to_string();
    assert!(
        text.starts_with("1 call answered\n5 records were"),
        "{text}"
    );
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

    // The very next record does not answer where another one is due.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    set(&hypervisor, vm, 4).unwrap_err();
    let told = replayer.divergence().unwrap();
    assert_eq!(told.cause, Cause::OtherArguments);
    assert_eq!(told.candidates[0].why_not, WhyNot::Later { after: 1 });
    assert!(
        told.to_string().contains("another call comes before it"),
        "{told}"
    );

    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    hypervisor.create_vm(&mut creation("one")).unwrap_err();
    let told = replayer.divergence().unwrap();
    assert_eq!(told.candidates[0].why_not, WhyNot::Used { by: 0 });
    assert!(told.to_string().contains("already used at #0"), "{told}");
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
