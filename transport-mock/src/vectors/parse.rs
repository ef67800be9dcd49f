//! From text to [`Op`]s.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use hypercall_core::server::Registers;
use serde_json::{Map, Value};

use super::{FILL_LIMIT, op::Op};

/// A line that is not what a recording's lines are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl core::error::Error for ParseError {}

/// Reads a recording: each operation with its line, counted from 1. Empty lines are skipped.
///
/// # Errors
/// [`ParseError`] for the first line that is not UTF-8, not a JSON object (the last line of a file that was cut off is
/// not), has an unknown `op`, or lacks a field or has one of the wrong kind.
pub fn parse(text: &[u8]) -> Result<Vec<(usize, Op)>, ParseError> {
    let mut operations = Vec::new();
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let parsed = parse_line(line).map_err(|what| ParseError { line: number, what })?;
        operations.extend(parsed.map(|operation| (number, operation)));
    }
    Ok(operations)
}

fn parse_line(line: &[u8]) -> Result<Option<Op>, String> {
    let line = core::str::from_utf8(line)
        .map_err(|_| "not UTF-8".to_string())?
        .trim();
    if line.is_empty() {
        return Ok(None);
    }
    let value: Value = serde_json::from_str(line).map_err(not_json)?;
    let Value::Object(fields) = value else {
        return Err("not a JSON object".to_string());
    };
    Fields(fields).operation().map(Some)
}

/// What the JSON reader says, with the column and without its idea of the line.
fn not_json(error: serde_json::Error) -> String {
    let said = error.to_string();
    let what = said.split(" at line ").next().unwrap_or(&said);
    format!("not JSON from column {} on: {what}", error.column())
}

struct Fields(Map<String, Value>);

impl Fields {
    fn operation(&self) -> Result<Op, String> {
        Ok(match self.text("op")? {
            "hypercall" => Op::Hypercall {
                registers: self.registers()?,
                rax: self.signed("rax")?,
            },
            "hypercall_cpl3" => Op::HypercallCpl3 {
                registers: self.registers()?,
                vector: self.unsigned_or("vector", "fault")?,
            },
            "write" => Op::Write {
                gpa: self.unsigned("gpa")?,
                bytes: self.bytes("bytes")?,
            },
            "fill" => Op::Fill {
                gpa: self.unsigned("gpa")?,
                length: self.fill_length()?,
                byte: self.unsigned("byte")?,
            },
            "store32" => Op::Store32 {
                gpa: self.unsigned("gpa")?,
                value: self.unsigned("value")?,
            },
            "read" => Op::Read {
                gpa: self.unsigned("gpa")?,
                bytes: self.bytes("bytes")?,
            },
            "wait_u32" => Op::WaitU32 {
                gpa: self.unsigned("gpa")?,
                value: self.unsigned("value")?,
                met: self.boolean("met")?,
            },
            "upcall_count" => Op::UpcallCount {
                vector: self.unsigned("vector")?,
                count: self.unsigned("count")?,
            },
            "cpuid" => Op::Cpuid {
                leaf: self.unsigned("leaf")?,
                registers: [
                    self.optional("eax")?,
                    self.optional("ebx")?,
                    self.optional("ecx")?,
                    self.optional("edx")?,
                ],
            },
            "label" => Op::Label(self.text("text")?.to_string()),
            other => return Err(format!("unknown operation `{}`", other.escape_debug())),
        })
    }

    fn registers(&self) -> Result<Registers, String> {
        Ok(Registers {
            number: self.unsigned("r8")?,
            args: [self.unsigned("rdi")?, self.unsigned("rsi")?],
        })
    }

    fn field(&self, name: &str) -> Result<&Value, String> {
        self.0.get(name).ok_or_else(|| format!("no field `{name}`"))
    }

    fn text(&self, name: &str) -> Result<&str, String> {
        self.field(name)?
            .as_str()
            .ok_or_else(|| format!("field `{name}` is not a string"))
    }

    fn boolean(&self, name: &str) -> Result<bool, String> {
        self.field(name)?
            .as_bool()
            .ok_or_else(|| format!("field `{name}` is neither true nor false"))
    }

    fn unsigned<T: TryFrom<u64>>(&self, name: &str) -> Result<T, String> {
        let number = match self.field(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => digits(text),
            _ => None,
        };
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| format!("field `{name}` is not a number, or too large"))
    }

    fn unsigned_or<T: TryFrom<u64>>(&self, name: &str, other: &str) -> Result<T, String> {
        if self.0.contains_key(name) || !self.0.contains_key(other) {
            self.unsigned(name)
        } else {
            self.unsigned(other)
        }
    }

    fn optional<T: TryFrom<u64>>(&self, name: &str) -> Result<Option<T>, String> {
        if self.0.contains_key(name) {
            self.unsigned(name).map(Some)
        } else {
            Ok(None)
        }
    }

    fn signed(&self, name: &str) -> Result<i64, String> {
        let number = match self.field(name)? {
            Value::Number(number) => number
                .as_i64()
                .or_else(|| number.as_u64().map(u64::cast_signed)),
            Value::String(text) => match text.strip_prefix('-') {
                Some(rest) => digits(rest).and_then(|number| 0_i64.checked_sub_unsigned(number)),
                None => digits(text).map(u64::cast_signed),
            },
            _ => None,
        };
        number.ok_or_else(|| format!("field `{name}` is not a number, or too large"))
    }

    fn fill_length(&self) -> Result<u64, String> {
        let length = self.unsigned("len")?;
        if length > FILL_LIMIT {
            return Err(format!("field `len` is more than {FILL_LIMIT}"));
        }
        Ok(length)
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        let wrong = || format!("field `{name}` is not an even number of hexadecimal digits");
        let text = self.text(name)?;
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return Err(wrong());
        }
        pairs
            .iter()
            .map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?))
            .collect::<Option<Vec<u8>>>()
            .ok_or_else(wrong)
    }
}

fn digits(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hexadecimal) => (hexadecimal, 16),
        None => (text, 10),
    };
    // `from_str_radix` would also take a sign.
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &[u8]) -> String {
        parse(text).map_or_else(|error| error.to_string(), |parsed| format!("{parsed:?}"))
    }

    #[test]
    fn numbers_come_in_three_forms() {
        let text = br#"
            {"op": "hypercall", "r8": "0x80000012", "rdi": 1, "rsi": "2", "rax": -1}
            {"op": "fill", "gpa": "0x1000", "len": 16, "byte": 255, "note": "more fields do no harm"}
        "#;
        let registers = Registers {
            number: 0x8000_0012,
            args: [1, 2],
        };
        assert_eq!(
            parse(text),
            Ok(alloc::vec![
                (2, Op::Hypercall { registers, rax: -1 }),
                (
                    3,
                    Op::Fill {
                        gpa: 0x1000,
                        length: 16,
                        byte: 255
                    }
                ),
            ])
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        assert!(
            error(b"{\"op\": \"label\", \"text\": \"x\"}\n{\"op\": \"re")
                .starts_with("line 2: not JSON from column 10 on: EOF")
        );
        assert_eq!(
            error(br#"{"op": "jump"}"#),
            "line 1: unknown operation `jump`"
        );
        assert_eq!(
            error(br#"{"op": "read", "gpa": "0x", "bytes": ""}"#),
            "line 1: field `gpa` is not a number, or too large"
        );
        assert_eq!(
            error(br#"{"op": "store32", "gpa": 0, "value": 4294967296}"#),
            "line 1: field `value` is not a number, or too large"
        );
        assert_eq!(
            error(br#"{"op": "read", "gpa": 0, "bytes": "abc"}"#),
            "line 1: field `bytes` is not an even number of hexadecimal digits"
        );
        assert_eq!(
            error(br#"{"op": "fill", "gpa": 0, "len": 99999999999, "byte": 0}"#),
            "line 1: field `len` is more than 16777216"
        );
        assert_eq!(error(b"\xff"), "line 1: not UTF-8");
        assert_eq!(error(b"[]"), "line 1: not a JSON object");
    }
}
