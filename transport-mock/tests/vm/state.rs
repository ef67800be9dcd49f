//! Finding the state of a VM without changing it.

use crate::bench::{Break, CPU, Fault, bench, creation, page, ready, with_real_time_vm};
use hypercall_core::Gpa;
use hypercall_core::acrn::vm::{AnyVm, Vm, VmState};
use hypercall_core::acrn::{Hypervisor, MemoryProt, VmCreation, VmFlags, VmId, VmName};
use hypercall_mock::fake::{FakeAcrn, VmState as Real};

/// A real-time VM and an ordinary one, in each state.
#[test]
fn the_state_is_found_and_nothing_changes() {
    for name in ["demo", "POST_STD_VM1", "RT"] {
        let fake = with_real_time_vm();
        let hypervisor = bench(&fake);
        let creation = VmCreation::new(VmName::new(name).unwrap())
            .with_cpu_affinity(CPU)
            .with_flags(VmFlags::RT);
        let vm = Vm::create(&hypervisor, &creation, CPU).unwrap();
        vm.map(Gpa(0), Gpa(0x1000_0000), 0x1000, MemoryProt::RAM)
            .unwrap();
        let id = vm.id();
        let see = |expected, calls: usize| {
            let before = (
                fake.vm(id),
                fake.mappings(id),
                fake.mappings(VmId::SERVICE_VM),
                fake.upcalls(0xf3),
            );
            hypervisor.issued();
            assert_eq!(VmState::of(&hypervisor, id).unwrap(), expected);
            assert_eq!(hypervisor.issued().len(), calls);
            let after = (
                fake.vm(id),
                fake.mappings(id),
                fake.mappings(VmId::SERVICE_VM),
                fake.upcalls(0xf3),
            );
            assert_eq!(before, after);
        };
        see(VmState::Created, 2);
        let vm = vm.set_request_page(page()).unwrap();
        see(VmState::Created, 2);
        let vm = vm.start().unwrap();
        see(VmState::Running, 2);
        fake.guest_powers_off(id);
        assert_eq!(fake.state(id), Real::ReadyToPowerOff);
        see(VmState::Running, 2);
        let vm = vm.pause().unwrap();
        see(VmState::Paused, 2);
        let vm = vm.reset().unwrap();
        see(VmState::Created, 2);
        vm.shut_down().unwrap();
        see(VmState::PoweredOff, 2);
    }
}

#[test]
fn the_state_is_found_whatever_the_handle_believed() {
    fn bring(fake: &FakeAcrn, id: VmId, state: Real) {
        match state {
            Real::Created => {}
            Real::Running => fake.start_vm(id).unwrap(),
            Real::Paused => fake.pause_vm(id).unwrap(),
            _ => {
                fake.pause_vm(id).unwrap();
                fake.destroy_vm(id).unwrap();
            }
        }
    }
    let states = [
        (Real::Created, VmState::Created),
        (Real::Running, VmState::Running),
        (Real::Paused, VmState::Paused),
        (Real::PoweredOff, VmState::PoweredOff),
    ];
    for (real, expected) in states {
        let fake = FakeAcrn::new();
        let vm = Vm::create(&fake, &creation(), CPU)
            .unwrap()
            .set_request_page(page())
            .unwrap();
        bring(&fake, vm.id(), real);
        let found = vm.reconcile().unwrap();
        assert_eq!(found.state(), expected);
        let again = found.reconcile().unwrap();
        assert_eq!(again.state(), expected);
        if expected == VmState::Running {
            again.shut_down().unwrap();
        }
    }
}

#[test]
fn a_question_without_an_answer_can_be_asked_again() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let mut vm = ready(&hypervisor);
    let faults = [
        ("pm_get_cx_count", Fault::LostAfter),
        ("pm_get_cx_count", Fault::Answer(-25)),
        ("pm_get_cx_count", Fault::Answer(-14)),
        ("assign_mmiodev", Fault::Vetoed),
        ("assign_mmiodev", Fault::Answer(-1)),
    ];
    for (call, fault) in faults {
        hypervisor.break_next(call, fault);
        let failed = vm.reconcile().unwrap_err();
        assert!(!failed.is_state_known());
        let AnyVm::Created(found) = failed.reconcile().unwrap() else {
            panic!()
        };
        vm = found;
    }
    let mut vm = vm.start().unwrap();
    for fault in [Fault::LostBefore, Fault::Answer(0), Fault::Answer(-14)] {
        hypervisor.break_next("write_protect_page", fault);
        let AnyVm::Running(found) = vm.reconcile().unwrap_err().reconcile().unwrap() else {
            panic!()
        };
        vm = found;
    }
    vm.shut_down().unwrap();
}
