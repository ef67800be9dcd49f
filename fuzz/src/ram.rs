//! The machine's memory, as live pages that a target sees all of, whatever the hypervisor's maps say.

use std::sync::atomic::Ordering;

use hypercall_core::{Gpa, SharedPage};
use hypercall_mock::fake::FakeAcrn;

const PAGE: u64 = 4096;

/// Host addresses of the pages. The first is at 0, which ACRN takes for a null pointer; the others surround a hole, so
/// that a block can end in one.
const FRAMES: [u64; 12] = [
    0x0, 0x1000, 0x20_0000, 0x20_1000, 0x20_2000, 0x20_3000, 0x20_4000, 0x20_5000, 0x20_6000,
    0x20_7000, 0x20_9000, 0x20_a000,
];
/// The page between them that nobody has.
pub const HOLE: u64 = 0x20_8000;

static PAGES: [SharedPage; FRAMES.len()] = [const { SharedPage::new() }; FRAMES.len()];

/// All of the machine's RAM: each address range of it.
pub fn ranges() -> Vec<core::ops::Range<u64>> {
    FRAMES.iter().map(|frame| *frame..frame + PAGE).collect()
}

/// Zeroes the pages and makes them the memory of a fake that has [`ranges`] and has just booted.
pub fn mount(fake: &FakeAcrn) {
    for (frame, page) in FRAMES.iter().zip(&PAGES) {
        for word in page.words() {
            word.store(0, Ordering::Relaxed);
        }
        assert!(
            fake.mount_at(Gpa(*frame), page),
            "the Service VM has all RAM"
        );
    }
}

/// A place in RAM. Few of them, so that pointers and what they point at meet.
pub fn place(choice: u8) -> u64 {
    let frame = FRAMES[usize::from(choice) % FRAMES.len()];
    let offset = match choice / 12 {
        0..8 => 0,
        8..12 => 0x800,
        12..14 => 0xff8,
        14..16 => 0xfff,
        16 => 0x123,
        17 => 0xf80,
        // The state of the first and of the second slot, if it is a request page.
        18 => 0x88,
        19 => 0x188,
        // Head and tail, if it is a ring.
        20 => 0x10,
        _ => 0xe00,
    };
    frame + offset
}

/// Stores bytes as another processor does: directly. What is not RAM swallows them.
pub fn store(hpa: u64, bytes: &[u8]) {
    for (at, byte) in (hpa..).zip(bytes) {
        if let Some(page) = page(at) {
            let offset = usize::try_from(at % PAGE).expect("it is small");
            page.write(offset, &[*byte])
                .expect("it is one byte of the page");
        }
    }
}

/// Loads a word of RAM; ones where there is none.
pub fn load(hpa: u64) -> u32 {
    let mut bytes = [0xff; 4];
    for (at, byte) in (hpa..).zip(&mut bytes) {
        if let Some(page) = page(at) {
            let offset = usize::try_from(at % PAGE).expect("it is small");
            page.read(offset, std::slice::from_mut(byte))
                .expect("it is one byte of the page");
        }
    }
    u32::from_le_bytes(bytes)
}

fn page(hpa: u64) -> Option<&'static SharedPage> {
    let at = FRAMES
        .iter()
        .position(|frame| hpa.wrapping_sub(*frame) < PAGE)?;
    PAGES.get(at)
}

/// What all of RAM held at one moment.
pub struct Snapshot(Vec<u32>);

impl Snapshot {
    /// Now.
    pub fn take() -> Self {
        let words = PAGES.iter().flat_map(SharedPage::words);
        Self(words.map(|word| word.load(Ordering::Relaxed)).collect())
    }

    /// The words that differ: their address, what they were and what they are.
    pub fn differences(&self, after: &Self) -> Vec<(u64, u32, u32)> {
        let addresses = FRAMES
            .iter()
            .flat_map(|frame| (*frame..*frame + PAGE).step_by(4));
        let pairs = self.0.iter().zip(&after.0);
        addresses
            .zip(pairs)
            .filter(|(_, (old, new))| old != new)
            .map(|(at, (old, new))| (at, *old, *new))
            .collect()
    }
}

/// The bytes that differ, one by one, of the words that do.
pub fn bytes(differences: &[(u64, u32, u32)]) -> impl Iterator<Item = u64> {
    differences.iter().flat_map(|(at, old, new)| {
        let changed = (old ^ new).to_le_bytes();
        (*at..)
            .zip(changed)
            .filter(|(_, changed)| *changed != 0)
            .map(|(at, _)| at)
    })
}
