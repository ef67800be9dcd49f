//! What of ports, registers and memory is the guest's.

use super::field::{self, write};
use super::{BASIC, FEATURE_CONTROL};
use crate::guest_memory;
use crate::page::Page;

static MSR_MAP: Page = Page::new();
static IO_MAP: [Page; 2] = [const { Page::new() }; 2];
static NESTED: [Page; 4] = [const { Page::new() }; 4];

/// Names the maps and tables in the control structure, filled.
pub fn install() {
    write(field::MSR_MAP, MSR_MAP.address());
    write(field::IO_MAP, IO_MAP[0].address());
    write(field::IO_MAP2, IO_MAP[1].address());
    keep_own();
    map_guest();
    // Write-back, four levels.
    write(field::NESTED, NESTED[0].address() | 6 | 3 << 3);
}

/// Marks the registers that are the hypervisor's: where the local APIC is may be read, what VMX can do may not; no
/// other registers of the map's two ranges are kept.
fn keep_own() {
    const READS: usize = 0;
    const WRITES: usize = 0x800 / 8;
    let own = [FEATURE_CONTROL].into_iter().chain(BASIC..BASIC + 0x14);
    // SAFETY: the map is this module's, and the guest does not run yet.
    unsafe {
        let registers = &mut *MSR_MAP.0.get();
        registers[WRITES] |= 1 << 0x1b;
        for register in own {
            for part in [READS, WRITES] {
                registers[part + register as usize / 64] |= 1 << (register % 64);
            }
        }
    }
}

/// The guest's memory and its local APIC, mapped to themselves by pages of 2 MiB. Everything else is not there.
fn map_guest() {
    let tables = [1, 2, 3].map(|table: usize| NESTED[table].address() | 7);
    // SAFETY: the tables are this module's, and the guest does not run yet.
    unsafe {
        (*NESTED[0].0.get())[0] = tables[0];
        (*NESTED[1].0.get())[0] = tables[1];
        (*NESTED[1].0.get())[3] = tables[2];
        // Read, write, not cached, a large page.
        (*NESTED[3].0.get())[guest_memory::APIC_ENTRY] = guest_memory::APIC | 0x83;
        let pages = (0..guest_memory::SIZE).step_by(2 << 20);
        for (entry, address) in (*NESTED[2].0.get()).iter_mut().zip(pages) {
            // Read, write, execute, write-back, a large page.
            *entry = address | 0xb7;
        }
    }
}

/// Keeps a port from the guest, or lets it have it.
pub fn keep_port(port: u16, kept: bool) {
    let (page, bit) = (usize::from(port >> 15), usize::from(port & 0x7fff));
    // SAFETY: the map is this module's, and the guest does not run now. A bit for each port.
    let word = unsafe { &mut (*IO_MAP[page].0.get())[bit / 64] };
    *word = *word & !(1 << (bit % 64)) | u64::from(kept) << (bit % 64);
}
