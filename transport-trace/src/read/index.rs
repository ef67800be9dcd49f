//! What an index tells of the blocks of a file: where they are, also where their own headers are damaged.

use std::collections::BTreeMap;

use super::block::{BlockEntry, Buffer};
use super::scan::{Found, MAX_FOUND, fits, header_at};
use super::source::{Source, read_full};
use crate::entry::Damaged;
use crate::format::{BLOCK_HEADER, BlockHeader, BlockKind, Codec, FileHeader, INDEX_MAGIC, u64_at};

/// Bytes of an entry of the index.
const INDEX_ENTRY: usize = 8 + BLOCK_HEADER;

impl Found {
    /// Takes the blocks that an index tells of where nothing was found but damage: their own headers are damaged, and what stands behind
    /// those can be read.
    pub(crate) fn adopt(&mut self, indexed: &[BlockEntry]) {
        let blocks = &mut self.blocks;
        self.damage.retain(|gap| {
            let until = gap.offset.saturating_add(gap.length);
            let first = indexed.partition_point(|block| block.offset < gap.offset);
            let behind = indexed.partition_point(|block| block.offset < until);
            let part = indexed.get(first..behind).unwrap_or_default();
            let end = part.iter().try_fold(gap.offset, |at, block| {
                let follows = block.offset == at;
                follows.then(|| at.saturating_add(block.header.span()))
            });
            if part.is_empty() || end != Some(until) {
                return true;
            }
            self.adopted.extend(part.iter().map(|block| block.offset));
            blocks.extend(part.iter().map(|block| BlockEntry {
                first_position: 0,
                superseded: false,
                misplaced: None,
                section: 0,
                ..*block
            }));
            false
        });
        blocks.sort_unstable_by_key(|block| block.offset);
    }

    /// Takes the blocks that the index of each recording tells of, where a damaged stretch is: that of a joined file counts from
    /// where its own file began.
    pub(crate) fn adopt_by_indexes(&mut self, source: &dyn Source, buffer: &mut Buffer) {
        let gaps = &self.damage;
        let gap_before = |offset: u64| {
            let before = gaps.partition_point(|gap| gap.offset <= offset);
            before.checked_sub(1).and_then(|place| gaps.get(place))
        };
        let mut told: BTreeMap<u64, BlockEntry> = BTreeMap::new();
        let most = MAX_FOUND.saturating_sub(self.blocks.len());
        let indexes = self.blocks.iter();
        for index in indexes.filter(|block| block.header.kind == BlockKind::Index) {
            // Nobody writes a compressed one, which may be much larger than the file.
            if index.header.codec != Codec::None || gap_before(index.offset).is_none() {
                continue;
            }
            let body = buffer.load(source, index.offset, &index.header);
            let footer = |body: &[u8]| Some(u64_at(body, body.len().checked_sub(16)?));
            let Some((body, footer)) = body.ok().and_then(|body| Some((body, footer(body)?)))
            else {
                continue;
            };
            let Some(moved) = index.offset.checked_sub(footer) else {
                continue;
            };
            for (offset, header) in decode_index(body).into_iter().flatten() {
                let offset = offset.saturating_add(moved);
                let missing = |gap: &Damaged| offset < gap.offset.saturating_add(gap.length);
                if let Some(header) = header.filter(fits)
                    && offset < index.offset
                    && told.len() < most
                    && gap_before(offset).is_some_and(missing)
                {
                    told.entry(offset).or_insert(BlockEntry {
                        offset,
                        header,
                        ..*index
                    });
                }
            }
        }
        let told: Vec<BlockEntry> = told.into_values().collect();
        self.adopt(&told);
    }
}

/// The entries of an index's body: offsets and headers. `None` where it is not one.
pub(crate) fn decode_index(
    body: &[u8],
) -> Option<impl Iterator<Item = (u64, Option<BlockHeader>)>> {
    let (entries, footer) = body.as_chunks::<INDEX_ENTRY>();
    if footer.len() != 16 || footer.get(8..) != Some(&INDEX_MAGIC) {
        return None;
    }
    Some(entries.iter().map(|entry| {
        let header = entry
            .get(8..)
            .and_then(|header| header.first_chunk())
            .and_then(BlockHeader::decode);
        (u64_at(entry, 0), header)
    }))
}

/// The body of an index over these blocks, to be written at `offset`.
pub(crate) fn encode_index(blocks: &[(u64, BlockHeader)], offset: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(blocks.len().saturating_mul(INDEX_ENTRY).saturating_add(16));
    for (offset, header) in blocks {
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(&header.encode());
    }
    bytes.extend_from_slice(&offset.to_le_bytes());
    bytes.extend_from_slice(&INDEX_MAGIC);
    bytes
}

/// The blocks as the index at the end of the file says, where there is one and it holds.
pub(crate) fn from_index(
    source: &dyn Source,
    file: &FileHeader,
    buffer: &mut Buffer,
) -> Option<Found> {
    let length = source.length().ok()?;
    let mut footer = [0; 16];
    let at = length.checked_sub(16)?;
    if read_full(source, at, &mut footer).ok()? != 16 || footer[8..] != INDEX_MAGIC {
        return None;
    }
    let offset = u64_at(&footer, 0);
    let header = header_at(source, offset, length).ok()??;
    if header.kind != BlockKind::Index || offset.checked_add(header.span())? != length {
        return None;
    }
    let body = buffer.load(source, offset, &header).ok()?;
    let mut found = Found::new(file);
    for (offset, header) in decode_index(body)? {
        let header = header?;
        // An index that leaves something out is of no use.
        if offset != found.end || !fits(&header) {
            return None;
        }
        found.push(offset, header);
    }
    if found.end != offset {
        return None;
    }
    found.push(offset, header);
    found.indexed = true;
    Some(found)
}
