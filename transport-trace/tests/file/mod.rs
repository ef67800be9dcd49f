//! Whole small files with an entry of every kind, and blocks made by hand.
#![allow(dead_code, reason = "every test uses a part of it")]

use crate::common::in_memory::recorded_without_std;
use crate::common::*;
use hypercall_trace::clock::{ClockInfo, ClockPoint};
use hypercall_trace::entry::{
    Entry, Failure, LossCause, Lost, Outcome, PageChange, Run, Unknown, When,
};
use hypercall_trace::read::Trace;
use hypercall_trace::schema::Schema;
use hypercall_trace::write::{Compression, Options, Writer};
use std::ops::Range;

pub const CODECS: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd(3)];

/// The calls of the program that makes every shape of call.
pub fn calls() -> Vec<Entry> {
    let bytes = recorded_without_std(0, &ClockPoint::default(), [2]);
    Trace::from_bytes(bytes).unwrap().entries().collect()
}

/// A record around these bytes.
pub fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let words = (bytes.len() / 8) as u32;
    bytes[4..8].copy_from_slice(&(words | u32::from(kind) << 24).to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[8..]), &bytes[4..8]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What a block's header says beside sizes and checksums.
#[derive(Clone, Copy, Default)]
pub struct About {
    pub kind: u8,
    pub codec: u8,
    pub tag: u16,
    pub lane: u32,
    pub entries: u32,
    pub calls: u32,
    pub first: u64,
    pub last_ticks: u64,
}

/// A block with a right header.
pub fn block(about: About, raw: usize, body: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..4].copy_from_slice(b"HCTB");
    header[4] = about.kind;
    header[5] = about.codec;
    header[6..8].copy_from_slice(&about.tag.to_le_bytes());
    header[8..12].copy_from_slice(&(body.len() as u32).to_le_bytes());
    header[12..16].copy_from_slice(&(raw as u32).to_le_bytes());
    header[16..20].copy_from_slice(&about.lane.to_le_bytes());
    header[20..24].copy_from_slice(&about.entries.to_le_bytes());
    header[24..28].copy_from_slice(&about.calls.to_le_bytes());
    header[28..32].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    header[32..40].copy_from_slice(&about.first.to_le_bytes());
    header[48..56].copy_from_slice(&about.last_ticks.to_le_bytes());
    header[56..60].copy_from_slice(&u32::MAX.to_le_bytes());
    let crc = crc32c::crc32c(&header[..60]);
    header[60..].copy_from_slice(&crc.to_le_bytes());
    header.extend_from_slice(body);
    header.resize(header.len().next_multiple_of(8), 0);
    header
}

/// Where the blocks of a file are.
pub fn blocks(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut at = 32;
    let mut blocks = Vec::new();
    while at < bytes.len() {
        let stored = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        let end = at + 64 + stored.next_multiple_of(8);
        blocks.push(at..end);
        at = end;
    }
    blocks
}

/// An index of all blocks.
pub fn with_index(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut body = Vec::new();
    for range in blocks(&bytes) {
        body.extend_from_slice(&(range.start as u64).to_le_bytes());
        body.extend_from_slice(&bytes[range.start..range.start + 64]);
    }
    body.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    body.extend_from_slice(b"HCTINDEX");
    let tag = u16::from_le_bytes(bytes[38..40].try_into().unwrap());
    let about = About {
        kind: 6,
        tag,
        ..About::default()
    };
    bytes.extend(block(about, body.len(), &body));
    bytes
}

/// A file with an entry of every kind: calls of every shape and every ending, losses, changes of pages, records that only a
/// newer version knows, a call that never returned, and one that was only announced. Two lanes, several blocks. And what
/// stands in it.
pub fn everything(compression: Compression, index: bool, id: u64) -> (Vec<u8>, Vec<Entry>) {
    let mut schema = Schema::from_interfaces(INTERFACES);
    schema.interfaces[0]
        .calls
        .retain(|call| matches!(&*call.name, "add" | "mirror"));
    let point = |ticks| ClockPoint {
        frequency: 10,
        ticks,
        unix_nanoseconds: 3,
    };
    let clock = ClockInfo {
        first: point(1),
        last: point(9),
    };
    let options = Options {
        compression,
        block: 1024,
        id,
    };
    let mut writer = Writer::new(Vec::new(), &schema, clock, options).unwrap();
    writer.lane("main").unwrap();
    writer.lane("other").unwrap();
    let calls = calls();
    let mut entries = calls.clone();
    let next = CALLS;
    let page = |when, index, look, late| {
        Entry::Pages(PageChange {
            lane: 0,
            index,
            when,
            page: 1,
            ticks: 6500,
            look,
            late,
            runs: vec![Run {
                offset: 256,
                before: vec![0; 8],
                after: vec![1, 0, 0, 0, 2, 0, 0, 0],
            }],
        })
    };
    entries.push(page(When::Exit, next - 1, 0, true));
    entries.push(page(When::Note, next, 3, false));
    entries.push(page(When::Note, next, 300, true));
    entries.push(Entry::Lost(Lost {
        lane: 0,
        index: next,
        count: 5,
        cause: LossCause::RingFull,
        first: 5000,
        last: 6000,
    }));
    let next = next + 5;
    entries.push(page(When::Enter, next, 0, false));
    for (index, kind) in [(next, 9), (next + 1, 77)] {
        entries.push(Entry::Unknown(Unknown {
            lane: 0,
            index,
            kind,
            bytes: record(kind, &[7; 64]),
        }));
    }
    let in_lane = |entry: &Entry, lane, index| match entry.clone() {
        Entry::Call(mut call) => {
            (call.lane, call.index) = (lane, index);
            call
        }
        other => panic!("{other:?}"),
    };
    let mut never = in_lane(&calls[3], 0, next + 1);
    (never.duration, never.outcome) = (None, Outcome::Unfinished);
    entries.push(Entry::Call(never));
    for (index, call) in (0..).zip(&calls[..6]) {
        entries.push(Entry::Call(in_lane(call, 1, index)));
    }
    let mut odd = in_lane(&calls[0], 1, 6);
    odd.outcome = Outcome::Failed(Failure::Other {
        code: 99,
        detail: 3,
        text: "later".into(),
        more: "and more".into(),
    });
    entries.push(Entry::Call(odd));
    entries.push(Entry::Lost(Lost {
        lane: 1,
        index: 7,
        count: 2,
        cause: LossCause::Other(88),
        first: 7000,
        last: 7001,
    }));
    let mut announced = in_lane(&calls[3], 1, 9);
    (announced.duration, announced.outcome) = (None, Outcome::Unfinished);
    announced.enter = 7_100;
    entries.push(Entry::Call(announced.clone()));
    // The last call of the second lane was only announced: a block of it is made into an announcement.
    for entry in &entries[..entries.len() - 1] {
        writer.push(entry).unwrap();
    }
    let mut bytes = writer.finish().unwrap();
    bytes.truncate(blocks(&bytes).last().unwrap().start);
    let mut only = Writer::new(
        Vec::new(),
        &schema,
        clock,
        Options {
            compression: Compression::None,
            ..options
        },
    )
    .unwrap();
    only.lane("main").unwrap();
    only.lane("other").unwrap();
    only.push(&Entry::Call(announced)).unwrap();
    let only = only.finish().unwrap();
    let range = blocks(&only)
        .into_iter()
        .find(|range| only[range.start + 4] == 4)
        .unwrap();
    let mut announcement = only[range].to_vec();
    announcement[4] = 5;
    let crc = crc32c::crc32c(&announcement[..60]);
    announcement[60..64].copy_from_slice(&crc.to_le_bytes());
    bytes.extend(announcement);
    if index {
        bytes = with_index(bytes);
    }
    let trace = Trace::from_bytes(bytes.clone()).unwrap();
    let report = trace.verify().unwrap();
    assert!(report.is_clean() && report.finished == index, "{report:?}");
    let read: Vec<_> = trace.entries().collect();
    assert!(
        by_lane(&nameless(&read)) == by_lane(&nameless(&entries)),
        "{read:#?}"
    );
    assert!(!trace.schema().interfaces.is_empty());
    (bytes, read)
}

/// The entries of each lane in their order.
pub fn by_lane(entries: &[Entry]) -> [Vec<&Entry>; 2] {
    [0, 1].map(|lane| {
        entries
            .iter()
            .filter(|entry| entry.lane() == Some(lane))
            .collect()
    })
}

/// What was really read: without reports of damage.
pub fn really_read(trace: &Trace) -> Vec<Entry> {
    trace
        .entries()
        .filter(|entry| match entry {
            Entry::Damaged(_) => false,
            Entry::Lost(lost) => lost.cause != LossCause::Damaged,
            _ => true,
        })
        .collect()
}

/// Whether all of `part` stands in `whole` in its order, lane by lane.
pub fn is_part(part: &[Entry], whole: &[Entry]) -> bool {
    by_lane(part)
        .into_iter()
        .zip(by_lane(whole))
        .all(|(part, whole)| {
            let mut whole = whole.into_iter();
            part.into_iter()
                .all(|entry| whole.any(|other| other == entry))
        })
}

/// Without what only the schema says.
pub fn nameless(entries: &[Entry]) -> Vec<Entry> {
    entries
        .iter()
        .cloned()
        .map(|entry| match entry {
            Entry::Call(mut call) => {
                call.schema = None;
                Entry::Call(call)
            }
            entry => entry,
        })
        .collect()
}
