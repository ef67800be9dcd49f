//! A VM's ordinary life.

use crate::bench::{CPU, bench, cell, created, creation, page};
use hypercall_core::acrn::vm::Vm;
use hypercall_core::acrn::{Hypervisor, MemoryProt, Regs, VcpuRegs, VmId};
use hypercall_core::{Gpa, Hpa};
use hypercall_mock::fake::{FakeAcrn, VmState as Real};

#[test]
fn a_life() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let cell = cell();
    let vm = created(&hypervisor);
    let id = vm.id();
    assert_eq!(
        (id, vm.vcpus(), fake.state(id)),
        (VmId(2), Some(1), Real::Created)
    );
    vm.map(Gpa(0), Gpa(0x1000_0000), 0x10_0000, MemoryProt::RAM)
        .unwrap();
    assert_eq!(vm.translate(Gpa(0x1234)).unwrap(), Hpa(0x1000_1234));
    vm.unmap(Gpa(0x1000), 0x1000).unwrap();
    assert_eq!(vm.translate(Gpa(0x1234)).unwrap_err().code(), Some(-1));

    let mut vm = vm.set_request_page(cell.take().unwrap()).unwrap();
    assert!(cell.take().is_none());
    for round in 0..3 {
        vm.set_vcpu_regs(&VcpuRegs::bsp(Regs::real_mode(0, 0x7c00)))
            .unwrap();
        let running = vm.start().unwrap();
        assert_eq!(fake.state(id), Real::Running, "round {round}");
        let stopped = running.pause().unwrap();
        assert_eq!(fake.state(id), Real::Paused);
        stopped
            .set_vcpu_regs(&VcpuRegs::bsp(Regs::real_mode(0, 0x7c00)))
            .unwrap();
        vm = stopped.reset().unwrap();
        assert_eq!(fake.state(id), Real::Created);
    }
    let off = vm.start().unwrap().pause().unwrap().destroy().unwrap();
    assert_eq!((off.id, fake.state(id)), (id, Real::PoweredOff));
    // The page is free for the next VM.
    let page = off.page.unwrap();
    assert!(!page.is_lent());
    created(&hypervisor)
        .set_request_page(page)
        .unwrap()
        .shut_down()
        .unwrap();
    assert!(cell.take().is_some());
}

#[test]
fn any_hypervisor_serves_by_value_by_reference_or_as_an_object() {
    fn life<H: Hypervisor>(hypervisor: H) {
        let vm = Vm::create(hypervisor, &creation(), CPU).unwrap();
        let vm = vm.set_request_page(page()).unwrap().start().unwrap();
        assert_eq!(vm.hypervisor().get_api_version().unwrap().major, 1);
        vm.shut_down().unwrap();
    }
    let fake = FakeAcrn::new();
    life(&fake);
    life(&fake as &dyn Hypervisor);
    life(bench(&fake));
    life(Box::new(&fake) as Box<dyn Hypervisor>);
    life(fake);
}
