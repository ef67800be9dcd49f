//! What of ports, registers and memory is the guest's.

use crate::guest_memory;
use crate::page::Page;

static IO_MAP: [Page; 3] = [const { Page::new() }; 3];
static MSR_MAP: [Page; 2] = [const { Page::new() }; 2];
static NESTED: [Page; 4] = [const { Page::new() }; 4];

/// Where the map of ports is.
pub fn ports() -> u64 {
    IO_MAP[0].address()
}

/// Where the map of model-specific registers is.
pub fn registers() -> u64 {
    MSR_MAP[0].address()
}

/// Marks the registers that are the hypervisor's.
pub fn keep_own() {
    // SAFETY: the maps are this module's, and the guest does not run yet. Two bits for each register, for reading and
    // writing: where the local APIC is may be read; EFER; VM_CR, IGNNE, SMM_CTL, VM_HSAVE_PA.
    unsafe {
        (*MSR_MAP[0].0.get())[0] |= 2 << (0x1b * 2);
        (*MSR_MAP[0].0.get())[(0x800 + 0x80 / 4) / 8] |= 3;
        (*MSR_MAP[1].0.get())[0x114 / 32] |= 0xff << ((0x114 % 32) * 2);
    }
}

/// The guest's memory and its local APIC, mapped to themselves by pages of 2 MiB. Everything else is not there.
/// Returns where the tables start.
pub fn map_guest() -> u64 {
    let tables = [1, 2, 3].map(|table: usize| NESTED[table].address() | 7);
    // SAFETY: the tables are this module's, and the guest does not run yet.
    unsafe {
        (*NESTED[0].0.get())[0] = tables[0];
        (*NESTED[1].0.get())[0] = tables[1];
        (*NESTED[1].0.get())[3] = tables[2];
        // Not cached.
        (*NESTED[3].0.get())[guest_memory::APIC_ENTRY] = guest_memory::APIC | 0x9f;
        let pages = (0..guest_memory::SIZE).step_by(2 << 20);
        for (entry, address) in (*NESTED[2].0.get()).iter_mut().zip(pages) {
            *entry = address | 0x87;
        }
    }
    NESTED[0].address()
}

/// Keeps a port from the guest, or lets it have it.
pub fn keep_port(port: u16, kept: bool) {
    let (page, bit) = (usize::from(port >> 15), usize::from(port & 0x7fff));
    // SAFETY: the map is this module's, and the guest does not run now. A bit for each port.
    let word = unsafe { &mut (*IO_MAP[page].0.get())[bit / 64] };
    *word = *word & !(1 << (bit % 64)) | u64::from(kept) << (bit % 64);
}
