//! I/O requests, none of which is forgotten.

use crate::bench::{Break, CPU, Fault, bench, creation, page, running};
use hypercall_core::acrn::ioreq::{IoDirection, IoReqState, Request};
use hypercall_core::acrn::vm::{ServeError, Vm};
use hypercall_core::acrn::{Hypervisor, VcpuId, VmFlags};
use hypercall_mock::fake::{Access, AccessOutcome, FakeAcrn};

const BSP: VcpuId = VcpuId::BSP;

fn read(port: u16) -> Access {
    Access::PortRead { port, size: 2 }
}

fn write(port: u16) -> Access {
    Access::PortWrite {
        port,
        size: 1,
        value: 0x42,
    }
}

#[test]
fn requests_are_served_in_a_line() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let vm = running(&hypervisor);
    let requests = vm.requests();
    let mut seen = Vec::new();
    let mut serve = || {
        requests.serve(|vcpu, request| {
            assert_eq!(vcpu, BSP);
            seen.push((request.direction(), request.value()));
            match request {
                Request::Pio(pio) if pio.address == 0x60 => Some(0x12_3456),
                _ => None,
            }
        })
    };
    assert_eq!(serve(), Ok(0));
    fake.guest_access(vm.id(), BSP, write(0x60)).unwrap();
    assert_eq!(serve(), Ok(1));
    assert_eq!(
        fake.guest_outcome(vm.id(), BSP),
        Some(AccessOutcome::Done(None))
    );
    fake.guest_access(vm.id(), BSP, read(0x60)).unwrap();
    assert_eq!(serve(), Ok(1));
    assert_eq!(
        fake.guest_outcome(vm.id(), BSP),
        Some(AccessOutcome::Done(Some(0x3456)))
    );
    // Nobody is there: ones, and not what the slot held before.
    fake.guest_access(vm.id(), BSP, read(0x70)).unwrap();
    assert_eq!(serve(), Ok(1));
    assert_eq!(
        fake.guest_outcome(vm.id(), BSP),
        Some(AccessOutcome::Done(Some(0xffff)))
    );
    assert_eq!(seen[0], (IoDirection::WRITE, 0x42));
    assert_eq!(seen[1].0, IoDirection::READ);
}

#[test]
fn a_request_that_is_dropped_is_answered() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let vm = running(&hypervisor);
    fake.guest_access(vm.id(), BSP, read(0x60)).unwrap();
    let pending = vm.requests().claim().unwrap();
    assert_eq!((pending.vcpu(), pending.request().size()), (BSP, 2));
    assert!(vm.requests().claim().is_none());
    drop(pending);
    assert_eq!(
        fake.guest_outcome(vm.id(), BSP),
        Some(AccessOutcome::Done(Some(0xffff)))
    );

    fake.guest_access(vm.id(), BSP, read(0x60)).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = vm
            .requests()
            .serve(|_, _| std::panic::resume_unwind(Box::new("a device model's mistake")));
    }));
    assert!(panicked.is_err());
    assert_eq!(
        fake.guest_outcome(vm.id(), BSP),
        Some(AccessOutcome::Done(Some(0xffff)))
    );
}

#[test]
fn a_vm_whose_hypervisor_polls_needs_no_notification() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let creation = creation().with_flags(VmFlags::IO_COMPLETION_POLLING);
    let vm = Vm::create(&hypervisor, &creation, CPU).unwrap();
    let vm = vm.set_request_page(page()).unwrap().start().unwrap();
    fake.guest_access(vm.id(), BSP, read(0x60)).unwrap();
    hypervisor.issued();
    assert_eq!(vm.requests().serve(|_, _| Some(7)), Ok(1));
    assert_eq!(
        fake.guest_outcome(vm.id(), BSP),
        Some(AccessOutcome::Done(Some(7)))
    );
    assert!(!hypervisor.issued().contains(&"notify_request_finish"));
}

#[test]
fn a_notification_that_failed_is_told() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let vm = running(&hypervisor);
    fake.guest_access(vm.id(), BSP, read(0x60)).unwrap();
    hypervisor.break_next("notify_request_finish", Fault::LostBefore);
    let error = vm.requests().serve(|_, _| Some(7)).unwrap_err();
    assert!(matches!(error, ServeError::Notify(error) if error.may_have_run()));
    // The slot says that the vCPU did not go on, so it is safe to notify again.
    let slot = vm.request_page().slot(BSP).unwrap();
    assert_eq!(
        fake.guest_outcome(vm.id(), BSP),
        Some(AccessOutcome::Waiting)
    );
    assert_eq!(slot.state(), IoReqState::COMPLETE);
    vm.hypervisor().notify_request_finish(vm.id(), BSP).unwrap();
    assert_eq!(
        fake.guest_outcome(vm.id(), BSP),
        Some(AccessOutcome::Done(Some(7)))
    );
    assert_eq!(slot.state(), IoReqState::FREE);
}

#[test]
fn a_request_whose_vm_was_reset_by_another_is_told() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let vm = running(&hypervisor);
    fake.guest_access(vm.id(), BSP, read(0x60)).unwrap();
    let pending = vm.requests().claim().unwrap();
    fake.pause_vm(vm.id()).unwrap();
    fake.reset_vm(vm.id()).unwrap();
    assert!(matches!(pending.answer(Some(7)), Err(ServeError::Moved(_))));
}
