//! A call's name and what went in: `start_vm(vm=VmId(1))`.

use std::fmt::{self, Write as _};

use hypercall_core::call::RegisterInfo;
use hypercall_core::schema::Role;
use hypercall_trace::entry::{Argument, Block, Call, Target};
use hypercall_trace::schema::{Kind, LinkTarget, Register};

use super::line::Lines;
use super::paint::Part;
use super::value::{List, Which};

/// Shows a value by a compiled function.
pub(super) struct By<F>(pub(super) F);
impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for By<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

impl Lines {
    /// The call's name and what went in: `start_vm(vm=VmId(1))`.
    pub fn request(&self, call: &Call, out: &mut String) {
        let Some(schema) = call.schema.as_deref() else {
            self.paint()
                .put(Part::Call, &format!("{:#x}", call.number), out);
            out.push('(');
            self.undescribed(call, out);
            out.push(')');
            return;
        };
        self.paint().put(Part::Call, &schema.name, out);
        out.push('(');
        let compiled = self.context.compiled(call);
        let mut list = List::default();
        for (number, (register, argument)) in schema.registers.iter().zip(&call.args).enumerate() {
            match (register, argument) {
                (Register::Value { name, kind, role }, Argument::Value(value)) => {
                    list.next(out);
                    self.values.name(name, out);
                    match compiled.and_then(|info| info.registers.get(number)) {
                        // The same text, sooner: most calls name a VM. A server reads 16 bits of it.
                        Some(RegisterInfo::Value { .. })
                            if *role == Role::Handle && *value <= u64::from(u16::MAX) =>
                        {
                            self.values.value(kind, *role, &value.to_le_bytes(), out);
                        }
                        Some(RegisterInfo::Value { show, .. }) if *role != Role::Secret => {
                            let _ =
                                write!(out, "{}", By(|f: &mut fmt::Formatter<'_>| show(*value, f)));
                        }
                        _ => self.values.value(kind, *role, &value.to_le_bytes(), out),
                    }
                }
                (Register::Block { name, .. }, Argument::Block(block))
                    if name.is_empty() && block.link.is_none() => {}
                (_, Argument::Block(block)) => self.block(register, block, &mut list, out),
                (_, Argument::Value(value)) => {
                    list.next(out);
                    let _ = write!(out, "{value:#x}");
                }
                (_, Argument::Unused) => {}
            }
        }
        out.push(')');
    }

    fn block(&self, register: &Register, block: &Block, list: &mut List, out: &mut String) {
        let bytes = &block.before_bytes();
        let before: &[u8] = bytes;
        match register {
            Register::Block {
                kind: Kind::Struct(info),
                ..
            } => {
                let hidden = block.link.as_ref().map(|link| link.offset);
                self.values.fields(
                    info,
                    before,
                    Which {
                        hidden,
                        changed_from: None,
                    },
                    list,
                    out,
                );
            }
            Register::Block { name, kind, .. } => {
                list.next(out);
                self.values.name(name, out);
                self.values.value(kind, Role::Plain, before, out);
            }
            Register::Bytes { name, .. } => {
                list.next(out);
                self.values.name(name, out);
                self.values.bytes(before, out);
            }
            Register::Value { .. } | Register::Unused => {
                list.next(out);
                self.values.bytes(before, out);
            }
        }
        let Some(link) = &block.link else { return };
        list.next(out);
        let described = match register {
            Register::Block {
                link: Some(link), ..
            } => Some(link),
            _ => None,
        };
        self.values
            .name(described.map_or("link", |link| &link.name), out);
        match (&link.target, described.map(|link| &link.target)) {
            (Target::Block(nested), Some(LinkTarget::Array { kind, size, .. })) => {
                self.values
                    .array(kind, Role::Plain, *size, &nested.before_bytes(), out);
            }
            (Target::Block(nested), _) => self.values.bytes(&nested.before_bytes(), out),
            (
                Target::Pages {
                    count: 1,
                    page: None,
                },
                _,
            ) => out.push_str("<page>"),
            (Target::Pages { count, page: None }, _) => {
                let _ = write!(out, "<{count} pages>");
            }
            (
                Target::Pages {
                    count: 1,
                    page: Some(page),
                },
                _,
            ) => {
                let _ = write!(out, "<page {page}>");
            }
            (
                Target::Pages {
                    count,
                    page: Some(page),
                },
                _,
            ) => {
                let _ = write!(out, "<{count} pages from page {page}>");
            }
            (Target::Address(address), _) => {
                let _ = write!(out, "Gpa({address:#x})");
            }
        }
    }

    fn undescribed(&self, call: &Call, out: &mut String) {
        let mut list = List::default();
        for (name, argument) in ["rdi", "rsi"].into_iter().zip(&call.args) {
            match argument {
                Argument::Unused => {}
                Argument::Value(value) => {
                    list.next(out);
                    self.values.name(name, out);
                    let _ = write!(out, "{value:#x}");
                }
                Argument::Block(block) => {
                    list.next(out);
                    self.values.name(name, out);
                    self.block(&Register::Unused, block, &mut List::default(), out);
                }
            }
        }
    }
}
