//! Every macro of Hypercall, in a crate that reaches them through `hypercall` only.
#![cfg(test)]

use std::num::NonZeroUsize;

use hypercall::asynchronous::Offload;
use hypercall::mock::Ram;
use hypercall::mock::loopback::Loopback;
use hypercall::{Client, Error, Gpa, Payload, Rejection, SharedRef, Yields};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

hypercall::register_id! {
    /// A tape.
    pub struct TapeId(u16) as Handle;
}

hypercall::open_enum! {
    /// Where to.
    pub struct Direction(u32) {
        /// To the start.
        BACK = 0,
        /// To the end.
        FORTH = 1,
    }
}

hypercall::flags! {
    /// How.
    pub struct Manner(u32) {
        /// Fast.
        FAST = 1 << 0,
    }
}

/// A move.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
pub struct Wind {
    direction: Direction,
    manner: Manner,
    at: u64,
}

impl Yields<u64> for Wind {
    fn yielded(&self) -> Result<u64, Rejection> {
        Ok(self.at)
    }
    fn store(&mut self, value: u64) {
        self.at = value;
    }
    fn store_failure(&mut self) {
        self.at = u64::MAX;
    }
}

/// A list of moves.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C)]
pub struct Moves {
    count: u64,
    #[payload(address)]
    moves: u64,
}

/// A place.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C)]
pub struct Place {
    #[payload(address)]
    page: u64,
}

/// A tape drive.
#[hypercall::interface(export)]
pub trait Drive {
    /// A value, and a result in RAX.
    #[call(1, result = rax)]
    fn length(&self, tape: TapeId) -> Result<u32, Error>;
    /// A block that is read.
    #[call(2)]
    fn mark(&self, tape: TapeId, wind: &Wind) -> Result<(), Error>;
    /// A block that yields.
    #[call(3, result = wind)]
    fn wind(&self, tape: TapeId, wind: &mut Wind) -> Result<u64, Error>;
    /// A returned block.
    #[call(4)]
    fn last(&self) -> Result<Wind, Error>;
    /// An array.
    #[call(5, header(Moves { count: moves.len(), moves: &moves }))]
    fn plan(&self, moves: &[Wind]) -> Result<(), Error>;
    /// Bytes.
    #[call(6)]
    fn read(&self, bytes: &mut [u8]) -> Result<(), Error>;
    /// Memory that is kept.
    #[call(7, header(Place { page: &page }))]
    fn keep(&self, page: SharedRef) -> Result<(), Error>;
}

drive_interface!(hypercall::mock::mock);
drive_interface!(hypercall::asynchronous::async_twin);

/// The mock and the twin of an interface that another crate defines.
mod of_another_crate {
    use hypercall::acrn::*;
    use hypercall::{Error, Hpa, PageAligned, SharedRef};

    hypercall::hypervisor_interface!(hypercall::mock::mock);
    hypercall::hypervisor_interface!(hypercall::asynchronous::async_twin);
}

const WIND: Wind = Wind {
    direction: Direction::FORTH,
    manner: Manner::FAST,
    at: 5,
};

fn mock() -> MockDrive {
    let mut mock = MockDrive::new();
    mock.expect_length()
        .returning(|tape| Ok(u32::from(tape.0) * 10));
    // What yields is an answer only: the client clears it before the call.
    mock.expect_wind().returning(|_, wind| {
        assert_eq!(wind.manner, WIND.manner);
        Ok(WIND.at + 1)
    });
    mock.expect_plan()
        .withf(|moves| moves == [WIND])
        .returning(|_| Ok(()));
    mock
}

#[test]
fn client_server_and_mock_come_from_the_trait() {
    let wire = Loopback::new(DriveServer::new(mock()), Ram::new(16), Gpa(0), 0x8000);
    let drive = Client::new(wire);
    assert_eq!(drive.length(TapeId(4)), Ok(40));
    let mut wind = WIND;
    assert_eq!((drive.wind(TapeId(4), &mut wind), wind.at), (Ok(6), 6));
    assert_eq!(drive.plan(&[WIND, WIND]), Ok(()));
    assert_eq!(DriveCalls::INTERFACE.calls.len(), 7);
}

#[test]
fn the_async_twin_comes_from_the_trait() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let drive = Offload::new(mock(), NonZeroUsize::MIN);
    runtime.block_on(async {
        assert_eq!(drive.length(TapeId(4)).await, Ok(40));
        assert_eq!(drive.wind(TapeId(4), WIND).await, (Ok(6), WIND));
        assert_eq!(drive.plan(vec![WIND]).await, Ok(()));
    });
}

#[test]
fn the_twin_of_another_crates_interface_works_here() {
    use hypercall::acrn::{Hypervisor, VmId};
    use of_another_crate::{AsyncHypervisor, MockHypervisor};
    let mut mock = MockHypervisor::new();
    mock.expect_pause_vm().times(2).returning(|_| Ok(()));
    assert_eq!(Hypervisor::pause_vm(&mock, VmId(1)), Ok(()));
    let twin = Offload::new(mock, NonZeroUsize::MIN);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    assert_eq!(runtime.block_on(twin.pause_vm(VmId(1))), Ok(()));
}
