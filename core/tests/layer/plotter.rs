//! A small interface with every kind of output, and a transport that answers as a closure says.

use std::sync::atomic::{AtomicUsize, Ordering};

use hypercall_core as hypercall;
use hypercall_core::arg::Arg;
use hypercall_core::call::{CallInfo, CodeInfo};
use hypercall_core::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
use hypercall_core::{Error, Payload, Transport, TransportError};

/// Two of the names cannot be written in a plan, or mean something else there.
pub(crate) const CODES: &[CodeInfo] = &[
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
    CodeInfo {
        code: -8,
        name: "lost",
        text: "an unfortunate name",
    },
    CodeInfo {
        code: -9,
        name: "no word",
        text: "an unfortunate name",
    },
    CodeInfo {
        code: -10,
        name: "E2BIG",
        text: "a name that is taken",
    },
];

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(crate = ::hypercall_core)]
pub(crate) struct Point {
    pub(crate) x: u32,
    pub(crate) y: u32,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(crate = ::hypercall_core)]
pub(crate) struct PathHeader {
    pub(crate) count: u64,
    #[payload(address)]
    pub(crate) points: u64,
}

/// A plotter.
#[hypercall::interface(codes = CODES, crate = ::hypercall_core)]
pub(crate) trait Plotter {
    /// No output.
    #[call(0x10)]
    fn reset(&self) -> Result<(), Error>;
    /// No output.
    #[call(0x11)]
    fn lift(&self, pen: u32) -> Result<(), Error>;
    /// A result in RAX.
    #[call(0x12, result = rax)]
    fn add(&self, left: u32, right: u32) -> Result<u32, Error>;
    /// A block that is changed.
    #[call(0x14)]
    fn mirror(&self, point: &mut Point) -> Result<(), Error>;
    /// A returned block.
    #[call(0x15)]
    fn position(&self, pen: u32) -> Result<Point, Error>;
    /// Two calls of one number.
    #[call(0x19, select(0xff00, 0x100))]
    fn ink(&self, pen: u32) -> Result<u8, Error>;
    /// Two calls of one number.
    #[call(0x19, select(0xff00, 0x200))]
    fn paper(&self, pen: u32) -> Result<Point, Error>;
    /// Bytes.
    #[call(0x1a)]
    fn firmware(&self, bytes: &mut [u8]) -> Result<(), Error>;
    /// An array that is changed.
    #[call(0x1b, header(PathHeader { count: points.len(), points: &points }))]
    fn transpose(&self, points: &mut [Point]) -> Result<(), Error>;
}

type Answer = dyn Fn(&CallInfo, &mut [Arg<'_>; 2]) -> Result<i64, TransportError> + Send + Sync;

/// Answers as the closure says, and counts what reaches it.
pub(crate) struct Wire {
    answer: Box<Answer>,
    issued: AtomicUsize,
}

impl Wire {
    pub(crate) fn new(
        answer: impl Fn(&CallInfo, &mut [Arg<'_>; 2]) -> Result<i64, TransportError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self {
            answer: Box::new(answer),
            issued: AtomicUsize::new(0),
        }
    }

    /// Everything succeeds, and output is filled with zeros.
    pub(crate) fn willing() -> Self {
        Self::new(|_, _| Ok(0))
    }

    pub(crate) fn issued(&self) -> usize {
        self.issued.load(Ordering::Relaxed)
    }
}

impl Transport for Wire {
    fn call<'a>(
        &self,
        info: &'static CallInfo,
        mut args: [Arg<'a>; 2],
    ) -> Result<i64, TransportError> {
        self.issued.fetch_add(1, Ordering::Relaxed);
        (self.answer)(info, &mut args)
    }
}
