//! Whether blocks stand where they were written: of this recording, each call once, in order.
//!
//! A file that was put together wrongly (a block twice, two that changed places, one of another recording) has right checksums
//! everywhere. What gives it away is that the indices of a lane only go up, and that each block says which recording it is of.
//! A schema block starts a recording: behind the first one it is that of a file that was joined to this one, whose
//! lanes count from 0 again.

use std::collections::{HashMap, HashSet};

use super::block::BlockEntry;
use crate::entry::{Damaged, Defect, LossCause, Lost};
use crate::format::{BlockKind, FILE_HEADER, FileHeader};

/// The index that the first call of a lane has, by recording and lane, where that is not 0: a slice leaves out what comes
/// before it.
pub(crate) type Starts = HashMap<(u32, u32), u64>;

/// Finds the blocks that stand in a wrong place, by their headers alone, and numbers the recordings of the file.
pub(crate) fn place(blocks: &mut [BlockEntry], header: &FileHeader) -> Starts {
    let starts = place_all(blocks, header, false);
    // Where the file begins with a damaged stretch, the first schema may be lost in it: the one that is found is that of the second
    // recording then, and what follows would all be in a wrong place.
    let start = blocks.first().map_or(0, |block| block.offset);
    let is_schema = |block: &BlockEntry| block.header.kind == BlockKind::Schema;
    let first = blocks.iter().position(is_schema).unwrap_or(0);
    let wrong = |blocks: &[BlockEntry]| {
        let behind = blocks.get(first..).unwrap_or_default().iter();
        behind.filter(|block| block.misplaced.is_some()).count()
    };
    let is_data = |block: &BlockEntry| block.header.kind == BlockKind::Data;
    let before = wrong(blocks);
    if before == 0 || start <= FILE_HEADER as u64 || !blocks.iter().take(first).any(is_data) {
        return starts;
    }
    let others = place_all(blocks, header, true);
    if wrong(blocks) < before {
        others
    } else {
        place_all(blocks, header, false)
    }
}

/// `lost`: the first schema is not among the blocks.
fn place_all(blocks: &mut [BlockEntry], header: &FileHeader, lost: bool) -> Starts {
    let mut starts = Starts::new();
    let mut tag = header.tag();
    let mut section = 0_u32;
    let mut schemas = u32::from(lost);
    let mut next: HashMap<u32, u64> = HashMap::new();
    let mut without_calls: HashSet<(u32, u64, u32)> = HashSet::new();
    for block in blocks {
        let header = &block.header;
        if header.kind == BlockKind::Schema {
            schemas = schemas.saturating_add(1);
            if schemas > 1 {
                section = section.saturating_add(1);
                tag = header.tag;
                next.clear();
                without_calls.clear();
            }
        }
        block.section = section;
        block.misplaced = if header.tag != 0 && tag != 0 && header.tag != tag {
            Some(Defect::Foreign)
        } else {
            match header.kind {
                BlockKind::Data | BlockKind::Announce => {
                    let next = next.entry(header.lane).or_default();
                    let again = header.kind == BlockKind::Data
                        && header.calls == 0
                        && !without_calls.insert((header.lane, header.first_index, header.crc));
                    if header.first_index < *next || again {
                        Some(Defect::Order)
                    } else {
                        if header.kind == BlockKind::Data {
                            *next = header.first_index.saturating_add(header.calls.into());
                        }
                        None
                    }
                }
                BlockKind::Lane if header.first_index != 0 => {
                    starts.insert((section, header.lane), header.first_index);
                    None
                }
                _ => None,
            }
        };
    }
    starts
}

/// What stands behind a damaged stretch of which nobody knows what it held.
#[derive(Debug, Default)]
struct Behind {
    /// The lanes that went on.
    lanes: HashSet<u32>,
    /// Where points of the clock are.
    clocks: Vec<usize>,
    /// A lane begins anew: the schema of the next recording was lost in the stretch.
    anew: bool,
}

/// Finds the points of the clock that are another recording's, whose schema was lost: they say nothing of the one that they seem to be of.
pub(crate) fn place_clocks(blocks: &mut [BlockEntry], gaps: &[Damaged]) {
    let unknown = gaps.iter().filter(|gap| gap.is_unknown());
    let mut gaps = unknown.map(|gap| gap.offset).peekable();
    let mut section = 0;
    let mut behind: Option<Behind> = None;
    let mut strayed = Vec::new();
    for (place, block) in blocks.iter().enumerate() {
        while gaps.next_if(|gap| *gap < block.offset).is_some() {
            if !behind.as_ref().is_some_and(|behind| behind.anew) {
                behind = Some(Behind::default());
            }
        }
        if block.section != section {
            section = block.section;
            behind = None;
        }
        let Some(behind) = &mut behind else {
            continue;
        };
        match block.header.kind {
            BlockKind::Clock => behind.clocks.push(place),
            BlockKind::Data | BlockKind::Announce => {
                // What comes later in a lane may stand there twice.
                let first = behind.lanes.insert(block.header.lane);
                behind.anew |= first && block.misplaced == Some(Defect::Order);
            }
            _ => {}
        }
        if behind.anew {
            strayed.append(&mut behind.clocks);
        }
    }
    for place in strayed {
        if let Some(block) = blocks.get_mut(place) {
            block.misplaced = block.misplaced.or(Some(Defect::Order));
        }
    }
}

/// Which index the next call of each lane has, where nothing is missing.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    section: u32,
    known: HashMap<u32, Option<u64>>,
    /// Of lanes that did not come up yet: 0 from the start of a recording; not known behind damage, or from the middle.
    others: Option<u64>,
}

impl Order {
    pub(crate) fn from_the_start() -> Self {
        Self {
            section: 0,
            known: HashMap::new(),
            others: Some(0),
        }
    }

    /// From somewhere in a recording of the file.
    pub(crate) fn from_the_middle(section: u32) -> Self {
        Self {
            section,
            others: None,
            ..Self::from_the_start()
        }
    }

    /// Goes on to a block: the calls that are missing before it, which no damaged stretch stands for.
    ///
    /// # Errors
    /// [`Defect::Order`] where its calls came already.
    pub(crate) fn enter(
        &mut self,
        block: &BlockEntry,
        starts: &Starts,
    ) -> Result<Option<Lost>, Defect> {
        let header = &block.header;
        if block.section != self.section {
            *self = Self {
                section: block.section,
                ..Self::from_the_start()
            };
        }
        let expected = self.known.get(&header.lane).copied().unwrap_or_else(|| {
            let start = starts.get(&(block.section, header.lane)).copied();
            self.others.map(|first| start.unwrap_or(first))
        });
        let Some(expected) = expected else {
            return Ok(None);
        };
        match header.first_index.checked_sub(expected) {
            None => Err(Defect::Order),
            Some(0) => Ok(None),
            Some(missing) => Ok(Some(Lost {
                lane: header.lane,
                index: expected,
                count: missing,
                cause: LossCause::Damaged,
                first: 0,
                last: header.first_ticks,
            })),
        }
    }

    /// The block is read; the next call of its lane has this index.
    pub(crate) fn leave(&mut self, lane: u32, next: u64) {
        self.known.insert(lane, Some(next));
    }

    /// Calls of this lane, or of any, may be in a damaged stretch: nobody knows which index is the next.
    pub(crate) fn forget(&mut self, lane: Option<u32>) {
        match lane {
            Some(lane) => {
                self.known.insert(lane, None);
            }
            None => {
                self.known.clear();
                self.others = None;
            }
        }
    }
}
