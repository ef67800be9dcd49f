//! Extended page tables: what each VM's guest physical addresses are translated to.
//!
//! Real tables of four levels with 4 KiB, 2 MiB and 1 GiB pages, because their shape is visible from outside. ACRN
//! checks a range by stepping from page to page by the size of the page it finds, so a hole behind the start of a
//! large page can be stepped over; a large page without rights stays in the way of a later one; the index of the
//! top level ignores address bits 48 and up. Rules: ACRN `pgtable_add_map`, `pgtable_modify_or_del_map`,
//! `pgtable_lookup_entry` (arch/x86/pagetable.c), `ept_is_valid_mr`, `init_ept_pgtable` (arch/x86/guest/ept.c).
//!
//! No size makes this loop for ever or take unbounded memory: tables come from a pool as small as ACRN's, and after
//! one turn around the 48-bit space everything has been seen.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use super::answer::{Answer, crash, hang};

const ENTRIES: u64 = 512;
const SIZE_4K: u64 = 1 << 12;
const SIZE_2M: u64 = 1 << 21;
const SIZE_1G: u64 = 1 << 30;
const SIZE_512G: u64 = 1 << 39;
/// What the tables can tell apart.
const TURN: u64 = 1 << 48;

pub(crate) const READ: u64 = 1;
pub(crate) const WRITE: u64 = 1 << 1;
pub(crate) const EXECUTE: u64 = 1 << 2;
/// Read, write and execute: an entry with none of them is not there.
pub(crate) const RWX: u64 = READ | WRITE | EXECUTE;
/// The memory type's bits.
pub(crate) const TYPE_MASK: u64 = 7 << 3;
pub(crate) const UNCACHED: u64 = 0;
pub(crate) const WRITE_COMBINING: u64 = 1 << 3;
pub(crate) const WRITE_THROUGH: u64 = 4 << 3;
pub(crate) const WRITE_PROTECTED: u64 = 5 << 3;
pub(crate) const WRITE_BACK: u64 = 6 << 3;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const POOL_EMPTY: &str =
    "the VM's pool of page-table pages is used up (ACRN alloc_page, an assertion in debug builds)";
const ENDLESS: &str = "a walk of the last 512 GiB of the address space wraps around and never ends (ACRN pgtable_add_map, pgtable_modify_or_del_map)";

/// A translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) hpa: u64,
    /// Bytes of the page that maps it.
    pub(crate) page: u64,
    /// The entry's rights and memory type.
    pub(crate) prot: u64,
}

/// How a VM's tables are built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Pages in the pool, the root included.
    pub(crate) pool: usize,
    /// The processor has 1 GiB pages.
    pub(crate) giant_pages: bool,
    /// The workaround for machine checks on page size changes: large pages are never executable.
    pub(crate) no_large_code: bool,
    /// With the workaround, a real-time VM gets small pages for code at once.
    pub(crate) small_code_pages: bool,
}

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

type Table = Box<[u64; ENTRIES as usize]>;

/// A VM's tables. Entries look as the processor's do, with a table's index in the place of its address.
pub(crate) struct Ept {
    shape: Shape,
    tables: Vec<Table>,
    free: Vec<usize>,
    /// The root was zeroed: nothing is mapped, and nothing can be lost.
    root: usize,
}

impl fmt::Debug for Ept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ept({} tables)", self.tables.len().saturating_sub(self.free.len()))
    }
}

impl Ept {
    /// Tables that map nothing.
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            shape,
            tables: alloc::vec![empty_table()],
            free: Vec::new(),
            root: 0,
        }
    }

    /// Unmaps everything, as when the root page is zeroed. The pool does not get its pages back.
    pub(crate) fn zero_root(&mut self) {
        if let Some(root) = self.tables.get_mut(self.root) {
            **root = [0; ENTRIES as usize];
        }
    }

    /// The translation of an address.
    pub(crate) fn lookup(&self, gpa: u64) -> Option<Found> {
        let mut table = self.root;
        for (size, leaf_from) in [(SIZE_512G, false), (SIZE_1G, true), (SIZE_2M, true), (SIZE_4K, true)] {
            let entry = self.entry(table, index(gpa, size));
            if !present(entry) {
                return None;
            }
            let is_page = leaf_from && (size == SIZE_4K || entry & LARGE != 0);
            if is_page {
                let inside = size.wrapping_sub(1);
                return Some(Found {
                    hpa: (entry & ADDRESS & !inside) | (gpa & inside),
                    page: size,
                    prot: entry & (RWX | TYPE_MASK),
                });
            }
            table = child(entry);
        }
        None
    }

    /// Whether ACRN takes a range for mapped. A range that wraps around counts as mapped.
    pub(crate) fn is_mapped(&self, gpa: u64, size: u64) -> bool {
        let end = gpa.wrapping_add(size);
        let mut at = gpa;
        let mut seen = 0_u64;
        while at < end && seen < TURN {
            let Some(found) = self.lookup(at) else {
                return false;
            };
            at = at.wrapping_add(found.page);
            seen = seen.saturating_add(found.page);
        }
        true
    }

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

    /// Every mapped page in order: guest address, translation.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(u64, Found)) {
        self.visit(self.root, SIZE_512G, 0, &mut visit);
    }

    fn visit(&self, table: usize, size: u64, base: u64, visit: &mut impl FnMut(u64, Found)) {
        for position in 0..ENTRIES {
            let entry = self.entry(table, position);
            if !present(entry) {
                continue;
            }
            let gpa = base.wrapping_add(position.wrapping_mul(size));
            let is_page = size == SIZE_4K || (size < SIZE_512G && entry & LARGE != 0);
            if is_page {
                let hpa = entry & ADDRESS & !size.wrapping_sub(1);
                let prot = entry & (RWX | TYPE_MASK);
                visit(gpa, Found { hpa, page: size, prot });
            } else {
                self.visit(child(entry), size / ENTRIES, gpa, visit);
            }
        }
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

    fn change_level(&mut self, level: Level, parent: Slot, gpa: u64, end: u64, change: Change) -> Answer {
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

    fn free_if_empty(&mut self, parent: Slot) {
        let table = child(self.entry(parent.0, parent.1));
        let empty = self
            .tables
            .get(table)
            .is_some_and(|entries| entries.iter().all(|entry| !present(*entry)));
        if empty && table != self.root {
            self.free.push(table);
            self.set(parent, 0);
        }
    }

    fn link_new(&mut self, slot: Slot) -> Answer {
        let new = self.allocate()?;
        self.set(slot, link(new));
        Ok(())
    }

    fn allocate(&mut self) -> Answer<usize> {
        if let Some(reused) = self.free.pop() {
            if let Some(table) = self.tables.get_mut(reused) {
                **table = [0; ENTRIES as usize];
            }
            return Ok(reused);
        }
        if self.tables.len() >= self.shape.pool {
            return Err(crash(POOL_EMPTY));
        }
        self.tables.push(empty_table());
        Ok(self.tables.len().saturating_sub(1))
    }

    fn entry(&self, table: usize, position: u64) -> u64 {
        usize::try_from(position)
            .ok()
            .and_then(|position| self.tables.get(table)?.get(position).copied())
            .unwrap_or(0)
    }

    fn set(&mut self, (table, position): Slot, value: u64) {
        if let Ok(position) = usize::try_from(position)
            && let Some(entry) = self.tables.get_mut(table).and_then(|table| table.get_mut(position))
        {
            *entry = value;
        }
    }
}

/// A table and a position in it.
type Slot = (usize, u64);

fn empty_table() -> Table {
    Box::new([0; ENTRIES as usize])
}

const fn present(entry: u64) -> bool {
    entry & RWX != 0
}

const fn aligned(address: u64, size: u64) -> bool {
    address & size.wrapping_sub(1) == 0
}

const fn round_up(address: u64) -> u64 {
    address.wrapping_add(SIZE_4K - 1) & !(SIZE_4K - 1)
}

const fn next_512g(address: u64) -> u64 {
    (address & !(SIZE_512G - 1)).wrapping_add(SIZE_512G)
}

/// The position in the table whose entries cover `size` bytes each.
const fn index(address: u64, size: u64) -> u64 {
    address.wrapping_shr(size.trailing_zeros()) % ENTRIES
}

/// An entry that points at a table, with all rights.
fn link(table: usize) -> u64 {
    (table as u64).wrapping_mul(SIZE_4K) | RWX
}

#[allow(clippy::cast_possible_truncation, reason = "it was an index")]
const fn child(entry: u64) -> usize {
    ((entry & ADDRESS) / SIZE_4K) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::answer::Fail;
    use hypercall_core::Hazard;

    const ALL: u64 = RWX | WRITE_BACK;

    fn ept() -> Ept {
        Ept::new(Shape { pool: 64, giant_pages: true, no_large_code: true, small_code_pages: false })
    }

    #[test]
    fn pages_keep_their_translation_and_addresses_round_up() {
        let mut ept = ept();
        assert_eq!(ept.add(0x400_0000, 0x10_0000, 0x2000, ALL), Ok(()));
        assert_eq!(ept.add(0x401_0001, 0x10_0fff, 0x3000, ALL), Ok(()));
        assert_eq!(ept.lookup(0x10_1008).map(|found| found.hpa), Some(0x400_1008));
        assert_eq!(ept.lookup(0x10_3008).map(|found| found.hpa), Some(0x401_3008));
        assert_eq!(ept.lookup(0x10_4000), None);
    }

    #[test]
    fn a_hole_behind_the_start_of_a_large_page_is_stepped_over() {
        let mut ept = ept();
        assert_eq!(ept.add(0, 0, 4 << 30, ALL), Ok(()));
        assert_eq!(ept.delete(0x1100_0000, 0xe0_0000), Ok(()));
        assert!(!ept.is_mapped(0x1100_0000, 0x1000));
        assert!(ept.is_mapped(0x10ff_f000, 0x2000));
        assert!(!ept.is_mapped(0x10e0_0000, 0x20_1000));
    }

    #[test]
    fn a_large_page_without_rights_stays_in_the_way() {
        let mut ept = ept();
        assert_eq!(ept.add(0x20_0000, 0x20_0000, 0x20_0000, WRITE_BACK), Ok(()));
        assert_eq!(ept.lookup(0x20_0000), None);
        assert_eq!(ept.add(0x20_0000, 0x20_0000, 0x20_0000, ALL), Ok(()));
        assert_eq!(ept.lookup(0x20_0000), None);
    }

    #[test]
    fn splitting_keeps_the_rest() {
        let mut ept = ept();
        assert_eq!(ept.add(0x4000_0000, 0x4000_0000, 1 << 30, ALL), Ok(()));
        assert_eq!(ept.delete(0x4000_1000, 0x1000), Ok(()));
        assert_eq!(ept.lookup(0x4000_1000), None);
        assert_eq!(ept.lookup(0x4000_2345).map(|found| (found.hpa, found.page)), Some((0x4000_2345, SIZE_4K)));
        assert_eq!(ept.lookup(0x4040_0000).map(|found| found.page), Some(SIZE_2M));
    }

    #[test]
    fn sizes_are_hostile() {
        let mut ept = ept();
        assert_eq!(ept.add(0, 0x1000, !0xfff, ALL), Ok(()), "wraps, so nothing is done");
        assert_eq!(ept.lookup(0x1000), None);
        let outcome = ept.add(0x1000, 0x3000, 1 << 63, ALL);
        assert!(matches!(outcome, Err(Fail::Dead(Hazard::Crashed(_)))), "{outcome:?}");
        let mut ept = Ept::new(Shape { pool: 4096, giant_pages: true, no_large_code: false, small_code_pages: false });
        assert_eq!(ept.add(0, 0, 1 << 63, ALL), Ok(()));
        assert!(ept.is_mapped(5, 1 << 63));
        let outcome = ept.delete(0, 0_u64.wrapping_sub(0x1000));
        assert!(matches!(outcome, Err(Fail::Dead(Hazard::Hung(_)))), "{outcome:?}");
    }

    #[test]
    fn bits_above_47_are_ignored() {
        let mut ept = ept();
        assert_eq!(ept.add(0x5000, 0x5000, 0x1000, ALL), Ok(()));
        assert_eq!(ept.lookup((1 << 48) | 0x5004).map(|found| found.hpa), Some(0x5004));
    }
}
