//! Compares what two calls carry, value by value, each by its role.
//!
//! | role | going in | coming out |
//! |---|---|---|
//! | plain | equal | equal |
//! | handle, address | tied, see [`bind`](super::bind) | tied; what a call gives out is tied anew |
//! | volatile | not compared | not compared |
//! | reserved | equal | not compared |
//! | secret | equal in the recorder's hash where its key is known, else not | not compared |
//!
//! The field that a call's result comes out of goes in as well, and is no input: where the call is one of this program's, it is
//! not compared.

use hypercall_core::call::{CallInfo, Direction, ResultInfo};
use hypercall_core::schema::Role;

use super::bind::{Space, Trial, Untied};
use super::difference::{FieldDifference, Reason};
use super::leaf::{Leaf, Path, each_in_block, each_in_register, place_of, register_name, unsigned};
use super::text;
use crate::entry::{After, Argument, Block, Call, Link, Place, Target};
use crate::schema;

/// Hashes a secret as the recorder did.
pub(crate) type Hash<'h> = &'h dyn Fn(&[u8]) -> Vec<u8>;

/// How a comparison goes.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'r> {
    /// Where the recorder's key is known.
    pub(crate) hash: Option<Hash<'r>>,
    /// Whether a field of this path takes part, where not all do.
    pub(crate) takes_part: Option<&'r dyn Fn(&str) -> bool>,
    /// Where the call's result stands in a block, and that is known: it is no input.
    pub(crate) result: Option<ResultAt>,
}

/// Where the result of a call stands that yields one in a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResultAt {
    /// The register whose block it is.
    register: usize,
    /// Overwrites it, as a client does before a call.
    unset: fn(&mut [u8]),
}

impl ResultAt {
    /// That of a call that this program was compiled with.
    pub(crate) const fn of(info: &CallInfo) -> Option<Self> {
        match info.result {
            ResultInfo::Yielded {
                register, unset, ..
            } => Some(Self { register, unset }),
            _ => None,
        }
    }

    /// Makes a recorded call what it is where the client overwrites the result before it: what the trace has there afterwards
    /// came out, although it went in as well.
    pub(crate) fn came_out(self, call: &mut Call) {
        if call.rax() != Some(0) {
            return;
        }
        let Some(Argument::Block(block)) = call.args.get_mut(self.register) else {
            return;
        };
        let mut before = block.before_bytes().into_owned();
        if block.after == After::Unchanged {
            block.after = After::Changed(before.clone());
        }
        (self.unset)(&mut before);
        block.before = before;
    }
}

/// Compares what goes into two calls: the first as expected (recorded), the second as found (live).
pub(crate) fn requests(
    schema: Option<&schema::Call>,
    expected: &[Argument; 2],
    found: &[Argument; 2],
    rules: Rules<'_>,
    trial: &mut Trial<'_>,
) -> Vec<FieldDifference> {
    let mut work = Work {
        schema,
        rules,
        trial,
        out: Vec::new(),
    };
    for (number, (expected, found)) in expected.iter().zip(found).enumerate() {
        match (expected, found) {
            (Argument::Unused, Argument::Unused) => {}
            (Argument::Value(expected), Argument::Value(found)) => {
                let (expected, found) = (expected.to_le_bytes(), found.to_le_bytes());
                each_in_register(schema, number, &mut |leaf| {
                    if let (Some(expected), Some(found)) = (leaf.of(&expected), leaf.of(&found)) {
                        work.leaf(&leaf, expected, found, false);
                    }
                });
            }
            (Argument::Block(expected), Argument::Block(found)) => {
                work.blocks(number, false, expected, found);
            }
            _ => work.differ(
                register_name(number).to_owned(),
                register_name(number).to_owned(),
                shape(expected),
                shape(found),
                Reason::Shape,
            ),
        }
    }
    work.out
}

/// Compares what came out of a block of two calls.
///
/// `gives_out`: the call's result is a name that stands in this block.
pub(crate) fn outputs(
    schema: Option<&schema::Call>,
    place: Place,
    expected: &[u8],
    found: &[u8],
    gives_out: bool,
    rules: Rules<'_>,
    trial: &mut Trial<'_>,
) -> Vec<FieldDifference> {
    let mut work = Work {
        schema,
        rules,
        trial,
        out: Vec::new(),
    };
    if expected.len() != found.len() {
        work.length(place, expected.len(), found.len());
    }
    let common = expected.len().min(found.len());
    each_in_block(schema, place, common, &mut |leaf| {
        if !matches!(leaf.role, Role::Reserved | Role::Secret)
            && let (Some(expected), Some(found)) = (leaf.of(expected), leaf.of(found))
        {
            work.leaf(&leaf, expected, found, gives_out);
        }
    });
    work.out
}

struct Work<'w, 'b> {
    schema: Option<&'w schema::Call>,
    rules: Rules<'w>,
    trial: &'w mut Trial<'b>,
    out: Vec<FieldDifference>,
}

impl Work<'_, '_> {
    fn differ(
        &mut self,
        field: String,
        place: String,
        expected: String,
        found: String,
        reason: Reason,
    ) {
        self.out.push(FieldDifference {
            field,
            place,
            expected,
            found,
            reason,
        });
    }

    fn length(&mut self, place: Place, expected: usize, found: usize) {
        let place = place.to_string();
        let text = |length: usize| format!("{length} bytes");
        self.differ(
            place.clone(),
            place,
            text(expected),
            text(found),
            Reason::Length,
        );
    }

    fn blocks(&mut self, number: usize, nested: bool, expected: &Block, found: &Block) {
        let place = place_of(number, nested);
        if expected.direction != found.direction {
            let text = |block: &Block| direction(block.direction).to_owned();
            let name = place.to_string();
            return self.differ(
                name.clone(),
                name,
                text(expected),
                text(found),
                Reason::Shape,
            );
        }
        // The length of memory that goes in is part of what goes in; of memory that only comes out there must be enough.
        let enough = match expected.direction {
            Direction::Write => found.length >= expected.length,
            Direction::Read | Direction::ReadWrite => found.length == expected.length,
        };
        if !enough {
            self.length(place, expected.length, found.length);
        }
        if expected.direction != Direction::Write {
            let (mut ours, mut theirs) = (expected.before_bytes(), found.before_bytes());
            // Clients have not always overwritten an old result: a trace may have one there.
            if let Some(result) = self.rules.result
                && result.register == number
                && !nested
            {
                (result.unset)(ours.to_mut());
                (result.unset)(theirs.to_mut());
            }
            let (schema, common) = (self.schema, expected.length.min(found.length));
            each_in_block(schema, place, common, &mut |leaf| {
                if let (Some(expected), Some(found)) = (leaf.of(&ours), leaf.of(&theirs)) {
                    self.leaf(&leaf, expected, found, false);
                }
            });
        }
        match (&expected.link, &found.link) {
            (None, None) => {}
            (Some(expected), Some(found)) if expected.offset == found.offset => {
                self.links(number, expected, found);
            }
            (expected, found) => {
                let text = |link: &Option<Link>| match link {
                    None => "no address inside".to_owned(),
                    Some(link) => format!("an address at byte {}", link.offset),
                };
                let name = place.to_string();
                let (expected, found) = (text(expected), text(found));
                self.differ(name.clone(), name, expected, found, Reason::Shape);
            }
        }
    }

    fn links(&mut self, number: usize, expected: &Link, found: &Link) {
        let place = format!("{}, byte {}", place_of(number, false), expected.offset);
        let field = match self.schema.and_then(|schema| schema.registers.get(number)) {
            Some(schema::Register::Block {
                link: Some(link), ..
            }) => link.name.clone(),
            _ => place_of(number, true).to_string(),
        };
        match (&expected.target, &found.target) {
            (Target::Block(expected), Target::Block(found)) => {
                self.blocks(number, true, expected, found);
            }
            (Target::Address(expected), Target::Address(found)) => {
                let agreed = self.trial.agree(&Space::gpa(), *expected, *found);
                if let Err(untied) = agreed {
                    let space = Space::gpa();
                    let (expected, found) = (space.show(*expected), space.show(*found));
                    self.differ(field, place, expected, found, tied(&space, untied));
                }
            }
            (
                Target::Pages {
                    count: expected,
                    page: ours,
                },
                Target::Pages {
                    count: found,
                    page: theirs,
                },
            ) => {
                if expected != found {
                    let text = |count: &u32| format!("{count} shared pages");
                    let (expected, found) = (text(expected), text(found));
                    self.differ(field, place, expected, found, Reason::Length);
                } else if let (Some(ours), Some(theirs)) = (ours, theirs)
                    && ours != theirs
                {
                    let text = |page: &u32| format!("page {page}");
                    let (expected, found) = (text(ours), text(theirs));
                    self.differ(field, place, expected, found, Reason::Pages);
                }
            }
            (expected, found) => {
                let (expected, found) = (target(expected), target(found));
                self.differ(
                    field,
                    place,
                    expected.to_owned(),
                    found.to_owned(),
                    Reason::Shape,
                );
            }
        }
    }

    fn leaf(&mut self, leaf: &Leaf<'_, Path<'_>>, expected: &[u8], found: &[u8], gives_out: bool) {
        let takes_part = self.rules.takes_part;
        if leaf.role == Role::Volatile
            || takes_part.is_some_and(|takes_part| !takes_part(&leaf.path.to_string()))
        {
            return;
        }
        let reason = if let Some(space) = Space::of(leaf) {
            let (ours, theirs) = (unsigned(expected), unsigned(found));
            let agreed = if gives_out && space.is_handle() {
                self.trial.renew(&space, ours, theirs)
            } else {
                self.trial.agree(&space, ours, theirs)
            };
            match agreed {
                Ok(()) => return,
                Err(untied) => tied(&space, untied),
            }
        } else if leaf.role == Role::Secret {
            match self.rules.hash {
                Some(hash) if hash(found) != expected => Reason::Secret,
                _ => return,
            }
        } else if expected == found {
            return;
        } else {
            Reason::Value
        };
        let place = match leaf.at {
            super::leaf::At::Register(number, _) => register_name(number).to_owned(),
            super::leaf::At::Block(place, offset) => format!("{place}, byte {offset}"),
        };
        let shown = |bytes: &[u8]| {
            let text = text::value(leaf.kind, leaf.role, bytes);
            if leaf.units.is_empty() {
                text
            } else {
                format!("{text} {}", leaf.units)
            }
        };
        self.differ(
            leaf.path.to_string(),
            place,
            shown(expected),
            shown(found),
            reason,
        );
    }
}

fn tied(space: &Space, untied: Untied) -> Reason {
    match untied {
        Untied::Fixed => Reason::Value,
        Untied::Expected { to, since } => Reason::ExpectedIsTied {
            to: space.show(to),
            since,
        },
        Untied::Found { to, since } => Reason::FoundIsTied {
            to: space.show(to),
            since,
        },
    }
}

fn shape(argument: &Argument) -> String {
    match argument {
        Argument::Unused => "nothing".to_owned(),
        Argument::Value(value) => format!("the number {value:#x}"),
        Argument::Block(block) => direction(block.direction).to_owned(),
    }
}

const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Read => "memory to read",
        Direction::Write => "memory to write",
        Direction::ReadWrite => "memory to read and write",
    }
}

const fn target(target: &Target) -> &'static str {
    match target {
        Target::Block(_) => "memory for the call",
        Target::Pages { .. } => "shared pages",
        Target::Address(_) => "an address",
    }
}
