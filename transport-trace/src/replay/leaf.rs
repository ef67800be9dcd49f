//! The single values of a call: each with its name, its place in the call, and what it means.
//!
//! Bytes that no description covers (a call that the schema does not know, a block of another length than described)
//! are one leaf each, so that nothing of a call escapes a comparison.

use std::collections::BTreeSet;
use std::fmt;

use hypercall_core::schema::Role;

use crate::entry::Place;
use crate::schema::{self, Kind, LinkTarget, Register};

/// What bytes are that no description covers.
static RAW: Kind = Kind::Unsigned;

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// In a register (0 or 1), at this offset.
    Register(usize, usize),
    /// In a block, at this offset.
    Block(Place, usize),
}

/// One value of a call. Where a block's are walked through, a value has its name as a [`Path`]: written out for each of them, the
/// names would take thousands of times the memory that the block takes.
#[derive(Clone, Debug)]
pub(crate) struct Leaf<'s, P = String> {
    /// Its name: `vm`, `name`, `regs.rip`, `regions[2].gpa`.
    pub(crate) path: P,
    /// Where it is.
    pub(crate) at: At,
    /// Bytes: 8 in a register.
    pub(crate) size: usize,
    /// How it is read.
    pub(crate) kind: &'s Kind,
    /// What it means.
    pub(crate) role: Role,
    /// The unit of the number; empty where it has none.
    pub(crate) units: &'s str,
}

/// The name of a value, by those of what it stands in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'p> {
    Name(&'p str),
    Place(Place),
    Field(&'p Self, &'p str),
    Element(&'p Self, usize),
}

impl Path<'_> {
    const fn is_empty(&self) -> bool {
        match self {
            Self::Name(name) => name.is_empty(),
            Self::Field(of, name) => name.is_empty() && of.is_empty(),
            Self::Place(_) | Self::Element(..) => false,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Place(place) => write!(f, "{place}"),
            Self::Field(of, name) if of.is_empty() => f.write_str(name),
            Self::Field(of, name) => write!(f, "{of}.{name}"),
            Self::Element(of, index) => write!(f, "{of}[{index}]"),
        }
    }
}

impl<'s> Leaf<'s, Path<'_>> {
    fn named(self) -> Leaf<'s> {
        Leaf {
            path: self.path.to_string(),
            at: self.at,
            size: self.size,
            kind: self.kind,
            role: self.role,
            units: self.units,
        }
    }
}

impl<P> Leaf<'_, P> {
    /// Where its bytes are in those of the block or the register.
    fn range(&self) -> Option<std::ops::Range<usize>> {
        let (At::Block(_, offset) | At::Register(_, offset)) = self.at;
        Some(offset..offset.checked_add(self.size)?)
    }

    /// Its bytes among those of the block or the register.
    pub(crate) fn of<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        bytes.get(self.range()?)
    }

    /// Its bytes among those of the block or the register, to be changed.
    pub(crate) fn of_mut<'b>(&self, bytes: &'b mut [u8]) -> Option<&'b mut [u8]> {
        bytes.get_mut(self.range()?)
    }

    /// Whether it is a name or an address of one machine, of at most eight bytes.
    pub(crate) fn is_bound(&self) -> bool {
        matches!(self.role, Role::Handle | Role::Address) && self.size <= 8
    }
}

/// The name of a register.
pub(crate) const fn register_name(register: usize) -> &'static str {
    if register == 0 { "RDI" } else { "RSI" }
}

/// The place of a register's block.
pub(crate) const fn place_of(register: usize, nested: bool) -> Place {
    match (register, nested) {
        (0, false) => Place::Rdi,
        (0, true) => Place::RdiNested,
        (_, false) => Place::Rsi,
        (_, true) => Place::RsiNested,
    }
}

/// A register's description, where there is one.
pub(crate) fn register(schema: Option<&schema::Call>, register: usize) -> Option<&Register> {
    schema.and_then(|schema| schema.registers.get(register))
}

/// The values in a register: one, or the fields of a struct that travels in a register.
pub(crate) fn each_in_register<'s>(
    schema: Option<&'s schema::Call>,
    number: usize,
    each: &mut Each<'_, 's>,
) {
    let (path, kind, role) = match register(schema, number) {
        Some(Register::Value { name, kind, role }) => (name.as_str(), kind, *role),
        _ => (register_name(number), &RAW, Role::Plain),
    };
    let mut walk = Walk {
        place: Base::Register(number),
        each,
        skip: None,
    };
    walk.kind(Path::Name(path), 0, 8, kind, role, "");
}

/// The values of a block of `length` bytes at a place, with all their names.
pub(crate) fn block_leaves(
    schema: Option<&schema::Call>,
    place: Place,
    length: usize,
) -> Vec<Leaf<'_>> {
    let mut leaves = Vec::new();
    each_in_block(schema, place, length, &mut |leaf| leaves.push(leaf.named()));
    leaves
}

/// The same, one after the other: there may be as many as the block has bytes.
pub(crate) fn each_in_block<'s>(
    schema: Option<&'s schema::Call>,
    place: Place,
    length: usize,
    each: &mut Each<'_, 's>,
) {
    let (number, nested) = match place {
        Place::Rdi => (0, false),
        Place::RdiNested => (0, true),
        Place::Rsi => (1, false),
        Place::RsiNested => (1, true),
    };
    let mut walk = Walk {
        place: Base::Block(place),
        each,
        skip: None,
    };
    match (register(schema, number), nested) {
        (
            Some(Register::Block {
                name,
                kind,
                size,
                link,
                ..
            }),
            false,
        ) if *size == length => {
            // The address of a linked block is the transport's affair.
            walk.skip = link.as_ref().map(|link| link.offset);
            // As calls are shown: the fields of a struct stand for themselves.
            let prefix = if matches!(kind, Kind::Struct(_)) {
                ""
            } else {
                name.as_str()
            };
            walk.kind(Path::Name(prefix), 0, *size, kind, Role::Plain, "");
        }
        (
            Some(Register::Block {
                link:
                    Some(schema::Link {
                        name,
                        target: LinkTarget::Array { kind, size, .. },
                        ..
                    }),
                ..
            }),
            true,
        ) if length.checked_rem(*size) == Some(0) => {
            let count = length.checked_div(*size).unwrap_or(0);
            for index in 0..count {
                let offset = index.saturating_mul(*size);
                let path = Path::Element(&Path::Name(name), index);
                walk.kind(path, offset, *size, kind, Role::Plain, "");
            }
        }
        (described, _) => {
            let path = match described {
                Some(Register::Block { name, .. } | Register::Bytes { name, .. })
                    if !name.is_empty() && !nested =>
                {
                    Path::Name(name)
                }
                _ => Path::Place(place),
            };
            walk.push(path, 0, length, &RAW, Role::Plain, "");
        }
    }
}

/// What is done with each value.
pub(crate) type Each<'e, 's> = dyn FnMut(Leaf<'s, Path<'_>>) + 'e;

/// What is walked through.
#[derive(Clone, Copy)]
enum Base {
    Register(usize),
    Block(Place),
}

struct Walk<'w, 'e, 's> {
    place: Base,
    each: &'w mut Each<'e, 's>,
    /// The offset of an address that is left out.
    skip: Option<usize>,
}

impl<'s> Walk<'_, '_, 's> {
    fn push(
        &mut self,
        path: Path<'_>,
        offset: usize,
        size: usize,
        kind: &'s Kind,
        role: Role,
        units: &'s str,
    ) {
        if size != 0 && self.skip != Some(offset) {
            let at = match self.place {
                Base::Block(place) => At::Block(place, offset),
                Base::Register(number) => At::Register(number, offset),
            };
            (self.each)(Leaf {
                path,
                at,
                size,
                kind,
                role,
                units,
            });
        }
    }

    fn kind(
        &mut self,
        path: Path<'_>,
        offset: usize,
        size: usize,
        kind: &'s Kind,
        role: Role,
        units: &'s str,
    ) {
        match kind {
            Kind::Struct(info) if role != Role::Secret => {
                for field in &info.fields {
                    let path = Path::Field(&path, &field.name);
                    // What stands inside a reserved or volatile field is that as well.
                    let role = if role == Role::Plain {
                        field.role
                    } else {
                        role
                    };
                    let offset = offset.saturating_add(field.offset);
                    self.kind(path, offset, field.size, &field.kind, role, &field.units);
                }
            }
            Kind::Array {
                element,
                size: each,
                length,
            } if role != Role::Secret && !bytes(element, *each) => {
                for index in 0..*length {
                    let offset = offset.saturating_add(index.saturating_mul(*each));
                    let path = Path::Element(&path, index);
                    self.kind(path, offset, *each, element, role, units);
                }
            }
            _ => {
                let path = match self.place {
                    _ if !path.is_empty() => path,
                    Base::Block(place) => Path::Place(place),
                    Base::Register(number) => Path::Name(register_name(number)),
                };
                self.push(path, offset, size, kind, role, units);
            }
        }
    }
}

/// Whether an array is one string of bytes for a reader.
fn bytes(element: &Kind, size: usize) -> bool {
    size == 1 && matches!(element, Kind::Unsigned)
}

/// A little-endian number of at most eight bytes.
pub(crate) fn unsigned(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .take(8)
        .rev()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// The types of ids that stand as handles somewhere in the interfaces: names that the hypervisor gives out. An id in RAX says
/// nothing of its role.
pub(crate) fn handles(schema: &schema::Schema) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for register in schema.calls().flat_map(|call| &call.registers) {
        match register {
            Register::Value { kind, role, .. } => handles_in(kind, *role, &mut found),
            Register::Block { kind, link, .. } => {
                handles_in(kind, Role::Plain, &mut found);
                if let Some(LinkTarget::Array { kind, .. }) = link.as_ref().map(|link| &link.target)
                {
                    handles_in(kind, Role::Plain, &mut found);
                }
            }
            Register::Unused | Register::Bytes { .. } => {}
        }
    }
    found
}

fn handles_in(kind: &Kind, role: Role, found: &mut BTreeSet<String>) {
    match kind {
        Kind::Id(name) if role == Role::Handle => {
            found.insert(name.clone());
        }
        Kind::Struct(info) => {
            for field in &info.fields {
                handles_in(&field.kind, field.role, found);
            }
        }
        Kind::Array { element, .. } => handles_in(element, role, found),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, Place};

    #[test]
    fn a_path_is_written_as_a_field_is_named() {
        let regions = Path::Name("regions");
        let second = Path::Element(&regions, 2);
        assert_eq!(Path::Field(&second, "gpa").to_string(), "regions[2].gpa");
        // The fields of a block's own struct stand for themselves, also where one has no name.
        let block = Path::Name("");
        let nameless = Path::Field(&block, "");
        assert_eq!(Path::Field(&block, "vmid").to_string(), "vmid");
        assert_eq!(Path::Field(&nameless, "rip").to_string(), "rip");
        assert!(nameless.is_empty());
        assert_eq!(
            Path::Place(Place::RsiNested).to_string(),
            Place::RsiNested.to_string()
        );
    }
}
