//! Pages that the hypervisor keeps: what changed in them since they were last looked at.

use hypercall_core::SharedPage;

use crate::clock::Clock;
use crate::format::record::{PAGES_HEAD, kind, padded};
use crate::ring::Producer;
use core::sync::atomic::Ordering;

/// Words of a page.
const WORDS: usize = 1024;
/// Unchanged words that are taken along rather than starting a new run, which costs as much.
const BRIDGE: usize = 2;

/// A page that a lane watches, and what it looked like.
#[derive(Clone, Debug)]
pub struct Watched {
    page: Option<&'static SharedPage>,
    known: [u32; WORDS],
    now: [u32; WORDS],
}

impl Watched {
    /// Room for a page.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            page: None,
            known: [0; WORDS],
            now: [0; WORDS],
        }
    }
}

impl Default for Watched {
    fn default() -> Self {
        Self::new()
    }
}

/// When pages are looked at, as it stands in the record.
#[derive(Clone, Copy)]
pub(crate) enum Point {
    Enter = 0,
    Exit = 1,
    Note = 2,
}

/// Takes a page into the first free room. Its number, or `None` when there is no room.
pub(crate) fn add(pages: &mut [Watched], page: &'static SharedPage) -> Option<u32> {
    if let Some(number) = number_of(pages, page) {
        return Some(number);
    }
    let (number, room) = pages
        .iter_mut()
        .enumerate()
        .find(|(_, room)| room.page.is_none())?;
    *room = Watched {
        page: Some(page),
        ..Watched::new()
    };
    u32::try_from(number).ok()
}

/// The number of a watched page.
pub(crate) fn number_of(pages: &[Watched], page: &SharedPage) -> Option<u32> {
    let number = pages.iter().position(|room| {
        room.page
            .is_some_and(|watched| core::ptr::eq(watched, page))
    })?;
    u32::try_from(number).ok()
}

/// Notes the changes of all pages. A change for which the ring has no room is noted the next time.
pub(crate) fn note<C: Clock>(
    pages: &mut [Watched],
    producer: &mut Producer<'_>,
    clock: &C,
    point: Point,
) {
    for (number, room) in pages.iter_mut().enumerate() {
        let Some(page) = room.page else { continue };
        // Another processor may write meanwhile: from here on only the copy counts.
        for (word, now) in page.words().iter().zip(&mut room.now) {
            *now = word.load(Ordering::Acquire);
        }
        if room.now != room.known
            && let Ok(number) = u32::try_from(number)
            && put(room, producer, number, clock.now(), point).is_some()
        {
            room.known = room.now;
        }
    }
}

/// The next run of changed words at or after a word: its first word and the one behind its last.
fn next_run(room: &Watched, from: usize) -> Option<(usize, usize)> {
    let changed = |word: &usize| room.now.get(*word) != room.known.get(*word);
    let start = (from..WORDS).find(changed)?;
    let mut end = start.saturating_add(1);
    while let Some(next) =
        (end..end.saturating_add(BRIDGE).saturating_add(1).min(WORDS)).find(changed)
    {
        end = next.saturating_add(1);
    }
    Some((start, end))
}

fn runs(room: &Watched) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut from = 0;
    core::iter::from_fn(move || {
        let run = next_run(room, from)?;
        from = run.1;
        Some(run)
    })
}

fn put(
    room: &Watched,
    producer: &mut Producer<'_>,
    number: u32,
    ticks: u64,
    point: Point,
) -> Option<()> {
    let mut length = PAGES_HEAD;
    let mut count = 0_u16;
    for (start, end) in runs(room) {
        let bytes = end.saturating_sub(start).saturating_mul(4);
        length = length
            .saturating_add(8)
            .saturating_add(padded(bytes).saturating_mul(2));
        count = count.saturating_add(1);
    }
    producer.reserve(length).ok()?;
    let mut record = producer.begin();
    record.word(ticks);
    record.word(u64::from(number) | (u64::from(point as u8) << 32) | (u64::from(count) << 48));
    for (start, end) in runs(room) {
        let offset = u32::try_from(start.saturating_mul(4)).ok()?;
        let size = u32::try_from(end.saturating_sub(start).saturating_mul(4)).ok()?;
        record.word(u64::from(offset) | (u64::from(size) << 32));
        for words in [&room.known, &room.now] {
            let (pairs, rest) = words.get(start..end).unwrap_or_default().as_chunks::<2>();
            for [low, high] in pairs {
                record.word(u64::from(*low) | (u64::from(*high) << 32));
            }
            if let [last] = rest {
                record.word(u64::from(*last));
            }
        }
    }
    record.publish(kind::PAGES);
    Some(())
}
