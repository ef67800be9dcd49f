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
use hypercall_trace::entry::{Defect, Entry};
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::{OpenError, Trace};
use hypercall_trace::write::Compression;

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
