//! The interrupt pin of a pass-through device, on both sides.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::acrn::ids::Bdf;
use crate::acrn::layout::{layout, zero_default};
use crate::{Payload, open_enum};

open_enum! {
    /// How a pass-through device interrupts.
    pub struct PtdevIrqKind(u32) {
        /// By a pin. The only kind that the hypervisor accepts here.
        #[doc(alias = "IRQ_INTX")]
        #[doc(alias = "ACRN_PTDEV_IRQ_INTX")]
        INTX = 0,
        /// By a message. Refused: the hypervisor sees the device's own registers.
        #[doc(alias = "IRQ_MSI")]
        #[doc(alias = "ACRN_PTDEV_IRQ_MSI")]
        MSI = 1,
        /// By one of several messages. Refused as well.
        #[doc(alias = "IRQ_MSIX")]
        #[doc(alias = "ACRN_PTDEV_IRQ_MSIX")]
        MSIX = 2,
    }
}

/// A pin in the VM and the pin of the machine behind it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "intx_info")]
#[doc(alias = "intx_info")]
pub struct Intx {
    /// The pin in the VM: below 48 on its I/O APIC, below 16 on its 8259 controllers.
    pub virt_pin: u32,
    /// The global system interrupt of the machine.
    pub phys_pin: u32,
    /// 1 when [`virt_pin`](Self::virt_pin) is a pin of the 8259 controllers, 0 for the I/O APIC. A C `bool`: no other
    /// value is meaningful.
    #[doc(alias = "is_pic_pin")]
    pub pic_pin: u8,
    /// Zero.
    #[payload(reserved)]
    pub reserved: [u8; 3],
}
layout!(Intx: 12 bytes, align 4 { virt_pin @ 0, phys_pin @ 4, pic_pin @ 8, reserved @ 9 });
zero_default!(Intx);

impl Intx {
    /// A pin of the VM's I/O APIC.
    #[must_use]
    pub const fn ioapic(virt_pin: u32, phys_pin: u32) -> Self {
        Self {
            virt_pin,
            phys_pin,
            pic_pin: 0,
            reserved: [0; 3],
        }
    }

    /// A pin of the VM's 8259 controllers.
    #[must_use]
    pub const fn pic(virt_pin: u32, phys_pin: u32) -> Self {
        Self {
            virt_pin,
            phys_pin,
            pic_pin: 1,
            reserved: [0; 3],
        }
    }
}

/// The interrupt pin of one device.
///
/// The hypervisor reads all 24 bytes. Linux's driver allocates 20 of them, so the last four are whatever its heap
/// held: here they are a field, and zero.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C, align(8))]
#[payload(c = "hc_ptdev_irq")]
#[doc(alias = "hc_ptdev_irq")]
#[doc(alias = "acrn_ptdev_irq")]
pub struct PtdevIrq {
    /// How the device interrupts: [`INTX`](PtdevIrqKind::INTX).
    #[payload(c = "type")]
    pub kind: PtdevIrqKind,
    /// The device, as the VM sees it.
    pub virt_bdf: Bdf,
    /// The device, as the machine sees it.
    pub phys_bdf: Bdf,
    /// Its pins.
    pub intx: Intx,
    /// Zero. C has no name for these four bytes.
    #[payload(reserved)]
    pub pad: u32,
}
layout!(PtdevIrq: 24 bytes, align 8 { kind @ 0, virt_bdf @ 4, phys_bdf @ 6, intx @ 8, pad @ 20 });
zero_default!(PtdevIrq);

impl PtdevIrq {
    /// The pins of this device.
    #[must_use]
    pub const fn intx(virt_bdf: Bdf, phys_bdf: Bdf, intx: Intx) -> Self {
        Self {
            kind: PtdevIrqKind::INTX,
            virt_bdf,
            phys_bdf,
            intx,
            pad: 0,
        }
    }
}
