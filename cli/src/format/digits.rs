//! Integers as text, straight into a string: most of what a line is made of, so it does without the formatter.

/// `1234`
pub(super) fn decimal(number: u64, out: &mut String) {
    out.push_str(itoa::Buffer::new().format(number));
}

fn filled(number: u64, width: usize, fill: &'static str, out: &mut String) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number);
    let missing = width.saturating_sub(digits.len());
    out.push_str(fill.get(..missing).unwrap_or(fill));
    out.push_str(digits);
}

/// `  12`, in up to 20 places.
pub(super) fn right(number: u64, width: usize, out: &mut String) {
    filled(number, width, "                    ", out);
}

/// `0012`, in up to 20 places.
pub(super) fn zeros(number: u64, width: usize, out: &mut String) {
    filled(number, width, "00000000000000000000", out);
}

/// `0x4d2`
pub(super) fn hex(number: u64, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut bytes = *b"0x0000000000000000";
    let places = 16_u32.saturating_sub(number.leading_zeros() / 4).max(1);
    let mut rest = number;
    let end = usize::try_from(places).unwrap_or(16).saturating_add(2);
    for byte in bytes.iter_mut().take(end).skip(2).rev() {
        let digit = usize::try_from(rest & 15).unwrap_or(0);
        *byte = DIGITS.get(digit).copied().unwrap_or(b'?');
        rest >>= 4;
    }
    let text = bytes.get(..end).map(std::str::from_utf8);
    out.push_str(text.and_then(Result::ok).unwrap_or_default());
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
