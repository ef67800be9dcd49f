//! Writes of a VM that need no answer.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::acrn::layout::{layout, zero_default};
use crate::{Gpa, Payload, open_enum};

open_enum! {
    /// Which kind of access is meant. Anything else is stored and never matches (observed).
    pub struct AsyncIoKind(u32) {
        /// A port.
        #[doc(alias = "ACRN_ASYNCIO_PIO")]
        PIO = 1,
        /// Memory.
        #[doc(alias = "ACRN_ASYNCIO_MMIO")]
        MMIO = 2,
    }
}

/// An address of a VM: a write to it puts [`fd`](Self::fd) into the VM's
/// [`ASYNCIO`](super::SbufId::ASYNCIO) buffer, and the VM goes on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_asyncio_info")]
#[doc(alias = "acrn_asyncio_info")]
pub struct AsyncIoInfo {
    /// Port or memory.
    #[payload(c = "type")]
    pub kind: AsyncIoKind,
    /// 0: every value that is written counts. Otherwise only [`data`](Self::data).
    pub match_data: u32,
    /// The port, or the address in the VM. 0 is refused in silence.
    // A place in the layout that the program chose, or a port.
    #[payload(plain)]
    pub addr: Gpa,
    /// What goes into the buffer: any number, which Linux takes for an event file.
    pub fd: u64,
    /// The value that counts.
    pub data: u64,
}
layout!(AsyncIoInfo: 32 bytes, align 8 { kind @ 0, match_data @ 4, addr @ 8, fd @ 16, data @ 24 });
zero_default!(AsyncIoInfo);

impl AsyncIoInfo {
    /// Every write to this port.
    #[must_use]
    pub const fn port(port: u16, fd: u64) -> Self {
        Self {
            kind: AsyncIoKind::PIO,
            match_data: 0,
            addr: Gpa(port as u64),
            fd,
            data: 0,
        }
    }

    /// Every write to this address.
    #[must_use]
    pub const fn memory(addr: Gpa, fd: u64) -> Self {
        Self {
            kind: AsyncIoKind::MMIO,
            match_data: 0,
            addr,
            fd,
            data: 0,
        }
    }

    /// Only writes of this value.
    #[must_use]
    pub const fn when(mut self, data: u64) -> Self {
        self.match_data = 1;
        self.data = data;
        self
    }
}
