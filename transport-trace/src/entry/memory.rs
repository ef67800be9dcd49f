//! How much memory an entry takes: for those who keep many.

use super::{After, Argument, Block, Call, Entry, Failure, Outcome, PageChange, Run, Target};

/// What an allocator takes for each piece beside its bytes, more or less.
const EACH: usize = 16;

/// Bytes of a piece of memory with so many of them.
const fn piece(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        some => some.saturating_add(EACH),
    }
}

impl Entry {
    /// The bytes of memory that the entry takes, with all that it owns: what an allocator adds is guessed, and the description
    /// of a call, which calls have in common, is left out.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let owned = match self {
            Self::Call(call) => of_call(call),
            Self::Pages(change) => of_change(change),
            Self::Unknown(unknown) => piece(unknown.bytes.capacity()),
            Self::Lost(_) | Self::Damaged(_) => 0,
        };
        u64::try_from(size_of::<Self>().saturating_add(owned)).unwrap_or(u64::MAX)
    }
}

fn of_call(call: &Call) -> usize {
    let blocks = call.args.iter().filter_map(Argument::block).map(of_block);
    let texts = match &call.outcome {
        Outcome::Failed(failure) => of_failure(failure),
        Outcome::Returned(_) | Outcome::Unfinished => 0,
    };
    blocks.fold(texts, usize::saturating_add)
}

fn of_block(block: &Block) -> usize {
    let after = match &block.after {
        After::Changed(bytes) => piece(bytes.capacity()),
        After::Unfinished | After::Unchanged => 0,
    };
    let nested = match block.link.as_ref().map(|link| &link.target) {
        // A nested block points at nothing: one level is all that a record has.
        Some(Target::Block(nested)) => piece(size_of::<Block>()).saturating_add(of_block(nested)),
        _ => 0,
    };
    piece(block.before.capacity())
        .saturating_add(after)
        .saturating_add(nested)
}

fn of_failure(failure: &Failure) -> usize {
    let texts = match failure {
        Failure::Untranslatable { .. } | Failure::Fault(_) => [0; 2],
        Failure::Layer { layer, reason } => [layer.capacity(), reason.capacity()],
        Failure::Crashed(why)
        | Failure::Hung(why)
        | Failure::Unsupported(why)
        | Failure::Unexpected(why)
        | Failure::Lost(why) => [why.capacity(), 0],
        Failure::Other { text, more, .. } => [text.capacity(), more.capacity()],
    };
    texts.into_iter().map(piece).fold(0, usize::saturating_add)
}

fn of_change(change: &PageChange) -> usize {
    let runs = change
        .runs
        .iter()
        .map(|run| piece(run.before.capacity()).saturating_add(piece(run.after.capacity())));
    let list = change.runs.capacity().saturating_mul(size_of::<Run>());
    runs.fold(piece(list), usize::saturating_add)
}
