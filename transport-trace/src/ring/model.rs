//! The ring under loom: every interleaving of a producer and a consumer, with races on its memory found.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p hypercall-trace --lib --release ring::model`

use loom::thread;

use super::short::ROOM;
use super::{Consumer, Full, Producer, Short, Taken, modelled};
use crate::format::record::{LOST_LENGTH, checks, kind, parse_word};
use crate::format::u64_at;
use crate::loss::LossCause;

/// A call: 24 bytes when it is entered, 32 when it returned. Its body says which one it is.
fn call(producer: &mut Producer<'_>, number: u64) -> Result<(), LossCause> {
    producer.reserve(32)?;
    let mut record = producer.begin();
    let at = record.start();
    record.word(number);
    record.word(!number);
    let crc = record.publish(kind::ENTERED);
    producer.count_call();
    let mut record = producer.resume(at, crc);
    record.word(number.wrapping_mul(3));
    record.publish(kind::RETURNED);
    Ok(())
}

/// Takes what is there. Adds the numbers of the calls to `seen`, and those that were overwritten or lost to the count.
fn take(
    full: Full,
    consumer: &mut Consumer<'_>,
    partial: bool,
    seen: &mut Vec<u64>,
    missing: &mut u64,
) -> Taken {
    consumer.take(partial, |batch| {
        assert!(
            batch.overwritten == 0 || full == Full::Overwrite,
            "nothing is overwritten unless that was asked for"
        );
        *missing += batch.overwritten;
        let mut rest = batch.bytes;
        let mut index = batch.first_index;
        while !rest.is_empty() {
            let (kind, length) = parse_word(u64_at(rest, 0));
            match kind {
                kind::RETURNED => {
                    assert_eq!(length, 32);
                    let number = u64_at(rest, 8);
                    assert_eq!(number, index, "every call keeps its index");
                    assert_eq!((u64_at(rest, 16), u64_at(rest, 24)), (!number, number * 3));
                    seen.push(number);
                    index += 1;
                }
                kind::LOST => {
                    *missing += u64_at(rest, 24);
                    index += u64_at(rest, 24);
                }
                other => panic!("kind {other}"),
            }
            rest = &rest[length..];
        }
        true
    })
}

/// A block that is begun while the consumer looks for the oldest is not passed over: three blocks are filled and taken in
/// order, and the consumer meets the producer between any two of its steps.
#[test]
fn no_block_is_passed_over() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let (mut producer, mut consumer) = modelled(80, Full::Drop);
        let (mut seen, mut missing) = (Vec::new(), 0);
        // The first block is taken before the other thread starts, and the second one is full.
        for number in 0..2 {
            call(&mut producer, number).unwrap();
        }
        take(Full::Drop, &mut consumer, true, &mut seen, &mut missing);
        for number in 2..4 {
            call(&mut producer, number).unwrap();
        }
        let producing = thread::spawn(move || {
            for number in 4..7 {
                if let Err(cause) = call(&mut producer, number) {
                    producer.lose(cause, 0);
                }
            }
        });
        for _ in 0..4 {
            take(Full::Drop, &mut consumer, true, &mut seen, &mut missing);
        }
        producing.join().unwrap();
        while take(Full::Drop, &mut consumer, true, &mut seen, &mut missing) == Taken::Some {}
        assert!(seen.is_sorted());
        let missing = missing + consumer.loss().count;
        assert_eq!(seen.len() as u64 + missing, 7, "seen {seen:?}");
    });
}

/// A producer of so many calls beside a consumer that looks so often; then the consumer alone. What it saw, and how many
/// calls were missing.
fn run(full: Full, calls: u64, looks: usize, partial: bool) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        // Two blocks of 80 bytes: two calls in each, or one and a loss.
        let (mut producer, mut consumer) = modelled(80, full);
        let producing = thread::spawn(move || {
            for number in 0..calls {
                if let Err(cause) = call(&mut producer, number) {
                    producer.lose(cause, 0);
                }
            }
        });
        let (mut seen, mut missing) = (Vec::new(), 0);
        for _ in 0..looks {
            take(full, &mut consumer, partial, &mut seen, &mut missing);
        }
        producing.join().unwrap();
        while take(full, &mut consumer, true, &mut seen, &mut missing) == Taken::Some {}
        assert!(seen.is_sorted());
        let missing = missing + consumer.loss().count;
        assert_eq!(seen.len() as u64 + missing, calls, "seen {seen:?}");
        if full == Full::Overwrite && looks == 0 {
            assert_eq!(seen.last(), Some(&(calls - 1)), "the newest is kept");
        }
    });
}

#[test]
fn what_is_complete_is_taken_once_and_in_order() {
    run(Full::Drop, 3, 2, true);
}

#[test]
fn full_blocks_are_taken_and_used_again() {
    run(Full::Drop, 6, 2, false);
}

#[test]
fn the_oldest_is_overwritten_but_never_under_a_reader() {
    run(Full::Overwrite, 6, 2, true);
}

#[test]
fn the_newest_is_kept() {
    run(Full::Overwrite, 9, 0, false);
}

#[test]
fn an_entered_call_is_shown_whole_while_it_returns() {
    loom::model(|| {
        let (mut producer, mut consumer) = modelled(80, Full::Drop);
        let producing = thread::spawn(move || call(&mut producer, 0).unwrap());
        consumer.entered(|index, word, body| {
            assert_eq!((index, parse_word(word)), (0, (kind::ENTERED, 24)));
            assert_eq!((u64_at(body, 0), u64_at(body, 8)), (0, u64::MAX));
        });
        producing.join().unwrap();
    });
}

/// The way of a call that is values only, beside a consumer that looks at it at any time.
#[test]
fn a_call_on_the_short_way_is_shown_whole() {
    short(&[], 64, |producer, entered| {
        producer.exit_short(entered, 5, 6);
    });
}

/// The same with a block that was read and is written.
#[test]
fn a_written_block_on_the_short_way_is_shown_whole() {
    short(&[1; 8], 48 + 8 + 24 + 8, |producer, entered| {
        producer.exit_written(entered, 5, 6, &[2; 8], 4, true);
    });
}

fn short(part: &'static [u8], length: usize, exit: fn(&mut Producer<'static>, Short)) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        // Room for one call and the longest exit part that it might have.
        let room = ROOM + 2 * part.len();
        let (mut producer, mut consumer) = modelled(room, Full::Drop);
        producer.reserve(room - LOST_LENGTH).unwrap();
        let producing = thread::spawn(move || {
            let (entered, _) = producer
                .enter_short([!0, 2, 3], 4, part, part.len(), || 7)
                .unwrap();
            exit(&mut producer, entered);
        });
        let enter = 48 + part.len();
        consumer.entered(|index, word, body| {
            assert_eq!((index, parse_word(word)), (0, (kind::ENTERED, enter)));
            assert_eq!((u64_at(body, 0), u64_at(body, 8)), (7, !0));
        });
        let mut taken = 0;
        let mut look = || {
            consumer.take(true, |batch| {
                assert!(checks(batch.bytes));
                let word = u64_at(batch.bytes, 0);
                assert_eq!(parse_word(word), (kind::RETURNED, length));
                assert_eq!(u64_at(batch.bytes, enter), 5);
                taken += 1;
                true
            });
        };
        look();
        producing.join().unwrap();
        look();
        assert_eq!(taken, 1);
    });
}
