//! Calls about devices and interrupts, as a program makes them.

use arbitrary::Arbitrary;
use hypercall_core::acrn::{
    Bdf, HypervisorCalls as Calls, IntrMonitor, IntrMonitorCommand, Intx, MmioDevice, MmioResource,
    MsiEntry, PciDevice, PtdevIrq, VdevId, VirtualDevice,
};
use hypercall_core::server::Registers;
use hypercall_core::{Gpa, Hpa};
use zerocopy::IntoBytes;

use crate::block::{BLOCK, bytes, call};
use crate::input::{Id, Word};
use crate::ram;

/// A call about devices and interrupts, with its block.
#[derive(Arbitrary, Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are those of the calls")]
pub enum Device {
    Virtual {
        vm: Id,
        kind: u8,
        bdf: u8,
        named: bool,
        remove: bool,
    },
    Physical {
        vm: Id,
        virt: u8,
        phys: u8,
        ports: bool,
        remove: bool,
    },
    Line {
        vm: Id,
        virt: u8,
        phys: u8,
        pins: [u8; 2],
        pic: bool,
        remove: bool,
    },
    Mmio {
        vm: Id,
        user: Word,
        host: Word,
        size: u8,
        remove: bool,
    },
    Monitor {
        vm: Id,
        command: u8,
        count: u8,
    },
    Message {
        vm: Id,
        address: u32,
        data: u8,
    },
    Profiling {
        command: u8,
        first: u8,
    },
}

impl Device {
    /// Stores the block and returns the registers of its call.
    pub fn store(self) -> Registers {
        match self {
            Self::Virtual {
                vm,
                kind,
                bdf,
                named,
                remove,
            } => {
                let kinds = [VdevId::IVSHMEM, VdevId::MCS9900, VdevId::ROOT_PORT];
                let mut device =
                    VirtualDevice::new(kinds[usize::from(kind) % kinds.len()], Bdf(bdf.into()));
                if named {
                    device.args[..4].copy_from_slice(b"hv:/");
                    device.io_size[2] = 0x1000;
                } else {
                    device.args[0] = 1;
                    device.args[4] = 2;
                }
                call(
                    if remove {
                        Calls::REMOVE_VDEV
                    } else {
                        Calls::ADD_VDEV
                    },
                    vm,
                    device.as_bytes(),
                )
            }
            Self::Physical {
                vm,
                virt,
                phys,
                ports,
                remove,
            } => {
                let mut device = PciDevice::new(Bdf(virt.into()), function(phys));
                device.bar[1] = if ports { 0x3001 } else { 0 };
                call(
                    if remove {
                        Calls::DEASSIGN_PCIDEV
                    } else {
                        Calls::ASSIGN_PCIDEV
                    },
                    vm,
                    device.as_bytes(),
                )
            }
            Self::Line {
                vm,
                virt,
                phys,
                pins: [virt_pin, phys_pin],
                pic,
                remove,
            } => {
                let (virt_pin, phys_pin) = (virt_pin.into(), phys_pin.into());
                let pins = if pic {
                    Intx::pic(virt_pin, phys_pin)
                } else {
                    Intx::ioapic(virt_pin, phys_pin)
                };
                let irq = PtdevIrq::intx(Bdf(virt.into()), function(phys), pins);
                let which = if remove {
                    Calls::RESET_PTDEV_INTR_INFO
                } else {
                    Calls::SET_PTDEV_INTR_INFO
                };
                call(which, vm, irq.as_bytes())
            }
            Self::Mmio {
                vm,
                user,
                host,
                size,
                remove,
            } => {
                let range = MmioResource::new(Gpa(user.raw()), Hpa(host.raw()), bytes(size));
                let device = MmioDevice::new(*b"device\0\0", range);
                let which = if remove {
                    Calls::DEASSIGN_MMIODEV
                } else {
                    Calls::ASSIGN_MMIODEV
                };
                call(which, vm, device.as_bytes())
            }
            Self::Monitor { vm, command, count } => {
                let mut monitor = IntrMonitor::counters();
                monitor.command = IntrMonitorCommand(u32::from(command % 3));
                monitor.buf_cnt = u32::from(count % 64);
                call(Calls::VM_INTR_MONITOR, vm, monitor.as_bytes())
            }
            Self::Message { vm, address, data } => {
                let message = MsiEntry::new(u64::from(address).into(), u64::from(data).into());
                call(Calls::INJECT_MSI, vm, message.as_bytes())
            }
            Self::Profiling { command, first } => {
                ram::store(BLOCK, &u64::from(first % 4).to_le_bytes());
                Registers {
                    number: Calls::PROFILING_OPS.number,
                    args: [u64::from(command % 10), BLOCK],
                }
            }
        }
    }
}

/// One of the machine's functions, or another.
fn function(choice: u8) -> Bdf {
    let known = [0, 0x10, 0x18];
    Bdf(known
        .get(usize::from(choice) % 4)
        .copied()
        .unwrap_or(choice.into()))
}
