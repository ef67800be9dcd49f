//! A VM's memory: what it is mapped to, with which rights, and where it really is.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::ids::VmId;
use super::layout::{layout, zero_default};

use crate::{Gpa, Hpa, Payload, Rejection, Yields, flags, open_enum};

open_enum! {
    /// What a [`MemoryRegion`] asks for. The hypervisor takes **every value but 0 for a deletion** (observed), so
    /// [`MODIFY`](Self::MODIFY) does not modify.
    pub struct MemoryRegionKind(u32) {
        /// Map the range, except pages that are mapped already.
        #[doc(alias = "MR_ADD")]
        ADD = 0,
        /// Unmap the range.
        #[doc(alias = "MR_DEL")]
        DEL = 2,
        /// Defined in the header and treated as [`DEL`](Self::DEL).
        #[doc(alias = "MR_MODIFY")]
        MODIFY = 3,
    }
}

flags! {
    /// Rights of access and the memory type of a mapping.
    ///
    /// Of the types the hypervisor takes the first that is set of WB, WT, WC, WP, and UC when none is
    /// (`add_vm_memory_region`). A page without any right counts as not mapped.
    #[doc(alias = "prot")]
    #[doc(alias = "attr")]
    pub struct MemoryProt(u32) {
        /// The VM may read.
        #[doc(alias = "MEM_ACCESS_READ")]
        READ = 0x001,
        /// The VM may write.
        #[doc(alias = "MEM_ACCESS_WRITE")]
        WRITE = 0x002,
        /// The VM may execute.
        #[doc(alias = "MEM_ACCESS_EXEC")]
        EXEC = 0x004,
        /// Write-back: ordinary RAM.
        #[doc(alias = "MEM_TYPE_WB")]
        WB = 0x040,
        /// Write-through.
        #[doc(alias = "MEM_TYPE_WT")]
        WT = 0x080,
        /// Uncached: device registers.
        #[doc(alias = "MEM_TYPE_UC")]
        UC = 0x100,
        /// Write-combining.
        #[doc(alias = "MEM_TYPE_WC")]
        WC = 0x200,
        /// Write-protected.
        #[doc(alias = "MEM_TYPE_WP")]
        WP = 0x400,
    }
}

impl MemoryProt {
    /// Read, write and execute.
    #[doc(alias = "MEM_ACCESS_RWX")]
    pub const RWX: Self = Self::READ.union(Self::WRITE).union(Self::EXEC);
    /// Ordinary RAM: all rights, write-back.
    pub const RAM: Self = Self::RWX.union(Self::WB);
    /// Device registers: read and write, uncached.
    pub const DEVICE: Self = Self::READ.union(Self::WRITE).union(Self::UC);
    /// The bits that choose the memory type.
    #[doc(alias = "MEM_TYPE_MASK")]
    pub const TYPE_MASK: Self = Self::WB
        .union(Self::WT)
        .union(Self::UC)
        .union(Self::WC)
        .union(Self::WP);
}

/// One range of a VM's guest physical memory, to be mapped or unmapped.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "vm_memory_region")]
#[doc(alias = "vm_memory_region")]
#[doc(alias = "vm_memory_region_op")]
pub struct MemoryRegion {
    /// Map or unmap.
    #[payload(c = "type")]
    pub kind: MemoryRegionKind,
    /// Rights and memory type; read only when mapping.
    pub prot: MemoryProt,
    /// Where the range starts in the target VM. Not checked: the hypervisor rounds it **up** to 4 KiB.
    #[doc(alias = "user_vm_pa")]
    // The program lays the VM's memory out.
    #[payload(plain)]
    pub gpa: Gpa,
    /// Where the memory is in the Service VM; read only when mapping. Rounded **up** to 4 KiB as well.
    #[doc(alias = "service_vm_pa")]
    pub service_vm_gpa: Gpa,
    /// Bytes, a multiple of 4096. 0 is accepted.
    #[payload(units = "bytes")]
    pub size: u64,
}
layout!(MemoryRegion: 32 bytes, align 8 { kind @ 0, prot @ 4, gpa @ 8, service_vm_gpa @ 16, size @ 24 });
zero_default!(MemoryRegion);

impl MemoryRegion {
    /// Maps `size` bytes at `gpa` of the target VM to the Service VM's memory at `service_vm_gpa`.
    ///
    /// The addresses should be multiples of 4096, the size must be.
    #[must_use]
    pub const fn map(gpa: Gpa, service_vm_gpa: Gpa, size: u64, prot: MemoryProt) -> Self {
        Self {
            kind: MemoryRegionKind::ADD,
            prot,
            gpa,
            service_vm_gpa,
            size,
        }
    }

    /// Unmaps `size` bytes at `gpa` of the target VM.
    #[must_use]
    pub const fn unmap(gpa: Gpa, size: u64) -> Self {
        Self {
            kind: MemoryRegionKind::DEL,
            prot: MemoryProt::empty(),
            gpa,
            service_vm_gpa: Gpa(0),
            size,
        }
    }
}

/// What [`set_memory_regions`](super::Hypervisor::set_memory_regions) puts before its regions.
///
/// The attribute on the trait fills it in; a program does not build one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "set_regions")]
#[doc(alias = "set_regions")]
#[doc(alias = "vm_memory_region_batch")]
pub struct SetRegions {
    /// The target VM.
    pub vmid: VmId,
    /// Zero.
    #[payload(reserved)]
    pub reserved0: u16,
    /// Zero.
    #[payload(reserved)]
    pub reserved1: u32,
    /// How many regions follow.
    #[doc(alias = "regions_num")]
    pub mr_num: u32,
    /// Zero. C has no name for these four bytes.
    #[payload(reserved)]
    pub pad: u32,
    /// Where the array of regions is.
    pub regions_gpa: Gpa,
}
layout!(SetRegions: 24 bytes, align 8 {
    vmid @ 0, reserved0 @ 2, reserved1 @ 4, mr_num @ 8, pad @ 12, regions_gpa @ 16,
});
zero_default!(SetRegions);

/// A question and its answer: where a guest physical address of a VM really is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "vm_gpa2hpa")]
#[doc(alias = "vm_gpa2hpa")]
pub struct GpaToHpa {
    /// In: the address in the VM, any byte.
    // A place in the layout that the program chose.
    #[payload(plain)]
    pub gpa: Gpa,
    /// Out: the address in the machine. What stands there before a call is overwritten with
    /// [`INVALID_HPA`](Self::INVALID_HPA).
    pub hpa: Hpa,
}
layout!(GpaToHpa: 16 bytes, align 8 { gpa @ 0, hpa @ 8 });
zero_default!(GpaToHpa);

impl GpaToHpa {
    /// What the hypervisor calls "not mapped" (`ACRN_INVALID_HPA`).
    #[doc(alias = "ACRN_INVALID_HPA")]
    pub const INVALID_HPA: Hpa = Hpa(u64::MAX);

    /// The question.
    #[must_use]
    pub const fn of(gpa: Gpa) -> Self {
        Self {
            gpa,
            hpa: Self::INVALID_HPA,
        }
    }
}

impl Yields<Hpa> for GpaToHpa {
    /// The host's address. ACRN answers `-1` for an address that is not mapped, and writes nothing. What has more than 52
    /// bits is no physical address (Intel SDM volume 3, 4.1.4): neither [`INVALID_HPA`](Self::INVALID_HPA), which
    /// each call starts with, nor anything else that a hypervisor should not have written.
    fn yielded(&self) -> Result<Hpa, Rejection> {
        if self.hpa.0 >> 52 != 0 {
            Err(Rejection("hpa is not an address"))
        } else {
            Ok(self.hpa)
        }
    }

    fn store(&mut self, value: Hpa) {
        self.hpa = value;
    }

    fn store_failure(&mut self) {
        self.hpa = Self::INVALID_HPA;
    }
}

/// Takes the right to write one page away, or gives it back.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "wp_data")]
#[doc(alias = "wp_data")]
pub struct WriteProtect {
    /// 0 gives the right back, any other value takes it away.
    pub set: u8,
    /// Zero. A bit-field of 56 bits in C.
    #[payload(reserved)]
    pub pad: [u8; 7],
    /// The page in the VM, a multiple of 4096.
    // A place in the layout that the program chose.
    #[payload(plain)]
    pub gpa: Gpa,
}
layout!(WriteProtect: 16 bytes, align 8 { set @ 0, pad @ 1, gpa @ 8 });
zero_default!(WriteProtect);

impl WriteProtect {
    /// The VM may not write the page any more: each attempt becomes an I/O request of the type
    /// [`WRITE_PROTECTED`](super::ioreq::IoReqKind::WRITE_PROTECTED).
    #[must_use]
    pub const fn protect(gpa: Gpa) -> Self {
        Self {
            set: 1,
            pad: [0; 7],
            gpa,
        }
    }

    /// The VM may write the page again.
    #[must_use]
    pub const fn unprotect(gpa: Gpa) -> Self {
        Self {
            set: 0,
            pad: [0; 7],
            gpa,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_more_bits_than_an_address_is_none() {
        let answered = |hpa| GpaToHpa {
            hpa: Hpa(hpa),
            ..GpaToHpa::of(Gpa(0))
        };
        for hpa in [0, 0x1000, (1 << 52) - 1] {
            assert_eq!(answered(hpa).yielded(), Ok(Hpa(hpa)));
        }
        for hpa in [1 << 52, 0xa5a5_a5a5_a5a5_a5a5, 1 << 63, u64::MAX] {
            assert!(answered(hpa).yielded().is_err());
        }
    }
}
