//! What came of a call, in as many kinds as are worth counting apart.

use core::fmt;

use crate::call::{CallInfo, ResultInfo};
use crate::transport::{Hazard, TransportError};

/// What came of a call, without the details that make each call different.
///
/// It is what a transport can tell. That RAX was 0 is a [`Success`](Outcome::Success) here, also where the memory that
/// came back denies it ([`ErrorKind::Rejected`](crate::ErrorKind::Rejected)): only the client reads that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// RAX was 0; or, for a call whose result is RAX, not negative.
    Success,
    /// The hypervisor refused with this code, a negative 32-bit number.
    Refused(i32),
    /// RAX was neither a success of this call nor an error code.
    Nonsense,
    /// A layer refused: [`TransportError::Layer`].
    Layer,
    /// [`TransportError::Untranslatable`].
    Untranslatable,
    /// [`Hazard::Crashed`].
    Crashed,
    /// [`Hazard::Hung`].
    Hung,
    /// [`TransportError::Fault`], with the exception's vector.
    Fault(u8),
    /// [`TransportError::Unsupported`].
    Unsupported,
    /// [`TransportError::Unexpected`].
    Unexpected,
    /// [`TransportError::Lost`].
    Lost,
}

impl Outcome {
    /// What a transport's answer to a call comes to.
    #[must_use]
    pub fn of(call: &CallInfo, answer: &Result<i64, TransportError>) -> Self {
        match answer {
            Ok(0) => Self::Success,
            Ok(1..) if matches!(call.result, ResultInfo::Rax { .. }) => Self::Success,
            Ok(rax @ ..0) => i32::try_from(*rax).map_or(Self::Nonsense, Self::Refused),
            Ok(_) => Self::Nonsense,
            Err(TransportError::Layer(_)) => Self::Layer,
            Err(TransportError::Untranslatable { .. }) => Self::Untranslatable,
            Err(TransportError::Dead(Hazard::Crashed(_))) => Self::Crashed,
            Err(TransportError::Dead(Hazard::Hung(_))) => Self::Hung,
            Err(TransportError::Fault(vector)) => Self::Fault(*vector),
            Err(TransportError::Unsupported(_)) => Self::Unsupported,
            Err(TransportError::Unexpected(_)) => Self::Unexpected,
            Err(TransportError::Lost(_)) => Self::Lost,
        }
    }

    /// The outcome as numbers: its kind and its detail.
    pub(super) const fn pack(self) -> (u8, u32) {
        match self {
            Self::Success => (0, 0),
            // So that -1 sorts before -2.
            Self::Refused(code) => (1, !code.cast_unsigned()),
            Self::Nonsense => (2, 0),
            Self::Layer => (3, 0),
            Self::Untranslatable => (4, 0),
            Self::Crashed => (5, 0),
            Self::Hung => (6, 0),
            Self::Fault(vector) => (7, vector as u32),
            Self::Unsupported => (8, 0),
            Self::Unexpected => (9, 0),
            Self::Lost => (10, 0),
        }
    }

    /// The inverse of [`pack`](Outcome::pack).
    pub(super) fn unpack(kind: u8, detail: u32) -> Option<Self> {
        Some(match kind {
            0 => Self::Success,
            1 => Self::Refused((!detail).cast_signed()),
            2 => Self::Nonsense,
            3 => Self::Layer,
            4 => Self::Untranslatable,
            5 => Self::Crashed,
            6 => Self::Hung,
            7 => Self::Fault(u8::try_from(detail).ok()?),
            8 => Self::Unsupported,
            9 => Self::Unexpected,
            10 => Self::Lost,
            _ => return None,
        })
    }

    /// The outcome as text, with the name that the call gives to a code: `-1 EPERM`.
    pub(super) fn show(self, call: &CallInfo, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("success"),
            Self::Refused(code) => match call.code(i64::from(code)) {
                Some(known) => write!(f, "{code} {}", known.name),
                None => write!(f, "{code}"),
            },
            Self::Nonsense => f.write_str("an answer that makes no sense"),
            Self::Layer => f.write_str("refused by a layer"),
            Self::Untranslatable => f.write_str("not issued: memory without one physical address"),
            Self::Crashed => f.write_str("the hypervisor crashed"),
            Self::Hung => f.write_str("the caller never returns"),
            Self::Fault(vector) => write!(f, "not issued: exception {vector}"),
            Self::Unsupported => f.write_str("not issued: the transport cannot"),
            Self::Unexpected => f.write_str("unexpected by a test double"),
            Self::Lost => f.write_str("the answer was lost"),
        }
    }
}
