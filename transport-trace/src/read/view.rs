//! Records without copies: what stands in a block's bytes, checked against its bounds.

use hypercall_core::call::Direction;

use crate::entry::{LossCause, When};
use crate::format::record::{
    CALL_HEAD, LOST_LENGTH, PAGE, PAGES_HEAD, PAGES_LATE, PAGES_MANY_LOOKS, arguments_at,
    enter_bytes, kind, lines_of, padded, parse_word, shape,
};
use crate::format::{MAX_BLOCK, u16_at, u32_at, u64_at};

/// One record of a block.
#[expect(clippy::large_enum_variant, reason = "nearly every record is a call")]
#[derive(Clone, Copy, Debug)]
pub enum View<'r> {
    /// A call.
    Call(CallView<'r>),
    /// Missing calls.
    Lost(LostView),
    /// A change in a watched page.
    Pages(PagesView<'r>),
    /// A record of a kind that this version does not know, or with something in it that decides where the rest stands
    /// and that this version does not know (the shape of an argument; the point at which a page was looked at).
    Unknown(u8, &'r [u8]),
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub struct CallView<'r> {
    /// When it was entered, in ticks.
    pub enter: u64,
    /// The hypercall number.
    pub number: u64,
    /// Its place in the schema, or 0xffff.
    pub id: u16,
    /// What the registers carried.
    pub args: [ArgumentView<'r>; 2],
    /// How long it took, in ticks.
    pub duration: Option<u64>,
    /// What came of it.
    pub outcome: OutcomeView<'r>,
}

/// What a register carried.
#[derive(Clone, Copy, Debug)]
pub enum ArgumentView<'r> {
    /// Nothing.
    Unused,
    /// A number.
    Value(u64),
    /// The address of memory.
    Block(MemoryView<'r>),
    /// The address of memory that has the address of something else in it.
    Linked(MemoryView<'r>, LinkView<'r>),
}

/// Memory of a call.
#[derive(Clone, Copy, Debug)]
pub struct MemoryView<'r> {
    /// Who reads and who writes it.
    pub direction: Direction,
    /// Its bytes before the call; none for memory that is only written.
    pub before: &'r [u8],
    /// Its bytes after the call.
    pub after: AfterView<'r>,
    /// How many bytes it has.
    pub length: usize,
}

/// Memory after the call.
#[derive(Clone, Copy, Debug)]
pub enum AfterView<'r> {
    /// The call never returned.
    Unfinished,
    /// As before.
    Unchanged,
    /// Other bytes.
    Changed(&'r [u8]),
}

/// An address in memory.
#[derive(Clone, Copy, Debug)]
pub struct LinkView<'r> {
    /// Where it is.
    pub offset: usize,
    /// What it is the address of.
    pub target: TargetView<'r>,
}

/// What an address in memory is of.
#[derive(Clone, Copy, Debug)]
pub enum TargetView<'r> {
    /// Memory of the call.
    Memory(MemoryView<'r>),
    /// Pages that the hypervisor keeps.
    Pages {
        /// How many.
        count: u32,
        /// The watched page that the first one is.
        page: Option<u32>,
    },
    /// An address from elsewhere.
    Address(u64),
}

/// What came of a call.
#[derive(Clone, Copy, Debug)]
pub enum OutcomeView<'r> {
    /// RAX.
    Returned(i64),
    /// No answer: a code, a detail, two texts.
    Failed(u8, u8, &'r [u8], &'r [u8]),
    /// It never returned.
    Unfinished,
}

/// Missing calls.
#[derive(Clone, Copy, Debug)]
pub struct LostView {
    /// How many.
    pub count: u64,
    /// Why.
    pub cause: LossCause,
    /// When the first one was lost.
    pub first: u64,
    /// When the last one was lost.
    pub last: u64,
}

/// A change in a watched page.
#[derive(Clone, Copy, Debug)]
pub struct PagesView<'r> {
    /// When.
    pub ticks: u64,
    /// Which page.
    pub page: u32,
    /// At which point.
    pub when: When,
    /// Which look of the program's found it: see [`PageChange::look`](crate::entry::PageChange::look).
    pub look: u64,
    /// Whether it stands later than it came: see [`PageChange::late`](crate::entry::PageChange::late).
    pub late: bool,
    /// How many runs.
    runs: usize,
    /// The runs' bytes.
    bytes: &'r [u8],
}

/// Fewer zeros than these may follow the last part of a call.
const FILLING: usize = 32;

/// Parts of a record, taken from its front.
struct Parts<'r>(&'r [u8]);

impl<'r> Parts<'r> {
    fn word(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*word))
    }
    fn bytes(&mut self, length: usize) -> Option<&'r [u8]> {
        let (taken, rest) = self.0.split_at_checked(padded(length))?;
        self.0 = rest;
        taken.get(..length)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "halves of a word")]
const fn halves(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

/// Takes the first record off a block's bytes: the record and the rest. `None` where there is no whole record.
#[inline]
pub(crate) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let word = u64::from_le_bytes(*bytes.first_chunk()?);
    let (_, length) = parse_word(word);
    if length < 16 {
        return None;
    }
    bytes.split_at_checked(length)
}

impl<'r> View<'r> {
    /// Reads a record. `None` where it is not well formed. Its checksum is not looked at.
    pub(crate) fn parse(record: &'r [u8]) -> Option<Self> {
        match *record.get(7)? {
            kind @ (kind::ENTERED | kind::RETURNED | kind::FAILED) => {
                let shapes = record.get(42..44)?;
                if shapes.iter().any(|shape| *shape > shape::LAST) {
                    // What stands where in it, only a newer version knows.
                    return (record.len() >= CALL_HEAD).then_some(Self::Unknown(kind, record));
                }
                CallView::parse(record, kind).map(Self::Call)
            }
            kind::LOST if record.len() >= LOST_LENGTH => Some(Self::Lost(LostView {
                first: u64_at(record, 8),
                last: u64_at(record, 16),
                count: u64_at(record, 24),
                cause: LossCause::from_code(*record.get(32)?),
            })),
            kind::PAGES if record.len() >= PAGES_HEAD => {
                let point = *record.get(20)?;
                let look = *record.get(21)?;
                let mut bytes = Parts(record.get(PAGES_HEAD..)?);
                let view = PagesView {
                    ticks: u64_at(record, 8),
                    page: u32_at(record, 16),
                    when: match point & !PAGES_LATE {
                        0 => When::Enter,
                        1 => When::Exit,
                        2 => When::Note,
                        _ => return Some(Self::Unknown(kind::PAGES, record)),
                    },
                    look: match look {
                        PAGES_MANY_LOOKS => bytes.word()?,
                        look => u64::from(look),
                    },
                    late: point & PAGES_LATE != 0,
                    runs: usize::from(u16_at(record, 22)),
                    bytes: bytes.0,
                };
                (view.runs().count() == view.runs).then_some(Self::Pages(view))
            }
            unknown => Some(Self::Unknown(unknown, record)),
        }
    }

    /// Whether the record is a call, of whatever kind: it takes an index in its lane.
    pub(crate) const fn indices(&self) -> u64 {
        match self {
            Self::Call(_) => 1,
            Self::Unknown(kind, _) => (*kind < kind::OTHERS) as u64,
            Self::Lost(lost) => lost.count,
            Self::Pages(_) => 0,
        }
    }
}

impl<'r> PagesView<'r> {
    /// The runs: offset in the page, bytes before, bytes after.
    pub fn runs(&self) -> impl Iterator<Item = (u32, &'r [u8], &'r [u8])> + use<'r> {
        let mut parts = Parts(self.bytes);
        (0..self.runs).map_while(move |_| {
            let (offset, length) = halves(parts.word()?);
            let length = usize::try_from(length).ok()?;
            let end = usize::try_from(offset).ok()?.checked_add(length)?;
            if end > PAGE {
                return None;
            }
            Some((offset, parts.bytes(length)?, parts.bytes(length)?))
        })
    }
}

/// Whether so much may follow the last part of a call.
fn is_filling(rest: &[u8]) -> bool {
    rest.len() < FILLING && rest.iter().all(|byte| *byte == 0)
}

impl<'r> CallView<'r> {
    fn parse(record: &'r [u8], kind: u8) -> Option<Self> {
        let head = record.first_chunk::<CALL_HEAD>()?;
        let shapes = [head[42], head[43]];
        let slots = [u64_at(head, 16), u64_at(head, 24)];
        let enter_length = enter_bytes(record)?;
        let (enter, exit) = record.split_at_checked(enter_length)?;
        let mut enter = Parts(enter.get(arguments_at(lines_of(record))..)?);
        let mut exit = Parts(exit);
        let mut view = Self {
            enter: u64_at(head, 8),
            number: u64_at(head, 32),
            id: u16_at(head, 40),
            args: [ArgumentView::Unused; 2],
            duration: None,
            outcome: OutcomeView::Unfinished,
        };
        let mut texts = [0, 0];
        let mut changed = None;
        if kind != kind::ENTERED {
            view.duration = Some(exit.word()?);
            let answer = exit.word()?;
            view.outcome = OutcomeView::Returned(answer.cast_signed());
            if kind == kind::FAILED {
                let [code, detail, _, _, low1, high1, low2, high2] = answer.to_le_bytes();
                view.outcome = OutcomeView::Failed(code, detail, &[], &[]);
                texts = [[low1, high1], [low2, high2]]
                    .map(|text| usize::from(u16::from_le_bytes(text)));
            }
            changed = Some(if shapes.into_iter().any(shape::written) {
                exit.word()?
            } else {
                0
            });
        }
        let mut bit = 1;
        for ((argument, shape), slot) in view.args.iter_mut().zip(shapes).zip(slots) {
            *argument = argument_view(shape, slot, &mut enter, &mut exit, changed, bit)?;
            bit <<= 2;
        }
        if let OutcomeView::Failed(_, _, first, second) = &mut view.outcome {
            let both = exit.bytes(texts.iter().sum())?;
            (*first, *second) = both.split_at_checked(texts[0])?;
        }
        (enter.0.is_empty() && is_filling(exit.0)).then_some(view)
    }
}

fn argument_view<'r>(
    shape: u8,
    slot: u64,
    enter: &mut Parts<'r>,
    exit: &mut Parts<'r>,
    changed: Option<u64>,
    bit: u64,
) -> Option<ArgumentView<'r>> {
    let (length, offset) = halves(slot);
    let length = usize::try_from(length).ok()?;
    let offset = usize::try_from(offset).ok()?;
    let mut memory = |enter: &mut Parts<'r>, direction, length: usize, bit: u64| {
        if length > MAX_BLOCK {
            return None;
        }
        Some(MemoryView {
            direction,
            before: match direction {
                Direction::Write => &[],
                Direction::Read | Direction::ReadWrite => enter.bytes(length)?,
            },
            after: match (direction, changed) {
                (_, None) => AfterView::Unfinished,
                (Direction::Write | Direction::ReadWrite, Some(bits)) if bits & bit != 0 => {
                    AfterView::Changed(exit.bytes(length)?)
                }
                _ => AfterView::Unchanged,
            },
            length,
        })
    };
    Some(match shape {
        shape::NONE => ArgumentView::Unused,
        shape::VALUE => ArgumentView::Value(slot),
        shape::READ => ArgumentView::Block(memory(enter, Direction::Read, length, bit)?),
        shape::WRITE => ArgumentView::Block(memory(enter, Direction::Write, length, bit)?),
        shape::READ_WRITE => ArgumentView::Block(memory(enter, Direction::ReadWrite, length, bit)?),
        shape::LINKED_READ
        | shape::LINKED_READ_WRITE
        | shape::LINKED_PAGES
        | shape::LINKED_ADDRESS => {
            let header = memory(enter, Direction::Read, length, bit)?;
            let word = enter.word()?;
            let (low, high) = halves(word);
            let nested = usize::try_from(low).ok()?;
            let target = match shape {
                shape::LINKED_READ => {
                    TargetView::Memory(memory(enter, Direction::Read, nested, bit << 1)?)
                }
                shape::LINKED_READ_WRITE => {
                    TargetView::Memory(memory(enter, Direction::ReadWrite, nested, bit << 1)?)
                }
                shape::LINKED_PAGES => TargetView::Pages {
                    count: low,
                    page: high.checked_sub(1),
                },
                _ => TargetView::Address(word),
            };
            ArgumentView::Linked(header, LinkView { offset, target })
        }
        _ => return None,
    })
}
