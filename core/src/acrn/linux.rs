//! Linux's side: the numbers of the ioctls of `/dev/acrn_hsm`, its driver's device.
//!
//! A number holds a direction, the size of the parameter, the type 0xa2, and an index, as Linux's `_IOC` packs them.
//! The values are those of `include/uapi/linux/acrn.h` in Linux 6.1; [`device_model`] has those that ACRN's device
//! model uses and that header lacks. Where a call's number and its ioctl's index have the same low byte, that is
//! chance: SET_MEMSEG is index 0x41, the call behind it 0x42.

/// What an ioctl's number says about itself.
///
/// ```
/// use hypercall_core::acrn::linux::{self, Ioctl};
///
/// let create = Ioctl(linux::CREATE_VM);
/// assert_eq!((create.index(), create.size()), (0x10, 48));
/// assert!(create.reads() && create.writes());
/// assert_eq!(create.name(), Some("CREATE_VM"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ioctl(pub u32);

impl Ioctl {
    /// The index: bits 7:0.
    #[must_use]
    pub const fn index(self) -> u8 {
        let [index, ..] = self.0.to_le_bytes();
        index
    }

    /// The type: bits 15:8, [`TYPE`] for this driver.
    #[must_use]
    pub const fn kind(self) -> u8 {
        let [_, kind, ..] = self.0.to_le_bytes();
        kind
    }

    /// The size of the parameter in bytes: bits 29:16.
    #[must_use]
    pub const fn size(self) -> u32 {
        (self.0 >> 16) & 0x3fff
    }

    /// Whether the program is read from: bit 30.
    #[must_use]
    pub const fn writes(self) -> bool {
        self.0 & 1 << 30 != 0
    }

    /// Whether the program is written to: bit 31.
    #[must_use]
    pub const fn reads(self) -> bool {
        self.0 & 1 << 31 != 0
    }

    /// The name, without its prefix.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        ALL.iter()
            .chain(device_model::ALL)
            .find(|(_, number)| *number == self.0)
            .map(|(name, _)| *name)
    }
}

/// The driver's ioctl type.
#[doc(alias = "ACRN_IOCTL_TYPE")]
pub const TYPE: u8 = 0xa2;

macro_rules! ioctls {
    ($list:ident: $($(#[$meta:meta])* $name:ident = $number:literal;)+) => {
        $($(#[$meta])* pub const $name: u32 = $number;)+
        /// Every number of this module, by name.
        pub const $list: &[(&str, u32)] = &[$((stringify!($name), $name)),+];
    };
}

ioctls! { ALL:
    /// Calls CREATE_VM, then SET_IOREQ_BUFFER with the page of the user address in `ioreq_buf`. Parameter:
    /// [`VmCreation`](super::VmCreation). Any failure becomes `EINVAL`.
    #[doc(alias = "ACRN_IOCTL_CREATE_VM")]
    CREATE_VM = 0xc030_a210;
    /// Calls DESTROY_VM. No parameter.
    #[doc(alias = "ACRN_IOCTL_DESTROY_VM")]
    DESTROY_VM = 0x0000_a211;
    /// Calls START_VM. No parameter.
    #[doc(alias = "ACRN_IOCTL_START_VM")]
    START_VM = 0x0000_a212;
    /// Calls PAUSE_VM. No parameter.
    #[doc(alias = "ACRN_IOCTL_PAUSE_VM")]
    PAUSE_VM = 0x0000_a213;
    /// Calls RESET_VM. No parameter.
    #[doc(alias = "ACRN_IOCTL_RESET_VM")]
    RESET_VM = 0x0000_a215;
    /// Calls SET_VCPU_REGS. Parameter: [`VcpuRegs`](super::VcpuRegs), whose reserved fields must be 0.
    #[doc(alias = "ACRN_IOCTL_SET_VCPU_REGS")]
    SET_VCPU_REGS = 0x4128_a216;
    /// Calls INJECT_MSI. Parameter: [`MsiEntry`](super::MsiEntry).
    #[doc(alias = "ACRN_IOCTL_INJECT_MSI")]
    INJECT_MSI = 0x4010_a223;
    /// Calls VM_INTR_MONITOR. The argument is the page's user address itself.
    #[doc(alias = "ACRN_IOCTL_VM_INTR_MONITOR")]
    VM_INTR_MONITOR = 0x4008_a224;
    /// Calls SET_IRQLINE. The argument is the value itself: [`IrqLine`](super::IrqLine).
    #[doc(alias = "ACRN_IOCTL_SET_IRQLINE")]
    SET_IRQLINE = 0x4008_a225;
    /// Sets a request to COMPLETE and calls NOTIFY_REQUEST_FINISH unless the hypervisor polls.
    #[doc(alias = "ACRN_IOCTL_NOTIFY_REQUEST_FINISH")]
    NOTIFY_REQUEST_FINISH = 0x4008_a231;
    /// Makes the program the one that serves requests. No call.
    #[doc(alias = "ACRN_IOCTL_CREATE_IOREQ_CLIENT")]
    CREATE_IOREQ_CLIENT = 0x0000_a232;
    /// Waits for a request. No call. Returns 0 on a signal as well.
    #[doc(alias = "ACRN_IOCTL_ATTACH_IOREQ_CLIENT")]
    ATTACH_IOREQ_CLIENT = 0x0000_a233;
    /// Ends what CREATE_IOREQ_CLIENT began. No call.
    #[doc(alias = "ACRN_IOCTL_DESTROY_IOREQ_CLIENT")]
    DESTROY_IOREQ_CLIENT = 0x0000_a234;
    /// Completes every request that is waiting.
    #[doc(alias = "ACRN_IOCTL_CLEAR_VM_IOREQ")]
    CLEAR_VM_IOREQ = 0x0000_a235;
    /// Calls VM_SET_MEMORY_REGIONS to map.
    #[doc(alias = "ACRN_IOCTL_SET_MEMSEG")]
    SET_MEMSEG = 0x4020_a241;
    /// Calls VM_SET_MEMORY_REGIONS to unmap; device memory only.
    #[doc(alias = "ACRN_IOCTL_UNSET_MEMSEG")]
    UNSET_MEMSEG = 0x4020_a242;
    /// Calls SET_PTDEV_INTR_INFO. Parameter: the first 20 bytes of [`PtdevIrq`](super::PtdevIrq).
    #[doc(alias = "ACRN_IOCTL_SET_PTDEV_INTR")]
    SET_PTDEV_INTR = 0x4014_a253;
    /// Calls RESET_PTDEV_INTR_INFO. Parameter as above.
    #[doc(alias = "ACRN_IOCTL_RESET_PTDEV_INTR")]
    RESET_PTDEV_INTR = 0x4014_a254;
    /// Calls ASSIGN_PCIDEV. Parameter: [`PciDevice`](super::PciDevice).
    #[doc(alias = "ACRN_IOCTL_ASSIGN_PCIDEV")]
    ASSIGN_PCIDEV = 0x4024_a255;
    /// Calls DEASSIGN_PCIDEV. Parameter: [`PciDevice`](super::PciDevice).
    #[doc(alias = "ACRN_IOCTL_DEASSIGN_PCIDEV")]
    DEASSIGN_PCIDEV = 0x4024_a256;
    /// Calls ASSIGN_MMIODEV. Parameter: [`MmioDevice`](super::MmioDevice).
    #[doc(alias = "ACRN_IOCTL_ASSIGN_MMIODEV")]
    ASSIGN_MMIODEV = 0x4068_a257;
    /// Calls DEASSIGN_MMIODEV. Parameter: [`MmioDevice`](super::MmioDevice).
    #[doc(alias = "ACRN_IOCTL_DEASSIGN_MMIODEV")]
    DEASSIGN_MMIODEV = 0x4068_a258;
    /// Calls ADD_VDEV. Parameter: [`VirtualDevice`](super::VirtualDevice).
    #[doc(alias = "ACRN_IOCTL_CREATE_VDEV")]
    CREATE_VDEV = 0x40c0_a259;
    /// Calls REMOVE_VDEV. Parameter: [`VirtualDevice`](super::VirtualDevice).
    #[doc(alias = "ACRN_IOCTL_DESTROY_VDEV")]
    DESTROY_VDEV = 0x40c0_a25a;
    /// Calls PM_GET_CPU_STATE. Parameter: a [`PmCommand`](super::PmCommand), over which the answer is written: 8, 48 or
    /// 32 bytes.
    #[doc(alias = "ACRN_IOCTL_PM_GET_CPU_STATE")]
    PM_GET_CPU_STATE = 0xc008_a260;
    /// Counts writes to an address in an event file. No call.
    #[doc(alias = "ACRN_IOCTL_IOEVENTFD")]
    IOEVENTFD = 0x4020_a270;
    /// Calls INJECT_MSI whenever an event file is written to.
    #[doc(alias = "ACRN_IOCTL_IRQFD")]
    IRQFD = 0x4018_a271;
}

/// Ioctls that ACRN's device model uses and Linux's own driver answers with `ENOTTY`.
pub mod device_model {
    ioctls! { ALL:
        /// Calls SETUP_SBUF for [`ASYNCIO`](crate::acrn::SbufId::ASYNCIO). The argument is the page's user address.
        #[doc(alias = "ACRN_IOCTL_SETUP_ASYNCIO")]
        SETUP_ASYNCIO = 0x4008_a290;
        /// Calls SETUP_SBUF for [`VM_EVENT`](crate::acrn::SbufId::VM_EVENT). The argument is the page's user address.
        #[doc(alias = "ACRN_IOCTL_SETUP_VM_EVENT_RING")]
        SETUP_VM_EVENT_RING = 0x4008_a2a0;
        /// Names the event file that is written to when a VM event comes. No call.
        #[doc(alias = "ACRN_IOCTL_SETUP_VM_EVENT_FD")]
        SETUP_VM_EVENT_FD = 0x4004_a2a1;
        /// Asked for 256 bytes about the platform, from July 2021 to January 2022.
        #[doc(alias = "ACRN_IOCTL_GET_PLATFORM_INFO")]
        GET_PLATFORM_INFO = 0x8100_a203;
        /// Called SETUP_SBUF, from August to November 2022.
        #[doc(alias = "ACRN_IOCTL_SETUP_SBUF")]
        SETUP_SBUF = 0x4010_a243;
    }
}
