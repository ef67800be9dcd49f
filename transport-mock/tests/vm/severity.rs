//! VMs that the Service VM cannot pause.

use crate::bench::{Break, Fault, bench, real_time, running, with_real_time_vm};
use hypercall_core::acrn::vm::{AnyVm, VmState};
use hypercall_mock::fake::{FakeAcrn, VmState as Real};

#[test]
fn a_pause_without_effect_is_no_success() {
    let fake = with_real_time_vm();
    let hypervisor = bench(&fake);
    let vm = real_time(&hypervisor);
    let id = vm.id();
    let failed = vm.pause().unwrap_err();
    assert!(failed.is_state_known());
    assert!(failed.to_string().contains("left running"), "{failed}");
    let failed = failed.handle.shut_down().unwrap_err();
    assert_eq!(failed.handle.state(), VmState::Running);
    assert_eq!(failed.reconcile().unwrap().state(), VmState::Running);
    assert_eq!(
        fake.state(id),
        Real::Running,
        "a dropped handle leaves it running"
    );

    // It switches itself off: now it can be paused.
    fake.guest_powers_off(id);
    let AnyVm::Running(vm) = AnyVm::adopt(&hypervisor, id).unwrap() else {
        panic!()
    };
    vm.pause().unwrap().destroy().unwrap();
}

#[test]
fn a_pause_that_cannot_be_confirmed_leaves_the_state_open() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let vm = running(&hypervisor);
    hypervisor.break_next("pm_get_cx_count", Fault::LostBefore);
    let failed = vm.pause().unwrap_err();
    assert!(!failed.is_state_known());
    let AnyVm::Paused(vm) = failed.reconcile().unwrap() else {
        panic!()
    };
    vm.destroy().unwrap();
}
