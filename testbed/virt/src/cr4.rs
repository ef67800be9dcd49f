//! CR4, as far as it is not the guest's own: the instruction that writes it, and what may be in it.

use crate::features::shown;

/// VME, PVI, TSD, DE, PSE, PAE, MCE, PGE, PCE, OSFXSR, OSXMMEXCPT: every 64-bit processor has them.
const ALWAYS: u64 = 0x7ff;

/// The bits that the guest may set on a processor with these leaves (1, and 7 with subleaf 0). No others, those of processors to
/// come among them: what they switch on may have state that nobody keeps apart.
#[must_use]
pub fn allowed(leaf1: [u32; 4], leaf7: [u32; 4]) -> u64 {
    let [_, _, ecx1, _] = shown(1, 0, leaf1);
    let [_, ebx7, ecx7, _] = shown(7, 0, leaf7);
    let has = |register: u32, bit: u32, cr4: u32| ((register >> bit & 1) as u64) << cr4;
    // UMIP, FSGSBASE, PCIDE, SMEP, SMAP.
    ALWAYS
        | has(ecx7, 2, 11)
        | has(ebx7, 0, 16)
        | has(ecx1, 17, 17)
        | has(ebx7, 7, 20)
        | has(ebx7, 20, 21)
}

/// The register that MOV to CR4 takes its value from, and the length of the instruction. `None` where these bytes are another
/// one.
///
/// 0F 22 /4, the operand a register whatever the upper two bits say; with or without REX, whose lowest bit is the operand's
/// number's highest (Intel SDM volume 2, MOV to control registers).
#[must_use]
pub const fn decode(bytes: &[u8]) -> Option<(u8, u64)> {
    let (rex, rest, length) = match bytes {
        [rex @ 0x40..=0x4f, rest @ ..] => (*rex, rest, 4),
        rest => (0, rest, 3),
    };
    match rest {
        // REX.R would make it CR12.
        [0x0f, 0x22, operand, ..] if *operand >> 3 & 7 == 4 && rex & 4 == 0 => {
            Some((*operand & 7 | (rex & 1) << 3, length))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instruction_is_found_with_every_register() {
        for register in 0..8 {
            assert_eq!(decode(&[0x0f, 0x22, 0xe0 | register]), Some((register, 3)));
            let long = [0x41, 0x0f, 0x22, 0xe0 | register];
            assert_eq!(decode(&long), Some((register | 8, 4)));
            // REX.W changes nothing, nor do the upper two bits of the operand.
            let wide = [0x48, 0x0f, 0x22, 0x20 | register];
            assert_eq!(decode(&wide), Some((register, 4)));
        }
    }

    #[test]
    fn other_instructions_are_not() {
        for bytes in [
            &[][..],
            &[0x0f, 0x22],
            &[0x0f, 0x20, 0xe0],
            &[0x0f, 0x22, 0xd8],
            &[0x44, 0x0f, 0x22, 0xe0],
            &[0x41, 0x41, 0x0f, 0x22],
            &[0x66, 0x0f, 0x22, 0xe0],
        ] {
            assert_eq!(decode(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn nothing_hidden_may_be_set_and_what_is_there_may() {
        let all = allowed([u32::MAX; 4], [u32::MAX; 4]);
        // Five levels of paging, VMX, SMX, XSAVE, Key Locker, protection keys, shadow stacks, keys for supervisors, user
        // interrupts, LAM, FRED.
        for hidden in [12, 13, 14, 18, 19, 22, 23, 24, 25, 28, 32] {
            assert_eq!(all & 1 << hidden, 0, "bit {hidden}");
        }
        assert_eq!(all, 0x7ff | 1 << 11 | 1 << 16 | 1 << 17 | 1 << 20 | 1 << 21);
        assert_eq!(allowed([0; 4], [0; 4]), 0x7ff);
    }
}
