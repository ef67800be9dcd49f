//! A message-signalled interrupt: the address and the data of a write that a device would make.
//!
//! The bits are those of the Intel SDM, volume 3, 11.11 (message address and data register formats).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::acrn::layout::{layout, zero_default};
use crate::{Payload, open_enum, register_id};

register_id! {
    /// Where a message goes: which local APIC, and how its id is to be read.
    ///
    /// Bits 31:20 must be `0xfee`, else the call is refused; 19:12 are the destination, 3 the redirection hint, 2 the
    /// destination mode. The hypervisor ignores the bits above 31 (observed).
    #[doc(alias = "msi_addr")]
    pub struct MsiAddress(u64);
}

impl MsiAddress {
    const BASE: u64 = 0xfee0_0000;

    /// The local APIC of this id, which is its vCPU's number unless the VM changed it.
    #[must_use]
    pub const fn to_apic(destination: u8) -> Self {
        Self(Self::BASE | (destination as u64) << 12)
    }

    /// The same address with the destination read as a logical id: the hypervisor may choose the least busy of the
    /// APICs that it names.
    #[must_use]
    pub const fn logical(self) -> Self {
        Self(self.0 | 0b1100)
    }

    /// The destination, bits 19:12.
    #[must_use]
    pub const fn destination(self) -> u8 {
        let [_, low, high, ..] = self.0.to_le_bytes();
        low >> 4 | high << 4
    }

    /// Whether the destination is a logical id.
    #[must_use]
    pub const fn is_logical(self) -> bool {
        self.0 & 0b100 != 0
    }

    /// Whether bits 31:20 name the local APICs at all.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.0 & 0xfff0_0000 == Self::BASE
    }
}

open_enum! {
    /// How a local APIC takes a message: bits 10:8 of the data.
    pub struct DeliveryMode(u8) {
        /// The vector, at every destination.
        FIXED = 0,
        /// The vector, at the destination of the lowest priority.
        LOWEST_PRIORITY = 1,
        /// A system management interrupt.
        SMI = 2,
        /// A non-maskable interrupt.
        NMI = 4,
        /// Back to the state after reset.
        INIT = 5,
        /// As if it came from an 8259.
        EXTINT = 7,
    }
}

register_id! {
    /// What a message says: the vector in bits 7:0, the delivery mode in 10:8.
    ///
    /// A trigger mode in bit 15 is ignored: messages are edges.
    #[doc(alias = "msi_data")]
    pub struct MsiData(u64);
}

impl MsiData {
    /// This vector, in [`DeliveryMode::FIXED`]. The hypervisor accepts every vector, also those below 16 that no APIC
    /// delivers (observed).
    #[must_use]
    pub const fn vector_of(vector: u8) -> Self {
        Self(vector as u64)
    }

    /// The same vector in another delivery mode, of which the low 3 bits count.
    #[must_use]
    pub const fn with_delivery(self, mode: DeliveryMode) -> Self {
        Self((self.0 & !0x700) | ((mode.0 & 7) as u64) << 8)
    }

    /// The vector.
    #[must_use]
    pub const fn vector(self) -> u8 {
        let [vector, ..] = self.0.to_le_bytes();
        vector
    }

    /// The delivery mode.
    #[must_use]
    pub const fn delivery(self) -> DeliveryMode {
        let [_, mode, ..] = self.0.to_le_bytes();
        DeliveryMode(mode & 7)
    }
}

/// A message to inject into a VM.
///
/// ```
/// use hypercall_core::acrn::{DeliveryMode, MsiAddress, MsiData, MsiEntry};
///
/// let msi = MsiEntry::new(MsiAddress::to_apic(0x12), MsiData::vector_of(0x31));
/// assert_eq!((msi.address.0, msi.data.0), (0xfee1_2000, 0x31));
/// assert_eq!(msi.address.destination(), 0x12);
///
/// let nmi = MsiData::vector_of(0).with_delivery(DeliveryMode::NMI);
/// assert_eq!((nmi.0, nmi.delivery()), (0x400, DeliveryMode::NMI));
/// ```
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_msi_entry")]
#[doc(alias = "acrn_msi_entry")]
pub struct MsiEntry {
    /// Where it goes.
    #[payload(c = "msi_addr")]
    pub address: MsiAddress,
    /// What it says.
    #[payload(c = "msi_data")]
    pub data: MsiData,
}
layout!(MsiEntry: 16 bytes, align 8 { address @ 0, data @ 8 });
zero_default!(MsiEntry);

impl MsiEntry {
    /// A message from its two halves.
    #[must_use]
    pub const fn new(address: MsiAddress, data: MsiData) -> Self {
        Self { address, data }
    }
}
