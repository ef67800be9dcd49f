//! Guest memory for servers that have none of their own: a stretch of RAM, and room to mount live pages above it.

use alloc::vec;
use alloc::vec::Vec;

use hypercall::server::{GuestMemory, Unmapped};
use hypercall::{Gpa, SharedPage};
use spin::Mutex;

use crate::loopback::Mount;

const PAGE: u64 = 4096;

/// RAM from guest physical address 0, zeroed; live pages are mounted right above it.
#[derive(Debug)]
pub struct Ram {
    bytes: Mutex<Vec<u8>>,
    size: u64,
    mounted: Mutex<Vec<&'static [SharedPage]>>,
}

impl Ram {
    /// RAM of `pages` pages.
    #[must_use]
    pub fn new(pages: u16) -> Self {
        let size = usize::from(pages).saturating_mul(4096);
        Self {
            bytes: Mutex::new(vec![0; size]),
            size: u64::from(pages).saturating_mul(PAGE),
            mounted: Mutex::new(Vec::new()),
        }
    }

    /// The live page at an address, and the offset in it.
    fn live(&self, gpa: u64) -> Option<(&'static SharedPage, usize)> {
        let above = gpa.checked_sub(self.size)?;
        let index = usize::try_from(above / PAGE).ok()?;
        let offset = usize::try_from(above % PAGE).ok()?;
        let mounted = self.mounted.lock();
        let page = mounted.iter().flat_map(|pages| pages.iter()).nth(index)?;
        Some((page, offset))
    }
}

/// Splits a range at page boundaries: (address, bytes of the range before it, bytes of this piece).
fn pieces(gpa: u64, length: usize) -> impl Iterator<Item = Option<(u64, usize, usize)>> {
    let mut done = 0;
    core::iter::from_fn(move || {
        let rest = length.checked_sub(done).filter(|rest| *rest > 0)?;
        let piece = u64::try_from(done)
            .ok()
            .and_then(|done| gpa.checked_add(done))
            .and_then(|at| {
                let room = usize::try_from(PAGE.checked_sub(at % PAGE)?).ok()?;
                Some((at, done, rest.min(room)))
            });
        done = piece.map_or(length, |(_, before, count)| before.saturating_add(count));
        Some(piece)
    })
}

impl GuestMemory for Ram {
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), Unmapped> {
        for piece in pieces(gpa, bytes.len()) {
            let (at, before, count) = piece.ok_or(Unmapped)?;
            let part = bytes
                .get_mut(before..before.saturating_add(count))
                .ok_or(Unmapped)?;
            if let Some((page, offset)) = self.live(at) {
                page.read(offset, part).map_err(|_| Unmapped)?;
            } else {
                let at = usize::try_from(at).map_err(|_| Unmapped)?;
                let memory = self.bytes.lock();
                part.copy_from_slice(memory.get(at..at.saturating_add(count)).ok_or(Unmapped)?);
            }
        }
        Ok(())
    }

    fn write(&self, gpa: u64, bytes: &[u8]) -> Result<(), Unmapped> {
        for piece in pieces(gpa, bytes.len()) {
            let (at, before, count) = piece.ok_or(Unmapped)?;
            let part = bytes
                .get(before..before.saturating_add(count))
                .ok_or(Unmapped)?;
            if let Some((page, offset)) = self.live(at) {
                page.write(offset, part).map_err(|_| Unmapped)?;
            } else {
                let at = usize::try_from(at).map_err(|_| Unmapped)?;
                let mut memory = self.bytes.lock();
                memory
                    .get_mut(at..at.saturating_add(count))
                    .ok_or(Unmapped)?
                    .copy_from_slice(part);
            }
        }
        Ok(())
    }
}

impl Mount for Ram {
    fn mount(&self, pages: &'static [SharedPage]) -> Option<Gpa> {
        let mut mounted = self.mounted.lock();
        let mut before = 0_usize;
        for known in mounted.iter() {
            if core::ptr::eq(*known, pages) {
                break;
            }
            before = before.saturating_add(known.len());
        }
        if !mounted.iter().any(|known| core::ptr::eq(*known, pages)) {
            mounted.push(pages);
        }
        let offset = u64::try_from(before).ok()?.checked_mul(PAGE)?;
        Some(Gpa(self.size.checked_add(offset)?))
    }
}
