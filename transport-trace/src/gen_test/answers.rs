//! What a test asserts of an answer.

use std::fmt::Write as _;

use hypercall_core::call::Direction;
use hypercall_core::schema::Role;

use super::calls::{Calls, variable};
use super::literal::{array, id, in_a_page, number, payload};
use crate::entry::{After, Block, Call, Outcome, Place};
use crate::replay::bind::is_fixed;
use crate::replay::leaf::{block_leaves, place_of, unsigned};
use crate::schema::{Kind, Link, LinkTarget, Register, ResultKind, Struct};
use crate::state::impossible_id;

/// The most bytes without a description that a test has as an expected value.
const BYTES: usize = 256;

impl Calls {
    /// The call and what is asserted of its answer.
    pub(super) fn answer(&mut self, call: &Call, method: &str, line: &mut String) {
        let Some(schema) = call.schema.clone() else {
            return;
        };
        let rax = match &call.outcome {
            Outcome::Returned(rax) => *rax,
            Outcome::Failed(failure) => {
                let not = if failure.may_have_run() { "" } else { "!" };
                let _ = writeln!(line, "    let error = {method}.unwrap_err();");
                let _ = writeln!(line, "    assert_eq!(error.code(), None, \"{{error}}\");");
                let _ = writeln!(line, "    assert!({not}error.may_have_run());");
                return;
            }
            // A slice ends before it.
            Outcome::Unfinished => return,
        };
        match &schema.result {
            ResultKind::Rax(Kind::Id(name))
                if rax >= 0 && self.handles.contains(name) && !is_fixed(rax.cast_unsigned()) =>
            {
                let variable = variable(name, rax.cast_unsigned());
                let _ = writeln!(line, "    let {variable} = {method}?;");
                self.given.insert(variable);
            }
            ResultKind::Rax(Kind::Id(name)) if rax >= 0 => {
                let _ = writeln!(line, "    assert_eq!({method}?, {name}({rax}));");
            }
            ResultKind::Rax(_) if rax >= 0 => {
                let _ = writeln!(line, "    assert_eq!({method}?, arg({rax}));");
            }
            _ if rax != 0 => {
                let name = schema.code(rax).map(|code| code.name.as_str());
                let name = name.filter(|name| !name.is_empty());
                let name = name.map_or_else(String::new, |name| format!("{name}: "));
                let _ = writeln!(line, "    let error = {method}.unwrap_err();");
                let _ = writeln!(
                    line,
                    "    assert_eq!(error.rax, {rax}, \"{name}{{error}}\");"
                );
            }
            ResultKind::Unit | ResultKind::Rax(_) => {
                let _ = writeln!(line, "    {method}?;");
            }
            ResultKind::Block(register) => self.block_result(call, *register, method, line),
            ResultKind::Yielded(register) => self.yielded(call, *register, method, line),
        }
        if rax == 0 {
            self.changed_fields(call, line);
        }
    }

    fn block_result(&mut self, call: &Call, register: usize, method: &str, line: &mut String) {
        let place = place_of(register, false);
        let after = call.block(place).and_then(Block::after_bytes);
        let length = after.as_ref().map_or(0, |bytes| bytes.len());
        let leaves = block_leaves(call.schema.as_deref(), place, length);
        if leaves.iter().any(|leaf| leaf.role == Role::Secret) {
            let _ = writeln!(
                line,
                "    // There is a secret in the answer, and the trace has no more than a hash of it."
            );
            let _ = writeln!(line, "    {method}?;");
            return;
        }
        let kind = match call
            .schema
            .as_deref()
            .and_then(|schema| schema.registers.get(register))
        {
            Some(Register::Block { kind, .. }) => kind,
            _ => &Kind::Unsigned,
        };
        let expected = payload(kind, &after.unwrap_or_default(), &|_, _| None);
        let _ = writeln!(line, "    let expected = {expected};");
        let _ = writeln!(line, "    assert_eq!({method}?, expected);");
    }

    fn yielded(&mut self, call: &Call, register: usize, method: &str, line: &mut String) {
        let place = place_of(register, false);
        let after = call
            .block(place)
            .and_then(Block::after_bytes)
            .unwrap_or_default();
        let leaves = block_leaves(call.schema.as_deref(), place, after.len());
        let handle = leaves.iter().find(|leaf| leaf.role == Role::Handle);
        let found = handle.or_else(|| leaves.iter().rfind(|leaf| leaf.role == Role::Address));
        let Some((leaf, bytes)) = found.and_then(|leaf| Some((leaf, leaf.of(&after)?))) else {
            let _ = writeln!(line, "    {method}?;");
            return;
        };
        let raw = unsigned(bytes);
        let invalid = bytes.iter().all(|byte| *byte == 0xff) || impossible_id(call).is_some();
        match leaf.kind {
            _ if invalid => {
                let _ = writeln!(line, "    let error = {method}.unwrap_err();");
                let _ = writeln!(
                    line,
                    "    assert!(matches!(error.kind, ErrorKind::Rejected(_)), \"{{error}}\");"
                );
            }
            Kind::Id(name) if leaf.role == Role::Handle => {
                let variable = variable(name, raw);
                let _ = writeln!(line, "    let {variable} = {method}?;");
                self.given.insert(variable);
            }
            Kind::Id(name) => {
                let _ = writeln!(line, "    assert_eq!({method}?, {name}({}));", id(raw));
            }
            kind => {
                let _ = writeln!(line, "    {method}?;");
                // The schema does not say of what type that is which the call yields; the field that it is read from it does.
                let argument = call
                    .schema
                    .as_deref()
                    .and_then(|schema| schema.registers.get(register));
                if let Some(Register::Block {
                    name,
                    kind: Kind::Struct(info),
                    ..
                }) = argument
                    && matches!(kind, Kind::Unsigned)
                    && leaf.size <= 8
                    && let Some(field) = field_of(name, info, &leaf.path)
                {
                    let _ = writeln!(line, "    assert_eq!({field}, {});", number(raw));
                }
            }
        }
    }

    /// Asserts of what the hypervisor wrote into an argument: plain numbers of a struct, or of the elements of an array; bytes.
    fn changed_fields(&mut self, call: &Call, line: &mut String) {
        let Some(schema) = call.schema.as_deref() else {
            return;
        };
        for (number_of, register) in schema.registers.iter().enumerate() {
            match register {
                Register::Block {
                    name,
                    direction: Direction::Write | Direction::ReadWrite,
                    kind: Kind::Struct(info),
                    ..
                } => {
                    let place = place_of(number_of, false);
                    changed(call, place, line, |path| field_of(name, info, path));
                }
                Register::Block {
                    link:
                        Some(Link {
                            target:
                                LinkTarget::Array {
                                    direction: Direction::Write | Direction::ReadWrite,
                                    ..
                                },
                            ..
                        }),
                    ..
                } => changed(call, place_of(number_of, true), line, |path| {
                    // `points[0].x`
                    let (_, field) = path.split_once("].")?;
                    (!field.contains('[') && !field.contains('.')).then(|| path.to_owned())
                }),
                Register::Bytes {
                    name,
                    direction: Direction::Write | Direction::ReadWrite,
                } => {
                    let block = call.block(place_of(number_of, false));
                    match block.map(|block| &block.after) {
                        Some(After::Changed(after)) if after.len() <= BYTES => {
                            let _ = writeln!(line, "    assert_eq!({name}, {});", array(after));
                        }
                        Some(After::Changed(after)) => {
                            let _ = writeln!(
                                line,
                                "    // The {} bytes that came back are in the trace, and are not asserted.",
                                after.len()
                            );
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }
}

/// A field of an argument as a test writes it, where it has a name of its own.
fn field_of(argument: &str, info: &Struct, path: &str) -> Option<String> {
    let inside = if in_a_page(info) { ".0" } else { "" };
    let alone = !argument.is_empty() && !path.contains('[') && !path.contains('.');
    alone.then(|| format!("{argument}{inside}.{path}"))
}

/// Asserts of the plain numbers of a block that changed, those that the test has an expression for.
fn changed(
    call: &Call,
    place: Place,
    line: &mut String,
    expression: impl Fn(&str) -> Option<String>,
) {
    let Some(block) = call.block(place) else {
        return;
    };
    let (before, Some(after)) = (block.before_bytes(), block.after_bytes()) else {
        return;
    };
    for leaf in block_leaves(call.schema.as_deref(), place, block.length) {
        let (Some(old), Some(new)) = (leaf.of(&before), leaf.of(&after)) else {
            continue;
        };
        let plain =
            matches!(leaf.kind, Kind::Unsigned) && leaf.role == Role::Plain && leaf.size <= 8;
        if plain
            && old != new
            && let Some(expression) = expression(&leaf.path)
        {
            let value = number(unsigned(new));
            let _ = writeln!(line, "    assert_eq!({expression}, {value});");
        }
    }
}
