//! What came back: ` = VmId(1)`, ` = -1 EPERM (…)`, and what the hypervisor wrote.

use std::fmt::{self, Write as _};

use hypercall_core::call::{CallInfo, ResultInfo};
use hypercall_core::schema::Role;
use hypercall_trace::entry::{After, Argument, Block, Call, Outcome};
use hypercall_trace::explain::unwritten;
use hypercall_trace::schema::{Kind, LinkTarget, Register, ResultKind};

use super::context::plain;
use super::digits;
use super::line::Lines;
use super::paint::Part;
use super::request::By;
use super::value::{List, Which, part, yielded};

/// ` (…)` behind RAX, where something is to be said of it.
fn said(what: Option<&str>, out: &mut String) {
    if let Some(what) = what {
        for text in [" (", what, ")"] {
            out.push_str(text);
        }
    }
}

impl Lines {
    /// What came back: ` = VmId(1)`, ` = -1 EPERM (…)`, and the fields that the hypervisor wrote.
    pub fn answer(&self, call: &Call, out: &mut String) {
        let rax = match &call.outcome {
            Outcome::Unfinished => {
                self.paint().put(Part::Notice, " = ? <never returned>", out);
                return;
            }
            Outcome::Failed(failure) => {
                out.push_str(" = ");
                self.paint().put(
                    Part::Bad,
                    &format!("? ({})", plain(&failure.to_string())),
                    out,
                );
                return;
            }
            Outcome::Returned(rax) => *rax,
        };
        out.push_str(" = ");
        let Some(schema) = call.schema.as_deref() else {
            let paint = self.paint();
            let part = if rax < 0 { Part::Bad } else { Part::Good };
            paint.start(part, out);
            digits::signed(rax, out);
            said(unwritten(rax), out);
            paint.end(part, out);
            return;
        };
        match &schema.result {
            ResultKind::Rax(kind) if rax >= 0 => {
                self.values
                    .value(kind, Role::Plain, &rax.to_le_bytes(), out);
            }
            _ if rax != 0 => {
                let paint = self.paint();
                paint.start(Part::Bad, out);
                digits::signed(rax, out);
                if let Some(code) = schema.code(rax) {
                    for text in [" ", &code.name, " (", &code.text, ")"] {
                        out.push_str(text);
                    }
                } else {
                    said(unwritten(rax), out);
                }
                paint.end(Part::Bad, out);
                self.wrote(call, None, out);
            }
            ResultKind::Yielded(register) => {
                self.yielded(call, *register, out);
                self.wrote(call, None, out);
            }
            ResultKind::Block(register) => {
                let bytes = call
                    .args
                    .get(*register)
                    .and_then(Argument::block)
                    .and_then(Block::after_bytes);
                match (schema.registers.get(*register), bytes) {
                    (Some(Register::Block { kind, .. }), Some(bytes)) => {
                        self.values.value(kind, Role::Plain, &bytes, out);
                    }
                    _ => out.push('0'),
                }
                self.wrote(call, Some(*register), out);
            }
            ResultKind::Unit | ResultKind::Rax(_) => {
                self.paint().put(Part::Good, "0", out);
                self.wrote(call, None, out);
            }
        }
    }

    /// The result that stands in a block. Without the program's own types: the field that names or locates something.
    fn yielded(&self, call: &Call, register: usize, out: &mut String) {
        let bytes = call
            .args
            .get(register)
            .and_then(Argument::block)
            .and_then(Block::after_bytes);
        let Some(bytes) = bytes else {
            out.push('0');
            return;
        };
        if let Some(CallInfo {
            result: ResultInfo::Yielded { show, .. },
            ..
        }) = self.context.compiled(call)
        {
            let _ = write!(out, "{}", By(|f: &mut fmt::Formatter<'_>| show(&bytes, f)));
            return;
        }
        let register = call
            .schema
            .as_deref()
            .and_then(|schema| schema.registers.get(register));
        let named = match register {
            Some(Register::Block {
                kind: Kind::Struct(info),
                ..
            }) => yielded(info),
            _ => None,
        };
        match named.and_then(|field| Some((field, part(&bytes, field)?))) {
            Some((field, part)) => self.values.field(field, part, out),
            None => out.push('0'),
        }
    }

    /// What the hypervisor changed in memory, but for the block that is the result.
    fn wrote(&self, call: &Call, result: Option<usize>, out: &mut String) {
        let Some(schema) = call.schema.as_deref() else {
            return;
        };
        let start = out.len();
        out.push_str(", wrote ");
        let mut list = List::default();
        for (number, (register, argument)) in schema.registers.iter().zip(&call.args).enumerate() {
            let Some(block) = argument.block().filter(|_| result != Some(number)) else {
                continue;
            };
            if let After::Changed(after) = &block.after {
                match register {
                    Register::Block {
                        kind: Kind::Struct(info),
                        ..
                    } => {
                        let before = block.before_bytes();
                        let hidden = block.link.as_ref().map(|link| link.offset);
                        let which = Which {
                            hidden,
                            changed_from: Some(&before),
                        };
                        self.values.fields(info, after, which, &mut list, out);
                    }
                    Register::Block { name, .. } | Register::Bytes { name, .. } => {
                        list.next(out);
                        self.values.name(name, out);
                        self.values.bytes(after, out);
                    }
                    _ => {}
                }
            }
            if let (
                Some(After::Changed(after)),
                Register::Block {
                    link: Some(link), ..
                },
            ) = (block.nested().map(|nested| &nested.after), register)
            {
                list.next(out);
                self.values.name(&link.name, out);
                match &link.target {
                    LinkTarget::Array { kind, size, .. } => {
                        self.values.array(kind, Role::Plain, *size, after, out);
                    }
                    LinkTarget::Shared => self.values.bytes(after, out),
                }
            }
        }
        if list.is_empty() {
            out.truncate(start);
        }
    }
}
