//! Fields of the control structure, by their numbers (Intel SDM volume 3, appendix B).

use core::arch::asm;

pub const PIN: u64 = 0x4000;
pub const PROCESSOR: u64 = 0x4002;
pub const EXIT: u64 = 0x400c;
pub const ENTRY: u64 = 0x4012;
pub const EVENT: u64 = 0x4016;
pub const EVENT_ERROR: u64 = 0x4018;
pub const SECONDARY: u64 = 0x401e;
pub const IO_MAP: u64 = 0x2000;
pub const IO_MAP2: u64 = 0x2002;
pub const MSR_MAP: u64 = 0x2004;
pub const NESTED: u64 = 0x201a;
pub const GUEST_PHYSICAL: u64 = 0x2400;
pub const LINK: u64 = 0x2800;
pub const EFER: u64 = 0x2806;
pub const HOST_EFER: u64 = 0x2c02;
pub const ERROR: u64 = 0x4400;
pub const REASON: u64 = 0x4402;
pub const EXIT_EVENT: u64 = 0x4408;
pub const LENGTH: u64 = 0x440c;
pub const SS_RIGHTS: u64 = 0x4818;
pub const SHADOW: u64 = 0x4824;
pub const PREEMPTION: u64 = 0x482e;
pub const CR4_MASK: u64 = 0x6002;
pub const QUALIFICATION: u64 = 0x6400;
pub const CR0: u64 = 0x6800;
pub const CR3: u64 = 0x6802;
pub const CR4: u64 = 0x6804;
pub const DR7: u64 = 0x681a;
pub const RSP: u64 = 0x681c;
pub const RIP: u64 = 0x681e;
pub const RFLAGS: u64 = 0x6820;

/// Reads a field.
pub fn read(field: u64) -> u64 {
    let value: u64;
    // SAFETY: a control structure is loaded (`Vmx::new`); reading a field has no effect.
    unsafe { asm!("vmread {}, {}", out(reg) value, in(reg) field, options(nostack)) };
    value
}

/// Writes a field.
pub fn write(field: u64, value: u64) {
    // SAFETY: a control structure is loaded; what is wrong in it the processor says at the next entry.
    unsafe { asm!("vmwrite {}, {}", in(reg) field, in(reg) value, options(nostack)) };
}
