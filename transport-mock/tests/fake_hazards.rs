//! Calls that the real hypervisor does not survive, on the fake: they say so, and the machine stays down.

use hypercall_core::acrn::{
    AsyncIoInfo, Bdf, GpaToHpa, Hypervisor, Intx, MemoryProt, MemoryRegion, MmioDevice,
    MmioResource, PcpuSet, PtdevIrq, VdevId, VirtualDevice, VmCreation, VmId,
};
use hypercall_core::{Error, ErrorKind, Gpa, Hazard, Hpa, SharedRef, TransportError};
use hypercall_mock::fake::config::VdevSlot;
use hypercall_mock::fake::{FakeAcrn, FakeConfig, VmConfig};

fn create(fake: &FakeAcrn, name: &str, affinity: u64) -> Result<VmId, Error> {
    let mut creation =
        VmCreation::new(name.try_into().unwrap()).with_cpu_affinity(PcpuSet(affinity));
    fake.create_vm(&mut creation)
}

fn hazard<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Hazard {
    match outcome.unwrap_err().kind {
        ErrorKind::Transport(TransportError::Dead(hazard)) => hazard,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dead_machine_answers_nothing_until_it_is_reset() {
    let fake = FakeAcrn::new();
    assert_eq!(fake.down(), None);
    let crash = hazard(fake.asyncio_assign(VmId(3), &AsyncIoInfo::port(0x600, 7)));
    assert!(matches!(crash, Hazard::Crashed(_)));
    assert_eq!(fake.down(), Some(crash));
    assert_eq!(hazard(fake.get_api_version()), crash);
    assert_eq!(hazard(create(&fake, "alpha", 1)), crash);
    fake.reset();
    assert_eq!(fake.down(), None);
    assert_eq!(create(&fake, "alpha", 1).unwrap(), VmId(2));
}

#[test]
fn the_error_says_what_happened() {
    let error = FakeAcrn::new().pause_vm(VmId::SERVICE_VM).unwrap_err();
    assert!(error.may_have_run());
    let text = error.to_string();
    assert!(
        text.contains("never returns") && text.contains("its own caller"),
        "{text}"
    );
}

#[test]
fn an_address_of_zero_does_not_crash() {
    let fake = FakeAcrn::new();
    fake.asyncio_assign(VmId(1), &AsyncIoInfo::port(0, 7))
        .unwrap();
    fake.asyncio_deassign(VmId(1), &AsyncIoInfo::port(0x600, 7))
        .unwrap();
}

#[test]
fn a_processor_that_does_not_exist() {
    let fake = FakeAcrn::new();
    // The configuration protects the VMs that are in it.
    assert_eq!(
        create(&fake, "POST_STD_VM1", 2).unwrap_err().code(),
        Some(-1)
    );
    assert!(matches!(
        hazard(create(&fake, "alpha", 2)),
        Hazard::Crashed(_)
    ));
}

#[test]
fn a_vm_without_vcpus_must_not_start() {
    let fake = FakeAcrn::new();
    let vm = create(&fake, "alpha", 0).unwrap();
    assert!(fake.vm(vm).unwrap().vcpus.is_empty());
    fake.set_ioreq_buffer(vm, SharedRef::Address(Gpa(0x200_4000)))
        .unwrap();
    assert!(matches!(hazard(fake.start_vm(vm)), Hazard::Crashed(_)));
}

#[test]
fn an_emulated_device_has_no_interrupt_line() {
    let mut configured = VmConfig::user_vm("POST_STD_VM1", 1);
    configured.vdevs = vec![VdevSlot {
        uart: 3,
        ..VdevSlot::default()
    }];
    let fake = FakeAcrn::with_config(FakeConfig {
        vms: vec![VmConfig::service_vm(1), configured],
        ..FakeConfig::default()
    });
    let vm = create(&fake, "POST_STD_VM1", 0).unwrap();
    let uart = VirtualDevice::new(VdevId::MCS9900, Bdf(0x30)).with_args(&[3, 0]);
    fake.add_vdev(vm, &uart).unwrap();
    let irq = PtdevIrq::intx(Bdf(0x30), Bdf(0), Intx::ioapic(5, 5));
    assert!(matches!(
        hazard(fake.set_ptdev_intr_info(vm, &irq)),
        Hazard::Crashed(_)
    ));
}

#[test]
fn hostile_sizes_come_to_an_end() {
    let all = MemoryProt::RAM;
    let region =
        |gpa: u64, source: u64, size: u64| MemoryRegion::map(Gpa(gpa), Gpa(source), size, all);
    let fake = FakeAcrn::new();
    let vm = create(&fake, "POST_STD_VM1", 0).unwrap();
    // Larger than what the Service VM has.
    assert_eq!(
        fake.set_memory_regions(vm, &[region(0, 0x400_0000, 1 << 63)])
            .unwrap_err()
            .code(),
        Some(-22)
    );
    // Wraps on both sides: counts as mapped, and maps nothing.
    let rest = 0_u64.wrapping_sub(0x400_0000);
    fake.set_memory_regions(vm, &[region(0x400_0000, 0x400_0000, rest)])
        .unwrap();
    assert_eq!(
        fake.vm_gpa2hpa(vm, &mut GpaToHpa::of(Gpa(0x1000)))
            .unwrap_err()
            .code(),
        Some(-1)
    );
    fake.set_memory_regions(
        vm,
        &[MemoryRegion::unmap(Gpa(0x1000), 0_u64.wrapping_sub(0x1000))],
    )
    .unwrap();
    // Bits 48 and up do not matter, of either address.
    fake.set_memory_regions(vm, &[region(1 << 50, (3 << 52) | 0x400_0000, 0x1000)])
        .unwrap();
    assert_eq!(
        fake.vm_gpa2hpa(vm, &mut GpaToHpa::of(Gpa(0x10))).unwrap(),
        Hpa(0x400_0010)
    );
    // The source wraps and the target does not: everything is mapped, until there are no pages left to map it with.
    let _ = hazard(fake.set_memory_regions(vm, &[region(0, 0x400_0000, rest)]));
    // The last 512 GiB.
    fake.reset();
    let vm = create(&fake, "POST_STD_VM1", 0).unwrap();
    let outcome = fake.set_memory_regions(vm, &[region(0xffff_ffff_ffff_0000, 0x400_0000, 0x1000)]);
    let _ = hazard(outcome);
    // A device that is larger than everything: its host addresses are not checked.
    let fake = FakeAcrn::new();
    let vm = create(&fake, "POST_STD_VM1", 0).unwrap();
    let huge = MmioDevice::new(
        *b"huge\0\0\0\0",
        MmioResource::new(Gpa(0x1000), Hpa(0x5000), 1 << 62),
    );
    assert!(matches!(
        hazard(fake.assign_mmiodev(vm, &huge)),
        Hazard::Crashed(_)
    ));
}

#[test]
fn a_hole_behind_the_start_of_a_large_page_is_not_seen() {
    let fake = FakeAcrn::new();
    let vm = create(&fake, "POST_STD_VM1", 0).unwrap();
    let region = |source: u64| {
        [MemoryRegion::map(
            Gpa(0x10_0000),
            Gpa(source),
            0x2000,
            MemoryProt::RAM,
        )]
    };
    assert_eq!(
        fake.set_memory_regions(vm, &region(0x1100_0000))
            .unwrap_err()
            .code(),
        Some(-22)
    );
    // The Service VM's memory below the hypervisor is mapped by pages of 2 MiB: the check steps over the second page.
    fake.set_memory_regions(vm, &region(0x10ff_f000)).unwrap();
    assert_eq!(fake.translate(vm, Gpa(0x10_1000)), Some(Hpa(0x1100_0000)));
}

#[test]
fn the_last_vm_switches_the_machine_off() {
    let mut service = VmConfig::service_vm(1);
    service.flags = 1 << 14;
    let fake = FakeAcrn::with_config(FakeConfig {
        vms: vec![service],
        ..FakeConfig::default()
    });
    let vm = create(&fake, "alpha", 1).unwrap();
    fake.pause_vm(vm).unwrap();
    assert!(matches!(hazard(fake.destroy_vm(vm)), Hazard::Hung(_)));
}
