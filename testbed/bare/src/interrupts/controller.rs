//! Where interrupts come from: the local APIC, or the old pair of controllers.

use core::sync::atomic::{AtomicU64, Ordering};

/// Who wants to hear the end of an interrupt: a local APIC at this address, 1 for the x2APIC, 2 for the 8259 pair, 0 for
/// nobody.
static CONTROLLER: AtomicU64 = AtomicU64::new(0);

/// Says that interrupts come through a local APIC, which is switched on here.
///
/// # Safety
/// The memory at the APIC's address is the APIC, mapped to its own physical address.
pub unsafe fn use_apic() {
    const BASE: u32 = 0x1b;
    const SPURIOUS: u32 = 0xf;
    // SAFETY: every 64-bit processor has the register; the caller promises the mapping. A spurious vector of 0xff with
    // bit 8 switches the APIC on (Intel SDM volume 3, 11.9).
    unsafe {
        let base = crate::cpu::msr(BASE);
        if base & (1 << 10) != 0 {
            CONTROLLER.store(1, Ordering::Relaxed);
            crate::cpu::set_msr(0x800 + SPURIOUS, 0x1ff);
        } else {
            let registers = base & 0xf_ffff_f000;
            CONTROLLER.store(registers, Ordering::Relaxed);
            let at = core::ptr::with_exposed_provenance_mut::<u32>((registers + 0xf0) as usize);
            at.write_volatile(0x1ff);
        }
    }
}

/// Says that interrupts come through the 8259 pair, with vectors from `first` on, and lets only these lines through.
///
/// # Safety
/// This machine has the pair, and nobody else uses it.
pub unsafe fn use_8259(first: u8, lines: u16) {
    let [low, high] = (!lines).to_le_bytes();
    CONTROLLER.store(2, Ordering::Relaxed);
    // SAFETY: the caller promises that the controllers are there and nobody else's. Initialization words 1 to 4: edges, a
    // cascade on line 2, the vectors, 8086 mode; then the masks (Intel 8259A data sheet).
    unsafe {
        for (port, value) in [
            (0x20, 0x11),
            (0xa0, 0x11),
            (0x21, first),
            (0xa1, first.wrapping_add(8)),
            (0x21, 4),
            (0xa1, 2),
            (0x21, 1),
            (0xa1, 1),
            (0x21, low),
            (0xa1, high),
        ] {
            crate::cpu::port_out(port, value);
        }
    }
}

/// Says that an interrupt was dealt with, to whoever wants to hear it.
pub(super) fn end_of_interrupt() {
    const END: u32 = 0xb;
    match CONTROLLER.load(Ordering::Relaxed) {
        0 => {}
        // SAFETY: `use_8259`'s caller promised the controllers. Only lines of the first one are used.
        2 => unsafe { crate::cpu::port_out(0x20, 0x20) },
        // SAFETY: `use_apic` found the APIC in this mode.
        1 => unsafe { crate::cpu::set_msr(0x800 + END, 0) },
        // SAFETY: `use_apic`'s caller promised that the APIC's registers are here.
        base => unsafe {
            core::ptr::with_exposed_provenance_mut::<u32>((base + 0xb0) as usize).write_volatile(0);
        },
    }
}
