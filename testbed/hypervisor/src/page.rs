//! Pages that a processor's virtualization reads and writes: maps, tables, control blocks.

use core::cell::UnsafeCell;

/// A page that the processor uses by its physical address.
#[repr(C, align(4096))]
pub struct Page(pub UnsafeCell<[u64; 512]>);
// SAFETY: there is one processor, and one virtual one, which alone uses the pages.
unsafe impl Sync for Page {}

impl Page {
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; 512]))
    }
    /// Its address. Physical as well: memory is mapped to itself.
    pub fn address(&self) -> u64 {
        self.0.get().expose_provenance() as u64
    }
}
