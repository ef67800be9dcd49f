//! A VM's memory: what `set_memory_regions` maps and unmaps, by ACRN's rules.

use std::collections::{BTreeMap, btree_map};

use serde::Serialize;

use super::coverage::{Ahead, Coverage, steps};

/// Ranges that are kept of a VM: as many as 128 GiB have in pages of 2 MiB that do not follow each other.
pub(crate) const MAX_REGIONS: usize = 1 << 16;
const PAGE: u64 = 4096;
/// A page without any of these rights counts as not mapped.
const RIGHTS: u64 = 7;

/// A range of a VM's memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    /// Where it is in the VM.
    pub gpa: u64,
    /// Where the memory is in the Service VM; for a device's registers, in the machine.
    pub from: u64,
    /// Bytes.
    pub size: u64,
    /// Rights and memory type, as bits.
    pub prot: u64,
}

impl Region {
    const fn end(&self) -> u64 {
        self.gpa.saturating_add(self.size)
    }

    /// Whether another one goes on where this one ends, in both memories.
    fn goes_on(&self, next: &Self) -> bool {
        self.gpa.checked_add(self.size) == Some(next.gpa)
            && self.from.checked_add(self.size) == Some(next.from)
            && self.prot == next.prot
    }

    /// The part of it between two addresses, where there is one.
    fn part(&self, start: u64, end: u64) -> Option<Self> {
        let (start, end) = (self.gpa.max(start), self.end().min(end));
        (start < end).then(|| Self {
            gpa: start,
            from: self.from.wrapping_add(start.saturating_sub(self.gpa)),
            size: end.saturating_sub(start),
            prot: self.prot,
        })
    }
}

/// A VM's memory: ranges in the order of their addresses, of which no two overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regions {
    by_gpa: BTreeMap<u64, Region>,
    covered: Coverage,
}

impl Regions {
    /// The ranges, in the order of their addresses in the VM.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.by_gpa.values())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_gpa.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_gpa.is_empty()
    }

    /// What the elements of a call find here.
    pub(crate) fn ahead(&self) -> Ahead<'_> {
        Ahead::of(&self.covered)
    }

    /// Maps or unmaps a range. What is mapped already keeps its old translation. Whether all of it is kept.
    pub(super) fn change(&mut self, change: &Change) -> bool {
        let (gpa, end) = (change.gpa, change.end());
        if change.kind != 0 {
            self.unmap(gpa, end);
        } else if change.maps() {
            if self.len() >= MAX_REGIONS {
                return self.covered.first_gap(gpa, end).is_none();
            }
            for (start, stop) in self.covered.add(gpa, end) {
                steps::count();
                self.insert(Region {
                    gpa: start,
                    from: change.from.wrapping_add(start.saturating_sub(gpa)),
                    size: stop.saturating_sub(start),
                    prot: change.prot,
                });
            }
        }
        // A range that is cut in two may be one too many, and so may those be that fill gaps.
        let mut all = true;
        while self.len() > MAX_REGIONS
            && let Some((_, last)) = self.by_gpa.pop_last()
        {
            self.covered.remove(last.gpa, last.end());
            all = false;
        }
        all
    }

    /// Puts a range where there is none, and joins it with its neighbours.
    fn insert(&mut self, mut region: Region) {
        let before = self.by_gpa.range(..region.gpa).next_back();
        if let Some(before) = before.map(|(_, before)| before)
            && before.goes_on(&region)
        {
            region = Region {
                size: before.size.saturating_add(region.size),
                ..*before
            };
        }
        if let btree_map::Entry::Occupied(next) = self.by_gpa.entry(region.end())
            && region.goes_on(next.get())
        {
            region.size = region.size.saturating_add(next.remove().size);
        }
        self.by_gpa.insert(region.gpa, region);
    }

    /// Takes a range out.
    fn unmap(&mut self, gpa: u64, end: u64) {
        if gpa >= end {
            return;
        }
        let reaches = |(start, region): (&u64, &Region)| (region.end() > gpa).then_some(*start);
        let first = self.by_gpa.range(..gpa).next_back().and_then(reaches);
        let touched = self.by_gpa.range(first.unwrap_or(gpa)..end);
        let touched: Vec<u64> = touched.map(|(start, _)| *start).collect();
        for start in touched {
            steps::count();
            let Some(region) = self.by_gpa.remove(&start) else {
                continue;
            };
            let parts = [region.part(0, gpa), region.part(end, u64::MAX)];
            for part in parts.into_iter().flatten() {
                self.by_gpa.insert(part.gpa, part);
            }
        }
        self.covered.remove(gpa, end);
    }

    /// Applies what came before the element that was refused. Whether all of it is kept, and whether nobody knows which one
    /// that was: besides those that cannot be applied, any that maps may have been refused, for want of memory in the Service
    /// VM.
    pub(super) fn change_until_refused(&mut self, changes: &[Change]) -> (bool, bool) {
        let (mut all, mut maps) = (true, false);
        for (place, one) in changes.iter().enumerate() {
            let lacks = || one.gap(|gpa, end| self.covered.first_gap(gpa, end));
            let refused = !one.size.is_multiple_of(PAGE) || (one.kind != 0 && lacks().is_some());
            if refused {
                return (all, maps);
            }
            // The last one it must have been, where no other can be.
            let last = place.saturating_add(1) == changes.len();
            if last && !maps && one.kind == 0 {
                return (all, false);
            }
            maps |= one.kind == 0;
            all &= self.change(one);
        }
        (all, true)
    }
}

/// The ranges of a VM's memory.
#[derive(Clone, Debug)]
pub struct Iter<'r>(btree_map::Values<'r, u64, Region>);

impl<'r> Iterator for Iter<'r> {
    type Item = &'r Region;

    fn next(&mut self) -> Option<&'r Region> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'r> IntoIterator for &'r Regions {
    type Item = &'r Region;
    type IntoIter = Iter<'r>;

    fn into_iter(self) -> Iter<'r> {
        self.iter()
    }
}

impl Serialize for Regions {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

/// One element of the call's array, as the hypervisor reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// Every kind but 0 unmaps.
    pub(crate) kind: u64,
    /// Rounded up to a page.
    pub(crate) gpa: u64,
    from: u64,
    size: u64,
    prot: u64,
}

impl Change {
    pub(crate) fn of(field: &dyn Fn(&str) -> u64) -> Self {
        let round = |address: u64| {
            let up = address.checked_next_multiple_of(PAGE);
            up.unwrap_or(!(PAGE - 1))
        };
        Self {
            kind: field("kind"),
            gpa: round(field("gpa")),
            from: round(field("service_vm_gpa")),
            size: field("size"),
            prot: field("prot"),
        }
    }

    /// The first address behind it.
    pub(crate) const fn end(&self) -> u64 {
        self.gpa.saturating_add(self.size)
    }

    /// Whether it maps what it names.
    pub(crate) const fn maps(&self) -> bool {
        self.kind == 0 && self.prot & RIGHTS != 0
    }

    /// The first address that it names and that is not mapped, by a function that finds one between two.
    pub(crate) fn gap(&self, first_gap: impl FnOnce(u64, u64) -> Option<u64>) -> Option<u64> {
        let beyond = || {
            self.gpa
                .checked_add(self.size)
                .is_none()
                .then_some(self.end())
        };
        first_gap(self.gpa, self.end()).or_else(beyond)
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, MAX_REGIONS, PAGE, Regions, steps};

    fn one(kind: u64, gpa: u64, size: u64) -> Change {
        Change {
            kind,
            gpa,
            from: gpa.wrapping_mul(3),
            size,
            prot: 7,
        }
    }

    /// Every other page, so that no two join.
    fn islands(count: usize) -> Regions {
        let mut regions = Regions::default();
        for at in (0_u64..).take(count) {
            assert!(regions.change(&one(0, 2 * PAGE * at, PAGE)));
        }
        regions
    }

    #[test]
    fn ranges_are_bounded() {
        let mut regions = islands(MAX_REGIONS - 1);
        let mut make = |kind, gpa, size| {
            let all = regions.change(&one(kind, gpa, size));
            (all, regions.len())
        };
        let behind = 2 * PAGE * u64::try_from(MAX_REGIONS).unwrap_or(0);
        assert_eq!(make(0, behind, 3 * PAGE), (true, MAX_REGIONS));
        assert_eq!(make(0, behind + PAGE, PAGE), (true, MAX_REGIONS), "mapped");
        assert_eq!(
            make(0, behind + 8 * PAGE, PAGE),
            (false, MAX_REGIONS),
            "no more"
        );
        assert_eq!(
            make(2, behind + PAGE, PAGE),
            (false, MAX_REGIONS),
            "cut in two"
        );
        assert_eq!(make(2, behind, 3 * PAGE), (true, MAX_REGIONS - 1));
        // What was not kept is not mapped here.
        assert_eq!(make(2, behind, 3 * PAGE), (true, MAX_REGIONS - 1));
        assert_eq!(make(0, 0, behind), (false, MAX_REGIONS), "all gaps");
    }

    /// A trace that is made to hurt has as many ranges as are kept, and names all of them in each call.
    #[test]
    fn a_change_costs_what_it_changes_and_not_what_there_is() {
        let count = MAX_REGIONS / 4;
        let end = 4 * PAGE * u64::try_from(count).unwrap_or(0);
        let mut regions = islands(count);
        // Each region that was made is looked at once more at most when it goes, in both lists, and so is each gap.
        let paid = 8 * u64::try_from(count).unwrap_or(0);
        let calls = 200_000;
        let steps = steps::of(|| {
            for at in 0..calls {
                // All that there is, again and again, at the front of all of it, and one that nothing has.
                regions.change(&one(0, 0, end));
                regions.change(&one(0, PAGE * (at % 7), end));
                regions.change(&one(2, end + PAGE, PAGE));
                let refused = [one(2, 0, end + 2 * PAGE)];
                regions.change_until_refused(&refused);
                let mut ahead = regions.ahead();
                assert!(ahead.meets(0, end));
                assert!(ahead.first_gap(0, end + 8 * PAGE) >= Some(end));
                ahead.change(PAGE, 2 * PAGE, false);
                assert_eq!(ahead.first_gap(0, end), Some(PAGE));
            }
        });
        assert!(steps <= paid + 20 * calls, "{steps} steps");
    }
}
