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

mod change;
#[cfg(test)]
mod tests;

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use super::answer::{Answer, crash};

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
        write!(
            f,
            "Ept({} tables)",
            self.tables.len().saturating_sub(self.free.len())
        )
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
        for (size, leaf_from) in [
            (SIZE_512G, false),
            (SIZE_1G, true),
            (SIZE_2M, true),
            (SIZE_4K, true),
        ] {
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
                visit(
                    gpa,
                    Found {
                        hpa,
                        page: size,
                        prot,
                    },
                );
            } else {
                self.visit(child(entry), size / ENTRIES, gpa, visit);
            }
        }
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
            && let Some(entry) = self
                .tables
                .get_mut(table)
                .and_then(|table| table.get_mut(position))
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
