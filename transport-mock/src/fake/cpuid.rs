//! What a program reads with CPUID to find out that it is the Service VM of an ACRN.
//!
//! Rules: ACRN `guest_cpuid` (arch/x86/guest/vcpuid.c).

use super::machine::Machine;

const SIGNATURE: u32 = u32::from_le_bytes(*b"ACRN");

/// EAX, EBX, ECX, EDX of a leaf, as far as they say something about the hypervisor; 0 elsewhere.
pub(crate) const fn leaf(machine: &Machine, leaf: u32) -> [u32; 4] {
    match leaf {
        // A hypervisor is there; VMX is not for guests.
        1 => [0, 0, 1 << 31, 0],
        0x4000_0000 => [0x4000_0010, SIGNATURE, SIGNATURE, SIGNATURE],
        // The caller is the privileged VM.
        0x4000_0001 => [1, 0, 0, 0],
        0x4000_0010 => [machine.config.tsc_khz, 0, 0, 0],
        _ => [0; 4],
    }
}
