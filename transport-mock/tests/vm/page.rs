//! The request page: whose it is after each outcome.

use crate::bench::{Break, CPU, Fault, bench, created, page};
use hypercall_core::ErrorKind;
use hypercall_core::acrn::vm::Vm;
use hypercall_core::acrn::{VmCreation, VmId, VmName};
use hypercall_mock::fake::FakeAcrn;

#[test]
fn a_page_that_was_refused_comes_back() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    for fault in [Fault::Answer(-1), Fault::Vetoed] {
        hypervisor.break_next("set_ioreq_buffer", fault);
        let failed = created(&hypervisor).set_request_page(page()).unwrap_err();
        assert!(failed.is_state_known());
        let (vm, page) = failed.handle;
        assert!(!page.is_lent());
        vm.set_request_page(page).unwrap().shut_down().unwrap();
    }
}

#[test]
fn a_page_that_may_have_been_taken_stays_lent() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        hypervisor.break_next("set_ioreq_buffer", fault);
        let failed = created(&hypervisor).set_request_page(page()).unwrap_err();
        assert!(failed.is_state_known(), "the VM is created in any case");
        let (vm, page) = failed.handle;
        assert!(page.is_lent());
        // The same page again, twice: refused, it may still be in the hypervisor's hands.
        hypervisor.break_next("set_ioreq_buffer", Fault::Answer(-1));
        let (vm, page) = vm.set_request_page(page).unwrap_err().handle;
        assert!(page.is_lent());
        let vm = vm.set_request_page(page).unwrap();
        let off = vm.start().unwrap().shut_down().unwrap();
        assert!(!off.page.unwrap().is_lent());
    }
}

#[test]
fn a_page_of_another_vm_is_not_given() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    hypervisor.break_next("set_ioreq_buffer", Fault::LostAfter);
    let (first, held) = created(&hypervisor)
        .set_request_page(page())
        .unwrap_err()
        .handle;
    let other = VmCreation::new(VmName::new("other").unwrap()).with_cpu_affinity(CPU);
    let second = Vm::create(&hypervisor, &other, CPU).unwrap();
    hypervisor.issued();
    let failed = second.set_request_page(held).unwrap_err();
    assert!(matches!(failed.error.kind, ErrorKind::Invalid(_)));
    assert!(hypervisor.issued().is_empty());
    // Another page replaces the first in the hypervisor, which is then free for the second.
    let (second, mut held) = failed.handle;
    let first = first.set_request_page(page()).unwrap();
    held.reclaim();
    let second = second.set_request_page(held).unwrap();
    drop((first, second));
    assert_eq!(fake.vms(), [VmId::SERVICE_VM]);
}
