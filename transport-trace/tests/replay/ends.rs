//! Failures, losses, damage, other versions of the interface.

use std::sync::Arc;

use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::acrn::*;
use hypercall_core::layer::fault::Plan;
use hypercall_core::{ErrorKind, Gpa, Hazard, TransportError};
use hypercall_mock::fake::FakeAcrn;
use hypercall_mock::loopback::Loopback;
use hypercall_trace::check::{Rule, check};
use hypercall_trace::clock::ClockInfo;
use hypercall_trace::diff::{Difference, Options, diff};
use hypercall_trace::drive::Driver;
use hypercall_trace::entry::{Defect, Entry, Failure, LossCause, Lost, Outcome, Unknown};
use hypercall_trace::gen_test::GenTest;
use hypercall_trace::read::{OpenError, Trace};
use hypercall_trace::replay::{Cause, Mode, Recorded, ReplayError, Replayer};
use hypercall_trace::state::state_at;
use hypercall_trace::write::{Options as WriteOptions, Writer};

use super::replay_support::*;
use super::{calls, each_call, lane, lines, set};

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
            index: None,
            calls: None,
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
    // No header is left: nobody knows how many.
    assert!(matches!(run(&end, options()), Cause::MissingUnknown { .. }));
    assert_eq!(run(&end, options().cross_losses()), Cause::End);
    let told = diff(&end, &end, Options::default()).differences;
    assert!(
        matches!(
            &told[..],
            [Difference::MissingAnywhere { count: None, .. }, _]
        ),
        "{told:?}"
    );
    let text = told[0].to_string();
    assert!(
        text.contains("an unknown number of calls is missing"),
        "{text}"
    );
    // So it is where it is noted.
    end.entries[1] = Entry::Lost(Lost {
        lane: 0,
        index: 1,
        count: 0,
        cause: LossCause::Damaged,
        first: 0,
        last: 0,
    });
    let cause = run(&end, options());
    assert!(
        cause
            .to_string()
            .contains("an unknown number of calls is missing"),
        "{cause}"
    );
}

/// A block's header says how many records stood there, and how many of them are calls. A block that stands a second time took none.
#[test]
fn every_view_counts_the_calls_that_damage_took_and_no_others() {
    let recorded = record(&lines);
    let damaged = |defect, index, calls| {
        Entry::Damaged(hypercall_trace::entry::Damaged {
            offset: 4000,
            length: 100,
            defect,
            lane: Some(0),
            entries: Some(22),
            index,
            calls,
        })
    };
    let transport = || {
        let machine = hypercall_mock::fake::FakeAcrn::new();
        let server = AcrnServer::new(machine.clone());
        Loopback::new(server, machine, Gpa(0x100_0000), 0x4_0000)
    };
    let driven =
        |recorded: &Recorded| Driver::new(HypervisorCalls::INTERFACE).drive(recorded, &transport());
    let options = || Replayer::options().accept_damage();

    // Two blocks one behind the other took all but the first of six calls.
    let mut lacks = recorded.clone();
    lacks.entries.truncate(1);
    lacks
        .entries
        .push(damaged(Defect::Checksum, Some(1), Some(3)));
    lacks
        .entries
        .push(damaged(Defect::Checksum, Some(4), Some(2)));
    let (replayer, hypervisor) = lane(options(), &lacks);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    set(&hypervisor, vm, 3).unwrap_err();
    assert!(matches!(
        replayer.divergence().unwrap().cause,
        Cause::Missing { count: 5, .. }
    ));
    let machine = state_at(&lacks, u64::MAX);
    assert_eq!((machine.missing, machine.missing_unknown), (5, false));
    let told = driven(&lacks);
    assert_eq!((told.missing, told.missing_unknown), (5, false));
    let counts = diff(&lacks, &lacks, Options::default()).differences;
    let counts: Vec<_> = counts
        .iter()
        .map(|difference| match difference {
            Difference::Missing { index, count, .. } => (*index, *count),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(counts.len(), 4);
    assert!(counts.contains(&(1, Some(3))) && counts.contains(&(4, Some(2))));

    for defect in [Defect::Order, Defect::Foreign] {
        let mut twice = recorded.clone();
        twice.entries.insert(3, damaged(defect, None, None));
        twice.entries.push(damaged(defect, None, None));
        let (_, report) = replay(&lines, &twice, options());
        assert!(report.is_clean(), "{report}");
        let state = |recorded: &Recorded| {
            let machine = state_at(recorded, u64::MAX);
            let states: Vec<_> = machine.vms.values().map(|vm| vm.state).collect();
            (machine.missing, machine.missing_unknown, states)
        };
        assert_eq!(state(&twice), state(&recorded), "{defect}");
        assert!(driven(&twice).is_complete());
        let told = diff(&twice, &recorded, Options::default()).differences;
        assert!(told.is_empty(), "{told:?}");
    }
}

/// The program did all that the trace has; what it may have lacked is told.
#[test]
fn calls_that_are_missing_at_the_end_are_in_the_report() {
    let mut recorded = record(&lines);
    let lost = |index, count| {
        Entry::Lost(Lost {
            lane: 0,
            index,
            count,
            cause: LossCause::RingFull,
            first: 0,
            last: 0,
        })
    };
    let calls = recorded.entries.len() as u64;
    recorded.entries.push(lost(calls, 7));
    recorded.entries.push(lost(calls + 7, 0));
    let play = |options: hypercall_trace::replay::Options| {
        let (replayer, hypervisor) = lane(options, &recorded);
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        for line in [3, 4, 5, 3] {
            set(&hypervisor, vm, line).unwrap();
        }
        hypervisor.pause_vm(vm).unwrap();
        replayer.finish()
    };
    let report = play(Replayer::options()).unwrap_err();
    let missing: Vec<_> = report
        .missing
        .iter()
        .map(|gap| (gap.lane.as_str(), gap.after, gap.count))
        .collect();
    assert_eq!(
        missing,
        [
            ("main", Some(calls - 1), Some(7)),
            ("main", Some(calls - 1), None)
        ]
    );
    let text = report.to_string();
    assert!(text.contains("behind main#5 7 calls are missing"), "{text}");
    assert!(
        text.contains("an unknown number of calls is missing"),
        "{text}"
    );
    // Whoever crosses them does so knowingly.
    assert!(play(Replayer::options().cross_losses()).unwrap().is_clean());
}

/// A newer version may record a call in a way that this one cannot read. It is one that is missing, wherever calls are looked at.
#[test]
fn a_call_of_an_unknown_kind_is_a_missing_one() {
    let mut recorded = record(&lines);
    recorded
        .entries
        .retain(|entry| matches!(entry, Entry::Call(call) if call.index == 0));
    let unknown = |kind, index| {
        Entry::Unknown(Unknown {
            lane: 0,
            index,
            kind,
            bytes: Vec::new(),
        })
    };
    let of = |kind| {
        let mut recorded = recorded.clone();
        recorded.entries.push(unknown(kind, 1));
        recorded
    };
    let machine = FakeAcrn::new();
    let server = AcrnServer::new(machine.clone());
    let transport = Loopback::new(server, machine, Gpa(0x100_0000), 0x4_0000);
    // Kinds from 16 on are no calls.
    for (kind, missing) in [(9, 1), (77, 0)] {
        let recorded = of(kind);
        let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
        hypervisor.create_vm(&mut creation("one")).unwrap();
        let gaps = replayer
            .finish()
            .map_or_else(|report| report.missing, |_| Vec::new());
        let told: Vec<_> = gaps.iter().map(|gap| (gap.after, gap.count)).collect();
        assert_eq!(told, vec![(Some(0), Some(1)); missing]);
        assert!(gaps.iter().all(|gap| gap.why.contains("kind 9")));

        let driven = Driver::new(HypervisorCalls::INTERFACE)
            .all()
            .drive(&recorded, &transport);
        assert_eq!(
            (driven.missing, driven.is_complete()),
            (missing as u64, missing == 0)
        );

        assert_eq!(state_at(&recorded, u64::MAX).missing, missing as u64);
        let rule = [Rule::VmNotDestroyed, Rule::CallsMissing][missing];
        let found: Vec<_> = check(&recorded)
            .into_iter()
            .map(|finding| finding.rule)
            .collect();
        assert_eq!(found, [rule]);

        let made = GenTest::new("x", "x.hct").generate(&recorded);
        assert_eq!(made.is_ok(), missing == 0);
    }
    // The call behind it is where it was.
    let mut recorded = of(9);
    let Entry::Call(call) = &recorded.entries[0] else {
        panic!("a call");
    };
    let next = Entry::Call(hypercall_trace::entry::Call {
        index: 2,
        ..call.clone()
    });
    recorded.entries.push(next);
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    hypervisor.create_vm(&mut creation("one")).unwrap();
    hypervisor.create_vm(&mut creation("one")).unwrap_err();
    let cause = replayer.divergence().unwrap().cause;
    assert!(
        matches!(&cause, Cause::Missing { count: 1, why } if why.contains("kind 9")),
        "{cause:?}"
    );
}
