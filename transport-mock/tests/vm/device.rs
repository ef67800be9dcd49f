//! Devices, and that they go back.

use crate::bench::{Bench, Break, CPU, Fault, bench, created, page};
use hypercall_core::acrn::vm::{Created, MMIO_DEVICES, Vm, VmState};
use hypercall_core::acrn::{
    Bdf, Hypervisor, MmioDevice, MmioResource, PciDevice, VdevId, VirtualDevice, VmCreation, VmId,
    VmName,
};
use hypercall_core::{ErrorKind, Gpa, Hpa};
use hypercall_mock::fake::config::{MemoryConfig, PciFunction, VdevSlot};
use hypercall_mock::fake::{FakeAcrn, FakeConfig, VmConfig, VmState as Real};

const NIC: PciDevice = PciDevice::new(Bdf::new(0, 5, 0), Bdf::new(3, 0, 0));
const TPM: MmioDevice = MmioDevice::new(
    *b"tpm2\0\0\0\0",
    MmioResource::new(Gpa(0xfed4_0000), Hpa(0xfed4_0000), 0x5000),
);

fn with_devices() -> FakeAcrn {
    let mut shared = VdevSlot {
        region_size: 0x20_0000,
        ..VdevSlot::default()
    };
    shared.region[..2].copy_from_slice(b"hv");
    FakeAcrn::with_config(FakeConfig {
        vms: vec![
            VmConfig::service_vm(1),
            VmConfig {
                vdevs: vec![shared],
                ..VmConfig::user_vm("POST_STD_VM1", 1)
            },
        ],
        pci: vec![PciFunction {
            bdf: NIC.phys_bdf.0,
            bridge: false,
            bars: Default::default(),
        }],
        memory: MemoryConfig::default(),
        ..FakeConfig::default()
    })
}

fn shared_memory() -> VirtualDevice {
    let mut device = VirtualDevice::new(VdevId::IVSHMEM, Bdf::new(0, 6, 0)).with_args(b"hv");
    device.io_size[2] = 0x20_0000;
    device
}

fn with_all_devices<'h, 'f>(hypervisor: &'h Bench<'f>) -> Vm<&'h Bench<'f>, Created> {
    let creation = VmCreation::new(VmName::new("POST_STD_VM1").unwrap());
    let mut vm = Vm::create(hypervisor, &creation, CPU)
        .unwrap()
        .set_request_page(page())
        .unwrap();
    vm.assign_pci(&NIC).unwrap();
    vm.assign_mmio(&TPM).unwrap();
    vm.add_virtual(&shared_memory()).unwrap();
    vm
}

#[test]
fn devices_go_back_before_the_vm_goes() {
    let fake = with_devices();
    let hypervisor = bench(&fake);
    let before = fake.mappings(VmId::SERVICE_VM);
    // By shut_down, by destroy, by the drop of a VM that was never started.
    let ends: [fn(Vm<&Bench<'_>, Created>); 3] = [
        |vm| drop(vm.start().unwrap().shut_down().unwrap()),
        |vm| drop(vm.start().unwrap().pause().unwrap().destroy().unwrap()),
        |vm| drop(vm),
    ];
    for end in ends {
        let vm = with_all_devices(&hypervisor);
        let id = vm.id();
        assert_ne!(fake.mappings(VmId::SERVICE_VM), before);
        assert_eq!(fake.vm(id).unwrap().functions.len(), 2);
        hypervisor.issued();
        end(vm);
        assert_eq!(
            fake.mappings(VmId::SERVICE_VM),
            before,
            "the Service VM has its registers back"
        );
        let issued = hypervisor.issued();
        let at = |name| issued.iter().position(|call| *call == name).unwrap();
        for call in ["deassign_mmiodev", "deassign_pcidev", "remove_vdev"] {
            assert!(at(call) < at("destroy_vm"), "{issued:?}");
        }
        // An emulated device that was not removed would come back with the slot's next VM.
        let next = fake
            .create_vm(&mut VmCreation::new(VmName::new("POST_STD_VM1").unwrap()))
            .unwrap();
        assert!(fake.vm(next).unwrap().functions.is_empty());
        fake.pause_vm(next).unwrap();
        fake.destroy_vm(next).unwrap();
    }
}

#[test]
fn devices_that_went_back_are_forgotten() {
    let fake = with_devices();
    let hypervisor = bench(&fake);
    let mut vm = with_all_devices(&hypervisor).pause().unwrap();
    vm.deassign_pci(&NIC).unwrap();
    vm.deassign_mmio(&TPM).unwrap();
    vm.remove_virtual(&shared_memory()).unwrap();
    assert_eq!(vm.deassign_pci(&NIC).unwrap_err().code(), Some(-19));
    let error = vm.deassign_mmio(&TPM).unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::Invalid(_)),
        "the Service VM would get whatever it names"
    );
    hypervisor.issued();
    vm.destroy().unwrap();
    assert_eq!(hypervisor.issued(), ["destroy_vm"]);
}

#[test]
fn a_device_whose_assignment_got_no_answer_is_remembered() {
    let fake = with_devices();
    let hypervisor = bench(&fake);
    let before = fake.mappings(VmId::SERVICE_VM);
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        let mut vm = created(&hypervisor);
        for call in ["assign_mmiodev", "assign_pcidev", "add_vdev"] {
            hypervisor.break_next(call, fault);
        }
        assert!(vm.assign_mmio(&TPM).unwrap_err().may_have_run());
        assert!(vm.assign_pci(&NIC).unwrap_err().may_have_run());
        assert!(vm.add_virtual(&shared_memory()).unwrap_err().may_have_run());
        vm.shut_down().unwrap();
        assert_eq!(fake.mappings(VmId::SERVICE_VM), before, "{fault:?}");
        assert_eq!(fake.vm(VmId(2)).unwrap().functions, [], "{fault:?}");
    }
}

#[test]
fn a_device_that_was_refused_is_not_remembered() {
    let fake = with_devices();
    let hypervisor = bench(&fake);
    let mut vm = created(&hypervisor);
    let absent = PciDevice::new(Bdf::new(0, 5, 0), Bdf::new(9, 9, 0));
    assert_eq!(vm.assign_pci(&absent).unwrap_err().code(), Some(-19));
    let unaligned = MmioDevice::new(
        *b"odd\0\0\0\0\0",
        MmioResource::new(Gpa(0x800), Hpa(0xfed4_0000), 0x1000),
    );
    hypervisor.issued();
    assert!(matches!(
        vm.assign_mmio(&unaligned).unwrap_err().kind,
        ErrorKind::Invalid(_)
    ));
    assert!(hypervisor.issued().is_empty());
    vm.shut_down().unwrap();
    assert_eq!(hypervisor.issued(), ["pause_vm", "destroy_vm"]);
}

#[test]
fn a_handle_that_is_full_assigns_no_more() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let mut vm = created(&hypervisor);
    let device = |number: u64| {
        MmioDevice::new(
            [0; 8],
            MmioResource::new(Gpa(number << 16), Hpa(0xd000_0000 + (number << 16)), 0x1000),
        )
    };
    for number in 0..MMIO_DEVICES as u64 {
        vm.assign_mmio(&device(number)).unwrap();
        vm.assign_mmio(&device(number)).unwrap();
    }
    let error = vm.assign_mmio(&device(99)).unwrap_err();
    assert!(error.to_string().contains("no room"), "{error}");
    vm.deassign_mmio(&device(0)).unwrap();
    vm.assign_mmio(&device(99)).unwrap();
}

#[test]
fn a_device_that_cannot_be_given_back_stops_the_destruction() {
    let fake = with_devices();
    let hypervisor = bench(&fake);
    let vm = with_all_devices(&hypervisor).start().unwrap();
    hypervisor.break_next("deassign_mmiodev", Fault::Answer(-22));
    let failed = vm.shut_down().unwrap_err();
    assert!(failed.is_state_known());
    assert_eq!(failed.handle.state(), VmState::Paused);
    assert_eq!(fake.state(failed.handle.id()), Real::Paused);
    failed.handle.shut_down().unwrap();
}
