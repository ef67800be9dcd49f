//! Single instructions that the language has no word for.

use core::arch::asm;

/// Reads a byte from a port.
///
/// # Safety
/// Reading the port does nothing that other code relies on not happening.
pub unsafe fn port_in(port: u16) -> u8 {
    let value: u8;
    // SAFETY: the caller answers for the port; the instruction touches nothing else.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) };
    value
}

/// Writes a byte to a port.
///
/// # Safety
/// As [`port_in`]: devices may do anything.
pub unsafe fn port_out(port: u16, value: u8) {
    // SAFETY: the caller answers for the port; the instruction touches nothing else.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
}

/// Writes four bytes to a port.
///
/// # Safety
/// As [`port_in`].
pub unsafe fn port_out_long(port: u16, value: u32) {
    // SAFETY: the caller answers for the port; the instruction touches nothing else.
    unsafe {
        asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags))
    };
}

/// Reads a model-specific register.
///
/// # Safety
/// The register exists.
pub unsafe fn msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller promises that it exists, so the instruction does not fault; reading has no effect.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nostack, preserves_flags));
    }
    u64::from(low) | u64::from(high) << 32
}

/// Writes a model-specific register.
///
/// # Safety
/// The register exists, takes the value, and the program survives what it does.
pub unsafe fn set_msr(register: u32, value: u64) {
    // SAFETY: what the caller promises.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32, options(nostack));
    }
}

/// The time-stamp counter, after everything before it.
#[inline(always)]
pub fn time() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: these read a counter; CR4.TSD is 0 in both images, so they do not fault in any ring.
    unsafe {
        asm!("lfence", "rdtsc", out("eax") low, out("edx") high, options(nostack, preserves_flags))
    };
    u64::from(low) | u64::from(high) << 32
}

/// EAX, EBX, ECX, EDX of a CPUID leaf.
pub fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    let answer = core::arch::x86_64::__cpuid_count(leaf, subleaf);
    [answer.eax, answer.ebx, answer.ecx, answer.edx]
}

/// Lets interrupts in until the next one came, and locks them out again.
///
/// # Safety
/// The interrupt table is loaded.
pub unsafe fn wait_for_interrupt() {
    // SAFETY: the caller promises handlers; STI keeps interrupts out for one instruction more, so none is missed between
    // it and HLT (Intel SDM volume 2, STI). Handlers use a stack of their own and preserve all registers.
    unsafe { asm!("sti", "hlt", "cli") };
}

/// Stops the processor for good.
pub fn stop() -> ! {
    loop {
        // SAFETY: ends the program's progress and touches nothing.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
