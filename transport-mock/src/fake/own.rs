//! Calls that a VM makes for itself: the secure world beside it, the trusted VM beside a rich one.
//!
//! Rules: ACRN `hcall_initialize_trusty`, `hcall_save_restore_sworld_ctx` (common/trusty_hypercall.c),
//! `initialize_trusty`, `create_secure_world_ept`, `destroy_secure_world` (arch/x86/guest/trusty.c),
//! `hcall_handle_tee_vcpu_boot_done` (arch/x86/guest/optee.c). The fake has no processor for the other world: what is
//! modelled is who may call, the state that decides the answers, and the memory that changes hands.

use hypercall_core::acrn::{TrustyBootParam, VmFlags, VmId, server::Caller};

use super::{
    FakeAcrn,
    answer::{Answer, EINVAL, ENOTTY, Fail, REFUSED},
    ept::{RWX, WRITE_BACK},
    machine::{Machine, SECURE_WORLD},
    vm::VmState,
};

const TEE: u64 = 1 << 9;

impl Machine {
    pub(crate) fn initialize_trusty(&mut self, number: u16, param: &TrustyBootParam) -> Answer {
        const EFAULT: Fail = Fail::Code(-14);
        let slot = self.own_slot(number, SECURE_WORLD)?;
        let slot = self.slot_mut(slot).ok_or(ENOTTY)?;
        if !slot.secure_world || slot.trusty.active {
            return Err(REFUSED);
        }
        if !matches!(param.version, 1 | 2) || slot.trusty.memory.is_some() {
            return Err(EFAULT);
        }
        self.open_secure_world(number, param.base().0, u64::from(param.mem_size))?;
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        slot.trusty.active = true;
        Ok(())
    }

    /// Takes the memory from the normal world.
    fn open_secure_world(&mut self, number: u16, gpa: u64, size: u64) -> Answer {
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        // Not checked by ACRN: memory that is not there leads past every address.
        let hpa = slot.ept.lookup(gpa).map_or(1 << 52, |found| found.hpa);
        slot.ept.delete(gpa, size)?;
        slot.trusty.memory = Some((gpa, hpa, size));
        Ok(())
    }

    pub(crate) fn save_restore_trusty(&mut self, number: u16) -> Answer {
        let slot = self.own_slot(number, SECURE_WORLD)?;
        let slot = self.slot_mut(slot).ok_or(ENOTTY)?;
        if !slot.secure_world {
            return Err(REFUSED);
        }
        if slot.trusty.active {
            slot.trusty.saved = true;
            return Ok(());
        }
        let (true, Some((gpa, _, size))) = (slot.trusty.saved, slot.trusty.memory) else {
            return Err(EINVAL);
        };
        slot.trusty.saved = false;
        slot.trusty.active = true;
        self.open_secure_world(number, gpa, size)
    }

    /// Gives the memory back to the normal world, where there is a secure one.
    pub(crate) fn end_secure_world(&mut self, number: u16) -> Answer {
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        let was_active = core::mem::take(&mut slot.trusty.active);
        if let Some((gpa, hpa, size)) = slot.trusty.memory.filter(|_| was_active) {
            slot.ept.add(hpa, gpa, size, RWX | WRITE_BACK)?;
        }
        if !slot.trusty.saved {
            slot.trusty.memory = None;
        }
        Ok(())
    }

    pub(crate) fn tee_boot_done(&mut self, number: u16) -> Answer {
        self.own_slot(number, TEE).map(drop)
    }

    /// The caller's slot, where its configuration has a flag.
    fn own_slot(&self, number: u16, flag: u64) -> Answer<u16> {
        let slot = self.slot(number).ok_or(ENOTTY)?;
        if self.config_of(slot).flags & flag == 0 {
            return Err(ENOTTY);
        }
        Ok(number)
    }
}

impl FakeAcrn {
    /// The same machine, as another VM than the Service VM calls it; `vm` is the id that the Service VM uses.
    ///
    /// A dispatcher in front of it answers as ACRN does to that VM: `#UD` where it may make no hypercalls, -25 for calls
    /// that are the Service VM's. Memory that is read and written for calls is that VM's.
    ///
    /// ```
    /// use hypercall_core::{TransportError, acrn::{VmId, server::AcrnServer}, server::{Registers, Serve}};
    /// use hypercall_mock::fake::FakeAcrn;
    ///
    /// let fake = FakeAcrn::new();
    /// let vm = fake.called_by(VmId(1));
    /// let registers = Registers { number: 0x8000_0000, args: [0x1000, 0] };
    /// assert_eq!(AcrnServer::new(&vm).serve(registers, &vm), Err(TransportError::Fault(6)));
    /// ```
    #[must_use]
    pub fn called_by(&self, vm: VmId) -> Self {
        let number = self.lock().service.wrapping_add(vm.0);
        Self {
            inner: self.inner.clone(),
            caller: Some(number),
        }
    }

    /// The slot that makes the calls.
    pub(super) fn caller_slot(&self, machine: &Machine) -> u16 {
        self.caller.unwrap_or(machine.service)
    }

    /// The caller's rights: those of a VM that exists.
    pub(super) fn rights(&self) -> Caller {
        let machine = self.lock();
        let number = self.caller_slot(&machine);
        let slot = machine
            .slot(number)
            .filter(|slot| slot.state != VmState::PoweredOff);
        Caller {
            service_vm: number == machine.service,
            flags: VmFlags::from_bits_retain(slot.map_or(0, |slot| machine.config_of(slot).flags)),
        }
    }
}
