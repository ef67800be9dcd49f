//! What a block's header says about its records.

use crate::format::record::{CALL_HEAD, LOST_LENGTH, kind, parse_word};
use crate::format::{BlockHeader, BlockKind, u16_at, u64_at};

/// What records have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    entries: u32,
    calls: u32,
    /// Indices that they take in their lane.
    pub(crate) indices: u64,
    pub(crate) first_ticks: u64,
    pub(crate) last_ticks: u64,
    call_bits: u32,
}

impl Summary {
    const EMPTY: Self = Self {
        entries: 0,
        calls: 0,
        indices: 0,
        first_ticks: u64::MAX,
        last_ticks: 0,
        call_bits: 0,
    };

    /// Of records one behind the other.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut summary = Self::EMPTY;
        let mut rest = bytes;
        while let Some(word) = rest.first_chunk() {
            let (kind, length) = parse_word(u64::from_le_bytes(*word));
            let Some((record, next)) = rest.split_at_checked(length.max(16)) else {
                break;
            };
            summary.add(kind, record);
            rest = next;
        }
        summary.done()
    }

    /// Of one record whose first word stands apart.
    pub(crate) fn of_entered(word: u64, body: &[u8]) -> Self {
        let mut head = [0; CALL_HEAD];
        crate::format::put(&mut head, 8, body.get(..CALL_HEAD - 8).unwrap_or_default());
        let mut summary = Self::EMPTY;
        summary.add(parse_word(word).0, &head);
        summary.done()
    }

    fn add(&mut self, kind: u8, record: &[u8]) {
        self.entries = self.entries.saturating_add(1);
        let ticks = u64_at(record, 8);
        self.first_ticks = self.first_ticks.min(ticks);
        self.last_ticks = self.last_ticks.max(ticks);
        if kind < kind::OTHERS {
            self.calls = self.calls.saturating_add(1);
            self.indices = self.indices.saturating_add(1);
            self.call_bits |= 1 << (u16_at(record, 40) % 32);
        } else if kind == kind::LOST && record.len() >= LOST_LENGTH {
            self.indices = self.indices.saturating_add(u64_at(record, 24));
        }
    }

    const fn done(mut self) -> Self {
        if self.entries == 0 {
            self.first_ticks = 0;
        }
        self
    }

    /// The header of a block of these records, stored as they are.
    pub(crate) fn header(&self, lane: u32, first_index: u64, bytes: &[u8]) -> BlockHeader {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        BlockHeader {
            lane,
            entries: self.entries,
            calls: self.calls,
            first_index,
            first_ticks: self.first_ticks,
            last_ticks: self.last_ticks,
            call_bits: self.call_bits,
            ..BlockHeader::plain(BlockKind::Data, length, crate::checksum::of(bytes))
        }
    }
}
