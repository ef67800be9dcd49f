//! Single values of recorded calls by name, without a list of all.

use crate::entry::{Argument, Call, Place};
use crate::replay::leaf::unsigned;
use crate::schema::{Kind, LinkTarget, Register, Struct};

/// The value in a register.
pub(crate) fn value(call: &Call, register: usize) -> Option<u64> {
    match call.args.get(register)? {
        Argument::Value(value) => Some(*value),
        _ => None,
    }
}

/// The layout of the block of a register, or of an element of the array that it points at.
fn layout(call: &Call, place: Place) -> Option<&Struct> {
    let number = usize::from(matches!(place, Place::Rsi | Place::RsiNested));
    let Register::Block { kind, link, .. } = call.schema.as_deref()?.registers.get(number)? else {
        return None;
    };
    let kind = match (place, link) {
        (Place::Rdi | Place::Rsi, _) => kind,
        (_, Some(link)) => match &link.target {
            LinkTarget::Array { kind, .. } => kind,
            LinkTarget::Shared => return None,
        },
        _ => return None,
    };
    match kind {
        Kind::Struct(layout) => Some(layout),
        _ => None,
    }
}

fn part<'b>(layout: &Struct, bytes: &'b [u8], field: &str) -> Option<&'b [u8]> {
    let field = layout.field(field)?;
    bytes.get(field.offset..field.offset.checked_add(field.size)?)
}

/// A field of a block as it went in.
pub(crate) fn before(call: &Call, place: Place, field: &str) -> Option<u64> {
    part(
        layout(call, place)?,
        &call.block(place)?.before_bytes(),
        field,
    )
    .map(unsigned)
}

/// A field of a block as it came out.
pub(crate) fn after(call: &Call, place: Place, field: &str) -> Option<u64> {
    part(
        layout(call, place)?,
        &call.block(place)?.after_bytes()?,
        field,
    )
    .map(unsigned)
}

/// A field that holds text, up to its first NUL.
pub(crate) fn text(call: &Call, place: Place, field: &str) -> Option<String> {
    let bytes = call.block(place)?.before_bytes();
    let part = part(layout(call, place)?, &bytes, field)?;
    let end = part
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(part.len());
    Some(part.get(..end)?.escape_ascii().to_string())
}

/// Calls a function with a reader of fields for each element of the array in a register's block.
pub(crate) fn elements(call: &Call, register: usize, mut each: impl FnMut(&dyn Fn(&str) -> u64)) {
    let place = crate::replay::leaf::place_of(register, true);
    let (Some(layout), Some(block)) = (layout(call, place), call.block(place)) else {
        return;
    };
    for element in block.before_bytes().chunks_exact(layout.size.max(1)) {
        each(&|field| part(layout, element, field).map_or(0, unsigned));
    }
}

/// Calls a function with a reader of fields for each element of an array field that holds structs.
pub(crate) fn array_field(
    call: &Call,
    place: Place,
    field: &str,
    mut each: impl FnMut(&dyn Fn(&str) -> u64),
) {
    let Some(outer) = layout(call, place) else {
        return;
    };
    let Some(Kind::Array { element, size, .. }) = outer.field(field).map(|field| &field.kind)
    else {
        return;
    };
    let (Kind::Struct(inner), Some(block)) = (&**element, call.block(place)) else {
        return;
    };
    let bytes = block.before_bytes();
    let Some(bytes) = part(outer, &bytes, field) else {
        return;
    };
    for element in bytes.chunks_exact((*size).max(1)) {
        each(&|field| part(inner, element, field).map_or(0, unsigned));
    }
}
