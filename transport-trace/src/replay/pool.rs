//! Pools: lanes that several threads shared when they were recorded.
//!
//! A recorder's shared lane `pool` gives the lanes `pool`, `pool.1`, `pool.2` and so on, and which of them a call is in is
//! chance where calls overlapped. So they are one lane again, in the order of time, and a call is answered by key.

use super::tape::{Item, Tape};
use crate::entry::{Argument, Block, Entry, Link, Target};

/// Pages of each lane of a pool have numbers of their own.
const PAGES: u32 = 1 << 16;

/// Which lane of a pool a name is of.
pub(super) fn number(pool: &str, name: &str) -> Option<u32> {
    match name.strip_prefix(pool)? {
        "" => Some(0),
        rest => rest.strip_prefix('.')?.parse().ok(),
    }
}

/// An entry with the pages' numbers of its lane of the pool.
pub(super) fn renumbered(entry: &Entry, number: u32) -> Entry {
    let base = number.saturating_mul(PAGES);
    let mut entry = entry.clone();
    match &mut entry {
        Entry::Pages(change) => change.page = change.page.saturating_add(base),
        Entry::Call(call) => {
            for argument in &mut call.args {
                if let Argument::Block(Block {
                    link:
                        Some(Link {
                            target:
                                Target::Pages {
                                    page: Some(page), ..
                                },
                            ..
                        }),
                    ..
                }) = argument
                {
                    *page = page.saturating_add(base);
                }
            }
        }
        _ => {}
    }
    entry
}

/// Joins the records of another lane of the pool, in the order of time.
pub(super) fn join(tape: &mut Tape, other: Tape) {
    let mut all = timed(core::mem::take(&mut tape.items));
    all.extend(timed(other.items));
    all.sort_by_key(|(ticks, _)| *ticks);
    tape.items = all.into_iter().map(|(_, item)| item).collect();
    tape.pages.absorb(other.pages);
}

/// Each item with its time. A gap stands where the record before it stands.
fn timed(items: Vec<Item>) -> Vec<(u64, Item)> {
    let mut last = 0;
    let with_time = items.into_iter().map(|item| {
        if let Item::Record(record) = &item {
            last = record.call.enter;
        }
        (last, item)
    });
    with_time.collect()
}
