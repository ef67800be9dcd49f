//! Inputs that look like a guest's: numbers of real calls, ids of VMs that exist, addresses of memory that is there,
//! and now and then anything else.

use arbitrary::Arbitrary;
use hypercall_core::acrn::{HypervisorCalls as Calls, VmId};
use hypercall_core::server::Registers;

use crate::block::Block;
use crate::ram;
use crate::recorder::Race;

/// What happens next.
#[derive(Arbitrary, Clone, Debug)]
pub enum Step {
    /// A processor of the Service VM stores words.
    Store {
        /// Where.
        at: u8,
        /// What.
        words: Vec<Word>,
    },
    /// A block is stored and a call made with it.
    With(Block, Vec<Race>),
    /// A call with these registers.
    Call {
        /// Which.
        number: Number,
        /// RDI and RSI.
        args: [Word; 2],
        /// Who makes it, and in which ring: mostly the Service VM in ring 0.
        by: Caller,
        /// Stores of another processor meanwhile.
        races: Vec<Race>,
    },
    /// A User VM does something.
    Guest(crate::guest::Act),
}

/// The code that makes a call.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Caller(u8);

impl Caller {
    /// The Service VM's kernel.
    pub const SERVICE: Self = Self(0);

    /// Its privilege level.
    pub fn ring(self) -> u8 {
        match self.0 & 7 {
            ring @ 1..4 => ring,
            _ => 0,
        }
    }

    /// Its VM.
    pub fn vm(self) -> VmId {
        match self.0 {
            0..0xc0 => VmId::SERVICE_VM,
            0xc0..0xf0 => VmId(1),
            other => VmId(other.into()),
        }
    }
}

/// A hypercall number.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Number {
    /// A call's own.
    Exact(u8),
    /// One with a call's low byte.
    Inexact(u8, u64),
    /// Any.
    Any(u64),
}

/// What a register or a field may hold.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Word {
    /// The id of a VM that may exist.
    Vm(Id),
    /// An address in RAM.
    Place(u8),
    /// An address that another is followed from, or past the end of everything.
    Odd(u8),
    /// Two small numbers, in the halves.
    Halves(u16, u16),
    /// Any.
    Any(u64),
}

/// A VM's id: mostly that of the VM that the input begins with.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Id(u8);

impl Id {
    /// As a register holds it.
    pub fn raw(self) -> u64 {
        match self.0 {
            0..0xa0 => 1,
            other => u64::from(other % 18),
        }
    }
}

impl Number {
    fn raw(self) -> u64 {
        let known = |choice: u8| {
            let calls = Calls::INTERFACE.calls;
            calls[usize::from(choice) % calls.len()].number
        };
        match self {
            Self::Exact(choice) => known(choice),
            Self::Inexact(choice, above) => known(choice) & 0xff | above << 8,
            Self::Any(number) => number,
        }
    }
}

impl Word {
    /// The number.
    pub fn raw(self) -> u64 {
        match self {
            Self::Vm(id) => id.raw(),
            Self::Place(choice) => ram::place(choice),
            Self::Odd(choice) => {
                let places = [
                    ram::HOLE,
                    ram::HOLE - 4,
                    0x1100_0000,
                    0x1100_0000 - 8,
                    0xfec0_0000,
                    0xfee0_0000,
                    u64::from(u32::MAX) - 7,
                    1 << 32,
                    1 << 39,
                    1 << 63,
                    u64::MAX - 4095,
                    u64::MAX - 7,
                    u64::MAX,
                ];
                places[usize::from(choice) % places.len()]
            }
            Self::Halves(low, high) => u64::from(low) | u64::from(high) << 32,
            Self::Any(value) => value,
        }
    }
}

/// The registers of a call without a block.
pub fn registers(number: Number, args: [Word; 2]) -> Registers {
    Registers {
        number: number.raw(),
        args: args.map(Word::raw),
    }
}
