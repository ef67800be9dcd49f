//! What came of a call.

use std::fmt;
use std::string::{String, ToString};

use hypercall_core::{Hazard, LayerRefusal, TransportError};

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// RAX.
    Returned(i64),
    /// There was no answer.
    Failed(Failure),
    /// The call was entered, and the recording ends before it returned.
    Unfinished,
}

/// Why there was no answer: [`TransportError`], with texts of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The physical address of a block could not be found.
    Untranslatable {
        /// The register (0 or 1) whose block it is.
        register: u8,
        /// Whether it is the block that the register's block points at.
        nested: bool,
    },
    /// A layer did not let the call through.
    Layer {
        /// The layer.
        layer: String,
        /// Why.
        reason: String,
    },
    /// The hypervisor crashed.
    Crashed(String),
    /// The caller never got to run again.
    Hung(String),
    /// The processor raised this exception.
    Fault(u8),
    /// The transport cannot make this call.
    Unsupported(String),
    /// A test double was not prepared.
    Unexpected(String),
    /// The answer was lost.
    Lost(String),
    /// A failure that this version does not know.
    Other {
        /// Its code in the file.
        code: u8,
        /// Its detail in the file.
        detail: u8,
        /// Its first text.
        text: String,
        /// Its second text.
        more: String,
    },
}

impl Failure {
    /// Whether the hypervisor may have acted on the call.
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        matches!(
            self,
            Self::Crashed(_) | Self::Hung(_) | Self::Lost(_) | Self::Other { .. }
        )
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Untranslatable { register, nested } => {
                Self::Untranslatable { register, nested }
            }
            TransportError::Layer(LayerRefusal { layer, reason }) => Self::Layer {
                layer: layer.into(),
                reason: reason.into(),
            },
            TransportError::Dead(Hazard::Crashed(why)) => Self::Crashed(why.into()),
            TransportError::Dead(Hazard::Hung(why)) => Self::Hung(why.into()),
            TransportError::Fault(vector) => Self::Fault(vector),
            TransportError::Unsupported(why) => Self::Unsupported(why.into()),
            TransportError::Unexpected(why) => Self::Unexpected(why.into()),
            TransportError::Lost(why) => Self::Lost(why.into()),
            other => Self::Other {
                code: 0xff,
                detail: 0,
                text: other.to_string(),
                more: String::new(),
            },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untranslatable { register, nested } => TransportError::Untranslatable {
                register: *register,
                nested: *nested,
            }
            .fmt(f),
            Self::Layer { layer, reason } => {
                write!(f, "not issued: the {layer} layer says: {reason}")
            }
            Self::Crashed(why) => write!(f, "the hypervisor crashed: {why}"),
            Self::Hung(why) => write!(f, "the caller never returns: {why}"),
            Self::Fault(vector) => TransportError::Fault(*vector).fmt(f),
            Self::Unsupported(why) => write!(f, "not issued: {why}"),
            Self::Unexpected(why) => write!(f, "the test double was not prepared for it: {why}"),
            Self::Lost(why) => {
                write!(
                    f,
                    "the answer was lost, and the hypervisor may have acted: {why}"
                )
            }
            Self::Other {
                code,
                detail,
                text,
                more,
            } => {
                write!(f, "failure {code}")?;
                if *detail != 0 {
                    write!(f, " ({detail:#x})")?;
                }
                for text in [text, more] {
                    if !text.is_empty() {
                        write!(f, ": {text}")?;
                    }
                }
                Ok(())
            }
        }
    }
}
