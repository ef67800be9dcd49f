//! Traces to begin with, and what can be done to them: bytes that change, blocks that change places, and checksums made
//! right again, so that what stands behind them is reached.

use std::sync::OnceLock;

use arbitrary::Arbitrary;
use hypercall_core::acrn::VmId;
use hypercall_core::call::Direction;
use hypercall_trace::clock::ClockInfo;
use hypercall_trace::entry::{
    After, Argument, Block, Call, Entry, Failure, Link, LossCause, Lost, Outcome, PageChange, Run,
    Target, When,
};
use hypercall_trace::read::Trace;
use hypercall_trace::schema::Schema;
use hypercall_trace::write::{Compression, Options, Writer};

use crate::own::OwnCalls;

/// Bytes of the file's header.
const HEADER: usize = 32;
/// Bytes of a block's header.
const BLOCK: usize = 64;

/// The schema of the traces.
pub fn schema() -> Schema {
    Schema::from_interfaces(&[OwnCalls::INTERFACE])
}

fn block(direction: Direction, length: usize, after: After) -> Block {
    let bytes = (1_u8..).take(length).collect();
    Block {
        direction,
        before: if direction == Direction::Write {
            Vec::new()
        } else {
            bytes
        },
        after,
        length,
        link: None,
    }
}

fn linked(target: Target, after: After) -> Argument {
    Argument::Block(Block {
        link: Some(Link { offset: 8, target }),
        ..block(Direction::Read, 16, after)
    })
}

/// A call of every shape and every ending, losses, changes of pages; in two lanes.
pub fn entries() -> Vec<Entry> {
    use After::{Changed, Unchanged, Unfinished};
    let schema = schema();
    let calls: Vec<_> = schema.calls().cloned().collect();
    let failed = |failure| Outcome::Failed(failure);
    let nested = |direction, after| Target::Block(Box::new(block(direction, 24, after)));
    let shapes = [
        [Argument::Unused, Argument::Unused],
        [
            Argument::Value(u64::from(VmId(3).0)),
            Argument::Value(u64::MAX),
        ],
        [
            Argument::Block(block(Direction::Read, 8, Unchanged)),
            Argument::Block(block(Direction::ReadWrite, 8, Changed(vec![9; 8]))),
        ],
        [
            Argument::Block(block(Direction::Write, 16, Changed(vec![7; 16]))),
            Argument::Block(block(Direction::ReadWrite, 5, Unchanged)),
        ],
        [
            linked(nested(Direction::Read, Unchanged), Unchanged),
            Argument::Unused,
        ],
        [
            Argument::Value(1),
            linked(
                nested(Direction::ReadWrite, Changed(vec![3; 24])),
                Unchanged,
            ),
        ],
        [
            linked(
                Target::Pages {
                    count: 2,
                    page: Some(1),
                },
                Unchanged,
            ),
            linked(Target::Address(0x7000), Unchanged),
        ],
    ];
    let failures = [
        Failure::Untranslatable {
            register: 1,
            nested: true,
        },
        Failure::Layer {
            layer: "list".into(),
            reason: "not on it".into(),
        },
        Failure::Fault(13),
        Failure::Lost("gone".into()),
    ];
    let mut outcomes = vec![
        Outcome::Returned(0),
        Outcome::Returned(-22),
        Outcome::Returned(7),
    ];
    outcomes.extend(failures.map(failed));
    let mut entries = Vec::new();
    for lane in 0..2_u32 {
        for (index, (args, outcome)) in (0..).zip(shapes.iter().zip(&outcomes)) {
            let which = usize::try_from(index).unwrap_or(0).saturating_mul(2);
            entries.push(Entry::Call(Call {
                lane,
                index,
                schema: calls.get(which).cloned(),
                number: calls.get(which).map_or(0x99, |call| call.number),
                args: args.clone(),
                enter: 1000 + index * 10,
                duration: Some(5),
                outcome: outcome.clone(),
            }));
        }
        let next = 7;
        entries.push(Entry::Pages(PageChange {
            lane,
            index: next - 1,
            when: When::Exit,
            page: 1,
            ticks: 1090,
            look: 0,
            late: true,
            runs: vec![Run {
                offset: 4,
                before: vec![0; 8],
                after: vec![5; 8],
            }],
        }));
        entries.push(Entry::Lost(Lost {
            lane,
            index: next,
            count: 3,
            cause: LossCause::RingFull,
            first: 1100,
            last: 1200,
        }));
        entries.push(Entry::Call(Call {
            lane,
            index: next + 3,
            schema: calls.first().cloned(),
            number: 1,
            args: [
                Argument::Block(block(Direction::ReadWrite, 8, Unfinished)),
                Argument::Unused,
            ],
            enter: 1300,
            duration: None,
            outcome: Outcome::Unfinished,
        }));
    }
    entries
}

/// Bases there are: each way to compress a block, of one recording and of several; and a recording whose memory has a sum of lines.
const BASES: usize = 7;

/// The last one.
const WITH_LINES: usize = 6;

/// A recording in which memory has a sum of lines.
static LINES: &[u8] = include_bytes!("../../transport-trace/tests/data/v1-lines.hct");

/// Whether a base is of several recordings.
pub fn is_joined(which: u8) -> bool {
    (3..WITH_LINES).contains(&(usize::from(which) % BASES))
}

/// What each recording of a base has, in its order. Where there are several, the first two have a lane each: only the
/// beginning of the second tells that it is not the first that goes on.
fn recordings(which: u8) -> Vec<Vec<Entry>> {
    let of = |lane| {
        let entries = entries().into_iter();
        entries.filter(move |entry| entry.lane() == Some(lane))
    };
    if is_joined(which) {
        vec![of(0).collect(), of(1).collect(), entries()]
    } else {
        vec![entries()]
    }
}

/// All entries of a base.
pub fn written(which: u8) -> Vec<Entry> {
    if usize::from(which) % BASES == WITH_LINES {
        return Trace::from_bytes(LINES)
            .map(|trace| trace.entries().collect())
            .unwrap_or_default();
    }
    recordings(which).concat()
}

/// A trace of [`entries`], or of several recordings of them.
pub fn base(which: u8) -> Vec<u8> {
    static MADE: [OnceLock<Vec<u8>>; BASES] = [const { OnceLock::new() }; BASES];
    MADE[usize::from(which) % BASES]
        .get_or_init(|| make(which))
        .clone()
}

fn make(which: u8) -> Vec<u8> {
    if usize::from(which) % BASES == WITH_LINES {
        return LINES.to_vec();
    }
    let codec = usize::from(which) % BASES % 3;
    let compression = [Compression::None, Compression::Lz4, Compression::Zstd(1)][codec];
    let options = Options {
        compression,
        block: 1024,
        id: 77,
    };
    let clock = ClockInfo::with_frequency(1_000_000);
    let mut writer =
        Writer::new(Vec::new(), &schema(), clock, options).expect("a vector takes all");
    for name in ["main", "second"] {
        writer.lane(name).expect("a vector takes all");
    }
    for (number, entries) in (0..).zip(recordings(which)) {
        writer
            .recording(number, &clock)
            .expect("a vector takes all");
        for entry in entries {
            writer.push(&entry).expect("the entries are sound");
        }
    }
    writer.finish().expect("a vector takes all")
}

/// Something that happens to a file.
#[derive(Arbitrary, Clone, Debug)]
pub enum Edit {
    /// A byte.
    Byte(u16, u8),
    /// Four bytes.
    Word(u16, Odd),
    /// Eight bytes.
    Double(u16, Odd),
    /// A bit.
    Flip(u16, u8),
    /// Two blocks change places.
    Swap(u8, u8),
    /// A block once more, somewhere.
    Again(u8, u8),
    /// A block goes.
    Remove(u8),
    /// The file ends here.
    Cut(u16),
    /// Bytes in between.
    Insert(u16, Vec<u8>),
}

/// A number that hurts, or any.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Odd {
    /// 2 to this, and a little more or less.
    Power(u8, i8),
    /// Any.
    Any(u64),
}

impl Odd {
    /// The number.
    pub fn value(self) -> u64 {
        match self {
            Self::Power(power, more) => {
                (1_u64 << (power % 64)).wrapping_add_signed(i64::from(more))
            }
            Self::Any(value) => value,
        }
    }
}

/// Whether an edit only moves whole blocks.
pub fn moves_blocks(edit: &Edit) -> bool {
    matches!(
        edit,
        Edit::Swap(..) | Edit::Again(..) | Edit::Remove(_) | Edit::Cut(_)
    )
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
}

/// Where the blocks of an undamaged file are.
fn blocks(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut at = HEADER;
    let mut blocks = Vec::new();
    while bytes
        .get(at..)
        .is_some_and(|rest| rest.starts_with(b"HCTB"))
    {
        let end = at + BLOCK + u32_at(bytes, at + 8).next_multiple_of(8);
        blocks.push(at..end);
        at = end;
    }
    blocks
}

/// The kind of a block that is alone.
pub fn kind(block: &[u8]) -> u8 {
    block.get(4).copied().unwrap_or(0)
}

/// Makes a record's checksum right, and the sum of its lines, where it has any.
fn seal_record(record: &mut [u8]) {
    let lines = match record.get(7) {
        Some(1..=3) => record.get(47).map_or(0, |lines| usize::from(*lines)),
        _ => 0,
    };
    let mut behind = 8;
    let mut crc = 0;
    if let Some(bytes) = record.get(64..64 + lines * 64).filter(|_| lines != 0) {
        let mut time = [0; 8];
        time.copy_from_slice(&record[8..16]);
        let sum = crate::lines::sum(u64::from_le_bytes(time), bytes).to_le_bytes();
        record[48..64].copy_from_slice(&sum);
        crc = crc32c::crc32c(&record[8..48]);
        behind = 64 + lines * 64;
    }
    crc = crc32c::crc32c_append(crc, &record[behind..]);
    crc = crc32c::crc32c_append(crc, &record[4..8]);
    record[..4].copy_from_slice(&crc.to_le_bytes());
}

/// Makes the checksums right: of records in blocks that are stored as they are, of blocks, of headers.
fn seal(bytes: &mut [u8], blocks: &[std::ops::Range<usize>]) {
    let put = |bytes: &mut [u8], at: usize, value: u32| {
        if let Some(place) = bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&value.to_le_bytes());
        }
    };
    for range in blocks {
        let Some(block) = bytes.get_mut(range.clone()) else {
            continue;
        };
        let stored = u32_at(block, 8).min(block.len().saturating_sub(BLOCK));
        let records = matches!(block.get(4..6), Some([4 | 5, 0]));
        if let Some(body) = block.get_mut(BLOCK..BLOCK + stored) {
            if records {
                let mut at = 0;
                while let Some(record) = body.get_mut(at..).filter(|rest| rest.len() >= 16) {
                    let length = (u32_at(record, 4) & 0xff_ffff) * 8;
                    let Some(record) = record.get_mut(..length).filter(|_| length >= 16) else {
                        break;
                    };
                    seal_record(record);
                    at += length;
                }
            }
            let crc = crc32c::crc32c(body);
            put(block, 28, crc);
        }
        if block.len() >= BLOCK {
            let crc = crc32c::crc32c(&block[..60]);
            put(block, 60, crc);
        }
    }
    if bytes.len() >= HEADER {
        let crc = crc32c::crc32c(&bytes[..28]);
        put(bytes, 28, crc);
    }
}

/// A file after edits, and whether its checksums were made right behind those of bytes.
pub fn edited(mut bytes: Vec<u8>, edits: &[Edit], sealed: bool) -> Vec<u8> {
    let layout = blocks(&bytes);
    let index = |at: u16, bytes: &[u8]| usize::from(at) % bytes.len().max(1);
    for edit in edits {
        match edit {
            Edit::Byte(at, value) => {
                let at = index(*at, &bytes);
                bytes[at..]
                    .iter_mut()
                    .take(1)
                    .for_each(|byte| *byte = *value);
            }
            Edit::Flip(at, bit) => {
                let at = index(*at, &bytes);
                bytes[at..]
                    .iter_mut()
                    .take(1)
                    .for_each(|byte| *byte ^= 1 << (bit % 8));
            }
            Edit::Word(at, value) => {
                let at = index(*at, &bytes) & !3;
                let value = value.value().to_le_bytes();
                bytes[at..]
                    .iter_mut()
                    .zip(&value[..4])
                    .for_each(|(byte, new)| *byte = *new);
            }
            Edit::Double(at, value) => {
                let at = index(*at, &bytes) & !7;
                let value = value.value().to_le_bytes();
                bytes[at..]
                    .iter_mut()
                    .zip(value)
                    .for_each(|(byte, new)| *byte = new);
            }
            _ => {}
        }
    }
    if sealed {
        seal(&mut bytes, &layout);
    }
    let head = bytes[..HEADER].to_vec();
    let mut parts: Vec<Vec<u8>> = layout
        .into_iter()
        .map(|range| bytes[range].to_vec())
        .collect();
    for edit in edits {
        let place = |which: u8, parts: &[Vec<u8>]| usize::from(which) % parts.len().max(1);
        match edit {
            Edit::Swap(one, other) if !parts.is_empty() => {
                let (one, other) = (place(*one, &parts), place(*other, &parts));
                parts.swap(one, other);
            }
            // Another schema would begin another recording, whose calls may be the same.
            Edit::Again(which, to) if !parts.is_empty() => {
                let part = parts[place(*which, &parts)].clone();
                if kind(&part) != 1 {
                    let to = place(*to, &parts);
                    parts.insert(to, part);
                }
            }
            Edit::Remove(which) if !parts.is_empty() => {
                let place = place(*which, &parts);
                parts.remove(place);
            }
            _ => {}
        }
    }
    let mut bytes = head;
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    for edit in edits {
        match edit {
            Edit::Cut(at) => bytes.truncate(index(*at, &bytes)),
            Edit::Insert(at, more) => {
                let at = index(*at, &bytes);
                bytes.splice(at..at, more.iter().copied());
            }
            _ => {}
        }
    }
    bytes
}
