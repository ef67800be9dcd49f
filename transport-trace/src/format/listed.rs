//! Which blocks an index lists: all of a file, or those of one recording of a joined file.

use std::vec::Vec;

use super::BlockHeader;

/// Blocks that an index lists. A longer recording goes without.
const MAX_INDEX: usize = 800_000;

/// The blocks that were written, each with its offset.
#[derive(Debug)]
pub(super) struct Listed {
    blocks: Vec<(u64, BlockHeader)>,
    /// Where those of the recording that is written begin.
    begin: usize,
    /// Whether those of earlier recordings are gone: they were too many.
    only_last: bool,
    most: usize,
}

impl Default for Listed {
    fn default() -> Self {
        Self::of_at_most(MAX_INDEX)
    }
}

impl Listed {
    const fn of_at_most(most: usize) -> Self {
        Self {
            blocks: Vec::new(),
            begin: 0,
            only_last: false,
            most,
        }
    }

    pub(super) fn push(&mut self, offset: u64, header: BlockHeader) {
        if self.blocks.len() >= self.most && self.begin != 0 {
            // Each recording has its own index still.
            self.blocks.drain(..self.begin);
            self.begin = 0;
            self.only_last = true;
        }
        // One more says that there are too many.
        if self.blocks.len() <= self.most {
            self.blocks.push((offset, header));
        }
    }

    /// A recording begins behind the others.
    pub(super) const fn begin_recording(&mut self) {
        self.begin = self.blocks.len();
    }

    /// All blocks of the file, or, where those are too many, of the recording that is written. `None`: those are too many too.
    pub(super) fn all(&self) -> Option<&[(u64, BlockHeader)]> {
        self.from(if self.only_last { self.begin } else { 0 })
    }

    /// Those of the recording that is written. `None`: they are too many.
    pub(super) fn of_recording(&self) -> Option<&[(u64, BlockHeader)]> {
        self.from(self.begin)
    }

    fn from(&self, first: usize) -> Option<&[(u64, BlockHeader)]> {
        let blocks = self.blocks.get(first..)?;
        (self.blocks.len() <= self.most).then_some(blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::BlockKind;

    const SCHEMA: BlockHeader = BlockHeader::plain(BlockKind::Schema, 0, 0);

    fn offsets(blocks: Option<&[(u64, BlockHeader)]>) -> Option<Vec<u64>> {
        Some(blocks?.iter().map(|(offset, _)| *offset).collect())
    }

    #[test]
    fn however_many_recordings_there_are_each_has_an_index() {
        let mut listed = Listed::of_at_most(10);
        for recording in 0..20 {
            listed.begin_recording();
            for block in 0..4 {
                listed.push(recording * 4 + block, SCHEMA);
            }
            let own = (recording * 4..recording * 4 + 4).collect();
            assert_eq!(offsets(listed.of_recording()), Some(own));
        }
        assert_eq!(offsets(listed.all()), Some((76..80).collect()));
    }

    #[test]
    fn a_recording_that_is_too_long_goes_without_and_the_next_one_has_one() {
        let mut listed = Listed::of_at_most(10);
        for block in 0..12 {
            listed.push(block, SCHEMA);
        }
        assert!(listed.all().is_none() && listed.of_recording().is_none());
        listed.begin_recording();
        listed.push(12, SCHEMA);
        assert_eq!(offsets(listed.of_recording()), Some(vec![12]));
    }
}
