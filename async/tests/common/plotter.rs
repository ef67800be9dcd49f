//! An interface that has every shape of argument and of result, and its async twin.

use hypercall_core::call::CodeInfo;
use hypercall_core::{Error, Gpa, Payload, Rejection, SharedRef, Yields};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const CODES: &[CodeInfo] = &[CodeInfo {
    code: -7,
    name: "E2BIG",
    text: "too much",
}];

#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Payload,
)]
#[repr(C)]
#[payload(crate = ::hypercall_core)]
pub struct Point {
    pub x: u32,
    pub y: u32,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(crate = ::hypercall_core)]
pub struct Ticket {
    pub id: u32,
    pub weight: u32,
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

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(crate = ::hypercall_core)]
pub struct PathHeader {
    pub colour: u32,
    pub count: u32,
    #[payload(address)]
    pub points: u64,
}

#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Payload,
)]
#[repr(C)]
#[payload(crate = ::hypercall_core)]
pub struct Pointer {
    pub page: Gpa,
}

#[hypercall_core::interface(codes = CODES, crate = ::hypercall_core)]
pub trait Plotter {
    #[call(0x10)]
    fn reset(&self) -> Result<(), Error>;
    #[call(0x11)]
    fn lift(&self, plotter: u16) -> Result<(), Error>;
    #[call(0x12, result = rax)]
    fn add(&self, left: u32, right: u32) -> Result<u32, Error>;
    #[call(0x13)]
    fn move_to(&self, plotter: u16, to: &Point) -> Result<(), Error>;
    #[call(0x14)]
    fn mirror(&self, point: &mut Point) -> Result<(), Error>;
    #[call(0x15)]
    fn position(&self) -> Result<Point, Error>;
    #[call(0x16, result = ticket)]
    fn enqueue(&self, ticket: &mut Ticket) -> Result<u32, Error>;
    #[call(0x17, header(PathHeader { colour: colour, count: points.len(), points: &points }))]
    fn draw(&self, colour: u32, points: &[Point]) -> Result<(), Error>;
    #[call(0x18, header(Pointer { page: &page }))]
    fn share(&self, plotter: u16, page: SharedRef) -> Result<(), Error>;
    #[call(0x19, select(0xff00, 0x100), result = rax)]
    fn ink(&self, plotter: u32) -> Result<u32, Error>;
    #[call(0x19, select(0xff00, 0x200), result = rax)]
    fn paper(&self, plotter: u32) -> Result<u32, Error>;
    #[call(0x1a)]
    fn load(&self, offset: u32, bytes: &[u8]) -> Result<(), Error>;
    #[call(0x1b)]
    fn firmware(&self, offset: u32, bytes: &mut [u8]) -> Result<(), Error>;
    #[call(0x1c, header(PathHeader { colour: colour, count: points.len(), points: &points }))]
    fn transpose(&self, colour: u32, points: &mut [Point]) -> Result<(), Error>;
    #[call(0x1d)]
    fn exchange(&self, left: &mut Point, right: &mut Ticket) -> Result<(), Error>;
    /// Not a call: the twin does not have it.
    fn home(&self) -> Result<(), Error> {
        self.move_to(0, &Point { x: 0, y: 0 })
    }
}

plotter_interface!(hypercall_async::async_twin);
