//! Calls as a program makes them, with few choices in each field, so that they get as far as calls can.

use arbitrary::Arbitrary;
use hypercall_core::acrn::{
    AsyncIoInfo, AsyncIoKind, GpaToHpa, HypervisorCalls as Calls, MemoryProt, MemoryRegion,
    MemoryRegionKind, PcpuId, PcpuSet, SbufId, SbufParam, SetRegions, SharedBufferHeader, VcpuId,
    VcpuRegs, VmCreation, VmFlags, VmId, VmName,
};
use hypercall_core::call::CallInfo;
use hypercall_core::server::Registers;
use hypercall_core::{Gpa, Hpa};
use zerocopy::{FromZeros, IntoBytes};

use crate::device::Device;
use crate::input::{Id, Word};
use crate::ram;

/// A call with its block.
#[derive(Arbitrary, Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are those of the calls")]
pub enum Block {
    /// Any call, for its numbers alone.
    Plain {
        call: u8,
        vm: Id,
        second: Word,
    },
    Create {
        name: u8,
        flags: u16,
        pcpus: u8,
        inexact: bool,
    },
    Region {
        vm: Id,
        count: u8,
        kind: u8,
        prot: u16,
        gpa: Word,
        source: Word,
        size: u8,
    },
    RequestPage {
        vm: Id,
        page: Word,
    },
    Notify {
        vm: Id,
        vcpu: u8,
    },
    Ring {
        vm: Id,
        pcpu: u8,
        id: u8,
        page: u8,
        element: u8,
        head: u8,
        tail: u8,
        size: u8,
        flags: u8,
    },
    AsyncIo {
        vm: Id,
        remove: bool,
        memory: bool,
        matching: bool,
        address: u8,
        fd: u8,
        data: u8,
    },
    Registers {
        vm: Id,
        vcpu: u8,
        cr0: u8,
        cr4: u8,
    },
    Translate {
        vm: Id,
        gpa: Word,
    },
    Device(Device),
}

/// Where blocks are put: the last page but one, and the end of the page before the hole.
pub(crate) const BLOCK: u64 = 0x20_9000;
const ELEMENTS: u64 = 0x20_7ff0 - 32;

impl Block {
    /// Stores the block and returns the registers of its call.
    pub fn store(self) -> Registers {
        match self {
            Self::Plain { call, vm, second } => {
                let calls = Calls::INTERFACE.calls;
                let number = calls[usize::from(call) % calls.len()].number;
                Registers {
                    number,
                    args: [vm.raw(), second.raw()],
                }
            }
            Self::Create {
                name,
                flags,
                pcpus,
                inexact,
            } => {
                let names = ["user", "first", "safe", "other", "another", ""];
                let name =
                    VmName::new(names[usize::from(name) % names.len()]).unwrap_or(VmName::EMPTY);
                let creation = VmCreation::new(name)
                    .with_flags(VmFlags::from_bits_retain(flags.into()))
                    .with_cpu_affinity(PcpuSet(pcpus.into()));
                ram::store(BLOCK, creation.as_bytes());
                let number = if inexact {
                    0x10
                } else {
                    Calls::CREATE_VM.number
                };
                Registers {
                    number,
                    args: [BLOCK, 0],
                }
            }
            Self::Region {
                vm,
                count,
                kind,
                prot,
                gpa,
                source,
                size,
            } => {
                let region = MemoryRegion {
                    kind: MemoryRegionKind(u32::from(kind % 4)),
                    prot: MemoryProt::from_bits_retain(prot.into()),
                    gpa: Gpa(gpa.raw()),
                    service_vm_gpa: Gpa(source.raw()),
                    size: bytes(size),
                };
                let header = SetRegions {
                    vmid: VmId(vm.raw() as u16),
                    mr_num: u32::from(count % 4),
                    regions_gpa: Gpa(ELEMENTS),
                    ..SetRegions::default()
                };
                ram::store(ELEMENTS, region.as_bytes());
                ram::store(BLOCK, header.as_bytes());
                Registers {
                    number: Calls::SET_MEMORY_REGIONS.number,
                    args: [BLOCK, 0],
                }
            }
            Self::RequestPage { vm, page } => {
                call(Calls::SET_IOREQ_BUFFER, vm, &page.raw().to_le_bytes())
            }
            Self::Notify { vm, vcpu } => {
                let vcpu = u64::from(vcpu.saturating_sub(0xe0));
                Registers {
                    number: Calls::NOTIFY_REQUEST_FINISH.number,
                    args: [vm.raw(), vcpu],
                }
            }
            Self::Ring {
                vm,
                pcpu,
                id,
                page,
                element,
                head,
                tail,
                size,
                flags,
            } => {
                let header = SharedBufferHeader {
                    magic: SharedBufferHeader::MAGIC,
                    ele_size: element.into(),
                    head: head.into(),
                    tail: tail.into(),
                    flags: u32::from(flags).into(),
                    size: size.into(),
                    ..SharedBufferHeader::default()
                };
                let page = ram::place(page);
                ram::store(page, header.as_bytes());
                let id = if id < 0xc0 {
                    64 | u32::from(id & 1)
                } else {
                    u32::from(id & 7)
                };
                let param = SbufParam {
                    cpu_id: PcpuId(pcpu.into()),
                    sbuf_id: SbufId(id),
                    gpa: Gpa(page),
                    ..SbufParam::default()
                };
                call(Calls::SETUP_SBUF, vm, param.as_bytes())
            }
            Self::AsyncIo {
                vm,
                remove,
                memory,
                matching,
                address,
                fd,
                data,
            } => {
                let info = AsyncIoInfo {
                    kind: if memory {
                        AsyncIoKind::MMIO
                    } else {
                        AsyncIoKind::PIO
                    },
                    match_data: matching.into(),
                    addr: Gpa(u64::from(address % 4)),
                    fd: fd.into(),
                    data: data.into(),
                };
                let which = if remove {
                    Calls::ASYNCIO_DEASSIGN
                } else {
                    Calls::ASYNCIO_ASSIGN
                };
                call(which, vm, info.as_bytes())
            }
            Self::Registers { vm, vcpu, cr0, cr4 } => {
                let mut regs = VcpuRegs::new_zeroed();
                regs.vcpu_id = VcpuId(vcpu.into());
                regs.regs.cr0 = u64::from(cr0).into();
                regs.regs.cr4 = cr4.into();
                call(Calls::SET_VCPU_REGS, vm, regs.as_bytes())
            }
            Self::Translate { vm, gpa } => {
                let block = GpaToHpa {
                    gpa: Gpa(gpa.raw()),
                    hpa: Hpa(0),
                };
                call(Calls::VM_GPA2HPA, vm, block.as_bytes())
            }
            Self::Device(device) => device.store(),
        }
    }
}

/// Stores a block, for a call that is about a VM.
pub(crate) fn call(call: &CallInfo, vm: Id, block: &[u8]) -> Registers {
    ram::store(BLOCK, block);
    Registers {
        number: call.number,
        args: [vm.raw(), BLOCK],
    }
}

/// Sizes of memory, most of them whole pages.
pub(crate) fn bytes(choice: u8) -> u64 {
    let sizes = [
        0x1000,
        0x2000,
        0x8000,
        0,
        0x20_0000,
        0x4000_0000,
        1 << 32,
        1 << 39,
        0x1001,
        !0xfff,
        u64::MAX,
    ];
    sizes[usize::from(choice) % sizes.len()]
}
