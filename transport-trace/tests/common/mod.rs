//! An interface with every shape of argument, and a device that answers it: what the tests record.
#![allow(dead_code, reason = "every test uses a part of it")]

pub mod folder;
pub mod in_memory;

use hypercall::arg::{Arg, Linked, Target};
use hypercall::call::{CallInfo, CodeInfo};
use hypercall::{
    Client, Error, Gpa, Hazard, LayerRefusal, Payload, Rejection, SharedPage, SharedRef, Transport,
    TransportError, Yields,
};
use std::sync::atomic::{AtomicU64, Ordering};
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

hypercall::open_enum! {
    /// A colour.
    pub struct Ink(u32) {
        /// Black.
        BLACK = 0,
        /// Red.
        RED = 1,
    }
}
hypercall::flags! {
    /// Options.
    pub struct Options(u32) {
        /// Quick.
        FAST = 1 << 0,
        /// Quiet.
        QUIET = 1 << 1,
    }
}
hypercall::register_id! {
    /// A plotter.
    pub struct PlotterId(u16) as Handle;
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "struct point")]
pub struct Point {
    /// A coordinate.
    #[payload(units = "mm")]
    pub x: u32,
    /// A coordinate.
    pub y: u32,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
pub struct Login {
    #[payload(text)]
    pub name: [u8; 8],
    #[payload(secret)]
    pub password: [u8; 12],
    pub ink: Ink,
    pub options: Options,
    #[payload(reserved)]
    pub reserved: u32,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
pub struct Ticket {
    #[payload(text)]
    pub name: [u8; 8],
    #[payload(handle)]
    pub id: u32,
    #[payload(reserved)]
    pub reserved: u32,
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
pub struct PathHeader {
    pub colour: u16,
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
pub struct Pointer {
    pub page: Gpa,
}

/// A plotter's firmware.
#[hypercall::interface(codes = CODES, crate = ::hypercall_core)]
pub trait Plotter {
    /// Nothing in, nothing out.
    #[call(0x10)]
    fn reset(&self) -> Result<(), Error>;
    /// One value.
    #[call(0x11, errors(-2 = "is the plotter switched on"))]
    fn lift(&self, plotter: PlotterId) -> Result<(), Error>;
    /// Two values, and a result in RAX.
    #[call(0x12, result = rax)]
    fn add(&self, left: u32, right: u32) -> Result<u32, Error>;
    /// A value and a block that is read.
    #[call(0x13)]
    fn move_to(&self, plotter: PlotterId, to: &Point) -> Result<(), Error>;
    /// A block that is changed.
    #[call(0x14)]
    fn mirror(&self, point: &mut Point) -> Result<(), Error>;
    /// A returned block.
    #[call(0x15)]
    fn position(&self, plotter: PlotterId) -> Result<Point, Error>;
    /// A result inside a block.
    #[call(0x16, result = ticket)]
    fn enqueue(&self, ticket: &mut Ticket) -> Result<u32, Error>;
    /// An array behind a header that takes a value along.
    #[call(0x17, header(PathHeader { colour: colour, count: points.len(), points: &points }))]
    fn draw(&self, colour: u16, points: &[Point]) -> Result<(), Error>;
    /// Memory that is kept.
    #[call(0x18, header(Pointer { page: &page }))]
    fn share(&self, plotter: PlotterId, page: SharedRef) -> Result<(), Error>;
    /// Two methods of one number.
    #[call(0x19, select(0xff00, 0x100))]
    fn ink(&self, plotter: PlotterId) -> Result<u8, Error>;
    /// Two methods of one number.
    #[call(0x19, select(0xff00, 0x200))]
    fn paper(&self, plotter: PlotterId) -> Result<Point, Error>;
    /// Bytes.
    #[call(0x1a)]
    fn firmware(&self, offset: u32, bytes: &mut [u8]) -> Result<(), Error>;
    /// An array that is changed.
    #[call(0x1b, header(PathHeader { colour: colour, count: points.len(), points: &points }))]
    fn transpose(&self, colour: u16, points: &mut [Point]) -> Result<(), Error>;
    /// A secret.
    #[call(0x1c)]
    fn login(&self, login: &Login) -> Result<(), Error>;
    /// Fails as the number says.
    #[call(0x1d)]
    fn fail(&self, how: u32) -> Result<(), Error>;
}

pub const INTERFACES: &[&hypercall::call::InterfaceInfo] = &[PlotterCalls::INTERFACE];

/// Answers every call in a way that follows from its arguments.
#[derive(Debug, Default)]
pub struct Device {
    pub calls: AtomicU64,
}

impl Transport for Device {
    fn call<'a>(
        &self,
        info: &'static CallInfo,
        mut args: [Arg<'a>; 2],
    ) -> Result<i64, TransportError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let value = args[0].value();
        for argument in &mut args {
            match argument {
                Arg::Write(bytes) => {
                    for (step, byte) in bytes.iter_mut().enumerate() {
                        *byte = (value as u8).wrapping_add(step as u8);
                    }
                }
                Arg::ReadWrite(bytes) => bytes.reverse(),
                Arg::Linked(Linked {
                    header,
                    offset,
                    target,
                }) => {
                    // A transport leaves the address behind.
                    header[*offset..*offset + 8]
                        .copy_from_slice(&0xdead_beef_0000_u64.to_le_bytes());
                    if let Target::ReadWrite(bytes) = target {
                        bytes.rotate_left(1.min(bytes.len()));
                    }
                }
                _ => {}
            }
        }
        match info.name {
            "add" => Ok((value + args[1].value()) as i64),
            "lift" if value != 7 => Ok(-2),
            "fail" => match value {
                0 => Err(TransportError::Untranslatable {
                    register: 1,
                    nested: true,
                }),
                1 => Err(TransportError::Layer(LayerRefusal {
                    layer: "allow-list",
                    reason: "not on it",
                })),
                2 => Err(TransportError::Dead(Hazard::Crashed("it divides by zero"))),
                3 => Err(TransportError::Dead(Hazard::Hung("it waits for itself"))),
                4 => Err(TransportError::Fault(13)),
                5 => Err(TransportError::Unsupported("too many registers")),
                6 => Err(TransportError::Unexpected("no script")),
                7 => Err(TransportError::Lost("the line went dead")),
                _ => Ok(-7),
            },
            _ => Ok(0),
        }
    }
}

/// The calls of a small program: every shape once or more, `round` times differently.
pub fn program<T: Transport>(client: &Client<T>, round: u32) {
    let id = PlotterId(round as u16);
    let _ = client.reset();
    let _ = client.lift(PlotterId(7));
    let _ = client.lift(id);
    let _ = client.add(round, 40);
    let _ = client.move_to(id, &Point { x: round, y: 2 });
    let _ = client.mirror(&mut Point { x: round, y: 9 });
    let _ = client.mirror(&mut Point { x: 0, y: 0 });
    let _ = client.position(id);
    let _ = client.enqueue(&mut Ticket {
        name: *b"a ticket",
        id: 0,
        reserved: 0,
    });
    let points = [
        Point { x: 1, y: round },
        Point { x: 3, y: 4 },
        Point { x: 5, y: 6 },
    ];
    let _ = client.draw(5, &points);
    let _ = client.draw(6, &[]);
    let _ = client.share(id, Gpa(0x7000).into());
    let _ = client.ink(id);
    let _ = client.paper(id);
    let mut bytes = [1, 2, 3, 4, round as u8];
    let _ = client.firmware(3, &mut bytes);
    let mut points = points;
    let _ = client.transpose(1, &mut points);
    let login = Login {
        name: *b"root\0\0\0\0",
        password: *b"swordfish123",
        ink: Ink::RED,
        options: Options::FAST,
        reserved: 0,
    };
    let _ = client.login(&login);
    for how in 0..9 {
        let _ = client.fail(how);
    }
}

/// Calls that [`program`] makes.
pub const CALLS: u64 = 26;

pub static PAGE: SharedPage = SharedPage::new();
