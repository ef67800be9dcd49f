//! Goes through one lane of two traces, window by window.

use std::collections::HashMap;

use super::align::{Step, align};
use super::key::Keys;
use super::pair;
use super::units::{Unit, Units};
use super::{Diff, Difference, Options};
use crate::entry::Entry;
use crate::replay::bind::Bindings;
use crate::replay::{Line, text};
use crate::schema::Schema;

/// Calls of each trace that are looked at together.
const WINDOW: usize = 512;
/// Calls of each trace among which the next common one is looked for, where a window has none.
const FAR: usize = 16 * WINDOW;

/// A comparison under way.
pub(super) struct Work<'s> {
    options: Options,
    sink: &'s mut dyn FnMut(Vec<Difference>, u64) -> bool,
    /// Calls of the first trace that were looked at.
    seen: u64,
    bindings: Bindings,
    keys: (Keys, Keys),
    /// Of traces that were joined from several recordings, which one.
    recording: Option<u32>,
    lane: String,
    pub(super) out: Diff,
}

/// Units that are looked at, with their keys.
#[derive(Default)]
struct Window {
    keys: Vec<u64>,
    units: Vec<Unit>,
    /// Bytes of memory that they take.
    memory: u64,
    ended: bool,
}

/// Bytes of memory that a window may take; a call alone may take more. It has fewer calls then.
const WINDOW_MEMORY: u64 = 64 << 20;

fn memory(unit: &Unit) -> u64 {
    match unit {
        Unit::Call(around) => around.memory,
        Unit::Missing { .. } => 0,
    }
}

impl Window {
    fn fill(&mut self, from: &mut impl Iterator<Item = Unit>, keys: &mut Keys, length: usize) {
        while !self.ended && self.units.len() < length {
            if self.memory > WINDOW_MEMORY {
                break;
            }
            match from.next() {
                Some(unit) => {
                    self.memory = self.memory.saturating_add(memory(&unit));
                    self.keys.push(keys.next(&unit));
                    self.units.push(unit);
                }
                None => self.ended = true,
            }
        }
    }

    /// The keys of the first calls.
    fn near(&self) -> &[u64] {
        self.keys.get(..WINDOW).unwrap_or(&self.keys)
    }

    /// Whether nothing follows behind the first calls.
    fn is_last(&self) -> bool {
        self.ended && self.keys.len() <= WINDOW
    }

    fn take(&mut self, count: usize) -> Vec<Unit> {
        let count = count.min(self.units.len());
        self.keys.drain(..count.min(self.keys.len()));
        let taken: Vec<_> = self.units.drain(..count).collect();
        let gone = taken.iter().map(memory).fold(0, u64::saturating_add);
        self.memory = self.memory.saturating_sub(gone);
        taken
    }
}

impl<'s> Work<'s> {
    pub(super) fn new(
        options: Options,
        schema: &Schema,
        sink: &'s mut dyn FnMut(Vec<Difference>, u64) -> bool,
    ) -> Self {
        Self {
            options,
            sink,
            seen: 0,
            bindings: Bindings::of(schema),
            keys: (Keys::default(), Keys::default()),
            recording: None,
            lane: String::new(),
            out: Diff::default(),
        }
    }

    /// Begins a recording: what is called how in those before says nothing of it.
    pub(super) fn begin(&mut self, recording: Option<u32>) {
        self.recording = recording;
        let next = self.bindings.anew();
        let last = std::mem::replace(&mut self.bindings, next);
        self.out.untied = self.out.untied.saturating_add(last.untied());
        self.keys = Default::default();
    }

    /// Hands out what was found. Whether to go on.
    pub(super) fn hand_out(&mut self) -> bool {
        (self.sink)(std::mem::take(&mut self.out.differences), self.seen)
    }

    /// What came of it.
    pub(super) fn finish(self) -> Diff {
        Diff {
            untied: self.out.untied.saturating_add(self.bindings.untied()),
            ..self.out
        }
    }

    /// Counts calls of the first trace as looked at.
    fn count(&mut self, left: &[Unit]) {
        let more = u64::try_from(left.len()).unwrap_or(0);
        self.seen = self.seen.saturating_add(more);
    }

    /// Compares one lane. Whether to go on.
    pub(super) fn lanes(
        &mut self,
        name: &str,
        mut left: Units<impl Iterator<Item = Entry>>,
        mut right: Units<impl Iterator<Item = Entry>>,
    ) -> bool {
        name.clone_into(&mut self.lane);
        let (mut ours, mut theirs) = (Window::default(), Window::default());
        loop {
            ours.fill(&mut left, &mut self.keys.0, WINDOW);
            theirs.fill(&mut right, &mut self.keys.1, WINDOW);
            if ours.units.is_empty() && theirs.units.is_empty() {
                self.behind(left, right);
                return true;
            }
            let steps = align(ours.near(), theirs.near());
            let certain = if ours.is_last() && theirs.is_last() {
                Some(steps.len())
            } else {
                committed(&steps)
            };
            if let Some(certain) = certain {
                let steps = steps.get(..certain).unwrap_or_default();
                self.steps(steps, &mut ours, &mut theirs);
            } else {
                // Nothing in common: many calls were inserted or taken out, or all of them have other values.
                ours.fill(&mut left, &mut self.keys.0, FAR);
                theirs.fill(&mut right, &mut self.keys.1, FAR);
                let next = next_common(&ours.keys, &theirs.keys);
                let (left, right) = next.unwrap_or((WINDOW / 2, WINDOW / 2));
                let (left, right) = (ours.take(left), theirs.take(right));
                self.count(&left);
                self.between(&left, &right);
            }
            if !self.hand_out() {
                return false;
            }
        }
    }

    /// Compares what changed in pages behind a lane's last call.
    fn behind(
        &mut self,
        left: Units<impl Iterator<Item = Entry>>,
        right: Units<impl Iterator<Item = Entry>>,
    ) {
        if self.options.without_pages {
            return;
        }
        let differences = pair::changes("behind the last call", &left.behind(), &right.behind());
        if !differences.is_empty() {
            self.out.differences.push(Difference::PagesBehind {
                recording: self.recording,
                lane: self.lane.clone(),
                differences,
            });
        }
    }

    /// Reports what was aligned. What stands between two aligned calls is aligned by the calls' names.
    fn steps(&mut self, steps: &[Step], ours: &mut Window, theirs: &mut Window) {
        let mut rest = steps;
        while let Some(first) = rest.first() {
            let both = *first == Step::Both;
            let run = rest
                .iter()
                .take_while(|step| (**step == Step::Both) == both)
                .count();
            let (now, later) = rest.split_at_checked(run).unwrap_or((rest, &[]));
            let count = |wanted: Step| now.iter().filter(|step| **step == wanted || both).count();
            let (left, right) = (
                ours.take(count(Step::Left)),
                theirs.take(count(Step::Right)),
            );
            self.count(&left);
            if both {
                for (left, right) in left.iter().zip(&right) {
                    self.pair(left, right);
                }
            } else {
                self.between(&left, &right);
            }
            rest = later;
        }
    }

    fn between(&mut self, left: &[Unit], right: &[Unit]) {
        let (mut left, mut right) = (left, right);
        while !(left.is_empty() && right.is_empty()) {
            let cut = |units: &'_ [Unit]| units.len().min(WINDOW);
            let (Some((ours, later)), Some((theirs, theirs_later))) = (
                left.split_at_checked(cut(left)),
                right.split_at_checked(cut(right)),
            ) else {
                return;
            };
            self.by_name(ours, theirs);
            (left, right) = (later, theirs_later);
        }
    }

    fn by_name<'u>(&mut self, left: &'u [Unit], right: &'u [Unit]) {
        // Each name is compared with all others: as a number, however long it is.
        let mut numbers = HashMap::new();
        let mut names = |units: &'u [Unit]| -> Vec<usize> {
            let number = |unit: &'u Unit| {
                let name = match unit {
                    Unit::Call(around) => (around.call.number, around.call.name()),
                    Unit::Missing { .. } => (0, ""),
                };
                let next = numbers.len();
                *numbers.entry(name).or_insert(next)
            };
            units.iter().map(number).collect()
        };
        let (mut left_at, mut right_at) = (left.iter(), right.iter());
        for step in align(&names(left), &names(right)) {
            match step {
                Step::Both => {
                    if let (Some(left), Some(right)) = (left_at.next(), right_at.next()) {
                        self.pair(left, right);
                    }
                }
                Step::Left => {
                    if let Some(unit) = left_at.next() {
                        self.only(unit, true);
                    }
                }
                Step::Right => {
                    if let Some(unit) = right_at.next() {
                        self.only(unit, false);
                    }
                }
            }
        }
    }

    fn only(&mut self, unit: &Unit, left: bool) {
        let (recording, lane) = (self.recording, self.lane.clone());
        self.out.differences.push(match unit {
            Unit::Call(around) => {
                let call = Line {
                    index: around.call.index,
                    text: text::call(&around.call),
                };
                if left {
                    Difference::OnlyLeft {
                        recording,
                        lane,
                        call,
                    }
                } else {
                    Difference::OnlyRight {
                        recording,
                        lane,
                        call,
                    }
                }
            }
            Unit::Missing { index, count, why } => Difference::Missing {
                recording,
                lane,
                left,
                index: *index,
                count: *count,
                why: why.clone(),
            },
        });
    }

    fn pair(&mut self, left: &Unit, right: &Unit) {
        let (Unit::Call(ours), Unit::Call(theirs)) = (left, right) else {
            self.only(left, true);
            self.only(right, false);
            return;
        };
        let mut found = pair::differences(&ours.call, &theirs.call, &mut self.bindings, &self.lane);
        if !self.options.without_pages {
            found.extend(pair::pages(ours, theirs));
        }
        if found.is_empty() {
            self.out.same = self.out.same.saturating_add(1);
            return;
        }
        let line = |call: &crate::entry::Call| Line {
            index: call.index,
            text: text::call(call),
        };
        self.out.differences.push(Difference::Changed {
            recording: self.recording,
            lane: self.lane.clone(),
            left: line(&ours.call),
            right: line(&theirs.call),
            differences: found,
        });
    }
}

/// How many steps are certain although more calls follow: up to the last aligned call in the first half of the window.
/// `None` where there is none.
fn committed(steps: &[Step]) -> Option<usize> {
    let (mut left, mut right) = (0_usize, 0_usize);
    let mut last = None;
    for (place, step) in steps.iter().enumerate() {
        left = left.saturating_add(usize::from(*step != Step::Right));
        right = right.saturating_add(usize::from(*step != Step::Left));
        if *step == Step::Both {
            last = Some(place.saturating_add(1));
        }
        if left.max(right) >= WINDOW / 2 {
            break;
        }
    }
    last
}

/// How many calls of each stand before the nearest one that both have.
fn next_common(left: &[u64], right: &[u64]) -> Option<(usize, usize)> {
    let mut places = HashMap::new();
    for (place, key) in right.iter().enumerate() {
        places.entry(key).or_insert(place);
    }
    let mut best: Option<(usize, usize)> = None;
    for (place, key) in left.iter().enumerate() {
        let distance = |(left, right): (usize, usize)| left.saturating_add(right);
        if best.is_some_and(|best| distance(best) <= place) {
            break;
        }
        if let Some(other) = places.get(key)
            && best.is_none_or(|best| distance((place, *other)) < distance(best))
        {
            best = Some((place, *other));
        }
    }
    best
}
