//! Times and durations: how they are written, and how a user writes them.

use hypercall_trace::clock::ClockInfo;

use super::digits;

/// How the time of a line is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// Not at all.
    None,
    /// Seconds since the recording began.
    #[default]
    Relative,
    /// Seconds since the line before.
    Delta,
    /// Date and time, UTC. Seconds since the beginning where the trace does not know the date.
    Utc,
    /// As recorded.
    Ticks,
}

/// A moment that a user named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nanoseconds since the recording began.
    Relative(u64),
    /// Nanoseconds since 1970, UTC.
    Unix(i64),
}

impl Moment {
    /// Reads `1.5s`, `200ms`, `3us`, `4ns`, `2m`, a number of seconds, or a date such as `2026-03-01T12:00:00Z`.
    ///
    /// # Errors
    /// Why it is none of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(nanoseconds) = nanoseconds(text) {
            return Ok(Self::Relative(nanoseconds));
        }
        let moment: jiff::Timestamp = text.parse().map_err(|_| {
            format!("`{text}` is no time: write 1.5s, 200ms, or 2026-03-01T12:00:00Z")
        })?;
        i64::try_from(moment.as_nanosecond())
            .map(Self::Unix)
            .map_err(|_| format!("`{text}` is too far away"))
    }

    /// Whether a moment of a recording is not before this one. A recording that does not know the date has nothing after one.
    #[must_use]
    pub fn reached(self, clock: &ClockInfo, ticks: u64) -> bool {
        match self {
            Self::Relative(moment) => since_start(clock, ticks).is_some_and(|now| now >= moment),
            Self::Unix(moment) => clock
                .unix_nanoseconds(ticks)
                .is_some_and(|now| now >= moment),
        }
    }
}

/// Nanoseconds since the recording's first clock point.
#[must_use]
pub(super) fn since_start(clock: &ClockInfo, ticks: u64) -> Option<u64> {
    clock.nanoseconds(ticks.saturating_sub(clock.first.ticks))
}

/// Reads a duration: `1.5s`, `200ms`, `3us`, `3µs`, `4ns`, `2m`, `1h`; a bare number is seconds. In nanoseconds.
///
/// # Errors
/// What is wrong with it.
pub fn nanoseconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no duration: write 1.5s, 200ms, 3us or 4ns");
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let scale: u64 = match unit.trim() {
        "" | "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" | "µs" | "μs" => 1_000,
        "ns" => 1,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(wrong()),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() {
        return Err(wrong());
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| wrong())?
    };
    let mut total = whole.checked_mul(scale).ok_or_else(wrong)?;
    let mut place = scale;
    for digit in part.chars() {
        place /= 10;
        let digit = digit.to_digit(10).ok_or_else(wrong)?;
        total = total
            .checked_add(u64::from(digit).saturating_mul(place))
            .ok_or_else(wrong)?;
    }
    Ok(total)
}

/// A duration with three digits that count: `812ns`, `1.25µs`, `17.0ms`, `2.50s`.
pub fn duration(nanoseconds: u64, out: &mut String) {
    // Thousandths of a unit: whole units and three digits behind the point.
    let (thousandths, unit) = match nanoseconds {
        0..1_000 => {
            digits::decimal(nanoseconds, out);
            out.push_str("ns");
            return;
        }
        1_000..1_000_000 => (nanoseconds, "µs"),
        1_000_000..1_000_000_000 => (nanoseconds / 1_000, "ms"),
        _ => (nanoseconds / 1_000_000, "s"),
    };
    let (whole, rest) = (thousandths / 1000, thousandths % 1000);
    digits::decimal(whole, out);
    match whole {
        0..10 => {
            out.push('.');
            digits::zeros(rest / 10, 2, out);
        }
        10..100 => {
            out.push('.');
            digits::decimal(rest / 100, out);
        }
        _ => {}
    }
    out.push_str(unit);
}

/// Seconds with nine digits behind the point.
pub(super) fn seconds(nanoseconds: u64, out: &mut String) {
    if nanoseconds >= 100_000_000_000_000 {
        digits::right(nanoseconds / 1_000_000_000, 5, out);
        out.push('.');
        digits::zeros(nanoseconds % 1_000_000_000, 9, out);
        return;
    }
    // Every line has it, so it is put there at once.
    let mut bytes = *b"    0.000000000";
    let mut rest = nanoseconds;
    for (place, byte) in bytes.iter_mut().enumerate().rev() {
        if place == POINT {
            continue;
        }
        let digit = u8::try_from(rest % 10).unwrap_or(0);
        *byte = b'0'.saturating_add(digit);
        rest /= 10;
        if rest == 0 && place < POINT {
            break;
        }
    }
    out.push_str(std::str::from_utf8(&bytes).unwrap_or_default());
}

/// Where the point is in seconds of five places.
const POINT: usize = 5;

/// A moment as date and time, UTC. `None` outside the years that have one.
#[must_use]
pub fn utc(unix_nanoseconds: i64) -> Option<String> {
    let moment = jiff::Timestamp::from_nanosecond(i128::from(unix_nanoseconds)).ok()?;
    Some(format!("{moment:.9}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, expected) in [
            ("1.5s", 1_500_000_000),
            ("2", 2_000_000_000),
            (".25ms", 250_000),
            ("3us", 3_000),
            ("3µs", 3_000),
            ("4ns", 4),
            ("1h", 3_600_000_000_000),
        ] {
            assert_eq!(nanoseconds(text), Ok(expected), "{text}");
        }
        for wrong in ["", ".", "x", "1x", "1.2.3s", "-1s", "99999999999999999999s"] {
            assert!(nanoseconds(wrong).is_err(), "{wrong}");
        }
        let shown = |value| {
            let mut out = String::new();
            duration(value, &mut out);
            out
        };
        assert_eq!(shown(999), "999ns");
        assert_eq!(shown(1_250), "1.25µs");
        assert_eq!(shown(17_000_000), "17.0ms");
        assert_eq!(shown(123_456_789_000), "123s");
    }

    #[test]
    fn seconds_have_five_places_or_more() {
        for nanoseconds in [
            0,
            1,
            999_999_999,
            1_000_000_000,
            12_345_678_901_234,
            99_999_999_999_999,
            100_000_000_000_000,
            u64::MAX,
        ] {
            let mut out = String::new();
            seconds(nanoseconds, &mut out);
            let (whole, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
            assert_eq!(out, format!("{whole:>5}.{rest:09}"));
        }
    }

    #[test]
    fn moments_are_relative_or_dates() {
        assert_eq!(Moment::parse("200ms"), Ok(Moment::Relative(200_000_000)));
        assert_eq!(
            Moment::parse("1970-01-01T00:00:01Z"),
            Ok(Moment::Unix(1_000_000_000))
        );
        assert!(Moment::parse("yesterday").is_err());
        assert_eq!(
            utc(1_000_000_001).as_deref(),
            Some("1970-01-01T00:00:01.000000001Z")
        );
    }
}
