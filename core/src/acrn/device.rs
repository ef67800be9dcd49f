//! Devices for a VM: passed through, or emulated by the hypervisor.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::ids::Bdf;
use super::layout::{layout, zero_default};
use crate::{Gpa, Hpa, Payload, flags, open_enum};

flags! {
    /// How a PCI function is passed through. The hypervisor keeps the bits as the device's own flags.
    pub struct PciDeviceFlags(u32) {
        /// The hypervisor hides details of the device from the VM.
        #[doc(alias = "ACRN_PTDEV_QUIRK_ASSIGN")]
        QUIRK = 1 << 0,
    }
}

/// A PCI function that is passed through.
///
/// To give it back only the two addresses count (`vpci_deassign_pcidev`).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_pcidev")]
#[doc(alias = "acrn_pcidev")]
pub struct PciDevice {
    /// How it is passed through.
    #[payload(c = "type")]
    pub flags: PciDeviceFlags,
    /// Where the VM sees it.
    pub virt_bdf: Bdf,
    /// Where the machine has it.
    pub phys_bdf: Bdf,
    /// What the VM reads from the interrupt line register.
    pub intr_line: u8,
    /// What the VM reads from the interrupt pin register.
    pub intr_pin: u8,
    /// Zero. C has no name for these two bytes.
    #[payload(reserved)]
    pub pad: [u8; 2],
    /// The base address registers as the VM starts with them.
    pub bar: [u32; 6],
}
layout!(PciDevice: 36 bytes, align 4 {
    flags @ 0, virt_bdf @ 4, phys_bdf @ 6, intr_line @ 8, intr_pin @ 9, pad @ 10, bar @ 12,
});
zero_default!(PciDevice);

impl PciDevice {
    /// A function with these addresses, no interrupt pin, and base addresses of 0.
    #[must_use]
    pub const fn new(virt_bdf: Bdf, phys_bdf: Bdf) -> Self {
        Self {
            flags: PciDeviceFlags::empty(),
            virt_bdf,
            phys_bdf,
            intr_line: 0,
            intr_pin: 0,
            pad: [0; 2],
            bar: [0; 6],
        }
    }
}

open_enum! {
    /// The memory type of a device's registers, as a second-level page table entry holds it (SDM volume 3, 29.3.7):
    /// the type shifted left by 3. The hypervisor masks all other bits off.
    pub struct MmioMemType(u64) {
        /// Uncached: what registers want.
        #[doc(alias = "EPT_UNCACHED")]
        UC = 0 << 3,
        /// Write-combining.
        #[doc(alias = "EPT_WC")]
        WC = 1 << 3,
        /// Write-through.
        #[doc(alias = "EPT_WT")]
        WT = 4 << 3,
        /// Write-protected.
        #[doc(alias = "EPT_WP")]
        WP = 5 << 3,
        /// Write-back.
        #[doc(alias = "EPT_WB")]
        WB = 6 << 3,
    }
}

/// One range of a device's registers. A size of 0 has no effect.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_mmiores")]
#[doc(alias = "acrn_mmiores")]
pub struct MmioResource {
    /// Where the VM sees it. A multiple of 4096.
    // The program lays the VM's memory out.
    #[payload(plain)]
    pub user_vm_pa: Gpa,
    /// Where the machine has it. A multiple of 4096, and **not checked**: the hypervisor maps whatever is there, its
    /// own memory included (observed).
    #[doc(alias = "service_vm_pa")]
    pub host_pa: Hpa,
    /// Bytes. A multiple of 4096.
    #[payload(units = "bytes")]
    pub size: u64,
    /// The memory type.
    pub mem_type: MmioMemType,
}
layout!(MmioResource: 32 bytes, align 8 { user_vm_pa @ 0, host_pa @ 8, size @ 16, mem_type @ 24 });
zero_default!(MmioResource);

impl MmioResource {
    /// Nothing.
    pub const NONE: Self = Self::new(Gpa(0), Hpa(0), 0);

    /// An uncached range.
    #[must_use]
    pub const fn new(user_vm_pa: Gpa, host_pa: Hpa, size: u64) -> Self {
        Self {
            user_vm_pa,
            host_pa,
            size,
            mem_type: MmioMemType::UC,
        }
    }
}

/// A device that is nothing but up to three ranges of registers.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_mmiodev")]
#[doc(alias = "acrn_mmiodev")]
pub struct MmioDevice {
    /// Its name, for people: NUL-terminated unless it fills the field.
    #[payload(text)]
    pub name: [u8; 8],
    /// Its ranges. All three are always looked at; [`MmioResource::NONE`] for those it lacks.
    #[payload(c = "res")]
    pub resources: [MmioResource; 3],
}
layout!(MmioDevice: 104 bytes, align 8 { name @ 0, resources @ 8 });
zero_default!(MmioDevice);

impl MmioDevice {
    /// A device of one range.
    #[must_use]
    pub const fn new(name: [u8; 8], resource: MmioResource) -> Self {
        Self {
            name,
            resources: [resource, MmioResource::NONE, MmioResource::NONE],
        }
    }
}

/// What an emulated device is: PCI vendor and device, or the number of a legacy device with both 0.
///
/// C has a union of this and one `u64`, which the hypervisor compares as a whole.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C, align(8))]
#[payload(c = "acrn_vdev_id")]
pub struct VdevId {
    /// The PCI vendor.
    pub vendor: u16,
    /// The vendor's device.
    pub device: u16,
    /// The number of a legacy device; 0 for a PCI device.
    pub legacy_id: u32,
}
layout!(VdevId: 8 bytes, align 8 { vendor @ 0, device @ 2, legacy_id @ 4 });
zero_default!(VdevId);

impl VdevId {
    /// Memory shared between VMs. Needs a region of this name and size in the VM's configuration, else -22.
    #[doc(alias = "IVSHMEM_VENDOR_ID")]
    pub const IVSHMEM: Self = Self::pci(0x1af4, 0x1110);
    /// A serial port on PCI (MCS9900). Needs a port of this index in the VM's configuration, else -22.
    #[doc(alias = "MCS9900_VENDOR")]
    pub const MCS9900: Self = Self::pci(0x9710, 0x9900);
    /// A root port for precision time measurement. Needs no configuration: without a matching one the call answers 0
    /// and adds nothing (`create_vrp`).
    #[doc(alias = "VRP_VENDOR")]
    pub const ROOT_PORT: Self = Self::pci(0x8086, 0x9d14);

    /// A PCI device.
    #[must_use]
    pub const fn pci(vendor: u16, device: u16) -> Self {
        Self {
            vendor,
            device,
            legacy_id: 0,
        }
    }
}

/// A device that the hypervisor emulates.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_vdev")]
#[doc(alias = "acrn_vdev")]
pub struct VirtualDevice {
    /// What it is.
    pub id: VdevId,
    /// Where the VM sees it: the low 16 bits are a [`Bdf`] for a PCI device.
    pub slot: u64,
    /// The base address registers, as the VM starts with them.
    pub io_addr: [u32; 6],
    /// Their sizes.
    #[payload(units = "bytes")]
    pub io_size: [u32; 6],
    /// What else the device needs: the region's name, the port's index (16 bits), or a [`VrpConfig`].
    pub args: [u8; 128],
}
layout!(VirtualDevice: 192 bytes, align 8 { id @ 0, slot @ 8, io_addr @ 16, io_size @ 40, args @ 64 });
zero_default!(VirtualDevice);

impl VirtualDevice {
    /// A PCI device without registers and arguments.
    #[must_use]
    pub const fn new(id: VdevId, bdf: Bdf) -> Self {
        Self {
            id,
            slot: bdf.0 as u64,
            io_addr: [0; 6],
            io_size: [0; 6],
            args: [0; 128],
        }
    }

    /// The same device with these arguments; what does not fit into 128 bytes is cut off.
    #[must_use]
    pub fn with_args(mut self, args: &[u8]) -> Self {
        self.args = [0; 128];
        for (place, byte) in self.args.iter_mut().zip(args) {
            *place = *byte;
        }
        self
    }

    /// Where the VM sees it, as the hypervisor reads it.
    #[must_use]
    pub const fn bdf(&self) -> Bdf {
        let [low, high, ..] = self.slot.to_le_bytes();
        Bdf(u16::from_le_bytes([low, high]))
    }
}

/// A virtual root port, as the arguments of a [`VdevId::ROOT_PORT`].
///
/// ```
/// use hypercall_core::acrn::{Bdf, VdevId, VirtualDevice, VrpConfig};
/// use zerocopy::IntoBytes;
///
/// let port = VrpConfig { phy_bdf: Bdf::new(0, 0x1c, 0), secondary_bus: 1, ..VrpConfig::default() };
/// let device = VirtualDevice::new(VdevId::ROOT_PORT, Bdf::new(0, 4, 0)).with_args(port.as_bytes());
/// # assert_eq!(device.args[4], 1);
/// ```
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "vrp_config")]
#[doc(alias = "vrp_config")]
pub struct VrpConfig {
    /// The root port of the machine.
    pub phy_bdf: Bdf,
    /// The largest payload, as its device capabilities encode it.
    pub max_payload: u8,
    /// The bus that the port is on.
    pub primary_bus: u8,
    /// The bus behind it. The hypervisor finds the port's configuration by it.
    pub secondary_bus: u8,
    /// The last bus behind it.
    pub subordinate_bus: u8,
    /// Whether the port measures time: 0 or 1.
    pub ptm_capable: u8,
    /// Zero. C has no name for this byte.
    #[payload(reserved)]
    pub pad: u8,
    /// Where the capability for it is in the port's configuration space.
    #[payload(units = "bytes")]
    pub ptm_cap_offset: u32,
}
layout!(VrpConfig: 12 bytes, align 4 {
    phy_bdf @ 0, max_payload @ 2, primary_bus @ 3, secondary_bus @ 4, subordinate_bus @ 5, ptm_capable @ 6, pad @ 7,
    ptm_cap_offset @ 8,
});
zero_default!(VrpConfig);
