//! What recording other memory costs: a block that is read and written, which is kept before and after, and an array behind a header,
//! which is gathered first. No gate holds for these.

use crate::setup::*;
use hypercall_core::arg::{Arg, Linked, Target};
use hypercall_core::call::CallInfo;
use hypercall_core::{Client, Error, Payload, Transport, TransportError};
use hypercall_trace::record::{Full, Recorder, Recording, SyncPolicy};
use hypercall_trace::write::Compression;
use std::hint::black_box;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A place.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
pub struct Place {
    /// Where.
    pub address: u64,
    /// How much.
    pub size: u64,
}

/// What stands before an array of them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
pub struct Header {
    /// How many there are.
    pub count: u64,
    /// Where they are.
    #[payload(address)]
    pub places: u64,
}

/// Calls with memory.
#[hypercall::interface(codes = CODES, crate = ::hypercall_core)]
pub trait Blocks {
    /// Bytes that are changed.
    #[call(0x21)]
    fn change(&self, id: u32, bytes: &mut [u8]) -> Result<(), Error>;
    /// An array.
    #[call(0x22, header(Header { count: places.len(), places: &places }))]
    fn list(&self, places: &[Place]) -> Result<(), Error>;
}

const INTERFACES: &[&hypercall::call::InterfaceInfo] = &[BlocksCalls::INTERFACE];

/// Writes a word into what it may write to.
struct Writes;
impl Transport for Writes {
    #[inline(never)]
    fn call<'a>(
        &self,
        _: &'static CallInfo,
        mut args: [Arg<'a>; 2],
    ) -> Result<i64, TransportError> {
        for argument in &mut args {
            match argument {
                Arg::ReadWrite(bytes)
                | Arg::Linked(Linked {
                    target: Target::ReadWrite(bytes),
                    ..
                }) => {
                    if let Some(word) = bytes.first_chunk_mut::<8>() {
                        *word = (u64::from_le_bytes(*word) ^ 1).to_le_bytes();
                    }
                }
                _ => {}
            }
        }
        black_box(&args);
        Ok(0)
    }
}

fn changes(client: &Client<impl Transport>, bytes: &mut [u8]) {
    for count in 0..CALLS {
        let _ = black_box(client.change(count as u32, black_box(&mut *bytes)));
    }
}

fn lists(client: &Client<impl Transport>, places: &[Place]) {
    for _ in 0..CALLS {
        let _ = black_box(client.list(black_box(places)));
    }
}

/// What is measured: its name, and the calls with a recorder and without one.
const KINDS: [&str; 3] = [
    "128 bytes that are read and written",
    "1024 bytes that are read and written",
    "128 bytes in an array behind a header",
];

pub(crate) fn blocks() {
    println!(
        "recording written blocks and arrays, ns per call less the call itself (median of {ROUNDS} rounds of {CALLS})"
    );
    let storage = Stuck::default();
    let release = storage.clone();
    let folder = Folder::new();
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .full(Full::Overwrite)
        .sync(SyncPolicy::EachBlock)
        .compression(Compression::None)
        .ring(1 << 20, 4)
        .start(storage)
        .unwrap();
    let recorded = Client::new(Recorder::new(Writes, recording.lane("main").unwrap()));
    let bare = Client::new(Writes);
    let (mut small, mut large) = ([0; 128], [0; 1024]);
    payload(&mut small, 7);
    payload(&mut large, 7);
    let places = [Place {
        address: 0x1_0000_0000,
        size: 0x1000,
    }; 8];
    let mut ring = vec![0_u8; 1 << 16];
    let mut floors = Vec::new();
    let mut costs: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        floors.push(floor(&mut ring));
        let less = |with: f64, without: f64| with - without;
        let round = [
            less(
                ns_per(CALLS, || changes(&recorded, &mut small)),
                ns_per(CALLS, || changes(&bare, &mut small)),
            ),
            less(
                ns_per(CALLS, || changes(&recorded, &mut large)),
                ns_per(CALLS, || changes(&bare, &mut large)),
            ),
            less(
                ns_per(CALLS, || lists(&recorded, &places)),
                ns_per(CALLS, || lists(&bare, &places)),
            ),
        ];
        for (cost, round) in costs.iter_mut().zip(round) {
            cost.push(round);
        }
    }
    let floor = median(floors);
    for (name, cost) in KINDS.iter().zip(costs) {
        let cost = median(cost);
        println!("  {name:38} {cost:6.1} ns  {:5.2} x floor", cost / floor);
    }
    release.release();
    let done = recording.finish();
    println!("  {} calls recorded, {} overwritten", done.calls, done.lost);
}
