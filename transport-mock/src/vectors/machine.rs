//! What a recording says about the machine that it was made on.
//!
//! Where the hypervisor keeps a page of its own is decided when it is linked: not a rule that a fake could follow, and
//! different from build to build.

use super::op::Op;

/// The APIC's page, in every VM.
const APIC: u64 = 0xfee0_0000;
const GPA_TO_HPA: u64 = 0x8000_0041;

/// The host address of the APIC-access page, where translations show it and all of them agree.
pub(super) fn apic_page(operations: &[(usize, Op)]) -> Option<u64> {
    let mut pages = operations.windows(2).filter_map(|pair| match pair {
        [
            (_, Op::Hypercall { registers, rax: 0 }),
            (_, Op::Read { gpa, bytes }),
        ] if registers.number == GPA_TO_HPA && registers.args.last() == Some(gpa) => {
            translation(bytes)
        }
        _ => None,
    });
    let first = pages.next()?;
    pages.all(|page| page == first).then_some(first)
}

/// The host page of a translation of the APIC's page.
fn translation(bytes: &[u8]) -> Option<u64> {
    let (gpa, hpa) = bytes.first_chunk::<16>()?.split_first_chunk::<8>()?;
    let gpa = u64::from_le_bytes(*gpa);
    let hpa = u64::from_le_bytes(*hpa.first_chunk()?);
    let offset = gpa.checked_sub(APIC).filter(|offset| *offset < 4096)?;
    hpa.checked_sub(offset)
        .filter(|page| page.is_multiple_of(4096))
}
