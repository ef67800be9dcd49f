//! What came back, as JSON.

use hypercall_core::schema::Role;
use hypercall_trace::entry::{Call, Failure};
use hypercall_trace::explain::unwritten;
use hypercall_trace::schema::{self, Kind, Register, ResultKind};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::json_value::JsonKind;
use super::value::{part, yielded};

/// Why there was no answer.
pub(super) struct Reason<'a>(pub(super) &'a Failure);

impl Serialize for Reason<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(2))?;
        map.serialize_entry("text", &self.0.to_string())?;
        map.serialize_entry("may_have_run", &self.0.may_have_run())?;
        map.end()
    }
}

/// An error code with what is known about it.
pub(super) struct Refusal<'a> {
    pub(super) schema: &'a schema::Call,
    pub(super) rax: i64,
}

impl Serialize for Refusal<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let code = self.schema.code(self.rax);
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("name", &code.map(|code| &code.name))?;
        let text = code.map(|code| code.text.as_str());
        map.serialize_entry("text", &text.or(unwritten(self.rax)))?;
        map.serialize_entry("check", &self.schema.hint(self.rax))?;
        map.end()
    }
}

/// A successful call's result.
pub(super) struct Answer<'a> {
    pub(super) call: &'a Call,
    pub(super) schema: &'a schema::Call,
    pub(super) rax: i64,
}

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let block = |register: usize| {
            let bytes = self.call.args.get(register)?.block()?.after_bytes()?;
            match self.schema.registers.get(register)? {
                Register::Block { kind, .. } => Some((bytes, kind)),
                _ => None,
            }
        };
        match &self.schema.result {
            ResultKind::Unit => to.serialize_unit(),
            ResultKind::Rax(kind) => JsonKind {
                kind,
                role: Role::Plain,
                bytes: &self.rax.to_le_bytes(),
            }
            .serialize(to),
            ResultKind::Block(register) => match block(*register) {
                Some((bytes, kind)) => JsonKind {
                    kind,
                    role: Role::Plain,
                    bytes: &bytes,
                }
                .serialize(to),
                None => to.serialize_unit(),
            },
            ResultKind::Yielded(register) => match block(*register) {
                Some((bytes, Kind::Struct(info))) => {
                    match yielded(info).and_then(|field| Some((field, part(&bytes, field)?))) {
                        Some((field, bytes)) => JsonKind {
                            kind: &field.kind,
                            role: field.role,
                            bytes,
                        }
                        .serialize(to),
                        None => to.serialize_unit(),
                    }
                }
                _ => to.serialize_unit(),
            },
        }
    }
}
