//! The guest's memory: the first 64 MiB of the machine, where the hypervisor's own memory is not.
//!
//! It is reached as pages of atomics, because it is the guest's: it may have changed between two looks.

use core::ptr::with_exposed_provenance;
use core::sync::atomic::Ordering;

use hypercall_core::SharedPage;

/// Bytes of the guest's memory.
pub const SIZE: u64 = 64 << 20;
/// The 2 MiB with the local APIC's registers, which the guest may use, and their place in a table of the fourth GiB.
pub const APIC: u64 = 0xfee0_0000;
pub const APIC_ENTRY: usize = (APIC >> 21) as usize % 512;
const PAGE: u64 = 4096;

/// The guest's memory.
#[derive(Clone, Copy, Debug)]
pub struct GuestRam(());

impl GuestRam {
    /// The guest's memory.
    ///
    /// # Safety
    /// The first 64 MiB of memory are RAM, mapped to their own physical addresses, and no Rust object of this program
    /// lies there.
    pub const unsafe fn new() -> Self {
        Self(())
    }

    /// The page at an address. Not the first one, whose address is a null pointer.
    pub fn page(&self, gpa: u64) -> Option<&'static SharedPage> {
        if !(PAGE..SIZE).contains(&gpa) {
            return None;
        }
        // SAFETY: `new`'s caller promised RAM that nothing else of this program lies in; the address is a page's, and a
        // page of atomics may be any bytes. The machine never takes its memory away, so the reference is good for ever.
        Some(unsafe { &*with_exposed_provenance::<SharedPage>((gpa & !(PAGE - 1)) as usize) })
    }

    /// Copies bytes out. `None` where a byte is not in the guest's memory.
    pub fn read(&self, gpa: u64, bytes: &mut [u8]) -> Option<()> {
        for (at, byte) in (gpa..).zip(bytes) {
            self.page(at)?
                .read((at % PAGE) as usize, core::slice::from_mut(byte))
                .ok()?;
        }
        Some(())
    }

    /// An entry of a page table, at a multiple of 8.
    pub fn read_u64(&self, gpa: u64) -> Option<u64> {
        let page = self.page(gpa)?;
        let offset = (gpa % PAGE) as usize;
        let [low, high] =
            [offset, offset + 4].map(|at| page.word(at).map(|word| word.load(Ordering::Relaxed)));
        Some(u64::from(low?) | u64::from(high?) << 32)
    }

    /// Copies bytes in.
    pub fn copy(&self, gpa: u64, bytes: &[u8]) -> Result<(), &'static str> {
        let mut at = gpa;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min((PAGE - at % PAGE) as usize));
            let page = self.page(at).ok_or("not the guest's memory")?;
            page.write((at % PAGE) as usize, now)
                .map_err(|_| "not the guest's memory")?;
            at += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// Fills memory with a byte.
    pub fn fill(&self, gpa: u64, length: u64, byte: u8) -> Result<(), &'static str> {
        let bytes = [byte; 256];
        let mut done = 0;
        while done < length {
            let count = (length - done).min(256);
            self.copy(gpa + done, &bytes[..count as usize])?;
            done += count;
        }
        Ok(())
    }
}
