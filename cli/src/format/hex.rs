//! Bytes as text.

use std::fmt::Write as _;

const DIGITS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
];

/// Puts the two digits of each byte behind `out`.
pub(super) fn push(bytes: &[u8], out: &mut String) {
    out.reserve(bytes.len().saturating_mul(2));
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(DIGITS.get(usize::from(digit)).copied().unwrap_or('?'));
        }
    }
}

/// Two digits for each byte, nothing between them.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let mut out = String::new();
    push(bytes, &mut out);
    out
}

/// The bytes of such a text. `None` where it is not one.
#[must_use]
pub fn parse(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

/// Lines of 16 bytes with their offset from `base`: digits, and the letters among them. A row that repeats the one
/// before is left out; `*` stands in its place.
pub fn dump(indent: &str, base: usize, bytes: &[u8], out: &mut String) {
    let mut last: Option<&[u8]> = None;
    let mut starred = false;
    for (row, part) in bytes.chunks(16).enumerate() {
        if last == Some(part) {
            if !starred {
                let _ = writeln!(out, "{indent}*");
            }
            starred = true;
            continue;
        }
        (last, starred) = (Some(part), false);
        let _ = write!(
            out,
            "{indent}{:06x} ",
            base.saturating_add(row.saturating_mul(16))
        );
        for place in 0..16 {
            if place == 8 {
                out.push(' ');
            }
            match part.get(place) {
                Some(byte) => {
                    out.push(' ');
                    push(&[*byte], out);
                }
                None => out.push_str("   "),
            }
        }
        out.push_str("  |");
        out.extend(part.iter().map(|byte| match byte {
            0x20..=0x7e => char::from(*byte),
            _ => '.',
        }));
        out.push_str("|\n");
    }
    if starred {
        let _ = writeln!(out, "{indent}{:06x}", base.saturating_add(bytes.len()));
    }
}
