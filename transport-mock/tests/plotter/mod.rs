//! An interface with every shape of argument and result, for tests of what is shown and expected.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use hypercall_core as hypercall;
use hypercall_core::call::CodeInfo;
use hypercall_core::{Error, Gpa, Payload, Rejection, SharedRef, Yields};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub const CODES: &[CodeInfo] = &[
    CodeInfo {
        code: -2,
        name: "ENOENT",
        text: "there is no such thing",
    },
    CodeInfo {
        code: -7,
        name: "E2BIG",
        text: "too much",
    },
];

hypercall::register_id! {
    /// A pen.
    pub struct PenId(u16) as Handle;
}

hypercall::register_id! {
    /// An address on the paper.
    pub struct PaperAddress(u64) as Address;
}

hypercall::register_id! {
    /// A password.
    pub struct Pin(u32) as Secret;
}

hypercall::open_enum! {
    /// A colour.
    pub struct Colour(u16) {
        /// Black.
        BLACK = 0,
        /// Red.
        RED = 1,
    }
}

hypercall::flags! {
    /// How to move.
    pub struct Manner(u32) {
        /// Slowly.
        SLOWLY = 1 << 0,
        /// With the pen up.
        LIFTED = 1 << 4,
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(crate = ::hypercall_core)]
pub struct Point {
    #[payload(units = "mm")]
    pub x: u32,
    pub y: i32,
}

pub const fn point(x: u32, y: i32) -> Point {
    Point { x, y }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(crate = ::hypercall_core)]
pub struct Ticket {
    #[payload(text)]
    pub name: [u8; 8],
    #[payload(handle)]
    pub id: u32,
    pub pin: Pin,
    pub colour: Colour,
    #[payload(reserved)]
    pub reserved: u16,
    pub manner: Manner,
    pub area: [Area; 2],
    pub sheet: PaperAddress,
    #[payload(address)]
    pub buffer: u64,
    pub bytes: [u8; 8],
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(crate = ::hypercall_core)]
pub struct Area {
    pub width: u32,
    pub height: u32,
}

impl Yields<u32> for Ticket {
    fn yielded(&self) -> Result<u32, Rejection> {
        if self.id == u32::MAX {
            Err(Rejection("id 0xffffffff"))
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

pub fn ticket(name: &[u8; 8]) -> Ticket {
    Ticket {
        name: *name,
        ..Ticket::zeroed()
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(crate = ::hypercall_core)]
pub struct PathHeader {
    pub colour: Colour,
    pub count: u16,
    #[payload(reserved)]
    pub reserved: u32,
    #[payload(address)]
    pub points: u64,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(crate = ::hypercall_core)]
pub struct Pointer {
    pub page: Gpa,
}

/// A plotter.
#[hypercall::interface(codes = CODES, crate = ::hypercall_core)]
pub trait Plotter {
    /// Nothing in, nothing out.
    #[call(0x10)]
    fn reset(&self) -> Result<(), Error>;
    /// One value.
    #[call(0x11)]
    fn lift(&self, pen: PenId) -> Result<(), Error>;
    /// Two values, and a result in RAX.
    #[call(0x12, result = rax)]
    fn add(&self, left: u32, right: u32) -> Result<u32, Error>;
    /// A value and a block that is read.
    #[call(0x13)]
    fn move_to(&self, pen: PenId, to: &Point) -> Result<(), Error>;
    /// A block that is changed.
    #[call(0x14)]
    fn mirror(&self, point: &mut Point) -> Result<(), Error>;
    /// A returned block.
    #[call(0x15)]
    fn position(&self, pen: PenId) -> Result<Point, Error>;
    /// A result inside a block.
    #[call(0x16, result = ticket)]
    fn enqueue(&self, ticket: &mut Ticket) -> Result<u32, Error>;
    /// An array behind a header that takes a value along.
    #[call(0x17, header(PathHeader { colour: colour, count: points.len(), points: &points }))]
    fn draw(&self, colour: Colour, points: &[Point]) -> Result<(), Error>;
    /// Memory that is kept.
    #[call(0x18, header(Pointer { page: &page }))]
    fn share(&self, pen: PenId, page: SharedRef) -> Result<(), Error>;
    /// Two methods of one number.
    #[call(0x19, select(0xff00, 0x100))]
    fn ink(&self, pen: PenId) -> Result<u8, Error>;
    /// Two methods of one number.
    #[call(0x19, select(0xff00, 0x200))]
    fn paper(&self, pen: PenId) -> Result<Point, Error>;
    /// Bytes.
    #[call(0x1a)]
    fn firmware(&self, offset: u32, bytes: &mut [u8]) -> Result<(), Error>;
    /// An array that is changed.
    #[call(0x1b, header(PathHeader { colour: colour, count: points.len(), points: &points }))]
    fn transpose(&self, colour: Colour, points: &mut [Point]) -> Result<(), Error>;
    /// A secret in a register, and an enum.
    #[call(0x1c)]
    fn unlock(&self, pin: Pin, colour: Colour) -> Result<(), Error>;
    /// Two blocks with the same fields.
    #[call(0x1d)]
    fn line(&self, from: &Point, to: &Point) -> Result<(), Error>;
}
