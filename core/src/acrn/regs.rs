//! The registers that a vCPU starts with.
//!
//! The hypervisor sets a User VM's first vCPU to the state after reset when it creates the VM; the device model
//! replaces that where its firmware or kernel starts elsewhere. The other vCPUs start as a machine's do, by INIT
//! and SIPI. What the struct does not hold the hypervisor chooses (`set_vcpu_regs`): the base of every segment but
//! CS is 0, their limit and attributes follow CR0.PE, and LDT and TSS have base 0 and limit 0xffff.

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::ids::VcpuId;
use super::layout::{layout, zero_default};
use crate::{Payload, flags};

flags! {
    /// The bits of CR0 that a vCPU may start with; the hypervisor refuses any other.
    ///
    /// [`NE`](Self::NE) must be set.
    pub struct Cr0(u64) {
        /// Protected mode.
        PE = 1 << 0,
        /// Monitor the coprocessor.
        MP = 1 << 1,
        /// No coprocessor.
        EM = 1 << 2,
        /// A task switch happened.
        TS = 1 << 3,
        /// Extension type; always 1 in hardware.
        ET = 1 << 4,
        /// Numeric errors by exception. VMX needs it.
        NE = 1 << 5,
        /// Write protection also for ring 0.
        WP = 1 << 16,
        /// Alignment checks.
        AM = 1 << 18,
        /// Not write-through.
        NW = 1 << 29,
        /// Caches off.
        CD = 1 << 30,
        /// Paging.
        PG = 1 << 31,
    }
}

/// The sixteen general registers, in the order of their numbers in machine code.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_gp_regs")]
#[doc(alias = "acrn_gp_regs")]
#[expect(missing_docs, reason = "the registers' names say it")]
pub struct GpRegs {
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub rsp: u64,
    pub rbp: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
}
layout!(GpRegs: 128 bytes, align 8 {
    rax @ 0, rcx @ 8, rdx @ 16, rbx @ 24, rsp @ 32, rbp @ 40, rsi @ 48, rdi @ 56,
    r8 @ 64, r9 @ 72, r10 @ 80, r11 @ 88, r12 @ 96, r13 @ 104, r14 @ 112, r15 @ 120,
});
zero_default!(GpRegs);

/// The GDT or IDT register: the limit, then the base at an odd place, as `LGDT` reads them (SDM volume 3, 3.5.1).
///
/// The fields are private because a reference to the unaligned base would not compile.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C, packed)]
#[payload(c = "acrn_descriptor_ptr")]
#[doc(alias = "acrn_descriptor_ptr")]
pub struct DescriptorTable {
    limit: u16,
    base: u64,
    #[payload(reserved)]
    reserved: [u16; 3],
}
layout!(DescriptorTable: 16 bytes, align 1 { limit @ 0, base @ 2, reserved @ 10 });
zero_default!(DescriptorTable);

impl DescriptorTable {
    /// A table of `limit + 1` bytes at a linear address.
    #[must_use]
    pub const fn new(base: u64, limit: u16) -> Self {
        Self {
            limit,
            base,
            reserved: [0; 3],
        }
    }

    /// The offset of the table's last byte.
    #[must_use]
    pub const fn limit(&self) -> u16 {
        self.limit
    }

    /// The linear address of the table's first byte.
    #[must_use]
    pub const fn base(&self) -> u64 {
        self.base
    }
}

impl fmt::Debug for DescriptorTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DescriptorTable({:#x}, limit {:#x})",
            self.base(),
            self.limit()
        )
    }
}

/// The registers of a vCPU. Reserved fields are zero: Linux's driver refuses others.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_regs")]
#[doc(alias = "acrn_regs")]
pub struct Regs {
    /// General registers.
    pub gprs: GpRegs,
    /// The global descriptor table.
    pub gdt: DescriptorTable,
    /// The interrupt descriptor table.
    pub idt: DescriptorTable,
    /// The offset of the first instruction in CS.
    pub rip: u64,
    /// The linear base of CS. The other segments start at 0.
    pub cs_base: u64,
    /// Control register 0: what [`Cr0`] lists, `NE` included.
    pub cr0: Cr0,
    /// Control register 4. VMXE, SMXE and all that the processor lacks must be 0.
    pub cr4: u64,
    /// Control register 3: the page table.
    pub cr3: u64,
    /// The EFER register: LME is bit 8, LMA bit 10.
    pub ia32_efer: u64,
    /// The flags. 0 means "as after reset" (2); the hypervisor clears the arithmetic flags in any other value.
    pub rflags: u64,
    /// Zero.
    #[payload(reserved)]
    pub reserved_64: [u64; 4],
    /// The attributes of CS, as in its descriptor's bits 55:40; bit 13 makes it a 64-bit segment.
    pub cs_ar: u32,
    /// The limit of CS, in bytes.
    pub cs_limit: u32,
    /// Zero.
    #[payload(reserved)]
    pub reserved_32: [u32; 3],
    /// The selector of CS.
    pub cs_sel: u16,
    /// The selector of SS.
    pub ss_sel: u16,
    /// The selector of DS.
    pub ds_sel: u16,
    /// The selector of ES.
    pub es_sel: u16,
    /// The selector of FS.
    pub fs_sel: u16,
    /// The selector of GS.
    pub gs_sel: u16,
    /// The selector of the local descriptor table.
    pub ldt_sel: u16,
    /// The selector of the task state segment.
    pub tr_sel: u16,
    /// Zero. C has no name for these four bytes.
    #[payload(reserved)]
    pub pad: u32,
}
layout!(Regs: 288 bytes, align 8 {
    gprs @ 0, gdt @ 128, idt @ 144, rip @ 160, cs_base @ 168, cr0 @ 176, cr4 @ 184, cr3 @ 192, ia32_efer @ 200,
    rflags @ 208, reserved_64 @ 216, cs_ar @ 248, cs_limit @ 252, reserved_32 @ 256, cs_sel @ 268, ss_sel @ 270,
    ds_sel @ 272, es_sel @ 274, fs_sel @ 276, gs_sel @ 278, ldt_sel @ 280, tr_sel @ 282, pad @ 284,
});
zero_default!(Regs);

impl Regs {
    /// The state after reset: 16-bit code at `f000:fff0`, 16 bytes below 4 GiB, where firmware starts.
    ///
    /// The same values as the hypervisor's own (`realmode_init_vregs`); CR0 also has NE, which it insists on.
    #[must_use]
    pub fn reset() -> Self {
        Self {
            gdt: DescriptorTable::new(0, 0xffff),
            idt: DescriptorTable::new(0, 0xffff),
            rip: 0xfff0,
            cs_base: 0xffff_0000,
            cr0: Cr0::ET | Cr0::NE,
            cs_ar: 0x9f,
            cs_limit: 0xffff,
            cs_sel: 0xf000,
            ..Self::default()
        }
    }

    /// 16-bit code at `segment:offset`, the way a boot sector starts. CS's base is sixteen times its selector.
    #[must_use]
    pub fn real_mode(segment: u16, offset: u16) -> Self {
        Self {
            rip: u64::from(offset),
            cs_base: u64::from(segment) << 4,
            cs_sel: segment,
            ..Self::reset()
        }
    }

    /// 32-bit code at `entry` in flat segments without paging, the way kernels and their loaders start.
    ///
    /// CS is selector 0x10, the data segments are 0x18. The program at `entry` loads its own descriptor table at
    /// `gdt` only when it reloads a segment: until then the hypervisor's values stand.
    #[must_use]
    pub fn protected_mode(entry: u32, gdt: DescriptorTable) -> Self {
        Self {
            gdt,
            rip: u64::from(entry),
            cr0: Cr0::PE | Cr0::ET | Cr0::NE,
            cs_ar: 0xc09b,
            cs_limit: 0xffff_ffff,
            cs_sel: 0x10,
            ss_sel: 0x18,
            ds_sel: 0x18,
            es_sel: 0x18,
            ..Self::default()
        }
    }
}

/// The registers of one vCPU, as [`set_vcpu_regs`](super::Hypervisor::set_vcpu_regs) takes them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_vcpu_regs")]
#[doc(alias = "acrn_vcpu_regs")]
pub struct VcpuRegs {
    /// Which vCPU of the VM; in practice [`VcpuId::BSP`].
    pub vcpu_id: VcpuId,
    /// Zero.
    #[payload(reserved)]
    pub reserved: [u16; 3],
    /// Its registers.
    #[payload(c = "vcpu_regs")]
    pub regs: Regs,
}
layout!(VcpuRegs: 296 bytes, align 8 { vcpu_id @ 0, reserved @ 2, regs @ 8 });
zero_default!(VcpuRegs);

impl VcpuRegs {
    /// These registers for this vCPU.
    #[must_use]
    pub const fn new(vcpu: VcpuId, regs: Regs) -> Self {
        Self {
            vcpu_id: vcpu,
            reserved: [0; 3],
            regs,
        }
    }

    /// These registers for the vCPU that boots.
    #[must_use]
    pub const fn bsp(regs: Regs) -> Self {
        Self::new(VcpuId::BSP, regs)
    }
}
