//! What a dropped handle does, and what it leaves alone.

use crate::bench::{Break, CPU, Fault, bench, cell, created, creation, page, ready};
use hypercall_core::acrn::vm::{AnyVm, Vm, VmState};
use hypercall_core::acrn::{Hypervisor, VmCreation, VmId, VmName};
use hypercall_mock::fake::{FakeAcrn, VmState as Real};

#[test]
fn a_vm_that_was_never_started_goes_with_its_handle() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    drop(created(&hypervisor));
    assert_eq!(fake.vms(), [VmId::SERVICE_VM]);
    let cell = cell();
    drop(
        created(&hypervisor)
            .set_request_page(cell.take().unwrap())
            .unwrap(),
    );
    assert_eq!(fake.vms(), [VmId::SERVICE_VM]);
    assert!(cell.take().is_some(), "the page is free again");
    drop(ready(&hypervisor).pause().unwrap());
    assert_eq!(fake.vms(), [VmId::SERVICE_VM]);
}

#[test]
fn a_vm_that_was_started_outlives_its_handle() {
    for start in [Real::Running, Real::Paused, Real::Created] {
        let fake = FakeAcrn::new();
        let hypervisor = bench(&fake);
        let cell = cell();
        let vm = created(&hypervisor)
            .set_request_page(cell.take().unwrap())
            .unwrap()
            .start()
            .unwrap();
        let id = vm.id();
        hypervisor.issued();
        match start {
            Real::Running => drop(vm),
            Real::Paused => drop(vm.pause().unwrap()),
            _ => drop(vm.pause().unwrap().reset().unwrap()),
        }
        assert_eq!(fake.state(id), start);
        assert!(!hypervisor.issued().contains(&"destroy_vm"));
        assert!(cell.take().is_none(), "the hypervisor has the page");
    }
}

#[test]
fn a_vm_that_may_run_outlives_its_handle() {
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        let fake = FakeAcrn::new();
        let hypervisor = bench(&fake);
        hypervisor.break_next("start_vm", fault);
        let failed = ready(&hypervisor).start().unwrap_err();
        let id = failed.handle.id();
        drop(failed);
        assert_ne!(fake.state(id), Real::PoweredOff);
    }
}

#[test]
fn a_vm_that_was_started_behind_the_handles_back_outlives_it() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let vm = ready(&hypervisor);
    let id = vm.id();
    vm.hypervisor().start_vm(id).unwrap();
    drop(vm);
    assert_eq!(fake.state(id), Real::Running);
}

#[test]
fn an_id_that_may_be_anothers_is_left_alone() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    hypervisor.break_next("destroy_vm", Fault::LostAfter);
    let failed = ready(&hypervisor).pause().unwrap().destroy().unwrap_err();
    // Another program takes the slot before the handle is dropped.
    let other = fake.create_vm(&mut creation()).unwrap();
    assert_eq!(other, failed.handle.id());
    drop(failed);
    assert_eq!(fake.state(other), Real::Created);
}

#[test]
fn a_drop_that_fails_leaks_the_page() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let cell = cell();
    let vm = created(&hypervisor)
        .set_request_page(cell.take().unwrap())
        .unwrap();
    hypervisor.break_next("destroy_vm", Fault::LostAfter);
    drop(vm);
    assert_eq!(fake.vms(), [VmId::SERVICE_VM]);
    assert!(cell.take().is_none());
}

#[test]
fn a_detached_vm_is_left_and_can_be_adopted() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let (id, page_of_first) = ready(&hypervisor).detach();
    assert_eq!(fake.state(id), Real::Created);
    assert!(page_of_first.unwrap().is_lent());
    drop(AnyVm::adopt(&hypervisor, id).unwrap());
    assert_eq!(
        fake.state(id),
        Real::Created,
        "an adopted VM outlives its handle"
    );

    let AnyVm::Created(vm) = AnyVm::adopt(&hypervisor, id).unwrap() else {
        panic!()
    };
    assert_eq!(vm.vcpus(), None);
    let vm = vm.set_request_page(page()).unwrap().start().unwrap();
    let (id, _) = vm.detach();
    assert_eq!(fake.state(id), Real::Running);
    let AnyVm::Running(vm) = AnyVm::adopt(&hypervisor, id).unwrap() else {
        panic!()
    };
    let AnyVm::Paused(vm) = AnyVm::from(vm.pause().unwrap()) else {
        panic!()
    };
    vm.reset().unwrap().shut_down().unwrap();
    assert_eq!(
        AnyVm::adopt(&hypervisor, id).unwrap().state(),
        VmState::PoweredOff
    );
}

#[test]
fn what_was_found_out_decides() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let vm = ready(&hypervisor);
    let id = vm.id();
    fake.start_vm(id).unwrap();
    let AnyVm::Running(vm) = vm.reconcile().unwrap() else {
        panic!()
    };
    drop(vm.pause().unwrap());
    assert_eq!(fake.state(id), Real::Paused, "it has run");

    let other = VmCreation::new(VmName::new("other").unwrap()).with_cpu_affinity(CPU);
    let vm = Vm::create(&hypervisor, &other, CPU).unwrap();
    fake.pause_vm(vm.id()).unwrap();
    fake.destroy_vm(vm.id()).unwrap();
    hypervisor.issued();
    drop(vm.reconcile().unwrap());
    assert_eq!(
        hypervisor.issued().len(),
        2,
        "the questions, and nothing else"
    );
}
