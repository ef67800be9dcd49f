//! What ACRN's calls name things by: VMs, processors, interrupts, devices.
//!
//! Each is a type of its own, so that a vCPU id does not compile where a VM id is due. The numbers stay visible and
//! unchecked: whether a VM or a processor exists is the hypervisor's answer to give.

use core::fmt;

use crate::register_id;

register_id! {
    /// A VM, numbered from the Service VM's point of view: 16 bits, and 0 is the Service VM itself.
    ///
    /// The hypervisor adds the Service VM's own number to it (`rel_vmid_2_vmid`), so two boots with other
    /// pre-launched VMs still agree. VM ids are given out by [`create_vm`](super::Hypervisor::create_vm). In a
    /// register only the low 16 bits count.
    #[doc(alias = "vmid")]
    pub struct VmId(u16) as Handle;
}

impl VmId {
    /// The VM that calls: most calls accept it as a target, and
    /// [`pause_vm`](super::Hypervisor::pause_vm) on it never returns.
    pub const SERVICE_VM: Self = Self(0);
    /// No VM: what `CREATE_VM` leaves in memory when it fails after its checks (`ACRN_INVALID_VMID`).
    #[doc(alias = "ACRN_INVALID_VMID")]
    pub const INVALID: Self = Self(0xffff);
}

register_id! {
    /// A virtual processor of one VM: 0 is the first one, which boots.
    ///
    /// It is also the number of the vCPU's slot in the I/O request page; there are 16 slots.
    #[doc(alias = "vcpu_id")]
    pub struct VcpuId(u16);
}

impl VcpuId {
    /// The processor that a VM starts with.
    #[doc(alias = "BSP_CPU_ID")]
    pub const BSP: Self = Self(0);
}

register_id! {
    /// A physical processor, numbered by the hypervisor from 0.
    #[doc(alias = "pcpu_id")]
    pub struct PcpuId(u16);
}

register_id! {
    /// The id of a local APIC, as CPUID and the MADT name it: 32 bits.
    #[doc(alias = "lapicid")]
    pub struct LapicId(u32);
}

register_id! {
    /// A global system interrupt of a VM: the pin of its I/O APIC, and below 16 also of its two 8259 controllers.
    #[doc(alias = "gsi")]
    pub struct Gsi(u32);
}

register_id! {
    /// An interrupt vector. ACRN compares all 64 bits of the register, so the type has them.
    pub struct Vector(u64);
}

impl Vector {
    /// The vector of the upcall until another is set (`HYPERVISOR_CALLBACK_HSM_VECTOR`).
    #[doc(alias = "HYPERVISOR_CALLBACK_HSM_VECTOR")]
    #[doc(alias = "HYPERVISOR_CALLBACK_VECTOR")]
    pub const UPCALL_DEFAULT: Self = Self(0xf3);
}

register_id! {
    /// A PCI function: bus in bits 15:8, device in 7:3, function in 2:0.
    ///
    /// ```
    /// use hypercall_core::acrn::Bdf;
    ///
    /// const NIC: Bdf = Bdf::new(0x03, 0x1f, 6);
    /// assert_eq!(NIC, Bdf(0x03fe));
    /// assert_eq!(NIC.to_string(), "03:1f.6");
    /// assert_eq!((NIC.bus(), NIC.device(), NIC.function()), (0x03, 0x1f, 6));
    /// ```
    #[doc(alias = "pci_bdf")]
    pub struct Bdf(u16);
}

impl Bdf {
    /// Of `device` the low 5 bits count, of `function` the low 3.
    #[must_use]
    pub const fn new(bus: u8, device: u8, function: u8) -> Self {
        let devfn = ((device & 0x1f) << 3) | (function & 7);
        Self(u16::from_be_bytes([bus, devfn]))
    }

    /// The bus, 0 to 255.
    #[must_use]
    pub const fn bus(self) -> u8 {
        let [bus, _] = self.0.to_be_bytes();
        bus
    }

    /// The device on the bus, 0 to 31.
    #[must_use]
    pub const fn device(self) -> u8 {
        let [_, devfn] = self.0.to_be_bytes();
        devfn >> 3
    }

    /// The function of the device, 0 to 7.
    #[must_use]
    pub const fn function(self) -> u8 {
        let [_, devfn] = self.0.to_be_bytes();
        devfn & 7
    }
}

impl fmt::Display for Bdf {
    /// As `lspci` writes it: `03:1f.6`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:02x}:{:02x}.{}",
            self.bus(),
            self.device(),
            self.function()
        )
    }
}

register_id! {
    /// A set of physical processors: bit *n* is [`PcpuId`]`(n)`.
    ///
    /// A VM's vCPU 0 goes to the lowest set bit, vCPU 1 to the next, and so on.
    ///
    /// ```
    /// use hypercall_core::acrn::{PcpuId, PcpuSet};
    ///
    /// let two = PcpuSet::of(&[PcpuId(1), PcpuId(3)]);
    /// assert_eq!(two, PcpuSet(0b1010));
    /// assert!(two.contains(PcpuId(3)) && !two.contains(PcpuId(0)));
    /// assert_eq!(two.len(), 2);
    /// ```
    #[doc(alias = "cpu_affinity")]
    pub struct PcpuSet(u64);
}

impl PcpuSet {
    /// No bit set, which `CREATE_VM` reads as "those of the VM's configuration".
    pub const AS_CONFIGURED: Self = Self(0);

    /// The set of these processors. Numbers above 63 have no bit and are left out.
    #[must_use]
    pub const fn of(pcpus: &[PcpuId]) -> Self {
        let mut set = Self(0);
        let mut rest = pcpus;
        while let [pcpu, others @ ..] = rest {
            set = set.with(*pcpu);
            rest = others;
        }
        set
    }

    /// The set with one processor more. Numbers above 63 have no bit and change nothing.
    #[must_use]
    pub const fn with(self, pcpu: PcpuId) -> Self {
        match 1_u64.checked_shl(pcpu.0 as u32) {
            Some(bit) => Self(self.0 | bit),
            None => self,
        }
    }

    /// Whether the processor is in the set.
    #[must_use]
    pub const fn contains(self, pcpu: PcpuId) -> bool {
        match self.0.checked_shr(pcpu.0 as u32) {
            Some(rest) => rest & 1 == 1,
            None => false,
        }
    }

    /// How many processors are in the set.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether no processor is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}
