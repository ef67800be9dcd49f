//! Devices: arguments that are refused, and ranges that change hands.

use hypercall::acrn::{
    Bdf, GpaToHpa, HypervisorCalls as Calls, Intx, MmioDevice, MmioResource, PciDevice, PtdevIrq,
    PtdevIrqKind, VdevId, VirtualDevice, VrpConfig,
};
use hypercall::{Gpa, Hpa, Payload};

use crate::steps::Steps;

/// A page of a device that nobody misses: on the recorded machine there is nothing.
const REGISTERS: u64 = 0xd000_0000;

pub(crate) fn run(steps: &mut Steps<'_>) {
    steps.heading("devices of a created VM");
    let h = steps.hypervisor;
    let Some(vm) = steps.create("powered off") else {
        return;
    };
    let here = Bdf::new(0, 3, 0);
    let nowhere = Bdf::new(0xff, 0x1f, 7);
    let device = PciDevice::new(here, nowhere);
    steps.step(
        Calls::ASSIGN_PCIDEV,
        "a function that there is not",
        -19,
        h.assign_pcidev(vm, &device),
    );
    steps.step(
        Calls::DEASSIGN_PCIDEV,
        "one that the VM has not",
        -19,
        h.deassign_pcidev(vm, &device),
    );
    let msi = PtdevIrq {
        kind: PtdevIrqKind::MSI,
        ..PtdevIrq::intx(here, nowhere, Intx::ioapic(4, 4))
    };
    steps.step(
        Calls::SET_PTDEV_INTR_INFO,
        "another kind than a pin",
        -1,
        h.set_ptdev_intr_info(vm, &msi),
    );
    let pic = PtdevIrq::intx(here, nowhere, Intx::pic(16, 4));
    steps.step(
        Calls::RESET_PTDEV_INTR_INFO,
        "no such pin",
        -1,
        h.reset_ptdev_intr_info(vm, &pic),
    );

    for (what, id) in [
        ("shared memory that is not configured", VdevId::IVSHMEM),
        ("a serial port that is not configured", VdevId::MCS9900),
        ("no such device", VdevId::pci(0x1234, 0x5678)),
        (
            "a legacy device",
            VdevId {
                legacy_id: 1,
                ..VdevId::default()
            },
        ),
    ] {
        let device = VirtualDevice::new(id, here).with_args(b"hv:/shm_region_0");
        steps.step(Calls::ADD_VDEV, what, -22, h.add_vdev(vm, &device));
        steps.step(Calls::REMOVE_VDEV, what, -22, h.remove_vdev(vm, &device));
    }
    let port = VrpConfig {
        phy_bdf: Bdf::new(0, 0x1c, 0),
        secondary_bus: 0xee,
        ..VrpConfig::default()
    };
    let port = VirtualDevice::new(VdevId::ROOT_PORT, here).with_args(port.as_block());
    steps.step(
        Calls::ADD_VDEV,
        "a root port that is not configured",
        0,
        h.add_vdev(vm, &port),
    );
    steps.step(
        Calls::REMOVE_VDEV,
        "which added nothing",
        -22,
        h.remove_vdev(vm, &port),
    );

    let uneven = MmioResource::new(Gpa(0x1000_0800), Hpa(REGISTERS), 4096);
    let device = MmioDevice::new(*b"UNEVEN\0\0", uneven);
    steps.on_recorded(Calls::ASSIGN_MMIODEV, "an uneven address", -22, |h| {
        h.assign_mmiodev(vm, &device)
    });
    let device = MmioDevice::new(
        *b"DEVICE\0\0",
        MmioResource::new(Gpa(0x2000_0000), Hpa(REGISTERS), 8192),
    );
    let given = steps.on_recorded(Calls::ASSIGN_MMIODEV, "two pages", 0, |h| {
        h.assign_mmiodev(vm, &device)
    });
    if given.is_some() {
        let call = Calls::VM_GPA2HPA;
        let hpa = h.vm_gpa2hpa(vm, &mut GpaToHpa::of(Gpa(0x2000_1234)));
        let hpa = steps.step(call, "in the device", 0, hpa);
        steps.fact(
            call,
            "the VM has its registers",
            hpa == Some(Hpa(REGISTERS.saturating_add(0x1234))),
        );
        let own = h.vm_gpa2hpa(hypercall::acrn::VmId(0), &mut GpaToHpa::of(Gpa(REGISTERS)));
        steps.step(call, "in the Service VM, which lost them", -1, own);
        steps.step(
            Calls::DEASSIGN_MMIODEV,
            "two pages",
            0,
            h.deassign_mmiodev(vm, &device),
        );
        let own = h.vm_gpa2hpa(hypercall::acrn::VmId(0), &mut GpaToHpa::of(Gpa(REGISTERS)));
        steps.step(call, "in the Service VM, which has them again", 0, own);
    }
    steps.destroy(vm);
}
