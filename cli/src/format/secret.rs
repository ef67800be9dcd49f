//! Where secrets stand.

use hypercall_core::schema::Role;
use hypercall_trace::entry::{Call, Place};
use hypercall_trace::schema::{self, Kind, LinkTarget, Register};

/// Whether a block has bytes that must not be shown.
pub(super) fn has_secret(call: &Call, place: Place) -> bool {
    fn inside(kind: &Kind) -> bool {
        match kind {
            Kind::Struct(info) => info
                .fields
                .iter()
                .any(|field| field.role == Role::Secret || inside(&field.kind)),
            Kind::Array { element, .. } => inside(element),
            _ => false,
        }
    }
    let number = usize::from(matches!(place, Place::Rsi | Place::RsiNested));
    let register = call
        .schema
        .as_ref()
        .and_then(|schema| schema.registers.get(number));
    match (place, register) {
        (Place::Rdi | Place::Rsi, Some(Register::Block { kind, .. })) => inside(kind),
        (
            _,
            Some(Register::Block {
                link:
                    Some(schema::Link {
                        target: LinkTarget::Array { kind, .. },
                        ..
                    }),
                ..
            }),
        ) => inside(kind),
        _ => false,
    }
}
