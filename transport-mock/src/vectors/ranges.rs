//! Sets of addresses, as ranges.

use alloc::vec::Vec;
use core::ops::Range;

/// A set of addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    pub(super) fn contains(&self, address: u64) -> bool {
        self.0.iter().any(|range| range.contains(&address))
    }

    /// Adds a range.
    pub(super) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (apart, touching): (Vec<_>, Vec<_>) = core::mem::take(&mut self.0)
            .into_iter()
            .partition(|old| old.end < range.start || old.start > range.end);
        self.0 = apart;
        let start = touching
            .iter()
            .map(|old| old.start)
            .fold(range.start, u64::min);
        let end = touching.iter().map(|old| old.end).fold(range.end, u64::max);
        self.0.push(start..end);
    }

    /// Takes a range out.
    pub(super) fn remove(&mut self, range: &Range<u64>) {
        if range.is_empty() {
            return;
        }
        let old = core::mem::take(&mut self.0);
        for old in old {
            for rest in [
                old.start..old.end.min(range.start),
                old.start.max(range.end)..old.end,
            ] {
                if !rest.is_empty() {
                    self.0.push(rest);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_and_part() {
        let mut set = Ranges::default();
        set.insert(10..20);
        set.insert(20..30);
        set.insert(40..50);
        assert_eq!(set.0.len(), 2);
        set.remove(&(15..45));
        assert!(set.contains(14) && !set.contains(15) && !set.contains(44) && set.contains(45));
        set.remove(&(0..100));
        assert!(!set.contains(10));
    }
}
