//! Integers as text, straight into a string: most of what a line is made of, so it does without the formatter.

/// Digits of the largest integer, in any base from 10 on.
const MOST: usize = 20;

/// Puts a number behind `out`, in a base up to 16, in at least `width` places filled with `fill`.
fn push<const BASE: u64>(mut number: u64, width: usize, fill: u8, out: &mut String) {
    let mut bytes = [fill; MOST];
    let mut used = 0_usize;
    for byte in bytes.iter_mut().rev() {
        let digit = u8::try_from(number.checked_rem(BASE).unwrap_or(0)).unwrap_or_default();
        *byte = if digit < 10 {
            b'0'.saturating_add(digit)
        } else {
            b'a'.saturating_add(digit.saturating_sub(10))
        };
        used = used.saturating_add(1);
        number = number.checked_div(BASE).unwrap_or(0);
        if number == 0 {
            break;
        }
    }
    let start = MOST.saturating_sub(used.max(width));
    let text = bytes
        .get(start..)
        .and_then(|bytes| std::str::from_utf8(bytes).ok());
    out.push_str(text.unwrap_or_default());
}

/// `1234`
pub(super) fn decimal(number: u64, out: &mut String) {
    push::<10>(number, 1, b'0', out);
}

/// `  12`
pub(super) fn right(number: u64, width: usize, out: &mut String) {
    push::<10>(number, width, b' ', out);
}

/// `0012`
pub(super) fn zeros(number: u64, width: usize, out: &mut String) {
    push::<10>(number, width, b'0', out);
}

/// `0x4d2`
pub(super) fn hex(number: u64, out: &mut String) {
    out.push_str("0x");
    push::<16>(number, 1, b'0', out);
}

/// `-22`
pub(super) fn signed(number: i64, out: &mut String) {
    if number < 0 {
        out.push('-');
    }
    decimal(number.unsigned_abs(), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_what_the_formatter_writes() {
        for number in [
            0,
            1,
            9,
            10,
            99,
            100,
            0x80,
            0x8000_0012,
            u64::MAX / 10,
            u64::MAX,
        ] {
            let mut out = String::new();
            decimal(number, &mut out);
            right(number, 5, &mut out);
            zeros(number, 9, &mut out);
            hex(number, &mut out);
            signed(number.cast_signed(), &mut out);
            let signed = number.cast_signed();
            assert_eq!(
                out,
                format!("{number}{number:>5}{number:09}{number:#x}{signed}")
            );
        }
        let mut out = String::new();
        signed(i64::MIN, &mut out);
        assert_eq!(out, i64::MIN.to_string());
    }
}
