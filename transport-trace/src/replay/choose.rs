//! Chooses the record that answers a live call.

use std::sync::Arc;

use hypercall_core::schema::Role;

use super::bind::{Bindings, Tie, Trial};
use super::compare::{Hash, ResultAt, Rules, requests};
use super::difference::FieldDifference;
use super::leaf::{each_in_block, each_in_register};
use super::options::{Mode, Options};
use super::report::Cause;
use super::tape::{Item, Tape};
use crate::entry::{Argument, Call};
use crate::record::Redaction;

/// How far ahead a loose replay looks for a call.
const AHEAD: usize = 256;

/// A live call.
#[derive(Debug)]
pub(crate) struct Live {
    /// What goes in.
    pub(crate) call: Call,
    /// Where its result stands in a block.
    pub(crate) result: Option<ResultAt>,
}

impl std::ops::Deref for Live {
    type Target = Call;

    fn deref(&self) -> &Call {
        &self.call
    }
}

/// The record that answers.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// Its place on the tape.
    pub(crate) at: usize,
    /// What the call ties.
    pub(crate) ties: Vec<Tie>,
}

/// No record answers.
#[derive(Debug)]
pub(crate) struct Nothing {
    pub(crate) cause: Cause,
    pub(crate) differences: Vec<FieldDifference>,
}

impl Nothing {
    /// For a reason that needs no more words.
    pub(crate) const fn because(cause: Cause) -> Self {
        Self {
            cause,
            differences: Vec::new(),
        }
    }
}

/// How a record and a live call differ; `None` where they are different calls.
pub(crate) fn try_record(
    options: &Options,
    bindings: &Bindings,
    recorded: &Call,
    live: &Live,
) -> Option<Result<Vec<Tie>, Vec<FieldDifference>>> {
    if !same_call(recorded, live) {
        return None;
    }
    let hash = options
        .secret_key
        .map(|key| move |bytes: &[u8]| hash_secret(key, bytes));
    let takes_part = |path: &str| options.takes_part(live.name(), path);
    let rules = Rules {
        hash: hash.as_ref().map(|hash| -> Hash<'_> { hash }),
        takes_part: options
            .leaves_out(live.name())
            .then_some(&takes_part as &dyn Fn(&str) -> bool),
        result: live.result,
    };
    let mut trial = Trial::new(bindings);
    let schema = recorded.schema.as_deref();
    let differences = requests(schema, &recorded.args, &live.args, rules, &mut trial);
    Some(if differences.is_empty() {
        Ok(trial.new)
    } else {
        Err(differences)
    })
}

/// Hashes a secret as the recorder does.
fn hash_secret(key: [u8; 16], secret: &[u8]) -> Vec<u8> {
    let mut hash = vec![0; secret.len()];
    Redaction::Hash(key).replace(secret, |at, part| crate::format::put(&mut hash, at, part));
    hash
}

/// Whether two calls are the same method.
pub(crate) fn same_call(one: &Call, other: &Call) -> bool {
    match (&one.schema, &other.schema) {
        (Some(one), Some(other)) => {
            Arc::ptr_eq(one, other)
                || (one.number == other.number
                    && one.name == other.name
                    && one.interface == other.interface)
        }
        (None, None) => one.number == other.number,
        _ => false,
    }
}

/// Whether a call has a value that a recorder hides.
pub(crate) fn has_secret(call: &Call) -> bool {
    let schema = call.schema.as_deref();
    let mut found = false;
    for number in 0..2 {
        if matches!(call.args.get(number), Some(Argument::Value(_))) {
            each_in_register(schema, number, &mut |leaf| {
                found |= leaf.role == Role::Secret;
            });
        }
    }
    for (place, block) in call.blocks() {
        each_in_block(schema, place, block.length, &mut |leaf| {
            found |= leaf.role == Role::Secret;
        });
    }
    found
}

/// Chooses by the options.
pub(crate) fn choose(
    options: &Options,
    bindings: &Bindings,
    tape: &mut Tape,
    live: &Live,
) -> Result<Chosen, Nothing> {
    tape.advance();
    let mode = if tape.pool { Mode::Keyed } else { options.mode };
    let head = tape.head;
    let group = tape.record(head).and_then(|record| record.group);
    let one = mode == Mode::Strict && group.is_none();
    // One that fits if names mean something else than they say. Where the order is open, one that needs no such thing is
    // taken before it.
    let mut renamed = None;
    let mut due = None;
    for at in tape.left.range(head..).copied() {
        let record = match tape.items.get(at) {
            None => continue,
            // What fits may be among those that are missing.
            Some(item @ Item::Missing { .. }) => {
                due = item.loss().map(Nothing::because);
                break;
            }
            Some(Item::Record(record)) => record,
        };
        let within = match mode {
            Mode::Strict => at == head || (group.is_some() && record.group == group),
            Mode::Keyed => true,
            Mode::Loose => at.saturating_sub(head) <= AHEAD,
        };
        if !within {
            break;
        }
        match try_record(options, bindings, &record.call, live) {
            Some(Ok(ties)) => {
                let in_order = one || mode == Mode::Loose;
                if in_order || ties.iter().all(|tie| tie.expected == tie.found) {
                    return Ok(Chosen { at, ties });
                }
                renamed.get_or_insert(Chosen { at, ties });
            }
            // Where several records could have answered, the first of them is not the one that was due.
            _ if !one => due = Some(Nothing::because(Cause::NoMatch)),
            Some(Err(differences)) => {
                due = Some(Nothing {
                    cause: Cause::OtherArguments,
                    differences,
                });
            }
            None => due = Some(Nothing::because(Cause::OtherCall)),
        }
    }
    renamed.ok_or_else(|| due.unwrap_or_else(|| Nothing::because(Cause::End)))
}
