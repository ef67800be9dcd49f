//! Where in a call's memory something is, by the names of the schema.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use hypercall::arg::{Arg, Linked, Target};
use hypercall::call::{CallInfo, LinkTarget, RegisterInfo};
use hypercall::schema::{FieldInfo, Kind, Role, StructInfo};

/// A stretch of memory with its meaning.
#[derive(Clone)]
pub(super) struct Place {
    /// How it was named.
    pub(super) path: String,
    /// What it is. The size is [`TO_THE_END`] for an array or bytes whose number differs from call to call.
    pub(super) field: FieldInfo,
    register: usize,
    /// In the memory that the register's block points at, rather than in the block.
    nested: bool,
}

/// The size of what fills the rest of its memory.
pub(super) const TO_THE_END: usize = usize::MAX;

/// Bytes without a meaning.
const BYTES: Kind = Kind::Array {
    element: &Kind::Unsigned,
    size: 1,
    length: 0,
};

impl Place {
    /// Finds `points[2].x`, `to.x`, `x`, or `to`: an argument, or a field of a block; in it, fields and elements.
    ///
    /// An argument comes before a field of its name.
    pub(super) fn find(call: &'static CallInfo, path: &str) -> Result<Self, String> {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let (head, rest) = path.split_at_checked(end).unwrap_or((path, ""));
        let mut roots: Vec<Self> = Vec::new();
        for by_argument in [true, false] {
            if roots.is_empty() {
                let registers = call.registers.iter().enumerate();
                roots = registers
                    .filter_map(|(index, register)| root(register, index, head, by_argument))
                    .collect();
            }
        }
        let mut place = match <[Self; 1]>::try_from(roots) {
            Ok([place]) => place,
            Err(several) if !several.is_empty() => {
                return Err(format!(
                    "`{head}` is a field of both blocks: name the block first"
                ));
            }
            Err(_) => return Err(format!("there is no `{head}` in its memory{}", names(call))),
        };
        place.path = path.to_string();
        place.walk(rest)?;
        Ok(place)
    }

    /// Goes on to `.name` and `[index]`.
    fn walk(&mut self, mut path: &str) -> Result<(), String> {
        while !path.is_empty() {
            let (step, rest) = if let Some(rest) = path.strip_prefix('.') {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let (name, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
                (self.member(name), rest)
            } else {
                let inside = path.strip_prefix('[').and_then(|rest| rest.split_once(']'));
                let (index, rest) = inside.unwrap_or((path, ""));
                (
                    index.parse().ok().and_then(|index| self.element(index)),
                    rest,
                )
            };
            self.field = step.ok_or_else(|| format!("there is no `{}`", self.path))?;
            path = rest;
        }
        Ok(())
    }

    fn member(&self, name: &str) -> Option<FieldInfo> {
        let Kind::Struct(info) = self.field.kind else {
            return None;
        };
        let member = info.field(name)?;
        let offset = self.field.offset.checked_add(member.offset)?;
        Some(FieldInfo { offset, ..*member })
    }

    fn element(&self, index: usize) -> Option<FieldInfo> {
        let Kind::Array {
            element,
            size,
            length,
        } = self.field.kind
        else {
            return None;
        };
        if self.field.size != TO_THE_END && index >= length {
            return None;
        }
        let offset = self.field.offset.checked_add(size.checked_mul(index)?)?;
        Some(FieldInfo {
            offset,
            size,
            kind: *element,
            ..self.field
        })
    }

    /// Whether it is in the block that this register points at, or is that block.
    pub(super) const fn is_in(&self, register: usize) -> bool {
        self.register == register && !self.nested
    }

    /// The bytes in a call's arguments, where they are there.
    pub(super) fn bytes<'s>(&self, args: &'s [Arg<'_>; 2]) -> Option<&'s [u8]> {
        let argument = args.get(self.register)?;
        let memory = match argument {
            block if !self.nested => block.bytes()?,
            Arg::Linked(Linked {
                target: Target::Read(bytes),
                ..
            }) => bytes,
            Arg::Linked(Linked {
                target: Target::ReadWrite(bytes),
                ..
            }) => bytes,
            _ => return None,
        };
        memory.get(self.range(memory.len())?)
    }

    /// The bytes in a call's arguments, where they are there and the hypervisor may write them.
    pub(super) fn bytes_mut<'s>(&self, args: &'s mut [Arg<'_>; 2]) -> Option<&'s mut [u8]> {
        let argument = args.get_mut(self.register)?;
        if matches!(argument, Arg::Linked(_)) != self.nested {
            return None;
        }
        let memory = argument.output()?;
        let range = self.range(memory.len())?;
        memory.get_mut(range)
    }

    fn range(&self, length: usize) -> Option<core::ops::Range<usize>> {
        let FieldInfo { offset, size, .. } = self.field;
        let end = match size {
            TO_THE_END => length,
            size => offset.checked_add(size)?,
        };
        Some(offset..end)
    }
}

/// What an argument, or a field of a register's block, is.
fn root(
    register: &'static RegisterInfo,
    index: usize,
    head: &str,
    by_argument: bool,
) -> Option<Place> {
    let place = |nested, field| Place {
        path: String::new(),
        field,
        register: index,
        nested,
    };
    let whole = |kind, size| FieldInfo {
        name: "",
        c_name: "",
        offset: 0,
        size,
        kind,
        role: Role::Plain,
        units: "",
    };
    match register {
        RegisterInfo::Block {
            name,
            kind,
            size,
            link,
            ..
        } => {
            if !by_argument {
                return member_of(kind, head).map(|field| place(false, *field));
            }
            if let Some(link) = link
                && link.name == head
                && let LinkTarget::Array { kind, size, .. } = &link.target
            {
                let array = Kind::Array {
                    element: kind,
                    size: *size,
                    length: 0,
                };
                return Some(place(true, whole(array, TO_THE_END)));
            }
            (*name == head).then(|| place(false, whole(*kind, *size)))
        }
        RegisterInfo::Bytes { name, .. } if by_argument && *name == head => {
            Some(place(false, whole(BYTES, TO_THE_END)))
        }
        _ => None,
    }
}

fn member_of(kind: &'static Kind, name: &str) -> Option<&'static FieldInfo> {
    match kind {
        Kind::Struct(info) => info.field(name),
        _ => None,
    }
}

/// `; it has a, b, c` for an error.
fn names(call: &CallInfo) -> String {
    let mut names: Vec<&str> = Vec::new();
    for register in &call.registers {
        match register {
            RegisterInfo::Block {
                name, kind, link, ..
            } => {
                names.push(name);
                names.extend(link.iter().map(|link| link.name));
                if let Kind::Struct(StructInfo { fields, .. }) = kind {
                    names.extend(fields.iter().map(|field| field.name));
                }
            }
            RegisterInfo::Bytes { name, .. } => names.push(name),
            RegisterInfo::Unused | RegisterInfo::Value { .. } => {}
        }
    }
    names.retain(|name| !name.is_empty());
    if names.is_empty() {
        String::from(", of which it has none")
    } else {
        format!("; it has {}", names.join(", "))
    }
}
