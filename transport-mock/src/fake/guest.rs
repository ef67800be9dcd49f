//! Playing a guest: what User VMs do that the hypervisor sees.

use hypercall_core::acrn::{Gsi, VcpuId, VmId};

use super::{
    FakeAcrn,
    access::{Access, AccessError, AccessOutcome},
    machine::REAL_TIME,
    vm::{ApicMode, VcpuState, VmState},
};

impl FakeAcrn {
    /// A vCPU accesses a port or memory that the device model answers for.
    ///
    /// The fake has no device models of its own: every access goes to the ring of asynchronous I/Os, if it is
    /// registered there, or to the vCPU's slot in the request page. There it looks as on ACRN: a read shows the value
    /// of the request before it.
    ///
    /// # Errors
    /// [`AccessError`] where the vCPU cannot access anything, or dies of it.
    pub fn guest_access(
        &self,
        vm: VmId,
        vcpu: VcpuId,
        access: Access,
    ) -> Result<AccessOutcome, AccessError> {
        let mut machine = self.lock();
        let number = machine.service.wrapping_add(vm.0);
        machine.access(number, vcpu.0, access)
    }

    /// What a vCPU's last access has come to by now. `None` where there is no such vCPU.
    #[must_use]
    pub fn guest_outcome(&self, vm: VmId, vcpu: VcpuId) -> Option<AccessOutcome> {
        let mut machine = self.lock();
        let number = machine.service.wrapping_add(vm.0);
        machine.outcome(number, vcpu.0)
    }

    /// A vCPU of a User VM has a triple fault: an event in the VM's ring of events, then an I/O request that asks the
    /// device model to power the VM off.
    ///
    /// # Errors
    /// As [`guest_access`](Self::guest_access).
    pub fn guest_triple_fault(&self, vm: VmId, vcpu: VcpuId) -> Result<AccessOutcome, AccessError> {
        let mut machine = self.lock();
        let number = machine.service.wrapping_add(vm.0);
        machine.triple_fault(number, vcpu.0)
    }

    /// A VM's boot processor starts another one. `false` where it cannot be started.
    pub fn guest_starts_vcpu(&self, vm: VmId, vcpu: VcpuId) -> bool {
        let mut machine = self.lock();
        let number = machine.service.wrapping_add(vm.0);
        let Some(slot) = machine
            .slot_mut(number)
            .filter(|slot| slot.state == VmState::Running)
        else {
            return false;
        };
        let started = slot
            .vcpu_mut(vcpu.0)
            .filter(|vcpu| vcpu.state == VcpuState::Init);
        let Some(started) = started else {
            return false;
        };
        started.state = VcpuState::Running;
        slot.update_apic();
        true
    }

    /// A running VM switches its local APICs to x2APIC mode. With LAPIC_PASSTHROUGH, injected messages then go out as
    /// they are.
    pub fn guest_enables_x2apic(&self, vm: VmId) {
        let mut machine = self.lock();
        let number = machine.service.wrapping_add(vm.0);
        if let Some(slot) = machine.slot_mut(number)
            && slot.apic == ApicMode::XApic
        {
            slot.apic = ApicMode::X2Apic;
        }
    }

    /// A real-time VM is about to power itself off: from now on PAUSE_VM stops it, whatever its severity. Does nothing
    /// to other VMs.
    pub fn guest_powers_off(&self, vm: VmId) {
        let mut machine = self.lock();
        let number = machine.service.wrapping_add(vm.0);
        if let Some(slot) = machine.slot_mut(number)
            && slot.config.flags & REAL_TIME != 0
            && slot.state == VmState::Running
        {
            slot.state = VmState::ReadyToPowerOff;
        }
    }

    /// An interrupt line of the machine fires, and is counted for the VM that it is passed through to. `false` where
    /// no VM has it.
    pub fn line_fires(&self, line: Gsi) -> bool {
        self.lock().fire_line(line.0)
    }
}
