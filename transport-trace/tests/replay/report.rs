//! What the report of a replay says, and what a test that ends with it prints.

use hypercall_core::acrn::*;
use hypercall_core::layer::fault::Plan;
use hypercall_trace::replay::{Mode, Replayer};

use super::replay_support::*;
use super::{lane, lines, set};

fn plan(text: &str) -> Plan<32> {
    Plan::parse(text, HypervisorCalls::INTERFACE).unwrap()
}

/// A fault may be what led the program away, and one that never happened is a typo in its count.
#[test]
fn the_faults_of_the_plan_are_in_the_report() {
    let recorded = record(&lines);
    let faults =
        plan("create_vm: instead=EINVAL @ 1; set_irqline: instead=EPERM @ 7; start_vm: after=lost");
    let (replayer, hypervisor) = lane(Replayer::options().faults(faults), &recorded);
    hypervisor.create_vm(&mut creation("one")).unwrap_err();
    set(&hypervisor, VmId(1), 3).unwrap_err();
    let text = replayer.finish().unwrap_err().to_string();
    assert!(
        text.starts_with(
            "0 calls answered\n\
             faults of the plan:\n  \
               create_vm: instead=EINVAL @ 1  happened to 1 of 1 call\n  \
               set_irqline: instead=EPERM @ 7  never happened: it is about 1 call that came, and struck none\n  \
               start_vm: after=lost  never happened: no such call was made\n\
             replay diverged at main#0: "
        ),
        "{text}"
    );
}

#[test]
fn a_fault_that_never_happened_is_no_clean_replay() {
    let recorded = record(&lines);
    let play = |faults: &str| {
        let (replayer, hypervisor) = lane(Replayer::options().faults(plan(faults)), &recorded);
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        for line in [3, 4, 5, 3] {
            let _ = set(&hypervisor, vm, line);
        }
        hypervisor.pause_vm(vm).unwrap();
        replayer.finish()
    };
    let report = play("set_irqline: after=EPERM @ 4").unwrap();
    assert_eq!((report.faults[0].seen, report.faults[0].acted), (4, 1));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["faults"][0]["fault"], "set_irqline: after=EPERM @ 4");

    let report = play("set_irqline: after=EPERM @ 5").unwrap_err();
    assert!(report.divergence.is_none() && report.unused.is_empty());
    assert_eq!((report.faults[0].seen, report.faults[0].acted), (4, 0));
}

/// Two lanes with many calls each.
fn many(world: &World) {
    for name in ["main", "other"] {
        let port = world.lane(name);
        let hypervisor = port.hypervisor();
        let vm = hypervisor.create_vm(&mut creation(name)).unwrap();
        for line in 0..30 {
            let _ = set(&hypervisor, vm, line);
        }
    }
}

#[test]
fn lists_end_after_some_lines_of_each_lane() {
    let recorded = record(&many);
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    hypervisor.create_vm(&mut creation("two")).unwrap_err();
    let report = replayer.finish().unwrap_err();
    let text = report.to_string();
    for part in [
        "62 records were never used:\n  main#0  create_vm(",
        "\n  main#9  ",
        "\n  other#0  ",
        "\n  other#9  ",
        "\n  and 21 more of main\n  and 21 more of other\n",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let (_, unused) = text.split_once("never used:").unwrap();
    assert!(!unused.contains("#10 "), "{text}");
    // What is due, and how it differs, is not said a second time.
    assert_eq!(
        text.matches("expected \"main\", found").count(),
        1,
        "{text}"
    );
    // As data it is all there.
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["unused"].as_array().unwrap().len(), 62);

    // What a loose replay passed over likewise.
    let (replayer, hypervisor) = lane(Replayer::options().mode(Mode::Loose), &recorded);
    let vm = hypervisor.create_vm(&mut creation("main")).unwrap();
    let _ = set(&hypervisor, vm, 29);
    let text = replayer.report().to_string();
    assert!(
        text.contains("29 records were skipped:\n  main#1  ")
            && text.contains("\n  and 19 more of main\n"),
        "{text}"
    );
}

/// What `unwrap` prints, and a test that returns an error.
#[test]
fn what_a_failing_test_prints_can_be_read() {
    let recorded = record(&lines);
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let error = hypervisor.create_vm(&mut creation("two")).unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
    let told = replayer.divergence().unwrap();
    assert_eq!(format!("{told:?}"), told.to_string());
    let report = replayer.finish().unwrap_err();
    assert_eq!(format!("{report:?}"), report.to_string());
    let error = Replayer::open("/there/is/no/such.hct").unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
}
