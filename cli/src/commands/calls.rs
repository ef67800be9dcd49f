//! `hcall calls`: the whole interface as a table.

use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::call::Direction;
use hypercall_trace::schema::{Call, Kind, LinkTarget, Register, ResultKind, Schema};
use serde_json::json;

use crate::args::Calls;
use crate::failure::Failure;
use crate::format::{Part, plain, yielded};
use crate::input;
use crate::output::Output;
use crate::status::Status;

/// Columns of a terminal from which on there is room for what to check after an error.
const WIDE: u16 = 150;

pub(crate) fn run(args: &Calls, out: &mut Output) -> Result<Status, Failure> {
    let schema = match &args.trace {
        None => Schema::from_interfaces(&[HypervisorCalls::INTERFACE]),
        Some(path) => {
            let trace = input::open(path)?;
            if trace.schema().interfaces.is_empty() {
                return Err(Failure::input(
                    format!(
                        "{}: the descriptions of the calls are missing or damaged",
                        path.display()
                    ),
                    "`hcall verify` says where; `hcall calls` shows the interface that this program knows",
                ));
            }
            Schema::clone(trace.schema())
        }
    };
    if args.json {
        for call in schema.calls() {
            out.json(&json!({
                "call": call.name,
                "interface": &*call.interface,
                "number": format!("{:#x}", call.number),
                "selector": call.selector.map(|selector| json!({ "mask": selector.mask, "value": selector.value })),
                "arguments": arguments(call),
                "result": result(call),
                "errors": call.hints.iter().map(|(code, hint)| json!({
                    "code": code,
                    "name": call.code(*code).map(|code| &code.name),
                    "check": hint,
                })).collect::<Vec<_>>(),
            }))?;
        }
    } else {
        let mut table = super::table();
        let wide = table.width().is_none_or(|width| width >= WIDE);
        let mut header = vec!["number", "call", "arguments", "result"];
        header.extend(wide.then_some("after an error, check"));
        table.set_header(header);
        for call in schema.calls() {
            let mut row = vec![
                plain(&number(call)),
                plain(&call.name),
                plain(&arguments(call).join(", ")),
                plain(&result(call)),
            ];
            row.extend(wide.then(|| plain(&errors(call))));
            table.add_row(row);
        }
        out.line(&super::table_text(&mut table, &[2, 4]))?;
        if !wide {
            out.line(&out.paint.string(
                Part::Aside,
                "what to check after an error: `hcall explain CALL`, or a wider terminal",
            ))?;
        }
    }
    Ok(Status::Done)
}

fn number(call: &Call) -> String {
    match call.selector {
        Some(selector) => format!(
            "{:#x} & {:#x} = {}",
            call.number, selector.mask, selector.value
        ),
        None => format!("{:#x}", call.number),
    }
}

fn errors(call: &Call) -> String {
    let lines = call
        .hints
        .iter()
        .map(|(code, hint)| match call.code(*code) {
            Some(name) => format!("{code} {}: {hint}", name.name),
            None => format!("{code}: {hint}"),
        });
    lines.collect::<Vec<_>>().join("; ")
}

fn arguments(call: &Call) -> Vec<String> {
    let mut list = Vec::new();
    for register in &call.registers {
        match register {
            Register::Unused => {}
            Register::Value { name, kind, .. } => {
                list.push(format!("{name}: {}", type_of(kind, 8)))
            }
            Register::Block {
                name,
                direction,
                kind,
                size,
                link,
            } => {
                // A header carries the values that stand in it, and what it points at.
                if !name.is_empty() {
                    list.push(format!(
                        "{name}: {}{}",
                        arrow(*direction),
                        type_of(kind, *size)
                    ));
                }
                if let Some(link) = link {
                    list.push(match &link.target {
                        LinkTarget::Shared => format!("{}: pages that are kept", link.name),
                        LinkTarget::Array {
                            kind,
                            size,
                            direction,
                            ..
                        } => {
                            format!(
                                "{}: {}[{}]",
                                link.name,
                                arrow(*direction),
                                type_of(kind, *size)
                            )
                        }
                    });
                }
            }
            Register::Bytes { name, direction } => {
                list.push(format!("{name}: {}bytes", arrow(*direction)));
            }
        }
    }
    list
}

const fn arrow(direction: Direction) -> &'static str {
    match direction {
        Direction::Read => "&",
        Direction::Write => "&out ",
        Direction::ReadWrite => "&mut ",
    }
}

pub(super) fn type_of(kind: &Kind, size: usize) -> String {
    let bits = size.saturating_mul(8);
    match kind {
        Kind::Id(name) => name.clone(),
        Kind::Struct(info) => info.name.clone(),
        Kind::Signed => format!("i{bits}"),
        Kind::Flags(_) => format!("flags{bits}"),
        Kind::Enum(_) => format!("enum{bits}"),
        Kind::Text => format!("text{size}"),
        Kind::Unsigned => format!("u{bits}"),
        Kind::Array {
            element,
            size,
            length,
        } => format!("[{}; {length}]", type_of(element, *size)),
    }
}

fn result(call: &Call) -> String {
    let block = |register: &usize| match call.registers.get(*register) {
        Some(Register::Block { kind, size, .. }) => (kind.clone(), *size),
        _ => (Kind::Unsigned, 0),
    };
    match &call.result {
        ResultKind::Unit => String::from("()"),
        ResultKind::Rax(kind) => type_of(kind, 8),
        ResultKind::Block(register) => {
            let (kind, size) = block(register);
            type_of(&kind, size)
        }
        ResultKind::Yielded(register) => match block(register).0 {
            Kind::Struct(info) => yielded(&info).map_or_else(
                || info.name.clone(),
                |field| type_of(&field.kind, field.size),
            ),
            kind => type_of(&kind, 0),
        },
    }
}
