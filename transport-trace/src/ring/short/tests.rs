//! What the short way puts into the ring is what the format says, whatever its length and however it is copied.

use super::super::{Full, Taken, borrowed};
use super::MOST;
use crate::format::lines::{LINE, MOST_LINES, SUM};
use crate::format::record::{checks, padded};

const LONGEST: usize = MOST_LINES * LINE + LINE - 1;

/// How many lines of so many bytes have a sum of their own.
fn lines(length: usize) -> usize {
    if padded(length) > MOST {
        length / LINE
    } else {
        0
    }
}

fn bytes() -> Vec<u8> {
    (0..LONGEST as u32 + 1)
        .map(|n| (n * n % 251) as u8)
        .collect()
}

/// The record of a call with this memory, behind `before` short ones. `None` where it does not go this way.
fn recorded(part: &[u8], before: usize, wide: Option<bool>) -> Option<Vec<u8>> {
    let mut memory = vec![0_u64; 4 << 10];
    let (mut producer, mut consumer) = borrowed(&mut memory, 2, Full::Drop).unwrap();
    if let Some(wide) = wide {
        producer.wide = wide;
    }
    producer.reserve(8000).unwrap();
    for _ in 0..before {
        let (entered, _) = producer.enter_short([7; 3], 8, &[], 0, || 7).unwrap();
        producer.exit_short(entered, 0, 0);
    }
    let (entered, time) = producer.enter_short([1, 2, 3], 0x0401_0009, part, 0, || 77)?;
    assert_eq!(time, 77);
    producer.exit_short(entered, 5, 6);
    let mut record = Vec::new();
    let taken = consumer.take(true, |batch| {
        record = batch.bytes[before * 64..].to_vec();
        true
    });
    assert_eq!(taken, Taken::Some);
    Some(record)
}

#[test]
fn records_of_every_length_are_as_the_format_says() {
    if !super::available() {
        println!("not run: this processor has no short way");
        return;
    }
    let bytes = bytes();
    let lengths = if cfg!(miri) { 0..30 } else { 0..700 };
    for length in lengths.chain([MOST + 1, 1024, 4096, LONGEST]) {
        let part = &bytes[..length];
        // Records start at every eighth byte of a line.
        let record = recorded(part, length % 5, None).unwrap();
        assert!(checks(&record), "{length}");
        let words: Vec<u64> = record[8..48]
            .as_chunks()
            .0
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .collect();
        let lines = lines(length);
        let memory = 48 + if lines == 0 { 0 } else { SUM };
        let enter = memory + padded(length);
        let last = 0x0401_0009 | (enter as u64 / 8) << 32 | (lines as u64) << 56;
        assert_eq!(words, [77, 1, 2, 3, last]);
        assert_eq!(&record[memory..][..length], part);
        assert!(record[memory + length..enter].iter().all(|byte| *byte == 0));
        let (exit, zeros) = record[enter..].split_at(16);
        assert_eq!(exit, [5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(zeros, if lines == 0 { &[][..] } else { &[0; 16] });
        // The next one stands well where memory is whole halves of lines.
        assert!(lines == 0 || length % 32 != 0 || record.len().is_multiple_of(32));
    }
    assert!(recorded(&bytes[..LONGEST + 1], 0, None).is_none());
}

#[test]
fn a_written_block_is_in_the_record_where_it_changed() {
    use crate::read::{AfterView, ArgumentView, View};
    if !super::available() {
        println!("not run: this processor has no short way");
        return;
    }
    let bytes = bytes();
    let lengths = [0, 1, 8, MOST, MOST + 1, 200, 300, 1003, 4096, LONGEST];
    let few = if cfg!(miri) { 5 } else { lengths.len() };
    for length in lengths.into_iter().take(few) {
        let (before, mut after) = (&bytes[..length], bytes[..length].to_vec());
        for (read, change) in [(true, false), (true, true), (false, false), (false, true)] {
            let put = if read { before } else { &[] };
            after.copy_from_slice(before);
            match after.last_mut() {
                Some(last) if change => *last = !*last,
                _ if !read => after.fill(0),
                _ => {}
            }
            let mut memory = vec![0_u64; 8 << 10];
            let (mut producer, mut consumer) = borrowed(&mut memory, 2, Full::Drop).unwrap();
            assert!(producer.open_for(2 * LONGEST));
            let head = [1, length as u64, 3];
            let tags = if read { 0x0401_0009 } else { 0x0301_0009 };
            let (entered, _) = producer
                .enter_short(head, tags, put, padded(length), || 77)
                .unwrap();
            producer.exit_written(entered, 5, 6, &after, 4, read);
            let changed = if read {
                change && length != 0
            } else {
                after.iter().any(|byte| *byte != 0)
            };
            let taken = consumer.take(true, |batch| {
                assert!(checks(batch.bytes), "{length} {read} {change}");
                let Some(View::Call(call)) = View::parse(batch.bytes) else {
                    panic!("{length}: no call");
                };
                let ArgumentView::Block(block) = call.args[1] else {
                    panic!("{length}: no block");
                };
                assert_eq!((block.before, call.duration), (put, Some(5)));
                match block.after {
                    AfterView::Changed(bytes) => assert!(changed && bytes == after),
                    AfterView::Unchanged => assert!(!changed),
                    AfterView::Unfinished => panic!("{length}: it returned"),
                }
                true
            });
            assert_eq!(taken, Taken::Some);
        }
    }
}

#[test]
fn lines_at_once_and_one_after_the_other_are_the_same() {
    if !super::available() || !super::lines::wide() {
        println!("not run: this processor has no vectors of 512 bits");
        return;
    }
    let bytes = bytes();
    for length in (MOST + 1..1200).chain([4095, 4096, 4097, LONGEST]) {
        let [one, other] =
            [true, false].map(|wide| recorded(&bytes[..length], 1, Some(wide)).unwrap());
        assert!(one == other, "{length}");
    }
}

#[test]
fn every_bit_of_a_record_with_lines_counts() {
    if !super::available() {
        println!("not run: this processor has no short way");
        return;
    }
    let lengths: &[usize] = if cfg!(miri) {
        &[256]
    } else {
        &[256, 1000, 4096]
    };
    for length in lengths {
        let mut record = recorded(&bytes()[..*length], 0, None).unwrap();
        for bit in (0..record.len() * 8).step_by(if cfg!(miri) { 97 } else { 1 }) {
            record[bit / 8] ^= 1 << (bit % 8);
            // Another length would be of other bytes.
            if !(32..56).contains(&bit) {
                assert!(!checks(&record), "{length}: {bit}");
            }
            record[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(checks(&record));
    }
}
