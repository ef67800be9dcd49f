//! What a guest does: one access to a port or to memory, as the exit handlers see it.
//!
//! Rules: ACRN `pio_instr_vmexit_handler`, `ept_violation_vmexit_handler` (arch/x86/guest/vmx_io.c), the request's layout
//! in include/public/acrn_common.h.

use core::fmt;

use super::vm::Request;

pub(super) const PIO: u32 = 0;
pub(super) const MMIO: u32 = 1;
const WP: u32 = 3;
pub(super) const READ: u32 = 0;
const WRITE: u32 = 1;

/// An access of a guest that the hypervisor cannot complete by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// `in`: port and size (1, 2 or 4 bytes).
    PortRead {
        /// The port.
        port: u16,
        /// Bytes.
        size: u8,
    },
    /// `out`: the value is cut to the size.
    PortWrite {
        /// The port.
        port: u16,
        /// Bytes.
        size: u8,
        /// What is written.
        value: u32,
    },
    /// A load from memory that is not mapped: size 1, 2, 4 or 8 bytes.
    MemoryRead {
        /// Guest physical address.
        address: u64,
        /// Bytes.
        size: u8,
    },
    /// A store to memory that is not mapped.
    MemoryWrite {
        /// Guest physical address.
        address: u64,
        /// Bytes.
        size: u8,
        /// What is written.
        value: u64,
    },
    /// A store to a page that WRITE_PROTECT_PAGE protects. Its request has a type of its own; ACRN stores nothing.
    ProtectedWrite {
        /// Guest physical address.
        address: u64,
        /// Bytes.
        size: u8,
        /// What is written.
        value: u64,
    },
}

/// What became of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessOutcome {
    /// The vCPU waits for the device model.
    Waiting,
    /// The access went into the ring of asynchronous I/Os; the vCPU goes on.
    Asynchronous,
    /// It should go into the ring, which is full: the vCPU waits for room.
    RingFull,
    /// The access is over. The value of a read, cut to its size; `None` where the request was never answered
    /// (a notification came before there was an answer, or had come before the request).
    Done(Option<u64>),
}

/// Why a vCPU cannot access anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessError {
    /// There is no such VM, no such vCPU, or it does not run.
    NotRunning,
    /// It still waits for its last access.
    Busy,
    /// There is no request page, or the vCPU's slot in it is not FREE: ACRN gives the access up with an error in its
    /// log, and the vCPU dies of it.
    NoSlot,
    /// The access cannot be: its size or its address.
    Impossible,
    /// The machine is down, or this access brings it down.
    Down,
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRunning => "there is no such vCPU, or it does not run",
            Self::Busy => "the vCPU still waits for its last access",
            Self::NoSlot => "the vCPU has no free slot in a request page",
            Self::Impossible => "no processor can make such an access",
            Self::Down => "the machine is down",
        })
    }
}

impl core::error::Error for AccessError {}

/// Fills the fields that the exit handlers fill. A read leaves the value of the access before.
pub(super) fn prepare(request: &mut Request, access: Access) -> Result<(), AccessError> {
    let (kind, direction, address, size, value) = match access {
        Access::PortRead { port, size } => (PIO, READ, u64::from(port), size, None),
        Access::PortWrite { port, size, value } => {
            (PIO, WRITE, u64::from(port), size, Some(u64::from(value)))
        }
        Access::MemoryRead { address, size } => (MMIO, READ, address, size, None),
        Access::MemoryWrite {
            address,
            size,
            value,
        } => (MMIO, WRITE, address, size, Some(value)),
        Access::ProtectedWrite {
            address,
            size,
            value,
        } => (WP, WRITE, address, size, Some(value)),
    };
    let possible = matches!(size, 1 | 2 | 4) || (size == 8 && kind != PIO);
    if !possible {
        return Err(AccessError::Impossible);
    }
    request.kind = kind;
    request.direction = direction;
    request.address = address;
    request.size = u64::from(size);
    match value {
        None => {}
        Some(value) if kind == PIO => set_low(&mut request.value, cut(value, u64::from(size))),
        Some(value) => request.value = cut(value, u64::from(size)),
    }
    Ok(())
}

/// A port's value is 32 bits wide; what lies above it in the union stays.
pub(super) const fn set_low(value: &mut u64, low: u64) {
    *value = (*value & !0xffff_ffff) | (low & 0xffff_ffff);
}

pub(super) const fn cut(value: u64, size: u64) -> u64 {
    match size {
        1 => value & 0xff,
        2 => value & 0xffff,
        4 => value & 0xffff_ffff,
        _ => value,
    }
}

impl Request {
    /// The 64 bytes that are copied into a slot.
    pub(super) fn encode(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        let fields = u64::from(self.direction)
            .to_le_bytes()
            .into_iter()
            .chain(self.address.to_le_bytes())
            .chain(self.size.to_le_bytes())
            .chain(self.value.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }
}
