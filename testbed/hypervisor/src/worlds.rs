//! The other world of the guest, and what goes over when the two change places.
//!
//! A secure world beside the normal one of a VM (INITIALIZE_TRUSTY, WORLD_SWITCH), or a rich VM beside a trusted one
//! (TEE_VCPU_BOOT_DONE, SWITCH_EE). Both worlds run on the one virtual processor, in the same memory and with the same control
//! registers; general registers and SSE state are each one's own. What goes over is what ACRN's `switch_world`
//! (trusty.c), `tee_switch_to_ree` and `ree_switch_to_tee` (optee.c) copy.

use hypercall_core::acrn::server::{Caller, Host as _};
use hypercall_core::acrn::{
    SWITCH_EE, TeeReply, TeeRequest, TrustyBootParam, VmFlags, WORLD_SWITCH,
};
use hypercall_core::server::GuestMemory as _;
use hypercall_core::{Payload, acrn::HypervisorCalls as Calls};
use hypercall_mock::fake::FakeAcrn;

use crate::cpu::{Place, Registers};
use crate::host::Answered;

/// Bytes of VMCALL.
const VMCALL: u64 = 3;
/// Where the rich VM's stack ends, above its first page.
const RICH_STACK: u64 = 16 * 4096;
/// Why the vCPU does not run, where nobody wakes it.
const ASLEEP: &str = "the trusted VM sleeps, and there is no rich one to wake it";

/// A world that does not run now: its registers, and where it stopped.
#[derive(Clone, Debug)]
struct World {
    registers: Registers,
    place: Place,
}

/// The world that does not run.
#[derive(Debug)]
pub struct Worlds {
    other: Option<World>,
    /// The VM beside the one that calls, as its own calls see the machine.
    beside: Option<FakeAcrn>,
    /// Where the rich VM starts.
    entry: u64,
    interrupt: bool,
}

impl Worlds {
    pub const fn new() -> Self {
        Self {
            other: None,
            beside: None,
            entry: 0,
            interrupt: false,
        }
    }

    /// There is one world only. Where a rich VM would start is known still.
    pub fn reset(&mut self) {
        self.other = None;
        self.beside = None;
        self.interrupt = false;
    }

    /// Says which VM is beside the one that calls.
    pub fn beside(&mut self, vm: FakeAcrn) {
        self.beside = Some(vm);
    }

    /// Says where the rich VM starts.
    pub fn rich_vm(&mut self, entry: u64) {
        self.entry = entry;
    }

    /// An interrupt for the trusted VM comes.
    pub fn interrupt(&mut self) {
        self.interrupt = true;
    }

    /// A call that switches, if it is one that this caller may make.
    pub fn switch(
        &mut self,
        caller: &mut FakeAcrn,
        registers: &mut Registers,
        place: &mut Place,
    ) -> Option<Answered> {
        let Caller { flags, .. } = caller.caller();
        let Registers {
            rax,
            rbx,
            rcx,
            rdx,
            rsi,
            rdi,
            ..
        } = *registers;
        let trusted = flags.contains(VmFlags::TEE);
        if registers.r8 == WORLD_SWITCH && flags.contains(VmFlags::SECURE_WORLD) {
            if !self.exchange(registers, place) {
                return Some(Answered::Rax(-1));
            }
            registers.rax = 0;
        } else if registers.r8 == SWITCH_EE && flags.intersects(VmFlags::TEE | VmFlags::REE) {
            // The call is answered before the other VM runs.
            registers.rax = 0;
            if !self.exchange(registers, place) {
                return Some(Answered::Rax(-22));
            }
            self.change_vm(caller);
            if trusted && rdi == TeeReply::INTERRUPT_DONE {
                return Some(Answered::Switched);
            }
            if !trusted {
                (registers.rax, registers.rcx) = (rax, rcx);
            }
        } else {
            return None;
        }
        (registers.rdi, registers.rsi) = (rdi, rsi);
        (registers.rdx, registers.rbx) = (rdx, rbx);
        Some(Answered::Switched)
    }

    /// What follows a call that was answered with 0: the other world may start.
    pub fn started(
        &mut self,
        caller: &mut FakeAcrn,
        registers: &mut Registers,
        place: &mut Place,
    ) -> Option<Answered> {
        let number = registers.r8;
        if number == Calls::INITIALIZE_TRUSTY.number {
            return Some(self.start_secure_world(caller, registers, place));
        }
        if number != Calls::TEE_VCPU_BOOT_DONE.number {
            return None;
        }
        if self.other.is_some() {
            return Some(Answered::Dead("the rich VM was started before"));
        }
        if registers.rdi != 1 {
            return Some(Answered::Dead(ASLEEP));
        }
        self.start(registers, place, Registers::new());
        place.rip = self.entry;
        place.rsp = self.entry.wrapping_add(RICH_STACK - 8);
        self.change_vm(caller);
        Some(Answered::Switched)
    }

    /// An interrupt that waits takes the processor from the rich VM. Whether it did.
    pub fn take_interrupt(
        &mut self,
        caller: &mut FakeAcrn,
        registers: &mut Registers,
        place: &mut Place,
    ) -> bool {
        if !core::mem::take(&mut self.interrupt) || !caller.caller().flags.contains(VmFlags::REE) {
            return false;
        }
        let Some(other) = &mut self.other else {
            return false;
        };
        core::mem::swap(registers, &mut other.registers);
        core::mem::swap(place, &mut other.place);
        registers.rdi = TeeRequest::INTERRUPT_ENTRY;
        self.change_vm(caller);
        true
    }

    /// The secure world starts where the parameter says, at the end of its memory, which RDI points at the start of. The
    /// normal one stands behind its call.
    fn start_secure_world(
        &mut self,
        caller: &FakeAcrn,
        registers: &mut Registers,
        place: &mut Place,
    ) -> Answered {
        let mut param = TrustyBootParam::zeroed();
        if caller.read(registers.rdi, param.as_block_mut()).is_err() {
            return Answered::Dead("the parameter of a secure world that started is gone");
        }
        let secure = Registers {
            rdi: param.base().0,
            ..Registers::new()
        };
        self.start(registers, place, secure);
        place.rip = param.entry().0;
        // As after a call.
        let end = param.base().0.wrapping_add(u64::from(param.mem_size));
        place.rsp = end.wrapping_sub(8);
        Answered::Switched
    }

    /// The other world starts with these registers; this one stands behind its call, which is answered with 0.
    fn start(&mut self, registers: &mut Registers, place: &mut Place, new: Registers) {
        registers.rax = 0;
        let mut stopped = *place;
        stopped.rip = stopped.rip.wrapping_add(VMCALL);
        self.other = Some(World {
            registers: core::mem::replace(registers, new),
            place: stopped,
        });
        place.rflags = 2;
    }

    /// The worlds change places; the one that ran stands behind its call. Whether there is another.
    fn exchange(&mut self, registers: &mut Registers, place: &mut Place) -> bool {
        let Some(other) = &mut self.other else {
            return false;
        };
        place.rip = place.rip.wrapping_add(VMCALL);
        core::mem::swap(registers, &mut other.registers);
        core::mem::swap(place, &mut other.place);
        true
    }

    fn change_vm(&mut self, caller: &mut FakeAcrn) {
        if let Some(beside) = &mut self.beside {
            core::mem::swap(caller, beside);
        }
    }
}
