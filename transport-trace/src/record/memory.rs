//! The memory of a call, on its way into the record: as it is, or with its secrets replaced.

use hypercall_core::SharedRef;
use hypercall_core::arg::{Arg, Linked, Target};
use hypercall_core::call::{CallInfo, RegisterInfo};
use hypercall_core::schema::Kind;

use super::argument::{kinds, needs};
use super::pages::{self, Watched};
use super::redact::Redaction;
use crate::format::record::padded;
use crate::ring::Record;

/// Puts the memory of an argument.
pub(super) fn put(
    record: &mut Record<'_, '_>,
    bytes: &[u8],
    register: &RegisterInfo,
    hide: Option<&Redaction>,
) {
    match hide {
        None => record.bytes(bytes),
        Some(redaction) => {
            let kind = kinds(register).0;
            put_hidden(record, bytes, kind.map(|kind| (kind, None)), redaction);
        }
    }
}

/// Puts memory with its secrets replaced. A size says that it is an array of elements of that size.
#[cold]
pub(super) fn put_hidden(
    record: &mut Record<'_, '_>,
    bytes: &[u8],
    kind: Option<(&Kind, Option<usize>)>,
    redaction: &Redaction,
) {
    // A secret does not touch the ring, not even for a moment.
    let to = put_zeros(record, bytes.len());
    let mut place = |at: usize, part: &[u8]| record.overwrite(to.saturating_add(at), part);
    match kind {
        Some((kind, Some(size))) => redaction.copy_array(kind, size, bytes, 0, &mut place),
        Some((kind, None)) => redaction.copy(kind, bytes, 0, &mut place),
        None => place(0, bytes),
    }
}

/// Puts zeros, to be overwritten. Where they are.
pub(super) fn put_zeros(record: &mut Record<'_, '_>, length: usize) -> usize {
    let at = record.at();
    for _ in 0..padded(length) / 8 {
        record.word(0);
    }
    at
}

/// Puts the nested memory of an argument.
pub(super) fn put_nested(
    record: &mut Record<'_, '_>,
    bytes: &[u8],
    register: &RegisterInfo,
    hide: Option<&Redaction>,
) {
    match hide {
        None => record.bytes(bytes),
        Some(redaction) => {
            let element = kinds(register).1.map(|(kind, size)| (kind, Some(size)));
            put_hidden(record, bytes, element, redaction);
        }
    }
}

pub(super) fn put_linked(
    record: &mut Record<'_, '_>,
    linked: &Linked<'_>,
    register: &RegisterInfo,
    hide: Option<&Redaction>,
    watched: &[Watched],
) {
    let header = record.at();
    if hide.is_some() {
        put(record, linked.header, register, hide);
    } else {
        put_zeros(record, linked.header.len());
        record.overwrite(header, linked.header);
    }
    // Whoever called this before may have left an address there.
    record.overwrite(header.saturating_add(linked.offset), &[0; 8]);
    match &linked.target {
        Target::Read(bytes) => {
            record.word(bytes.len() as u64);
            put_nested(record, bytes, register, hide);
        }
        Target::ReadWrite(bytes) => {
            record.word(bytes.len() as u64);
            put_nested(record, bytes, register, hide);
        }
        Target::Shared(SharedRef::Address(gpa)) => record.word(gpa.0),
        Target::Shared(SharedRef::Pages(shared)) => {
            let number = shared
                .first()
                .and_then(|page| pages::number_of(watched, page))
                .map_or(0, |number| number.saturating_add(1));
            let count = u32::try_from(shared.len()).unwrap_or(u32::MAX);
            record.word(u64::from(count) | (u64::from(number) << 32));
        }
    }
}

/// Puts which memory was written, and that memory, into a record whose memory before the call is at `before` of its block.
pub(super) fn put_written(
    record: &mut Record<'_, '_>,
    mut before: usize,
    secret: bool,
    info: &'static CallInfo,
    args: &[Arg<'_>; 2],
    redaction: &Redaction,
) {
    let hide = secret.then_some(redaction);
    let mut changed = [false; 2];
    for (argument, changed) in args.iter().zip(&mut changed) {
        *changed = match argument {
            Arg::Write(bytes) => bytes.iter().any(|byte| *byte != 0),
            Arg::ReadWrite(bytes) => hide.is_some() || !record.holds(before, bytes),
            Arg::Linked(Linked {
                header,
                target: Target::ReadWrite(bytes),
                ..
            }) => {
                let nested = before
                    .saturating_add(padded(header.len()))
                    .saturating_add(8);
                hide.is_some() || !record.holds(nested, bytes)
            }
            _ => false,
        };
        before = before.saturating_add(needs(argument).enter);
    }
    let bit = |argument: &Arg<'_>, changed: bool, first: u64| match argument {
        _ if !changed => 0,
        Arg::Linked(_) => first << 1,
        _ => first,
    };
    let [first, second] = args;
    record.word(bit(first, changed[0], 1) | bit(second, changed[1], 4));
    for ((argument, register), changed) in args.iter().zip(&info.registers).zip(changed) {
        match argument {
            Arg::Write(bytes) | Arg::ReadWrite(bytes) if changed => {
                put(record, bytes, register, hide);
            }
            Arg::Linked(Linked {
                target: Target::ReadWrite(bytes),
                ..
            }) if changed => {
                put_nested(record, bytes, register, hide);
            }
            _ => {}
        }
    }
}
