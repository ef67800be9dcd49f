//! What came of a call, on its way into the record.

use hypercall_core::{Hazard, LayerRefusal, TransportError};

use crate::format::record::{MAX_TEXT, failure, kind};
use crate::ring::Record;

/// Puts the head of an exit part. The record's kind, and the texts of a failure.
pub(super) fn put_answer(
    record: &mut Record<'_, '_>,
    duration: u64,
    outcome: &Result<i64, TransportError>,
) -> (u8, [&'static str; 2]) {
    let (kind, answer, texts) = match outcome {
        Ok(rax) => (kind::RETURNED, rax.cast_unsigned(), ["", ""]),
        Err(error) => {
            let (answer, texts) = failure(error);
            (kind::FAILED, answer, texts)
        }
    };
    record.words([duration, answer]);
    (kind, texts)
}

#[cold]
pub(super) fn put_texts(record: &mut Record<'_, '_>, texts: [&str; 2]) {
    let mut bytes = [0; 2 * MAX_TEXT];
    let [first, second] = texts.map(str::as_bytes);
    crate::format::put(&mut bytes, 0, first);
    crate::format::put(&mut bytes, first.len(), second);
    let length = first.len().saturating_add(second.len());
    record.bytes(bytes.get(..length).unwrap_or_default());
}

/// A failure as the answer's bytes and two texts.
#[cold]
pub(super) fn failure(error: &TransportError) -> (u64, [&'static str; 2]) {
    let (code, detail, texts) = match *error {
        TransportError::Untranslatable { register, nested } => (
            failure::UNTRANSLATABLE,
            (register & 1) | (u8::from(nested) << 1),
            ["", ""],
        ),
        TransportError::Layer(LayerRefusal { layer, reason }) => {
            (failure::LAYER, 0, [layer, reason])
        }
        TransportError::Dead(Hazard::Crashed(why)) => (failure::CRASHED, 0, [why, ""]),
        TransportError::Dead(Hazard::Hung(why)) => (failure::HUNG, 0, [why, ""]),
        TransportError::Fault(vector) => (failure::FAULT, vector, ["", ""]),
        TransportError::Unsupported(why) => (failure::UNSUPPORTED, 0, [why, ""]),
        TransportError::Unexpected(why) => (failure::UNEXPECTED, 0, [why, ""]),
        TransportError::Lost(why) => (failure::LOST, 0, [why, ""]),
        _ => (
            failure::OTHER,
            0,
            ["a failure that this recorder does not know", ""],
        ),
    };
    let texts = texts.map(|text| {
        text.get(..text.floor_char_boundary(MAX_TEXT))
            .unwrap_or(text)
    });
    let [first, second] = texts.map(|text| u16::try_from(text.len()).unwrap_or(0).to_le_bytes());
    let answer = [code, detail, 0, 0, first[0], first[1], second[0], second[1]];
    (u64::from_le_bytes(answer), texts)
}
