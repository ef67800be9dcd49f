//! What left a ring, and never reached the storage: a file beside the ring, with a magic word and then a trace of one lane.

use std::io;
use std::path::PathBuf;

use super::ring::{Ring, RingError};
use crate::entry::Entry;
use crate::format::MAX_BLOCK;
use crate::read::source::{Source, read_full};
use crate::read::trace::Trace;

/// Bytes of the magic word.
const MAGIC_BYTES: u64 = 8;
/// The most bytes that are read of such a file. What waits is a batch of a ring, and what is noted at the end.
const MAX: usize = 4 * MAX_BLOCK;

/// Reads such a file as the ring that its records left.
pub(super) fn read(path: PathBuf, source: &dyn Source) -> Result<Ring, RingError> {
    let bytes = bytes(source).map_err(|error| RingError::Io {
        path: path.clone(),
        error,
    })?;
    let preamble = Trace::from_bytes(bytes).map_err(|error| RingError::Preamble {
        path: path.clone(),
        error,
    })?;
    let lane_of_block = preamble.data().next().map(|block| block.header.lane);
    let lane_of_name = preamble.lanes().first().map(|lane| lane.id);
    let first = preamble.data().next().map(|block| block.header.first_index);
    let (damaged, entries): (Vec<_>, Vec<_>) = preamble
        .entries()
        .partition(|entry| matches!(entry, Entry::Damaged(_)));
    let damaged = damaged.len().saturating_add(preamble.damage().count());
    Ok(Ring {
        id: preamble.header().id,
        lane: lane_of_block.or(lane_of_name).unwrap_or(0),
        entries,
        first,
        damaged: u64::try_from(damaged).unwrap_or(u64::MAX),
        preamble,
        path,
    })
}

fn bytes(source: &dyn Source) -> io::Result<Vec<u8>> {
    let length = source.length()?.saturating_sub(MAGIC_BYTES);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(MAX).min(MAX)];
    let count = read_full(source, MAGIC_BYTES, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}
