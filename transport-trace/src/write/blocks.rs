//! The blocks that are being filled, one of each lane.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::vec::Vec;

use super::Writer;
use super::place::Record;
use crate::format::{BlockHeader, BlockKind};

/// Bytes of memory that open blocks may have. Where many lanes are beyond that, blocks are written before they are full.
const MAX_HELD: usize = 256 << 20;

/// The block of a lane that is being filled.
#[derive(Debug)]
pub(super) struct Open {
    header: BlockHeader,
    /// The index of the lane's next call.
    pub(super) next_index: u64,
    bytes: Vec<u8>,
}

/// The index of a lane's next call.
pub(super) fn next_index(
    open: &BTreeMap<u32, Open>,
    starts: &BTreeMap<u32, u64>,
    lane: u32,
) -> u64 {
    let start = || starts.get(&lane).copied().unwrap_or(0);
    open.get(&lane).map_or_else(start, |open| open.next_index)
}

impl<W: Write> Writer<W> {
    /// Puts a record behind those of its lane.
    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        let (lane, index) = (record.lane, record.index);
        let full = self.open.get(&lane).is_some_and(|open| {
            open.bytes.len().saturating_add(record.bytes.len()) > self.block
                || index.is_some_and(|index| index != open.next_index)
        });
        if full {
            self.close(lane)?;
        }
        let open = self.open.entry(lane).or_insert_with(|| Open {
            header: BlockHeader {
                lane,
                first_ticks: u64::MAX,
                ..BlockHeader::plain(BlockKind::Data, 0, 0)
            },
            next_index: 0,
            bytes: Vec::new(),
        });
        if open.bytes.is_empty()
            && let Some(index) = index
        {
            open.next_index = index;
            open.header.first_index = index;
        }
        let header = &mut open.header;
        header.entries = header.entries.saturating_add(1);
        if let Some(id) = record.call {
            header.calls = header.calls.saturating_add(1);
            header.call_bits |= 1 << (id % 32);
        }
        let ticks = record.ticks;
        if ticks != 0 {
            header.first_ticks = header.first_ticks.min(ticks);
            header.last_ticks = header.last_ticks.max(ticks);
        }
        open.next_index = open.next_index.saturating_add(record.indices);
        let before = open.bytes.capacity();
        open.bytes.extend_from_slice(&record.bytes);
        let grown = open.bytes.capacity().saturating_sub(before);
        self.held = self.held.saturating_add(grown);
        if self.held > MAX_HELD {
            self.close_all()?;
            self.open
                .values_mut()
                .for_each(|open| open.bytes = Vec::new());
            self.held = 0;
        }
        Ok(())
    }

    pub(super) fn close_all(&mut self) -> io::Result<()> {
        let lanes: Vec<u32> = self.open.keys().copied().collect();
        lanes.into_iter().try_for_each(|lane| self.close(lane))
    }

    /// Writes the open block of a lane.
    fn close(&mut self, lane: u32) -> io::Result<()> {
        if let Some(open) = self.open.get_mut(&lane)
            && !open.bytes.is_empty()
        {
            let mut header = open.header;
            if header.first_ticks == u64::MAX {
                header.first_ticks = 0;
            }
            self.out.flush()?;
            self.out.queue(header, &open.bytes);
            open.bytes.clear();
            open.header = BlockHeader {
                lane,
                first_index: open.next_index,
                first_ticks: u64::MAX,
                ..BlockHeader::plain(BlockKind::Data, 0, 0)
            };
            self.out.flush()?;
        }
        Ok(())
    }
}
