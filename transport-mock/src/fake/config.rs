//! What the fake machine is made of.
//!
//! [`FakeConfig::default`] is a small machine: one processor, 1 GiB of RAM, a debug build of ACRN, a Service VM and
//! one configured User VM. Change what a test is about:
//!
//! ```
//! use hypercall_mock::fake::{Build, FakeAcrn, FakeConfig};
//!
//! let fake = FakeAcrn::with_config(FakeConfig { pcpus: 4, build: Build::Release, ..FakeConfig::default() });
//! # let _ = fake;
//! ```

use alloc::{vec, vec::Vec};
use core::ops::Range;

/// The `CONFIG_…` options, the VM table (`vm_configs`) and the platform of an ACRN.
///
/// Nothing is checked when the machine is built: like ACRN's, a strange configuration gives strange answers. Lists are
/// cut where ACRN's tables end (16 VMs, 64 processors).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeConfig {
    /// Physical processors, 1 to 64; their local APIC ids are 0, 1, 2, …
    pub pcpus: u16,
    /// Debug or release build.
    pub build: Build,
    /// The VM table from slot 0. The first [`LoadOrder::ServiceVm`] is the caller; ids are relative to its slot.
    pub vms: Vec<VmConfig>,
    /// Slots (`CONFIG_MAX_VM_NUM`), 1 to 16. Those that `vms` does not fill take VMs of any other name.
    pub max_vms: u16,
    /// What is where.
    pub memory: MemoryConfig,
    /// Input lines of the real I/O APICs: the Service VM's range of GSIs.
    pub ioapic_lines: u32,
    /// How many VMs may have a secure world (`MAX_TRUSTY_VM_NUM`).
    pub trusty_vms: u16,
    /// C-states that the hypervisor's table has for this processor, C1 first; at most 7 are used.
    pub cstates: Vec<CState>,
    /// What SET_VCPU_REGS takes in CR0.
    pub cr0: ControlRegister,
    /// What SET_VCPU_REGS takes in CR4.
    pub cr4: ControlRegister,
    /// PCI functions that the Service VM owns when it starts.
    pub pci: Vec<PciFunction>,
    /// TSC frequency in kHz, as leaf 0x4000_0010 reports it.
    pub tsc_khz: u32,
}

/// Which ACRN was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Build {
    /// `RELEASE=n`: SETUP_HV_NPK_LOG, PROFILING_OPS, GET_HW_INFO and the sbufs of processors work, and the device
    /// model may pass the PMU through.
    Debug,
    /// `RELEASE=y`: they answer -1.
    Release,
}

/// A row of the VM table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmConfig {
    /// The name, NUL-padded; 16 bytes without a NUL are a name as well.
    pub name: [u8; 16],
    /// Who starts it.
    pub load_order: LoadOrder,
    /// Flags of the configuration; [`STATIC_VM`](crate::fake::STATIC_VM) is added to every row of the table.
    pub flags: u64,
    /// Processors that it may use, one bit each.
    pub affinity: u64,
    /// Its severity. ACRN: User VM 0x10, Service VM 0x20, real-time VM 0x30, safety VM 0x40. A VM above 0x20 is out
    /// of the Service VM's reach while it runs.
    pub severity: u8,
    /// Virtual devices that ADD_VDEV may create.
    pub vdevs: Vec<VdevSlot>,
    /// Interrupt lines that are passed through when it is created: (virtual GSI, physical GSI).
    pub lines: Vec<(u32, u32)>,
}

impl VmConfig {
    /// A User VM that the device model starts, on the given processors.
    #[must_use]
    pub fn user_vm(name: &str, affinity: u64) -> Self {
        Self {
            name: vm_name(name),
            load_order: LoadOrder::PostLaunched,
            flags: 0,
            affinity,
            severity: 0x10,
            vdevs: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// The Service VM, on the given processors.
    #[must_use]
    pub fn service_vm(affinity: u64) -> Self {
        Self {
            load_order: LoadOrder::ServiceVm,
            severity: SERVICE_SEVERITY,
            ..Self::user_vm("ACRN_Service_VM", affinity)
        }
    }
}

/// The first 16 bytes of a name, NUL-padded.
#[must_use]
pub fn vm_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    bytes
}

/// Who starts a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoadOrder {
    /// The hypervisor, at boot. No hypercall reaches it: -25.
    PreLaunched,
    /// The hypervisor, at boot. It makes the calls.
    ServiceVm,
    /// The device model, by CREATE_VM.
    PostLaunched,
}

/// A virtual device in the configuration of a VM (`acrn_vm_pci_dev_config`).
///
/// ADD_VDEV finds it by whichever of the three its device kind goes by, whatever the slot was meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct VdevSlot {
    /// ivshmem (1af4:1110): the name of its shared memory region, NUL-padded.
    pub region: [u8; 32],
    /// ivshmem: bytes of the region; 0 where there is no such region.
    pub region_size: u64,
    /// Serial port (9710:9900): its number.
    pub uart: u16,
    /// Root port (8086:9d14): its secondary bus.
    pub secondary_bus: u16,
}

/// What is where in host memory, and what of it the Service VM sees. The Service VM's addresses are host addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryConfig {
    /// RAM. Reads of anything else give ones, writes are lost.
    pub ram: Vec<Range<u64>>,
    /// The Service VM sees 0 up to here (at least 4 GiB)…
    pub service_vm_top: u64,
    /// …without the hypervisor…
    pub hypervisor: Range<u64>,
    /// …and without these: the I/O APIC's page, whatever else the platform keeps to itself (the start-up code of other
    /// processors, PCI configuration memory, registers of IOMMUs).
    pub hidden: Vec<Range<u64>>,
    /// The host page that is mapped at 0xfee0_0000 in the Service VM and in every User VM that has a vCPU.
    pub apic_access_page: u64,
    /// Host memory of the first secure world, 16 MiB for each: part of the hypervisor's own memory.
    pub secure_worlds: u64,
    /// Pages for the page tables of one VM.
    pub table_pages: usize,
    /// Whether the processor has 1 GiB pages in its extended page tables.
    pub giant_pages: bool,
    /// Whether large pages are kept from being executable (`CONFIG_MCE_ON_PSC_WORKAROUND_ENABLED` on a processor that
    /// needs it).
    pub no_large_code: bool,
}

/// A C-state, as PM_GET_CPU_STATE hands it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CState {
    /// ACPI address space id of its register.
    pub space: u8,
    /// Width of the register in bits.
    pub width: u8,
    /// Offset of the register in bits.
    pub offset: u8,
    /// Access size.
    pub access: u8,
    /// Address of the register.
    pub address: u64,
    /// C1, C2 or C3: 1, 2, 3.
    pub kind: u8,
    /// Latency in microseconds.
    pub latency: u32,
    /// Power in milliwatts.
    pub power: u64,
}

/// What SET_VCPU_REGS takes in a control register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlRegister {
    /// Bits that may be set, the required ones apart.
    pub allowed: u64,
    /// Bits that must be set.
    pub required: u64,
}

impl ControlRegister {
    /// Whether ACRN takes the value.
    #[must_use]
    pub const fn takes(&self, value: u64) -> bool {
        value & !(self.allowed | self.required) == 0 && value & self.required == self.required
    }
}

/// A PCI function of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciFunction {
    /// Bus 15:8, device 7:3, function 2:0.
    pub bdf: u16,
    /// It is a bridge (a host bridge too): it cannot be assigned.
    pub bridge: bool,
    /// Base address registers.
    pub bars: [Bar; 6],
}

/// A base address register of a PCI function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Bar {
    /// Not implemented, or the upper half of the one before.
    #[default]
    None,
    /// Memory: base address and size in bytes.
    Memory {
        /// Base address.
        base: u64,
        /// Bytes, a power of two.
        size: u64,
    },
    /// I/O ports: first port and number of ports. A User VM must see them at the same place.
    Ports {
        /// First port.
        base: u16,
        /// Ports, a power of two.
        size: u16,
    },
}

/// `SEVERITY_SERVICE_VM`.
pub(crate) const SERVICE_SEVERITY: u8 = 0x20;

const CR0_PE: u64 = 1;
const CR0_NE: u64 = 1 << 5;

impl Default for FakeConfig {
    fn default() -> Self {
        Self {
            pcpus: 1,
            build: Build::Debug,
            vms: vec![
                VmConfig::service_vm(1),
                VmConfig::user_vm("POST_STD_VM1", 1),
            ],
            max_vms: 16,
            memory: MemoryConfig::default(),
            ioapic_lines: 24,
            trusty_vms: 0,
            cstates: Vec::new(),
            cr0: ControlRegister {
                // PE, MP, EM, TS, ET, WP, AM, NW, CD, PG.
                allowed: CR0_PE | 0x1e | 1 << 16 | 1 << 18 | 1 << 29 | 1 << 30 | 1 << 31,
                required: CR0_NE,
            },
            cr4: ControlRegister {
                // VME to OSXMMEXCPT, FSGSBASE, PCIDE, OSXSAVE, SMEP, SMAP.
                allowed: 0x7ff | 7 << 16 | 3 << 20,
                required: 0,
            },
            pci: Vec::new(),
            tsc_khz: 1_000_000,
        }
    }
}

impl Default for MemoryConfig {
    #[expect(
        clippy::single_range_in_vec_init,
        reason = "the lists are of ranges, and have one here"
    )]
    fn default() -> Self {
        Self {
            ram: vec![0..1 << 30],
            service_vm_top: 4 << 30,
            hypervisor: 0x1100_0000..0x11e0_0000,
            hidden: vec![0xfec0_0000..0xfec0_1000],
            apic_access_page: 0x11c5_2000,
            secure_worlds: 0x1100_0000,
            table_pages: 3776,
            giant_pages: true,
            no_large_code: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_registers() {
        let FakeConfig { cr0, cr4, .. } = FakeConfig::default();
        assert!(cr0.takes(0x21) && cr0.takes(0x20) && cr0.takes(0x8000_0031));
        assert!(!cr0.takes(0x11) && !cr0.takes(0x61) && !cr0.takes(0x1_0000_0021));
        assert!(cr4.takes(0x20) && !cr4.takes(0x2000) && !cr4.takes(1 << 11));
    }
}
