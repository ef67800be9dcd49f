//! Entries as records. What a record cannot say is refused.

use std::vec::Vec;

use crate::entry::{
    After, Argument, Block, Call, Failure, Lost, Outcome, PageChange, Place, Target, When,
};
use crate::format::record::{
    CALL_HEAD, MAX_WORDS, PAGE, PAGES_LATE, PAGES_MANY_LOOKS, checks, failure, kind, padded, shape,
    word,
};
use crate::format::{MAX_BLOCK, put};
use crate::read::split;
use crate::wire::Put as _;
use hypercall_core::call::Direction;

/// Pads to whole words.
fn pad(bytes: &mut Vec<u8>) {
    let length = padded(bytes.len());
    bytes.resize(length, 0);
}

fn put_padded(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    pad(out);
}

/// A record of an unknown kind as it is, where it is one.
pub(super) fn whole(bytes: &[u8]) -> Option<Vec<u8>> {
    let (record, rest) = split(bytes)?;
    (rest.is_empty() && checks(record)).then(|| record.to_vec())
}

/// Fills in the first word.
fn seal(mut record: Vec<u8>, kind: u8) -> Option<Vec<u8>> {
    let words = record.len() / 8;
    if words > MAX_WORDS || record.len() > MAX_BLOCK {
        return None;
    }
    let (_, first) = word(0, record.get(8..)?, words, kind);
    put(&mut record, 0, &first.to_le_bytes());
    Some(record)
}

/// Whether the parts of a call go together: what is not in a record must not be lost in silence.
fn is_sound(call: &Call) -> bool {
    let finished = call.duration.is_some();
    finished != matches!(call.outcome, Outcome::Unfinished)
        && !matches!(&call.outcome, Outcome::Failed(Failure::Untranslatable { register, .. }) if *register > 1)
        && call.blocks().all(|(place, block)| {
            let before = match block.direction {
                Direction::Write if block.before.is_empty() => true,
                Direction::Write => false,
                Direction::Read | Direction::ReadWrite => block.before.len() == block.length,
            };
            let after = match &block.after {
                After::Unfinished => !finished,
                After::Unchanged => finished,
                After::Changed(bytes) => {
                    finished && bytes.len() == block.length && block.direction != Direction::Read
                }
            };
            let nested = matches!(place, Place::RdiNested | Place::RsiNested);
            before && after && !(nested && block.link.is_some())
        })
}

/// A call's record. `None` when it is too large for one, or none.
pub(super) fn encode_call(call: &Call, id: u16) -> Option<Vec<u8>> {
    if !is_sound(call) {
        return None;
    }
    let mut record = vec![0; CALL_HEAD];
    put(&mut record, 8, &call.enter.to_le_bytes());
    put(&mut record, 32, &call.number.to_le_bytes());
    put(&mut record, 40, &id.to_le_bytes());
    let mut written = false;
    for (register, argument) in call.args.iter().enumerate() {
        let (shape, slot) = encode_argument(argument, &mut record)?;
        written |= shape::written(shape);
        put(
            &mut record,
            16_usize.checked_add(register.checked_mul(8)?)?,
            &slot.to_le_bytes(),
        );
        put(&mut record, 42_usize.checked_add(register)?, &[shape]);
    }
    let enter_words = u32::try_from(record.len() / 8).ok()?;
    put(&mut record, 44, &enter_words.to_le_bytes());
    let Some(duration) = call.duration else {
        return seal(record, kind::ENTERED);
    };
    record.u64(duration);
    let mut texts: [&str; 2] = [""; 2];
    let outcome = match &call.outcome {
        Outcome::Unfinished => return seal(record, kind::ENTERED),
        Outcome::Returned(rax) => {
            record.i64(*rax);
            kind::RETURNED
        }
        Outcome::Failed(failed) => {
            let (code, detail, both) = encode_failure(failed);
            texts = both.map(cut);
            let [first, second] =
                texts.map(|text| u16::try_from(text.len()).unwrap_or(0).to_le_bytes());
            record.bytes(&[code, detail, 0, 0, first[0], first[1], second[0], second[1]]);
            kind::FAILED
        }
    };
    if written {
        let mut bits = 0;
        let at = record.len();
        record.u64(0);
        for (place, block) in call.blocks() {
            if let After::Changed(bytes) = &block.after {
                bits |= 1_u64 << (place as u32);
                put_padded(&mut record, bytes);
            }
        }
        put(&mut record, at, &bits.to_le_bytes());
    }
    record.bytes(texts[0].as_bytes());
    record.bytes(texts[1].as_bytes());
    pad(&mut record);
    seal(record, outcome)
}

/// As much of a text as a record takes. A recorder writes less ([`MAX_TEXT`](crate::format::record::MAX_TEXT)), but what was
/// read is written again.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(usize::from(u16::MAX)))
        .unwrap_or(text)
}

fn low(length: usize) -> Option<u64> {
    if length > MAX_BLOCK {
        None
    } else {
        u64::try_from(length).ok()
    }
}

/// Writes what an argument has in the enter part: its shape and its slot.
fn encode_argument(argument: &Argument, record: &mut Vec<u8>) -> Option<(u8, u64)> {
    let block = match argument {
        Argument::Unused => return Some((shape::NONE, 0)),
        Argument::Value(value) => return Some((shape::VALUE, *value)),
        Argument::Block(block) => block,
    };
    let Some(link) = &block.link else {
        return encode_block(block, record);
    };
    if block.direction != Direction::Read {
        return None;
    }
    let (_, slot) = encode_block(block, record)?;
    let slot = slot | (low(link.offset)? << 32);
    Some(match &link.target {
        Target::Block(nested) => {
            let at = record.len();
            record.u64(0);
            let (shape, length) = encode_block(nested, record)?;
            put(record, at, &length.to_le_bytes());
            match shape {
                shape::READ => (shape::LINKED_READ, slot),
                shape::READ_WRITE => (shape::LINKED_READ_WRITE, slot),
                _ => return None,
            }
        }
        Target::Pages { count, page } => {
            let page = page.map_or(Some(0), |page| page.checked_add(1))?;
            record.u64(u64::from(*count) | (u64::from(page) << 32));
            (shape::LINKED_PAGES, slot)
        }
        Target::Address(address) => {
            record.u64(*address);
            (shape::LINKED_ADDRESS, slot)
        }
    })
}

fn encode_block(block: &Block, record: &mut Vec<u8>) -> Option<(u8, u64)> {
    let shape = match block.direction {
        Direction::Read => shape::READ,
        Direction::Write => shape::WRITE,
        Direction::ReadWrite => shape::READ_WRITE,
    };
    if block.direction != Direction::Write {
        put_padded(record, &block.before_bytes());
    }
    Some((shape, low(block.length)?))
}

fn encode_failure(failed: &Failure) -> (u8, u8, [&str; 2]) {
    match failed {
        Failure::Untranslatable { register, nested } => (
            failure::UNTRANSLATABLE,
            (register & 1) | (u8::from(*nested) << 1),
            ["", ""],
        ),
        Failure::Layer { layer, reason } => (failure::LAYER, 0, [layer, reason]),
        Failure::Crashed(why) => (failure::CRASHED, 0, [why, ""]),
        Failure::Hung(why) => (failure::HUNG, 0, [why, ""]),
        Failure::Fault(vector) => (failure::FAULT, *vector, ["", ""]),
        Failure::Unsupported(why) => (failure::UNSUPPORTED, 0, [why, ""]),
        Failure::Unexpected(why) => (failure::UNEXPECTED, 0, [why, ""]),
        Failure::Lost(why) => (failure::LOST, 0, [why, ""]),
        Failure::Other {
            code,
            detail,
            text,
            more,
        } => (*code, *detail, [text, more]),
    }
}

pub(super) fn encode_lost(lost: &Lost) -> Vec<u8> {
    let mut record = Vec::new();
    record.u64(0);
    record.u64(lost.first);
    record.u64(lost.last);
    record.u64(lost.count);
    record.u64(u64::from(lost.cause.code()));
    seal(record, kind::LOST).unwrap_or_default()
}

pub(super) fn encode_pages(pages: &PageChange) -> Option<Vec<u8>> {
    let mut record = Vec::new();
    record.u64(0);
    record.u64(pages.ticks);
    record.bytes(&pages.page.to_le_bytes());
    let point = match pages.when {
        When::Enter => 0,
        When::Exit => 1,
        When::Note => 2,
    };
    record.u8(point | if pages.late { PAGES_LATE } else { 0 });
    let look = u8::try_from(pages.look).unwrap_or(PAGES_MANY_LOOKS);
    record.u8(look);
    record.bytes(&u16::try_from(pages.runs.len()).ok()?.to_le_bytes());
    if look == PAGES_MANY_LOOKS {
        record.u64(pages.look);
    }
    for run in &pages.runs {
        let end = usize::try_from(run.offset)
            .ok()?
            .checked_add(run.after.len())?;
        if run.before.len() != run.after.len() || end > PAGE {
            return None;
        }
        record.bytes(&run.offset.to_le_bytes());
        record.u32(run.after.len());
        put_padded(&mut record, &run.before);
        put_padded(&mut record, &run.after);
    }
    seal(record, kind::PAGES)
}
