//! Starts a guest as ACRN starts an ELF Service VM: the segments where they say, sections named `.bss*` zeroed, then the
//! entry point in flat 32-bit protected mode (ACRN `elf_loader.c`).

use crate::guest_memory::GuestRam;

const LOAD: u32 = 1;

/// Copies an ELF64 image into the guest's memory. Returns its entry point, or what is wrong with it.
pub fn load(image: &[u8], ram: &GuestRam) -> Result<u64, &'static str> {
    if image.get(..5) != Some(b"\x7fELF\x02") {
        return Err(
            "there is no 64-bit ELF image of a guest in this hypervisor: build with GUEST_ELF",
        );
    }
    let entry = u64_at(image, 24)?;
    for header in table(image, 32, 54, 56)? {
        if u32_at(header, 0)? != LOAD {
            continue;
        }
        let (from, to) = (u64_at(header, 8)?, u64_at(header, 24)?);
        let bytes = part(image, from, u64_at(header, 32)?)?;
        // Only what is in the file: ACRN does not look at a segment's size in memory.
        ram.copy(to, bytes)?;
    }
    let sections = table(image, 40, 58, 60)?;
    let names = sections
        .clone()
        .nth(usize::from(u16_at(image, 62)?))
        .ok_or("no section names")?;
    let names = part(image, u64_at(names, 24)?, u64_at(names, 32)?)?;
    for section in sections {
        let name = names
            .get(u32_at(section, 0)? as usize..)
            .unwrap_or_default();
        if name.starts_with(b".bss") {
            ram.fill(u64_at(section, 16)?, u64_at(section, 32)?, 0)?;
        }
    }
    Ok(entry)
}

/// A table of headers: where its offset, the size of an entry and the number of entries are written.
fn table(
    image: &[u8],
    offset: usize,
    size: usize,
    count: usize,
) -> Result<core::iter::Take<core::slice::ChunksExact<'_, u8>>, &'static str> {
    let size = usize::from(u16_at(image, size)?).max(56);
    let count = usize::from(u16_at(image, count)?);
    let bytes = part(image, u64_at(image, offset)?, (size * count) as u64)?;
    Ok(bytes.chunks_exact(size).take(count))
}

fn part(image: &[u8], from: u64, length: u64) -> Result<&[u8], &'static str> {
    let end = from.checked_add(length).ok_or("the image is cut off")?;
    image
        .get(from as usize..end as usize)
        .ok_or("the image is cut off")
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], &'static str> {
    bytes
        .get(at..)
        .and_then(|bytes| bytes.first_chunk())
        .copied()
        .ok_or("the image is cut off")
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, &'static str> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, &'static str> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, &'static str> {
    bytes_at(bytes, at).map(u64::from_le_bytes)
}
