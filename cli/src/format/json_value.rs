//! Values as JSON: numbers for numbers, strings for names, text, addresses and bytes, lists for flags.

use hypercall_core::schema::Role;
use hypercall_trace::schema::{Kind, Struct};
use serde::Serialize;
use serde::ser::{SerializeMap as _, SerializeSeq as _, Serializer};

use super::hex;
use super::value::{SECRET, flag_names, name_of, part, signed, unsigned, until_nul};

/// A value of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonKind<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) role: Role,
    pub(crate) bytes: &'a [u8],
}

impl Serialize for JsonKind<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { kind, role, bytes } = *self;
        match kind {
            _ if role == Role::Secret => to.serialize_str(SECRET),
            Kind::Unsigned | Kind::Id(_) if bytes.len() > 8 => to.serialize_str(&hex::text(bytes)),
            Kind::Unsigned | Kind::Id(_) if role == Role::Address || kind.is_address() => {
                to.serialize_str(&format!("{:#x}", unsigned(bytes)))
            }
            Kind::Unsigned | Kind::Id(_) => to.serialize_u64(unsigned(bytes)),
            Kind::Signed => to.serialize_i64(signed(bytes)),
            Kind::Enum(names) => match name_of(names, unsigned(bytes)) {
                Some(name) => to.serialize_str(name),
                None => to.serialize_u64(unsigned(bytes)),
            },
            Kind::Flags(names) => {
                let (found, rest) = flag_names(names, unsigned(bytes));
                let mut list = to.serialize_seq(None)?;
                for name in found {
                    list.serialize_element(name)?;
                }
                if rest != 0 {
                    list.serialize_element(&format!("{rest:#x}"))?;
                }
                list.end()
            }
            Kind::Text => to.serialize_str(&String::from_utf8_lossy(until_nul(bytes))),
            Kind::Struct(info) => JsonFields {
                info,
                bytes,
                changed_from: None,
                hidden: None,
            }
            .serialize(to),
            Kind::Array {
                element, size: 1, ..
            } if matches!(**element, Kind::Unsigned) => to.serialize_str(&hex::text(bytes)),
            Kind::Array { element, size, .. } => JsonArray {
                element,
                role,
                size: *size,
                bytes,
            }
            .serialize(to),
        }
    }
}

/// The fields of a struct as an object. Reserved ones, and those of which bytes are missing, are left out.
#[derive(Clone, Copy, Debug)]
pub struct JsonFields<'a> {
    /// The layout.
    pub info: &'a Struct,
    /// The struct's bytes.
    pub bytes: &'a [u8],
    /// Only fields whose bytes differ from these.
    pub changed_from: Option<&'a [u8]>,
    /// The field at this offset is left out: it holds an address that stands for something else.
    pub hidden: Option<usize>,
}

impl Serialize for JsonFields<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for field in self
            .info
            .fields
            .iter()
            .filter(|field| field.role != Role::Reserved && self.hidden != Some(field.offset))
        {
            let Some(bytes) = part(self.bytes, field) else {
                continue;
            };
            if self.changed_from.and_then(|before| part(before, field)) == Some(bytes) {
                continue;
            }
            map.serialize_entry(
                &field.name,
                &JsonKind {
                    kind: &field.kind,
                    role: field.role,
                    bytes,
                },
            )?;
        }
        map.end()
    }
}

/// Elements of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct JsonArray<'a> {
    pub(super) element: &'a Kind,
    pub(super) role: Role,
    pub(super) size: usize,
    pub(super) bytes: &'a [u8],
}

impl Serialize for JsonArray<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self {
            element,
            role,
            size,
            bytes,
        } = *self;
        to.collect_seq(bytes.chunks(size.max(1)).map(|bytes| JsonKind {
            kind: element,
            role,
            bytes,
        }))
    }
}
