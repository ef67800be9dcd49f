//! How recorded calls look: as lines in the manner of strace, as JSON objects, as dumps of memory.
//!
//! Everything is decoded with the trace's own schema, so calls of interfaces that this program was not compiled with are
//! shown with names as well. Nothing here reads a file.

mod answer;
mod clocks;
mod context;
mod digits;
mod hex;
mod json;
mod json_answer;
mod json_memory;
mod json_value;
mod line;
mod paint;
mod request;
mod requests;
mod secret;
mod time;
mod value;

pub use clocks::Clocks;
pub use context::Context;
pub(crate) use context::{UNKNOWN_NUMBER, damage, plain, plain_lines};
pub use hex::{dump, parse as parse_hex, text as hex_text};
pub use json::JsonEntry;
pub use json_value::JsonFields;
pub use line::{Columns, Lines};
pub use paint::{Paint, Part};
pub use time::{Moment, Times, duration, nanoseconds, utc};
pub use value::{Detail, Values};
pub(crate) use value::{part, unsigned, yielded};
