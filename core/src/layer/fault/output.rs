//! Places in the memory that a call writes.

use winnow::Parser;
use winnow::combinator::alt;

use super::token::{Input, Parsed, number, stop, word};
use super::{Calls, Problem};
use crate::call::{CallInfo, Direction, InterfaceInfo, LinkInfo, LinkTarget, RegisterInfo};
use crate::schema::Kind;

/// A byte and how many bytes there are of the thing that starts with it: 1, or a field's size.
pub(super) fn place(
    input: &mut Input<'_>,
    interface: &'static InterfaceInfo,
    calls: Calls,
) -> Parsed<(usize, usize)> {
    enum Given<'t> {
        Number(u64),
        Field(&'t str),
    }
    let (given, span) = alt((number.map(Given::Number), word.map(Given::Field)))
        .context("the number of a byte, or a field's name")
        .with_span()
        .parse_next(input)?;
    match given {
        Given::Number(number) => usize::try_from(number)
            .map(|place| (place, 1))
            .map_err(|_| {
                stop(
                    span.start,
                    Problem::TooLarge(u64::try_from(usize::MAX).unwrap_or(u64::MAX)),
                )
            }),
        Given::Field(name) => {
            field(interface, calls, name).map_err(|problem| stop(span.start, problem))
        }
    }
}

fn field(
    interface: &'static InterfaceInfo,
    calls: Calls,
    name: &str,
) -> Result<(usize, usize), Problem> {
    let call = only(interface, calls).ok_or(Problem::UnknownField)?;
    let output = output(call).ok_or(Problem::NoOutput)?;
    match output.kind {
        Some(Kind::Struct(info)) => info.field(name).map(|field| (field.offset, field.size)),
        _ => None,
    }
    .ok_or(Problem::UnknownField)
}

/// Whether the bytes can be in the output, as far as that is known before a call is made.
pub(super) fn inside(
    interface: &'static InterfaceInfo,
    calls: Calls,
    place: usize,
    length: usize,
) -> Result<(), Problem> {
    let Some(call) = only(interface, calls) else {
        return Ok(());
    };
    match output(call).ok_or(Problem::NoOutput)?.size {
        Some(size) if place.checked_add(length).is_none_or(|end| end > size) => {
            Err(Problem::BeyondOutput(size))
        }
        _ => Ok(()),
    }
}

/// The call that a fault is about, where it is about one.
fn only(interface: &'static InterfaceInfo, calls: Calls) -> Option<&'static CallInfo> {
    let mut among = interface.calls.iter().filter(|call| calls.contain(call));
    among.next().copied().filter(|_| among.next().is_none())
}

/// The memory that a call writes.
struct Output {
    /// What the whole of it is, where it is one thing.
    kind: Option<Kind>,
    /// Bytes, where every call has as many.
    size: Option<usize>,
}

/// Follows [`Arg::output`](crate::arg::Arg::output): the first register that has any.
fn output(call: &CallInfo) -> Option<Output> {
    call.registers.iter().find_map(|register| match register {
        RegisterInfo::Block {
            direction: Direction::Write | Direction::ReadWrite,
            kind,
            size,
            link: None,
            ..
        } => Some(Output {
            kind: Some(*kind),
            size: Some(*size),
        }),
        RegisterInfo::Block {
            link:
                Some(LinkInfo {
                    target:
                        LinkTarget::Array {
                            direction: Direction::Write | Direction::ReadWrite,
                            ..
                        },
                    ..
                }),
            ..
        }
        | RegisterInfo::Bytes {
            direction: Direction::Write | Direction::ReadWrite,
            ..
        } => Some(Output {
            kind: None,
            size: None,
        }),
        _ => None,
    })
}
