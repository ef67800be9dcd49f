//! What the guest sees of the processor's features: nothing whose state the hypervisor does not keep apart.
//!
//! FXSAVE's state is kept for each world, and no more: without XSAVE there is no AVX, no AVX-512, no AMX, no protection keys and
//! no shadow stack. Instructions that VMX lets a guest have only where a control is set (RDTSCP, INVPCID, XSAVES) are not there
//! either, and virtualization is the hypervisor's own. Bits: Intel SDM volume 2, CPUID; AMD manual volume 3, appendix E.

/// VMX, SMX, FMA, XSAVE, OSXSAVE, AVX, F16C.
const ECX_1: u32 = 1 << 5 | 1 << 6 | 1 << 12 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 29;
/// A hypervisor is there.
pub const HYPERVISOR: u32 = 1 << 31;
/// AVX2, INVPCID, MPX, AVX-512 in all its parts, PT.
const EBX_7: u32 = 1 << 5
    | 1 << 10
    | 1 << 14
    | 1 << 16
    | 1 << 17
    | 1 << 21
    | 1 << 25
    | 1 << 26
    | 1 << 27
    | 1 << 28
    | 1 << 30
    | 1 << 31;
/// More of AVX-512, protection keys, shadow stacks, the 256-bit forms of AES and PCLMUL, WAITPKG, five levels of paging, keys
/// for supervisors, Key Locker.
const ECX_7: u32 = 1 << 1
    | 1 << 3
    | 1 << 4
    | 1 << 5
    | 1 << 6
    | 1 << 7
    | 1 << 9
    | 1 << 10
    | 1 << 11
    | 1 << 12
    | 1 << 14
    | 1 << 16
    | 1 << 23
    | 1 << 31;
/// More of AVX-512, user interrupts, indirect branch tracking, AMX.
const EDX_7: u32 =
    1 << 2 | 1 << 3 | 1 << 5 | 1 << 8 | 1 << 20 | 1 << 22 | 1 << 23 | 1 << 24 | 1 << 25;
/// SVM, XOP, LWP, FMA4.
const ECX_81: u32 = 1 << 2 | 1 << 11 | 1 << 15 | 1 << 16;
/// RDTSCP.
const EDX_81: u32 = 1 << 27;

/// A leaf as the guest sees it: EAX, EBX, ECX, EDX.
#[must_use]
pub const fn shown(leaf: u32, subleaf: u32, answer: [u32; 4]) -> [u32; 4] {
    let [eax, ebx, ecx, edx] = answer;
    match (leaf, subleaf) {
        (1, _) => [eax, ebx, ecx & !ECX_1 | HYPERVISOR, edx],
        // There is one subleaf.
        (7, 0) => [0, ebx & !EBX_7, ecx & !ECX_7, edx & !EDX_7],
        (0x8000_0001, _) => [eax, ebx, ecx & !ECX_81, edx & !EDX_81],
        // Further features; the state of XSAVE; PT; Key Locker; AMX; AVX10; SVM.
        (7 | 0xd | 0x14 | 0x19 | 0x1d | 0x1e | 0x24 | 0x8000_000a, _) => [0; 4],
        _ => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [u32; 4] = [u32::MAX; 4];

    #[test]
    fn state_that_nobody_keeps_is_not_there() {
        let [_, _, ecx, edx] = shown(1, 0, ALL);
        assert_eq!(ecx & (1 << 26 | 1 << 27 | 1 << 28 | 1 << 5), 0);
        assert_ne!(ecx & HYPERVISOR, 0);
        // SSE2, FXSAVE, SSE4.2 are.
        assert_eq!(edx, u32::MAX);
        assert_ne!(ecx & 1 << 20, 0);
        let [leaves, ebx, ..] = shown(7, 0, ALL);
        assert_eq!((leaves, ebx & (1 << 5 | 1 << 16)), (0, 0));
        let [_, _, ecx, edx] = shown(7, 0, ALL);
        assert_eq!((ecx & 1 << 23, edx & 1 << 5), (0, 0));
        for leaf in [(7, 1), (0xd, 0), (0xd, 1), (0x19, 0), (0x8000_000a, 0)] {
            assert_eq!(shown(leaf.0, leaf.1, ALL), [0; 4]);
        }
        assert_eq!(shown(0x8000_0001, 0, ALL)[2] & 1 << 2, 0);
    }

    #[test]
    fn a_hypervisor_is_shown_where_the_processor_says_none() {
        assert_eq!(shown(1, 0, [0; 4]), [0, 0, HYPERVISOR, 0]);
    }

    #[test]
    fn other_leaves_are_the_processors() {
        for leaf in [0, 2, 4, 6, 0xb, 0x8000_0000, 0x8000_0008] {
            assert_eq!(shown(leaf, 0, [1, 2, 3, 4]), [1, 2, 3, 4]);
        }
    }
}
