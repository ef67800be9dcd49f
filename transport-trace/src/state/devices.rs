//! What calls about devices do to a VM.

use super::field::{array_field, before, text};
use super::{Device, Line, Vm};
use crate::entry::{Call, Place};

/// Applies a call that succeeded, where it is one about devices.
pub(super) fn apply(vm: &mut Vm, call: &Call) {
    let read = |field| before(call, Place::Rsi, field).unwrap_or(0);
    // Addresses of PCI functions have 16 bits.
    let bdf = |field| u16::try_from(read(field) & 0xffff).unwrap_or(0);
    match call.name() {
        "assign_pcidev" => {
            vm.devices.push(Device::Pci {
                virt: bdf("virt_bdf"),
                phys: bdf("phys_bdf"),
            });
        }
        "deassign_pcidev" => {
            let gone = Device::Pci {
                virt: bdf("virt_bdf"),
                phys: bdf("phys_bdf"),
            };
            vm.devices.retain(|device| *device != gone);
        }
        "assign_mmiodev" => vm.devices.push(mmio(call)),
        "deassign_mmiodev" => {
            let Device::Mmio { host, .. } = mmio(call) else {
                return;
            };
            vm.devices.retain(
                |device| !matches!(device, Device::Mmio { host: other, .. } if *other == host),
            );
        }
        "add_vdev" => vm.devices.push(emulated(call, bdf("slot"))),
        "remove_vdev" => {
            let gone = bdf("slot");
            vm.devices
                .retain(|device| !matches!(device, Device::Virtual { slot, .. } if *slot == gone));
        }
        "set_ptdev_intr_info" => vm.lines.push(line(call, bdf("virt_bdf"))),
        "reset_ptdev_intr_info" => {
            let gone = line(call, bdf("virt_bdf"));
            vm.lines
                .retain(|line| (line.virt, line.virt_pin) != (gone.virt, gone.virt_pin));
        }
        _ => {}
    }
}

fn mmio(call: &Call) -> Device {
    let mut host = 0;
    array_field(call, Place::Rsi, "resources", |field| {
        if host == 0 && field("size") != 0 {
            host = field("host_pa");
        }
    });
    Device::Mmio {
        name: text(call, Place::Rsi, "name").unwrap_or_default(),
        host,
    }
}

/// The id is a struct in the block: vendor, device, 16 bits each.
fn emulated(call: &Call, slot: u16) -> Device {
    let id = before(call, Place::Rsi, "id").unwrap_or(0);
    Device::Virtual {
        vendor: id & 0xffff,
        device: (id >> 16) & 0xffff,
        slot,
    }
}

/// The pins are in a struct in the block: virtual, then physical, 32 bits each.
fn line(call: &Call, virt: u16) -> Line {
    let pins = before(call, Place::Rsi, "intx").unwrap_or(0);
    Line {
        virt,
        virt_pin: pins & 0xffff_ffff,
        phys_pin: pins >> 32,
    }
}
