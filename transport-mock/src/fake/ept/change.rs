//! Mapping, unmapping, changing rights: the walks that write.

use super::{
    ADDRESS, ENTRIES, EXECUTE, Ept, LARGE, RWX, SIZE_1G, SIZE_2M, SIZE_4K, SIZE_512G, Slot,
    TYPE_MASK, aligned, child, index, link, next_512g, present, round_up,
};
use crate::fake::answer::{Answer, crash, hang};

const ENDLESS: &str = "a walk of the last 512 GiB of the address space wraps around and never ends (ACRN pgtable_add_map, pgtable_modify_or_del_map)";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Pdpt,
    Pd,
}

impl Level {
    const fn page(self) -> u64 {
        match self {
            Self::Pdpt => SIZE_1G,
            Self::Pd => SIZE_2M,
        }
    }
}

#[derive(Clone, Copy)]
enum Change {
    Modify { set: u64, clear: u64 },
    Delete,
}

impl Ept {
    /// Maps a range. Pages that are there already keep their translation.
    pub(crate) fn add(&mut self, hpa: u64, gpa: u64, size: u64, prot: u64) -> Answer {
        let mut hpa = round_up(hpa);
        self.over_512g(gpa, size, |tables, at, end| {
            let slot = (tables.root, index(at, SIZE_512G));
            if !present(tables.entry(slot.0, slot.1)) {
                tables.link_new(slot)?;
            }
            let next = next_512g(at);
            tables.add_level(Level::Pdpt, slot, hpa, at, end, prot)?;
            hpa = hpa.wrapping_add(next.wrapping_sub(at));
            Ok(())
        })
    }

    /// Sets and clears bits of the pages of a range that are there.
    pub(crate) fn modify(&mut self, gpa: u64, size: u64, set: u64, clear: u64) -> Answer {
        self.change(gpa, size, Change::Modify { set, clear })
    }

    /// Unmaps the pages of a range that are there.
    pub(crate) fn delete(&mut self, gpa: u64, size: u64) -> Answer {
        self.change(gpa, size, Change::Delete)
    }

    /// The outer loop of adding and changing: one step for each entry of the root.
    fn over_512g(
        &mut self,
        gpa: u64,
        size: u64,
        mut step: impl FnMut(&mut Self, u64, u64) -> Answer,
    ) -> Answer {
        let mut at = round_up(gpa);
        let end = at.wrapping_add(size & !(SIZE_4K.wrapping_sub(1)));
        let mut turns = 0_u64;
        while at < end {
            if turns > ENTRIES {
                // Every entry has been seen: further turns find nothing to do. Do they end?
                let wraps = end > 0_u64.wrapping_sub(SIZE_512G);
                return if wraps { Err(hang(ENDLESS)) } else { Ok(()) };
            }
            step(self, at, end)?;
            at = next_512g(at);
            turns = turns.saturating_add(1);
        }
        Ok(())
    }

    fn add_level(
        &mut self,
        level: Level,
        parent: Slot,
        hpa: u64,
        gpa: u64,
        end: u64,
        prot: u64,
    ) -> Answer {
        let table = child(self.entry(parent.0, parent.1));
        let size = level.page();
        let mut hpa = hpa;
        let mut at = gpa;
        for position in index(gpa, size)..ENTRIES {
            let slot = (table, position);
            let entry = self.entry(table, position);
            let next = (at & !size.wrapping_sub(1)).wrapping_add(size);
            if entry & LARGE != 0 {
                // There already, perhaps without rights: it stays.
            } else if !present(entry)
                && self.may_be_large(level, prot)
                && aligned(hpa, size)
                && aligned(at, size)
                && next <= end
            {
                let code = if self.shape.no_large_code { EXECUTE } else { 0 };
                self.set(slot, (hpa & ADDRESS) | (prot & !code) | LARGE);
            } else {
                if !present(entry) {
                    self.link_new(slot)?;
                }
                match level {
                    Level::Pdpt => self.add_level(Level::Pd, slot, hpa, at, end, prot)?,
                    Level::Pd => self.add_pages(slot, hpa, at, end, prot),
                }
            }
            if next >= end {
                break;
            }
            hpa = hpa.wrapping_add(next.wrapping_sub(at));
            at = next;
        }
        Ok(())
    }

    fn add_pages(&mut self, parent: Slot, hpa: u64, gpa: u64, end: u64, prot: u64) {
        let table = child(self.entry(parent.0, parent.1));
        let mut hpa = hpa;
        let mut at = gpa;
        for position in index(gpa, SIZE_4K)..ENTRIES {
            if !present(self.entry(table, position)) {
                self.set((table, position), (hpa & ADDRESS) | prot);
            }
            hpa = hpa.wrapping_add(SIZE_4K);
            at = at.wrapping_add(SIZE_4K);
            if at >= end {
                break;
            }
        }
    }

    fn may_be_large(&self, level: Level, prot: u64) -> bool {
        let small_code = self.shape.no_large_code && self.shape.small_code_pages;
        !(small_code && prot & EXECUTE != 0) && (level == Level::Pd || self.shape.giant_pages)
    }

    fn change(&mut self, gpa: u64, size: u64, change: Change) -> Answer {
        self.over_512g(gpa, size, |tables, at, end| {
            let slot = (tables.root, index(at, SIZE_512G));
            if present(tables.entry(slot.0, slot.1)) {
                tables.change_level(Level::Pdpt, slot, at, end, change)
            } else if matches!(change, Change::Modify { .. }) {
                Err(crash(
                    "page rights are changed in 512 GiB that have no table (ACRN pgtable_modify_or_del_map, an assertion)",
                ))
            } else {
                Ok(())
            }
        })
    }

    fn change_level(
        &mut self,
        level: Level,
        parent: Slot,
        gpa: u64,
        end: u64,
        change: Change,
    ) -> Answer {
        let table = child(self.entry(parent.0, parent.1));
        let size = level.page();
        let mut at = gpa;
        for position in index(gpa, size)..ENTRIES {
            let slot = (table, position);
            let entry = self.entry(table, position);
            let next = (at & !size.wrapping_sub(1)).wrapping_add(size);
            let whole = next <= end && aligned(at, size);
            if !present(entry) {
                // Nothing to change.
            } else if entry & LARGE != 0 && whole {
                self.change_entry(slot, change);
            } else {
                if entry & LARGE != 0 {
                    self.split(level, slot)?;
                }
                match level {
                    Level::Pdpt => self.change_level(Level::Pd, slot, at, end, change)?,
                    Level::Pd => self.change_pages(slot, at, end, change),
                }
            }
            if next >= end {
                break;
            }
            at = next;
        }
        // The top level keeps its tables, empty or not.
        if level == Level::Pd && matches!(change, Change::Delete) {
            self.free_if_empty(parent);
        }
        Ok(())
    }

    fn change_pages(&mut self, parent: Slot, gpa: u64, end: u64, change: Change) {
        let table = child(self.entry(parent.0, parent.1));
        let mut at = gpa;
        for position in index(gpa, SIZE_4K)..ENTRIES {
            if present(self.entry(table, position)) {
                self.change_entry((table, position), change);
            }
            at = at.wrapping_add(SIZE_4K);
            if at >= end {
                break;
            }
        }
        if matches!(change, Change::Delete) {
            self.free_if_empty(parent);
        }
    }

    fn change_entry(&mut self, slot: Slot, change: Change) {
        let new = match change {
            Change::Modify { set, clear } => (self.entry(slot.0, slot.1) & !clear) | set,
            Change::Delete => 0,
        };
        self.set(slot, new);
    }

    /// Replaces a large page by a table of smaller ones.
    fn split(&mut self, level: Level, slot: Slot) -> Answer {
        let entry = self.entry(slot.0, slot.1);
        let (step, keep) = match level {
            Level::Pdpt => (SIZE_2M, entry & (RWX | TYPE_MASK | LARGE)),
            Level::Pd => {
                let code = if self.shape.no_large_code { EXECUTE } else { 0 };
                (SIZE_4K, (entry & (RWX | TYPE_MASK)) | code)
            }
        };
        let mut hpa = entry & ADDRESS & !level.page().wrapping_sub(1);
        let new = self.allocate()?;
        if let Some(table) = self.tables.get_mut(new) {
            for entry in table.iter_mut() {
                *entry = hpa | keep;
                hpa = hpa.wrapping_add(step);
            }
        }
        self.set(slot, link(new));
        Ok(())
    }
}
