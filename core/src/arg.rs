//! The arguments of a call, as a transport sees them.

use crate::shared::SharedRef;

/// One argument of a call: nothing, a number, or a block of memory with its direction.
///
/// A transport decides how a block reaches the hypervisor; whoever calls it never handles a physical address.
/// The directions are the hypervisor's: it reads a [`Read`](Arg::Read) block.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Arg<'a> {
    /// The register is not used. A transport leaves it alone.
    #[default]
    None,
    /// The register's value.
    Value(u64),
    /// Memory that the hypervisor reads.
    Read(&'a [u8]),
    /// Memory that the hypervisor writes. It is zero before the call.
    Write(&'a mut [u8]),
    /// Memory that the hypervisor reads and writes.
    ReadWrite(&'a mut [u8]),
    /// Memory that the hypervisor reads, in which it finds the address of further memory.
    Linked(Linked<'a>),
}

/// A block that points at another one.
///
/// The transport fills the other block's address in, eight bytes little-endian at [`offset`](Linked::offset),
/// which are zero before the call. What they hold afterwards is the transport's affair: whoever records or shows a header
/// leaves them out, so that no address gets into a trace.
#[derive(Debug, PartialEq, Eq)]
pub struct Linked<'a> {
    /// The block whose address goes into the register.
    pub header: &'a mut [u8],
    /// Where in it the address goes. `offset + 8` is never more than the header's length.
    pub offset: usize,
    /// What the address is of.
    pub target: Target<'a>,
}

/// What a header points at.
#[derive(Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// Memory that the hypervisor reads, only during the call.
    Read(&'a [u8]),
    /// Memory that the hypervisor reads and writes, only during the call.
    ReadWrite(&'a mut [u8]),
    /// Memory that the hypervisor keeps after the call.
    Shared(SharedRef),
}

impl Arg<'_> {
    /// The same argument for a shorter time, so that a layer can look at it after the call.
    #[inline]
    pub fn reborrow(&mut self) -> Arg<'_> {
        match self {
            Self::None => Arg::None,
            Self::Value(value) => Arg::Value(*value),
            Self::Read(bytes) => Arg::Read(bytes),
            Self::Write(bytes) => Arg::Write(bytes),
            Self::ReadWrite(bytes) => Arg::ReadWrite(bytes),
            Self::Linked(linked) => Arg::Linked(Linked {
                header: linked.header,
                offset: linked.offset,
                target: match &mut linked.target {
                    Target::Read(bytes) => Target::Read(bytes),
                    Target::ReadWrite(bytes) => Target::ReadWrite(bytes),
                    Target::Shared(shared) => Target::Shared(*shared),
                },
            }),
        }
    }

    /// The number in the register, or 0 for a block or an unused register.
    #[must_use]
    #[inline]
    pub fn value(&self) -> u64 {
        match self {
            Self::Value(value) => *value,
            _ => 0,
        }
    }

    /// The block's bytes (a header's, for a linked block), or none for a register value.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::None | Self::Value(_) => None,
            Self::Read(bytes) => Some(bytes),
            Self::Write(bytes) | Self::ReadWrite(bytes) => Some(bytes),
            Self::Linked(linked) => Some(linked.header),
        }
    }

    /// The bytes that the hypervisor may have written, for a layer that changes answers.
    pub fn output(&mut self) -> Option<&mut [u8]> {
        match self {
            Self::Write(bytes) | Self::ReadWrite(bytes) => Some(bytes),
            Self::Linked(Linked {
                target: Target::ReadWrite(bytes),
                ..
            }) => Some(bytes),
            _ => None,
        }
    }
}

/// Both arguments for a shorter time.
#[inline]
pub fn reborrow<'b>(args: &'b mut [Arg<'_>; 2]) -> [Arg<'b>; 2] {
    let [first, second] = args;
    [first.reborrow(), second.reborrow()]
}
