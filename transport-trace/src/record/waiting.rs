//! What left a ring and never reached the storage: it is put beside the ring when the recording ends.
//!
//! A ring that overwrites does not wait for the storage, so a batch may have left it and wait in memory. `recover` reads the file
//! that it is put into as it reads a ring.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::format::out::{Compression, Out};
use crate::format::{BlockHeader, BlockKind, WAITING_MAGIC};

/// Where the rings are.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) folder: PathBuf,
    /// What stands at the start of a trace of the recording.
    pub(crate) preamble: Vec<u8>,
    /// The number of the recording.
    pub(crate) id: u64,
    /// The names of the lanes.
    pub(crate) names: BTreeMap<u32, String>,
}

/// How many calls these blocks hold.
pub(crate) fn calls(blocks: &[(BlockHeader, &[u8])]) -> u64 {
    blocks
        .iter()
        .filter(|(header, _)| header.kind == BlockKind::Data)
        .fold(0, |sum, (header, _)| {
            sum.saturating_add(header.calls.into())
        })
}

/// The block with a lane's name, and the index of its first call.
pub(crate) fn lane_block(id: u64, lane: u32, name: &str, first: u64) -> io::Result<Vec<u8>> {
    let mut named = Out::new(Vec::new(), Compression::None, id);
    named.flush()?;
    named.sink().clear();
    named.queue_lane_from(lane, name, first);
    named.flush()?;
    Ok(named.into_sink())
}

impl Beside {
    /// Puts the blocks of records beside the rings of their lanes: for each lane a file with one magic word, then a trace.
    ///
    /// # Errors
    /// As the operating system says.
    pub(crate) fn keep(&self, blocks: &[(BlockHeader, &[u8])]) -> io::Result<()> {
        // Of each lane the index of the first call, and the blocks.
        let mut lanes: BTreeMap<u32, (u64, Vec<u8>)> = BTreeMap::new();
        for (header, block) in blocks {
            if header.kind == BlockKind::Data {
                lanes
                    .entry(header.lane)
                    .or_insert_with(|| (header.first_index, Vec::new()))
                    .1
                    .extend_from_slice(block);
            }
        }
        for (lane, (first, blocks)) in lanes {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let path = self.folder.join(format!("lane-{lane}.waiting.ring"));
            let mut file = options.open(path)?;
            file.write_all(&WAITING_MAGIC.to_le_bytes())?;
            file.write_all(&self.preamble)?;
            let name = self.names.get(&lane).map_or("", String::as_str);
            file.write_all(&lane_block(self.id, lane, name, first)?)?;
            file.write_all(&blocks)?;
        }
        Ok(())
    }
}
