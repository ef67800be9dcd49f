//! Every transition fails in every way, and the state is found again.

use crate::bench::{Bench, Break, CPU, Fault, bench, creation, page, paused, ready, running};
use hypercall_core::acrn::vm::{AnyVm, Created, Failed, Paused, Running, Vm, VmState};
use hypercall_core::acrn::{MemoryProt, VmId};
use hypercall_core::{Error, Gpa};
use hypercall_mock::fake::{FakeAcrn, VmState as Real};

/// What the fault leaves known: the handle comes back either way.
const FAULTS: [(Fault, bool); 5] = [
    (Fault::Answer(-1), true),
    (Fault::Vetoed, true),
    (Fault::LostBefore, false),
    (Fault::LostAfter, false),
    // Neither success nor an error code.
    (Fault::AnswerAfter(7), false),
];

fn acted(fault: Fault) -> bool {
    matches!(fault, Fault::LostAfter | Fault::AnswerAfter(_))
}

#[test]
fn a_start_that_failed() {
    for (fault, known) in FAULTS {
        let fake = FakeAcrn::new();
        let hypervisor = bench(&fake);
        hypervisor.break_next("start_vm", fault);
        let failed: Failed<Vm<_, Created>> = ready(&hypervisor).start().unwrap_err();
        assert_eq!(failed.is_state_known(), known, "{fault:?}");
        match (failed.reconcile().unwrap(), acted(fault)) {
            (AnyVm::Created(vm), false) => vm.start().unwrap().shut_down(),
            (AnyVm::Running(vm), true) => vm
                .pause()
                .unwrap()
                .reset()
                .unwrap()
                .start()
                .unwrap()
                .shut_down(),
            (found, _) => panic!("{fault:?}: {found:?}"),
        }
        .unwrap();
    }
}

#[test]
fn a_pause_that_failed() {
    for (fault, known) in FAULTS {
        let fake = FakeAcrn::new();
        let hypervisor = bench(&fake);
        hypervisor.break_next("pause_vm", fault);
        let failed: Failed<Vm<_, Running>> = running(&hypervisor).pause().unwrap_err();
        assert_eq!(failed.is_state_known(), known, "{fault:?}");
        let found = failed.reconcile().unwrap();
        assert_eq!(
            found.state(),
            if acted(fault) {
                VmState::Paused
            } else {
                VmState::Running
            },
            "{fault:?}"
        );
        assert!(!found.shut_down().unwrap().page.unwrap().is_lent());

        hypervisor.break_next("pause_vm", fault);
        let failed: Failed<Vm<_, Created>> = ready(&hypervisor).pause().unwrap_err();
        assert_eq!(failed.is_state_known(), known, "{fault:?}");
        let found = failed.reconcile().unwrap();
        assert_eq!(
            found.state(),
            if acted(fault) {
                VmState::Paused
            } else {
                VmState::Created
            },
            "{fault:?}"
        );
        drop(found);
        assert_eq!(
            fake.vms(),
            [VmId::SERVICE_VM],
            "never started, so it went with its handle"
        );
    }
}

#[test]
fn a_reset_that_failed() {
    for (fault, known) in FAULTS {
        let fake = FakeAcrn::new();
        let hypervisor = bench(&fake);
        hypervisor.break_next("reset_vm", fault);
        let failed: Failed<Vm<_, Paused>> = paused(&hypervisor).reset().unwrap_err();
        assert_eq!(failed.is_state_known(), known, "{fault:?}");
        match (failed.reconcile().unwrap(), acted(fault)) {
            (AnyVm::Paused(vm), false) => vm.reset().unwrap().start().unwrap().shut_down(),
            (AnyVm::Created(vm), true) => vm.start().unwrap().shut_down(),
            (found, _) => panic!("{fault:?}: {found:?}"),
        }
        .unwrap();
    }
}

#[test]
fn a_destruction_that_failed() {
    for (fault, known) in FAULTS {
        let fake = FakeAcrn::new();
        let hypervisor = bench(&fake);
        hypervisor.break_next("destroy_vm", fault);
        let failed: Failed<Vm<_, Paused>> = paused(&hypervisor).destroy().unwrap_err();
        assert_eq!(failed.is_state_known(), known, "{fault:?}");
        match (failed.reconcile().unwrap(), acted(fault)) {
            (AnyVm::Paused(vm), false) => {
                let off = vm.destroy().unwrap();
                assert!(!off.page.unwrap().is_lent());
            }
            (AnyVm::PoweredOff(off), true) => {
                assert_eq!(off.id, VmId(2));
                assert!(
                    off.page.unwrap().is_lent(),
                    "the hypervisor never said that it let go"
                );
            }
            (found, _) => panic!("{fault:?}: {found:?}"),
        }
    }
}

#[test]
fn codes_of_a_hypervisor_that_acted_all_the_same() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    for code in [-22, -110] {
        hypervisor.break_next("reset_vm", Fault::AnswerAfter(code));
        let failed = paused(&hypervisor).reset().unwrap_err();
        assert_eq!(
            (failed.error.code(), failed.is_state_known()),
            (Some(code), false)
        );
        let found = failed.reconcile().unwrap();
        assert_eq!(found.state(), VmState::Created);
        found.shut_down().unwrap();
    }
    hypervisor.break_next("destroy_vm", Fault::AnswerAfter(-110));
    let failed = paused(&hypervisor).destroy().unwrap_err();
    assert!(!failed.is_state_known());
    assert_eq!(failed.reconcile().unwrap().state(), VmState::PoweredOff);
}

#[test]
fn a_shut_down_gives_back_how_far_it_got() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    hypervisor.break_next("pause_vm", Fault::Answer(-1));
    let failed = running(&hypervisor).shut_down().unwrap_err();
    assert_eq!(failed.handle.state(), VmState::Running);
    hypervisor.break_next("destroy_vm", Fault::Answer(-1));
    let failed = failed.handle.shut_down().unwrap_err();
    assert_eq!(failed.handle.state(), VmState::Paused);
    hypervisor.break_next("destroy_vm", Fault::LostBefore);
    let failed = failed.handle.shut_down().unwrap_err();
    assert!(!failed.is_state_known());
    let found = failed.reconcile().unwrap();
    assert_eq!(found.state(), VmState::Paused);
    let off = found.shut_down().unwrap();
    assert_eq!(
        AnyVm::<&Bench<'_>>::PoweredOff(off).shut_down().unwrap().id,
        VmId(2)
    );
}

#[test]
fn an_error_is_enough_for_those_who_give_up() {
    fn attempt(hypervisor: &Bench<'_>) -> Result<(), Error> {
        let vm = Vm::create(hypervisor, &creation(), CPU)?;
        vm.map(Gpa(0), Gpa(0x1000_0000), 0x1000, MemoryProt::RAM)?;
        let vm = vm.set_request_page(page())?.start()?;
        vm.detach();
        Ok(())
    }
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    hypervisor.break_next("start_vm", Fault::Answer(-1));
    assert_eq!(attempt(&hypervisor).unwrap_err().code(), Some(-1));
    assert_eq!(fake.vms(), [VmId::SERVICE_VM]);
    attempt(&hypervisor).unwrap();
    assert_eq!(fake.state(VmId(2)), Real::Running);
}
