//! Which addresses are mapped, as ranges that do not touch each other.
//!
//! Each change costs what it brings and what it takes away, whatever else there is: a trace may be made to hurt, with a call
//! for each byte that it has.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Ranges that are laid over others before these are copied.
const MAX_LAID_OVER: usize = 256;

/// Ranges without gaps, each by its first address with the one behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage(BTreeMap<u64, u64>);

impl Coverage {
    /// The range that an address is in.
    fn at(&self, address: u64) -> Option<(u64, u64)> {
        let (start, end) = self.0.range(..=address).next_back()?;
        (*end > address).then_some((*start, *end))
    }

    /// The first range with an address in this one.
    fn first(&self, start: u64, end: u64) -> Option<(u64, u64)> {
        if start >= end {
            return None;
        }
        let next = || self.0.range(start..end).next().map(|(at, to)| (*at, *to));
        self.at(start).or_else(next)
    }

    /// The first address of a range that is not mapped.
    pub(crate) fn first_gap(&self, start: u64, end: u64) -> Option<u64> {
        if start >= end {
            return None;
        }
        let gap = self.at(start).map_or(start, |(_, stop)| stop);
        (gap < end).then_some(gap)
    }

    /// Maps a range: what of it was not.
    pub(crate) fn add(&mut self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        if start >= end {
            return gaps;
        }
        let touches = |(from, to): (&u64, &u64)| (*to >= start).then_some(*from);
        let from = self.0.range(..start).next_back().and_then(touches);
        let touched: Vec<_> = self
            .0
            .range(from.unwrap_or(start)..=end)
            .map(|(from, to)| (*from, *to))
            .collect();
        let (mut first, mut last, mut until) = (start, end, start);
        for (from, to) in touched {
            steps::count();
            if until < from {
                gaps.push((until, from));
            }
            (first, last, until) = (first.min(from), last.max(to), until.max(to));
            self.0.remove(&from);
        }
        if until < end {
            gaps.push((until, end));
        }
        self.0.insert(first, last);
        gaps
    }

    /// Unmaps a range.
    pub(crate) fn remove(&mut self, start: u64, end: u64) {
        while let Some((from, to)) = self.first(start, end) {
            steps::count();
            self.0.remove(&from);
            if from < start {
                self.0.insert(from, start);
            }
            if end < to {
                self.0.insert(end, to);
            }
        }
    }
}

/// What the elements of one call find, one after the other, where none of them is applied yet. What was mapped before is
/// not copied for each call: it may be much more than the call has.
#[derive(Debug)]
pub(crate) struct Ahead<'c> {
    base: Cow<'c, Coverage>,
    /// What was changed above it.
    mapped: Coverage,
    unmapped: Coverage,
}

impl<'c> Ahead<'c> {
    pub(crate) fn of(base: &'c Coverage) -> Self {
        Self {
            base: Cow::Borrowed(base),
            mapped: Coverage::default(),
            unmapped: Coverage::default(),
        }
    }

    /// Whether some of a range is mapped.
    pub(crate) fn meets(&self, start: u64, end: u64) -> bool {
        if self.mapped.first(start, end).is_some() {
            return true;
        }
        let mut from = start;
        while let Some((first, _)) = self.base.first(from, end) {
            steps::count();
            let Some((_, behind)) = self.unmapped.at(first.max(from)) else {
                return true;
            };
            from = behind;
        }
        false
    }

    /// The first address of a range that is not mapped.
    pub(crate) fn first_gap(&self, start: u64, end: u64) -> Option<u64> {
        let mut from = start;
        while from < end {
            steps::count();
            if let Some((_, behind)) = self.mapped.at(from) {
                from = behind;
                continue;
            }
            let Some((_, behind)) = self.base.at(from) else {
                return Some(from);
            };
            if let Some((cut, _)) = self.unmapped.first(from, behind.min(end)) {
                return Some(cut.max(from));
            }
            from = behind;
        }
        None
    }

    /// Maps or unmaps a range.
    pub(crate) fn change(&mut self, start: u64, end: u64, maps: bool) {
        let (to, from) = if maps {
            (&mut self.mapped, &mut self.unmapped)
        } else {
            (&mut self.unmapped, &mut self.mapped)
        };
        to.add(start, end);
        from.remove(start, end);
        if self.mapped.0.len().saturating_add(self.unmapped.0.len()) > MAX_LAID_OVER {
            let base = self.base.to_mut();
            for (start, end) in std::mem::take(&mut self.mapped).0 {
                base.add(start, end);
            }
            for (start, end) in std::mem::take(&mut self.unmapped).0 {
                base.remove(start, end);
            }
        }
    }
}

/// How many ranges were looked at, for tests: what a change costs must not grow with what there is.
#[cfg(test)]
pub(super) mod steps {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<u64> = const { Cell::new(0) };
    }

    pub(in super::super) fn count() {
        STEPS.set(STEPS.get().saturating_add(1));
    }

    /// Those of a function.
    pub(in super::super) fn of(function: impl FnOnce()) -> u64 {
        let before = STEPS.get();
        function();
        STEPS.get().saturating_sub(before)
    }
}

#[cfg(not(test))]
pub(super) mod steps {
    pub(in super::super) const fn count() {}
}

#[cfg(test)]
mod tests {
    use super::{Ahead, Coverage};
    use proptest::prelude::*;

    const PAGES: u64 = 600;

    proptest! {
        /// Against a list of pages, on which nothing can be wrong.
        #[test]
        fn it_is_a_set_of_addresses(
            before in prop::collection::vec((0..PAGES, 0..9_u64, any::<bool>()), 0..300),
            changes in prop::collection::vec((0..PAGES, 0..9_u64, any::<bool>()), 0..600),
        ) {
            let mut pages = vec![false; 700];
            let mut base = Coverage::default();
            for (start, size, maps) in before {
                let range = start as usize..(start + size) as usize;
                if maps {
                    let gaps = base.add(start, start + size);
                    let new = range.clone().filter(|page| !pages[*page]).count() as u64;
                    prop_assert_eq!(gaps.iter().map(|(from, to)| to - from).sum::<u64>(), new);
                } else {
                    base.remove(start, start + size);
                }
                pages[range].fill(maps);
            }
            let mut ahead = Ahead::of(&base);
            for (start, size, maps) in changes {
                let end = start + size;
                let range = start as usize..end as usize;
                prop_assert_eq!(ahead.meets(start, end), pages[range.clone()].contains(&true));
                let gap = range.clone().find(|page| !pages[*page]).map(|page| page as u64);
                prop_assert_eq!(ahead.first_gap(start, end), gap);
                ahead.change(start, end, maps);
                pages[range].fill(maps);
            }
        }
    }
}
