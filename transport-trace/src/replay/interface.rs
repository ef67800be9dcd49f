//! Whether a trace was recorded with the interface that a program was compiled with.
//!
//! What counts is what travels: numbers, which registers carry what, sizes, where fields and addresses stand, how the
//! result is read. Names, units, roles, and the names of flags and values may have changed since: a trace brings its own.

use hypercall_core::call::InterfaceInfo;

use super::error::ReplayError;
use super::recorded::Recorded;
use crate::entry::Entry;
use crate::schema::{Call, Kind, Link, LinkTarget, Register, ResultKind, Schema};

/// In what the calls that a trace uses differ from an interface that this program was compiled with.
///
/// # Errors
/// [`ReplayError::OtherInterface`].
pub(crate) fn same_interface(
    recorded: &Recorded,
    interface: &'static InterfaceInfo,
) -> Result<(), ReplayError> {
    let compiled = Schema::from_interfaces(&[interface]);
    let mut seen: Vec<&str> = Vec::new();
    let mut differences = Vec::new();
    for entry in &recorded.entries {
        let Entry::Call(call) = entry else { continue };
        let Some(theirs) = call.schema.as_deref() else {
            continue;
        };
        if *theirs.interface != *interface.name || seen.contains(&theirs.name.as_str()) {
            continue;
        }
        seen.push(&theirs.name);
        match compiled.find(Some(interface.name), &theirs.name) {
            None => differences.push(format!("{} is no call of this program's", theirs.name)),
            Some(ours) => differences.extend(difference(theirs, ours)),
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(ReplayError::OtherInterface {
        interface: interface.name.to_owned(),
        differences,
    })
}

/// The first thing in which what two calls send differs.
pub(crate) fn difference(theirs: &Call, ours: &Call) -> Option<String> {
    let name = &theirs.name;
    if theirs.number != ours.number {
        let (theirs, ours) = (theirs.number, ours.number);
        return Some(format!(
            "{name} is {theirs:#x} in the trace and {ours:#x} in the program"
        ));
    }
    if theirs.selector != ours.selector {
        return Some(format!("{name} is selected differently"));
    }
    for (number, (theirs, ours)) in theirs.registers.iter().zip(&ours.registers).enumerate() {
        let register = super::leaf::register_name(number);
        if let Some(detail) = register_difference(theirs, ours) {
            return Some(format!("{register} of {name} {detail}"));
        }
    }
    (!same_result(&theirs.result, &ours.result))
        .then(|| format!("the result of {name} is read differently"))
}

fn register_difference(theirs: &Register, ours: &Register) -> Option<String> {
    let (carries_theirs, carries_ours) = (carries(theirs), carries(ours));
    let differently = || {
        Some(format!(
            "carries {carries_theirs} in the trace and {carries_ours} in the program"
        ))
    };
    match (theirs, ours) {
        (Register::Unused, Register::Unused) | (Register::Value { .. }, Register::Value { .. }) => {
            None
        }
        (
            Register::Bytes {
                direction: theirs, ..
            },
            Register::Bytes {
                direction: ours, ..
            },
        ) if theirs == ours => None,
        (
            Register::Block {
                direction: theirs_direction,
                kind: theirs_kind,
                size: theirs_size,
                link: theirs_link,
                ..
            },
            Register::Block {
                direction: ours_direction,
                kind: ours_kind,
                size: ours_size,
                link: ours_link,
                ..
            },
        ) => {
            if theirs_size != ours_size {
                return differently();
            }
            if theirs_direction != ours_direction {
                return Some("has another direction in the trace".to_owned());
            }
            if let Some(field) = layout_difference(theirs_kind, ours_kind) {
                return Some(format!("has the field {field} elsewhere in the trace"));
            }
            link_difference(theirs_link.as_ref(), ours_link.as_ref())
        }
        _ => differently(),
    }
}

fn link_difference(theirs: Option<&Link>, ours: Option<&Link>) -> Option<String> {
    let (theirs, ours) = match (theirs, ours) {
        (None, None) => return None,
        (Some(theirs), Some(ours)) if theirs.offset == ours.offset => (theirs, ours),
        _ => return Some("has an address elsewhere in the trace".to_owned()),
    };
    let same = match (&theirs.target, &ours.target) {
        (LinkTarget::Shared, LinkTarget::Shared) => None,
        (
            LinkTarget::Array {
                direction: theirs_direction,
                kind: theirs_kind,
                size: theirs_size,
                count_offset: theirs_offset,
                count_size: theirs_count,
            },
            LinkTarget::Array {
                direction: ours_direction,
                kind: ours_kind,
                size: ours_size,
                count_offset: ours_offset,
                count_size: ours_count,
            },
        ) if (theirs_direction, theirs_size, theirs_offset, theirs_count)
            == (ours_direction, ours_size, ours_offset, ours_count) =>
        {
            layout_difference(theirs_kind, ours_kind)
        }
        _ => Some(theirs.name.clone()),
    };
    same.map(|what| format!("points at other memory in the trace: {what}"))
}

/// The first field that stands elsewhere, or has another size, in one of two layouts of the same size.
fn layout_difference(theirs: &Kind, ours: &Kind) -> Option<String> {
    match (theirs, ours) {
        (Kind::Struct(theirs), Kind::Struct(ours)) => {
            let mut pairs = theirs.fields.iter().zip(&ours.fields);
            if theirs.fields.len() != ours.fields.len() {
                let other = pairs.find(|(one, other)| one.size != other.size);
                let common = theirs.fields.len().min(ours.fields.len());
                let beyond = theirs.fields.get(common).or(ours.fields.get(common));
                let field = other.map(|(field, _)| field).or(beyond)?;
                return Some(field.name.clone());
            }
            pairs.find_map(|(theirs, ours)| {
                if (theirs.offset, theirs.size) != (ours.offset, ours.size) {
                    return Some(theirs.name.clone());
                }
                let inside = layout_difference(&theirs.kind, &ours.kind)?;
                Some(format!("{}.{inside}", theirs.name))
            })
        }
        (
            Kind::Array { element, size, .. },
            Kind::Array {
                element: ours,
                size: our_size,
                ..
            },
        ) => {
            if size == our_size {
                layout_difference(element, ours)
            } else {
                Some("[]".to_owned())
            }
        }
        // The same bytes, read as something else.
        _ => None,
    }
}

fn same_result(theirs: &ResultKind, ours: &ResultKind) -> bool {
    match (theirs, ours) {
        (ResultKind::Rax(_), ResultKind::Rax(_)) => true,
        (theirs, ours) => theirs == ours,
    }
}

fn carries(register: &Register) -> String {
    match register {
        Register::Unused => "nothing".to_owned(),
        Register::Value { name, .. } => format!("the number {name}"),
        Register::Block { size, .. } => format!("a block of {size} bytes"),
        Register::Bytes { name, .. } => format!("the bytes {name}"),
    }
}
