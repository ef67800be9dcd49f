//! Finds the blocks of a file from their headers, past whatever is broken. [`index`](super::index) has what an index tells of them.

use std::collections::{HashMap, HashSet};
use std::io;

use super::block::BlockEntry;
use super::order;
use super::source::{Source, read_full};
use crate::entry::{Damaged, Defect};
use crate::format::{
    BLOCK_HEADER, BLOCK_MAGIC, BlockHeader, BlockKind, FILE_HEADER, FileHeader, MAX_BLOCK, u32_at,
};

/// Bytes that are looked through at once for the next block.
const WINDOW: usize = 1 << 16;
/// How many times the file's length is summed at most, to find out where blocks start.
const SUMMED: u64 = 4;
/// Bytes that are summed in a small file too.
const SUMMED_LEAST: u64 = 1 << 20;
/// The most blocks and damaged stretches that are kept track of. A file of nothing but headers would take more memory than
/// it has bytes.
pub(crate) const MAX_FOUND: usize = 1 << 24;

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) blocks: Vec<BlockEntry>,
    pub(crate) damage: Vec<Damaged>,
    /// Where the next block would start.
    pub(crate) end: u64,
    /// Entries in all blocks.
    pub(crate) entries: u64,
    /// Whether the last block is an index: the recording was finished.
    pub(crate) finished: bool,
    /// The places of each lane's blocks in `blocks`, of those whose entries are shown.
    pub(crate) of_lane: HashMap<u32, Vec<usize>>,
    /// The places of each lane's damaged stretches in `damage`; `None`: of those that may have held anything of any lane.
    pub(crate) gaps_of_lane: HashMap<Option<u32>, Vec<usize>>,
    /// Where lanes start.
    pub(crate) starts: order::Starts,
    /// Whether the blocks are those of the file's index, which nobody compared with the blocks' own headers.
    pub(crate) indexed: bool,
    /// Where blocks are that [an index told of](Self::adopt), because their own headers are damaged.
    pub(crate) adopted: HashSet<u64>,
    /// Whether the last damaged stretch is the file's end, where the rest of a block may follow.
    pub(crate) open_end: bool,
    /// What the blocks of the recording at `end` carry; 0 where that is not known.
    tag: u16,
}

impl Found {
    pub(crate) fn new(header: &FileHeader) -> Self {
        Self {
            end: FILE_HEADER as u64,
            tag: header.tag(),
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, offset: u64, header: BlockHeader) {
        self.finished = header.kind == BlockKind::Index;
        if header.kind == BlockKind::Schema {
            // Where the file's header is damaged, the schema says it; and a recording without std has an id and no tags.
            self.tag = header.tag;
        }
        self.end = offset.saturating_add(header.span());
        self.blocks.push(BlockEntry {
            offset,
            header,
            first_position: 0,
            superseded: false,
            misplaced: None,
            section: 0,
        });
    }

    /// Finds the damaged stretches of each lane.
    pub(crate) fn sort_damage(&mut self) {
        self.gaps_of_lane.clear();
        for (place, damaged) in self.damage.iter().enumerate() {
            let of_lane = self.gaps_of_lane.entry(damaged.lane).or_default();
            of_lane.push(place);
        }
    }

    /// Finds blocks in wrong places, hides announcements whose call stands in a later block, and numbers the entries.
    pub(crate) fn number(&mut self, header: &FileHeader) {
        self.starts = order::place(&mut self.blocks, header);
        order::place_clocks(&mut self.blocks, &self.damage);
        // The index of another recording says nothing of this one.
        self.finished &= self
            .blocks
            .last()
            .is_some_and(|block| block.misplaced.is_none());
        let mut later: HashSet<(u32, u32)> = HashSet::new();
        for block in self.blocks.iter_mut().rev() {
            let lane = (block.section, block.header.lane);
            match block.header.kind {
                _ if block.misplaced.is_some() => {}
                BlockKind::Data if block.header.calls != 0 => {
                    later.insert(lane);
                }
                // Only the last announcement of a lane can be of a call that never returned.
                BlockKind::Announce => block.superseded = !later.insert(lane),
                _ => {}
            }
        }
        self.sort_damage();
        self.entries = 0;
        self.of_lane.clear();
        for (place, block) in self.blocks.iter_mut().enumerate() {
            block.first_position = self.entries;
            if has_entries(block) {
                self.entries = self.entries.saturating_add(u64::from(block.header.entries));
                self.of_lane
                    .entry(block.header.lane)
                    .or_default()
                    .push(place);
            }
        }
    }
}

/// Whether the block's entries are shown.
pub(crate) const fn has_entries(block: &BlockEntry) -> bool {
    matches!(block.header.kind, BlockKind::Data | BlockKind::Announce) && !block.superseded
}

/// Goes on from where it stopped, to the end of what is there. `last` says that no more will come: a block that is
/// there only in part is damage then.
pub(crate) fn scan(source: &dyn Source, found: &mut Found, last: bool) -> io::Result<()> {
    let length = source.length()?;
    let mut summed = 0;
    if std::mem::take(&mut found.open_end)
        && let Some(end) = found.damage.pop()
    {
        found.end = end.offset;
    }
    while found.end < length {
        let offset = found.end;
        if found.blocks.len().saturating_add(found.damage.len()) >= MAX_FOUND {
            found.damage.push(Damaged {
                offset,
                length: length.saturating_sub(offset),
                defect: Defect::TooMany,
                lane: None,
                entries: None,
                index: None,
                calls: None,
            });
            found.finished = false;
            found.end = length;
            break;
        }
        let header = header_at(source, offset, length)?;
        let behind = match header {
            // The rest of one that is not all there may come.
            Some(header)
                if header.kind == BlockKind::Index
                    && (last || complete(offset, &header, length)) =>
            {
                schema_in_index(source, offset, &header, length, &mut summed)?
            }
            _ => None,
        };
        match header {
            Some(header) if behind.is_none() && complete(offset, &header, length) => {
                found.push(offset, header);
            }
            cut => {
                let next = match extent(source, offset, cut.as_ref(), length, &mut summed)? {
                    _ if behind.is_some() => behind,
                    // What stands inside a block is that block's, whatever it looks like.
                    Some(end) if end < length => Some(end),
                    Some(_) => None,
                    None => {
                        let from = offset.saturating_add(1);
                        resync(source, from, length, found.tag, &mut summed)?
                    }
                };
                if next.is_none() && !last {
                    break;
                }
                found.open_end = next.is_none();
                let until = next.unwrap_or(length);
                let cut = cut.filter(fits);
                let of_calls = cut
                    .filter(|header| matches!(header.kind, BlockKind::Data | BlockKind::Announce));
                found.damage.push(Damaged {
                    offset,
                    length: until.saturating_sub(offset),
                    defect: match cut {
                        Some(_) => Defect::Cut,
                        None if length.saturating_sub(offset) < BLOCK_HEADER as u64 => Defect::Cut,
                        None => Defect::Header,
                    },
                    lane: cut.map(|header| header.lane),
                    entries: cut.map(|header| header.entries),
                    index: of_calls.map(|header| header.first_index),
                    calls: of_calls.map(|header| header.calls),
                });
                found.finished = false;
                found.end = until;
            }
        }
    }
    Ok(())
}

pub(super) const fn fits(header: &BlockHeader) -> bool {
    header.stored as u64 <= MAX_BLOCK as u64 && header.raw as u64 <= MAX_BLOCK as u64
}

/// Whether all of a block is there. Its padding may be missing.
const fn complete(offset: u64, header: &BlockHeader, length: u64) -> bool {
    fits(header)
        && offset
            .saturating_add(BLOCK_HEADER as u64)
            .saturating_add(header.stored as u64)
            <= length
}

pub(super) fn header_at(
    source: &dyn Source,
    offset: u64,
    length: u64,
) -> io::Result<Option<BlockHeader>> {
    if length.saturating_sub(offset) < BLOCK_HEADER as u64 {
        return Ok(None);
    }
    let mut bytes = [0; BLOCK_HEADER];
    let count = read_full(source, offset, &mut bytes)?;
    Ok((count == BLOCK_HEADER)
        .then(|| BlockHeader::decode(&bytes))
        .flatten())
}

/// Where a block ends that is not all there, or whose header is damaged by no more than one bit: the checksum tells which.
/// `None` where nobody knows.
fn extent(
    source: &dyn Source,
    offset: u64,
    header: Option<&BlockHeader>,
    length: u64,
    summed: &mut u64,
) -> io::Result<Option<u64>> {
    let end = |header: &BlockHeader| offset.saturating_add(header.span());
    if let Some(header) = header {
        return Ok(Some(header).filter(|header| fits(header)).map(end));
    }
    let mut bytes = [0; BLOCK_HEADER];
    if read_full(source, offset, &mut bytes)? != BLOCK_HEADER {
        return Ok(None);
    }
    let start = u32::from_le_bytes(BLOCK_MAGIC);
    let wrong = u32_at(&bytes, 0) ^ start;
    if wrong.count_ones() > 1 || used_up(*summed, length) {
        return Ok(None);
    }
    let mut repaired = None;
    for place in 0..BLOCK_HEADER {
        for bit in 0..8 {
            let mut other = bytes;
            if let Some(byte) = other.get_mut(place) {
                *byte ^= 1 << bit;
            }
            repaired = repaired.or_else(|| BlockHeader::decode(&other));
        }
    }
    *summed = summed.saturating_add((BLOCK_HEADER * BLOCK_HEADER * 8) as u64);
    Ok(repaired.filter(fits).as_ref().map(end))
}

/// Whether enough was summed.
const fn used_up(summed: u64, length: u64) -> bool {
    summed > SUMMED_LEAST.saturating_add(length.saturating_mul(SUMMED))
}

/// Looks for the next offset at which a whole block of the recording starts. Any offset will do: a serial line may have lost an
/// odd number of bytes.
///
/// Memory of a call may hold a trace, and an index is full of headers of blocks. So a block is believed there when its bytes
/// have the right checksum, and it carries the recording's tag. In a recording without a tag it must be followed by the next
/// block, or by the end of the file, which what stands in the middle of memory is not. All of that takes no longer than
/// reading the file a few times; behind that nothing is believed.
fn resync(
    source: &dyn Source,
    from: u64,
    length: u64,
    tag: u16,
    summed: &mut u64,
) -> io::Result<Option<u64>> {
    find(source, from, length, |at| {
        let Some(header) = header_at(source, at, length)? else {
            return Ok(false);
        };
        if header.tag != tag || !complete(at, &header, length) || used_up(*summed, length) {
            return Ok(false);
        }
        *summed = summed.saturating_add(header.span());
        Ok(body_is_right(source, at, &header)?
            && (tag != 0 || is_followed(source, at, &header, length)?))
    })
}

/// Where a schema with all of its bytes stands inside an index, which is not all there then: its file lost its end before another one was
/// joined to it. No index holds one, since what follows a header in it is no block's bytes.
fn schema_in_index(
    source: &dyn Source,
    offset: u64,
    index: &BlockHeader,
    length: u64,
    summed: &mut u64,
) -> io::Result<Option<u64>> {
    let until = offset.saturating_add(index.span()).min(length);
    // One that is all there is read but once; of many, one inside the other, nobody reads all.
    let whole = complete(offset, index, length);
    if !fits(index) || used_up(*summed, length) {
        return Ok(None);
    }
    *summed = summed.saturating_add(until.saturating_sub(offset));
    if whole && body_is_right(source, offset, index)? {
        return Ok(None);
    }
    let from = offset.saturating_add(BLOCK_HEADER as u64);
    find(source, from, until, |at| {
        let Some(header) = header_at(source, at, length)? else {
            return Ok(false);
        };
        if header.kind != BlockKind::Schema
            || header.stored == 0
            || !complete(at, &header, length)
            || used_up(*summed, length)
        {
            return Ok(false);
        }
        *summed = summed.saturating_add(header.span());
        body_is_right(source, at, &header)
    })
}

/// Looks for the first `HCTB` in a stretch that is a block's start.
fn find(
    source: &dyn Source,
    from: u64,
    until: u64,
    mut is_start: impl FnMut(u64) -> io::Result<bool>,
) -> io::Result<Option<u64>> {
    let left = usize::try_from(until.saturating_sub(from)).unwrap_or(WINDOW);
    // One that starts at the end of a window may go on behind it.
    let more = BLOCK_MAGIC.len().saturating_sub(1);
    let mut window = vec![0; left.min(WINDOW).saturating_add(more)];
    let mut base = from;
    while base < until {
        let count = read_full(source, base, &mut window)?;
        let bytes = window.get(..count).unwrap_or_default();
        for (at, start) in (base..until).zip(bytes.windows(BLOCK_MAGIC.len())) {
            if start == BLOCK_MAGIC && is_start(at)? {
                return Ok(Some(at));
            }
        }
        let step = count.saturating_sub(more);
        if count < window.len() || step == 0 {
            break;
        }
        base = base.saturating_add(u64::try_from(step).unwrap_or(u64::MAX));
    }
    Ok(None)
}

/// Whether a block is followed by the start of another, or by the end of the file.
fn is_followed(
    source: &dyn Source,
    at: u64,
    header: &BlockHeader,
    length: u64,
) -> io::Result<bool> {
    let next = at.saturating_add(header.span());
    if length.saturating_sub(next) >= BLOCK_HEADER as u64 {
        return Ok(header_at(source, next, length)?.is_some());
    }
    let mut bytes = [0; BLOCK_MAGIC.len()];
    let count = read_full(source, next, &mut bytes)?;
    Ok(bytes.get(..count) == BLOCK_MAGIC.get(..count))
}

/// Whether the bytes behind a header have its checksum.
fn body_is_right(source: &dyn Source, at: u64, header: &BlockHeader) -> io::Result<bool> {
    let mut at = at.saturating_add(BLOCK_HEADER as u64);
    let mut left = usize::try_from(header.stored).unwrap_or(usize::MAX);
    let mut bytes = vec![0; left.min(WINDOW)];
    let mut crc = 0;
    while left != 0 {
        let part = bytes.get_mut(..left.min(WINDOW)).unwrap_or_default();
        let count = read_full(source, at, part)?;
        if count != part.len() {
            return Ok(false);
        }
        crc = crate::checksum::append(crc, part);
        left = left.saturating_sub(count);
        at = at.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
    Ok(crc == header.crc)
}
