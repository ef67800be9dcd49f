//! What a request says: the bytes that lie in a slot.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::state::IoReqState;
use crate::acrn::layout::{layout, zero_default};
use crate::{Gpa, Payload, open_enum};

open_enum! {
    /// What kind of access a request is.
    pub struct IoReqKind(u32) {
        /// A port.
        #[doc(alias = "ACRN_IOREQ_TYPE_PORTIO")]
        PIO = 0,
        /// Memory that is not mapped.
        #[doc(alias = "ACRN_IOREQ_TYPE_MMIO")]
        MMIO = 1,
        /// PCI configuration space. The hypervisor never makes one: Linux's driver turns accesses of the ports 0xcf8
        /// and 0xcfc into it.
        #[doc(alias = "ACRN_IOREQ_TYPE_PCICFG")]
        PCI = 2,
        /// A write to memory that is mapped without the right to write.
        #[doc(alias = "ACRN_IOREQ_TYPE_WP")]
        WRITE_PROTECTED = 3,
    }
}

open_enum! {
    /// Which way a request goes, from the VM's side.
    pub struct IoDirection(u32) {
        /// The VM reads and waits for a value.
        #[doc(alias = "ACRN_IOREQ_DIR_READ")]
        READ = 0,
        /// The VM writes a value.
        #[doc(alias = "ACRN_IOREQ_DIR_WRITE")]
        WRITE = 1,
    }
}

/// An access to a port.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_pio_request")]
#[doc(alias = "acrn_pio_request")]
pub struct PioRequest {
    /// Read or write.
    pub direction: IoDirection,
    /// Zero.
    #[payload(reserved)]
    pub reserved: u32,
    /// The port, 0 to 0xffff.
    pub address: u64,
    /// Width: 1, 2 or 4.
    #[payload(units = "bytes")]
    pub size: u64,
    /// What is written, or was read. A read request shows what the slot's previous request left (observed).
    pub value: u32,
    /// C has no name for these four bytes.
    #[payload(reserved)]
    pub pad: u32,
}
layout!(PioRequest: 32 bytes, align 8 { direction @ 0, reserved @ 4, address @ 8, size @ 16, value @ 24, pad @ 28 });
zero_default!(PioRequest);

/// An access to memory; also of the kind [`WRITE_PROTECTED`](IoReqKind::WRITE_PROTECTED).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_mmio_request")]
#[doc(alias = "acrn_mmio_request")]
pub struct MmioRequest {
    /// Read or write.
    pub direction: IoDirection,
    /// Zero.
    #[payload(reserved)]
    pub reserved: u32,
    /// Where, in the VM.
    // A place in the layout that the program chose.
    #[payload(plain)]
    pub address: Gpa,
    /// Width: 1, 2, 4 or 8.
    #[payload(units = "bytes")]
    pub size: u64,
    /// What is written, or was read. A read request shows what the slot's previous request left (observed).
    pub value: u64,
}
layout!(MmioRequest: 32 bytes, align 8 { direction @ 0, reserved @ 4, address @ 8, size @ 16, value @ 24 });
zero_default!(MmioRequest);

/// An access to PCI configuration space. Its first 28 bytes lie as a [`PioRequest`]'s do, whose port is still there in
/// the bytes called reserved.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_pci_request")]
#[doc(alias = "acrn_pci_request")]
pub struct PciRequest {
    /// Read or write.
    pub direction: IoDirection,
    /// Not zero where Linux's driver made the request: the port's number.
    #[payload(reserved)]
    pub reserved: [u32; 3],
    /// Width: 1, 2 or 4.
    #[payload(units = "bytes")]
    pub size: u64,
    /// What is written, or was read.
    pub value: u32,
    /// The bus, 0 to 255.
    pub bus: u32,
    /// The device, 0 to 31.
    #[payload(c = "dev")]
    pub device: u32,
    /// The function, 0 to 7.
    #[payload(c = "func")]
    pub function: u32,
    /// The offset in configuration space.
    #[payload(c = "reg")]
    pub register: u32,
    /// C has no name for these four bytes.
    #[payload(reserved)]
    pub pad: u32,
}
layout!(PciRequest: 48 bytes, align 8 {
    direction @ 0, reserved @ 4, size @ 16, value @ 24, bus @ 28, device @ 32, function @ 36, register @ 40, pad @ 44,
});
zero_default!(PciRequest);

/// A request by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// A port.
    Pio(PioRequest),
    /// Memory that is not mapped.
    Mmio(MmioRequest),
    /// PCI configuration space.
    Pci(PciRequest),
    /// A write to memory without the right to write.
    WriteProtected(MmioRequest),
    /// A kind that this crate does not know, and its 64 bytes.
    Unknown(IoReqKind, [u64; 8]),
}

impl Request {
    /// Read or write. Of an unknown kind, what stands where the others have it.
    #[must_use]
    pub fn direction(&self) -> IoDirection {
        match self {
            Self::Pio(pio) => pio.direction,
            Self::Mmio(mmio) | Self::WriteProtected(mmio) => mmio.direction,
            Self::Pci(pci) => pci.direction,
            Self::Unknown(_, [first, ..]) => {
                let [a, b, c, d, ..] = first.to_le_bytes();
                IoDirection(u32::from_le_bytes([a, b, c, d]))
            }
        }
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> IoReqKind {
        match self {
            Self::Pio(_) => IoReqKind::PIO,
            Self::Mmio(_) => IoReqKind::MMIO,
            Self::Pci(_) => IoReqKind::PCI,
            Self::WriteProtected(_) => IoReqKind::WRITE_PROTECTED,
            Self::Unknown(kind, _) => *kind,
        }
    }

    /// Width of the access in bytes; 0 for an unknown kind.
    #[must_use]
    pub const fn size(&self) -> u64 {
        match self {
            Self::Pio(pio) => pio.size,
            Self::Mmio(mmio) | Self::WriteProtected(mmio) => mmio.size,
            Self::Pci(pci) => pci.size,
            Self::Unknown(..) => 0,
        }
    }

    /// The value, as wide as it may be; 0 for an unknown kind.
    #[must_use]
    pub fn value(&self) -> u64 {
        match self {
            Self::Pio(pio) => u64::from(pio.value),
            Self::Mmio(mmio) | Self::WriteProtected(mmio) => mmio.value,
            Self::Pci(pci) => u64::from(pci.value),
            Self::Unknown(..) => 0,
        }
    }

    /// The request of this kind whose 64 bytes are `data`.
    #[must_use]
    pub fn decode(kind: IoReqKind, data: [u64; 8]) -> Self {
        let bytes = data.as_bytes();
        let known = match kind {
            IoReqKind::PIO => PioRequest::read_from_prefix(bytes)
                .ok()
                .map(|(pio, _)| Self::Pio(pio)),
            IoReqKind::MMIO => MmioRequest::read_from_prefix(bytes)
                .ok()
                .map(|(mmio, _)| Self::Mmio(mmio)),
            IoReqKind::PCI => PciRequest::read_from_prefix(bytes)
                .ok()
                .map(|(pci, _)| Self::Pci(pci)),
            IoReqKind::WRITE_PROTECTED => MmioRequest::read_from_prefix(bytes)
                .ok()
                .map(|(mmio, _)| Self::WriteProtected(mmio)),
            _ => None,
        };
        known.unwrap_or(Self::Unknown(kind, data))
    }

    /// The 64 bytes, zeros behind what the kind uses.
    #[must_use]
    pub fn encode(&self) -> [u64; 8] {
        let mut data = [0_u64; 8];
        let bytes = match self {
            Self::Pio(pio) => pio.as_bytes(),
            Self::Mmio(mmio) | Self::WriteProtected(mmio) => mmio.as_bytes(),
            Self::Pci(pci) => pci.as_bytes(),
            Self::Unknown(_, data) => return *data,
        };
        for (place, byte) in data.as_mut_bytes().iter_mut().zip(bytes) {
            *place = *byte;
        }
        data
    }
}

/// One slot of the request page as it lies in memory: for tools that read a dump.
///
/// A live page is another processor's to write: use [`IoReqPage`](super::IoReqPage).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C, align(256))]
#[payload(c = "acrn_io_request")]
#[doc(alias = "acrn_io_request")]
pub struct IoRequest {
    /// What kind of access it is.
    #[payload(c = "type")]
    pub kind: IoReqKind,
    /// Not 0: the hypervisor polls the state, and needs no notification. It sets this to 1 and never back to 0.
    pub completion_polling: u32,
    /// Not used.
    #[payload(reserved)]
    pub reserved0: [u32; 14],
    /// The request: [`request`](Self::request) reads it by its kind. A union in C.
    pub reqs: [u64; 8],
    /// Not used.
    #[payload(reserved)]
    pub reserved1: u32,
    /// Not 0: Linux's driver serves the request itself.
    pub kernel_handled: u32,
    /// Where the request stands.
    #[payload(c = "processed")]
    pub state: IoReqState,
    /// Not used. C has no name for these bytes.
    #[payload(reserved)]
    pub pad: [u32; 29],
}
layout!(IoRequest: 256 bytes, align 256 {
    kind @ 0, completion_polling @ 4, reserved0 @ 8, reqs @ 64, reserved1 @ 128, kernel_handled @ 132, state @ 136,
    pad @ 140,
});
zero_default!(IoRequest);

impl IoRequest {
    /// The request by its kind.
    #[must_use]
    pub fn request(&self) -> Request {
        Request::decode(self.kind, self.reqs)
    }
}
