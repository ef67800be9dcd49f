//! Recorded failures as failures of a transport.
//!
//! [`TransportError`] speaks in `&'static str`, and a trace brings texts of its own. Each text is kept once for as long
//! as the program runs, and their number is limited, so that replaying hostile traces for ever does not fill memory.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use hypercall_core::{Hazard, LayerRefusal, TransportError};

use crate::entry::Failure;

/// How many texts are kept.
const KEPT: usize = 4096;
/// Bytes of a text that are kept.
const LONGEST: usize = 1024;

static TEXTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// The same text for as long as the program runs; `otherwise` where too many were kept.
pub(crate) fn keep(text: &str, otherwise: &'static str) -> &'static str {
    let end = (0..=LONGEST.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    let text = text.get(..end.unwrap_or(0)).unwrap_or_default();
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kept) = texts.get(text) {
        return kept;
    }
    if texts.len() >= KEPT {
        return otherwise;
    }
    let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
    texts.insert(kept);
    kept
}

/// The failure as the transport gave it.
pub(crate) fn give(failure: &Failure) -> TransportError {
    const UNKNOWN: &str = "as recorded";
    match failure {
        Failure::Untranslatable { register, nested } => TransportError::Untranslatable {
            register: *register,
            nested: *nested,
        },
        Failure::Layer { layer, reason } => TransportError::Layer(LayerRefusal {
            layer: keep(layer, "recorded"),
            reason: keep(reason, UNKNOWN),
        }),
        Failure::Crashed(why) => TransportError::Dead(Hazard::Crashed(keep(why, UNKNOWN))),
        Failure::Hung(why) => TransportError::Dead(Hazard::Hung(keep(why, UNKNOWN))),
        Failure::Fault(vector) => TransportError::Fault(*vector),
        Failure::Unsupported(why) => TransportError::Unsupported(keep(why, UNKNOWN)),
        Failure::Unexpected(why) => TransportError::Unexpected(keep(why, UNKNOWN)),
        Failure::Lost(why) => TransportError::Lost(keep(why, UNKNOWN)),
        // Nobody knows what it was; so whoever asks must not think that nothing happened.
        Failure::Other { text, .. } => TransportError::Lost(keep(text, UNKNOWN)),
    }
}

/// The failure's kind, without its texts.
pub(crate) const fn kind(failure: &Failure) -> &'static str {
    match failure {
        Failure::Untranslatable { .. } => "untranslatable",
        Failure::Layer { .. } => "refused by a layer",
        Failure::Crashed(_) => "crashed",
        Failure::Hung(_) => "hung",
        Failure::Fault(_) => "exception",
        Failure::Unsupported(_) => "unsupported",
        Failure::Unexpected(_) => "unexpected",
        Failure::Lost(_) => "lost",
        Failure::Other { .. } => "unknown failure",
    }
}
