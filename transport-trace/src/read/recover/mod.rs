//! Recovers what the rings of a killed process hold, and joins it with what reached the file.
//!
//! A ring lies in shared memory and outlives the process that filled it. Its head names the recording and the lane; in front
//! of its blocks stands what stands at the start of a trace, so that a ring can be read without the file. What had left a ring
//! that overwrites, when a recording ended on a broken storage, lies in a file beside it, and is read as a ring too.
//!
//! What is in neither is noted as lost: *overwritten* where the file is whole up to there, *damaged* where it may have stood in a
//! part of the file that cannot be read.

mod join;
mod reached;
mod ring;
mod waiting;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;

use super::trace::{Lane, Trace};
use crate::entry::{Entry, When};
use crate::format::BlockKind;

use join::join;
pub(crate) use ring::LOCK;
pub use ring::{Ring, RingError, find, is_recording};

/// What came of a recovery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Entries from the file.
    pub from_file: u64,
    /// Entries from the rings.
    pub from_rings: u64,
    /// Calls among them that never returned.
    pub unfinished: u64,
    /// Calls that are noted as lost, those that damage took included.
    pub lost: u64,
    /// Whether calls are noted as lost and [nobody knows](crate::entry::Lost::how_many) how many.
    pub lost_unknown: bool,
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

/// See [`key`].
type Key = (u64, u8, u64, u64);

/// Where an entry stands in its lane: its index, whether it comes before, with or after the call, and what tells apart
/// entries that have both in common.
fn key(entry: &Entry) -> Option<Key> {
    Some(match entry {
        Entry::Call(call) => (call.index, 1, 0, 0),
        Entry::Lost(lost) => (lost.index, 1, 0, 0),
        Entry::Pages(change) => {
            let order = match change.when {
                When::Enter | When::Note => 0,
                When::Exit => 2,
            };
            // A large change is several, with rising offsets.
            let offset = change.runs.first().map_or(0, |run| u64::from(run.offset));
            let place = (u64::from(change.page) << 32) | offset;
            (change.index, order, change.ticks, place)
        }
        Entry::Unknown(unknown) => (unknown.index, 1, 0, 0),
        Entry::Damaged(_) => return None,
    })
}

/// Whether there may be rings with more of a trace: it was not finished as far as anybody knows. Of a file that was joined from several
/// recordings it is the first one that counts. It alone can be recovered, since the file's header has its number; for what the others
/// lack, recover them before they are joined.
#[must_use]
pub fn may_have_rings(trace: &Trace) -> bool {
    if is_joined(trace) {
        trace.recordings_without_end().contains(&RECORDING)
    } else {
        trace.ends_early()
    }
}

/// The recording that the rings are of, in a file that was joined from several.
const RECORDING: u32 = 0;

fn is_joined(trace: &Trace) -> bool {
    trace.recording_at(u64::MAX) != RECORDING
}

/// The lanes of a trace that none of these rings is of, where it [may have some](may_have_rings): what their rings held is not here. The
/// rings of a recording stay until it is finished, so somebody took them away.
#[must_use]
pub fn lanes_without_ring(trace: &Trace, rings: &[Ring]) -> Vec<Lane> {
    if !may_have_rings(trace) {
        return Vec::new();
    }
    let kinds = [BlockKind::Lane, BlockKind::Data, BlockKind::Announce];
    let lanes: BTreeSet<u32> = trace
        .blocks()
        .iter()
        .filter(|block| block.section == RECORDING && block.misplaced.is_none())
        .filter(|block| kinds.contains(&block.header.kind))
        .map(|block| block.header.lane)
        .collect();
    let have: BTreeSet<u32> = rings.iter().map(|ring| ring.lane).collect();
    lanes
        .difference(&have)
        .map(|lane| Lane {
            id: *lane,
            name: trace.lane_name(*lane),
        })
        .collect()
}

/// Writes a trace of what the file and the rings hold together: of each lane what reached the file, then what only the ring
/// has, nothing twice. Where the file has [lanes that none of the rings is of](lanes_without_ring), what is written says that the recording
/// [was not finished](Trace::ends_early).
///
/// # Errors
/// [`RecoverError`].
pub fn recover<W: Write>(
    trace: Option<&Trace>,
    rings: &[Ring],
    sink: W,
    options: crate::write::Options,
) -> Result<(W, Recovered), RecoverError> {
    join(trace, rings, true, sink, options)
}

/// The same where the recording has other rings, which cannot be read: what they hold is not in what is written, which says that
/// the recording [was not finished](Trace::ends_early).
///
/// # Errors
/// [`RecoverError`].
pub fn recover_part<W: Write>(
    trace: Option<&Trace>,
    rings: &[Ring],
    sink: W,
    options: crate::write::Options,
) -> Result<(W, Recovered), RecoverError> {
    join(trace, rings, false, sink, options)
}
