//! Whatever happens to a file: what is read of it was written, and what is missing is said. Over whole files with entries of
//! every kind, compared with what was really written.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test"
)]

extern crate hypercall_core as hypercall;

mod common;
mod file;

use file::*;
use hypercall_core::call::Direction;
use hypercall_trace::clock::ClockInfo;
use hypercall_trace::entry::{After, Argument, Block, Call, Defect, Entry, Outcome};
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::{OpenError, Source, Trace};
use hypercall_trace::schema::Schema;
use hypercall_trace::write::{Compression, Options, Writer};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const ID: u64 = 0x1234_5678;

#[test]
fn a_file_that_is_cut_holds_exactly_the_blocks_before_the_cut() {
    for compression in CODECS {
        let (bytes, _) = everything(compression, true, ID);
        let whole = Trace::from_bytes(bytes.clone()).unwrap();
        for cut in 0..bytes.len() {
            let trace = match Trace::from_bytes(&bytes[..cut]) {
                Ok(trace) => trace,
                Err(OpenError::Empty) if cut == 0 => continue,
                Err(OpenError::CutHeader(length)) if cut < 32 => {
                    assert_eq!(length, cut as u64);
                    continue;
                }
                Err(error) => panic!("{cut}: {error}"),
            };
            // An announcement counts where nothing of its lane follows: it is the last block that has entries.
            let body = |block: &hypercall_trace::read::BlockEntry| {
                block.offset + 64 + u64::from(block.header.stored)
            };
            let complete: u64 = whole
                .data()
                .filter(|block| body(block) <= cut as u64)
                .map(|block| u64::from(block.header.entries))
                .sum();
            let expected: Vec<_> = whole.entries().take(complete as usize).collect();
            let named = !trace.schema().interfaces.is_empty();
            let read = really_read(&trace);
            assert_eq!(
                read,
                if named { expected } else { nameless(&expected) },
                "{compression:?} cut at {cut}"
            );
            let report = trace.verify().unwrap();
            assert!(!report.finished, "cut at {cut}");
            let between = cut == 32
                || whole.blocks().iter().any(|block| {
                    (body(block)..=block.offset + block.header.span()).contains(&(cut as u64))
                });
            let told: Vec<_> = report
                .damaged
                .iter()
                .map(|damaged| damaged.defect)
                .collect();
            assert_eq!(
                told,
                if between { vec![] } else { vec![Defect::Cut] },
                "cut at {cut}"
            );
        }
    }
}

/// What fills a block up to the next belongs to it.
#[test]
fn a_block_that_is_damaged_in_two_places_is_told_once() {
    let (bytes, _) = everything(CODECS[0], true, ID);
    let whole = Trace::from_bytes(bytes.clone()).unwrap();
    let padded =
        |block: &&hypercall_trace::read::BlockEntry| !block.header.stored.is_multiple_of(8);
    let blocks: Vec<_> = whole.blocks().iter().filter(padded).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let body = block.offset as usize + 64;
        let filling = body + block.header.stored as usize;
        let told = |places: &[usize]| {
            let mut bytes = bytes.clone();
            for place in places {
                bytes[*place] ^= 1;
            }
            let report = Trace::from_bytes(bytes).unwrap().verify().unwrap();
            let here = |damaged: &&hypercall_trace::entry::Damaged| damaged.offset == block.offset;
            report.damaged.iter().filter(here).count()
        };
        let body_alone = told(&[body]);
        assert!(body_alone > 0, "{block:?}");
        assert_eq!(told(&[filling]), 1, "{block:?}");
        assert_eq!(told(&[body, filling]), body_alone, "{block:?}");
    }
}

/// For each byte of a file the entries that stand in other blocks.
fn beside(whole: &Trace, entries: &[Entry]) -> Vec<(u64, Vec<Entry>)> {
    let without = |block: &hypercall_trace::read::BlockEntry| {
        let mut rest = entries.to_vec();
        let start = block.first_position as usize;
        if matches!(block.header.kind, BlockKind::Data | BlockKind::Announce) {
            rest.drain(start..start + block.header.entries as usize);
        }
        (block.offset + block.header.span(), rest)
    };
    let header = (32, entries.to_vec());
    std::iter::once(header)
        .chain(whole.blocks().iter().map(without))
        .collect()
}

#[test]
fn a_flipped_bit_is_noticed_and_costs_at_most_its_block() {
    let runs = [
        (Compression::None, true),
        (Compression::Lz4, true),
        (Compression::Zstd(3), false),
    ];
    std::thread::scope(|scope| {
        for (compression, index) in runs {
            scope.spawn(move || flip_every_bit(compression, index));
        }
    });
}

fn flip_every_bit(compression: Compression, index: bool) {
    let (mut bytes, entries) = everything(compression, index, ID);
    let whole = Trace::from_bytes(bytes.clone()).unwrap();
    let without_names = nameless(&entries);
    let left = beside(&whole, &entries);
    let left_without_names = beside(&whole, &without_names);
    let schema = whole.blocks()[0];
    for bit in 0..bytes.len() * 8 {
        let byte = bit / 8;
        bytes[byte] ^= 1 << (bit % 8);
        match Trace::from_bytes(&bytes[..]) {
            Ok(trace) => {
                let read = really_read(&trace);
                let named = !trace.schema().interfaces.is_empty();
                assert!(named || (byte as u64) < schema.offset + schema.header.span());
                let (written, left) = if named {
                    (&entries, &left)
                } else {
                    (&without_names, &left_without_names)
                };
                assert!(is_part(&read, written), "bit {bit} of {compression:?}");
                // Whatever stands in other blocks is still there.
                let hit = left.iter().find(|(end, _)| (byte as u64) < *end);
                let (_, left) = hit.unwrap();
                assert!(is_part(left, &read), "bit {bit} of {compression:?}");
                let report = trace.verify().unwrap();
                assert!(!report.is_clean(), "bit {bit} of {compression:?}");
            }
            // The version, and the start of the file.
            Err(error) => assert!(byte < 32, "bit {bit}: {error}"),
        }
        bytes[byte] ^= 1 << (bit % 8);
    }
}

/// Numbers that look random and are the same each time.
fn numbers(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    }
}

#[test]
fn two_flipped_bits_and_bursts_are_noticed() {
    for (seed, compression) in (1..).zip(CODECS) {
        let (bytes, entries) = everything(compression, seed != 2, ID);
        let mut next = numbers(seed);
        for round in 0..1500 {
            let mut damaged = bytes.clone();
            if round % 4 == 0 {
                let at = next(bytes.len() - 16);
                damaged[at..at + 16]
                    .iter_mut()
                    .for_each(|byte| *byte = next(256) as u8);
                if damaged == bytes {
                    continue;
                }
            } else {
                let first = next(bytes.len() * 8);
                let second = (first + 1 + next(bytes.len() * 8 - 1)) % (bytes.len() * 8);
                for bit in [first, second] {
                    damaged[bit / 8] ^= 1 << (bit % 8);
                }
            }
            let Ok(trace) = Trace::from_bytes(damaged) else {
                continue;
            };
            let read = really_read(&trace);
            let named = !trace.schema().interfaces.is_empty();
            let written = if named {
                entries.clone()
            } else {
                nameless(&entries)
            };
            assert!(is_part(&read, &written), "round {round} of {compression:?}");
            assert!(
                !trace.verify().unwrap().is_clean(),
                "round {round} of {compression:?}"
            );
        }
    }
}

fn assemble(head: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = head.to_vec();
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// What is read is part of what was written, and if it is less, or names or times differ, something says so.
fn says_so(bytes: Vec<u8>, whole: &Trace, entries: &[Entry], what: &str) -> bool {
    let trace = Trace::from_bytes(bytes).unwrap();
    let read = really_read(&trace);
    let named = !trace.schema().interfaces.is_empty();
    let written = if named {
        entries.to_vec()
    } else {
        nameless(entries)
    };
    assert!(is_part(&read, &written), "{what}: {read:#?}");
    let report = trace.verify().unwrap();
    let same = by_lane(&read) == by_lane(&written)
        && (trace.clock() == whole.clock() || !whole.is_finished());
    let told = !report.is_clean() || report.finished != whole.is_finished();
    assert!(
        same || told || !whole.is_finished() && read.len() < entries.len() && !report.finished,
        "{what}"
    );
    told
}

#[test]
fn blocks_that_change_places_come_twice_or_go_are_noticed() {
    for (compression, index) in [(Compression::None, true), (Compression::Lz4, false)] {
        let (bytes, entries) = everything(compression, index, ID);
        let whole = Trace::from_bytes(bytes.clone()).unwrap();
        let ranges = blocks(&bytes);
        let parts: Vec<&[u8]> = ranges.iter().map(|range| &bytes[range.clone()]).collect();
        assert!(parts.len() > 8, "{}", parts.len());
        let head = &bytes[..32];
        for one in 0..parts.len() {
            let mut less = parts.clone();
            less.remove(one);
            let told = says_so(
                assemble(head, &less),
                &whole,
                &entries,
                &format!("{one} is gone"),
            );
            assert!(told || !index, "{one} is gone");
            for other in 0..parts.len() {
                if one < other {
                    let mut swapped = parts.clone();
                    swapped.swap(one, other);
                    let what = format!("{one} and {other} are swapped");
                    let told = says_so(assemble(head, &swapped), &whole, &entries, &what);
                    assert!(told || !index, "{what}");
                }
                // A second schema is the start of a file that was joined.
                if parts[one][4] != 1 {
                    let mut twice = parts.clone();
                    twice.insert(other, parts[one]);
                    let what = format!("{one} again before {other}");
                    let told = says_so(assemble(head, &twice), &whole, &entries, &what);
                    assert!(told || !index, "{what}");
                    let data = parts[one][4] == 4;
                    assert!(told || !data, "{what}");
                }
            }
        }
    }
}

#[test]
fn blocks_of_another_recording_are_noticed() {
    let (bytes, entries) = everything(Compression::Lz4, false, ID);
    let (foreign, _) = everything(Compression::Lz4, false, ID + 1);
    let whole = Trace::from_bytes(bytes.clone()).unwrap();
    let (ours, theirs) = (blocks(&bytes), blocks(&foreign));
    let parts: Vec<&[u8]> = ours.iter().map(|range| &bytes[range.clone()]).collect();
    for place in 0..parts.len() {
        let stray = &foreign[theirs[place].clone()];
        if stray[4] == 1 {
            continue;
        }
        let mut replaced = parts.clone();
        replaced[place] = stray;
        let mut added = parts.clone();
        added.push(stray);
        for (parts, what) in [(replaced, "replaced"), (added, "added")] {
            let bytes = assemble(&bytes[..32], &parts);
            let trace = Trace::from_bytes(bytes.clone()).unwrap();
            assert!(is_part(&really_read(&trace), &entries), "{place} {what}");
            let told = trace.verify().unwrap().damaged;
            assert!(
                told.iter().any(|damaged| damaged.defect == Defect::Foreign),
                "{place} {what}: {told:?}"
            );
            assert!(says_so(bytes, &whole, &entries, what));
        }
    }
}

#[test]
fn a_header_or_an_index_that_says_something_else_is_noticed() {
    let (bytes, _) = everything(Compression::None, false, ID);
    let ranges = blocks(&bytes);
    let data = ranges
        .iter()
        .find(|range| bytes[range.start + 4] == 4)
        .unwrap()
        .start;
    // Calls, least time, greatest time, call ids.
    for (at, value) in [(24, 1_u8), (40, 0xff), (49, 0), (56, 0)] {
        let mut lies = bytes.clone();
        lies[data + at] = value;
        let crc = crc32c::crc32c(&lies[data..data + 60]);
        lies[data + 60..data + 64].copy_from_slice(&crc.to_le_bytes());
        let report = Trace::from_bytes(lies).unwrap().verify().unwrap();
        assert_eq!(
            report
                .damaged
                .iter()
                .map(|damaged| damaged.defect)
                .collect::<Vec<_>>(),
            [Defect::Summary],
            "byte {at}"
        );
    }
    // Records that the header does not count.
    for count in [0_u32, 1, 200] {
        let mut lies = bytes.clone();
        lies[data + 20..data + 24].copy_from_slice(&count.to_le_bytes());
        let crc = crc32c::crc32c(&lies[data..data + 60]);
        lies[data + 60..data + 64].copy_from_slice(&crc.to_le_bytes());
        let trace = Trace::from_bytes(lies).unwrap();
        assert!(trace.entries().any(
            |entry| matches!(entry, Entry::Damaged(damaged) if damaged.defect == Defect::Record)
        ));
        assert!(!trace.verify().unwrap().is_clean());
        // Positions stand for the same entries however one gets there.
        let all: Vec<_> = trace.entries_from(count.into()).collect();
        assert!(!all.is_empty());
    }
}

/// A trace whose second call passes these bytes, uncompressed and each call in a block of its own; and where its block is.
fn passing(memory: &[u8], id: u64) -> (Vec<u8>, Range<usize>) {
    let options = Options {
        compression: Compression::None,
        block: 1024,
        id,
    };
    let clock = ClockInfo::with_frequency(10);
    let mut writer = Writer::new(Vec::new(), &Schema::default(), clock, options).unwrap();
    let lane = writer.lane("main").unwrap();
    // Two of these do not fit a block.
    let other = [0; 1000];
    for index in 0..4 {
        let memory = if index == 1 { memory } else { &other };
        let block = Block {
            direction: Direction::Read,
            before: memory.to_vec(),
            after: After::Unchanged,
            length: memory.len(),
            link: None,
        };
        writer
            .push(&Entry::Call(Call {
                lane,
                index,
                schema: None,
                number: 0x100 + index,
                args: [Argument::Block(block), Argument::Unused],
                enter: 10 + index,
                duration: Some(1),
                outcome: Outcome::Returned(0),
            }))
            .unwrap();
    }
    let bytes = writer.finish().unwrap();
    let data: Vec<_> = blocks(&bytes)
        .into_iter()
        .filter(|range| bytes[range.start + 4] == 4)
        .collect();
    assert_eq!(data.len(), 4);
    let place = data[1].clone();
    let stored = u32::from_le_bytes(bytes[place.start + 8..place.start + 12].try_into().unwrap());
    assert_eq!(place.len(), 64 + stored as usize, "no padding");
    (bytes, place)
}

/// Traces whose second call has a block of a trace in its memory: whether its tag is that of the recording.
fn with_a_block_in_memory() -> Vec<(Vec<u8>, Range<usize>)> {
    let mut files = Vec::new();
    for id in [ID, 0] {
        let (bytes, place) = passing(&[1; 8], id);
        let tag = tag_of(id);
        assert_eq!(tag != 0, id != 0);
        for tag in [0, tag, tag ^ 1] {
            let mut body = vec![0; 40];
            body[24..32].copy_from_slice(&0xbad_u64.to_le_bytes());
            body[32..34].copy_from_slice(&u16::MAX.to_le_bytes());
            body[36..40].copy_from_slice(&6_u32.to_le_bytes());
            body.resize(56, 0);
            let body = record(2, &body);
            let about = About {
                kind: 4,
                tag,
                entries: 1,
                calls: 1,
                first: 1,
                last_ticks: 9,
                ..About::default()
            };
            let inner = block(about, body.len(), &body);
            // It is one that a reader takes where it stands alone.
            let alone = [&bytes[..place.start], &inner].concat();
            let read = really_read(&Trace::from_bytes(alone).unwrap());
            assert!(
                tag == (tag_of(id) ^ 1) && id != 0 || read.len() == 2,
                "{read:?}"
            );
            files.push(passing(&[&[3; 13], &inner[..], &[4; 5]].concat(), id));
        }
    }
    files
}

fn numbers_of(entries: &[Entry]) -> Vec<u64> {
    let number = |entry: &Entry| match entry {
        Entry::Call(call) => call.number,
        other => panic!("{other:?}"),
    };
    entries.iter().map(number).collect()
}

fn tag_of(id: u64) -> u16 {
    let (bytes, _) = passing(&[], id);
    u16::from_le_bytes(bytes[38..40].try_into().unwrap())
}

#[test]
fn a_block_in_the_memory_of_a_call_is_never_read_as_one() {
    for (bytes, place) in with_a_block_in_memory() {
        let entries: Vec<_> = Trace::from_bytes(bytes.clone())
            .unwrap()
            .entries()
            .collect();
        assert_eq!(entries.len(), 4);
        for cut in place.clone() {
            let trace = Trace::from_bytes(&bytes[..cut]).unwrap();
            assert_eq!(numbers_of(&really_read(&trace)), [0x100], "cut at {cut}");
        }
        let others = [&entries[..1], &entries[2..]].concat();
        // One bit of the block: no more than the block goes.
        let header = (place.start + 64) * 8;
        for bit in (place.start * 8..header).chain((header..place.end * 8).step_by(7)) {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let trace = Trace::from_bytes(damaged).unwrap();
            let read = really_read(&trace);
            let numbers = numbers_of(&read);
            assert!(read == others || read == entries, "bit {bit}: {numbers:x?}");
            assert!(!trace.verify().unwrap().is_clean(), "bit {bit}");
        }
    }
}

#[test]
fn a_block_in_memory_is_not_found_where_the_header_around_it_is_gone() {
    for (bytes, place) in with_a_block_in_memory() {
        let tags = [38, place.start + 64 + 8 + 40 + 13 + 6]
            .map(|at| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()));
        // Without the index, which tells where blocks are.
        let mut damaged = bytes;
        damaged.truncate(blocks(&damaged).last().unwrap().start);
        damaged[place.start..place.start + 64].fill(0xee);
        let read = really_read(&Trace::from_bytes(damaged).unwrap());
        // A tag that is the recording's is all that a reader can go by.
        if tags[0] != 0 && tags[0] == tags[1] {
            continue;
        }
        assert_eq!(numbers_of(&read), [0x100, 0x102, 0x103], "{tags:x?}");
    }
    // A program that passes what it recorded before: that was read already.
    let (first, place) = passing(&[1; 8], ID);
    let start = blocks(&first)
        .into_iter()
        .find(|range| first[range.start + 4] == 4)
        .unwrap();
    let (mut bytes, again) = passing(&first[start.clone()], ID);
    assert_eq!(again.start, place.start);
    bytes.truncate(blocks(&bytes).last().unwrap().start);
    bytes[place.start..place.start + 64].fill(0xee);
    let read = really_read(&Trace::from_bytes(bytes).unwrap());
    assert_eq!(numbers_of(&read), [0x100, 0x102, 0x103]);
}

/// A file of which only the first bytes are there yet.
struct Growing(Arc<(Vec<u8>, AtomicU64)>);

impl Source for Growing {
    fn length(&self) -> std::io::Result<u64> {
        Ok(self.0.1.load(Ordering::Relaxed))
    }
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> std::io::Result<usize> {
        let there = &self.0.0[..self.length()? as usize];
        let rest = there.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

#[test]
fn a_half_written_block_with_a_block_in_its_memory_is_waited_for() {
    for (bytes, place) in with_a_block_in_memory() {
        let entries: Vec<_> = Trace::from_bytes(bytes.clone())
            .unwrap()
            .entries()
            .collect();
        for half in place.clone() {
            for opened in [place.start, half] {
                let file = Arc::new((bytes.clone(), AtomicU64::new(opened as u64)));
                let mut trace = Trace::from_source(Box::new(Growing(file.clone()))).unwrap();
                file.1.store(half as u64, Ordering::Relaxed);
                trace.refresh().unwrap();
                assert_eq!(numbers_of(&really_read(&trace)), [0x100], "half at {half}");
                file.1.store(bytes.len() as u64, Ordering::Relaxed);
                assert!(trace.refresh().unwrap());
                let all: Vec<_> = trace.entries().collect();
                assert!(all == entries, "half at {half}, opened at {opened}");
            }
        }
    }
}
