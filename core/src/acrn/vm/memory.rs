//! A VM's memory, with the checks that the hypervisor leaves out.

use super::handle::Vm;
use crate::acrn::{
    GpaToHpa, Hypervisor, HypervisorCalls, MemoryProt, MemoryRegion, MemoryRegionKind,
};
use crate::{Error, Gpa, Hpa};

/// Bytes of a page.
const PAGE: u64 = 4096;

impl<H: Hypervisor, S, P> Vm<H, S, P> {
    /// Maps `size` bytes at `gpa` to the Service VM's memory at `service_vm_gpa`. See
    /// [`set_memory_regions`](Self::set_memory_regions).
    ///
    /// # Errors
    /// As there.
    pub fn map(
        &self,
        gpa: Gpa,
        service_vm_gpa: Gpa,
        size: u64,
        prot: MemoryProt,
    ) -> Result<(), Error> {
        self.set_memory_regions(&[MemoryRegion::map(gpa, service_vm_gpa, size, prot)])
    }

    /// Unmaps `size` bytes at `gpa`. See [`set_memory_regions`](Self::set_memory_regions).
    ///
    /// # Errors
    /// As there.
    pub fn unmap(&self, gpa: Gpa, size: u64) -> Result<(), Error> {
        self.set_memory_regions(&[MemoryRegion::unmap(gpa, size)])
    }

    /// Maps and unmaps ranges, in their order, in any state; a running VM only where its severity is not above the
    /// Service VM's.
    ///
    /// Pages that are mapped already keep their old translation: unmap them first.
    ///
    /// # Errors
    /// - [`Invalid`](crate::ErrorKind::Invalid), and nothing was issued: no region; a kind other than
    ///   [`ADD`](MemoryRegionKind::ADD) and [`DEL`](MemoryRegionKind::DEL), which would unmap; an address or a size that
    ///   is no multiple of 4096, or a size of 0; a range that ends beyond 2^64; a mapping without any right; the right
    ///   to write without the right to read, which makes a page table entry that the processor rejects (Intel SDM
    ///   volume 3, 29.3.3.1), and the VM's access to it stops a debug build of the hypervisor
    ///   (`ept_misconfig_vmexit_handler`).
    /// - As [`Hypervisor::set_memory_regions`]. The regions before the one that was refused stay done.
    pub fn set_memory_regions(&self, regions: &[MemoryRegion]) -> Result<(), Error> {
        let why = if regions.is_empty() {
            Some("there is no region")
        } else {
            regions.iter().find_map(objection)
        };
        if let Some(why) = why {
            let call = HypervisorCalls::SET_MEMORY_REGIONS;
            return Err(Error::invalid(call, [0; 2], why));
        }
        self.body.hypervisor.set_memory_regions(self.id(), regions)
    }

    /// Where an address of the VM is in the machine.
    ///
    /// # Errors
    /// As [`Hypervisor::vm_gpa2hpa`]: -1 for an address that is not mapped.
    pub fn translate(&self, gpa: Gpa) -> Result<Hpa, Error> {
        let mut translation = GpaToHpa::of(gpa);
        self.body.hypervisor.vm_gpa2hpa(self.id(), &mut translation)
    }
}

fn objection(region: &MemoryRegion) -> Option<&'static str> {
    if region.size == 0 || !region.size.is_multiple_of(PAGE) {
        return Some("a region's size is 0 or no multiple of 4096");
    }
    if !region.gpa.0.is_multiple_of(PAGE) {
        return Some(
            "a region's address in the VM is no multiple of 4096: the hypervisor would round it up",
        );
    }
    if region.gpa.0.checked_add(region.size).is_none() {
        return Some("a region ends beyond the address space");
    }
    match region.kind {
        MemoryRegionKind::DEL => None,
        MemoryRegionKind::ADD => mapping_objection(region),
        _ => Some("a region is neither ADD nor DEL: the hypervisor would unmap it"),
    }
}

fn mapping_objection(region: &MemoryRegion) -> Option<&'static str> {
    if !region.service_vm_gpa.0.is_multiple_of(PAGE) {
        return Some(
            "a region's address in the Service VM is no multiple of 4096: the hypervisor would round it up",
        );
    }
    if region.service_vm_gpa.0.checked_add(region.size).is_none() {
        return Some("a region ends beyond the address space");
    }
    if !region.prot.intersects(MemoryProt::RWX) {
        return Some("a mapping without the right to read, write or execute counts as none");
    }
    if region.prot.contains(MemoryProt::WRITE) && !region.prot.contains(MemoryProt::READ) {
        return Some(
            "a mapping that may be written and not read is one that the processor rejects",
        );
    }
    None
}
