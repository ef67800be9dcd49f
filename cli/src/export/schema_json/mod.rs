//! The schema as JSON, complete: its form. `convert` has both directions.

mod convert;

use serde::{Deserialize, Serialize};

use super::raw::Hex;

/// A schema: its interfaces.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Schema(Vec<Interface>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Interface {
    name: String,
    codes: Vec<Code>,
    calls: Vec<Call>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Code {
    code: i64,
    name: String,
    text: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Call {
    name: String,
    number: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    selector: Option<(u64, u64)>,
    registers: [Register; 2],
    result: ResultKind,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hints: Vec<(i64, String)>,
    /// Only where they differ from the interface's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    codes: Option<Vec<Code>>,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    complete: bool,
    /// The bytes of the description, where they say something that this version does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw: Option<Hex>,
}

const fn yes() -> bool {
    true
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_yes(value: &bool) -> bool {
    *value
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Register {
    Unused,
    Value {
        name: String,
        kind: Kind,
        role: Meaning,
    },
    Block {
        name: String,
        direction: Way,
        kind: Kind,
        size: usize,
        link: Option<Link>,
    },
    Bytes {
        name: String,
        direction: Way,
    },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Read,
    Write,
    ReadWrite,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Meaning {
    Plain,
    Address,
    Handle,
    Reserved,
    Volatile,
    Secret,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Link {
    name: String,
    offset: usize,
    target: LinkTarget,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LinkTarget {
    Array {
        direction: Way,
        kind: Kind,
        size: usize,
        count_offset: usize,
        count_size: usize,
    },
    Shared,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ResultKind {
    Unit,
    Block(usize),
    Yielded(usize),
    Rax(Kind),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Unsigned,
    Signed,
    Enum(Vec<(String, u64)>),
    Flags(Vec<(String, u64)>),
    Id(String),
    Text,
    Struct(Box<Struct>),
    Array {
        element: Box<Kind>,
        size: usize,
        length: usize,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Struct {
    name: String,
    c_name: String,
    size: usize,
    align: usize,
    fields: Vec<Field>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Field {
    name: String,
    c_name: String,
    offset: usize,
    size: usize,
    kind: Kind,
    role: Meaning,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    units: String,
}
