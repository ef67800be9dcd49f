//! One value in which two calls differ.

use std::fmt;

use serde::Serialize;

use super::bind::Seen;

/// One value in which two calls differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct FieldDifference {
    /// The value's name: `vm`, `cpu_affinity`, `regions[2].gpa`.
    pub field: String,
    /// Where it is: a register, or a block with the byte's offset.
    pub place: String,
    /// What it should be, as text.
    pub expected: String,
    /// What it is, as text.
    pub found: String,
    /// In what way they differ.
    pub reason: Reason,
}

/// In what way two values differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// They are not equal.
    Value,
    /// The expected one is tied to another value than the found one.
    ExpectedIsTied {
        /// That value.
        to: String,
        /// Since when; `None`: within this call.
        since: Option<Seen>,
    },
    /// The found one is tied to another value than the expected one.
    FoundIsTied {
        /// That value.
        to: String,
        /// Since when; `None`: within this call.
        since: Option<Seen>,
    },
    /// The registers carry different kinds of things.
    Shape,
    /// The memory has different lengths.
    Length,
    /// The hashes of a secret differ.
    Secret,
    /// They are not the same shared pages.
    Pages,
}

impl fmt::Display for FieldDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            expected,
            found,
            ..
        } = self;
        write!(f, "{field}: expected {expected}, found {found}")?;
        let (what, to, since) = match &self.reason {
            Reason::Value | Reason::Shape | Reason::Length | Reason::Pages => return Ok(()),
            Reason::Secret => return f.write_str(" (their hashes differ)"),
            Reason::ExpectedIsTied { to, since } => (expected, to, since),
            Reason::FoundIsTied { to, since } => (found, to, since),
        };
        match since {
            Some(seen) => write!(f, " ({what} goes with {to} since {seen})"),
            None => write!(f, " ({what} goes with {to} within this call)"),
        }
    }
}
