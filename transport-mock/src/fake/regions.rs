//! A VM's memory map: regions, write protection, translation, and device memory that changes hands.
//!
//! Rules: ACRN `set_vm_memory_region`, `add_vm_memory_region`, `write_protect_page`, `hcall_gpa_to_hpa`
//! (common/hypercall.c), `assign_mmio_dev`, `deassign_mmio_dev` (dm/mmio_dev.c).

use hypercall_core::acrn::{MemoryProt, MemoryRegion, MemoryRegionKind, MmioDevice};

use super::{
    answer::{Answer, EINVAL, ENOTTY, REFUSED},
    ept::{
        EXECUTE, READ, RWX, TYPE_MASK, UNCACHED, WRITE, WRITE_BACK, WRITE_COMBINING,
        WRITE_PROTECTED, WRITE_THROUGH,
    },
    machine::Machine,
    memory::PAGE,
    vm::VmState,
};

impl Machine {
    /// One element of VM_SET_MEMORY_REGIONS; none where the count is 0, which is refused.
    pub(crate) fn set_region(&mut self, number: u16, region: Option<&MemoryRegion>) -> Answer {
        let slot = self.slot(number).ok_or(ENOTTY)?;
        if slot.state == VmState::PoweredOff
            || (slot.state == VmState::Running && !self.in_reach(slot))
        {
            return Err(REFUSED);
        }
        let region = region.ok_or(REFUSED)?;
        if !is_aligned(region.size) {
            return Err(EINVAL);
        }
        if region.kind != MemoryRegionKind::ADD {
            let slot = self.slot_mut(number).ok_or(ENOTTY)?;
            if !slot.ept.is_mapped(region.gpa.0, region.size) {
                return Err(EINVAL);
            }
            return slot.ept.delete(region.gpa.0, region.size);
        }
        let source = region.service_vm_gpa.0;
        let service = self.slot(self.service).ok_or(ENOTTY)?;
        if !service.ept.is_mapped(source, region.size) {
            return Err(EINVAL);
        }
        // A range that is empty or wraps counts as mapped and may have no translation; nothing is mapped then.
        let hpa = self.service_hpa(source).unwrap_or(0);
        let prot = protection(region.prot);
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        slot.ept.add(hpa, region.gpa.0, region.size, prot)
    }

    pub(crate) fn write_protect(&mut self, number: u16, gpa: u64, protect: bool) -> Answer {
        let hypervisor = self.config.memory.hypervisor.clone();
        let slot = self.slot(number).ok_or(ENOTTY)?;
        if slot.state == VmState::PoweredOff {
            return Err(REFUSED);
        }
        if !self.in_reach(slot) || !is_aligned(gpa) {
            return Err(EINVAL);
        }
        let found = slot.ept.lookup(gpa).ok_or(EINVAL)?;
        if hypervisor.contains(&found.hpa) {
            return Err(EINVAL);
        }
        let (set, clear) = if protect { (0, WRITE) } else { (WRITE, 0) };
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        slot.ept.modify(gpa, PAGE, set, clear)
    }

    pub(crate) fn gpa_to_hpa(&self, number: u16, gpa: u64) -> Answer<u64> {
        let slot = self.slot(number).ok_or(ENOTTY)?;
        if slot.state == VmState::PoweredOff {
            return Err(REFUSED);
        }
        slot.ept.lookup(gpa).map(|found| found.hpa).ok_or(REFUSED)
    }

    /// Takes device memory from the Service VM and gives it to a VM, or the other way round.
    pub(crate) fn move_mmio(&mut self, number: u16, device: &MmioDevice, give: bool) -> Answer {
        let slot = self.slot(number).ok_or(ENOTTY)?;
        match slot.state {
            VmState::Created => {}
            VmState::Paused if !give => {}
            _ => return Err(EINVAL),
        }
        let (from, to) = if give {
            (self.service, number)
        } else {
            (number, self.service)
        };
        self.unmap_mmio(from, device)?;
        self.map_mmio(to, device)
    }

    fn unmap_mmio(&mut self, number: u16, device: &MmioDevice) -> Answer {
        let service = number == self.service;
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        for resource in &device.resources {
            let gpa = if service {
                resource.host_pa.0
            } else {
                resource.user_vm_pa.0
            };
            if slot.ept.is_mapped(gpa, resource.size) {
                if !is_aligned(gpa) || !is_aligned(resource.size) {
                    return Err(EINVAL);
                }
                slot.ept.delete(gpa, resource.size)?;
            }
        }
        Ok(())
    }

    fn map_mmio(&mut self, number: u16, device: &MmioDevice) -> Answer {
        let service = number == self.service;
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        for resource in &device.resources {
            let (user, host) = (resource.user_vm_pa.0, resource.host_pa.0);
            if !is_aligned(user) || !is_aligned(host) || !is_aligned(resource.size) {
                return Err(EINVAL);
            }
            let gpa = if service { host } else { user };
            let prot = RWX | (resource.mem_type.0 & TYPE_MASK);
            slot.ept.add(host, gpa, resource.size, prot)?;
        }
        Ok(())
    }
}

const fn is_aligned(value: u64) -> bool {
    value.is_multiple_of(PAGE)
}

/// Rights, and the first memory type that is asked for.
fn protection(asked: MemoryProt) -> u64 {
    let mut prot = 0;
    for (flag, right) in [
        (MemoryProt::READ, READ),
        (MemoryProt::WRITE, WRITE),
        (MemoryProt::EXEC, EXECUTE),
    ] {
        if asked.contains(flag) {
            prot |= right;
        }
    }
    let types = [
        (MemoryProt::WB, WRITE_BACK),
        (MemoryProt::WT, WRITE_THROUGH),
        (MemoryProt::WC, WRITE_COMBINING),
        (MemoryProt::WP, WRITE_PROTECTED),
    ];
    let kind = types.iter().find(|(flag, _)| asked.contains(*flag));
    prot | kind.map_or(UNCACHED, |(_, kind)| *kind)
}
