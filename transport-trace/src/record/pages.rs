//! Pages that the hypervisor keeps: what changed in them since they were last looked at.

use hypercall_core::SharedPage;

use crate::clock::Clock;
use crate::format::record::{PAGES_HEAD, PAGES_LATE, PAGES_MANY_LOOKS, kind, padded};
use crate::loss::LossCause;
use crate::ring::Producer;
use core::sync::atomic::Ordering;

/// Words of a page.
const WORDS: usize = 1024;
/// Unchanged words that are taken along rather than starting a new run, which costs as much.
const BRIDGE: usize = 2;
/// Bytes of a run before its words.
const RUN_HEAD: usize = 8;

/// A page that a lane watches, and what it looked like.
#[derive(Clone, Debug)]
pub struct Watched {
    page: Option<&'static SharedPage>,
    known: [u32; WORDS],
    now: [u32; WORDS],
    /// There was no room for a change.
    late: bool,
}

impl Watched {
    /// Room for a page.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            page: None,
            known: [0; WORDS],
            now: [0; WORDS],
            late: false,
        }
    }
}

impl Default for Watched {
    fn default() -> Self {
        Self::new()
    }
}

/// When pages are looked at, as it stands in the record.
#[derive(Clone, Copy, PartialEq, Eq)]
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

/// Looks of a program at its pages between two calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looks {
    /// Since the last call, or the last look that found something.
    made: u64,
}

impl Looks {
    /// The number of the look that is made now; 0 at a call, where counting begins anew.
    fn next(&mut self, point: Point) -> u64 {
        self.made = match point {
            Point::Note => self.made.saturating_add(1),
            Point::Enter | Point::Exit => 0,
        };
        self.made
    }
}

/// Notes the changes of all pages, by `reserve`, which finds room in the ring. A change for which there is no room is noted
/// the next time, and says that it is late.
pub(crate) fn note<'m, C: Clock>(
    pages: &mut [Watched],
    looks: &mut Looks,
    producer: &mut Producer<'m>,
    clock: &C,
    point: Point,
    mut reserve: impl FnMut(&mut Producer<'m>, usize) -> Result<(), LossCause>,
) {
    let mut at = At {
        look: looks.next(point),
        ticks: None,
        point,
    };
    for (number, room) in pages.iter_mut().enumerate() {
        let Some(page) = room.page else { continue };
        // Another processor may write meanwhile: from here on only the copy counts.
        for (word, now) in page.words().iter().zip(&mut room.now) {
            *now = word.load(Ordering::Acquire);
        }
        if let Ok(number) = u32::try_from(number)
            && room.now != room.known
        {
            // All that one look finds has one time.
            at.ticks.get_or_insert_with(|| clock.now());
            put(room, producer, number, &mut at, &mut reserve);
        }
    }
    if point == Point::Note && at.ticks.is_some() {
        looks.made = 0;
    }
}

/// One look at the pages.
struct At {
    /// Its number, and 0 once a change was noted.
    look: u64,
    /// Its time, once something was found.
    ticks: Option<u64>,
    point: Point,
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

/// Runs that fit one record of at most `most` bytes, from a word on. One that is too long is cut.
fn runs(room: &Watched, from: usize, most: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
    let (mut from, mut room_left) = (from, most);
    core::iter::from_fn(move || {
        let (start, end) = next_run(room, from)?;
        // Two words of the record for each two of the page: their bytes before and after.
        let fits = room_left
            .checked_sub(RUN_HEAD)?
            .checked_div(16)?
            .saturating_mul(2);
        let end = end.min(start.saturating_add(fits));
        if start >= end {
            room_left = 0;
            return None;
        }
        room_left = room_left.saturating_sub(run_length(start, end));
        from = end;
        Some((start, end))
    })
}

/// Bytes of a run in a record.
fn run_length(start: usize, end: usize) -> usize {
    let bytes = end.saturating_sub(start).saturating_mul(4);
    padded(bytes).saturating_mul(2).saturating_add(RUN_HEAD)
}

/// Puts the changes of a page into as many records as they take.
fn put<'m>(
    room: &mut Watched,
    producer: &mut Producer<'m>,
    number: u32,
    at: &mut At,
    reserve: &mut impl FnMut(&mut Producer<'m>, usize) -> Result<(), LossCause>,
) {
    let most = producer.largest().saturating_sub(PAGES_HEAD + 8);
    let mut from = 0;
    loop {
        let (mut length, mut count, mut end) = (PAGES_HEAD + 8, 0_u16, from);
        for run in runs(room, from, most) {
            length = length.saturating_add(run_length(run.0, run.1));
            count = count.saturating_add(1);
            end = run.1;
        }
        if count == 0 {
            break;
        }
        if reserve(producer, length).is_err() {
            room.late = true;
            return;
        }
        put_one(room, producer, number, at, count, runs(room, from, most));
        at.look = 0;
        // What was put is known now, also if there is no room for the rest.
        if let (Some(known), Some(now)) = (room.known.get_mut(from..end), room.now.get(from..end)) {
            known.copy_from_slice(now);
        }
        from = end;
    }
    room.late = false;
}

fn put_one(
    room: &Watched,
    producer: &mut Producer<'_>,
    number: u32,
    at: &At,
    count: u16,
    runs: impl Iterator<Item = (usize, usize)>,
) {
    let look = u8::try_from(at.look).unwrap_or(PAGES_MANY_LOOKS);
    let late = if room.late { PAGES_LATE } else { 0 };
    let point = (at.point as u8) | late;
    let mut record = producer.begin();
    record.word(at.ticks.unwrap_or(0));
    record.word(
        u64::from(number)
            | (u64::from(point) << 32)
            | (u64::from(look) << 40)
            | (u64::from(count) << 48),
    );
    if look == PAGES_MANY_LOOKS {
        record.word(at.look);
    }
    for (start, end) in runs {
        // Offsets and sizes within a page.
        let bytes = |words: usize| words.saturating_mul(4) as u64;
        record.word(bytes(start) | (bytes(end.saturating_sub(start)) << 32));
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
}
