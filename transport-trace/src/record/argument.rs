//! What the arguments of a call need in its record.

use hypercall_core::SharedRef;
use hypercall_core::arg::{Arg, Linked, Target};
use hypercall_core::call::{LinkTarget, RegisterInfo};
use hypercall_core::schema::Kind;

use crate::format::record::{padded, shape};

/// What an argument needs in a record.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    pub(super) shape: u8,
    pub(super) slot: u64,
    /// Bytes in the enter part.
    pub(super) enter: usize,
    /// Bytes in the exit part, at most.
    pub(super) exit: usize,
}

pub(super) fn needs(argument: &Arg<'_>) -> Needs {
    let simple = |shape, length: usize, enter, exit| Needs {
        shape,
        // A block of 4 GiB does not fit a ring, so that the length is never wrong in a record.
        slot: length as u64,
        enter: if enter { padded(length) } else { 0 },
        exit: if exit { padded(length) } else { 0 },
    };
    match argument {
        Arg::None => Needs {
            shape: shape::NONE,
            slot: 0,
            enter: 0,
            exit: 0,
        },
        Arg::Value(value) => Needs {
            shape: shape::VALUE,
            slot: *value,
            enter: 0,
            exit: 0,
        },
        Arg::Read(bytes) => simple(shape::READ, bytes.len(), true, false),
        Arg::Write(bytes) => simple(shape::WRITE, bytes.len(), false, true),
        Arg::ReadWrite(bytes) => simple(shape::READ_WRITE, bytes.len(), true, true),
        Arg::Linked(linked) => linked_needs(linked),
    }
}

/// The only block of a call, which the hypervisor may write.
pub(super) struct Written<'a> {
    /// What the registers carry, and how: of RDI, and of RSI.
    pub(super) shapes: [u8; 2],
    pub(super) slots: [u64; 2],
    /// Its bytes now.
    pub(super) bytes: &'a [u8],
    /// Whether the hypervisor reads it too. It is all zeros before the call where not.
    pub(super) read: bool,
    /// Which bit says that it changed.
    pub(super) bit: u64,
}

impl<'a> Written<'a> {
    /// `None` where there is no such block, or other memory too.
    pub(super) fn of(args: &'a [Arg<'_>; 2]) -> Option<Self> {
        let block = |argument: &'a Arg<'_>| -> Option<(u8, &'a [u8])> {
            match argument {
                Arg::Write(bytes) => Some((shape::WRITE, bytes)),
                Arg::ReadWrite(bytes) => Some((shape::READ_WRITE, bytes)),
                _ => None,
            }
        };
        let value = |argument: &Arg<'_>| match argument {
            Arg::None => Some((shape::NONE, 0)),
            Arg::Value(value) => Some((shape::VALUE, *value)),
            _ => None,
        };
        let [first, second] = args;
        Some(if let Some((shape, bytes)) = block(first) {
            let (other, value) = value(second)?;
            Self {
                shapes: [shape, other],
                slots: [bytes.len() as u64, value],
                bytes,
                read: shape == shape::READ_WRITE,
                bit: 1,
            }
        } else {
            let ((shape, bytes), (other, value)) = (block(second)?, value(first)?);
            Self {
                shapes: [other, shape],
                slots: [value, bytes.len() as u64],
                bytes,
                read: shape == shape::READ_WRITE,
                bit: 4,
            }
        })
    }
}

pub(super) fn linked_needs(linked: &Linked<'_>) -> Needs {
    let (shape, nested, written) = match &linked.target {
        Target::Read(bytes) => (shape::LINKED_READ, padded(bytes.len()), 0),
        Target::ReadWrite(bytes) => (
            shape::LINKED_READ_WRITE,
            padded(bytes.len()),
            padded(bytes.len()),
        ),
        Target::Shared(SharedRef::Pages(_)) => (shape::LINKED_PAGES, 0, 0),
        Target::Shared(SharedRef::Address(_)) => (shape::LINKED_ADDRESS, 0, 0),
    };
    Needs {
        shape,
        slot: linked.header.len() as u64 | ((linked.offset as u64) << 32),
        enter: padded(linked.header.len())
            .saturating_add(8)
            .saturating_add(nested),
        exit: written,
    }
}

/// How the memory of an argument is described: that of the register's block, and that of the nested one.
pub(super) fn kinds(register: &RegisterInfo) -> (Option<&Kind>, Option<(&Kind, usize)>) {
    match register {
        RegisterInfo::Block { kind, link, .. } => (
            Some(kind),
            link.as_ref().and_then(|link| match &link.target {
                LinkTarget::Array { kind, size, .. } => Some((kind, *size)),
                LinkTarget::Shared => None,
            }),
        ),
        _ => (None, None),
    }
}
