//! Reads the guest's instructions, through its own page tables.

use crate::cpu::Paging;
use crate::guest_memory::GuestRam;

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// The physical address of a linear one. `None` where it is not mapped, or by tables of another kind than long mode's
/// with four levels.
pub fn translate(paging: Paging, linear: u64, ram: &GuestRam) -> Option<u64> {
    if paging.cr0 >> 31 == 0 {
        return Some(linear & 0xffff_ffff);
    }
    if paging.efer & (1 << 10) == 0 {
        return None;
    }
    let mut table = paging.cr3 & ADDRESS;
    for shift in [39, 30, 21, 12] {
        let entry = ram.read_u64(table + ((linear >> shift) & 0x1ff) * 8)?;
        if entry & PRESENT == 0 {
            return None;
        }
        if shift == 12 || (shift < 39 && entry & LARGE != 0) {
            let offset = (1_u64 << shift) - 1;
            return Some((entry & ADDRESS & !offset) | (linear & offset));
        }
        table = entry & ADDRESS;
    }
    None
}

/// Copies instruction bytes, which may cross a page.
pub fn fetch<const N: usize>(paging: Paging, linear: u64, ram: &GuestRam) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (at, byte) in (0..).zip(&mut bytes) {
        let physical = translate(paging, linear.wrapping_add(at), ram)?;
        ram.read(physical, core::slice::from_mut(byte))?;
    }
    Some(bytes)
}
