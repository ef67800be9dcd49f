//! The pages that are allocated for hypervisors, which keep them: nobody says for how long.

use std::collections::BTreeMap;

use hypercall_core::SharedPage;

/// Pages that follow each other.
type Pages = &'static [SharedPage];

/// Pages that are allocated at most, 256 MiB.
const MAX_PAGES: usize = 1 << 16;

const ZEROS: [u8; 4096] = [0; 4096];

/// Pages that were allocated. They are never freed, but the hypervisor that had them may be gone.
#[derive(Default)]
pub(super) struct Pool {
    allocated: usize,
    /// Those that nobody has, by how many follow each other. No list is empty.
    free: BTreeMap<usize, Vec<Pages>>,
    /// Those that somebody has.
    taken: Vec<Pages>,
}

impl Pool {
    /// As many pages, all zeros. `None` where there are too many.
    pub(super) fn take(&mut self, count: usize) -> Option<Pages> {
        let pages = match self.reused(count) {
            Some(pages) => pages,
            None => self.new_ones(count)?,
        };
        self.taken.push(pages);
        Some(pages)
    }

    fn new_ones(&mut self, count: usize) -> Option<Pages> {
        let all = self.allocated.saturating_add(count);
        if all > MAX_PAGES {
            return None;
        }
        self.allocated = all;
        Some(Box::leak((0..count).map(|_| SharedPage::new()).collect()))
    }

    fn reused(&mut self, count: usize) -> Option<Pages> {
        let size = *self.free.range(count..).next()?.0;
        let list = self.free.get_mut(&size)?;
        let found = list.pop();
        if list.is_empty() {
            self.free.remove(&size);
        }
        let (pages, rest) = found?.split_at_checked(count)?;
        self.give(rest);
        for page in pages {
            // They fit a page.
            let _ = page.write(0, &ZEROS);
        }
        Some(pages)
    }

    fn give(&mut self, pages: Pages) {
        if !pages.is_empty() {
            self.free.entry(pages.len()).or_default().push(pages);
        }
    }

    /// Whoever had pages is gone.
    pub(super) fn take_back(&mut self) {
        for pages in std::mem::take(&mut self.taken) {
            self.give(pages);
        }
    }

    /// Takes those of another one.
    pub(super) fn join(&mut self, other: Self) {
        self.allocated = self.allocated.saturating_add(other.allocated);
        self.taken.extend(other.taken);
        for pages in other.free.into_values().flatten() {
            self.give(pages);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_PAGES, Pool};

    #[test]
    fn pages_that_nobody_has_are_used_again_in_parts_and_hold_zeros() {
        let mut pool = Pool::default();
        let all = pool.take(MAX_PAGES).unwrap();
        assert!(pool.take(1).is_none());
        all[1].write(8, &[7]).unwrap();
        pool.take_back();
        let (one, more) = (pool.take(1).unwrap(), pool.take(2).unwrap());
        assert!(std::ptr::eq(&raw const one[0], &raw const all[0]));
        assert!(std::ptr::eq(&raw const more[0], &raw const all[1]));
        let mut found = [1];
        more[0].read(8, &mut found).unwrap();
        assert_eq!(found, [0]);
        assert!(pool.take(0).unwrap().is_empty());
        assert!(pool.take(MAX_PAGES - 3).is_some() && pool.take(1).is_none());
        pool.take_back();
        let mut other = Pool::default();
        other.join(pool);
        assert!(other.take(1).is_some() && other.take(MAX_PAGES).is_none());
    }
}
