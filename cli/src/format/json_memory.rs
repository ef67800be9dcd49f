//! What went into a call and what the hypervisor changed, as JSON by the arguments' names.

use hypercall_core::call::Direction;
use hypercall_core::schema::Role;
use hypercall_trace::entry::{After, Argument, Block, Call, Target};
use hypercall_trace::schema::{self, Kind, LinkTarget, Register};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::hex;
use super::json_value::{JsonArray, JsonFields, JsonKind};

/// What went in, by the arguments' names.
pub(super) struct Arguments<'a>(pub(super) &'a Call);

/// The name of a register's argument.
fn name_of(register: Option<&Register>, number: usize) -> &str {
    match register {
        Some(
            Register::Value { name, .. }
            | Register::Block { name, .. }
            | Register::Bytes { name, .. },
        ) if !name.is_empty() => name,
        _ if number == 0 => "rdi",
        _ => "rsi",
    }
}

impl Serialize for Arguments<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for (number, argument) in self.0.args.iter().enumerate() {
            let register = self
                .0
                .schema
                .as_ref()
                .and_then(|schema| schema.registers.get(number));
            let name = name_of(register, number);
            match (argument, register) {
                (Argument::Unused, _) => {}
                (Argument::Value(value), Some(Register::Value { kind, role, .. })) => {
                    let value = JsonKind {
                        kind,
                        role: *role,
                        bytes: &value.to_le_bytes(),
                    };
                    map.serialize_entry(name, &value)?;
                }
                (Argument::Value(value), _) => map.serialize_entry(name, &format!("{value:#x}"))?,
                (Argument::Block(block), register) => {
                    // Memory that is only written says nothing before the call.
                    let written = block.direction == Direction::Write;
                    let hidden = block.link.as_ref().map(|link| link.offset);
                    if !written {
                        bytes_entry(
                            &mut map,
                            name,
                            register,
                            &block.before_bytes(),
                            None,
                            hidden,
                        )?;
                    }
                    link_entry(&mut map, register, block)?;
                }
            }
        }
        map.end()
    }
}

fn bytes_entry<M: SerializeMap>(
    map: &mut M,
    name: &str,
    register: Option<&Register>,
    bytes: &[u8],
    changed_from: Option<&[u8]>,
    hidden: Option<usize>,
) -> Result<(), M::Error> {
    match register {
        Some(Register::Block {
            kind: Kind::Struct(info),
            ..
        }) => map.serialize_entry(
            name,
            &JsonFields {
                info,
                bytes,
                changed_from,
                hidden,
            },
        ),
        Some(Register::Block { kind, .. }) => map.serialize_entry(
            name,
            &JsonKind {
                kind,
                role: Role::Plain,
                bytes,
            },
        ),
        _ => map.serialize_entry(name, &hex::text(bytes)),
    }
}

fn link_entry<M: SerializeMap>(
    map: &mut M,
    register: Option<&Register>,
    block: &Block,
) -> Result<(), M::Error> {
    let Some(link) = &block.link else {
        return Ok(());
    };
    let described = match register {
        Some(Register::Block {
            link: Some(link), ..
        }) => Some(link),
        _ => None,
    };
    let name = described.map_or("link", |link| link.name.as_str());
    match (&link.target, described.map(|link| &link.target)) {
        (Target::Block(nested), Some(LinkTarget::Array { kind, size, .. })) => {
            let bytes = &nested.before_bytes();
            let array = JsonArray {
                element: kind,
                role: Role::Plain,
                size: *size,
                bytes,
            };
            map.serialize_entry(name, &array)
        }
        (Target::Block(nested), _) => map.serialize_entry(name, &hex::text(&nested.before_bytes())),
        (Target::Pages { count, page }, _) => {
            map.serialize_entry(name, &serde_json::json!({ "pages": count, "page": page }))
        }
        (Target::Address(address), _) => map.serialize_entry(name, &format!("{address:#x}")),
    }
}

/// What the hypervisor changed in memory, by the arguments' names.
pub(super) struct Written<'a>(pub(super) &'a Call);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for (number, argument) in self.0.args.iter().enumerate() {
            let register = self
                .0
                .schema
                .as_ref()
                .and_then(|schema| schema.registers.get(number));
            let Some(block) = argument.block() else {
                continue;
            };
            if let After::Changed(after) = &block.after {
                let before = block.before_bytes();
                let hidden = block.link.as_ref().map(|link| link.offset);
                bytes_entry(
                    &mut map,
                    name_of(register, number),
                    register,
                    after,
                    Some(&before),
                    hidden,
                )?;
            }
            if let Some(After::Changed(after)) = block.nested().map(|nested| &nested.after) {
                match register {
                    Some(Register::Block {
                        link:
                            Some(schema::Link {
                                name,
                                target: LinkTarget::Array { kind, size, .. },
                                ..
                            }),
                        ..
                    }) => {
                        let array = JsonArray {
                            element: kind,
                            role: Role::Plain,
                            size: *size,
                            bytes: after,
                        };
                        map.serialize_entry(name, &array)?;
                    }
                    _ => map.serialize_entry("link", &hex::text(after))?,
                }
            }
        }
        map.end()
    }
}
