//! What an expectation demands of a call's arguments.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use hypercall::SharedRef;
use hypercall::arg::{Arg, Linked, Target};
use hypercall::call::{CallInfo, RegisterInfo, Show};
use hypercall::schema::{FieldInfo, Kind};
use hypercall::show::ShowField;

use super::place::Place;
use super::report::Difference;

/// Bytes without a meaning that are compared at a glance.
const SHOWN: usize = 32;
/// Elements of an array that are reported apart.
const ELEMENTS: usize = 4;

/// A test's own demand.
pub(super) type Predicate = dyn Fn(&[Arg<'_>; 2]) -> bool + Send + Sync;

/// One demand.
pub(super) enum Check {
    /// A register's value.
    Value {
        name: &'static str,
        register: usize,
        /// Bits that tell methods of one number apart, which no caller gives.
        ignored: u64,
        expected: u64,
        show: Show,
    },
    /// Bytes in memory.
    Bytes { place: Place, expected: Vec<u8> },
    /// Memory that is kept.
    Shared {
        name: &'static str,
        register: usize,
        expected: SharedRef,
    },
    /// Anything else.
    Predicate { what: String, test: Box<Predicate> },
}

impl Check {
    /// A demand of a register's value, by the argument's name.
    pub(super) fn value(
        call: &'static CallInfo,
        wanted: &str,
        expected: u64,
    ) -> Result<Self, String> {
        let mut values = Vec::new();
        for (register, info) in call.registers.iter().enumerate() {
            let RegisterInfo::Value { name, show, .. } = info else {
                continue;
            };
            if *name == wanted {
                let selector = call.selector.filter(|_| register == 0);
                return Ok(Self::Value {
                    name,
                    register,
                    ignored: selector.map_or(0, |selector| selector.mask),
                    expected,
                    show: *show,
                });
            }
            values.push(*name);
        }
        Err(match values.as_slice() {
            [] => format!(
                "no argument `{wanted}` in a register, nor any other; use `field` for memory"
            ),
            _ => format!(
                "no argument `{wanted}` in a register, but {}; use `field` for memory",
                values.join(", ")
            ),
        })
    }

    /// A demand of shared memory, by the argument's name.
    pub(super) fn shared(
        call: &'static CallInfo,
        wanted: &str,
        expected: SharedRef,
    ) -> Result<Self, String> {
        let registers = call.registers.iter().enumerate();
        let mut links = registers.filter_map(|(register, info)| match info {
            RegisterInfo::Block {
                link: Some(link), ..
            } if link.name == wanted => Some((register, link.name)),
            _ => None,
        });
        let (register, name) = links
            .next()
            .ok_or_else(|| format!("no argument `{wanted}` that is shared memory"))?;
        Ok(Self::Shared {
            name,
            register,
            expected,
        })
    }

    /// Adds what differs.
    pub(super) fn differences(&self, args: &[Arg<'_>; 2], found: &mut Vec<Difference>) {
        match self {
            Self::Value {
                name,
                register,
                ignored,
                expected,
                show,
            } => {
                let got = match args.get(*register) {
                    Some(Arg::Value(got)) if (got ^ expected) & !ignored == 0 => return,
                    Some(Arg::Value(got)) => Shown(*got & !ignored, *show).to_string(),
                    _ => String::from("nothing"),
                };
                found.push(Difference {
                    what: (*name).to_string(),
                    expected: Shown(*expected, *show).to_string(),
                    got,
                });
            }
            Self::Bytes { place, expected } => match place.bytes(args) {
                Some(got) if got == expected => {}
                Some(got) => compare(&place.path, &place.field, expected, got, found),
                None => found.push(Difference {
                    what: place.path.clone(),
                    expected: ShowField(&place.field, expected).to_string(),
                    got: String::from("nothing: its memory ends before"),
                }),
            },
            Self::Shared {
                name,
                register,
                expected,
            } => {
                let got = match args.get(*register) {
                    Some(Arg::Linked(Linked {
                        target: Target::Shared(got),
                        ..
                    })) if got == expected => return,
                    Some(Arg::Linked(Linked {
                        target: Target::Shared(got),
                        ..
                    })) => shared(*got),
                    _ => String::from("nothing"),
                };
                found.push(Difference {
                    what: (*name).to_string(),
                    expected: shared(*expected),
                    got,
                });
            }
            Self::Predicate { what, test } => {
                if !test(args) {
                    found.push(Difference {
                        what: what.clone(),
                        expected: String::from("yes"),
                        got: String::from("no"),
                    });
                }
            }
        }
    }
}

/// Pages by their place in this program's memory: another page looks different.
fn shared(memory: SharedRef) -> String {
    match memory {
        SharedRef::Pages(pages) => format!("{memory:?} at {:p}", pages.as_ptr()),
        SharedRef::Address(_) => format!("{memory:?}"),
    }
}

/// Compares field by field.
fn compare(
    path: &str,
    field: &FieldInfo,
    expected: &[u8],
    got: &[u8],
    found: &mut Vec<Difference>,
) {
    match field.kind {
        Kind::Struct(info) => {
            for member in info.fields {
                let part = |bytes: &'_ [u8]| -> Option<(usize, usize)> {
                    let end = member.offset.checked_add(member.size)?;
                    (end <= bytes.len()).then_some((member.offset, end))
                };
                let Some((start, end)) = part(expected).and(part(got)) else {
                    continue;
                };
                let (Some(expected), Some(got)) = (expected.get(start..end), got.get(start..end))
                else {
                    continue;
                };
                if expected != got {
                    let path = format!("{path}.{}", member.name);
                    compare(&path, member, expected, got, found);
                }
            }
        }
        Kind::Array { size, .. } if expected.len() != got.len() => {
            let count = |bytes: &[u8]| {
                let count = bytes.len().checked_div(size).unwrap_or(0);
                format!("{count} elements")
            };
            found.push(Difference {
                what: path.to_string(),
                expected: count(expected),
                got: count(got),
            });
        }
        Kind::Array { element, size, .. } if expected.len() > SHOWN || size > 1 => {
            let member = FieldInfo {
                kind: *element,
                ..*field
            };
            let size = size.max(1);
            let pairs = expected.chunks(size).zip(got.chunks(size)).enumerate();
            let mut differing = pairs.filter(|(_, (expected, got))| expected != got);
            for (index, (expected, got)) in differing.by_ref().take(ELEMENTS) {
                compare(&format!("{path}[{index}]"), &member, expected, got, found);
            }
            let more = differing.count();
            if more > 0 {
                found.push(Difference {
                    what: format!("{path}[…]"),
                    expected: String::from("…"),
                    got: format!("{more} more elements that differ"),
                });
            }
        }
        _ => found.push(Difference {
            what: path.to_string(),
            expected: ShowField(field, expected).to_string(),
            got: ShowField(field, got).to_string(),
        }),
    }
}

/// A register's value as its type shows it.
struct Shown(u64, Show);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.1)(self.0, f)
    }
}

/// In the form of an argument: `pen=1`.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value {
                name,
                expected,
                show,
                ..
            } => write!(f, "{name}={}", Shown(*expected, *show)),
            Self::Bytes { place, expected } => {
                write!(f, "{}={}", place.path, ShowField(&place.field, expected))
            }
            Self::Shared { name, expected, .. } => write!(f, "{name}={expected:?}"),
            Self::Predicate { what, .. } => write!(f, "{what}?"),
        }
    }
}
