//! The steps of the generated clients. Not an interface for people.
//!
//! They are written so that, over a transport that is known at compile time, a call folds to what a hand-written one
//! would be: the arguments in place, the instruction, one test of RAX, and everything else out of line.

use crate::call::CallInfo;
use crate::error::Error;
use crate::payload::Yields;
use crate::transport::TransportError;
use crate::value::Value;

type Outcome = Result<i64, TransportError>;

/// RAX must be 0.
#[inline]
pub fn unit(call: &'static CallInfo, args: [u64; 2], outcome: Outcome) -> Result<(), Error> {
    match outcome {
        Ok(0) => Ok(()),
        other => Err(Error::from_outcome(call, args, other)),
    }
}

/// RAX must be 0; the result is in a block.
#[inline]
pub fn yielded<R, P: Yields<R>>(
    call: &'static CallInfo,
    args: [u64; 2],
    outcome: Outcome,
    payload: &P,
) -> Result<R, Error> {
    unit(call, args, outcome)?;
    payload
        .yielded()
        .map_err(|rejection| Error::rejected(call, args, rejection))
}

/// RAX must not be negative; it is the result. What the type cannot hold makes no sense.
#[inline]
pub fn rax<R: Value>(call: &'static CallInfo, args: [u64; 2], outcome: Outcome) -> Result<R, Error> {
    if let Ok(rax @ 0..) = outcome {
        let value = R::from_register(rax.cast_unsigned());
        if value.to_register() == rax.cast_unsigned() {
            return Ok(value);
        }
    }
    Err(Error::from_outcome(call, args, outcome))
}

/// The number of an array's elements, as wide as the header's field.
#[inline]
pub fn count<C: TryFrom<usize>>(
    call: &'static CallInfo,
    args: [u64; 2],
    length: usize,
) -> Result<C, Error> {
    C::try_from(length).map_err(|_| {
        Error::invalid(
            call,
            args,
            "the array has more elements than its header can count; split it",
        )
    })
}
