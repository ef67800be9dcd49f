//! The state of the processor at the first entry and at each exit.

use core::arch::asm;

use bare::cpu::msr;
use bare::{CODE, DATA, TASK};

use super::field::{self, write};
use super::{EFER, VMXE};

/// The guest: flat 32-bit protected mode.
pub fn guest(entry: u64) {
    // ES, CS, SS, DS, FS, GS: flat. Then the local descriptor table, which is not there, and a task that is.
    let rights = [
        0xc093, 0xc09b, 0xc093, 0xc093, 0xc093, 0xc093, 0x1_0000, 0x8b,
    ];
    let selectors = [0x18, 0x10, 0x18, 0x18, 0x18, 0x18, 0, 0];
    for (number, (rights, selector)) in (0..).zip(rights.into_iter().zip(selectors)) {
        write(0x800 + number * 2, selector);
        write(
            0x4800 + number * 2,
            if number < 6 { 0xffff_ffff } else { 0xffff },
        );
        write(0x4814 + number * 2, rights);
        write(0x6806 + number * 2, 0);
    }
    // Limits and bases of the descriptor tables; activity, system management, SYSENTER, pending debug exceptions.
    for (at, value) in [(0x4810, 0xffff), (0x4812, 0xffff), (0x6816, 0), (0x6818, 0)] {
        write(at, value);
    }
    for unused in [
        field::SHADOW,
        0x4826,
        0x4828,
        0x482a,
        0x6822,
        0x6824,
        0x6826,
        0x2802,
        field::CR3,
        field::RSP,
    ] {
        write(unused, 0);
    }
    write(field::LINK, u64::MAX);
    // SAFETY: the register exists where VMX does.
    let fixed = unsafe { msr(0x486) };
    // PE, NE and ET; what VMX fixes besides paging.
    write(field::CR0, (fixed & !(1 << 31)) | 0x31);
    write(field::CR4, VMXE);
    write(field::EFER, 0);
    write(field::DR7, 0x400);
    write(field::RFLAGS, 2);
    write(field::RIP, entry);
}

/// Where an exit leads: to this program, as it is now.
pub fn host() {
    let (cr0, cr3, cr4): (u64, u64, u64);
    let mut global = [0_u8; 10];
    let mut interrupts = [0_u8; 10];
    // SAFETY: reading registers has no effect; the two stores go to arrays of the size that they store.
    unsafe {
        asm!(
            "mov {cr0}, cr0",
            "mov {cr3}, cr3",
            "mov {cr4}, cr4",
            "sgdt [{global}]",
            "sidt [{interrupts}]",
            cr0 = out(reg) cr0,
            cr3 = out(reg) cr3,
            cr4 = out(reg) cr4,
            global = in(reg) &raw mut global,
            interrupts = in(reg) &raw mut interrupts,
            options(nostack),
        );
    }
    let base = |register: [u8; 10]| {
        register
            .last_chunk::<8>()
            .copied()
            .map_or(0, u64::from_le_bytes)
    };
    let table = base(global);
    // SAFETY: the task's descriptor is two words of the table that is loaded, which stays where it is.
    let task = unsafe {
        let entry = core::ptr::with_exposed_provenance::<u64>((table + u64::from(TASK)) as usize);
        [entry.read(), entry.add(1).read()]
    };
    let task = (task[0] >> 16) & 0xff_ffff | (task[0] >> 56) << 24 | task[1] << 32;
    write(0x6c00, cr0);
    write(0x6c02, cr3);
    write(0x6c04, cr4);
    for at in [0xc00, 0xc04, 0xc06, 0xc08, 0xc0a] {
        write(at, u64::from(DATA));
    }
    write(0xc02, u64::from(CODE));
    write(0xc0c, u64::from(TASK));
    for unused in [0x4c00, 0x6c06, 0x6c08, 0x6c10, 0x6c12] {
        write(unused, 0);
    }
    write(0x6c0a, task);
    write(0x6c0c, table);
    write(0x6c0e, base(interrupts));
    // SAFETY: every processor in long mode has the register.
    write(field::HOST_EFER, unsafe { msr(EFER) });
}
