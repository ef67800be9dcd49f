//! What the blocks of a trace describe: the calls and the lanes. [`clocks`](super::clocks) has the clock.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map};
use std::sync::Arc;

use super::block::{BlockEntry, Buffer};
use super::source::Source;
use super::trace::{Lane, Trace};
use crate::entry::{Damaged, Defect};
use crate::format::{BlockHeader, BlockKind, Codec, MAX_SCHEMA};
use crate::get::Get;

/// Descriptions that a trace had, and of which nothing can be read: what is made of it
/// [says so as well](crate::write::Writer::lacking).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostDescriptions {
    /// The schema: no call has a name.
    pub schema: bool,
    /// A point of the clock of these [recordings](super::Entries::recording): their times are a little off, or there are none.
    pub clocks: BTreeSet<u32>,
    /// The names of these lanes.
    pub lanes: BTreeSet<u32>,
    /// The ends of these recordings of a joined file: see [`Trace::recordings_without_end`].
    pub ends: BTreeSet<u32>,
}

/// Whether a block says the same of the calls as the one that they are known from. One that cannot be read says nothing else.
fn is_same_schema(
    source: &dyn Source,
    known: Option<&(BlockHeader, Vec<u8>)>,
    block: &BlockEntry,
    buffer: &mut Buffer,
) -> bool {
    let Some((header, bytes)) = known else {
        return true;
    };
    if block.section == 0 || block.misplaced.is_some() || stored(header) == stored(&block.header) {
        return true;
    }
    header.raw == block.header.raw
        && buffer
            .load(source, block.offset, &block.header)
            .map_or(true, |other| other == &bytes[..])
}

/// What a header says of its block's bytes. Where it is the same, so are they, also those of one that are damaged.
const fn stored(header: &BlockHeader) -> Stored {
    (header.codec, header.crc, header.stored, header.raw)
}

type Stored = (Codec, u32, u32, u32);

/// What the first recording of a file describes, as its blocks' headers say. Where its descriptions are damaged, those of the recordings
/// that were joined to it stand for them only where they are the same: else calls and lanes would get names of others.
struct First {
    schema: Option<Stored>,
    lanes: HashMap<u32, Option<Stored>>,
}

impl First {
    fn of(blocks: &[BlockEntry]) -> Self {
        let mut first = Self {
            schema: None,
            lanes: HashMap::new(),
        };
        for block in blocks.iter().take_while(|block| block.section == 0) {
            let header = &block.header;
            match header.kind {
                BlockKind::Schema => {
                    first.schema.get_or_insert(stored(header));
                }
                BlockKind::Lane => {
                    first.lanes.insert(header.lane, Some(stored(header)));
                }
                BlockKind::Data | BlockKind::Announce => {
                    first.lanes.entry(header.lane).or_default();
                }
                _ => {}
            }
        }
        first
    }

    /// Whether a description that nothing is known in the place of may be taken.
    fn takes(&self, block: &BlockEntry) -> bool {
        let this = Some(stored(&block.header));
        block.section == 0
            || match block.header.kind {
                BlockKind::Schema => self.schema == this,
                // One that the first recording does not have is the other's own.
                _ => self
                    .lanes
                    .get(&block.header.lane)
                    .is_none_or(|own| *own == this),
            }
    }
}

/// Bytes that the names of all lanes may have.
const MAX_NAMES: usize = 16 << 20;

impl Trace {
    /// Reads the descriptions among the blocks from this one on.
    pub(super) fn describe(&mut self, from: usize, buffer: &mut Buffer) {
        let blocks = self.found.blocks.get(from..).unwrap_or_default();
        let mut have_schema = self.schema_block.is_some();
        let mut bad_headers = Vec::new();
        let mut first = None;
        for block in blocks {
            let wanted = match block.header.kind {
                BlockKind::Schema if have_schema => {
                    if !is_same_schema(&*self.source, self.schema_block.as_ref(), block, buffer) {
                        self.unlike.insert(block.section);
                    }
                    false
                }
                BlockKind::Lane if self.unlike.contains(&block.section) => false,
                BlockKind::Lane if self.lane_places.contains_key(&block.header.lane) => true,
                BlockKind::Schema | BlockKind::Lane => first
                    .get_or_insert_with(|| First::of(&self.found.blocks))
                    .takes(block),
                _ => false,
            };
            if !wanted {
                continue;
            }
            let body = match block.misplaced {
                Some(defect) => Err(defect),
                None if block.header.kind == BlockKind::Schema
                    && usize::try_from(block.header.raw).is_ok_and(|raw| raw > MAX_SCHEMA) =>
                {
                    Err(Defect::TooLarge)
                }
                None => buffer.load(&*self.source, block.offset, &block.header),
            };
            let understood = match body {
                Err(defect) => Err(defect),
                Ok(body) => match block.header.kind {
                    BlockKind::Schema => crate::schema::decode(body).map(|schema| {
                        have_schema = true;
                        self.schema = Arc::new(schema);
                        self.schema_block = Some((block.header, body.to_vec()));
                    }),
                    BlockKind::Lane if self.named > MAX_NAMES => {
                        self.descriptions.push(block.damaged(Defect::TooLarge));
                        continue;
                    }
                    _ => Get::new(body).name().map(|name| {
                        let id = block.header.lane;
                        match self.lane_places.entry(id) {
                            hash_map::Entry::Vacant(place) => {
                                self.named = self.named.saturating_add(name.len());
                                place.insert(self.lanes.len());
                                self.lanes.push(Lane { id, name });
                            }
                            hash_map::Entry::Occupied(place) => {
                                let known = self.lanes.get(*place.get());
                                // Within a recording the first name counts.
                                if block.section != 0 && known.is_some_and(|lane| lane.name != name)
                                {
                                    self.unlike.insert(block.section);
                                }
                            }
                        }
                    }),
                }
                .ok_or(Defect::Description),
            };
            match understood {
                Err(defect) => self.descriptions.push(block.damaged(defect)),
                Ok(()) => bad_headers.extend(self.damaged_header(block)),
            }
        }
        self.descriptions.extend(bad_headers);
        self.describe_clocks(from, buffer);
    }

    /// Which descriptions are lost to damage. What another block says too is not: of a file that was joined from several
    /// recordings, each has a schema.
    #[must_use]
    pub fn lost_descriptions(&self) -> LostDescriptions {
        let mut lost = LostDescriptions {
            ends: self.recordings_without_end(),
            ..LostDescriptions::default()
        };
        // What an index stands for is not lost.
        let lost_blocks = self
            .damaged_descriptions()
            .filter(|(_, damaged)| damaged.defect != Defect::Header);
        for (kind, damaged) in lost_blocks {
            match kind {
                BlockKind::Schema => lost.schema = true,
                BlockKind::Clock => {
                    lost.clocks.insert(self.recording_at(damaged.offset));
                }
                BlockKind::Lane => lost.lanes.extend(damaged.lane),
                _ => {}
            }
        }
        // A schema whose header is damaged is no block.
        let there = |kind| self.blocks().iter().any(|block| block.header.kind == kind);
        let damaged = self.damage().next().is_some();
        lost.schema |= self.schema_block.is_none()
            && (damaged || there(BlockKind::Schema) || there(BlockKind::Data));
        lost.schema &= self.schema.interfaces.is_empty();
        lost.lanes
            .retain(|lane| !self.lane_places.contains_key(lane));
        lost
    }

    /// Of a file that was joined from several recordings, those that have another one behind them and no end: they were not finished, or the
    /// end of their file was lost. More of them may have come. What [`ends_early`](Self::ends_early) says of the last one.
    #[must_use]
    pub fn recordings_without_end(&self) -> BTreeSet<u32> {
        // What strayed into it, and stands at its end, is not of the recording.
        let blocks = self
            .blocks()
            .iter()
            .filter(|block| block.misplaced.is_none());
        let pairs = blocks.clone().zip(blocks.skip(1));
        pairs
            .filter(|(last, next)| last.section != next.section)
            .filter(|(last, next)| {
                last.header.kind != BlockKind::Index && !self.is_index_cut(last, next)
            })
            .map(|(last, _)| last.section)
            .collect()
    }

    /// Those of them of which that is only a guess: what stands at their end cannot be read, and their index may have stood there. What
    /// [`end_is_damaged`](Self::end_is_damaged) says of the last one.
    #[must_use]
    pub fn recordings_with_damaged_end(&self) -> BTreeSet<u32> {
        let mut without_end = self.recordings_without_end();
        let mut last_of: BTreeMap<u32, u64> = BTreeMap::new();
        let placed = |block: &&BlockEntry| block.misplaced.is_none();
        for block in self.blocks().iter().filter(placed) {
            last_of.insert(block.section, block.offset);
        }
        let gaps = self.gaps().iter();
        let behind = gaps.filter(|gap| gap.defect != Defect::Cut).filter(|gap| {
            let last = last_of.get(&self.recording_at(gap.offset));
            last.is_some_and(|last| gap.offset > *last)
        });
        let damaged: BTreeSet<u32> = behind.map(|gap| self.recording_at(gap.offset)).collect();
        without_end.retain(|recording| damaged.contains(recording));
        without_end
    }

    /// Whether the last that is damaged between two blocks is an index that is there in part. There was nothing behind it.
    fn is_index_cut(&self, last: &BlockEntry, next: &BlockEntry) -> bool {
        let gaps = self.gaps();
        let before = gaps.partition_point(|gap| gap.offset < next.offset);
        let gap = before.checked_sub(1).and_then(|place| gaps.get(place));
        gap.is_some_and(|gap| {
            gap.offset > last.offset && self.kind_of(gap) == Some(BlockKind::Index)
        })
    }

    /// What of [`damage`](Self::damage) is in blocks that describe: the schema, a lane's name, the clock. Each with the kind
    /// of its block.
    pub fn damaged_descriptions(&self) -> impl Iterator<Item = (BlockKind, &Damaged)> {
        self.descriptions.iter().filter_map(|damaged| {
            let blocks = self.blocks();
            let place = blocks.binary_search_by_key(&damaged.offset, |block| block.offset);
            Some((blocks.get(place.ok()?)?.header.kind, damaged))
        })
    }
}
