//! Recovers what the rings of a killed process hold, and joins it with what reached the file.
//!
//! A ring lies in shared memory and outlives the process that filled it. Its head names the recording and the lane; in front
//! of its blocks stands what stands at the start of a trace, so that a ring can be read without the file.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec::Vec;

use super::source::{Source, read_full};
use super::trace::{OpenError, Trace};
use super::view::{View, split};
use crate::entry::{Entry, LossCause, Lost, When};
use crate::format::record::{checks, kind, parse_word};
use crate::format::u64_at;
use crate::ring::layout::{HEAD, LINE, MAX_BLOCKS, RING_MAGIC, head, state};
use crate::schema::Schema;
use crate::write::Writer;

/// The most bytes that a ring may say it has in front of its blocks.
const MAX_PREAMBLE: usize = 16 << 20;
/// The most bytes that a block of a ring may say it has.
const MAX_RING_BLOCK: usize = 64 << 20;

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
    /// Records that could not be read.
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

impl Ring {
    /// Reads a ring. The process that filled it should be gone: what is written meanwhile may be missing.
    ///
    /// # Errors
    /// [`RingError`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RingError> {
        let path = path.into();
        match File::open(&path) {
            Ok(file) => Self::read(path, &file),
            Err(error) => Err(RingError::Io { path, error }),
        }
    }

    fn read(path: PathBuf, source: &dyn Source) -> Result<Self, RingError> {
        let io = |error| RingError::Io {
            path: path.clone(),
            error,
        };
        let not_a_ring = || RingError::NotARing(path.clone());
        let length = source.length().map_err(io)?;
        let mut words = [0; HEAD];
        let count = read_full(source, 0, &mut words).map_err(io)?;
        let at = |word: usize| u64_at(&words, word.saturating_mul(8));
        let narrow = |value: u64| usize::try_from(value).map_err(|_| not_a_ring());
        if count != HEAD || at(head::MAGIC) != RING_MAGIC {
            return Err(not_a_ring());
        }
        let blocks = narrow(at(head::BLOCKS))?;
        let block_size = narrow(at(head::BLOCK_SIZE))?;
        let data = at(head::DATA);
        let end = at(head::BLOCKS)
            .checked_mul(at(head::BLOCK_SIZE))
            .and_then(|bytes| bytes.checked_add(data));
        let preamble_at = at(head::PREAMBLE) & 0xffff_ffff;
        let preamble_length = narrow(at(head::PREAMBLE) >> 32)?;
        if blocks > MAX_BLOCKS
            || block_size > MAX_RING_BLOCK
            || end.is_none_or(|end| end > length)
            || preamble_length > MAX_PREAMBLE
        {
            return Err(not_a_ring());
        }
        let mut preamble = vec![0; preamble_length];
        read_full(source, preamble_at, &mut preamble).map_err(io)?;
        let preamble = Trace::from_bytes(preamble).map_err(|error| RingError::Preamble {
            path: path.clone(),
            error,
        })?;
        let mut ring = Self {
            id: at(head::ID),
            lane: u32::try_from(at(head::LANE)).map_err(|_| not_a_ring())?,
            preamble,
            entries: Vec::new(),
            damaged: 0,
            path: path.clone(),
        };
        let mut lines = vec![0; blocks.saturating_mul(LINE)];
        read_full(source, HEAD as u64, &mut lines).map_err(io)?;
        let mut order: Vec<(u64, usize, usize, u64)> = lines
            .chunks_exact(LINE)
            .enumerate()
            .filter(|(_, line)| {
                matches!(u64_at(line, 0) & state::MASK, state::WRITING | state::FULL)
            })
            .map(|(block, line)| {
                let used = usize::try_from(u64_at(line, 8))
                    .unwrap_or(0)
                    .min(block_size);
                (
                    u64_at(line, 0) >> state::SEQUENCE,
                    block,
                    used,
                    u64_at(line, 16),
                )
            })
            .collect();
        order.sort_unstable();
        let mut bytes = vec![0; block_size];
        let mut next = None;
        for (_, block, used, first) in order {
            let offset = u64::try_from(block.saturating_mul(block_size)).unwrap_or(u64::MAX);
            read_full(source, data.saturating_add(offset), &mut bytes).map_err(io)?;
            if let Some(missing) = next
                .and_then(|next| first.checked_sub(next))
                .filter(|missing| *missing != 0)
            {
                ring.entries.push(Entry::Lost(Lost {
                    lane: ring.lane,
                    index: first.saturating_sub(missing),
                    count: missing,
                    cause: LossCause::Overwritten,
                    first: 0,
                    last: 0,
                }));
            }
            next = Some(ring.take(&bytes, used, first));
        }
        // Losses that the process had no time to write down.
        let lost = at(head::LOST);
        // The process may have died between the record of them and the count.
        let recorded = next.is_some_and(|next| at(head::LOST_INDEX) < next);
        if lost != 0 && !recorded {
            ring.entries.push(Entry::Lost(Lost {
                lane: ring.lane,
                index: next.unwrap_or(0),
                count: lost,
                cause: LossCause::from_code(at(head::LOST_CAUSE).to_le_bytes()[0]),
                first: at(head::LOST_FIRST),
                last: at(head::LOST_LAST),
            }));
        }
        Ok(ring)
    }

    /// Reads the records of a block. The index behind them.
    fn take(&mut self, bytes: &[u8], used: usize, first: u64) -> u64 {
        let schema = Arc::clone(self.preamble.schema());
        let (mut at, mut index) = (0_usize, first);
        while at < used {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some((record, _)) = split(rest) else {
                self.damaged = self.damaged.saturating_add(1);
                break;
            };
            match View::parse(record).filter(|_| checks(record)) {
                Some(view) => {
                    self.entries.push(view.to_entry(self.lane, index, &schema));
                    index = index.saturating_add(view.indices());
                }
                None => {
                    self.damaged = self.damaged.saturating_add(1);
                    let (kind, _) = parse_word(u64_at(record, 0));
                    index = index.saturating_add(u64::from(kind < kind::OTHERS));
                }
            }
            at = at.saturating_add(record.len());
        }
        index
    }
}

/// What came of a recovery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Entries from the file.
    pub from_file: u64,
    /// Entries from the rings.
    pub from_rings: u64,
    /// Calls among them that never returned.
    pub unfinished: u64,
    /// Calls that are noted as lost.
    pub lost: u64,
    /// Stretches and records that could not be read.
    pub damaged: u64,
}

/// Why a recovery is not possible.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The sink failed.
    #[error("the recovered trace cannot be written: {0}")]
    Io(#[from] io::Error),
    /// The rings, or the rings and the file, are of different recordings.
    #[error("{} belongs to recording {found:016x}, and the others to {expected:016x}: recover each recording for itself", path.display())]
    Mixed {
        /// The ring.
        path: PathBuf,
        /// Its recording.
        found: u64,
        /// The recording of the others.
        expected: u64,
    },
    /// There is neither a file nor a ring.
    #[error("there is nothing to recover from")]
    Nothing,
}

/// Where an entry stands in its lane: its index, whether it comes before, with or after the call, and what tells apart
/// entries that have both in common.
fn key(entry: &Entry) -> Option<(u64, u8, u64, u32)> {
    Some(match entry {
        Entry::Call(call) => (call.index, 1, 0, 0),
        Entry::Lost(lost) => (lost.index, 1, 0, 0),
        Entry::Pages(change) => {
            let order = match change.when {
                When::Enter | When::Note => 0,
                When::Exit => 2,
            };
            (change.index, order, change.ticks, change.page)
        }
        Entry::Damaged(_) | Entry::Unknown(_) => return None,
    })
}

/// Writes a trace of what the file and the rings hold together: of each lane what reached the file, then what only the ring
/// has, nothing twice.
///
/// # Errors
/// [`RecoverError`].
pub fn recover<W: Write>(
    trace: Option<&Trace>,
    rings: &[Ring],
    sink: W,
    options: crate::write::Options,
) -> Result<(W, Recovered), RecoverError> {
    let model = trace
        .or(rings.first().map(|ring| &ring.preamble))
        .ok_or(RecoverError::Nothing)?;
    let id = model.header().id;
    if let Some(other) = rings.iter().find(|ring| ring.id != id) {
        return Err(RecoverError::Mixed {
            path: other.path.clone(),
            found: other.id,
            expected: id,
        });
    }
    let no_schema = Schema::default();
    let schema = trace
        .into_iter()
        .chain(rings.iter().map(|ring| &ring.preamble))
        .map(|trace| &**trace.schema())
        .find(|schema| !schema.interfaces.is_empty())
        .unwrap_or(&no_schema);
    let options = crate::write::Options { id, ..options };
    let mut writer = Writer::new(sink, schema, *model.clock(), options)?;
    let mut done = Recovered::default();

    let mut names: BTreeMap<u32, String> = BTreeMap::new();
    if let Some(trace) = trace {
        names.extend(
            trace
                .lanes()
                .iter()
                .map(|lane| (lane.id, lane.name.clone())),
        );
        for block in trace.data() {
            let lane = block.header.lane;
            names.entry(lane).or_insert_with(|| trace.lane_name(lane));
        }
    }
    for ring in rings {
        names
            .entry(ring.lane)
            .or_insert_with(|| ring.preamble.lane_name(ring.lane));
    }
    // The numbers may have holes; the writer's do not.
    let mut numbers = HashMap::new();
    for (lane, name) in &names {
        numbers.insert(*lane, writer.lane(name)?);
    }

    let mut push = |entry: &Entry, done: &mut Recovered| -> io::Result<()> {
        let mut entry = entry.clone();
        let lane = match &mut entry {
            Entry::Call(call) => &mut call.lane,
            Entry::Lost(lost) => &mut lost.lane,
            Entry::Pages(change) => &mut change.lane,
            Entry::Unknown(unknown) => &mut unknown.lane,
            Entry::Damaged(_) => {
                done.damaged = done.damaged.saturating_add(1);
                return Ok(());
            }
        };
        *lane = numbers.get(lane).copied().unwrap_or(0);
        match &entry {
            Entry::Call(call) if call.duration.is_none() => {
                done.unfinished = done.unfinished.saturating_add(1);
            }
            Entry::Lost(lost) => done.lost = done.lost.saturating_add(lost.count),
            _ => {}
        }
        writer.push(&entry)
    };

    // What the ring has of a lane stands for all that the file has from there on.
    let starts: HashMap<u32, _> = rings
        .iter()
        .filter_map(|ring| Some((ring.lane, ring.entries.iter().find_map(key)?)))
        .collect();
    if let Some(trace) = trace {
        for entry in trace.entries() {
            let behind = match (&entry, entry.lane().and_then(|lane| starts.get(&lane))) {
                (_, None) => false,
                // An announcement, or a record of a call in flight, says less than the ring.
                (entry, Some(start)) => key(entry).is_some_and(|key| key >= *start),
            };
            if !behind {
                push(&entry, &mut done)?;
                done.from_file = done.from_file.saturating_add(1);
            }
        }
    }
    for ring in rings {
        done.damaged = done.damaged.saturating_add(ring.damaged);
        for entry in &ring.entries {
            push(entry, &mut done)?;
            done.from_rings = done.from_rings.saturating_add(1);
        }
    }
    Ok((writer.finish()?, done))
}
