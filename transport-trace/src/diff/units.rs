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
    /// Bytes of memory that all of it takes.
    pub(super) memory: u64,
}

/// Bytes that the changes of pages around a call may take: many more than a program makes. What is beyond is not compared.
const MAX_CHANGES: u64 = 1 << 20;
const MANY_CHANGES: &str = "more changes of shared pages around a call than are compared";

/// Makes units of entries.
pub(super) struct Units<I: Iterator<Item = Entry>> {
    entries: Peekable<I>,
    enter: Vec<PageChange>,
    /// Bytes that they take, and those of the call that is made of them.
    memory: u64,
    /// Where there were more changes than are kept.
    dropped: Option<u64>,
}

impl<I: Iterator<Item = Entry>> Units<I> {
    pub(super) fn new(entries: I) -> Self {
        Self {
            entries: entries.peekable(),
            enter: Vec::new(),
            memory: 0,
            dropped: None,
        }
    }

    /// Keeps a change, if there is room.
    fn keep(&mut self, change: PageChange, exit: Option<&mut Vec<PageChange>>) {
        let index = change.index;
        let entry = Entry::Pages(change);
        let memory = self.memory.saturating_add(entry.memory());
        let Entry::Pages(change) = entry else { return };
        if memory > MAX_CHANGES {
            self.dropped.get_or_insert(index);
            return;
        }
        self.memory = memory;
        exit.unwrap_or(&mut self.enter).push(change);
    }

    /// The changes of pages behind the lane's last call, once there are no more units.
    pub(super) fn behind(self) -> Vec<PageChange> {
        self.enter
    }
}

impl<I: Iterator<Item = Entry>> Iterator for Units<I> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        loop {
            // It is told once, before the call that they belong to.
            let told = self
                .entries
                .peek()
                .is_none_or(|next| matches!(next, Entry::Call(_)));
            if told && let Some(index) = self.dropped.take() {
                return Some(Unit::Missing {
                    index,
                    count: Some(0),
                    why: MANY_CHANGES.to_owned(),
                });
            }
            match self.entries.next()? {
                entry @ Entry::Call(_) => {
                    let of_call = entry.memory();
                    let Entry::Call(call) = entry else { continue };
                    let mut exit = Vec::new();
                    while let Some(Entry::Pages(change)) = self.entries.next_if(
                        |next| matches!(next, Entry::Pages(change) if change.when == When::Exit),
                    ) {
                        self.keep(change, Some(&mut exit));
                    }
                    let enter = std::mem::take(&mut self.enter);
                    let memory = std::mem::take(&mut self.memory).saturating_add(of_call);
                    return Some(Unit::Call(Box::new(Around {
                        call,
                        enter,
                        exit,
                        memory,
                    })));
                }
                Entry::Pages(change) => self.keep(change, None),
                Entry::Lost(lost) => {
                    let why = lost.cause.to_string();
                    return Some(Unit::Missing {
                        index: lost.index,
                        count: lost.how_many(),
                        why,
                    });
                }
                // Nothing of this lane's is missing there. What may be of any lane is told once, not in each.
                Entry::Damaged(damaged) if damaged.took_nothing() || damaged.lane.is_none() => {}
                Entry::Damaged(damaged) => {
                    return Some(Unit::Missing {
                        index: damaged.index.unwrap_or(0),
                        count: damaged.how_many(),
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
