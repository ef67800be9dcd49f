//! The records of one lane, in their order, each with what belongs to it.

use std::collections::BTreeSet;

use super::continuity::Continuity;
use super::hole::Hole;
use super::notes::Notes;
use super::options::{Group, Options};
use super::pages::Pages;
use super::pool;
use super::recorded::{LaneEntries, Recorded};
use super::report::Cause;
use super::run::Gap;
use crate::entry::{Call, Entry, PageChange, When};

/// Why calls are missing that no record tells of.
const DAMAGED: &str = "the trace is damaged";
const GAP: &str = "a change of a shared page is not there: the next one starts from something else";
/// Why nobody knows what a page held.
const LATE: &str =
    "the ring had no room for a change of a shared page, which stands later than it came";

/// One lane of a trace that is replayed.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    /// The lane's name.
    pub(crate) name: String,
    /// Records and gaps in their order.
    pub(crate) items: Vec<Item>,
    /// The first item that was neither used nor passed.
    pub(crate) head: usize,
    /// The items that are neither used nor passed: open records, and gaps that are not crossed.
    pub(crate) left: BTreeSet<usize>,
    /// How many calls the live program made.
    pub(crate) made: u64,
    /// Looks in a row that found nothing, where the trace has nothing more to show before the next call; before them, how many
    /// [moves](super::answer::State::moves) there were.
    pub(crate) idle: (u64, u64),
    /// The program asked for the lane.
    pub(crate) taken: bool,
    /// The items that were used, in the order of their use.
    pub(crate) used: Vec<usize>,
    /// The lane's shared pages.
    pub(crate) pages: Pages,
    /// Changes of pages behind the last call.
    pub(crate) tail: Notes,
    /// The item whose notes were written ahead.
    pub(crate) ahead: Option<usize>,
    /// Gaps are no ends.
    pub(crate) crosses: bool,
    /// Calls overlapped when they were recorded: their order does not matter.
    pub(crate) pool: bool,
}

/// The tapes of a trace.
pub(crate) fn tapes(recorded: &Recorded, options: &Options) -> Vec<Tape> {
    let mut tapes: Vec<Tape> = Vec::new();
    for LaneEntries { name, entries, .. } in recorded.by_lane(true) {
        let belongs = options
            .pools
            .iter()
            .find_map(|of| Some((of, pool::number(of, &name)?)));
        let Some((of, number)) = belongs else {
            tapes.push(Tape::new(
                name,
                entries.into_iter().cloned(),
                &options.groups,
                options.cross_losses,
            ));
            continue;
        };
        let entries = entries
            .into_iter()
            .map(|entry| pool::renumbered(entry, number));
        let part = Tape::new(of.clone(), entries, &[], options.cross_losses);
        match tapes.iter_mut().find(|tape| tape.name == *of) {
            Some(tape) => pool::join(tape, part),
            None => tapes.push(Tape { pool: true, ..part }),
        }
    }
    for tape in &mut tapes {
        let items = tape.items.iter().enumerate();
        let left = items.filter(|(_, item)| !matches!(item, Item::Missing { crossed: true, .. }));
        tape.left = left.map(|(at, _)| at).collect();
    }
    tapes
}

/// A record, or a place where some are missing.
#[derive(Debug)]
pub(crate) enum Item {
    Record(Box<Record>),
    Missing {
        /// `None` where nobody knows; 0 where what a page held on the way is missing.
        count: Option<u64>,
        why: String,
        crossed: bool,
    },
}

impl Item {
    /// Why nothing can be answered here, where calls are missing that are not crossed.
    pub(crate) fn loss(&self) -> Option<Cause> {
        match self {
            Self::Missing {
                count,
                why,
                crossed: false,
            } => {
                let why = why.clone();
                Some(match count {
                    Some(count) => Cause::Missing { count: *count, why },
                    None => Cause::MissingUnknown { why },
                })
            }
            _ => None,
        }
    }
}

/// A call with the changes of pages around it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) call: Call,
    /// Changes that the program asked for between the call before and this one.
    pub(crate) notes: Notes,
    /// Changes at its entry.
    pub(crate) enter: Vec<PageChange>,
    /// Changes at its return.
    pub(crate) exit: Vec<PageChange>,
    /// The live call that it answered.
    pub(crate) used: Option<u64>,
    /// It was passed over.
    pub(crate) skipped: bool,
    /// Neighbours with the same number may be made in any order.
    pub(crate) group: Option<usize>,
}

impl Record {
    fn new(call: Call) -> Self {
        Self {
            call,
            notes: Notes::default(),
            enter: Vec::new(),
            exit: Vec::new(),
            used: None,
            skipped: false,
            group: None,
        }
    }

    /// Whether it can still answer a call.
    pub(crate) const fn is_open(&self) -> bool {
        self.used.is_none() && !self.skipped
    }
}

impl Tape {
    /// The lane's entries as a tape.
    pub(crate) fn new(
        name: String,
        entries: impl Iterator<Item = Entry>,
        groups: &[Group],
        crosses: bool,
    ) -> Self {
        let mut tape = Self {
            name,
            crosses,
            ..Self::default()
        };
        let (mut notes, mut enter) = (Notes::default(), Vec::new());
        let mut expected: Option<u64> = None;
        let mut continuity = Continuity::default();
        let mut damaged: Option<Hole> = None;
        for entry in entries {
            match entry {
                Entry::Call(call) => {
                    // Where a trace begins is no gap, unless something stood before.
                    let due = expected.or(damaged.map(|hole| hole.first.unwrap_or(0)));
                    let damaged = damaged.take().is_some();
                    let missing = due.and_then(|due| call.index.checked_sub(due));
                    match missing {
                        Some(count @ 1..) => tape.missing(Some(count), DAMAGED.to_owned()),
                        // Changes of pages, at the least.
                        _ if damaged => tape.missing(Some(0), DAMAGED.to_owned()),
                        _ => {}
                    }
                    expected = Some(call.index.saturating_add(1));
                    let mut record = Record::new(call);
                    record.notes = core::mem::take(&mut notes);
                    record.enter = core::mem::take(&mut enter);
                    tape.items.push(Item::Record(Box::new(record)));
                }
                Entry::Lost(lost) => {
                    let due = expected.unwrap_or(lost.index);
                    if let Some(count @ 1..) = lost.index.checked_sub(due) {
                        tape.missing(Some(count), DAMAGED.to_owned());
                    }
                    expected = Some(lost.index.saturating_add(lost.count).max(due));
                    tape.missing(lost.how_many(), lost.cause.to_string());
                }
                Entry::Pages(change) => {
                    let follows = continuity.follows(&change);
                    if change.late {
                        tape.missing(Some(0), LATE.to_owned());
                    } else if !follows && !matches!(tape.items.last(), Some(Item::Missing { .. })) {
                        tape.missing(Some(0), GAP.to_owned());
                    }
                    if change.when != When::Enter {
                        tape.pages.learn(&change);
                    }
                    match (change.when, tape.items.last_mut()) {
                        (When::Enter, _) => enter.push(change),
                        (When::Exit, Some(Item::Record(record))) => record.exit.push(change),
                        (When::Note | When::Exit, _) => notes.push(change),
                    }
                }
                Entry::Damaged(stretch) if stretch.took_nothing() => {}
                // The gap in the indices tells how many calls it had.
                Entry::Damaged(stretch) => damaged.get_or_insert_default().pass(&stretch),
                // Whatever the program did there, it is a call, and nothing can answer it.
                Entry::Unknown(unknown) if unknown.is_call() => {
                    let due = expected.unwrap_or(unknown.index);
                    if let Some(count @ 1..) = unknown.index.checked_sub(due) {
                        tape.missing(Some(count), DAMAGED.to_owned());
                    }
                    expected = Some(unknown.index.saturating_add(1).max(due));
                    let why = format!(
                        "a record of kind {}, which this version does not know",
                        unknown.kind
                    );
                    tape.missing(Some(1), why);
                }
                Entry::Unknown(_) => {}
            }
        }
        if let Some(hole) = damaged {
            tape.missing(hole.until_the_end(expected), DAMAGED.to_owned());
        }
        tape.tail = notes;
        tape.group(groups);
        tape
    }

    fn missing(&mut self, count: Option<u64>, why: String) {
        self.items.push(Item::Missing {
            count,
            why,
            crossed: self.crosses,
        });
    }

    fn group(&mut self, groups: &[Group]) {
        let mut next: usize = 0;
        for group in groups {
            let mut inside = false;
            for item in &mut self.items {
                let belongs = match (item, group) {
                    (Item::Record(record), Group::Calls(names)) => {
                        let name = record.call.name();
                        names.iter().any(|wanted| wanted == name).then_some(record)
                    }
                    (Item::Record(record), Group::Range(lane, first, last)) => {
                        let within = (*first..=*last).contains(&record.call.index);
                        (*lane == self.name && within).then_some(record)
                    }
                    (Item::Missing { .. }, _) => None,
                };
                match belongs {
                    Some(record) => {
                        if !core::mem::replace(&mut inside, true) {
                            next = next.saturating_add(1);
                        }
                        record.group.get_or_insert(next);
                    }
                    None => inside = false,
                }
            }
        }
    }

    /// The record at a place.
    pub(crate) fn record(&self, at: usize) -> Option<&Record> {
        match self.items.get(at) {
            Some(Item::Record(record)) => Some(record),
            _ => None,
        }
    }

    /// The record at a place.
    pub(crate) fn record_mut(&mut self, at: usize) -> Option<&mut Record> {
        match self.items.get_mut(at) {
            Some(Item::Record(record)) => Some(record),
            _ => None,
        }
    }

    /// Looks in a row that found nothing while no lane went on.
    pub(crate) const fn idle(&self, moves: u64) -> u64 {
        match self.idle {
            (since, looks) if since == moves => looks,
            _ => 0,
        }
    }

    /// Moves the head behind everything that is done.
    pub(crate) fn advance(&mut self) {
        while let Some(item) = self.items.get(self.head) {
            match item {
                Item::Record(record) if record.is_open() => break,
                Item::Missing { crossed: false, .. } => break,
                _ => self.head = self.head.saturating_add(1),
            }
        }
    }

    /// The records that can still answer a call, from the head on.
    pub(crate) fn open(&self) -> impl Iterator<Item = (usize, &Record)> {
        let items = self.items.iter().enumerate().skip(self.head);
        items.filter_map(|(at, item)| match item {
            Item::Record(record) if record.is_open() => Some((at, &**record)),
            _ => None,
        })
    }

    /// The places where calls are missing that were not crossed.
    pub(crate) fn gaps(&self) -> Vec<Gap> {
        let mut after = None;
        let mut gaps = Vec::new();
        for (at, item) in self.items.iter().enumerate() {
            match item {
                Item::Record(record) => after = Some(record.call.index),
                Item::Missing {
                    count,
                    why,
                    crossed: false,
                } if at >= self.head => gaps.push(Gap {
                    lane: self.name.clone(),
                    after,
                    count: *count,
                    why: why.clone(),
                }),
                Item::Missing { .. } => {}
            }
        }
        gaps
    }

    /// The notes before the next call; `None` where nobody knows what was seen here.
    pub(crate) fn next_notes(&mut self) -> Option<&mut Notes> {
        self.advance();
        match self.items.get_mut(self.head) {
            Some(Item::Record(record)) => Some(&mut record.notes),
            Some(Item::Missing { .. }) => None,
            None => Some(&mut self.tail),
        }
    }
}
