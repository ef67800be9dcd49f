//! Entries as data for JSON, complete: what is written here is read back to the same entry.
//!
//! Bytes are strings of hexadecimal digits. Numbers are JSON numbers; a reader that keeps only 53 bits of one loses what
//! it loses, this one keeps all.

mod convert;

use serde::{Deserialize, Serialize};

/// Bytes as a string of digits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Hex(Vec<u8>);

/// What a call's object carries under `raw`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    lane: u32,
    duration: Option<u64>,
    args: [Argument; 2],
    outcome: Outcome,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Argument {
    Unused,
    Value(u64),
    Block(Box<Block>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Block {
    direction: Way,
    length: usize,
    before: Hex,
    after: After,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<Link>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Read,
    Write,
    ReadWrite,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum After {
    Unfinished,
    Unchanged,
    Changed(Hex),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Link {
    offset: usize,
    target: Target,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Target {
    Block(Box<Block>),
    Pages { count: u32, page: Option<u32> },
    Address(u64),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Returned(i64),
    Failed(Failure),
    Unfinished,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Failure {
    Untranslatable {
        register: u8,
        nested: bool,
    },
    Layer {
        layer: String,
        reason: String,
    },
    Crashed(String),
    Hung(String),
    Fault(u8),
    Unsupported(String),
    Unexpected(String),
    Lost(String),
    Other {
        code: u8,
        detail: u8,
        text: String,
        more: String,
    },
}

/// Missing calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lost {
    lane: String,
    lane_id: u32,
    index: u64,
    /// Null: nobody knows.
    count: Option<u64>,
    cause: Cause,
    first: u64,
    last: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cause {
    RingFull,
    Overwritten,
    TooLarge,
    Busy,
    Sink,
    Damaged,
    Other(u8),
}

/// A change in a page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pages {
    lane: String,
    lane_id: u32,
    index: u64,
    when: When,
    page: u32,
    ticks: u64,
    /// Which look found it; left out where it was a call's, or the look of the change before.
    #[serde(default, skip_serializing_if = "is_zero")]
    look: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    late: bool,
    runs: Vec<Run>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum When {
    Enter,
    Exit,
    Note,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Run {
    offset: u32,
    before: Hex,
    after: Hex,
}

/// An entry of a kind that this version does not know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unknown {
    lane: String,
    lane_id: u32,
    index: u64,
    kind: u8,
    bytes: Hex,
}

/// A damaged stretch of the file that this was exported from, with what its headers still say of the calls that stood there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hole {
    offset: u64,
    length: u64,
    reason: String,
    lane_id: Option<u32>,
    entries: Option<u32>,
    index: Option<u64>,
    calls: Option<u32>,
    /// Whether nobody knows how many calls stood there, and of which lanes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unknown: bool,
}
