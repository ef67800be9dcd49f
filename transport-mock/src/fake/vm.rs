//! A VM slot: what ACRN's `vm_array` and `vm_configs` hold for it.
//!
//! Much of it outlives the VM: flags, names, lists and pointers that nothing clears. Fields say who sets them.

use alloc::{collections::VecDeque, vec::Vec};

use super::{asyncio::AsyncIoList, config::VmConfig, ept::Ept, pci::Vdev};

/// A VM's state, as ACRN's `enum vm_state` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VmState {
    /// Powered off, or never created: there is no VM.
    PoweredOff,
    /// Created, not started, or reset.
    Created,
    /// Started.
    Running,
    /// A real-time VM that is about to power itself off.
    ReadyToPowerOff,
    /// Paused.
    Paused,
}

/// What a vCPU does, as ACRN's `enum vcpu_state` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VcpuState {
    /// There is none, or it was taken offline.
    Offline,
    /// Set up, not started.
    Init,
    /// Runs, or waits for an I/O request.
    Running,
    /// Stopped for good or until a reset.
    Zombie,
}

/// A vCPU.
#[derive(Clone, Debug)]
pub(crate) struct Vcpu {
    pub(crate) state: VcpuState,
    pub(crate) pcpu: u16,
    /// The last registers that were accepted: CR0, CR4, RIP.
    pub(crate) registers: Option<Registers>,
    /// The request it is working on or worked on last: `vcpu->req`.
    pub(crate) request: Request,
    pub(crate) waiting: Waiting,
    /// An event that was signalled while nobody waited.
    pub(crate) signalled: bool,
    /// What the last access gave the guest.
    pub(crate) completed: Option<u64>,
}

impl Vcpu {
    pub(crate) fn new(pcpu: u16) -> Self {
        Self {
            state: VcpuState::Init,
            pcpu,
            registers: None,
            request: Request::default(),
            waiting: Waiting::No,
            signalled: false,
            completed: None,
        }
    }
}

/// Of the registers that SET_VCPU_REGS sets, those a test looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Registers {
    /// Instruction pointer.
    pub rip: u64,
    /// Control register 0.
    pub cr0: u64,
    /// Control register 4.
    pub cr4: u64,
}

/// `vcpu->req`: the fields of a request keep their values until the next access sets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Request {
    pub(crate) kind: u32,
    pub(crate) direction: u32,
    pub(crate) address: u64,
    pub(crate) size: u64,
    /// 64 bits; a port access uses the lower 32 and leaves the upper.
    pub(crate) value: u64,
}

/// What a vCPU waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    No,
    /// NOTIFY_REQUEST_FINISH.
    Event,
    /// The request's state to become COMPLETE.
    Polling,
    /// Room in the ring of asynchronous I/Os for this descriptor.
    Ring(u64),
}

/// An interrupt that reached a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Injection {
    /// INJECT_MSI: address and data as given.
    Msi {
        /// The message's address.
        address: u64,
        /// The message's data.
        data: u64,
    },
    /// SET_IRQLINE: line and operation as given.
    Line {
        /// The GSI.
        gsi: u32,
        /// 0 high, 1 low, 2 raising pulse, 3 falling pulse; others do nothing.
        op: u32,
    },
}

/// The secure world beside a VM (`sworld_control`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Trusty {
    /// Guest address, host address and size of the memory that the normal world lost.
    pub(crate) memory: Option<(u64, u64, u64)>,
    pub(crate) active: bool,
    pub(crate) saved: bool,
}

/// The mode that the local APICs of a VM are in, together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApicMode {
    /// No vCPU runs.
    Disabled,
    XApic,
    X2Apic,
}

/// How many injections of a VM are remembered.
pub(crate) const INJECTIONS: usize = 4096;

/// A slot.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) config: VmConfig,
    /// `vm->vm_id`: 0 until a CREATE_VM chose the slot, whatever the slot's number.
    pub(crate) id: u16,
    pub(crate) state: VmState,
    pub(crate) vcpus: Vec<Vcpu>,
    pub(crate) ept: Ept,
    /// `sworld_control.flag.supported`: set by the first CREATE_VM with the flag, never cleared.
    pub(crate) secure_world: bool,
    /// The secure world's memory, while there is a secure world.
    pub(crate) trusty: Trusty,
    /// `is_polling_ioreq`: set by the first CREATE_VM with the flag, never cleared.
    pub(crate) polling: bool,
    /// Host address of the request page: until a new VM, a replacement or a failed one.
    pub(crate) request_page: Option<u64>,
    /// Host address of the ring of asynchronous I/Os: until a new VM or a replacement.
    pub(crate) asyncio_ring: Option<u64>,
    /// Host address of the ring of VM events: likewise.
    pub(crate) event_ring: Option<u64>,
    pub(crate) asyncio: AsyncIoList,
    /// Milliseconds by which interrupts of passed-through devices are delayed.
    pub(crate) interrupt_delay: u64,
    pub(crate) apic: ApicMode,
    pub(crate) vdevs: Vec<Vdev>,
    /// For each configured device slot, the virtual BDF that it was last given.
    pub(crate) vdev_bdfs: Vec<u16>,
    pub(crate) injections: VecDeque<Injection>,
}

impl Slot {
    pub(crate) fn vcpu(&self, id: u16) -> Option<&Vcpu> {
        self.vcpus.get(usize::from(id))
    }

    pub(crate) fn vcpu_mut(&mut self, id: u16) -> Option<&mut Vcpu> {
        self.vcpus.get_mut(usize::from(id))
    }

    pub(crate) fn inject(&mut self, injection: Injection) {
        if self.injections.len() >= INJECTIONS {
            self.injections.pop_front();
        }
        self.injections.push_back(injection);
    }

    /// `update_vm_vlapic_state`, which runs whenever a vCPU's state changes.
    pub(crate) fn update_apic(&mut self) {
        let runs = self
            .vcpus
            .iter()
            .any(|vcpu| vcpu.state == VcpuState::Running);
        self.apic = match (runs, self.apic) {
            (false, _) => ApicMode::Disabled,
            (true, ApicMode::X2Apic) => ApicMode::X2Apic,
            (true, _) => ApicMode::XApic,
        };
    }

    /// Sets the state of every vCPU that is not offline.
    pub(crate) fn set_vcpus(&mut self, state: VcpuState) {
        let mut changed = false;
        for vcpu in &mut self.vcpus {
            if vcpu.state != VcpuState::Offline {
                vcpu.state = state;
                changed = true;
            }
        }
        if changed {
            self.update_apic();
        }
    }
}
