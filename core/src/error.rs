//! What can go wrong with a call, and what the caller can do about it.

use core::fmt;

use crate::call::{CallInfo, LinkInfo, RegisterInfo};
use crate::payload::Rejection;
use crate::transport::{LayerRefusal, RAX_UNWRITTEN, TransportError};

/// Why a call gave no result: which call, with which registers, what came back.
///
/// `Display` tells an engineer what happened and what to check. The value is small (payloads are what traces are for)
/// and keeps RAX as it came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error {
    /// The call.
    pub call: &'static CallInfo,
    /// The registers' values; 0 for one that held an address or was not used.
    pub args: [u64; 2],
    /// RAX as it came, or 0 where there was none.
    pub rax: i64,
    /// What kind of failure it is.
    pub kind: ErrorKind,
}

/// The four ways in which a call fails, which a caller treats differently, and the one in which it never starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The hypervisor answered with an error code, which [`Error::rax`] keeps, known or not.
    Refused,
    /// The hypervisor answered 0, but the memory that it wrote says that the call did not succeed: how.
    Rejected(&'static str),
    /// The answer makes no sense: [`Error::rax`] is neither a success of this call nor an error code. It is
    /// [`RAX_UNWRITTEN`] where the hypervisor wrote no result.
    Nonsense,
    /// There is no answer.
    Transport(TransportError),
    /// A layer did not let the call through. Nothing was issued.
    Layer(LayerRefusal),
    /// The arguments cannot be expressed: why. Nothing was issued.
    Invalid(&'static str),
}

impl Error {
    /// A refusal, for those who implement an interface.
    #[must_use]
    #[cold]
    pub const fn refused(call: &'static CallInfo, args: [u64; 2], rax: i64) -> Self {
        Self {
            call,
            args,
            rax,
            kind: ErrorKind::Refused,
        }
    }

    /// A success in RAX that the block denies, for those who implement an interface.
    #[must_use]
    #[cold]
    pub const fn rejected(call: &'static CallInfo, args: [u64; 2], how: Rejection) -> Self {
        Self {
            call,
            args,
            rax: 0,
            kind: ErrorKind::Rejected(how.0),
        }
    }

    /// No answer, for those who implement an interface.
    #[must_use]
    #[cold]
    pub const fn transport(call: &'static CallInfo, args: [u64; 2], error: TransportError) -> Self {
        let kind = match error {
            TransportError::Layer(refusal) => ErrorKind::Layer(refusal),
            other => ErrorKind::Transport(other),
        };
        Self {
            call,
            args,
            rax: 0,
            kind,
        }
    }

    /// Arguments that cannot be expressed, for the interface attribute.
    #[doc(hidden)]
    #[must_use]
    #[cold]
    pub const fn invalid(call: &'static CallInfo, args: [u64; 2], why: &'static str) -> Self {
        Self {
            call,
            args,
            rax: 0,
            kind: ErrorKind::Invalid(why),
        }
    }

    /// What an outcome that is not success means, for those who read an answer themselves: a code is a refusal, anything else
    /// makes no sense.
    ///
    /// Inlined: built in place on the path that needs it, so that nothing is spilled for a function call on the path that
    /// does not.
    #[inline]
    #[must_use]
    pub fn from_outcome(
        call: &'static CallInfo,
        args: [u64; 2],
        outcome: Result<i64, TransportError>,
    ) -> Self {
        match outcome {
            Ok(rax) => Self {
                call,
                args,
                rax,
                // A hypervisor's code is an `int` sign-extended to 64 bits; anything else was not meant as one.
                kind: if rax < 0 && i32::try_from(rax).is_ok() {
                    ErrorKind::Refused
                } else {
                    ErrorKind::Nonsense
                },
            },
            Err(error) => Self::transport(call, args, error),
        }
    }

    /// The hypervisor's error code, where it refused the call.
    #[must_use]
    pub const fn code(&self) -> Option<i64> {
        match self.kind {
            ErrorKind::Refused => Some(self.rax),
            _ => None,
        }
    }

    /// Whether the hypervisor may have acted on the call although it did not say so.
    ///
    /// After a refusal or a layer's veto it did not; after a lost or a nonsensical answer it may have. So may a call
    /// that RAX accepted and the block rejected, and a refused call with an array, whose first elements were applied.
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        match self.kind {
            ErrorKind::Refused => self.call.has_array(),
            ErrorKind::Layer(_) | ErrorKind::Invalid(_) => false,
            ErrorKind::Rejected(_) | ErrorKind::Nonsense => true,
            ErrorKind::Transport(error) => error.may_have_run(),
        }
    }
}

/// As [`Display`](fmt::Display): this is what `unwrap`, and a test that ends with an error, print.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.call.name)?;
        f.write_str("(")?;
        let mut separator = "";
        for (register, value) in self.call.registers.iter().zip(self.args) {
            match register {
                RegisterInfo::Unused => continue,
                RegisterInfo::Value { name, show, .. } => {
                    write!(f, "{separator}{name}={}", Shown(value, *show))?;
                }
                RegisterInfo::Block { name: "", .. } => continue,
                // A header is no argument: what it points at is.
                RegisterInfo::Block {
                    link: Some(LinkInfo { name, .. }),
                    ..
                }
                | RegisterInfo::Block { name, .. }
                | RegisterInfo::Bytes { name, .. } => {
                    write!(f, "{separator}{name}=…")?;
                }
            }
            separator = ", ";
        }
        f.write_str(") ")?;
        match self.kind {
            ErrorKind::Refused => {
                write!(f, "was refused with {}", self.rax)?;
                match self.call.code(self.rax) {
                    Some(code) => write!(f, " ({}): {}", code.name, code.text)?,
                    None => f.write_str(", a code that this interface does not know")?,
                }
            }
            ErrorKind::Rejected(how) => write!(f, "answered 0, but did not succeed: {how}")?,
            ErrorKind::Nonsense if self.rax == RAX_UNWRITTEN => f.write_str(
                "got no result: the hypervisor did not write RAX, and may have acted (ACRN 3.3 does so instead of answering -13 or -19)",
            )?,
            ErrorKind::Nonsense => write!(
                f,
                "got an answer that makes no sense: RAX = {0:#x} ({0}) is neither success nor an error code; is this the hypervisor that the interface describes?",
                self.rax
            )?,
            ErrorKind::Transport(error @ TransportError::Unsupported(_)) => {
                write!(f, "was {error}")?;
            }
            ErrorKind::Transport(error) => write!(f, "got no answer: {error}")?,
            ErrorKind::Layer(LayerRefusal { layer, reason }) => {
                write!(f, "was not issued: the {layer} layer says: {reason}")?;
            }
            ErrorKind::Invalid(why) => write!(f, "was not issued: {why}")?,
        }
        match (self.kind, self.call.hint(self.rax)) {
            (ErrorKind::Refused | ErrorKind::Rejected(_), Some(hint)) => {
                write!(f, ". Check: {hint}")
            }
            _ => Ok(()),
        }
    }
}

struct Shown(u64, crate::call::Show);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.1)(self.0, f)
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Transport(error) => Some(error),
            _ => None,
        }
    }
}
