//! The steps of the generated clients. Not an interface for people.
//!
//! They are written so that, over a transport that is known at compile time, a call folds to what a hand-written one
//! would be: the arguments in place, the instruction, one test of RAX, and everything else out of line.
//!
//! None is bounded by `Value`, `Payload` or `Yields`: generated code names the functions of these traits by their
//! path, so that a type that lacks one is one error, at the type, and not one for each step.

use crate::call::CallInfo;
use crate::error::Error;
use crate::payload::Rejection;
use crate::transport::TransportError;

/// What a method returns: `Result<R, Error>`, under any name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a call returns",
    label = "any call can fail, and `hypercall::Error` says how",
    note = "return `Result<R, hypercall::Error>`"
)]
pub trait Returned<R> {
    fn from_result(result: Result<R, Error>) -> Self;
    fn into_result(self) -> Result<R, Error>;
}

impl<R> Returned<R> for Result<R, Error> {
    #[inline]
    fn from_result(result: Self) -> Self {
        result
    }
    #[inline]
    fn into_result(self) -> Self {
        self
    }
}

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
pub fn yielded<R>(
    call: &'static CallInfo,
    args: [u64; 2],
    outcome: Outcome,
    read: impl FnOnce() -> Result<R, Rejection>,
) -> Result<R, Error> {
    unit(call, args, outcome)?;
    read().map_err(|rejection| Error::rejected(call, args, rejection))
}

/// RAX must not be negative; it is the result. What the type cannot hold makes no sense: `there_and_back` says what is
/// left of it.
#[inline]
pub fn rax<R>(
    call: &'static CallInfo,
    args: [u64; 2],
    outcome: Outcome,
    there_and_back: impl FnOnce(u64) -> (R, u64),
) -> Result<R, Error> {
    if let Ok(rax @ 0..) = outcome {
        let (value, back) = there_and_back(rax.cast_unsigned());
        if back == rax.cast_unsigned() {
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
