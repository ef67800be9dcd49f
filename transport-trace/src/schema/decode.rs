//! Reads the body of a schema block. Bounded: nothing is allocated that the bytes do not pay for, and nesting has a limit.

use std::sync::Arc;

use hypercall_core::call::{Direction, Selector};
use hypercall_core::schema::Role;

use super::{
    Call, Code, Field, Interface, Kind, Link, LinkTarget, Name, Register, ResultKind, Schema,
    Struct, limits,
};
use crate::get::Get;

/// How deep kinds may nest.
const DEPTH: usize = 16;
/// How many interfaces there may be: a call's id is counted through them.
const INTERFACES: u16 = 256;

/// Reads a schema. `None` when the frame of it does not hold; a call whose inside cannot be read is kept with its name.
pub(crate) fn decode(bytes: &[u8]) -> Option<Schema> {
    let mut from = Get::new(bytes);
    let mut schema = Schema::default();
    let interfaces = from.u16().filter(|count| *count <= INTERFACES)?;
    for _ in 0..interfaces {
        let name = from.name()?;
        let interface: Arc<str> = name.as_str().into();
        let mut calls: Vec<Arc<Call>> = Vec::new();
        for index in 0..from.u16()? {
            let length = usize::try_from(from.u32()?).ok()?;
            let bytes = from.take(length)?;
            let mut body = Get::new(bytes);
            let mut call = Call {
                interface: Arc::clone(&interface),
                index: usize::from(index),
                name: body.name()?,
                number: body.u64()?,
                selector: None,
                registers: [Register::Unused, Register::Unused],
                result: ResultKind::Unit,
                hints: Vec::new(),
                codes: Arc::new([]),
                complete: false,
                raw: None,
            };
            let whole = rest_of_call(&mut body, &mut call, &calls).is_some();
            call.complete = limits::keep(&mut call) && whole;
            if !call.complete || body.strange || !body.is_empty() {
                call.raw = Some(bytes.into());
            }
            calls.push(Arc::new(call));
        }
        schema.interfaces.push(Interface { name, calls });
    }
    Some(schema)
}

fn rest_of_call(from: &mut Get<'_>, call: &mut Call, before: &[Arc<Call>]) -> Option<()> {
    call.selector = match from.u8()? {
        0 => None,
        _ => Some(Selector {
            mask: from.u64()?,
            value: from.u64()?,
        }),
    };
    let [first, second] = &mut call.registers;
    *first = register(from)?;
    *second = register(from)?;
    call.result = match from.u8()? {
        0 => ResultKind::Unit,
        1 => ResultKind::Block(usize::from(from.u8()?)),
        2 => ResultKind::Yielded(usize::from(from.u8()?)),
        3 => ResultKind::Rax(kind(from, DEPTH)?),
        _ => return None,
    };
    for _ in 0..from.u16()? {
        call.hints.push((from.i64()?, from.text()?));
    }
    let codes_of = usize::from(from.u16()?);
    call.codes = if codes_of == call.index {
        let mut codes = Vec::new();
        for _ in 0..from.u16()? {
            codes.push(Code {
                code: from.i64()?,
                name: from.text()?,
                text: from.text()?,
            });
        }
        codes.into()
    } else {
        Arc::clone(&before.get(codes_of)?.codes)
    };
    Some(())
}

fn direction(from: &mut Get<'_>) -> Option<Direction> {
    direction_of(from.u8()?)
}

pub(crate) const fn direction_of(code: u8) -> Option<Direction> {
    match code {
        1 => Some(Direction::Read),
        2 => Some(Direction::Write),
        3 => Some(Direction::ReadWrite),
        _ => None,
    }
}

/// A role that is not known is treated as plain: the value is shown and compared.
fn role(from: &mut Get<'_>) -> Option<Role> {
    Some(match from.u8()? {
        1 => Role::Address,
        2 => Role::Handle,
        3 => Role::Reserved,
        4 => Role::Volatile,
        5 => Role::Secret,
        known => {
            from.strange |= known != 0;
            Role::Plain
        }
    })
}

fn size(from: &mut Get<'_>) -> Option<usize> {
    usize::try_from(from.u32()?).ok()
}

fn register(from: &mut Get<'_>) -> Option<Register> {
    Some(match from.u8()? {
        0 => Register::Unused,
        1 => Register::Value {
            name: from.name()?,
            kind: kind(from, DEPTH)?,
            role: role(from)?,
        },
        2 => Register::Block {
            name: from.name()?,
            direction: direction(from)?,
            kind: kind(from, DEPTH)?,
            size: size(from)?,
            link: match from.u8()? {
                0 => None,
                _ => Some(link(from)?),
            },
        },
        3 => Register::Bytes {
            name: from.name()?,
            direction: direction(from)?,
        },
        _ => return None,
    })
}

fn link(from: &mut Get<'_>) -> Option<Link> {
    Some(Link {
        name: from.name()?,
        offset: size(from)?,
        target: match from.u8()? {
            0 => LinkTarget::Shared,
            1 => LinkTarget::Array {
                direction: direction(from)?,
                kind: kind(from, DEPTH)?,
                size: size(from)?,
                count_offset: size(from)?,
                count_size: usize::from(from.u8()?),
            },
            _ => return None,
        },
    })
}

fn kind(from: &mut Get<'_>, depth: usize) -> Option<Kind> {
    let depth = depth.checked_sub(1)?;
    Some(match from.u8()? {
        0 => Kind::Unsigned,
        1 => Kind::Signed,
        2 => Kind::Enum(names(from)?),
        3 => Kind::Flags(names(from)?),
        4 => Kind::Id(from.name()?),
        5 => Kind::Text,
        6 => Kind::Struct(Arc::new(structure(from, depth)?)),
        7 => Kind::Array {
            size: size(from)?,
            length: size(from)?,
            element: Arc::new(kind(from, depth)?),
        },
        _ => return None,
    })
}

fn names(from: &mut Get<'_>) -> Option<Arc<[Name]>> {
    let mut names = Vec::new();
    for _ in 0..from.u16()? {
        names.push(Name {
            name: from.name()?,
            value: from.u64()?,
        });
    }
    Some(names.into())
}

fn structure(from: &mut Get<'_>, depth: usize) -> Option<Struct> {
    let mut structure = Struct {
        name: from.name()?,
        c_name: from.name()?,
        size: size(from)?,
        align: size(from)?,
        fields: Vec::new(),
    };
    for _ in 0..from.u16()? {
        structure.fields.push(Field {
            name: from.name()?,
            c_name: from.name()?,
            offset: size(from)?,
            size: size(from)?,
            kind: kind(from, depth)?,
            role: role(from)?,
            units: from.name()?,
        });
    }
    Some(structure)
}
