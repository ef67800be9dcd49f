//! What a trace says, decoded: a call, a loss, a change in a shared page, a damaged stretch of the file.
//!
//! These values own their bytes and do not point into a file. Two traces of the same calls compare equal but for their
//! times: there are no addresses of memory in here, a block is named by its [`Place`] in the call.

mod capture;
mod memory;
mod missing;
mod outcome;

use std::borrow::Cow;
use std::boxed::Box;
use std::fmt;
use std::sync::Arc;
use std::vec::Vec;

use hypercall_core::call::Direction;

pub use self::capture::capture;
pub use self::missing::{Damaged, Defect, Lost};
pub use self::outcome::{Failure, Outcome};
pub use crate::loss::LossCause;
use crate::schema;

/// One entry of a trace.
#[expect(clippy::large_enum_variant, reason = "nearly every entry is a call")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A call.
    Call(Call),
    /// Calls that are missing, as the recorder itself noted.
    Lost(Lost),
    /// Memory that a hypervisor keeps has changed.
    Pages(PageChange),
    /// A stretch of the file that could not be read.
    Damaged(Damaged),
    /// An entry that a newer minor version has and this one does not know.
    Unknown(Unknown),
}

impl Entry {
    /// The lane, where the entry belongs to one.
    #[must_use]
    pub const fn lane(&self) -> Option<u32> {
        match self {
            Self::Call(call) => Some(call.lane),
            Self::Lost(lost) => Some(lost.lane),
            Self::Pages(change) => Some(change.lane),
            Self::Damaged(damaged) => damaged.lane,
            Self::Unknown(unknown) => Some(unknown.lane),
        }
    }

    /// When it happened, in ticks of its recording's clock. 0 where that is not known.
    #[must_use]
    pub const fn ticks(&self) -> u64 {
        match self {
            Self::Call(call) => call.enter,
            Self::Lost(lost) => lost.first,
            Self::Pages(change) => change.ticks,
            Self::Damaged(_) | Self::Unknown(_) => 0,
        }
    }
}

/// A call: what went in, what came out, when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The lane's number in the file.
    pub lane: u32,
    /// The call's number in its lane, from 0. Calls that were lost count.
    pub index: u64,
    /// Its description, where the trace's schema has one.
    pub schema: Option<Arc<schema::Call>>,
    /// The hypercall number.
    pub number: u64,
    /// What RDI and RSI carried.
    pub args: [Argument; 2],
    /// When the call was entered, in ticks of its recording's clock.
    pub enter: u64,
    /// How long it took, in ticks. `None` for a call that never returned.
    pub duration: Option<u64>,
    /// What came of it.
    pub outcome: Outcome,
}

impl Call {
    /// The call's name, or `?` where the schema does not know the call.
    #[must_use]
    pub fn name(&self) -> &str {
        self.schema.as_ref().map_or("?", |schema| &schema.name)
    }

    /// The interface's name, or `?`.
    #[must_use]
    pub fn interface(&self) -> &str {
        self.schema.as_ref().map_or("?", |schema| &schema.interface)
    }

    /// The registers' values; 0 for one that carried a block or nothing.
    #[must_use]
    pub fn registers(&self) -> [u64; 2] {
        let [first, second] = &self.args;
        [first.value(), second.value()]
    }

    /// RAX, where there was an answer.
    #[must_use]
    pub const fn rax(&self) -> Option<i64> {
        match self.outcome {
            Outcome::Returned(rax) => Some(rax),
            _ => None,
        }
    }

    /// The block at a place, where the call has one there.
    #[must_use]
    pub fn block(&self, place: Place) -> Option<&Block> {
        let [first, second] = &self.args;
        match place {
            Place::Rdi => first.block(),
            Place::RdiNested => first.block().and_then(Block::nested),
            Place::Rsi => second.block(),
            Place::RsiNested => second.block().and_then(Block::nested),
        }
    }

    /// Every block with its place.
    pub fn blocks(&self) -> impl Iterator<Item = (Place, &Block)> {
        Place::ALL
            .into_iter()
            .filter_map(|place| self.block(place).map(|block| (place, block)))
    }
}

/// Where in a call a block of memory is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The block that RDI points at.
    Rdi,
    /// The block that RDI's block points at.
    RdiNested,
    /// The block that RSI points at.
    Rsi,
    /// The block that RSI's block points at.
    RsiNested,
}

impl Place {
    /// All places, in the order of the record.
    pub const ALL: [Self; 4] = [Self::Rdi, Self::RdiNested, Self::Rsi, Self::RsiNested];
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rdi => "block of RDI",
            Self::RdiNested => "block that RDI's block points at",
            Self::Rsi => "block of RSI",
            Self::RsiNested => "block that RSI's block points at",
        })
    }
}

/// What a register carried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Argument {
    /// Nothing.
    #[default]
    Unused,
    /// A number.
    Value(u64),
    /// The address of memory.
    Block(Block),
}

impl Argument {
    /// The register's number; 0 for a block or nothing.
    #[must_use]
    pub const fn value(&self) -> u64 {
        match self {
            Self::Value(value) => *value,
            _ => 0,
        }
    }

    /// The memory that the register points at.
    #[must_use]
    pub const fn block(&self) -> Option<&Block> {
        match self {
            Self::Block(block) => Some(block),
            _ => None,
        }
    }
}

/// Memory of a call, before and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Who reads and who writes it, from the hypervisor's side.
    pub direction: Direction,
    /// Its bytes before the call. Empty where the hypervisor only writes: it is zero then.
    pub before: Vec<u8>,
    /// Its bytes after the call.
    pub after: After,
    /// How many bytes it has.
    pub length: usize,
    /// What it points at.
    pub link: Option<Link>,
}

impl Block {
    /// The block that this one points at.
    #[must_use]
    pub const fn nested(&self) -> Option<&Self> {
        match &self.link {
            Some(Link {
                target: Target::Block(block),
                ..
            }) => Some(block),
            _ => None,
        }
    }

    /// The bytes before the call, zeros written out.
    #[must_use]
    pub fn before_bytes(&self) -> Cow<'_, [u8]> {
        if self.before.len() == self.length {
            Cow::Borrowed(&self.before)
        } else {
            let mut bytes = self.before.clone();
            bytes.resize(self.length, 0);
            Cow::Owned(bytes)
        }
    }

    /// The bytes after the call. `None` where it never returned.
    #[must_use]
    pub fn after_bytes(&self) -> Option<Cow<'_, [u8]>> {
        match &self.after {
            After::Unfinished => None,
            After::Unchanged => Some(self.before_bytes()),
            After::Changed(bytes) => Some(Cow::Borrowed(bytes)),
        }
    }
}

/// A block's bytes after the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// The call never returned.
    Unfinished,
    /// They are what they were before.
    Unchanged,
    /// They changed. As many as the block has.
    Changed(Vec<u8>),
}

/// An address inside a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where in the block its eight bytes are. They are zero in the record.
    pub offset: usize,
    /// What it is the address of.
    pub target: Target,
}

/// What an address inside a block is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Memory that is used only during the call.
    Block(Box<Block>),
    /// Pages of the program's that the hypervisor keeps.
    Pages {
        /// How many.
        count: u32,
        /// The number under which the first one is watched in this lane, where it is.
        page: Option<u32>,
    },
    /// An address that the program had from elsewhere.
    Address(u64),
}

/// What changed in a watched page since it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageChange {
    /// The lane.
    pub lane: u32,
    /// The call at which the change was noted; for [`When::Note`] the next one.
    pub index: u64,
    /// At which point.
    pub when: When,
    /// The page's number in this lane.
    pub page: u32,
    /// When, in ticks.
    pub ticks: u64,
    /// For [`When::Note`]: which look of the program's found it, counted from 1 since the last call or the last look that
    /// found something. A program that polled and found something at its third look has 3 here. 0: the same look as that of
    /// the change before. Always 0 at a call.
    pub look: u64,
    /// Some look before this one saw (part of) it, and there was no room in the ring: it may have come earlier than it
    /// stands here.
    pub late: bool,
    /// What changed, in the order of offsets. A page's first change starts from zeros: it is the page's content. A change
    /// that is too large for a record is several, of one look, with rising offsets.
    pub runs: Vec<Run>,
}

/// The point at which a page was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// Just before the call. The entry stands before the call's.
    Enter,
    /// Just after the call. The entry stands behind the call's.
    Exit,
    /// Between calls, because the program asked.
    Note,
}

/// Bytes of a page that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where they are, a multiple of 4.
    pub offset: u32,
    /// What they were.
    pub before: Vec<u8>,
    /// What they are; of the same length.
    pub after: Vec<u8>,
}

/// An entry that this version does not know: of another kind, or with something in it that decides where the rest of it
/// stands. It is kept as it is, and written again as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The lane.
    pub lane: u32,
    /// The index in its lane: of the call, where it is one (kinds below 16); else of the next call.
    pub index: u64,
    /// The kind.
    pub kind: u8,
    /// The record, its header included.
    pub bytes: Vec<u8>,
}

impl Unknown {
    /// Whether it is a call, of a kind that this version does not know.
    #[must_use]
    pub const fn is_call(&self) -> bool {
        self.kind < crate::format::record::kind::OTHERS
    }
}
