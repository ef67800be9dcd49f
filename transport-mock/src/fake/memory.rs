//! Host memory: what lies behind every translation.
//!
//! Pages come into being when they are first written, so a machine of any size costs what is used of it. A page may
//! be a live [`SharedPage`] of the program under test: then the hypervisor and the program see the same bytes.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use core::{ops::Range, sync::atomic::Ordering};

use hypercall_core::SharedPage;

/// Bytes of a page.
pub(crate) const PAGE: u64 = 4096;
const PAGE_BYTES: usize = 4096;

#[derive(Debug)]
enum Page {
    Owned(Box<[u8; PAGE_BYTES]>),
    Live(&'static SharedPage),
}

/// Host physical memory.
#[derive(Debug)]
pub(crate) struct HostMemory {
    ram: Vec<Range<u64>>,
    pages: BTreeMap<u64, Page>,
}

impl HostMemory {
    /// Memory whose RAM is these ranges. Whatever else is asked for is a device that is not there.
    pub(crate) fn new(ram: Vec<Range<u64>>) -> Self {
        Self {
            ram,
            pages: BTreeMap::new(),
        }
    }

    pub(crate) fn is_ram(&self, hpa: u64) -> bool {
        self.ram.iter().any(|range| range.contains(&hpa))
    }

    /// Puts a live page at a page-aligned address of RAM. Its contents stay; what was there is forgotten.
    pub(crate) fn mount(&mut self, hpa: u64, page: &'static SharedPage) -> bool {
        if !self.is_ram(hpa) {
            return false;
        }
        self.pages.insert(hpa / PAGE, Page::Live(page));
        true
    }

    /// Where a live page is mounted.
    pub(crate) fn find(&self, page: &'static SharedPage) -> Option<u64> {
        self.pages.iter().find_map(|(frame, held)| match held {
            Page::Live(live) if core::ptr::eq(*live, page) => frame.checked_mul(PAGE),
            _ => None,
        })
    }

    /// Reads bytes that follow each other in host memory. Untouched RAM reads as zero, what is not RAM as ones,
    /// as a read that nothing answers does.
    pub(crate) fn read(&self, hpa: u64, bytes: &mut [u8]) {
        let mut at = hpa;
        let mut rest = bytes;
        while !rest.is_empty() {
            let offset = offset_in_page(at);
            let count = rest.len().min(PAGE_BYTES.saturating_sub(offset));
            let (now, later) = rest.split_at_mut(count);
            match self.pages.get(&(at / PAGE)) {
                _ if !self.is_ram(at) => now.fill(0xff),
                None => now.fill(0),
                Some(Page::Owned(page)) => {
                    if let Some(from) = page.get(offset..offset.saturating_add(count)) {
                        now.copy_from_slice(from);
                    }
                }
                Some(Page::Live(page)) => {
                    // The range lies in the page, so it cannot fail.
                    let _ = page.read(offset, now);
                }
            }
            at = at.wrapping_add(count as u64);
            rest = later;
        }
    }

    /// Writes bytes that follow each other in host memory. What is not RAM swallows them.
    pub(crate) fn write(&mut self, hpa: u64, bytes: &[u8]) {
        let mut at = hpa;
        let mut rest = bytes;
        while !rest.is_empty() {
            let offset = offset_in_page(at);
            let count = rest.len().min(PAGE_BYTES.saturating_sub(offset));
            let (now, later) = rest.split_at(count);
            if self.is_ram(at) {
                let page = self
                    .pages
                    .entry(at / PAGE)
                    .or_insert_with(|| Page::Owned(Box::new([0; PAGE_BYTES])));
                match page {
                    Page::Owned(page) => {
                        if let Some(to) = page.get_mut(offset..offset.saturating_add(count)) {
                            to.copy_from_slice(now);
                        }
                    }
                    Page::Live(page) => {
                        let _ = page.write(offset, now);
                    }
                }
            }
            at = at.wrapping_add(count as u64);
            rest = later;
        }
    }

    pub(crate) fn read_u32(&self, hpa: u64) -> u32 {
        if let Some(word) = self.live_word(hpa) {
            return word.load(Ordering::Acquire);
        }
        let mut bytes = [0; 4];
        self.read(hpa, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// Stores a word after everything that was written before it: what a reader who sees it relies on.
    pub(crate) fn write_u32(&mut self, hpa: u64, value: u32) {
        if let Some(word) = self.live_word(hpa) {
            word.store(value, Ordering::Release);
        } else {
            self.write(hpa, &value.to_le_bytes());
        }
    }

    pub(crate) fn read_u64(&self, hpa: u64) -> u64 {
        let mut bytes = [0; 8];
        self.read(hpa, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn live_word(&self, hpa: u64) -> Option<&'static core::sync::atomic::AtomicU32> {
        match self.pages.get(&(hpa / PAGE)) {
            Some(Page::Live(page)) => page.word(offset_in_page(hpa)),
            _ => None,
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "it is below 4096")]
fn offset_in_page(address: u64) -> usize {
    (address % PAGE) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(ram: Range<u64>) -> HostMemory {
        HostMemory::new(core::iter::once(ram).collect())
    }

    #[test]
    fn bytes_cross_pages_and_devices_answer_ones() {
        let mut memory = memory(0x1000..0x3000);
        memory.write(0x1fff, &[1, 2]);
        let mut two = [0; 2];
        memory.read(0x1fff, &mut two);
        assert_eq!(two, [1, 2]);
        memory.write(0x2fff, &[3, 4]);
        memory.read(0x2fff, &mut two);
        assert_eq!(two, [3, 0xff]);
    }

    #[test]
    fn a_live_page_is_the_memory() {
        static PAGE0: SharedPage = SharedPage::new();
        let mut memory = memory(0..0x10000);
        assert!(memory.mount(0x4000, &PAGE0));
        assert!(!memory.mount(0x20000, &PAGE0));
        assert_eq!(memory.find(&PAGE0), Some(0x4000));
        memory.write_u32(0x4008, 7);
        assert_eq!(
            PAGE0.word(8).map(|word| word.load(Ordering::Relaxed)),
            Some(7)
        );
        if let Some(word) = PAGE0.word(12) {
            word.store(9, Ordering::Relaxed);
        }
        assert_eq!(memory.read_u32(0x400c), 9);
        assert_eq!(memory.read_u64(0x4008), 0x9_0000_0007);
    }
}
