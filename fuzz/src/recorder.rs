//! Guest memory that watches whoever uses it, and that another processor writes at the worst moment.

use std::cell::RefCell;
use std::ops::Range;

use arbitrary::Arbitrary;
use hypercall_core::server::{GuestMemory, Unmapped};

/// A store by another processor of the guest, right after the dispatcher's read of this number.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Race {
    /// The read, from 0; only the low two bits count.
    pub after: u8,
    /// Where, as the target means it.
    pub place: u16,
    /// What.
    pub value: u32,
}

/// A copy out of guest memory.
#[derive(Clone, Debug)]
pub struct Read {
    /// Where it starts.
    pub gpa: u64,
    /// What came, or how much should have come.
    pub bytes: Result<Vec<u8>, usize>,
}

/// A copy into guest memory.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// Where it starts.
    pub gpa: u64,
    /// Bytes.
    pub length: usize,
    /// Whether all of it was stored.
    pub stored: bool,
}

/// Guest memory that keeps a record of what a dispatcher did to it.
pub struct Recorder<'m> {
    memory: &'m dyn GuestMemory,
    races: &'m [Race],
    store: &'m dyn Fn(Race),
    reads: RefCell<Vec<Read>>,
    writes: RefCell<Vec<Write>>,
}

impl<'m> Recorder<'m> {
    /// Watches `memory`. `store` does what a race says.
    pub fn new(memory: &'m dyn GuestMemory, races: &'m [Race], store: &'m dyn Fn(Race)) -> Self {
        Self {
            memory,
            races,
            store,
            reads: RefCell::default(),
            writes: RefCell::default(),
        }
    }

    /// What was read and what was written, each in order.
    pub fn finish(self) -> (Vec<Read>, Vec<Write>) {
        (self.reads.into_inner(), self.writes.into_inner())
    }
}

impl GuestMemory for Recorder<'_> {
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), Unmapped> {
        let result = self.memory.read(gpa, bytes);
        let number = self.reads.borrow().len();
        self.reads.borrow_mut().push(Read {
            gpa,
            bytes: result
                .map(|()| bytes.to_vec())
                .map_err(|Unmapped| bytes.len()),
        });
        for race in self
            .races
            .iter()
            .filter(|race| usize::from(race.after & 3) == number)
        {
            (self.store)(*race);
        }
        result
    }

    fn write(&self, gpa: u64, bytes: &[u8]) -> Result<(), Unmapped> {
        let result = self.memory.write(gpa, bytes);
        self.writes.borrow_mut().push(Write {
            gpa,
            length: bytes.len(),
            stored: result.is_ok(),
        });
        result
    }
}

impl Write {
    /// Whether it lies in one of the ranges as a whole.
    pub fn is_within(&self, ranges: &[Range<u128>]) -> bool {
        let start = u128::from(self.gpa);
        let end = start + self.length as u128;
        self.length == 0
            || ranges
                .iter()
                .any(|range| range.start <= start && end <= range.end)
    }
}
