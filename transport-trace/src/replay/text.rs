//! Recorded calls and single values as text, in the manner of `hypercall_core::show`.

use std::fmt::Write as _;

use hypercall_core::schema::Role;

use super::leaf::{each_in_block, each_in_register, place_of, unsigned};
use crate::entry::{Argument, Call, Link, Outcome, Place, Target};
use crate::explain::unwritten;
use crate::schema::{self, Kind, Register, ResultKind};

/// Bytes of an undescribed field that are shown before an ellipsis.
const SHOWN_BYTES: usize = 32;
/// Values of a call that are shown before an ellipsis.
const SHOWN_VALUES: usize = 24;
/// Those of an answer: more than a hypervisor gives in one.
const SHOWN_OUT: usize = 1024;

/// One value: `VmId(1)`, `READ|WRITE`, `"demo"`. A secret is not shown.
pub(crate) fn value(kind: &Kind, role: Role, bytes: &[u8]) -> String {
    match kind {
        _ if role == Role::Secret => "<secret>".to_owned(),
        Kind::Text => {
            let end = bytes
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(bytes.len());
            format!(
                "\"{}\"",
                bytes.get(..end).unwrap_or_default().escape_ascii()
            )
        }
        _ if bytes.len() > 8 => hex(bytes),
        Kind::Signed => signed(bytes).to_string(),
        Kind::Enum(names) => {
            let raw = unsigned(bytes);
            match names.iter().find(|name| name.value == raw) {
                Some(name) => name.name.clone(),
                None => raw.to_string(),
            }
        }
        Kind::Flags(names) => {
            let mut rest = unsigned(bytes);
            let mut parts = Vec::new();
            for name in names.iter() {
                if name.value != 0 && rest & name.value == name.value {
                    parts.push(name.name.clone());
                    rest &= !name.value;
                }
            }
            if rest != 0 {
                parts.push(format!("{rest:#x}"));
            }
            if parts.is_empty() {
                "0".to_owned()
            } else {
                parts.join("|")
            }
        }
        Kind::Id(name) => {
            let role = if kind.is_address() {
                Role::Address
            } else {
                role
            };
            format!("{name}({})", number(role, unsigned(bytes)))
        }
        Kind::Array { .. } => hex(bytes),
        Kind::Struct(info) => {
            let parts = info.fields.iter().filter_map(|field| {
                let bytes = bytes.get(field.offset..field.offset.checked_add(field.size)?)?;
                Some(format!(
                    "{}={}",
                    field.name,
                    value(&field.kind, field.role, bytes)
                ))
            });
            format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
        }
        _ => number(role, unsigned(bytes)),
    }
}

fn number(role: Role, value: u64) -> String {
    match (role, value) {
        (Role::Address, _) | (_, 10..) => format!("{value:#x}"),
        _ => value.to_string(),
    }
}

fn signed(bytes: &[u8]) -> i64 {
    let raw = unsigned(bytes).cast_signed();
    let unused = 64_u32.saturating_sub(u32::try_from(bytes.len()).unwrap_or(8).saturating_mul(8));
    raw.checked_shl(unused)
        .and_then(|high| high.checked_shr(unused))
        .unwrap_or(raw)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = "<".to_owned();
    for byte in bytes.iter().take(SHOWN_BYTES) {
        let _ = write!(text, "{byte:02x}");
    }
    if bytes.len() > SHOWN_BYTES {
        let _ = write!(text, "… {} bytes", bytes.len());
    }
    text.push('>');
    text
}

/// What went into a call: `create_vm(creation.name="demo")`. Values that are zero or reserved are left out.
pub(crate) fn request(call: &Call) -> String {
    let schema = call.schema.as_deref();
    let mut parts = Vec::new();
    for (number, argument) in call.args.iter().enumerate() {
        match argument {
            Argument::Unused => {}
            Argument::Value(value_of) => {
                let bytes = value_of.to_le_bytes();
                each_in_register(schema, number, &mut |leaf| {
                    if let Some(bytes) = leaf.of(&bytes) {
                        let value = value(leaf.kind, leaf.role, bytes);
                        parts.push(format!("{}={value}", leaf.path));
                    }
                });
            }
            Argument::Block(block) => {
                let place = place_of(number, false);
                push(
                    &mut parts,
                    SHOWN_VALUES,
                    (schema, place, block.length),
                    &block.before,
                );
                if let Some(Link { target, .. }) = &block.link {
                    link(&mut parts, call, number, target);
                }
            }
        }
    }
    let name = match call.name() {
        "?" => format!("{:#x}", call.number),
        name => name.to_owned(),
    };
    format!("{name}({})", shown(parts, SHOWN_VALUES))
}

/// Shows what a block of a length holds: until there is one value more than are shown.
fn push(
    parts: &mut Vec<String>,
    most: usize,
    (schema, place, length): (Option<&schema::Call>, Place, usize),
    bytes: &[u8],
) {
    each_in_block(schema, place, length, &mut |leaf| {
        if parts.len() <= most
            && let Some(bytes) = leaf.of(bytes)
            && leaf.role != Role::Reserved
            && bytes.iter().any(|byte| *byte != 0)
        {
            let value = value(leaf.kind, leaf.role, bytes);
            parts.push(format!("{}={value}", leaf.path));
        }
    });
}

fn shown(mut parts: Vec<String>, most: usize) -> String {
    if parts.len() > most {
        parts.truncate(most);
        parts.push("…".to_owned());
    }
    parts.join(", ")
}

fn link(parts: &mut Vec<String>, call: &Call, number: usize, target: &Target) {
    let schema = call.schema.as_deref();
    let name = match schema.and_then(|schema| schema.registers.get(number)) {
        Some(Register::Block {
            link: Some(link), ..
        }) => link.name.as_str(),
        _ => "link",
    };
    match target {
        Target::Block(block) => {
            let place = place_of(number, true);
            push(
                parts,
                SHOWN_VALUES,
                (schema, place, block.length),
                &block.before,
            );
        }
        Target::Pages { count: 1, .. } => parts.push(format!("{name}=<page>")),
        Target::Pages { count, .. } => parts.push(format!("{name}=<{count} pages>")),
        Target::Address(address) => parts.push(format!("{name}=Gpa({address:#x})")),
    }
}

/// What came of a call: `0`, `-1 EPERM`, `VmId(1)`.
pub(crate) fn answer(call: &Call) -> String {
    let rax = match &call.outcome {
        Outcome::Unfinished => return "? (never returned)".to_owned(),
        Outcome::Failed(failure) => return format!("? ({failure})"),
        Outcome::Returned(rax) => *rax,
    };
    let Some(schema) = call.schema.as_deref() else {
        return bare(rax);
    };
    match &schema.result {
        ResultKind::Rax(kind) if rax >= 0 => value(kind, Role::Plain, &rax.to_le_bytes()),
        ResultKind::Yielded(register) if rax == 0 => {
            // What is yielded is a name or an address in the block: only the program knows which.
            let place = place_of(*register, false);
            let after = call.block(place).and_then(crate::entry::Block::after_bytes);
            let after = after.unwrap_or_default();
            let (mut handle, mut address) = (None, None);
            each_in_block(Some(schema), place, after.len(), &mut |leaf| {
                let found = match leaf.role {
                    Role::Handle if handle.is_none() => &mut handle,
                    Role::Address => &mut address,
                    _ => return,
                };
                *found = leaf
                    .of(&after)
                    .map(|bytes| value(leaf.kind, leaf.role, bytes));
            });
            handle.or(address).unwrap_or_else(|| "0".to_owned())
        }
        ResultKind::Block(register) if rax == 0 => {
            let place = place_of(*register, false);
            let after = call.block(place).and_then(crate::entry::Block::after_bytes);
            let after = after.unwrap_or_default();
            let mut parts = Vec::new();
            push(
                &mut parts,
                SHOWN_OUT,
                (Some(schema), place, after.len()),
                &after,
            );
            format!("{{{}}}", shown(parts, SHOWN_OUT))
        }
        _ => match schema.code(rax) {
            Some(code) => format!("{rax} {}", code.name),
            None => bare(rax),
        },
    }
}

/// RAX, with what is known of it without an interface.
fn bare(rax: i64) -> String {
    match unwritten(rax) {
        Some(what) => format!("{rax} ({what})"),
        None => rax.to_string(),
    }
}

/// A call with its answer.
pub(crate) fn call(call: &Call) -> String {
    format!("{} = {}", request(call), answer(call))
}
