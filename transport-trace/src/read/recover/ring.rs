//! What the ring of a killed process holds.
//!
//! The records in a ring have checksums; the words that say where they are have none, because a program stores one of them
//! with each call. So everything that is there twice is compared: the geometry with the file's length, the number of the
//! recording and the lane with the preamble, where a block starts with where the one before it ended, how far it is filled
//! with the records themselves.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec::Vec;

use super::waiting;
use crate::entry::{Entry, LossCause, Lost};
use crate::format::record::{checks, kind, parse_word};
use crate::format::{WAITING_MAGIC, u64_at};
use crate::read::open::OpenError;
use crate::read::source::{Source, read_full};
use crate::read::trace::Trace;
use crate::read::view::{View, split};
use crate::ring::layout::{
    FIRSTS, Geometry, HEAD, LINE, MAX_BLOCKS, RING_MAGIC, USED, head, lost_check, state, used_of,
    used_word,
};

/// The most bytes that a ring may say it has in front of its blocks.
const MAX_PREAMBLE: usize = 16 << 20;
/// Where the blocks of a ring start: at a multiple of this.
const PAGE: usize = 4096;

/// A ring that was left behind.
#[derive(Debug)]
pub struct Ring {
    /// Where it is.
    pub path: PathBuf,
    /// The number of the recording.
    pub id: u64,
    /// The lane's number in the recording.
    pub lane: u32,
    /// What stands in front of the blocks, as a trace without records.
    pub preamble: Trace,
    /// What the blocks hold, oldest first.
    pub entries: Vec<Entry>,
    /// The index of the first call that the oldest block was begun with, where there is a block. Those before it left the ring:
    /// they were taken out, or overwritten.
    pub first: Option<u64>,
    /// Records that could not be read, and places where the ring contradicts itself.
    pub damaged: u64,
}

/// Why a ring cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// The storage failed.
    #[error("{}: {error}", path.display())]
    Io {
        /// The ring.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// The file is something else, or the process was killed before the ring was made.
    #[error("{} is not the ring of a recording, or the process died before it was made", .0.display())]
    NotARing(PathBuf),
    /// The words that say where everything is contradict each other.
    #[error(
        "{}: the head of the ring is damaged, and says nothing sure of where its records are",
        .0.display()
    )]
    Head(PathBuf),
    /// What stands in front of the blocks cannot be read.
    #[error("{}: {error}", path.display())]
    Preamble {
        /// The ring.
        path: PathBuf,
        /// What is wrong.
        error: OpenError,
    },
}

/// The files in a folder that are named like rings, in order.
///
/// # Errors
/// As the operating system says.
pub fn find(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut rings = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "ring")
        {
            rings.push(path);
        }
    }
    rings.sort();
    Ok(rings)
}

/// How the files are called that recordings lock in the folders of their rings.
pub(crate) const LOCK: &str = "recording";

/// Whether a recording goes on whose rings are in this folder. It locks a file there, and the system takes the lock back when the
/// process ends, in whichever way and whichever namespace, or when the recording is [finished](crate::record::Recording::finish).
/// Processes that were forked from it without running another program hold it too.
///
/// # Errors
/// As the operating system says; [`NotFound`](io::ErrorKind::NotFound) where there is no such folder, or no such file in it: nobody knows then.
pub fn is_recording(folder: &Path) -> io::Result<bool> {
    let mut known = Err(io::ErrorKind::NotFound.into());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != LOCK) {
            continue;
        }
        // Not in the way of others who ask.
        match fs::File::open(path)?.try_lock_shared() {
            Ok(()) => known = Ok(false),
            Err(fs::TryLockError::WouldBlock) => return Ok(true),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
    known
}

/// What a block's control line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    sequence: u64,
    block: usize,
    /// The two halves of the word, which are the same.
    used: [usize; 2],
    first: u64,
}

impl Ring {
    /// Reads a ring. The process that filled it should be gone: what is written meanwhile may be missing.
    ///
    /// # Errors
    /// [`RingError`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RingError> {
        let path = path.into();
        match File::open(&path) {
            Ok(file) => Self::from_source(path, &file),
            Err(error) => Err(RingError::Io { path, error }),
        }
    }

    /// Reads a ring from anywhere. The path is for messages.
    ///
    /// # Errors
    /// [`RingError`].
    pub fn from_source(path: PathBuf, source: &dyn Source) -> Result<Self, RingError> {
        let io = |error| RingError::Io {
            path: path.clone(),
            error,
        };
        let not_a_ring = || RingError::NotARing(path.clone());
        let damaged_head = || RingError::Head(path.clone());
        let length = source.length().map_err(io)?;
        let mut words = [0; HEAD];
        let count = read_full(source, 0, &mut words).map_err(io)?;
        let at = |word: usize| u64_at(&words, word.saturating_mul(8));
        let narrow = |value: u64| usize::try_from(value).map_err(|_| damaged_head());
        if count >= 8 && at(head::MAGIC) == WAITING_MAGIC {
            return waiting::read(path, source);
        }
        if count != HEAD || at(head::MAGIC) != RING_MAGIC {
            return Err(not_a_ring());
        }
        let blocks = narrow(at(head::BLOCKS))?;
        let block_size = narrow(at(head::BLOCK_SIZE))?;
        let data = at(head::DATA);
        let preamble_at = narrow(at(head::PREAMBLE) & 0xffff_ffff)?;
        let preamble_length = narrow(at(head::PREAMBLE) >> 32)?;
        if blocks > MAX_BLOCKS || preamble_length > MAX_PREAMBLE {
            return Err(damaged_head());
        }
        // How the memory of a ring of so many bytes is divided.
        let geometry = Geometry::divide(narrow(length)?, blocks, preamble_length, PAGE);
        if preamble_at != Geometry::controls(blocks)
            || geometry.is_none_or(|geometry| {
                geometry.blocks != blocks
                    || geometry.block_size != block_size
                    || u64::try_from(geometry.data) != Ok(data)
            })
        {
            return Err(damaged_head());
        }
        let mut preamble = vec![0; preamble_length];
        let preamble_start = u64::try_from(preamble_at).unwrap_or(u64::MAX);
        read_full(source, preamble_start, &mut preamble).map_err(io)?;
        let mut preamble = Trace::from_bytes(preamble).map_err(|error| RingError::Preamble {
            path: path.clone(),
            error,
        })?;
        preamble.set_frequency(at(head::FREQUENCY));
        let mut ring = Self {
            id: at(head::ID),
            lane: u32::try_from(at(head::LANE)).unwrap_or(u32::MAX),
            preamble,
            entries: Vec::new(),
            first: None,
            damaged: 0,
            path: path.clone(),
        };
        ring.compare_with_preamble();
        let mut lines = vec![0; blocks.saturating_mul(LINE)];
        read_full(source, HEAD as u64, &mut lines).map_err(io)?;
        let order = ring.in_order(&lines, block_size);
        let mut bytes = vec![0; block_size];
        let mut next: Option<u64> = None;
        let mut before = 0_u64;
        for line in order {
            let offset = u64::try_from(line.block.saturating_mul(block_size)).unwrap_or(u64::MAX);
            read_full(source, data.saturating_add(offset), &mut bytes).map_err(io)?;
            match next.map(|next| (next, line.first.checked_sub(next))) {
                Some((_, None)) => {
                    // Its calls came already: where the block starts, or how far the one before it goes, is not right.
                    ring.damaged = ring.damaged.saturating_add(1);
                    continue;
                }
                Some((next, Some(missing))) if missing != 0 => {
                    ring.entries.push(Entry::Lost(Lost {
                        lane: ring.lane,
                        index: next,
                        count: missing,
                        // Nothing was overwritten between two blocks that were begun one after the other.
                        cause: if line.sequence == before.saturating_add(1) {
                            LossCause::Damaged
                        } else {
                            LossCause::Overwritten
                        },
                        first: 0,
                        last: 0,
                    }));
                }
                _ => {}
            }
            ring.first.get_or_insert(line.first);
            next = Some(ring.take(&bytes, line));
            before = line.sequence;
        }
        let index = ring.pending_losses(&words, next);
        let busy = at(head::BUSY);
        if busy != 0 {
            ring.entries.push(Entry::Lost(Lost {
                lane: ring.lane,
                index,
                count: busy,
                cause: LossCause::Busy,
                first: 0,
                last: 0,
            }));
        }
        Ok(ring)
    }

    /// Losses that the process had no time to write down. `next` is the index behind the last record. The index behind them.
    fn pending_losses(&mut self, words: &[u8], next: Option<u64>) -> u64 {
        let at = |word: usize| u64_at(words, word.saturating_mul(8));
        let (count, again) = (at(head::LOST), at(head::LOST_AGAIN));
        let (index, index_again) = (at(head::LOST_INDEX), at(head::LOST_INDEX_AGAIN));
        // Where the ring was emptied, the calls before it are in the file.
        let behind = next.unwrap_or_else(|| index.min(index_again));
        if count == 0 && again == 0 {
            return behind;
        }
        // Where both say that the calls stand in a record, the process died between that and the clearing of the count.
        let recorded = |index: u64| next.is_some_and(|next| index < next);
        let differ =
            recorded(index) != recorded(index_again) || next.is_none() && index != index_again;
        self.damaged = self.damaged.saturating_add(u64::from(differ));
        if recorded(index) && recorded(index_again) {
            return behind;
        }
        let (first, last, cause) = (
            at(head::LOST_FIRST),
            at(head::LOST_LAST),
            at(head::LOST_CAUSE),
        );
        let sure = |count: u64| lost_check(count, first, last, cause) == at(head::LOST_CHECK);
        // The process may have died between the two words; else one of them is damaged.
        let died = again == count.saturating_add(1);
        self.damaged = self
            .damaged
            .saturating_add(u64::from(count != again && !died));
        let right = [again, count].into_iter().find(|count| sure(*count));
        // Of two that differ the lesser, but not none: a flipped bit may make very many of few.
        let least = match count.min(again) {
            0 => count.max(again),
            least => least,
        };
        let count = right.unwrap_or(least);
        if count == 0 {
            return behind;
        }
        let known = |ticks: u64| if right.is_some() { ticks } else { 0 };
        let cause = if cause == used_word(used_of(cause)) {
            used_of(cause)
        } else {
            0
        };
        self.entries.push(Entry::Lost(Lost {
            lane: self.lane,
            index: behind,
            count,
            // What is not sure is not said.
            cause: LossCause::from_code(cause.to_le_bytes()[0]),
            first: known(first),
            last: known(last),
        }));
        behind.saturating_add(count)
    }

    /// The preamble has checksums; what the head says of the same is not believed where it differs.
    fn compare_with_preamble(&mut self) {
        let id = self.preamble.header().id;
        let mut differs = self.id != id || self.preamble.damage().next().is_some();
        self.id = id;
        if let [lane] = self.preamble.lanes() {
            differs |= self.lane != lane.id;
            self.lane = lane.id;
        }
        self.damaged = self.damaged.saturating_add(u64::from(differs));
    }

    /// The blocks that hold something, oldest first.
    fn in_order(&mut self, lines: &[u8], block_size: usize) -> Vec<Line> {
        let all = || {
            lines.chunks_exact(LINE).enumerate().map(|(block, line)| {
                let word = u64_at(line, 0);
                let used = u64_at(line, USED.saturating_mul(8));
                let halves = [used_of(used), used >> 32]
                    .map(|used| usize::try_from(used).unwrap_or(usize::MAX));
                let firsts = FIRSTS.map(|word| u64_at(line, word.saturating_mul(8)));
                let [one, two, three] = firsts;
                let line = Line {
                    sequence: word >> state::SEQUENCE,
                    block,
                    used: halves.map(|used| used.min(block_size)),
                    // Two of them are right.
                    first: if one == two || one == three { one } else { two },
                };
                let differ = halves[0] != halves[1] || one != two || one != three;
                (word & state::MASK, halves[0].max(halves[1]), differ, line)
            })
        };
        let newest = all().map(|(.., line)| line.sequence).max().unwrap_or(0);
        let mut order = Vec::new();
        for (now, used, differ, line) in all() {
            // A block without a sequence was emptied; one is claimed only to be overwritten, and then it is not the newest.
            let odd = match now {
                state::WRITING | state::FULL => used > block_size || line.sequence == 0,
                state::FREE if line.sequence == 0 => continue,
                state::CLAIMED if line.sequence != newest => continue,
                _ => true,
            };
            self.damaged = self.damaged.saturating_add(u64::from(odd || differ));
            order.push(line);
        }
        order.sort_unstable();
        order
    }

    /// Reads the records of a block. The index behind them.
    fn take(&mut self, bytes: &[u8], line: Line) -> u64 {
        let schema = Arc::clone(self.preamble.schema());
        let (mut at, mut index) = (0_usize, line.first);
        let used = filled(bytes, line.used);
        let mut times: Option<(u64, u64)> = None;
        let mut beyond = false;
        loop {
            let Some((record, _)) = split(bytes.get(at..).unwrap_or_default()) else {
                self.damaged = self.damaged.saturating_add(u64::from(at < used));
                break;
            };
            let view = View::parse(record).filter(|_| checks(record));
            let enter = match &view {
                Some(View::Call(call)) => Some((call.enter, call.duration.is_some())),
                _ => None,
            };
            if at >= used {
                // Behind what is filled stands what was there before, which is older; or nothing. A call that came back and
                // is newer says that more is filled. One that was only entered may be the last thing that happened: the
                // process died before it was noted, and before the call was made.
                let newer = matches!((enter, times), (Some((enter, true)), Some((_, last))) if enter > last);
                if !newer {
                    break;
                }
                self.damaged = self.damaged.saturating_add(u64::from(!beyond));
                beyond = true;
            } else if let (Some((enter, _)), Some((first, _))) = (enter, times)
                && enter < first
            {
                // Older than the block: less is filled than the ring says.
                self.damaged = self.damaged.saturating_add(1);
                break;
            }
            if let Some((enter, _)) = enter {
                let (first, last) = times.unwrap_or((enter, enter));
                times = Some((first, last.max(enter)));
            }
            match view {
                Some(view) => {
                    self.entries.push(view.to_entry(self.lane, index, &schema));
                    index = index.saturating_add(view.indices());
                }
                None => {
                    self.damaged = self.damaged.saturating_add(1);
                    let (kind, _) = parse_word(u64_at(record, 0));
                    if kind < kind::OTHERS {
                        self.entries.push(Entry::Lost(Lost {
                            lane: self.lane,
                            index,
                            count: 1,
                            cause: LossCause::Damaged,
                            first: 0,
                            last: 0,
                        }));
                        index = index.saturating_add(1);
                    }
                }
            }
            at = at.saturating_add(record.len());
        }
        index
    }
}

/// How many bytes of a block are filled: of two numbers that differ since a bit of one flipped, the one that a record ends at. The
/// lesser one where that is both or none: behind it stands what may be older.
fn filled(bytes: &[u8], used: [usize; 2]) -> usize {
    let [one, other] = used;
    if one == other {
        return one;
    }
    let mut ends = [one.min(other), one.max(other)];
    let ends_there = |used: usize| {
        let mut at = 0_usize;
        while at < used {
            let Some((record, _)) = split(bytes.get(at..).unwrap_or_default()) else {
                return false;
            };
            at = at.saturating_add(record.len());
        }
        at == used
    };
    if !ends_there(ends[0]) && ends_there(ends[1]) {
        ends.reverse();
    }
    ends[0]
}
