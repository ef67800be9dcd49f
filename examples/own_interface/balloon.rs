//! The interface of a hypervisor that takes memory back from its guests. This file is all of it.

use hypercall::call::CodeInfo;
use hypercall::{Error, Gpa, Payload};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

hypercall::register_id! {
    /// A memory zone of the guest.
    pub struct ZoneId(u16) as Handle;
}

/// Pages that follow each other.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C)]
pub struct PageRun {
    pub start: Gpa,
    #[payload(units = "pages")]
    pub count: u64,
}

/// What stands before a list of runs.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C)]
pub struct RunList {
    pub zone: ZoneId,
    pub count: u16,
    #[payload(reserved)]
    pub reserved: u32,
    #[payload(address)]
    pub runs: u64,
}

/// How a zone is doing.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C)]
pub struct ZoneStats {
    #[payload(units = "pages")]
    pub given: u64,
    #[payload(units = "pages")]
    pub wanted: u64,
}

const CODES: &[CodeInfo] = &[
    CodeInfo {
        code: -2,
        name: "ENOENT",
        text: "no such zone",
    },
    CodeInfo {
        code: -34,
        name: "ERANGE",
        text: "outside the zone",
    },
];

/// A hypervisor that takes memory back.
#[hypercall::interface(codes = CODES)]
pub trait Balloon {
    /// How many zones there are.
    #[call(0x100, result = rax)]
    fn zones(&self) -> Result<u16, Error>;
    /// What the hypervisor has of a zone, and what it would like to have.
    #[call(0x101, errors(-2 = "is the zone below zones()?"))]
    fn stats(&self, zone: ZoneId) -> Result<ZoneStats, Error>;
    /// Gives pages to the hypervisor, run by run.
    #[call(0x102, header(RunList { zone: zone, count: runs.len(), runs: &runs }))]
    fn give(&self, zone: ZoneId, runs: &[PageRun]) -> Result<(), Error>;
}

balloon_interface!(hypercall::mock::mock);
