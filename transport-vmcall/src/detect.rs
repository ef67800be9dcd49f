//! Is ACRN there, and may this code call it? Asked of the processor, without executing anything that can fault.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::fmt;

use thiserror::Error;

/// Leaf of the features (Intel SDM volume 2, CPUID); ECX bit 31 says that a hypervisor is present.
const FEATURES: u32 = 1;
/// First leaf of the range in which a hypervisor presents itself.
const HYPERVISOR: u32 = 0x4000_0000;
/// Leaf whose EAX bit 0 says that this is the Service VM. A fixed number, also where the signature is elsewhere.
const ACRN_FEATURES: u32 = 0x4000_0001;
/// Leaf whose EAX is the frequency of the time-stamp counter in kHz. A fixed number too.
const ACRN_TIMING: u32 = 0x4000_0010;
/// How ACRN presents itself.
const ACRN: Signature = Signature(*b"ACRNACRNACRN");

/// Proof that ACRN is the hypervisor and that this processor is in ring 0; and what CPUID says about it.
///
/// Only [`detect`] makes one. It is about the processor that ran it: a token that is carried into ring 3 is worth
/// nothing, which is why building a transport stays `unsafe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acrn {
    features: u32,
    tsc_khz: u32,
}

impl Acrn {
    /// Whether this is the Service VM, the one that may manage others.
    #[must_use]
    pub const fn is_service_vm(&self) -> bool {
        self.features & 1 != 0
    }

    /// The feature bits of leaf 0x40000001, known or not.
    #[must_use]
    pub const fn features(&self) -> u32 {
        self.features
    }

    /// The frequency of the time-stamp counter in kHz, or `None` where ACRN does not say.
    #[must_use]
    pub const fn tsc_khz(&self) -> Option<u32> {
        match self.tsc_khz {
            0 => None,
            khz => Some(khz),
        }
    }
}

/// Twelve bytes by which a hypervisor presents itself, such as `KVMKVMKVM\0\0\0`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 12]);

impl Signature {
    /// The hypervisor's usual name, where the signature is a known one.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        Some(match &self.0 {
            b"ACRNACRNACRN" => "ACRN",
            b"KVMKVMKVM\0\0\0" => "KVM",
            b"Linux KVM Hv" => "KVM with Hyper-V enlightenments",
            b"Microsoft Hv" => "Hyper-V",
            b"TCGTCGTCGTCG" => "QEMU's emulator",
            b"VMwareVMware" => "VMware",
            b"XenVMMXenVMM" => "Xen",
            b"VBoxVBoxVBox" => "VirtualBox",
            b"bhyve bhyve " => "bhyve",
            b"EVMMEVMMEVMM" => "an Intel KGT hypervisor",
            b"Jailhouse\0\0\0" => "Jailhouse",
            _ => return None,
        })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "\"{}\"", self.0.escape_ascii()),
        }
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// Why no hypercall can be made from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotAvailable {
    /// The processor does not run under a hypervisor, or under one that hides.
    #[error(
        "no hypervisor: this processor says that it is not virtualized, and VMCALL would fault"
    )]
    NoHypervisor,
    /// There is a hypervisor, and it is not ACRN: VMCALL would mean something else to it, or fault.
    #[error("the hypervisor is {0}, not ACRN: it would read other registers, or fault")]
    OtherHypervisor(Signature),
    /// ACRN answers hypercalls from ring 0 only; from here VMCALL would raise #GP(0).
    #[error(
        "ACRN takes hypercalls from ring 0 only, and this code runs in ring {privilege}: call from the kernel, or through its driver"
    )]
    NotPrivileged {
        /// The current privilege level, 1 to 3.
        privilege: u8,
    },
}

/// Asks the processor whether ACRN is the hypervisor and whether this code runs in ring 0.
///
/// Reads CPUID leaf 1 (ECX bit 31), the signature at 0x40000000 and at every 0x100 above it up to 0x4000FF00 (a
/// hypervisor that also imitates another one moves its own up), leaves 0x40000001 and 0x40000010, and CS. None of these
/// can fault in ring 0, nor in another one unless its kernel asked the processor to fault CPUID there.
///
/// CPUID does not say which version of ACRN answers; `get_api_version` does, which is a call. What differs between versions is
/// therefore dealt with in every call: see [`RAX_UNWRITTEN`](hypercall::RAX_UNWRITTEN).
///
/// # Errors
/// [`NotAvailable`]: no hypervisor, another one, or not ring 0, in this order.
pub fn detect() -> Result<Acrn, NotAvailable> {
    detect_on(&ThisProcessor)
}

/// What detection reads, so that tests can present other processors.
trait Processor {
    /// EAX, EBX, ECX, EDX of a leaf.
    fn cpuid(&self, leaf: u32) -> [u32; 4];
    /// The current privilege level, 0 to 3.
    fn privilege(&self) -> u8;
}

struct ThisProcessor;

impl Processor for ThisProcessor {
    fn cpuid(&self, leaf: u32) -> [u32; 4] {
        let answer = if leaf == FEATURES {
            __cpuid(leaf)
        } else {
            __cpuid_count(leaf, 0)
        };
        [answer.eax, answer.ebx, answer.ecx, answer.edx]
    }

    fn privilege(&self) -> u8 {
        crate::transport::current_privilege()
    }
}

fn detect_on(processor: &impl Processor) -> Result<Acrn, NotAvailable> {
    let [_, _, features, _] = processor.cpuid(FEATURES);
    if features & (1 << 31) == 0 {
        return Err(NotAvailable::NoHypervisor);
    }
    let first = signature(processor, HYPERVISOR);
    let mut bases = (HYPERVISOR..=0x4000_ff00).step_by(0x100);
    if !bases.any(|base| signature(processor, base) == ACRN) {
        return Err(NotAvailable::OtherHypervisor(first));
    }
    match processor.privilege() {
        0 => Ok(Acrn {
            features: processor.cpuid(ACRN_FEATURES)[0],
            tsc_khz: processor.cpuid(ACRN_TIMING)[0],
        }),
        privilege => Err(NotAvailable::NotPrivileged { privilege }),
    }
}

/// The signature at a base leaf: EBX, ECX, EDX, in this order.
fn signature(processor: &impl Processor, base: u32) -> Signature {
    let [_, ebx, ecx, edx] = processor.cpuid(base);
    let mut bytes = [0; 12];
    for (part, register) in bytes.chunks_exact_mut(4).zip([ebx, ecx, edx]) {
        part.copy_from_slice(&register.to_le_bytes());
    }
    Signature(bytes)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    /// A processor with these leaves; others read zero.
    struct Leaves(&'static [(u32, [u32; 4])], u8);

    impl Processor for Leaves {
        fn cpuid(&self, leaf: u32) -> [u32; 4] {
            self.0
                .iter()
                .find(|(number, _)| *number == leaf)
                .map_or([0; 4], |(_, answer)| *answer)
        }
        fn privilege(&self) -> u8 {
            self.1
        }
    }

    const PRESENT: (u32, [u32; 4]) = (1, [0, 0, 1 << 31, 0]);
    const SIGNED: [u32; 4] = [0x4000_0010, 0x4e52_4341, 0x4e52_4341, 0x4e52_4341];

    #[test]
    fn acrn_in_ring_0_gives_a_token_with_what_cpuid_says() {
        let leaves = &[
            PRESENT,
            (0x4000_0000, SIGNED),
            (0x4000_0001, [1, 0, 0, 0]),
            (0x4000_0010, [2_593_000, 0, 0, 0]),
        ];
        let acrn = detect_on(&Leaves(leaves, 0)).unwrap();
        assert!(acrn.is_service_vm());
        assert_eq!(acrn.tsc_khz(), Some(2_593_000));
        assert_eq!(
            detect_on(&Leaves(leaves, 3)),
            Err(NotAvailable::NotPrivileged { privilege: 3 })
        );
    }

    #[test]
    fn a_signature_behind_another_one_is_found_and_the_other_leaves_stay_where_they_are() {
        let leaves = &[
            PRESENT,
            (0x4000_0000, [0, 0x7263_694d, 0x666f_736f, 0x7648_2074]),
            (0x4000_0100, SIGNED),
            (0x4000_0001, [0x3123_7648, 0, 0, 0]),
        ];
        let acrn = detect_on(&Leaves(leaves, 0)).unwrap();
        assert!(!acrn.is_service_vm());
        assert_eq!((acrn.features(), acrn.tsc_khz()), (0x3123_7648, None));
    }

    #[test]
    fn another_hypervisor_is_named_and_none_is_said_to_be_none() {
        let kvm = &[PRESENT, (0x4000_0000, [0, 0x4b4d_564b, 0x564b_4d56, 0x4d])];
        let error = detect_on(&Leaves(kvm, 0)).unwrap_err();
        assert_eq!(
            error,
            NotAvailable::OtherHypervisor(Signature(*b"KVMKVMKVM\0\0\0"))
        );
        assert!(
            error
                .to_string()
                .starts_with("the hypervisor is KVM, not ACRN")
        );
        assert_eq!(detect_on(&Leaves(&[], 0)), Err(NotAvailable::NoHypervisor));
        // Without the bit the leaves mean nothing: on bare metal they echo the last basic one.
        assert_eq!(
            detect_on(&Leaves(&[(0x4000_0000, SIGNED)], 0)),
            Err(NotAvailable::NoHypervisor)
        );
    }

    #[test]
    fn asking_this_processor_never_faults_and_a_test_is_not_in_ring_0() {
        assert!(detect().is_err());
        assert_eq!(ThisProcessor.privilege(), 3);
    }
}
