//! Why a trace cannot be replayed at all.

use std::fmt;
use std::path::PathBuf;

use hypercall_core::call::InterfaceInfo;

use crate::entry::{Damaged, Entry};
use crate::read::OpenError;
use crate::schema::{Call, Register, Schema};

use super::recorded::Recorded;

/// Why a trace cannot be replayed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is no such trace.
    Missing(PathBuf),
    /// The trace cannot be opened.
    Open(OpenError),
    /// Parts of the trace cannot be read. [`Options::accept_damage`](super::Options::accept_damage) replays the rest up to
    /// the first call that is missing.
    Damaged(Vec<Damaged>),
    /// The trace was recorded with another version of the interface.
    OtherInterface {
        /// The interface's name.
        interface: String,
        /// What differs, a phrase for each call that the trace uses.
        differences: Vec<String>,
    },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => {
                write!(
                    f,
                    "there is no trace {}: record one first, or check the path",
                    path.display()
                )
            }
            Self::Open(error) => error.fmt(f),
            Self::Damaged(stretches) => {
                write!(f, "{} parts of the trace cannot be read", stretches.len())?;
                if let Some(first) = stretches.first() {
                    write!(
                        f,
                        "; the first, {} bytes from byte {} on: {}",
                        first.length, first.offset, first.defect
                    )?;
                }
                f.write_str(". What is whole can be replayed with accept_damage")
            }
            Self::OtherInterface {
                interface,
                differences,
            } => {
                write!(
                    f,
                    "the trace was recorded with another version of the interface {interface}: {}",
                    differences.join("; ")
                )
            }
        }
    }
}

impl std::error::Error for ReplayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open(error) => Some(error),
            _ => None,
        }
    }
}

impl From<OpenError> for ReplayError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::NotFound(path) => Self::Missing(path),
            other => Self::Open(other),
        }
    }
}

/// The damage among the entries.
pub(crate) fn damage(recorded: &Recorded) -> Vec<Damaged> {
    let damaged = recorded.entries.iter().filter_map(|entry| match entry {
        Entry::Damaged(damaged) => Some(damaged.clone()),
        _ => None,
    });
    damaged.collect()
}

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

/// The first thing in which two descriptions of a call differ, texts apart.
fn difference(theirs: &Call, ours: &Call) -> Option<String> {
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
        if theirs != ours {
            let register = super::leaf::register_name(number);
            let (theirs, ours) = (carries(theirs), carries(ours));
            let detail = if theirs == ours {
                "is described differently".to_owned()
            } else {
                format!("carries {theirs} in the trace and {ours} in the program")
            };
            return Some(format!("{register} of {name} {detail}"));
        }
    }
    (theirs.result != ours.result).then(|| format!("the result of {name} is read differently"))
}

fn carries(register: &Register) -> String {
    match register {
        Register::Unused => "nothing".to_owned(),
        Register::Value { name, .. } => format!("the number {name}"),
        Register::Block { size, .. } => format!("a block of {size} bytes"),
        Register::Bytes { name, .. } => format!("the bytes {name}"),
    }
}
