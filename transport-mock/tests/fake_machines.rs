//! Other machines than the default: release builds, several processors, severities, devices, secure worlds.

use hypercall_core::acrn::server::{AcrnServer, Host};
use hypercall_core::acrn::{
    Bdf, Gsi, Hypervisor, IntrMonitor, Intx, IrqLine, IrqLineOp, LapicId, MemoryProt, MemoryRegion,
    MsiAddress, MsiData, MsiEntry, NpkLog, NpkLogCommand, NpkLogResult, PciDevice, PcpuId, PcpuSet,
    PmCommand, ProfilingCommand, PtdevIrq, SbufId, TrustyBootParam, VcpuId, VdevId, VirtualDevice,
    VmCreation, VmFlags, VmId, WriteProtect,
};
use hypercall_core::server::{GuestMemory, Registers, Serve};
use hypercall_core::{Error, ErrorKind, Gpa, Hpa, PageAligned, SharedRef, TransportError};
use hypercall_mock::fake::config::{Bar, CState, PciFunction, VdevSlot};
use hypercall_mock::fake::{
    Build, FakeAcrn, FakeConfig, Injection, LoadOrder, VcpuState, VmConfig, VmState,
};

const VM: &str = "POST_STD_VM1";

fn with_vm(change: impl FnOnce(&mut VmConfig)) -> FakeConfig {
    let mut configured = VmConfig::user_vm(VM, 1);
    change(&mut configured);
    FakeConfig {
        vms: vec![VmConfig::service_vm(1), configured],
        ..FakeConfig::default()
    }
}

fn create_with(fake: &FakeAcrn, name: &str, affinity: u64, flags: VmFlags) -> Result<VmId, Error> {
    let creation = VmCreation::new(name.try_into().unwrap());
    fake.create_vm(
        &mut creation
            .with_cpu_affinity(PcpuSet(affinity))
            .with_flags(flags),
    )
}

fn create(fake: &FakeAcrn) -> VmId {
    create_with(fake, VM, 0, VmFlags::empty()).unwrap()
}

fn start(fake: &FakeAcrn, vm: VmId) {
    fake.set_ioreq_buffer(vm, SharedRef::Address(Gpa(0x200_4000)))
        .unwrap();
    fake.start_vm(vm).unwrap();
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> i64 {
    outcome.unwrap_err().code().unwrap()
}

fn msi(address: u64) -> MsiEntry {
    MsiEntry::new(MsiAddress(address), MsiData(0x31))
}

#[test]
fn release_builds_keep_silent() {
    let fake = FakeAcrn::with_config(FakeConfig {
        build: Build::Release,
        ..FakeConfig::default()
    });
    assert_eq!(code(fake.get_hw_info()), -1);
    assert_eq!(
        code(fake.setup_hv_npk_log(&mut NpkLog::new(NpkLogCommand::QUERY))),
        -1
    );
    assert_eq!(
        code(fake.profiling_ops(ProfilingCommand::GET_VERSION, &mut [0; 24])),
        -1
    );
    let buffer = SharedRef::Address(Gpa(0x201_0000));
    assert_eq!(
        code(fake.setup_sbuf(VmId(1), PcpuId(0), SbufId::TRACE, buffer)),
        -1
    );
    assert_eq!(
        code(fake.setup_sbuf(VmId(1), PcpuId(9), SbufId::TRACE, buffer)),
        -1
    );
    // The device model may not pass the PMU through.
    let vm = create_with(&fake, VM, 0, VmFlags::PMU_PASSTHROUGH | VmFlags::RT).unwrap();
    assert!(
        !fake
            .vm(vm)
            .unwrap()
            .flags
            .contains(VmFlags::PMU_PASSTHROUGH)
    );
    assert!(fake.vm(vm).unwrap().flags.contains(VmFlags::RT));
    // Raw, the parameter is not even looked at.
    let registers = |number| Registers {
        number,
        args: [3, 0x1100_0000],
    };
    let server = AcrnServer::new(&fake);
    assert_eq!(server.serve(registers(0x8000_0062), &fake), Ok(-1));
}

#[test]
fn debug_builds_talk() {
    let fake = FakeAcrn::new();
    assert_eq!(fake.get_hw_info().unwrap().cpu_num, 1);
    let mut log = NpkLog::new(NpkLogCommand::QUERY);
    fake.setup_hv_npk_log(&mut log).unwrap();
    assert_eq!(log.result, NpkLogResult::DISABLED);
    fake.setup_hv_npk_log(&mut NpkLog::new(NpkLogCommand::ENABLE))
        .unwrap();
    fake.setup_hv_npk_log(&mut log).unwrap();
    assert_eq!(
        log.result,
        NpkLogResult::DISABLED,
        "without an address it stays off"
    );
    let mut on = NpkLog {
        mmio_addr: Hpa(0xd000_0000),
        loglevel: 5,
        ..NpkLog::new(NpkLogCommand::ENABLE)
    };
    fake.setup_hv_npk_log(&mut on).unwrap();
    fake.setup_hv_npk_log(&mut log).unwrap();
    assert_eq!(
        (log.result, log.loglevel, log.mmio_addr),
        (NpkLogResult::ENABLED, 5, Hpa(0xd000_0000))
    );

    let mut version = [0xff; 24];
    fake.profiling_ops(ProfilingCommand::GET_VERSION, &mut version)
        .unwrap();
    assert_eq!(version[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
    let mut vms = vec![
        0;
        fake.profiling_extent(ProfilingCommand::GET_VM_INFO)
            .unwrap()
    ];
    create(&fake);
    fake.profiling_ops(ProfilingCommand::GET_VM_INFO, &mut vms)
        .unwrap();
    assert_eq!(
        (vms[0], &vms[6..10], &vms[34..39]),
        (3, b"VMM\0".as_slice(), b"vm_0\0".as_slice())
    );
    assert_eq!(code(fake.profiling_ops(ProfilingCommand(9), &mut [])), -1);
}

#[test]
fn several_processors() {
    let fake = FakeAcrn::with_config(FakeConfig {
        pcpus: 4,
        vms: vec![VmConfig::service_vm(0xf), VmConfig::user_vm(VM, 0b1100)],
        ..FakeConfig::default()
    });
    let vm = create(&fake);
    let pcpus = |vm| {
        fake.vm(vm)
            .unwrap()
            .vcpus
            .iter()
            .map(|vcpu| vcpu.pcpu.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(pcpus(vm), [2, 3], "all that are configured");
    fake.pause_vm(vm).unwrap();
    fake.destroy_vm(vm).unwrap();
    assert_eq!(code(create_with(&fake, VM, 0b0110, VmFlags::empty())), -1);
    assert_eq!(
        pcpus(create_with(&fake, VM, 0b1000, VmFlags::empty()).unwrap()),
        [3]
    );
    assert_eq!(
        pcpus(create_with(&fake, "other", 0b1001, VmFlags::empty()).unwrap()),
        [0, 3]
    );

    assert_eq!(
        code(fake.service_vm_offline_cpu(LapicId(0))),
        -1,
        "the boot processor"
    );
    fake.service_vm_offline_cpu(LapicId(2)).unwrap();
    fake.service_vm_offline_cpu(LapicId(99)).unwrap();
    let states: Vec<_> = fake
        .vm(VmId::SERVICE_VM)
        .unwrap()
        .vcpus
        .iter()
        .map(|vcpu| vcpu.state)
        .collect();
    assert_eq!(
        states,
        [
            VcpuState::Running,
            VcpuState::Running,
            VcpuState::Offline,
            VcpuState::Running
        ]
    );

    let buffer = SharedRef::Address(Gpa(0x201_0000));
    fake.setup_sbuf(VmId(1), PcpuId(3), SbufId::HVLOG, buffer)
        .unwrap();
    assert_eq!(fake.cpu_sbuf(PcpuId(3), 1), Some(Hpa(0x201_0000)));
    assert_eq!(
        code(fake.setup_sbuf(VmId(1), PcpuId(4), SbufId::HVLOG, buffer)),
        -22
    );
    fake.setup_sbuf(
        VmId(1),
        PcpuId(3),
        SbufId::HVLOG,
        SharedRef::Address(Gpa(0x1100_0000)),
    )
    .unwrap();
    assert_eq!(
        fake.cpu_sbuf(PcpuId(3), 1),
        None,
        "an unmapped address removes it"
    );
}

#[test]
fn a_vm_above_the_service_vm() {
    let fake = FakeAcrn::with_config(with_vm(|vm| vm.severity = 0x30));
    let vm = create_with(&fake, VM, 0, VmFlags::RT).unwrap();
    let memory = [MemoryRegion::map(
        Gpa(0),
        Gpa(0x400_0000),
        0x1000,
        MemoryProt::RAM,
    )];
    fake.set_memory_regions(vm, &memory).unwrap();
    assert_eq!(
        code(fake.inject_msi(vm, &msi(0xfee0_0000))),
        -1,
        "in any state"
    );
    assert_eq!(
        code(fake.write_protect_page(vm, &WriteProtect::protect(Gpa(0)))),
        -22
    );
    start(&fake, vm);
    assert_eq!(code(fake.set_memory_regions(vm, &memory)), -1);
    assert_eq!(
        code(fake.set_irqline(vm, IrqLine::new(Gsi(5), IrqLineOp::HIGH))),
        -1
    );
    assert_eq!(code(fake.notify_request_finish(vm, VcpuId::BSP)), -1);
    fake.pause_vm(vm).unwrap();
    assert_eq!(fake.state(vm), VmState::Running, "0, and nothing happened");
    assert_eq!(code(fake.destroy_vm(vm)), -1);
    fake.guest_powers_off(vm);
    fake.pause_vm(vm).unwrap();
    fake.destroy_vm(vm).unwrap();
}

#[test]
fn a_passed_through_apic_takes_messages_only_while_a_vcpu_runs() {
    let fake = FakeAcrn::new();
    let vm = create_with(&fake, VM, 0, VmFlags::RT | VmFlags::LAPIC_PASSTHROUGH).unwrap();
    assert_eq!(code(fake.inject_msi(vm, &msi(0xfee0_0000))), -1);
    start(&fake, vm);
    fake.inject_msi(vm, &msi(0xfee0_0000)).unwrap();
    assert_eq!(code(fake.inject_msi(vm, &msi(0xfed0_0000))), -1);
    fake.guest_enables_x2apic(vm);
    fake.inject_msi(vm, &msi(0xfed0_0000)).unwrap();
    fake.pause_vm(vm).unwrap();
    assert_eq!(code(fake.inject_msi(vm, &msi(0xfee0_0000))), -1);
    fake.reset_vm(vm).unwrap();
    fake.inject_msi(vm, &msi(0xfee0_0000)).unwrap();
    let addresses: Vec<_> = fake
        .injections(vm)
        .iter()
        .map(|injection| match injection {
            Injection::Msi {
                address,
                data: 0x31,
            } => *address,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(addresses, [0xfee0_0000, 0xfed0_0000, 0xfee0_0000]);
}

#[test]
fn ids_are_relative_to_the_service_vm() {
    let pre_launched = VmConfig {
        load_order: LoadOrder::PreLaunched,
        ..VmConfig::user_vm("SAFETY_VM", 1)
    };
    let fake = FakeAcrn::with_config(FakeConfig {
        vms: vec![
            pre_launched,
            VmConfig::service_vm(1),
            VmConfig::user_vm(VM, 1),
        ],
        ..FakeConfig::default()
    });
    assert_eq!(create(&fake), VmId(1));
    assert_eq!(
        create_with(&fake, "other", 1, VmFlags::empty()).unwrap(),
        VmId(2)
    );
    // Slot 0 is the hypervisor's own.
    assert_eq!(code(fake.pause_vm(VmId(0xffff))), -25);
    assert_eq!(
        code(create_with(&fake, "SAFETY_VM", 0, VmFlags::empty())),
        -25
    );
    assert_eq!(fake.vms(), [VmId(0xffff), VmId(0), VmId(1), VmId(2)]);
    assert_eq!(code(fake.pause_vm(VmId(15))), -25, "the last slot is 14");
    // A slot that no name ever chose takes itself for slot 0, and that one is out of reach.
    assert_eq!(code(fake.pause_vm(VmId(14))), -25);
}

#[test]
fn power_states() {
    let state = CState {
        kind: 2,
        latency: 50,
        space: 1,
        address: 0x1814,
        width: 8,
        ..CState::default()
    };
    let config = with_vm(|vm| vm.flags = 1 << 12);
    let fake = FakeAcrn::with_config(FakeConfig {
        cstates: vec![CState { kind: 1, ..state }, state],
        ..config
    });
    let command = PmCommand::new(VmId(1));
    assert_eq!(code(fake.pm_get_cx_count(command)), -1, "no VM");
    let vm = create(&fake);
    assert_eq!(
        fake.pm_get_px_count(command).unwrap(),
        0,
        "a virtual HWP has no discrete states"
    );
    assert_eq!(code(fake.pm_get_px_data(command)), -1);
    assert_eq!(fake.pm_get_cx_count(command).unwrap(), 2);
    let second = fake.pm_get_cx_data(command.with_state(2)).unwrap();
    assert_eq!(
        (second.kind, second.latency, second.cx_reg.address()),
        (2, 50, 0x1814)
    );
    assert_eq!(code(fake.pm_get_cx_data(command.with_state(0))), -1);
    assert_eq!(code(fake.pm_get_cx_data(command.with_state(3))), -1);
    start(&fake, vm);
    assert_eq!(code(fake.pm_get_cx_count(command)), -1, "running");
}

#[test]
fn pci_functions_change_hands() {
    let nic = Bdf::new(0, 3, 0);
    let function = |bdf: Bdf, bridge, bar| PciFunction {
        bdf: bdf.0,
        bridge,
        bars: [bar, Bar::None, Bar::None, Bar::None, Bar::None, Bar::None],
    };
    let ports = Bar::Ports {
        base: 0xc000,
        size: 32,
    };
    let fake = FakeAcrn::with_config(FakeConfig {
        pci: vec![
            function(Bdf(0), true, Bar::None),
            function(nic, false, ports),
        ],
        ..FakeConfig::default()
    });
    let vm = create(&fake);
    let there = Bdf::new(0, 5, 0);
    let device = |virt, phys, bar| PciDevice {
        bar: [bar, 0, 0, 0, 0, 0],
        ..PciDevice::new(virt, phys)
    };
    assert_eq!(
        code(fake.assign_pcidev(vm, &device(there, Bdf(0), 0))),
        -19,
        "a bridge"
    );
    assert_eq!(
        code(fake.assign_pcidev(vm, &device(there, nic, 0xd001))),
        -5,
        "its ports cannot move"
    );
    fake.assign_pcidev(vm, &device(there, nic, 0xc001)).unwrap();
    assert_eq!(
        code(fake.assign_pcidev(vm, &device(there, nic, 0xc001))),
        -19,
        "taken"
    );

    let line = |virt, phys| PtdevIrq::intx(there, nic, Intx::ioapic(virt, phys));
    assert_eq!(code(fake.set_ptdev_intr_info(vm, &line(48, 11))), -1);
    assert_eq!(code(fake.set_ptdev_intr_info(vm, &line(5, 24))), -1);
    fake.set_ptdev_intr_info(vm, &line(5, 11)).unwrap();
    assert_eq!(
        code(fake.set_ptdev_intr_info(vm, &line(5, 12))),
        -19,
        "the virtual line is taken"
    );
    assert!(fake.line_fires(Gsi(11)) && fake.line_fires(Gsi(11)) && !fake.line_fires(Gsi(12)));
    let mut monitor = PageAligned(IntrMonitor::counters());
    fake.vm_intr_monitor(vm, &mut monitor).unwrap();
    let counts: Vec<_> = monitor
        .0
        .counts()
        .map(|count| (count.pirq, count.count))
        .collect();
    assert_eq!(counts, [(11, 2)]);
    fake.vm_intr_monitor(vm, &mut PageAligned(IntrMonitor::delay(20)))
        .unwrap();
    assert_eq!(fake.vm(vm).unwrap().interrupt_delay, 20);
    fake.reset_ptdev_intr_info(vm, &line(5, 11)).unwrap();
    assert!(!fake.line_fires(Gsi(11)));

    assert_eq!(
        code(fake.deassign_pcidev(vm, &device(there, Bdf(0), 0))),
        -19
    );
    fake.deassign_pcidev(vm, &device(there, nic, 0)).unwrap();
    fake.assign_pcidev(vm, &device(there, nic, 0xc001)).unwrap();
    fake.pause_vm(vm).unwrap();
    fake.destroy_vm(vm).unwrap();
    let vm = create(&fake);
    fake.assign_pcidev(vm, &device(there, nic, 0xc001)).unwrap();
}

#[test]
fn virtual_devices_have_configured_places() {
    let mut region = [0; 32];
    region[..7].copy_from_slice(b"shm_one");
    let config = with_vm(|vm| {
        vm.vdevs = vec![
            VdevSlot {
                region,
                region_size: 0x20_0000,
                uart: 9,
                secondary_bus: 9,
            },
            VdevSlot {
                uart: 1,
                secondary_bus: 2,
                ..VdevSlot::default()
            },
        ];
    });
    let fake = FakeAcrn::with_config(config);
    let vm = create(&fake);
    let mut shared = VirtualDevice::new(VdevId::IVSHMEM, Bdf(0x28)).with_args(b"shm_one\0");
    assert_eq!(code(fake.add_vdev(vm, &shared)), -22, "its size");
    shared.io_size[2] = 0x20_0000;
    fake.add_vdev(vm, &shared).unwrap();
    let port = VirtualDevice::new(VdevId::ROOT_PORT, Bdf(0x30)).with_args(&[0, 0, 0, 0, 2]);
    fake.add_vdev(vm, &port).unwrap();
    let nowhere = VirtualDevice::new(VdevId::ROOT_PORT, Bdf(0x38)).with_args(&[0, 0, 0, 0, 7]);
    fake.add_vdev(vm, &nowhere).unwrap();
    assert_eq!(
        code(fake.remove_vdev(vm, &nowhere)),
        -22,
        "0, and nothing was there"
    );
    fake.remove_vdev(vm, &port).unwrap();
    // What was not removed is there again in the next VM.
    fake.pause_vm(vm).unwrap();
    fake.destroy_vm(vm).unwrap();
    let vm = create(&fake);
    assert_eq!(fake.vm(vm).unwrap().functions, [(0x28, None)]);
}

#[test]
fn a_line_that_is_taken_spoils_the_vm() {
    let mut first = VmConfig::user_vm("FIRST", 1);
    first.lines = vec![(5, 11)];
    let mut second = VmConfig::user_vm("SECOND", 1);
    second.lines = vec![(6, 11)];
    let fake = FakeAcrn::with_config(FakeConfig {
        vms: vec![VmConfig::service_vm(1), first, second],
        ..FakeConfig::default()
    });
    create_with(&fake, "FIRST", 0, VmFlags::empty()).unwrap();
    let error = create_with(&fake, "SECOND", 0, VmFlags::empty()).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Rejected(_)));
    let left = fake.vm(VmId(2)).unwrap();
    assert_eq!(
        (left.state, left.vcpus.len()),
        (VmState::Created, 1),
        "it is there all the same"
    );
    assert_eq!(fake.mappings(VmId(2)), [], "without memory");
}

#[test]
fn secure_worlds() {
    let fake = FakeAcrn::with_config(FakeConfig {
        trusty_vms: 1,
        ..with_vm(|_| {})
    });
    let vm = create_with(&fake, VM, 0, VmFlags::SECURE_WORLD).unwrap();
    assert!(
        fake.translate(vm, Gpa(511 << 30)).is_some(),
        "its memory is mapped at 511 GiB"
    );
    // The second VM finds none left, and its slot stays spoilt.
    for flags in [VmFlags::SECURE_WORLD, VmFlags::empty()] {
        let mut creation = VmCreation::new("other".try_into().unwrap()).with_flags(flags);
        creation.vcpu_num = 7;
        let error = fake.create_vm(&mut creation).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Rejected(_)));
        assert_eq!((creation.vmid, creation.vcpu_num), (VmId::INVALID, 7));
    }

    let memory = [MemoryRegion::map(
        Gpa(0),
        Gpa(0x400_0000),
        0x10_0000,
        MemoryProt::RAM,
    )];
    fake.set_memory_regions(vm, &memory).unwrap();
    start(&fake, vm);
    let own = fake.called_by(vm);
    let param = TrustyBootParam::new(Gpa(0x8000), Gpa(0x8000), 0x4000, [0; 64]);
    own.initialize_trusty(&param).unwrap();
    assert_eq!(
        fake.translate(vm, Gpa(0x8000)),
        None,
        "the normal world lost it"
    );
    assert_eq!(code(own.initialize_trusty(&param)), -1);
    own.save_restore_sworld_ctx().unwrap();
    fake.pause_vm(vm).unwrap();
    fake.reset_vm(vm).unwrap();
    assert_eq!(fake.translate(vm, Gpa(0x8000)), Some(Hpa(0x400_8000)));
    own.save_restore_sworld_ctx().unwrap();
    assert_eq!(fake.translate(vm, Gpa(0x8000)), None);
    assert_eq!(code(own.get_api_version()), -25);

    // The Service VM has no such world, and other VMs may make no hypercalls at all.
    assert_eq!(code(fake.initialize_trusty(&param)), -25);
    let registers = Registers {
        number: 0x8000_0070,
        args: [0x1000, 0],
    };
    let other = fake.called_by(VmId(5));
    assert_eq!(
        AcrnServer::new(&other).serve(registers, &other),
        Err(TransportError::Fault(6))
    );
    assert_eq!(AcrnServer::new(&fake).serve(registers, &fake), Ok(-25));
}

#[test]
fn lines_of_the_machine_and_of_a_vm() {
    let fake = FakeAcrn::with_config(FakeConfig {
        ioapic_lines: 120,
        ..FakeConfig::default()
    });
    let vm = create(&fake);
    let line = |gsi| IrqLine::new(Gsi(gsi), IrqLineOp(9));
    fake.set_irqline(VmId::SERVICE_VM, line(119)).unwrap();
    assert_eq!(code(fake.set_irqline(VmId::SERVICE_VM, line(120))), -1);
    fake.set_irqline(vm, line(47)).unwrap();
    assert_eq!(code(fake.set_irqline(vm, line(48))), -1);
    assert_eq!(fake.injections(vm), [Injection::Line { gsi: 47, op: 9 }]);
}

#[test]
fn address_zero_is_a_null_pointer_to_the_hypervisor() {
    let fake = FakeAcrn::new();
    let vm = create(&fake);
    fake.set_ioreq_buffer(vm, SharedRef::Address(Gpa(0)))
        .unwrap();
    assert_eq!(code(fake.start_vm(vm)), -1, "0, and no page");
    fake.write_memory(VmId::SERVICE_VM, Gpa(0), &[0xcc; 16]);
    GuestMemory::write(&fake, 0, &[1, 2, 3, 4]).unwrap();
    let mut seen = [0xff; 8];
    fake.read_memory(VmId::SERVICE_VM, Gpa(0), &mut seen);
    assert_eq!(seen, [0, 0, 0, 0, 0xcc, 0xcc, 0xcc, 0xcc]);
}

#[test]
fn numbers_that_are_not_exact_choose_the_slot() {
    let fake = FakeAcrn::new();
    let server = AcrnServer::new(&fake);
    let call = |number, first| {
        server.serve(
            Registers {
                number,
                args: [first, 0],
            },
            &fake,
        )
    };
    // A description at an address whose low 16 bits are the slot.
    let description = |slot: u64| {
        let gpa = 0x200_0000 | slot;
        let mut bytes = [0; 48];
        bytes[8..13].copy_from_slice(b"alpha");
        bytes[40] = 1;
        fake.write_memory(VmId::SERVICE_VM, Gpa(gpa), &bytes);
        gpa
    };
    // A slot that was never chosen by a name takes itself for slot 0, which lives.
    assert_eq!(call(0x10, description(2)), Ok(-1));
    assert_eq!(fake.state(VmId(2)), VmState::PoweredOff);
    assert_eq!(call(0x8000_0010, description(0)), Ok(0));
    fake.pause_vm(VmId(2)).unwrap();
    fake.destroy_vm(VmId(2)).unwrap();
    // Now it knows itself; but nobody asked for its processors, so the affinity does not fit.
    assert_eq!(call(0x10, description(2)), Ok(0));
    assert_eq!(fake.vm(VmId(2)).unwrap().name, "ACRN VM_2");
    assert_eq!(call(0x10, 0x200_0010), Ok(-25));
}
