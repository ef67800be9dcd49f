//! The calls of a lane, each with the changes of pages around it.

use std::iter::Peekable;

use crate::entry::{Call, Entry, PageChange, When};
use crate::format::record::kind::OTHERS;

/// A call or a place where calls are missing.
#[derive(Clone, Debug)]
pub(super) enum Unit {
    Call(Box<Around>),
    Missing {
        index: u64,
        count: Option<u64>,
        why: String,
    },
}

/// A call with the changes of pages around it.
#[derive(Clone, Debug)]
pub(super) struct Around {
    pub(super) call: Call,
    /// At its entry, or since the call before.
    pub(super) enter: Vec<PageChange>,
    /// At its return.
    pub(super) exit: Vec<PageChange>,
}

/// Makes units of entries.
pub(super) struct Units<I: Iterator<Item = Entry>> {
    entries: Peekable<I>,
    enter: Vec<PageChange>,
}

impl<I: Iterator<Item = Entry>> Units<I> {
    pub(super) fn new(entries: I) -> Self {
        Self {
            entries: entries.peekable(),
            enter: Vec::new(),
        }
    }
}

impl<I: Iterator<Item = Entry>> Iterator for Units<I> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        loop {
            match self.entries.next()? {
                Entry::Call(call) => {
                    let mut exit = Vec::new();
                    while let Some(Entry::Pages(change)) = self.entries.next_if(
                        |next| matches!(next, Entry::Pages(change) if change.when == When::Exit),
                    ) {
                        exit.push(change);
                    }
                    let enter = std::mem::take(&mut self.enter);
                    return Some(Unit::Call(Box::new(Around { call, enter, exit })));
                }
                Entry::Pages(change) => self.enter.push(change),
                Entry::Lost(lost) => {
                    let why = lost.cause.to_string();
                    return Some(Unit::Missing {
                        index: lost.index,
                        count: lost.how_many(),
                        why,
                    });
                }
                // The file's own header held no calls.
                Entry::Damaged(damaged) if damaged.offset == 0 => {}
                Entry::Damaged(damaged) => {
                    let count = damaged.entries.map(u64::from);
                    return Some(Unit::Missing {
                        index: 0,
                        count,
                        why: damaged.defect.to_string(),
                    });
                }
                Entry::Unknown(unknown) => {
                    let kind = unknown.kind;
                    return Some(Unit::Missing {
                        index: unknown.index,
                        count: Some(u64::from(kind < OTHERS)),
                        why: format!("a record of kind {kind}, which this version does not know"),
                    });
                }
            }
        }
    }
}
