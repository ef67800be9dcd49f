//! Numbers with what they count, as reports say them.

/// `1 call`, `2 calls`.
pub(crate) fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

/// `1 call is`, `2 calls are`.
pub(crate) fn are(number: u64, what: &str) -> String {
    let verb = if number == 1 { "is" } else { "are" };
    format!("{} {verb}", count(number, what))
}

/// `1 call is`, `2 calls are`, `an unknown number of calls is`.
pub(crate) fn calls_are(number: Option<u64>) -> String {
    number.map_or_else(
        || "an unknown number of calls is".to_owned(),
        |number| are(number, "call"),
    )
}

/// `1 call was`, `2 calls were`.
pub(crate) fn were(number: u64, what: &str) -> String {
    let verb = if number == 1 { "was" } else { "were" };
    format!("{} {verb}", count(number, what))
}

/// That a trace does not have the recording that was asked for.
pub(crate) fn no_recording(asked: u32, recordings: u32) -> String {
    let there = count(u64::from(recordings), "recording");
    format!("the trace has no recording {asked}: it has {there}, counted from 0")
}
