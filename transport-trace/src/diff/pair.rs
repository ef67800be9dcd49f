//! Compares two calls that were aligned.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::units::Around;
use crate::entry::{Call, Outcome, PageChange};
use crate::replay::bind::{Bindings, Seen, Trial};
use crate::replay::compare::{Rules, outputs, requests};
use crate::replay::{FieldDifference, Reason, failure, text};
use crate::schema::ResultKind;

/// The values in which two calls differ: what went in, what came out, what changed in pages.
pub(crate) fn differences(
    left: &Call,
    right: &Call,
    bindings: &mut Bindings,
    lane: &str,
) -> Vec<FieldDifference> {
    let schema = left.schema.as_deref();
    let seen = Seen {
        lane: lane.to_owned(),
        index: left.index,
    };
    let rules = Rules {
        hash: None,
        takes_part: None,
        // A trace does not say where its calls' results stand.
        result: None,
    };
    let given = bindings.given_in_rax(schema);
    let mut trial = Trial::new(bindings);
    let mut out = requests(schema, &left.args, &right.args, rules, &mut trial);
    let rax = |call: &Call| call.rax().and_then(|rax| u64::try_from(rax).ok());
    let named = match (given, rax(left), rax(right)) {
        (Some(space), Some(ours), Some(theirs)) => trial.renew(&space, ours, theirs).is_ok(),
        _ => false,
    };
    if !named {
        out.extend(outcome(left, right));
    }
    let gives = |place| match schema.map(|schema| &schema.result) {
        Some(ResultKind::Yielded(register)) => {
            crate::replay::leaf::place_of(*register, false) == place
        }
        _ => false,
    };
    for (place, block) in left.blocks() {
        let theirs = right
            .block(place)
            .and_then(crate::entry::Block::after_bytes);
        // What a refused call leaves behind is what went in, which was compared.
        if block.direction != hypercall_core::call::Direction::Read
            && let (Some(ours), Some(theirs)) = (block.after_bytes(), theirs)
            && left.rax().is_some()
            && (named || left.rax() == right.rax())
        {
            out.extend(outputs(
                schema,
                place,
                &ours,
                &theirs,
                gives(place),
                rules,
                &mut trial,
            ));
        }
    }
    let new = trial.new;
    new.iter().for_each(|tie| bindings.tie(tie, &seen));
    // A value that only comes back as it went in is told once.
    let mut told = HashSet::new();
    let first: Vec<bool> = out.iter().map(|one| told.insert(one)).collect();
    let with = out.into_iter().zip(first);
    with.filter_map(|(one, first)| first.then_some(one))
        .collect()
}

/// In what the answers differ, memory apart.
pub(crate) fn outcome(left: &Call, right: &Call) -> Option<FieldDifference> {
    let same = match (&left.outcome, &right.outcome) {
        (Outcome::Failed(left), Outcome::Failed(right)) => {
            failure::kind(left) == failure::kind(right)
        }
        (left, right) => left == right,
    };
    (!same).then(|| FieldDifference {
        field: "RAX".to_owned(),
        place: "RAX".to_owned(),
        expected: text::answer(left),
        found: text::answer(right),
        reason: Reason::Value,
    })
}

/// In what the pages around two calls differ.
pub(super) fn pages(left: &Around, right: &Around) -> Vec<FieldDifference> {
    let mut out = changes("before the call", &left.enter, &right.enter);
    out.extend(changes("after the call", &left.exit, &right.exit));
    out
}

/// In what changes of pages differ that came at the same time.
pub(super) fn changes(
    when: &str,
    ours: &[PageChange],
    theirs: &[PageChange],
) -> Vec<FieldDifference> {
    let mut out = Vec::new();
    let (ours, theirs) = (words(ours), words(theirs));
    let all: BTreeSet<_> = ours.keys().chain(theirs.keys()).copied().collect();
    for (page, offset) in all {
        let find = |words: &Words| {
            let found = words.get(&(page, offset));
            found.map_or_else(|| "unchanged".to_owned(), |word| format!("{word:#x}"))
        };
        let (expected, found) = (find(&ours), find(&theirs));
        if expected != found {
            out.push(FieldDifference {
                field: format!("page {page}, word at {offset:#x}, {when}"),
                place: format!("page {page}, byte {offset:#x}"),
                expected,
                found,
                reason: Reason::Value,
            });
        }
    }
    out
}

/// What words of pages hold, by page and offset.
type Words = BTreeMap<(u32, u32), u32>;

/// The words that changed, as they were last.
fn words(changes: &[PageChange]) -> Words {
    let mut words = Words::new();
    for change in changes {
        for run in &change.runs {
            for (offset, word) in (run.offset..).step_by(4).zip(run.after.as_chunks::<4>().0) {
                words.insert((change.page, offset), u32::from_le_bytes(*word));
            }
        }
    }
    words
}
