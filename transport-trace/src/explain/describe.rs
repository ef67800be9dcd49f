//! Puts what a schema says about a call into words.

use hypercall_core::call::Direction;
use hypercall_core::schema::Role;

use super::{AnswerHelp, CallHelp, FieldHelp, RegisterHelp};
use crate::replay::leaf::{At, Leaf, block_leaves, place_of, register_name};
use crate::schema::{Call, Code, Kind, LinkTarget, Register, ResultKind, Schema};

/// Names of an enum or flags that are listed before an ellipsis.
const LISTED: usize = 12;

pub(super) fn describe(call: &Call) -> CallHelp {
    let mut refusals: Vec<AnswerHelp> = Vec::new();
    for (rax, check) in &call.hints {
        refusals.push(one_answer(call.code(*rax), *rax, Some(check.clone())));
    }
    CallHelp {
        interface: call.interface.to_string(),
        name: call.name.clone(),
        number: call.number,
        selected: call
            .selector
            .map(|selector| format!("RDI & {:#x} = {:#x}", selector.mask, selector.value)),
        registers: (0..2).filter_map(|number| register(call, number)).collect(),
        returns: returns(call),
        refusals,
    }
}

fn register(call: &Call, number: usize) -> Option<RegisterHelp> {
    let described = call.registers.get(number)?;
    let mut fields = Vec::new();
    let text =
        match described {
            Register::Unused => return None,
            Register::Value { name, kind, role } => {
                let what = words(kind, *role, "");
                format!("{name}, a value: {what}")
            }
            Register::Bytes { name, direction } => {
                format!("{name}, the address of bytes that {}", verb(*direction))
            }
            Register::Block {
                name,
                direction,
                kind,
                size,
                link,
            } => {
                fields = all_fields(call, number, *size);
                let what = match kind {
                    Kind::Struct(info) if info.c_name != info.name => {
                        format!("{} ({} in C)", info.name, info.c_name)
                    }
                    Kind::Struct(info) => info.name.clone(),
                    _ => "a block".to_owned(),
                };
                let name = if name.is_empty() { "the result" } else { name };
                let mut text = format!(
                    "{name}, the address of {what}: {size} bytes that {}",
                    verb(*direction)
                );
                if let Some(link) = link {
                    text.push_str(&match &link.target {
                    LinkTarget::Shared => format!(
                        "; byte {} holds the address of {}, memory that the hypervisor keeps",
                        link.offset, link.name
                    ),
                    LinkTarget::Array { size, direction, .. } => format!(
                        "; byte {} holds the address of {}, an array of {size} bytes each that {}",
                        link.offset,
                        link.name,
                        verb(*direction)
                    ),
                });
                }
                text
            }
        };
    Some(RegisterHelp {
        register: register_name(number).to_owned(),
        text,
        fields,
    })
}

fn all_fields(call: &Call, number: usize, size: usize) -> Vec<FieldHelp> {
    let leaves = block_leaves(Some(call), place_of(number, false), size);
    let shown = leaves.iter().filter(|leaf| leaf.role != Role::Reserved);
    shown.filter_map(field).collect()
}

fn field(leaf: &Leaf<'_>) -> Option<FieldHelp> {
    let At::Block(_, offset) = leaf.at else {
        return None;
    };
    Some(FieldHelp {
        name: leaf.path.clone(),
        offset,
        size: leaf.size,
        text: words(leaf.kind, leaf.role, leaf.units),
    })
}

fn words(kind: &Kind, role: Role, units: &str) -> String {
    let list = |names: &[crate::schema::Name]| {
        let mut text: Vec<&str> = names
            .iter()
            .take(LISTED)
            .map(|name| name.name.as_str())
            .collect();
        if names.len() > LISTED {
            text.push("…");
        }
        text.join(", ")
    };
    let what = match kind {
        Kind::Unsigned | Kind::Array { .. } => "a number".to_owned(),
        Kind::Signed => "a signed number".to_owned(),
        Kind::Enum(names) => format!("one of {}", list(names)),
        Kind::Flags(names) => format!("flags {}", list(names)),
        Kind::Id(name) => name.clone(),
        Kind::Text => "text".to_owned(),
        Kind::Struct(info) => {
            let parts: Vec<&str> = info
                .fields
                .iter()
                .map(|field| field.name.as_str())
                .collect();
            format!("{} ({})", info.name, parts.join(", "))
        }
    };
    let meaning = match role {
        Role::Plain | Role::Reserved => "",
        Role::Address => ", an address",
        Role::Handle => ", given out by the hypervisor",
        Role::Volatile => ", changes by itself",
        Role::Secret => ", secret",
    };
    let units = if units.is_empty() {
        String::new()
    } else {
        format!(", in {units}")
    };
    format!("{what}{meaning}{units}")
}

const fn verb(direction: Direction) -> &'static str {
    match direction {
        Direction::Read => "the hypervisor reads",
        Direction::Write => "the hypervisor writes",
        Direction::ReadWrite => "the hypervisor reads and writes",
    }
}

fn returns(call: &Call) -> String {
    let block = |register: usize| format!("the block of {}", register_name(register));
    match &call.result {
        ResultKind::Unit => "nothing: RAX is 0".to_owned(),
        ResultKind::Block(register) => format!("{}; RAX is 0", block(*register)),
        ResultKind::Yielded(register) => {
            format!(
                "what stands in {}; RAX is 0 also where the block says that it failed",
                block(*register)
            )
        }
        ResultKind::Rax(kind) => format!("RAX: {}", words(kind, Role::Plain, "")),
    }
}

/// What an answer means to these calls, or to any of the interface where there are none.
pub(super) fn answer(calls: &[&Call], schema: &Schema, rax: i64) -> AnswerHelp {
    let known = calls.iter().find_map(|call| call.code(rax));
    let known = known.or_else(|| schema.calls().find_map(|call| call.code(rax)));
    let checks: Vec<&str> = calls.iter().filter_map(|call| call.hint(rax)).collect();
    let check = (!checks.is_empty()).then(|| checks.join("; or "));
    one_answer(known, rax, check)
}

fn one_answer(code: Option<&Code>, rax: i64, check: Option<String>) -> AnswerHelp {
    let meaning = match (code, rax) {
        (Some(code), _) => code.text.clone(),
        (None, 0) if check.is_some() => "accepted, and then not done".to_owned(),
        (None, 0) => "success".to_owned(),
        (None, 1..) => "no error code: a result, or an answer of another hypervisor".to_owned(),
        (None, _) if i32::try_from(rax).is_ok() => {
            "refused with a code that this interface does not know".to_owned()
        }
        (None, hypercall_core::RAX_UNWRITTEN) => {
            "no answer: the hypervisor did not write RAX, and may have acted (ACRN 3.3 does so instead of answering -13 or -19)"
                .to_owned()
        }
        (None, _) => "no error code: a hypervisor's codes have 32 bits".to_owned(),
    };
    AnswerHelp {
        rax,
        name: code.map(|code| code.name.clone()),
        meaning,
        check,
    }
}
