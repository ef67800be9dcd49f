//! An interface of no hypervisor: every shape of argument and result, and an implementation that answers anything.

use hypercall_core::acrn::codes::CODES;
use hypercall_core::call::CallInfo;
use hypercall_core::server::Rules;
use hypercall_core::{
    Error, Gpa, Hazard, Payload, Rejection, SharedRef, TransportError, Yields, interface,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A block of two words.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[payload(crate = ::hypercall_core)]
#[repr(C)]
pub struct Pair {
    /// One.
    pub left: u32,
    /// The other.
    pub right: u32,
}

/// A block that carries a result.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[payload(crate = ::hypercall_core)]
#[repr(C)]
pub struct Ticket {
    /// What it is for.
    pub name: [u8; 12],
    /// The result; all ones for none.
    pub id: u32,
}

impl Yields<u32> for Ticket {
    fn yielded(&self) -> Result<u32, Rejection> {
        if self.id == u32::MAX {
            Err(Rejection("no id"))
        } else {
            Ok(self.id)
        }
    }
    fn store(&mut self, value: u32) {
        self.id = value;
    }
    fn store_failure(&mut self) {
        self.id = u32::MAX;
    }
}

/// A header with a short count, and a value on the way.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[payload(crate = ::hypercall_core)]
#[repr(C)]
pub struct Short {
    /// Travels along.
    pub tag: u16,
    /// Elements.
    pub count: u16,
    /// Nothing.
    #[payload(reserved)]
    pub reserved: u32,
    /// Where they are.
    #[payload(address)]
    pub pairs: u64,
}

/// A header whose count is as wide as it can be, and comes last.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[payload(crate = ::hypercall_core)]
#[repr(C)]
pub struct Long {
    /// Where they are.
    #[payload(address)]
    pub pairs: u64,
    /// Elements.
    pub count: u64,
}

/// A pointer to a page.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[payload(crate = ::hypercall_core)]
#[repr(C)]
pub struct Pointer {
    /// Where it is.
    pub page: Gpa,
}

/// Every shape.
#[interface(codes = CODES, crate = ::hypercall_core)]
#[allow(missing_docs)]
pub trait Own {
    #[call(0x10)]
    fn nothing(&self) -> Result<(), Error>;
    #[call(0x11)]
    fn value(&self, id: u16) -> Result<(), Error>;
    #[call(0x12, result = rax)]
    fn rax(&self, left: u32, right: u32) -> Result<u32, Error>;
    #[call(0x13, result = rax)]
    fn wide_rax(&self, value: u64) -> Result<u64, Error>;
    #[call(0x14)]
    fn struct_in(&self, id: u16, pair: &Pair) -> Result<(), Error>;
    #[call(0x15)]
    fn struct_in_out(&self, pair: &mut Pair) -> Result<(), Error>;
    #[call(0x16)]
    fn returned(&self, id: u16) -> Result<Pair, Error>;
    #[call(0x17, result = ticket)]
    fn yielded(&self, ticket: &mut Ticket) -> Result<u32, Error>;
    #[call(0x18)]
    fn two_blocks(&self, pair: &mut Pair, ticket: &mut Ticket) -> Result<(), Error>;
    #[call(0x19, header(Short { tag: tag, count: pairs.len(), pairs: &pairs }))]
    fn array_in(&self, tag: u16, pairs: &[Pair]) -> Result<(), Error>;
    #[call(0x1a, header(Long { count: pairs.len(), pairs: &pairs }))]
    fn array_in_out(&self, id: u16, pairs: &mut [Pair]) -> Result<(), Error>;
    #[call(0x1b, header(Pointer { page: &page }))]
    fn shared(&self, id: u16, page: SharedRef) -> Result<(), Error>;
    #[call(0x1c, select(0xff00, 0x100))]
    fn one(&self, id: u16) -> Result<u8, Error>;
    #[call(0x1c, select(0xff00, 0x200))]
    fn other(&self, id: u16) -> Result<Pair, Error>;
    #[call(0x1d)]
    fn bytes_in(&self, offset: u32, bytes: &[u8]) -> Result<(), Error>;
    #[call(0x1e)]
    fn bytes_in_out(&self, offset: u32, bytes: &mut [u8]) -> Result<(), Error>;
}

/// Answers whatever a number says.
#[derive(Clone, Copy, Debug)]
pub struct Moody(pub u64);

impl Moody {
    /// Every kind of result that a method can return, the senseless ones too.
    fn result<T>(self, call: &'static CallInfo, value: T) -> Result<T, Error> {
        let args = [self.0, 0];
        let error = match self.0 % 11 {
            0..4 => return Ok(value),
            4 => Error::refused(call, args, -22),
            5 => Error::refused(call, args, (self.0 >> 8).cast_signed()),
            6 => Error::rejected(call, args, Rejection("a mood")),
            7 => Error::transport(call, args, TransportError::Lost("a mood")),
            8 => Error::transport(call, args, TransportError::Dead(Hazard::Hung("a mood"))),
            9 => Error::refused(call, args, 0),
            _ => Error::invalid(call, args, "a mood"),
        };
        Err(error)
    }
}

impl Own for Moody {
    fn nothing(&self) -> Result<(), Error> {
        self.result(OwnCalls::NOTHING, ())
    }
    fn value(&self, _: u16) -> Result<(), Error> {
        self.result(OwnCalls::VALUE, ())
    }
    fn rax(&self, left: u32, right: u32) -> Result<u32, Error> {
        self.result(OwnCalls::RAX, left ^ right)
    }
    fn wide_rax(&self, value: u64) -> Result<u64, Error> {
        self.result(OwnCalls::WIDE_RAX, value)
    }
    fn struct_in(&self, _: u16, _: &Pair) -> Result<(), Error> {
        self.result(OwnCalls::STRUCT_IN, ())
    }
    fn struct_in_out(&self, pair: &mut Pair) -> Result<(), Error> {
        pair.left = !pair.left;
        self.result(OwnCalls::STRUCT_IN_OUT, ())
    }
    fn returned(&self, id: u16) -> Result<Pair, Error> {
        self.result(
            OwnCalls::RETURNED,
            Pair {
                left: id.into(),
                right: u32::MAX,
            },
        )
    }
    fn yielded(&self, ticket: &mut Ticket) -> Result<u32, Error> {
        ticket.name = [0x5a; 12];
        self.result(OwnCalls::YIELDED, ticket.id)
    }
    fn two_blocks(&self, pair: &mut Pair, ticket: &mut Ticket) -> Result<(), Error> {
        core::mem::swap(&mut pair.left, &mut ticket.id);
        self.result(OwnCalls::TWO_BLOCKS, ())
    }
    fn array_in(&self, _: u16, pairs: &[Pair]) -> Result<(), Error> {
        assert!(pairs.len() < 2, "elements come one by one");
        self.result(OwnCalls::ARRAY_IN, ())
    }
    fn array_in_out(&self, _: u16, pairs: &mut [Pair]) -> Result<(), Error> {
        assert!(pairs.len() < 2, "elements come one by one");
        for pair in pairs {
            pair.right = !pair.right;
        }
        self.result(OwnCalls::ARRAY_IN_OUT, ())
    }
    fn shared(&self, _: u16, page: SharedRef) -> Result<(), Error> {
        assert!(
            matches!(page, SharedRef::Address(_)),
            "a server sees an address"
        );
        self.result(OwnCalls::SHARED, ())
    }
    fn one(&self, id: u16) -> Result<u8, Error> {
        self.result(OwnCalls::ONE, id.to_le_bytes()[0])
    }
    fn other(&self, _: u16) -> Result<Pair, Error> {
        self.result(OwnCalls::OTHER, Pair { left: 1, right: 2 })
    }
    fn bytes_in(&self, _: u32, _: &[u8]) -> Result<(), Error> {
        self.result(OwnCalls::BYTES_IN, ())
    }
    fn bytes_in_out(&self, _: u32, bytes: &mut [u8]) -> Result<(), Error> {
        bytes.fill(0xa5);
        self.result(OwnCalls::BYTES_IN_OUT, ())
    }
}

/// Plain rules, but for what they say of buffers.
#[derive(Clone, Copy, Debug)]
pub struct Extent(pub usize);

impl Rules for Extent {
    fn extent(&self, _: &'static CallInfo, _: [u64; 2]) -> Option<usize> {
        Some(self.0)
    }
}
