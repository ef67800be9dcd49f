//! The description of a call: everything that is known about it before it is made.
//!
//! The interface attribute produces one [`CallInfo`] for each method, and one [`InterfaceInfo`] for the trait, as
//! constants. A transport is given the description with every call; only the number takes part in making it.

use core::fmt;

use crate::schema::{Kind, Role};

/// An interface: its name and its calls, in the order of their declaration.
#[derive(Clone, Copy, Debug)]
pub struct InterfaceInfo {
    /// The trait's name.
    pub name: &'static str,
    /// Every call.
    pub calls: &'static [&'static CallInfo],
}

impl InterfaceInfo {
    /// The call with this method name.
    #[must_use]
    pub fn call(&self, name: &str) -> Option<&'static CallInfo> {
        self.calls.iter().copied().find(|call| call.name == name)
    }

    /// The call that these registers make, or `None` for an unknown number or selector.
    #[must_use]
    pub fn select(&self, number: u64, args: [u64; 2]) -> Option<&'static CallInfo> {
        self.calls
            .iter()
            .copied()
            .find(|call| call.number == number && call.selected_by(args))
    }
}

/// One call of an interface.
pub struct CallInfo {
    /// The interface's name.
    pub interface: &'static str,
    /// The call's place in [`InterfaceInfo::calls`].
    pub index: usize,
    /// The method's name.
    pub name: &'static str,
    /// The hypercall number, as the hypervisor gets it.
    pub number: u64,
    /// Where several methods share a number: how the first register tells them apart.
    pub selector: Option<Selector>,
    /// What the two registers carry.
    pub registers: [RegisterInfo; 2],
    /// What a caller gets back.
    pub result: ResultInfo,
    /// What to check after a refusal, by code.
    pub hints: &'static [Hint],
    /// The interface's error codes.
    pub codes: &'static [CodeInfo],
}

impl CallInfo {
    /// Whether these registers select this call among those of its number.
    #[must_use]
    pub fn selected_by(&self, args: [u64; 2]) -> bool {
        match self.selector {
            Some(Selector { mask, value }) => args[0] & mask == value,
            None => true,
        }
    }

    /// Whether the call passes an array, whose elements the hypervisor applies one by one.
    #[must_use]
    pub const fn has_array(&self) -> bool {
        let [first, second] = &self.registers;
        first.is_array() || second.is_array()
    }

    /// The name and meaning of an error code, where the interface knows it.
    #[must_use]
    pub fn code(&self, rax: i64) -> Option<&'static CodeInfo> {
        self.codes.iter().find(|code| code.code == rax)
    }

    /// What to check after this code.
    #[must_use]
    pub fn hint(&self, rax: i64) -> Option<&'static str> {
        self.hints
            .iter()
            .find(|hint| hint.code == rax)
            .map(|hint| hint.text)
    }
}

/// Calls are the same when interface, name and number are; where the description lies does not matter.
impl PartialEq for CallInfo {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
            || (self.number == other.number
                && self.name == other.name
                && self.interface == other.interface)
    }
}
impl Eq for CallInfo {}

impl fmt::Debug for CallInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{} ({:#x})", self.interface, self.name, self.number)
    }
}

/// Bits of the first register that choose among the methods of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The bits that count.
    pub mask: u64,
    /// What they must be.
    pub value: u64,
}

/// What a register carries.
#[derive(Clone, Copy, Debug)]
pub enum RegisterInfo {
    /// Nothing: the hypervisor does not read it.
    Unused,
    /// A number.
    Value {
        /// The argument's name.
        name: &'static str,
        /// How a tool reads it.
        kind: Kind,
        /// What it means.
        role: Role,
        /// Shows it as the argument's type does.
        show: Show,
    },
    /// The physical address of a block of memory.
    Block {
        /// The argument's name (the header's type for a linked block; empty for a returned one).
        name: &'static str,
        /// Who reads and who writes.
        direction: Direction,
        /// How a tool reads the bytes.
        kind: Kind,
        /// Its size in bytes.
        size: usize,
        /// What the block points at.
        link: Option<LinkInfo>,
    },
    /// The physical address of bytes whose meaning this interface does not describe. Their number is the caller's.
    Bytes {
        /// The argument's name.
        name: &'static str,
        /// Who reads and who writes.
        direction: Direction,
    },
}

impl RegisterInfo {
    const fn is_array(&self) -> bool {
        matches!(
            self,
            Self::Block {
                link: Some(LinkInfo {
                    target: LinkTarget::Array { .. },
                    ..
                }),
                ..
            }
        )
    }
}

/// Shows a register's value.
pub type Show = fn(u64, &mut fmt::Formatter<'_>) -> fmt::Result;

/// Who reads and who writes a block, from the hypervisor's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The hypervisor reads it.
    Read,
    /// The hypervisor writes it.
    Write,
    /// Both.
    ReadWrite,
}

/// A pointer inside a block.
#[derive(Clone, Copy, Debug)]
pub struct LinkInfo {
    /// The argument's name.
    pub name: &'static str,
    /// Where in the block the address is, in bytes.
    pub offset: usize,
    /// What is there.
    pub target: LinkTarget,
}

/// What a pointer inside a block points at.
#[derive(Clone, Copy, Debug)]
pub enum LinkTarget {
    /// An array whose length stands in the block.
    Array {
        /// Who reads and who writes.
        direction: Direction,
        /// How a tool reads one element.
        kind: Kind,
        /// Bytes of an element.
        size: usize,
        /// Where in the block the number of elements is, in bytes.
        count_offset: usize,
        /// How wide that number is, in bytes.
        count_size: usize,
    },
    /// Memory that the hypervisor keeps after the call.
    Shared,
}

/// What a caller gets back after success.
#[derive(Clone, Copy, Debug)]
pub enum ResultInfo {
    /// Nothing but the success: RAX is 0.
    Unit,
    /// RAX is 0, and the result is the block that this register (0 or 1) points at.
    Block(usize),
    /// RAX is 0, and the result is read from the block that this register (0 or 1) points at.
    Yielded {
        /// The register.
        register: usize,
        /// Shows the result.
        show: fn(&[u8], &mut fmt::Formatter<'_>) -> fmt::Result,
        /// Puts into the block what says that there is no result, as a client does before the call: what stands there then
        /// goes in, and is no input. A block of another length is left as it is.
        unset: fn(&mut [u8]),
    },
    /// The result is RAX itself, where it is not negative.
    Rax {
        /// How a tool reads it.
        kind: Kind,
        /// Shows it.
        show: Show,
    },
}

/// What to check when a call was refused with a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// RAX.
    pub code: i64,
    /// What to check, as one sentence without its full stop.
    pub text: &'static str,
}

/// An error code of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeInfo {
    /// RAX.
    pub code: i64,
    /// Its name, such as `EINVAL`.
    pub name: &'static str,
    /// What it means, as a phrase.
    pub text: &'static str,
}

/// Whether registers that select a call select no call before it in a list. For the interface attribute.
#[doc(hidden)]
#[must_use]
pub const fn distinct(call: &CallInfo, calls: &[&CallInfo]) -> bool {
    let mut rest = calls;
    while let [other, more @ ..] = rest {
        if other.index >= call.index {
            break;
        }
        if call.number == other.number {
            match (&call.selector, &other.selector) {
                (Some(ours), Some(theirs))
                    if (ours.value ^ theirs.value) & ours.mask & theirs.mask != 0 => {}
                _ => return false,
            }
        }
        rest = more;
    }
    true
}
