//! What an expectation answers.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hypercall::TransportError;
use hypercall::arg::Arg;

use super::place::Place;

/// A test's own answer.
pub(super) type Closure = dyn Fn(&mut [Arg<'_>; 2]) -> Result<i64, TransportError> + Send + Sync;

/// A change of output. It says whether there was room for it.
pub(super) type Change = dyn Fn(&mut [u8]) -> bool + Send + Sync;

/// What is left in the call's memory, then RAX or a failure.
pub(super) struct Answer {
    pub(super) writes: Vec<Write>,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    Fixed(Result<i64, TransportError>),
    Closure(Box<Closure>),
}

/// A change of the call's output.
pub(super) enum Write {
    /// All of it.
    Whole(Vec<u8>),
    /// Its first bytes.
    Start(Vec<u8>),
    /// A part.
    Part(Place, Vec<u8>),
    /// What the closure does.
    Change(Box<Change>),
}

impl Answer {
    /// Answers. The outer error says why the memory does not allow what is to be written.
    pub(super) fn give(
        &self,
        args: &mut [Arg<'_>; 2],
    ) -> Result<Result<i64, TransportError>, String> {
        for write in &self.writes {
            write.apply(args)?;
        }
        Ok(match &self.outcome {
            Outcome::Fixed(outcome) => *outcome,
            Outcome::Closure(closure) => closure(args),
        })
    }
}

impl Write {
    fn apply(&self, args: &mut [Arg<'_>; 2]) -> Result<(), String> {
        if let Self::Part(place, bytes) = self {
            let part = place
                .bytes_mut(args)
                .filter(|part| part.len() == bytes.len());
            return match part {
                Some(part) => {
                    part.copy_from_slice(bytes);
                    Ok(())
                }
                None => Err(format!(
                    "`{}` is not in the memory that the call writes",
                    place.path
                )),
            };
        }
        let [first, second] = args;
        let output = first.output().or_else(|| second.output());
        let output = output.ok_or("the call writes no memory")?;
        let length = output.len();
        let fits = match self {
            Self::Whole(bytes) if bytes.len() == length => {
                output.copy_from_slice(bytes);
                true
            }
            Self::Start(bytes) => match output.get_mut(..bytes.len()) {
                Some(start) => {
                    start.copy_from_slice(bytes);
                    true
                }
                None => false,
            },
            Self::Change(change) => change(output),
            Self::Whole(_) | Self::Part(..) => false,
        };
        if fits {
            return Ok(());
        }
        Err(match self {
            Self::Whole(bytes) | Self::Start(bytes) => format!(
                "the answer writes {} bytes, the call's memory has {length}",
                bytes.len()
            ),
            _ => format!("the answer does not fit memory of {length} bytes"),
        })
    }
}
