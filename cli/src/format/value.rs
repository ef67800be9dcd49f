//! One value as text: `VmId(1)`, `READ|WRITE`, `"demo"`, `{rip=0xfff0, cs={selector=0xf000}}`.
//!
//! The rules are those of `hypercall_core::show`, read from a trace's schema instead of from compiled tables: what is
//! zero or reserved is left out, a secret is never shown.

use std::fmt::Write as _;

use hypercall_core::schema::Role;
use hypercall_trace::schema::{Field, Kind, Name, Struct};

use super::paint::{Paint, Part};
use super::{digits, hex};

/// What stands in place of a secret.
pub(super) const SECRET: &str = "<secret>";

/// How much of a value is shown.
#[derive(Clone, Copy, Debug)]
pub struct Detail {
    /// Fields that are zero as well, and reserved ones.
    pub all: bool,
    /// Bytes of an undescribed or a text field before an ellipsis.
    pub bytes: usize,
    /// Elements of an array before an ellipsis.
    pub elements: usize,
}

impl Default for Detail {
    fn default() -> Self {
        Self {
            all: false,
            bytes: 32,
            elements: 8,
        }
    }
}

impl Detail {
    /// Everything.
    #[must_use]
    pub const fn full() -> Self {
        Self {
            all: true,
            bytes: usize::MAX,
            elements: usize::MAX,
        }
    }
}

/// Writes values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values {
    /// The colours.
    pub paint: Paint,
    /// How much is shown.
    pub detail: Detail,
}

/// Writes `, ` between the entries of a list.
#[derive(Debug, Default)]
pub(super) struct List {
    started: bool,
}

impl List {
    pub(super) fn next(&mut self, out: &mut String) {
        if std::mem::replace(&mut self.started, true) {
            out.push_str(", ");
        }
    }
    pub(super) const fn is_empty(&self) -> bool {
        !self.started
    }
}

/// Which fields of a struct are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Which<'b> {
    /// The field at this offset is not: it holds an address that stands for something else.
    pub(super) hidden: Option<usize>,
    /// Only those whose bytes differ from these.
    pub(super) changed_from: Option<&'b [u8]>,
}

impl Values {
    /// The name of an argument or a field, and `=`.
    pub(super) fn name(&self, name: &str, out: &mut String) {
        self.paint.put(Part::Name, name, out);
        out.push('=');
    }

    /// A value of a kind.
    pub fn value(&self, kind: &Kind, role: Role, bytes: &[u8], out: &mut String) {
        match kind {
            _ if role == Role::Secret => out.push_str(SECRET),
            Kind::Unsigned if bytes.len() > 8 => self.bytes(bytes, out),
            Kind::Unsigned => number(role, unsigned(bytes), out),
            Kind::Signed => digits::signed(signed(bytes), out),
            Kind::Enum(names) => {
                let value = unsigned(bytes);
                match name_of(names, value) {
                    Some(name) => out.push_str(name),
                    None => digits::decimal(value, out),
                }
            }
            Kind::Flags(names) => flags(names, unsigned(bytes), out),
            Kind::Id(name) => {
                out.push_str(name);
                out.push('(');
                let role = if kind.is_address() {
                    Role::Address
                } else {
                    role
                };
                number(role, unsigned(bytes), out);
                out.push(')');
            }
            Kind::Text => self.text(bytes, out),
            Kind::Struct(info) => {
                out.push('{');
                self.fields(info, bytes, Which::default(), &mut List::default(), out);
                out.push('}');
            }
            Kind::Array {
                element, size: 1, ..
            } if matches!(**element, Kind::Unsigned) => {
                self.bytes(bytes, out);
            }
            Kind::Array { element, size, .. } => self.array(element, role, *size, bytes, out),
        }
    }

    /// The fields of a struct, with commas between them.
    pub(super) fn fields(
        &self,
        info: &Struct,
        bytes: &[u8],
        which: Which<'_>,
        list: &mut List,
        out: &mut String,
    ) {
        for field in &info.fields {
            let Some(part) = part(bytes, field) else {
                list.next(out);
                self.name(&field.name, out);
                out.push_str("<cut off>");
                continue;
            };
            let plain = !self.detail.all
                && (field.role == Role::Reserved
                    || which.changed_from.is_none() && part.iter().all(|byte| *byte == 0));
            let same = which.changed_from.is_some_and(|before| {
                before
                    .get(field.offset..)
                    .is_some_and(|rest| rest.starts_with(part))
            });
            if plain || same || which.hidden == Some(field.offset) {
                continue;
            }
            list.next(out);
            self.name(&field.name, out);
            self.field(field, part, out);
        }
    }

    /// One field's value with its unit.
    pub fn field(&self, field: &Field, bytes: &[u8], out: &mut String) {
        self.value(&field.kind, field.role, bytes, out);
        if !field.units.is_empty() {
            out.push(' ');
            out.push_str(&field.units);
        }
    }

    /// Elements of one kind in brackets.
    pub(super) fn array(
        &self,
        element: &Kind,
        role: Role,
        size: usize,
        bytes: &[u8],
        out: &mut String,
    ) {
        out.push('[');
        let mut list = List::default();
        for (index, part) in bytes.chunks(size.max(1)).enumerate() {
            list.next(out);
            if index >= self.detail.elements {
                let _ = write!(out, "… {} in all", bytes.len().div_ceil(size.max(1)));
                break;
            }
            self.value(element, role, part, out);
        }
        out.push(']');
    }

    /// Undescribed bytes.
    pub(super) fn bytes(&self, bytes: &[u8], out: &mut String) {
        out.push('<');
        hex::push(bytes.get(..self.detail.bytes).unwrap_or(bytes), out);
        if bytes.len() > self.detail.bytes {
            let _ = write!(out, "… {} bytes", bytes.len());
        }
        out.push('>');
    }

    fn text(&self, bytes: &[u8], out: &mut String) {
        let bytes = until_nul(bytes);
        out.push('"');
        let _ = write!(
            out,
            "{}",
            bytes
                .get(..self.detail.bytes)
                .unwrap_or(bytes)
                .escape_ascii()
        );
        out.push_str(if bytes.len() > self.detail.bytes {
            "\"…"
        } else {
            "\""
        });
    }
}

/// A text field up to its NUL.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}

/// A field's bytes.
pub(crate) fn part<'b>(bytes: &'b [u8], field: &Field) -> Option<&'b [u8]> {
    bytes.get(field.offset..field.offset.checked_add(field.size)?)
}

/// The field of a block that is a call's result, as far as a schema tells: what names something, else what locates it.
pub(crate) fn yielded(info: &Struct) -> Option<&Field> {
    let handle = info.fields.iter().find(|field| field.role == Role::Handle);
    handle.or_else(|| {
        info.fields
            .iter()
            .rfind(|field| field.role == Role::Address)
    })
}

pub(crate) fn unsigned(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .take(8)
        .rev()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

pub(crate) fn signed(bytes: &[u8]) -> i64 {
    let unused = 64_u32.saturating_sub(u32::try_from(bytes.len()).unwrap_or(8).saturating_mul(8));
    let raw = unsigned(bytes).cast_signed();
    raw.checked_shl(unused)
        .and_then(|shifted| shifted.checked_shr(unused))
        .unwrap_or(raw)
}

/// The name of a value.
pub(crate) fn name_of(names: &[Name], value: u64) -> Option<&str> {
    names
        .iter()
        .find(|name| name.value == value)
        .map(|name| name.name.as_str())
}

/// The names of the bits that are set, and the bits that have none.
pub(crate) fn flag_names(names: &[Name], value: u64) -> (Vec<&str>, u64) {
    let mut rest = value;
    let mut found = Vec::new();
    for name in names {
        if name.value != 0 && rest & name.value == name.value {
            found.push(name.name.as_str());
            rest &= !name.value;
        }
    }
    (found, rest)
}

fn number(role: Role, value: u64, out: &mut String) {
    match (role, value) {
        (Role::Address, _) | (_, 10..) => digits::hex(value, out),
        _ => digits::decimal(value, out),
    }
}

fn flags(names: &[Name], value: u64, out: &mut String) {
    let mut rest = value;
    let mut first = true;
    let mut bar = |out: &mut String| {
        if !std::mem::take(&mut first) {
            out.push('|');
        }
    };
    for name in names {
        if name.value != 0 && rest & name.value == name.value {
            bar(out);
            out.push_str(&name.name);
            rest &= !name.value;
        }
    }
    if rest != 0 {
        bar(out);
        digits::hex(rest, out);
    } else if value == 0 {
        out.push('0');
    }
}
