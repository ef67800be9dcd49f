//! The server that the interface's attribute generates, against registers and memory of any content, with another
//! processor writing between its reads, and an implementation that returns anything.
//!
//! It must answer as [`Rules`](hypercall_core::server::Rules) say, read each block once, and write nothing but what the
//! interface's description names.
#![no_main]

use arbitrary::Arbitrary;
use hypercall_core::server::{BYTES_LIMIT, GuestMemory, Registers, Serve};
use hypercall_fuzz::allowed::{allowed, check_writes};
use hypercall_fuzz::own::{Extent, Moody, OwnCalls, OwnServer};
use hypercall_fuzz::recorder::{Race, Read, Recorder};
use hypercall_mock::Ram;
use libfuzzer_sys::fuzz_target;

/// Pages of RAM, from address 0.
const PAGES: u16 = 3;
const SIZE: usize = 3 * 4096;

#[derive(Arbitrary, Debug)]
struct Input {
    extent: u16,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Store {
        at: u8,
        bytes: Vec<u8>,
    },
    /// A header, so that arrays are found.
    Header {
        at: u8,
        tag: u16,
        count: u16,
        pairs: Address,
    },
    LongHeader {
        at: u8,
        pairs: Address,
        count: u64,
    },
    Call {
        number: u8,
        first: Address,
        second: Address,
        mood: u64,
        races: Vec<Race>,
    },
    Raw {
        number: u64,
        args: [u64; 2],
        mood: u64,
    },
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Address {
    /// In RAM.
    Near(u8),
    /// So far before the end of RAM.
    Edge(u8),
    /// So far before the end of all addresses.
    Top(u8),
    Any(u64),
}

impl Address {
    fn register(self) -> u64 {
        match self {
            Self::Near(at) => place(at),
            Self::Edge(before) => SIZE as u64 - u64::from(before),
            Self::Top(before) => u64::MAX - u64::from(before),
            Self::Any(value) => value,
        }
    }
}

fuzz_target!(|input: Input| {
    let ram = Ram::new(PAGES);
    for step in input.steps.iter().take(32) {
        match step {
            Step::Store { at, bytes } => store(&ram, place(*at), bytes),
            Step::Header {
                at,
                tag,
                count,
                pairs,
            } => {
                store(&ram, place(*at), &tag.to_le_bytes());
                store(&ram, place(*at) + 2, &count.to_le_bytes());
                store(&ram, place(*at) + 8, &pairs.register().to_le_bytes());
            }
            Step::LongHeader { at, pairs, count } => {
                store(&ram, place(*at), &pairs.register().to_le_bytes());
                store(&ram, place(*at) + 8, &count.to_le_bytes());
            }
            Step::Call {
                number,
                first,
                second,
                mood,
                races,
            } => {
                let number = 0x10 + u64::from(number % 16);
                let registers = Registers {
                    number,
                    args: [first.register(), second.register()],
                };
                call(
                    &ram,
                    registers,
                    usize::from(input.extent),
                    Moody(*mood),
                    races,
                );
            }
            Step::Raw { number, args, mood } => {
                let registers = Registers {
                    number: *number,
                    args: *args,
                };
                call(
                    &ram,
                    registers,
                    usize::from(input.extent),
                    Moody(*mood),
                    &[],
                );
            }
        }
    }
});

/// A place in RAM. Few, so that a header and the register that names it meet.
fn place(choice: u8) -> u64 {
    u64::from(choice % 12) * 0x400 + u64::from(choice / 12) * 0x31
}

/// What does not fit is not stored.
fn store(ram: &Ram, at: u64, bytes: &[u8]) {
    let _ = ram.write(at, bytes);
}

fn snapshot(ram: &Ram) -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    ram.read(0, &mut bytes).expect("it is RAM");
    bytes
}

fn call(ram: &Ram, registers: Registers, extent: usize, mood: Moody, races: &[Race]) {
    let mut before = snapshot(ram);
    // What another processor stores is no concern of the call.
    let raced = std::cell::RefCell::new(Vec::new());
    let store = |race: Race| {
        let at = usize::from(race.place % 0x2ffc);
        ram.write(at as u64, &race.value.to_le_bytes())
            .expect("it is RAM");
        raced.borrow_mut().push(at);
    };
    let memory = Recorder::new(ram, races, &store);
    let answer = if extent == 0 {
        OwnServer::new(mood).serve(registers, &memory)
    } else {
        OwnServer {
            implementation: mood,
            rules: Extent(extent),
        }
        .serve(registers, &memory)
    };
    let (reads, writes) = memory.finish();

    let Some(call) = OwnCalls::INTERFACE.select(registers.number, registers.args) else {
        assert_eq!(answer, Ok(-25));
        assert!(reads.is_empty() && writes.is_empty());
        return;
    };
    let allowed = allowed(call, registers.args, extent.min(BYTES_LIMIT), &reads);
    check_writes(call, answer.ok(), &writes, &allowed);
    let most = if call.has_array() {
        1 + SIZE / 8 + 1
    } else {
        2
    };
    assert!(
        reads.len() <= most,
        "a block is read once, and an array ends with the memory"
    );
    match failed(&reads) {
        Some(place) if call.has_array() && place > 1 => assert_eq!(answer, Ok(0)),
        Some(_) => assert_eq!(answer, Ok(-14)),
        None => {}
    }
    for at in raced.into_inner() {
        before[at..at + 4].copy_from_slice(&snapshot(ram)[at..at + 4]);
    }
    for (at, (old, new)) in before.iter().zip(snapshot(ram)).enumerate() {
        let at = at as u128;
        assert!(
            *old == new || allowed.iter().any(|range| range.contains(&at)),
            "{at:#x} changed"
        );
    }
}

/// Which read failed, if one did.
fn failed(reads: &[Read]) -> Option<usize> {
    reads.iter().position(|read| read.bytes.is_err())
}
