//! What a description must keep to before anybody walks through the memory that it describes.
//!
//! A description comes from a file, and may say that four bytes are an array of four billion elements, each an array of as
//! many. Here it is made sure that the single values of a block lie in it side by side: then they are no more than its bytes.

use super::{Call, Kind, Link, LinkTarget, Register, ResultKind, Struct};
use crate::format::MAX_BLOCK;

/// Bytes of a register.
const REGISTER: usize = 8;

/// Takes out of a call's description what does not keep to the limits. Whether all of it does.
pub(super) fn keep(call: &mut Call) -> bool {
    let mut all = true;
    for register in &mut call.registers {
        if !is_sound(register) {
            *register = Register::Unused;
            all = false;
        }
    }
    let sound = match &call.result {
        ResultKind::Rax(kind) => fits(kind, REGISTER),
        ResultKind::Block(register) | ResultKind::Yielded(register) => *register < 2,
        ResultKind::Unit => true,
    };
    if !sound {
        call.result = ResultKind::Unit;
    }
    all && sound
}

fn is_sound(register: &Register) -> bool {
    match register {
        Register::Unused | Register::Bytes { .. } => true,
        Register::Value { kind, .. } => fits(kind, REGISTER),
        Register::Block {
            kind, size, link, ..
        } => {
            *size <= MAX_BLOCK
                && fits(kind, *size)
                && link.as_ref().is_none_or(|link| link_fits(link, *size))
        }
    }
}

fn link_fits(link: &Link, block: usize) -> bool {
    let inside = |offset: usize, size| offset.checked_add(size).is_some_and(|end| end <= block);
    inside(link.offset, 8)
        && match &link.target {
            LinkTarget::Shared => true,
            LinkTarget::Array {
                kind,
                size,
                count_offset,
                count_size,
                ..
            } => {
                *size != 0
                    && *size <= MAX_BLOCK
                    && fits(kind, *size)
                    && matches!(count_size, 1 | 2 | 4 | 8)
                    && inside(*count_offset, *count_size)
            }
        }
}

/// Whether a value of this kind fits into so many bytes, and its parts lie in it side by side.
fn fits(kind: &Kind, size: usize) -> bool {
    match kind {
        Kind::Struct(info) => info.size <= size && fields_fit(info),
        Kind::Array {
            element,
            size: each,
            length,
        } => {
            *each != 0
                && each.checked_mul(*length).is_some_and(|all| all <= size)
                && fits(element, *each)
        }
        Kind::Unsigned
        | Kind::Signed
        | Kind::Enum(_)
        | Kind::Flags(_)
        | Kind::Id(_)
        | Kind::Text => true,
    }
}

fn fields_fit(info: &Struct) -> bool {
    let mut free = 0;
    info.fields.iter().all(|field| {
        let end = field.offset.checked_add(field.size);
        let fits = field.offset >= free
            && field.size != 0
            && end.is_some_and(|end| end <= info.size)
            && fits(&field.kind, field.size);
        free = end.unwrap_or(usize::MAX);
        fits
    })
}
