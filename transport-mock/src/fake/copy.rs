//! Memory as others reach it: the hypervisor for a call, a processor of a VM, a live page of the program.
//!
//! Rules: ACRN `copy_from_gpa`, `copy_to_gpa`, `local_copy_gpa` (arch/x86/guest/guest_memory.c), `memcpy_s`
//! (arch/x86/lib/memory.c), `mmio_default_access_handler` (dm/io_req.c).

use alloc::vec::Vec;

use hypercall_core::{SharedPage, server::Unmapped};

use super::{
    ept::{READ, WRITE},
    machine::Machine,
    memory::PAGE,
};

impl Machine {
    /// Reads as the hypervisor does for a call: by the pages that map the range, whatever their rights. A chunk at
    /// host address 0 looks like a null pointer to the copying function and reads as zeros.
    pub(crate) fn copy_from(&self, vm: u16, gpa: u64, bytes: &mut [u8]) -> Result<(), Unmapped> {
        let slot = self.slot(vm).ok_or(Unmapped)?;
        let mut at = gpa;
        let mut rest = bytes;
        while !rest.is_empty() {
            let found = slot.ept.lookup(at).ok_or(Unmapped)?;
            let count = within(at, found.page, rest.len());
            let (now, later) = rest.split_at_mut(count);
            if found.hpa == 0 {
                now.fill(0);
            } else {
                self.memory.read(found.hpa, now);
            }
            at = at.wrapping_add(count as u64);
            rest = later;
        }
        Ok(())
    }

    /// Writes as the hypervisor does for a call. A chunk at host address 0 becomes zeros.
    pub(crate) fn copy_to(&mut self, vm: u16, gpa: u64, bytes: &[u8]) -> Result<(), Unmapped> {
        let mut at = gpa;
        let mut rest = bytes;
        while !rest.is_empty() {
            let found = self
                .slot(vm)
                .and_then(|slot| slot.ept.lookup(at))
                .ok_or(Unmapped)?;
            let count = within(at, found.page, rest.len());
            let (now, later) = rest.split_at(count);
            if found.hpa == 0 {
                self.memory.write(0, &alloc::vec![0; count]);
            } else {
                self.memory.write(found.hpa, now);
            }
            at = at.wrapping_add(count as u64);
            rest = later;
        }
        Ok(())
    }

    /// Reads as a processor of the VM does: without the right to read, ones, as from a device that is not there.
    pub(crate) fn cpu_read(&self, vm: u16, gpa: u64, bytes: &mut [u8]) {
        self.each_page(vm, gpa, bytes.len(), |range, found| {
            let Some(now) = bytes.get_mut(range) else {
                return;
            };
            match found {
                Some((hpa, prot)) if prot & READ != 0 => self.memory.read(hpa, now),
                _ => now.fill(0xff),
            }
        });
    }

    /// Writes as a processor of the VM does. Without the right to write, nothing happens. Returns the bytes stored.
    pub(crate) fn cpu_write(&mut self, vm: u16, gpa: u64, bytes: &[u8]) -> usize {
        let mut writes = Vec::new();
        self.each_page(vm, gpa, bytes.len(), |range, found| {
            if let Some((hpa, prot)) = found
                && prot & WRITE != 0
            {
                writes.push((range, hpa));
            }
        });
        let mut stored = 0_usize;
        for (range, hpa) in writes {
            if let Some(now) = bytes.get(range) {
                stored = stored.saturating_add(now.len());
                self.memory.write(hpa, now);
            }
        }
        stored
    }

    fn each_page(
        &self,
        vm: u16,
        gpa: u64,
        length: usize,
        mut visit: impl FnMut(core::ops::Range<usize>, Option<(u64, u64)>),
    ) {
        let mut done = 0_usize;
        while done < length {
            let at = gpa.wrapping_add(done as u64);
            let found = self.slot(vm).and_then(|slot| slot.ept.lookup(at));
            let page = found.map_or(PAGE, |found| found.page);
            let count = within(at, page, length.saturating_sub(done));
            let end = done.saturating_add(count);
            visit(done..end, found.map(|found| (found.hpa, found.prot)));
            done = end;
        }
    }

    /// The guest address of live pages that follow each other, mounting them if need be from the top of RAM down.
    pub(crate) fn mount_anywhere(&mut self, pages: &'static [SharedPage]) -> Option<u64> {
        let first = self.memory.find(pages.first()?);
        if let Some(first) = first
            && (1_u64..).zip(pages.iter().skip(1)).all(|(distance, page)| {
                self.memory.find(page)
                    == distance
                        .checked_mul(PAGE)
                        .and_then(|far| first.checked_add(far))
            })
        {
            return Some(first);
        }
        let size = PAGE.checked_mul(pages.len() as u64)?;
        let base = self.next_mount.checked_sub(size)?;
        for (at, page) in (base..).step_by(4096).zip(pages) {
            if self.service_hpa(at) != Some(at) || !self.memory.mount(at, page) {
                return None;
            }
        }
        self.next_mount = base;
        Some(base)
    }
}

/// How many of `wanted` bytes lie in the page of `at`.
fn within(at: u64, page: u64, wanted: usize) -> usize {
    let left = page.wrapping_sub(at & page.wrapping_sub(1));
    usize::try_from(left).map_or(wanted, |left| left.min(wanted))
}
