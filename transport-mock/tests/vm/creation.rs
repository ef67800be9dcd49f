//! Creation, and what is refused before it does harm.

use crate::bench::{Bench, Break, CPU, Fault, bench, creation, page};
use hypercall_core::ErrorKind;
use hypercall_core::acrn::vm::{AnyVm, Vm, VmState};
use hypercall_core::acrn::{PcpuId, PcpuSet, VmCreation, VmFlags, VmId, VmName};
use hypercall_mock::fake::{FakeAcrn, VmState as Real};

#[test]
fn creation_that_would_do_harm_is_not_issued() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let second = PcpuSet::of(&[PcpuId(1)]);
    let failed = Vm::create(&hypervisor, &creation().with_cpu_affinity(second), CPU).unwrap_err();
    assert!(matches!(failed.error.kind, ErrorKind::Invalid(_)));
    assert!(failed.is_state_known());
    assert!(
        failed
            .to_string()
            .contains("a processor that does not exist"),
        "{failed}"
    );
    let failed = Vm::create(
        &hypervisor,
        &creation().with_flags(VmFlags::LAPIC_PASSTHROUGH),
        CPU,
    )
    .unwrap_err();
    assert!(failed.to_string().contains("needs the flag RT"), "{failed}");
    assert!(hypervisor.issued().is_empty());
    assert_eq!(fake.down(), None);
}

#[test]
fn a_creation_that_failed_gives_the_hypervisor_back() {
    let fake = FakeAcrn::new();
    let failed = Vm::create(&fake, &creation().with_flags(VmFlags::SECURE_WORLD), CPU).unwrap_err();
    // RAX was 0 and the block says no: the slot may hold a VM.
    assert!(matches!(failed.error.kind, ErrorKind::Rejected(_)));
    assert!(!failed.is_state_known());
    assert!(failed.to_string().contains("not known"), "{failed}");

    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    for (fault, known) in [
        (Fault::Answer(-25), true),
        (Fault::Vetoed, true),
        (Fault::LostAfter, false),
    ] {
        hypervisor.break_next("create_vm", fault);
        let failed = Vm::create(&hypervisor, &creation(), CPU).unwrap_err();
        assert_eq!(failed.is_state_known(), known, "{fault:?}");
        let _: &Bench<'_> = failed.handle;
    }
    // The VM of the last one is there, without a handle. Whoever knows its id takes it over.
    let found = AnyVm::adopt(&hypervisor, VmId(2)).unwrap();
    assert_eq!(found.state(), VmState::Created);
    found.shut_down().unwrap();
    assert_eq!(fake.state(VmId(2)), Real::PoweredOff);
}

#[test]
fn a_vm_without_vcpus_is_not_started() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let creation = VmCreation::new(VmName::new("demo").unwrap());
    let vm = Vm::create(&hypervisor, &creation, CPU).unwrap();
    assert_eq!(vm.vcpus(), Some(0));
    let failed = vm.set_request_page(page()).unwrap().start().unwrap_err();
    assert!(failed.to_string().contains("no vCPU"), "{failed}");
    assert!(!hypervisor.issued().contains(&"start_vm"));
    assert_eq!(fake.down(), None);
    failed.handle.shut_down().unwrap();
}

#[test]
fn the_service_vm_has_no_handle() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    for id in [VmId::SERVICE_VM, VmId(256), VmId::INVALID] {
        let failed = AnyVm::adopt(&hypervisor, id).unwrap_err();
        assert!(matches!(failed.error.kind, ErrorKind::Invalid(_)), "{id:?}");
    }
    assert!(hypervisor.issued().is_empty());
    assert_eq!(
        AnyVm::adopt(&hypervisor, VmId(16))
            .unwrap_err()
            .error
            .code(),
        Some(-25)
    );
}

#[cfg(feature = "mockall")]
#[test]
fn an_id_that_no_new_vm_can_have_gets_no_handle() {
    for id in [VmId::SERVICE_VM, VmId(256)] {
        let mut mock = hypercall_mock::MockHypervisor::new();
        mock.expect_create_vm().return_once(move |_| Ok(id));
        let failed = Vm::create(&mock, &creation(), CPU).unwrap_err();
        assert!(!failed.is_state_known());
        assert!(failed.to_string().contains("no new VM"), "{failed}");
    }
}
