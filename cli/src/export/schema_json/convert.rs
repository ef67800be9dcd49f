//! From the library's schema to the form for JSON, and back.

use std::sync::Arc;

use hypercall_core::call::{Direction, Selector};
use hypercall_core::schema::Role;
use hypercall_trace::schema as lib;

use super::{
    Call, Code, Field, Hex, Interface, Kind, Link, LinkTarget, Meaning, Register, ResultKind,
    Schema, Struct, Way,
};

/// Structs inside structs, at most.
const MAX_DEPTH: usize = 16;

macro_rules! both_ways {
    ($ours:ident = $theirs:path { $($unit:ident),* $(,)? }) => {
        impl From<$theirs> for $ours {
            fn from(value: $theirs) -> Self {
                type Theirs = $theirs;
                match value { $(Theirs::$unit => Self::$unit,)* }
            }
        }
        impl From<$ours> for $theirs {
            fn from(value: $ours) -> Self {
                match value { $($ours::$unit => Self::$unit,)* }
            }
        }
    };
}
both_ways!(
    Way = Direction {
        Read,
        Write,
        ReadWrite
    }
);
both_ways!(
    Meaning = Role {
        Plain,
        Address,
        Handle,
        Reserved,
        Volatile,
        Secret
    }
);

impl Schema {
    /// For a trace's header line.
    #[must_use]
    pub(crate) fn of(schema: &lib::Schema) -> Self {
        Self(schema.interfaces.iter().map(Interface::of).collect())
    }

    /// The schema.
    ///
    /// # Errors
    /// What about it nothing can be done with.
    pub(crate) fn into_schema(self) -> Result<lib::Schema, &'static str> {
        let interfaces = self
            .0
            .into_iter()
            .map(Interface::into_interface)
            .collect::<Result<_, _>>()?;
        Ok(lib::Schema { interfaces })
    }
}

fn codes(codes: &[lib::Code]) -> Vec<Code> {
    let own = |code: &lib::Code| Code {
        code: code.code,
        name: code.name.clone(),
        text: code.text.clone(),
    };
    codes.iter().map(own).collect()
}

fn into_codes(codes: Vec<Code>) -> Arc<[lib::Code]> {
    codes
        .into_iter()
        .map(|Code { code, name, text }| lib::Code { code, name, text })
        .collect()
}

impl Interface {
    fn of(interface: &lib::Interface) -> Self {
        let common = interface
            .calls
            .first()
            .map(|call| codes(&call.codes))
            .unwrap_or_default();
        let calls = interface
            .calls
            .iter()
            .map(|call| Call::of(call, &common))
            .collect();
        Self {
            name: interface.name.clone(),
            codes: common,
            calls,
        }
    }

    fn into_interface(self) -> Result<lib::Interface, &'static str> {
        let common = into_codes(self.codes);
        let interface: Arc<str> = self.name.as_str().into();
        let calls = self.calls.into_iter().enumerate();
        let calls = calls.map(|(index, call)| {
            Ok(Arc::new(lib::Call {
                interface: Arc::clone(&interface),
                index,
                name: call.name,
                number: call.number,
                selector: call.selector.map(|(mask, value)| Selector { mask, value }),
                registers: {
                    let [first, second] = call.registers;
                    [first.into_register()?, second.into_register()?]
                },
                result: match call.result {
                    ResultKind::Unit => lib::ResultKind::Unit,
                    ResultKind::Block(register) => lib::ResultKind::Block(register),
                    ResultKind::Yielded(register) => lib::ResultKind::Yielded(register),
                    ResultKind::Rax(kind) => lib::ResultKind::Rax(kind.into_kind(0)?),
                },
                hints: call.hints,
                codes: call.codes.map_or_else(|| Arc::clone(&common), into_codes),
                complete: call.complete,
                raw: call.raw.map(|raw| raw.into_bytes().into()),
            }))
        });
        Ok(lib::Interface {
            name: self.name,
            calls: calls.collect::<Result<_, &'static str>>()?,
        })
    }
}

impl Call {
    fn of(call: &lib::Call, common: &[Code]) -> Self {
        let own = codes(&call.codes);
        let [first, second] = &call.registers;
        Self {
            name: call.name.clone(),
            number: call.number,
            selector: call
                .selector
                .map(|selector| (selector.mask, selector.value)),
            registers: [Register::of(first), Register::of(second)],
            result: match &call.result {
                lib::ResultKind::Unit => ResultKind::Unit,
                lib::ResultKind::Block(register) => ResultKind::Block(*register),
                lib::ResultKind::Yielded(register) => ResultKind::Yielded(*register),
                lib::ResultKind::Rax(kind) => ResultKind::Rax(Kind::of(kind)),
            },
            hints: call.hints.clone(),
            codes: (own != common).then_some(own),
            complete: call.complete,
            raw: call.raw.as_deref().map(Hex::from),
        }
    }
}

impl Register {
    fn of(register: &lib::Register) -> Self {
        match register {
            lib::Register::Unused => Self::Unused,
            lib::Register::Value { name, kind, role } => Self::Value {
                name: name.clone(),
                kind: Kind::of(kind),
                role: (*role).into(),
            },
            lib::Register::Block {
                name,
                direction,
                kind,
                size,
                link,
            } => Self::Block {
                name: name.clone(),
                direction: (*direction).into(),
                kind: Kind::of(kind),
                size: *size,
                link: link.as_ref().map(Link::of),
            },
            lib::Register::Bytes { name, direction } => Self::Bytes {
                name: name.clone(),
                direction: (*direction).into(),
            },
        }
    }

    fn into_register(self) -> Result<lib::Register, &'static str> {
        Ok(match self {
            Self::Unused => lib::Register::Unused,
            Self::Value { name, kind, role } => lib::Register::Value {
                name,
                kind: kind.into_kind(0)?,
                role: role.into(),
            },
            Self::Block {
                name,
                direction,
                kind,
                size,
                link,
            } => lib::Register::Block {
                name,
                direction: direction.into(),
                kind: kind.into_kind(0)?,
                size,
                link: link.map(Link::into_link).transpose()?,
            },
            Self::Bytes { name, direction } => lib::Register::Bytes {
                name,
                direction: direction.into(),
            },
        })
    }
}

impl Link {
    fn of(link: &lib::Link) -> Self {
        Self {
            name: link.name.clone(),
            offset: link.offset,
            target: match &link.target {
                lib::LinkTarget::Shared => LinkTarget::Shared,
                lib::LinkTarget::Array {
                    direction,
                    kind,
                    size,
                    count_offset,
                    count_size,
                } => LinkTarget::Array {
                    direction: (*direction).into(),
                    kind: Kind::of(kind),
                    size: *size,
                    count_offset: *count_offset,
                    count_size: *count_size,
                },
            },
        }
    }

    fn into_link(self) -> Result<lib::Link, &'static str> {
        Ok(lib::Link {
            name: self.name,
            offset: self.offset,
            target: match self.target {
                LinkTarget::Shared => lib::LinkTarget::Shared,
                LinkTarget::Array {
                    direction,
                    kind,
                    size,
                    count_offset,
                    count_size,
                } => lib::LinkTarget::Array {
                    direction: direction.into(),
                    kind: kind.into_kind(0)?,
                    size,
                    count_offset,
                    count_size,
                },
            },
        })
    }
}

fn names(names: &[lib::Name]) -> Vec<(String, u64)> {
    names
        .iter()
        .map(|name| (name.name.clone(), name.value))
        .collect()
}

fn into_names(names: Vec<(String, u64)>) -> Arc<[lib::Name]> {
    names
        .into_iter()
        .map(|(name, value)| lib::Name { name, value })
        .collect()
}

impl Kind {
    fn of(kind: &lib::Kind) -> Self {
        match kind {
            lib::Kind::Unsigned => Self::Unsigned,
            lib::Kind::Signed => Self::Signed,
            lib::Kind::Enum(list) => Self::Enum(names(list)),
            lib::Kind::Flags(list) => Self::Flags(names(list)),
            lib::Kind::Id(name) => Self::Id(name.clone()),
            lib::Kind::Text => Self::Text,
            lib::Kind::Struct(info) => Self::Struct(Box::new(Struct {
                name: info.name.clone(),
                c_name: info.c_name.clone(),
                size: info.size,
                align: info.align,
                fields: info
                    .fields
                    .iter()
                    .map(|field| Field {
                        name: field.name.clone(),
                        c_name: field.c_name.clone(),
                        offset: field.offset,
                        size: field.size,
                        kind: Self::of(&field.kind),
                        role: field.role.into(),
                        units: field.units.clone(),
                    })
                    .collect(),
            })),
            lib::Kind::Array {
                element,
                size,
                length,
            } => Self::Array {
                element: Box::new(Self::of(element)),
                size: *size,
                length: *length,
            },
        }
    }

    fn into_kind(self, depth: usize) -> Result<lib::Kind, &'static str> {
        if depth > MAX_DEPTH {
            return Err("the schema has structs inside structs without end");
        }
        let deeper = depth.saturating_add(1);
        Ok(match self {
            Self::Unsigned => lib::Kind::Unsigned,
            Self::Signed => lib::Kind::Signed,
            Self::Enum(list) => lib::Kind::Enum(into_names(list)),
            Self::Flags(list) => lib::Kind::Flags(into_names(list)),
            Self::Id(name) => lib::Kind::Id(name),
            Self::Text => lib::Kind::Text,
            Self::Struct(info) => lib::Kind::Struct(Arc::new(lib::Struct {
                name: info.name,
                c_name: info.c_name,
                size: info.size,
                align: info.align,
                fields: info
                    .fields
                    .into_iter()
                    .map(|field| {
                        Ok(lib::Field {
                            name: field.name,
                            c_name: field.c_name,
                            offset: field.offset,
                            size: field.size,
                            kind: field.kind.into_kind(deeper)?,
                            role: field.role.into(),
                            units: field.units,
                        })
                    })
                    .collect::<Result<_, &'static str>>()?,
            })),
            Self::Array {
                element,
                size,
                length,
            } => lib::Kind::Array {
                element: Arc::new(element.into_kind(deeper)?),
                size,
                length,
            },
        })
    }
}
