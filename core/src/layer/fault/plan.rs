//! What a plan of faults says, as data.

use core::time::Duration;

use super::{PlanError, When};
use crate::call::{CallInfo, InterfaceInfo};
use crate::transport::{Hazard, TransportError};

/// Up to `N` faults, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<const N: usize> {
    /// The empty places come last.
    faults: [Option<Fault>; N],
}

/// There is no place for another fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl<const N: usize> Plan<N> {
    /// A plan without faults.
    #[must_use]
    pub const fn new() -> Self {
        Self { faults: [None; N] }
    }

    /// Reads a plan in the [module's language](super). Names are those of `interface`.
    ///
    /// Any text is fine: the result is a plan or an error, whatever it says.
    ///
    /// # Errors
    /// [`PlanError`] with the place and the [`Problem`](super::Problem).
    pub fn parse(text: &str, interface: &'static InterfaceInfo) -> Result<Self, PlanError> {
        super::parse::plan(text, interface)
    }

    /// Adds a fault behind the others.
    ///
    /// # Errors
    /// [`Full`] when there are `N`.
    pub fn push(&mut self, fault: Fault) -> Result<(), Full> {
        let place = self.faults.iter_mut().find(|place| place.is_none());
        *place.ok_or(Full)? = Some(fault);
        Ok(())
    }

    /// The faults in order.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().flatten()
    }
}

impl<const N: usize> Default for Plan<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// One fault: which calls, what happens to them, when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The calls that it is about, and counts.
    pub calls: Calls,
    /// What happens.
    pub effect: Effect,
    /// To which of them.
    pub when: When,
}

/// Which calls a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Every call.
    All,
    /// All calls of this number.
    Number(u64),
    /// One call of an interface.
    One(&'static CallInfo),
}

impl Calls {
    /// Whether a call is among them.
    #[must_use]
    pub fn contain(&self, call: &CallInfo) -> bool {
        match self {
            Self::All => true,
            Self::Number(number) => *number == call.number,
            Self::One(one) => *one == call,
        }
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It gets this answer.
    Answer(Form, Answer),
    /// It takes this many microseconds longer.
    Delay(u64),
    /// The memory that it wrote is changed from this byte on.
    Flip(usize, Pattern),
}

/// Whether a call whose answer is given is made at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// It is not issued.
    Instead,
    /// It is issued, and its answer replaced. Where it got none, nothing is replaced.
    After,
}

/// An answer that nobody gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// RAX.
    Rax(i64),
    /// [`TransportError::Lost`].
    Lost,
    /// [`Hazard::Crashed`].
    Crash,
    /// [`Hazard::Hung`].
    Hang,
}

impl Answer {
    /// The answer as a transport gives it.
    ///
    /// # Errors
    /// All but [`Rax`](Answer::Rax) are errors.
    pub const fn give(self) -> Result<i64, TransportError> {
        match self {
            Self::Rax(rax) => Ok(rax),
            Self::Lost => Err(TransportError::Lost("fault injection")),
            Self::Crash => Err(TransportError::Dead(Hazard::Crashed("fault injection"))),
            Self::Hang => Err(TransportError::Dead(Hazard::Hung("fault injection"))),
        }
    }
}

/// One to eight bytes that output is combined with by exclusive or. At least one bit is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl Pattern {
    /// Bytes of the longest pattern.
    pub const LONGEST: usize = 8;

    /// These bytes. `None` where they are too many or change nothing.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut pattern = [0; Self::LONGEST];
        pattern.get_mut(..bytes.len())?.copy_from_slice(bytes);
        pattern.iter().any(|byte| *byte != 0).then_some(Self {
            bytes: pattern,
            length: bytes.len(),
        })
    }

    /// One bit of a byte. Only the low three bits of `bit` count.
    #[must_use]
    pub const fn bit(bit: u32) -> Self {
        Self::byte(1_u8.rotate_left(bit))
    }

    /// All bits of a byte.
    pub const BYTE: Self = Self::byte(0xff);

    const fn byte(byte: u8) -> Self {
        Self {
            bytes: [byte, 0, 0, 0, 0, 0, 0, 0],
            length: 1,
        }
    }

    /// The bytes, in the order of memory.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Combines the bytes of `memory` from `place` on with the pattern. Returns whether all of them are there;
    /// otherwise nothing is changed.
    pub fn apply(&self, place: usize, memory: &mut [u8]) -> bool {
        let target = place
            .checked_add(self.length)
            .and_then(|end| memory.get_mut(place..end));
        let Some(target) = target else {
            return false;
        };
        for (byte, change) in target.iter_mut().zip(self.bytes()) {
            *byte ^= change;
        }
        true
    }
}

impl Effect {
    /// How long the call waits.
    pub(super) const fn delay(&self) -> Option<Duration> {
        match self {
            Self::Delay(microseconds) => Some(Duration::from_micros(*microseconds)),
            _ => None,
        }
    }
}
