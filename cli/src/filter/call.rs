//! What filters ask of a call: whether it succeeded, which VM it is about.

use hypercall_core::schema::Role;
use hypercall_trace::entry::{Argument, Block, Call, Outcome, Target};
use hypercall_trace::schema::{Kind, LinkTarget, Register, ResultKind};
use hypercall_trace::state::impossible_id;

use crate::format::{part, unsigned, yielded};

/// Whether a call succeeded: as RAX says, and where the result stands in memory, as that says. There, all ones stand for
/// no result; nor is it one where ACRN's rules say that it cannot be.
pub(crate) fn succeeded(call: &Call) -> bool {
    let Outcome::Returned(rax) = &call.outcome else {
        return false;
    };
    match call
        .schema
        .as_deref()
        .map(|schema| (&schema.result, &schema.registers))
    {
        Some((ResultKind::Rax(_), _)) => *rax >= 0,
        Some((ResultKind::Yielded(register), registers)) => {
            let block = call.args.get(*register).and_then(Argument::block);
            let rejected = match (registers.get(*register), block.and_then(Block::after_bytes)) {
                (
                    Some(Register::Block {
                        kind: Kind::Struct(info),
                        ..
                    }),
                    Some(bytes),
                ) => yielded(info)
                    .and_then(|field| part(&bytes, field))
                    .is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0xff)),
                _ => false,
            };
            *rax == 0 && !rejected && impossible_id(call).is_none()
        }
        _ => *rax == 0,
    }
}

/// What VMs are called by. Handles of other types, which an interface may have of its own, are no VMs.
const VM_ID: &str = "VmId";

/// Whether a call names this VM: in a register, or in a field that is a handle, before or after.
pub(crate) fn is_about(call: &Call, vm: u64) -> bool {
    let Some(schema) = &call.schema else {
        return false;
    };
    let registers = schema.registers.iter().zip(&call.args).enumerate();
    registers.into_iter().any(
        |(number, (register, argument))| match (register, argument) {
            (
                Register::Value {
                    kind: Kind::Id(name),
                    role: Role::Handle,
                    ..
                },
                Argument::Value(value),
            ) if name == VM_ID => *value == vm,
            (
                Register::Value {
                    kind: kind @ Kind::Struct(_),
                    ..
                },
                Argument::Value(value),
            ) => names(kind, &value.to_le_bytes(), vm),
            // The power-management command had the VM in bits 31 to 24 of a number, before it was described.
            (
                Register::Value {
                    kind: Kind::Id(name),
                    ..
                },
                Argument::Value(value),
            ) if name == "PmCommand" => (*value >> 24) & 0xff == vm,
            (Register::Block { kind, link, .. }, Argument::Block(block)) => {
                // A block that the result is read from says nothing of use before the call.
                (!is_result(schema, number) && names(kind, &block.before_bytes(), vm))
                    || block
                        .after_bytes()
                        .is_some_and(|after| names(kind, &after, vm))
                    || match (link.as_ref().map(|link| &link.target), &block.link) {
                        (
                            Some(LinkTarget::Array { kind, size, .. }),
                            Some(hypercall_trace::entry::Link {
                                target: Target::Block(nested),
                                ..
                            }),
                        ) => nested
                            .before_bytes()
                            .chunks((*size).max(1))
                            .any(|bytes| names(kind, bytes, vm)),
                        _ => false,
                    }
            }
            _ => false,
        },
    )
}

fn is_result(schema: &hypercall_trace::schema::Call, number: usize) -> bool {
    matches!(schema.result, ResultKind::Yielded(register) | ResultKind::Block(register) if register == number)
}

fn names(kind: &Kind, bytes: &[u8], vm: u64) -> bool {
    let Kind::Struct(info) = kind else {
        return false;
    };
    info.fields.iter().any(|field| {
        part(bytes, field).is_some_and(|bytes| match (field.role, &field.kind) {
            (Role::Handle, Kind::Id(name)) => name == VM_ID && unsigned(bytes) == vm,
            (_, kind @ Kind::Struct(_)) => names(kind, bytes, vm),
            _ => false,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::is_about;
    use hypercall_core::acrn::HypervisorCalls;
    use hypercall_trace::entry::{Argument, Call, Outcome};
    use hypercall_trace::schema::{Kind, Register, Schema};
    use std::sync::Arc;

    #[test]
    fn only_vms_are_vms() {
        let acrn = Schema::from_interfaces(&[HypervisorCalls::INTERFACE]);
        let start = acrn.find(None, "start_vm").unwrap();
        let call = |id: &str| {
            let mut described = (**start).clone();
            if let Register::Value { kind, .. } = &mut described.registers[0] {
                *kind = Kind::Id(id.into());
            }
            Call {
                lane: 0,
                index: 0,
                number: described.number,
                schema: Some(Arc::new(described)),
                args: [Argument::Value(5), Argument::Unused],
                enter: 0,
                duration: None,
                outcome: Outcome::Unfinished,
            }
        };
        assert!(is_about(&call("VmId"), 5));
        assert!(!is_about(&call("VmId"), 6));
        assert!(!is_about(&call("JobId"), 5));
    }
}
