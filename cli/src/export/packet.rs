//! An entry as the bytes of a packet, for captures. The dissector reads exactly this; all numbers are little-endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 2 | `HC` |
//! | 2 | 1 | version, 2 |
//! | 3 | 1 | 0 call, 1 lost, 2 change of a page, 3 damaged, 4 unknown |
//! | 4 | 4 | lane |
//! | 8 | 8 | index of the call in its lane |
//!
//! A call goes on:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 16 | 8 | the hypercall's number |
//! | 24 | 2 | its place in the schema, 0xffff: none |
//! | 26 | 1 | 0 returned, 1 no answer, 2 never returned |
//! | 27 | 1 | 0 |
//! | 28 | 4 | bytes of the reason why there is no answer |
//! | 32 | 8 | RAX |
//! | 40 | 8 | duration in nanoseconds, all ones: not known |
//! | 48 | | the reason, then parts to the end: place (0 RDI, 1 RSI, 2 what RDI's block points at, 3 RSI's), what (0 value, 1 before, 2 after, 3 pages, 4 address), two zeros, 4 bytes of length, the bytes |
//!
//! Lost: count (8; all ones: not known), then the cause as text. A page's change: page (4), point (1: 0 enter, 1 exit, 2 note), whether it is late
//! (1: a look before saw it, and there was no room for it), two zeros, which look found it (8; 0: a call's, or that of the
//! change before), then for each run offset (4), length (4), the new bytes. Damaged: offset (8), length (8), then the reason as text. Unknown: the
//! record's bytes.

use hypercall_trace::entry::{Argument, Block, Call, Entry, Outcome, Target, When};
use hypercall_trace::schema::Schema;

use crate::format::{Context, UNKNOWN_NUMBER};

/// The call's place in the schema where it has none.
const NO_ID: u16 = u16::MAX;

/// The packet of an entry.
pub(super) fn packet(entry: &Entry, schema: &Schema, context: &Context) -> Vec<u8> {
    let (kind, index) = match entry {
        Entry::Call(call) => (0, call.index),
        Entry::Lost(lost) => (1, lost.index),
        Entry::Pages(change) => (2, change.index),
        Entry::Damaged(_) => (3, 0),
        Entry::Unknown(_) => (4, 0),
    };
    let mut out = vec![b'H', b'C', 2, kind];
    out.extend(entry.lane().unwrap_or(u32::MAX).to_le_bytes());
    out.extend(index.to_le_bytes());
    match entry {
        Entry::Call(call) => put_call(call, schema, context, &mut out),
        Entry::Lost(lost) => {
            out.extend(lost.how_many().unwrap_or(u64::MAX).to_le_bytes());
            out.extend(lost.cause.to_string().as_bytes());
        }
        Entry::Pages(change) => {
            out.extend(change.page.to_le_bytes());
            let when = match change.when {
                When::Enter => 0,
                When::Exit => 1,
                When::Note => 2,
            };
            out.extend([when, u8::from(change.late), 0, 0]);
            out.extend(change.look.to_le_bytes());
            for run in &change.runs {
                out.extend(run.offset.to_le_bytes());
                put_bytes(&run.after, &mut out);
            }
        }
        Entry::Damaged(damaged) => {
            out.extend(damaged.offset.to_le_bytes());
            out.extend(damaged.length.to_le_bytes());
            out.extend(damaged.defect.to_string().as_bytes());
            if damaged.is_unknown() {
                out.extend(format!("; {UNKNOWN_NUMBER}").as_bytes());
            }
        }
        Entry::Unknown(unknown) => out.extend(&unknown.bytes),
    }
    out
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(bytes);
}

fn put_call(call: &Call, schema: &Schema, context: &Context, out: &mut Vec<u8>) {
    let id = call
        .schema
        .as_ref()
        .and_then(|call| schema.id_of(&call.interface, &call.name));
    let (outcome, rax, reason) = match &call.outcome {
        Outcome::Returned(rax) => (0, *rax, String::new()),
        Outcome::Failed(failure) => (1, 0, failure.to_string()),
        Outcome::Unfinished => (2, 0, String::new()),
    };
    let duration = call.duration.and_then(|ticks| context.nanoseconds(ticks));
    out.extend(call.number.to_le_bytes());
    out.extend(id.unwrap_or(NO_ID).to_le_bytes());
    out.extend([outcome, 0]);
    out.extend(u32::try_from(reason.len()).unwrap_or(0).to_le_bytes());
    out.extend(rax.to_le_bytes());
    out.extend(duration.unwrap_or(u64::MAX).to_le_bytes());
    out.extend(reason.as_bytes());
    for (register, argument) in (0_u8..).zip(&call.args) {
        match argument {
            Argument::Unused => {}
            Argument::Value(value) => put_part(register, 0, &value.to_le_bytes(), out),
            Argument::Block(block) => {
                put_block(register, block, out);
                let nested = register.saturating_add(2);
                match block.link.as_ref().map(|link| &link.target) {
                    Some(Target::Block(inner)) => put_block(nested, inner, out),
                    Some(Target::Pages { count, page }) => {
                        let mut bytes = count.to_le_bytes().to_vec();
                        bytes.extend(page.unwrap_or(u32::MAX).to_le_bytes());
                        put_part(nested, 3, &bytes, out);
                    }
                    Some(Target::Address(address)) => {
                        put_part(nested, 4, &address.to_le_bytes(), out);
                    }
                    None => {}
                }
            }
        }
    }
}

fn put_block(place: u8, block: &Block, out: &mut Vec<u8>) {
    if block.direction != hypercall_core::call::Direction::Write {
        put_part(place, 1, &block.before_bytes(), out);
    }
    if let hypercall_trace::entry::After::Changed(after) = &block.after {
        put_part(place, 2, after, out);
    }
}

fn put_part(place: u8, what: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.extend([place, what, 0, 0]);
    put_bytes(bytes, out);
}
