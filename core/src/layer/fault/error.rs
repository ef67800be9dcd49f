//! What is wrong with a text that should be a plan.

use core::fmt;

use super::Name;

/// Where a text stops being a plan, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// The byte of the text that the problem starts at; the text's length where it ends too early.
    pub offset: usize,
    /// The line that it is in, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a part of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Something else should stand here: what, as a phrase.
    Expected(&'static str),
    /// No call of the interface has this name.
    UnknownCall {
        /// The name that stands there.
        name: Name,
        /// The call whose name comes nearest, where one is near.
        nearest: Option<&'static str>,
    },
    /// No call of the interface has this number.
    UnknownNumber,
    /// The calls that the fault is about have no code of this name.
    UnknownCode,
    /// The number is larger than what it is for can be: the largest.
    TooLarge(u64),
    /// The calls are counted from 1, a step is at least 1, and the last is not before the first.
    Never,
    /// The call writes no memory that could be changed.
    NoOutput,
    /// The output has no field of this name; or the fault is about several calls, whose fields differ.
    UnknownField,
    /// The place is not in the output, which has this many bytes.
    BeyondOutput(usize),
    /// The bytes are more than [`Pattern::LONGEST`](super::Pattern::LONGEST), or all zero.
    BadPattern,
    /// The plan has no room for more faults than this.
    TooMany(usize),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected(what) => write!(f, "expected {what}"),
            Self::UnknownCall { name, nearest } => {
                write!(f, "the interface has no call of the name {name}")?;
                match nearest {
                    Some(nearest) => write!(f, "; {nearest} comes nearest"),
                    None => Ok(()),
                }
            }
            Self::UnknownNumber => f.write_str("the interface has no call of this number"),
            Self::UnknownCode => f.write_str(
                "there is no code of this name; give its number, or `lost`, `crash` or `hang`",
            ),
            Self::TooLarge(largest) => write!(f, "the number is too large: at most {largest}"),
            Self::Never => f.write_str(
                "this never happens: counts and steps start at 1, and the last is not before the first",
            ),
            Self::NoOutput => f.write_str("the call writes no memory that could be changed"),
            Self::UnknownField => {
                f.write_str("the output of one call with this field is needed; give a byte's number")
            }
            Self::BeyondOutput(size) => write!(f, "the output has only {size} bytes"),
            Self::BadPattern => f.write_str("expected one to eight bytes that are not all zero"),
            Self::TooMany(room) => write!(f, "there is no room for more than {room} faults"),
        }
    }
}

impl PlanError {
    /// The error with the line of `text` that it is in and a mark below the place, on three lines:
    ///
    /// ```text
    /// the interface has no call of the name strat_vm; start_vm comes nearest
    ///   strat_vm: instead=EPERM
    ///   ^
    /// ```
    pub fn in_text<'t>(&self, text: &'t str) -> impl fmt::Display + use<'t> {
        InText(*self, text)
    }
}

struct InText<'t>(PlanError, &'t str);

impl fmt::Display for InText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(
            PlanError {
                offset, problem, ..
            },
            text,
        ) = self;
        // An offset from elsewhere may be outside the text or inside a character.
        let (before, after) = text.split_at_checked(*offset).unwrap_or((text, ""));
        let start = before.rsplit('\n').next().unwrap_or_default();
        let end = after.split('\n').next().unwrap_or_default();
        let column = start.chars().count();
        write!(
            f,
            "{problem}\n  {start}{}\n  {:column$}^",
            end.trim_end(),
            ""
        )
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offset,
            line,
            problem,
        } = self;
        write!(f, "line {line}, byte {offset}: {problem}")
    }
}

impl core::error::Error for PlanError {}
