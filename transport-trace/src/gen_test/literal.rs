//! Recorded values as Rust.

use std::fmt::Write as _;

use hypercall_core::schema::Role;

use crate::replay::leaf::unsigned;
use crate::replay::text;
use crate::schema::{Field, Kind, Struct};

/// Payloads that travel in a page of their own. The schema describes their bytes only.
const PAGE_ALIGNED: &[&str] = &["IntrMonitor"];

/// Whether a payload travels in a page of its own.
pub(super) fn in_a_page(info: &Struct) -> bool {
    PAGE_ALIGNED.contains(&info.name.as_str())
}

/// A Rust name of a text.
pub(super) fn identifier(text: &str) -> String {
    const KEYWORDS: &[&str] = &[
        "as", "break", "const", "continue", "crate", "else", "enum", "extern", "false", "fn",
        "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref",
        "return", "self", "static", "struct", "super", "trait", "true", "type", "unsafe", "use",
        "where", "while", "async", "await", "dyn", "abstract", "become", "box", "do", "final",
        "macro", "override", "priv", "typeof", "unsized", "virtual", "yield", "try", "gen",
        "replayer",
    ];
    let mut name: String = text
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    if name.is_empty() || name.starts_with(|letter: char| letter.is_ascii_digit()) {
        name.insert_str(0, "lane_");
    }
    if KEYWORDS.contains(&name.as_str()) || name == "_" {
        name.push_str("_lane");
    }
    name
}

/// A value of a register or a field that stands alone: `VmId(1)`.
pub(super) fn scalar(
    kind: &Kind,
    role: Role,
    bytes: &[u8],
    handle: &dyn Fn(&str, u64) -> Option<String>,
) -> String {
    let raw = unsigned(bytes);
    match kind {
        Kind::Id(name) => {
            let variable = (role == Role::Handle).then(|| handle(name, raw)).flatten();
            variable.unwrap_or_else(|| format!("{name}({})", id(raw)))
        }
        _ => number(raw),
    }
}

/// A number; hexadecimal where that is easier to read.
pub(super) fn number(raw: u64) -> String {
    if raw < 4096 {
        raw.to_string()
    } else {
        format!("{raw:#x}")
    }
}

/// The number of an id, as ids are shown.
pub(super) fn id(raw: u64) -> String {
    if raw < 10 {
        raw.to_string()
    } else {
        format!("{raw:#x}")
    }
}

/// A struct: `VmCreation { name: text("demo"), ..zeroed() }`.
pub(super) fn structure(
    info: &Struct,
    bytes: &[u8],
    indent: &str,
    handle: &dyn Fn(&str, u64) -> Option<String>,
) -> String {
    let mut text = format!("{} {{", info.name);
    let inner = format!("{indent}    ");
    let mut shown = 0_usize;
    for field in &info.fields {
        let Some(part) = slice(bytes, field) else {
            continue;
        };
        if field.role == Role::Secret {
            // The trace has no more than a hash of it.
            let _ = write!(text, "\n{inner}// {} is a secret.", field.name);
        } else if part.iter().any(|byte| *byte != 0) {
            let value = value(&field.kind, field.role, part, &inner, handle);
            let _ = write!(text, "\n{inner}{}: {value},", field.name);
            shown = shown.saturating_add(1);
        }
    }
    if shown < info.fields.len() {
        let _ = write!(text, "\n{inner}..zeroed()");
    }
    let _ = write!(text, "\n{indent}}}");
    if shown == 0 {
        "zeroed()".to_owned()
    } else {
        text
    }
}

fn slice<'b>(bytes: &'b [u8], field: &Field) -> Option<&'b [u8]> {
    bytes.get(field.offset..field.offset.checked_add(field.size)?)
}

/// A value of a field.
fn value(
    kind: &Kind,
    role: Role,
    bytes: &[u8],
    indent: &str,
    handle: &dyn Fn(&str, u64) -> Option<String>,
) -> String {
    match kind {
        Kind::Id(_) => scalar(kind, role, bytes, handle),
        Kind::Unsigned if bytes.len() <= 8 => number(unsigned(bytes)),
        Kind::Signed if bytes.len() <= 8 => text::value(kind, Role::Plain, bytes),
        Kind::Enum(_) | Kind::Flags(_) => {
            let shown = text::value(kind, Role::Plain, bytes);
            let raw = number(unsigned(bytes));
            if shown == raw {
                format!("raw({raw})")
            } else {
                format!("raw({raw} /* {shown} */)")
            }
        }
        Kind::Text => {
            let end = bytes
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(bytes.len());
            let (head, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            match str::from_utf8(head) {
                Ok(head) if rest.iter().all(|byte| *byte == 0) => format!("text({head:?})"),
                _ => raw_bytes(bytes),
            }
        }
        // Fields of a packed struct are private: a reference to one would not compile.
        Kind::Struct(info) if info.align == 1 && info.size > 1 => raw_bytes(bytes),
        Kind::Struct(info) => structure(info, bytes, indent, handle),
        Kind::Array {
            element,
            size,
            length,
        } if !matches!((&**element, *size), (Kind::Unsigned, 1)) => {
            let parts = bytes.chunks(*size.max(&1)).take(*length);
            let parts: Vec<String> = parts
                .map(|part| value(element, role, part, indent, handle))
                .collect();
            format!("[{}]", parts.join(", "))
        }
        _ => raw_bytes(bytes),
    }
}

/// Bytes without a description.
pub(super) fn raw_bytes(bytes: &[u8]) -> String {
    format!("bytes(&{})", array(bytes))
}

/// An array of bytes.
pub(super) fn array(bytes: &[u8]) -> String {
    if bytes.len() > 8 && bytes.iter().all(|byte| *byte == 0) {
        return format!("[0; {}]", bytes.len());
    }
    let parts: Vec<String> = bytes.iter().map(|byte| format!("{byte:#04x}")).collect();
    format!("[{}]", parts.join(", "))
}

/// A payload as an expression, wrapped where it travels in a page of its own.
pub(super) fn payload(
    kind: &Kind,
    bytes: &[u8],
    handle: &dyn Fn(&str, u64) -> Option<String>,
) -> String {
    match kind {
        Kind::Struct(info) => {
            let text = value(kind, Role::Plain, bytes, "    ", handle);
            let zero = text == "zeroed()";
            match (in_a_page(info), zero) {
                (true, true) => format!("PageAligned(zeroed::<{}>())", info.name),
                (true, false) => format!("PageAligned({text})"),
                (false, true) => format!("zeroed::<{}>()", info.name),
                (false, false) => text,
            }
        }
        _ => value(kind, Role::Plain, bytes, "    ", handle),
    }
}

/// What a test prints besides the error or the assertion that it fails with: these say less. Where `finish` fails, the error is the
/// report.
pub(super) const TELLS: &str = "
/// Prints the replay's report where the program left the trace.
struct TellsWhereItLeft<'r>(&'r Replayer);

impl Drop for TellsWhereItLeft<'_> {
    fn drop(&mut self) {
        if self.0.divergence().is_some() {
            eprintln!(\"{}\", self.0.report());
        }
    }
}
";

/// The small functions that a test uses.
pub(super) fn helpers(body: &str, core: &str) -> String {
    let mut text = String::new();
    let from_bytes = format!("{core}::zerocopy::FromBytes");
    if ["bytes(&", "text(\"", " raw("]
        .iter()
        .any(|used| body.contains(used))
    {
        let _ = write!(
            text,
            "\n/// A value of these bytes; zero behind them.\nfn bytes<T: {from_bytes}>(from: &[u8]) -> T {{\n    let mut all = vec![0; size_of::<T>()];\n    for (place, byte) in all.iter_mut().zip(from) {{\n        *place = *byte;\n    }}\n    T::read_from_bytes(&all).unwrap_or_else(|_| T::new_zeroed())\n}}\n"
        );
    }
    if body.contains("text(\"") {
        let _ = write!(
            text,
            "\nfn text<T: {from_bytes}>(from: &str) -> T {{\n    bytes(from.as_bytes())\n}}\n"
        );
    }
    if body.contains("raw(") {
        let _ = write!(
            text,
            "\n/// A flag or a named number, as it is in memory.\nfn raw<T: {from_bytes}>(from: u64) -> T {{\n    bytes(&from.to_le_bytes())\n}}\n"
        );
    }
    if body.contains("zeroed") {
        text.push_str("\nfn zeroed<P: Payload>() -> P {\n    P::zeroed()\n}\n");
    }
    if body.contains("arg(") {
        text.push_str("\n/// A value as it is in a register.\nfn arg<V: Value>(from: u64) -> V {\n    V::from_register(from)\n}\n");
    }
    text
}
