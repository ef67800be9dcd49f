//! What a trace has not got: calls that were lost, stretches of the file that could not be read.

use std::fmt;

use crate::loss::LossCause;

/// Calls that are missing from the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The lane.
    pub lane: u32,
    /// The index of the first one.
    pub index: u64,
    /// How many; 0 where nobody knows: see [`how_many`](Self::how_many).
    pub count: u64,
    /// Why.
    pub cause: LossCause,
    /// When the first one was lost, in ticks; 0 where that is not known.
    pub first: u64,
    /// When the last one was lost, in ticks; 0 where that is not known.
    pub last: u64,
}

/// A stretch of a file that could not be read, and was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Where it starts, in bytes from the start of the file.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// What is wrong with it.
    pub defect: Defect,
    /// The lane whose entries stood there, where the block's header still says.
    pub lane: Option<u32>,
    /// How many entries stood there, where the block's header still says.
    pub entries: Option<u32>,
    /// The index of the first call that stood there, where the block's header still says. `None` also for a block whose calls
    /// are not missing: it is a second time there, or of another recording.
    pub index: Option<u64>,
    /// How many calls stood there, where that is known. Where there were records of losses too, which count several calls,
    /// it is only known once the lane goes on.
    pub calls: Option<u32>,
}

impl Damaged {
    /// The index behind the calls that are known to have stood there.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        Some(self.index?.saturating_add(u64::from(self.calls?)))
    }
}

/// What is wrong with a stretch of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Defect {
    /// The file ends inside a block.
    Cut,
    /// There is no block header, or its checksum is wrong.
    Header,
    /// The block's checksum is wrong.
    Checksum,
    /// The block does not decompress to what its header says.
    Compression,
    /// The block declares a size beyond the limit.
    TooLarge,
    /// A record in the block is not well formed, or its checksum is wrong.
    Record,
    /// The schema, clock or lane description is not well formed.
    Description,
    /// The compression is of a kind that this version does not know.
    UnknownCodec,
    /// The storage failed to give the bytes.
    Unreadable,
    /// The block's calls, or later ones of its lane, stand before it already; or a later point of the clock does.
    Order,
    /// The block is of another recording.
    Foreign,
    /// The block's records are right, and its header says something else of them.
    Summary,
    /// The index is not one of the blocks before it: some are missing, or do not belong there.
    Index,
    /// There are more blocks than a reader keeps track of.
    TooMany,
    /// The block is whole, and of a recording that was joined to ones with other calls, or with other names of the same lanes: what
    /// its records are cannot be told by what those describe.
    Unlike,
}

impl Defect {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Cut,
        Self::Header,
        Self::Checksum,
        Self::Compression,
        Self::TooLarge,
        Self::Record,
        Self::Description,
        Self::UnknownCodec,
        Self::Unreadable,
        Self::Order,
        Self::Foreign,
        Self::Summary,
        Self::Index,
        Self::TooMany,
    ];
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "the file ends inside a block",
            Self::Header => "no block header with a right checksum",
            Self::Checksum => "the block's checksum is wrong",
            Self::Compression => "the block does not decompress to its declared size",
            Self::TooLarge => "the block declares a size beyond the limit",
            Self::Record => "a record is not well formed or its checksum is wrong",
            Self::Description => "a description is not well formed",
            Self::UnknownCodec => "compressed in a way that this version does not know",
            Self::Unreadable => "the storage failed to give the bytes",
            Self::Order => "what the block holds, or something later, stands before it already",
            Self::Foreign => "the block is of another recording",
            Self::Summary => "the block's header does not say what its records are",
            Self::Index => "the index tells of other blocks than there are",
            Self::TooMany => "there are more blocks than a reader keeps track of",
            Self::Unlike => {
                "it is whole, but of a recording with other calls or lanes than those before it, to which it should not have been joined"
            }
        })
    }
}
