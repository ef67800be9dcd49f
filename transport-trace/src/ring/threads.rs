//! The ring over borrowed memory, with a thread at each end: for Miri, which sees a race or an access out of bounds in the
//! real thing, where loom checks a model of it.
//!
//! `cargo +nightly miri test -p hypercall-trace --lib ring::`

use super::{Consumer, Full, Producer, Taken, borrowed};
use crate::format::record::{checks, kind, parse_word};
use crate::format::u64_at;
use crate::loss::LossCause;

/// Calls of a run: few, because Miri takes a millisecond for what takes a nanosecond.
const CALLS: u64 = if cfg!(miri) { 60 } else { 20_000 };

/// A call with some bytes that say which one it is, every second one on the short way where that is open.
fn call(producer: &mut Producer<'_>, number: u64) -> Result<(), LossCause> {
    producer.reserve(200)?;
    let bytes = [number.to_le_bytes()[0]; 101];
    if number % 2 == 1
        && let Some((entered, _)) = producer.enter_short([!number, 3, 4], 5, &bytes, 0, || number)
    {
        std::thread::yield_now();
        producer.exit_short(entered, number.wrapping_mul(3), 6);
        return Ok(());
    }
    let mut record = producer.begin();
    let at = record.start();
    record.word(number);
    record.words([!number, 3, 4, 5]);
    record.bytes(&bytes);
    let crc = record.publish(kind::ENTERED);
    producer.count_call();
    std::thread::yield_now();
    let mut record = producer.resume(at, crc);
    record.word(number.wrapping_mul(3));
    record.publish(kind::RETURNED);
    Ok(())
}

/// What was taken: the numbers of calls, and how many were lost or overwritten.
#[derive(Default)]
struct Seen {
    calls: Vec<u64>,
    missing: u64,
    refusals: u64,
}

impl Seen {
    fn take(&mut self, full: Full, consumer: &mut Consumer<'_>, refuse: bool) -> Taken {
        consumer.take(true, |batch| {
            if refuse {
                self.refusals += 1;
                return false;
            }
            assert!(batch.overwritten == 0 || full == Full::Overwrite);
            self.missing += batch.overwritten;
            let (mut rest, mut index) = (batch.bytes, batch.first_index);
            while !rest.is_empty() {
                let (kind, length) = parse_word(u64_at(rest, 0));
                assert!(checks(&rest[..length]), "a whole record");
                match kind {
                    kind::RETURNED => {
                        assert_eq!(u64_at(rest, 8), index, "every call keeps its index");
                        assert_eq!(rest[48..149], [index.to_le_bytes()[0]; 101]);
                        self.calls.push(index);
                        index += 1;
                    }
                    kind::LOST => {
                        self.missing += u64_at(rest, 24);
                        index += u64_at(rest, 24);
                    }
                    other => panic!("kind {other}"),
                }
                rest = &rest[length..];
            }
            true
        })
    }
}

/// One thread fills, another one takes, refuses every third time, and looks at the call in flight.
fn run(full: Full) -> (Seen, u64) {
    let mut memory = vec![0_u64; (192 + 3 * 64 + 3 * 2048) / 8];
    let (mut producer, mut consumer) = borrowed(&mut memory, 3, full).unwrap();
    let mut seen = Seen::default();
    let entered = std::thread::scope(|scope| {
        let producing = scope.spawn(move || {
            let mut number = 0;
            while number < CALLS {
                match call(&mut producer, number) {
                    Ok(()) => number += 1,
                    // As a lane waits for room.
                    Err(_) if full == Full::Block => std::thread::yield_now(),
                    Err(cause) => {
                        producer.lose(cause, 0);
                        number += 1;
                    }
                }
            }
            producer.settle();
        });
        let (mut entered, mut round) = (0, 0_u64);
        while !producing.is_finished() {
            round += 1;
            seen.take(full, &mut consumer, round.is_multiple_of(3));
            entered += consumer
                .entered(|index, word, body| {
                    assert_eq!(parse_word(word).0, kind::ENTERED);
                    assert_eq!(u64_at(body, 0), index);
                    1
                })
                .unwrap_or(0);
        }
        entered
    });
    while seen.take(full, &mut consumer, false) == Taken::Some {}
    seen.missing += consumer.loss().count;
    assert!(seen.calls.is_sorted_by(|one, two| one < two));
    assert_eq!(seen.calls.len() as u64 + seen.missing, CALLS);
    (seen, entered)
}

#[test]
fn every_call_is_taken_once_or_counted() {
    let (seen, _) = run(Full::Drop);
    assert!(!seen.calls.is_empty() && seen.refusals > 0);
}

#[test]
fn the_newest_is_kept_when_the_oldest_is_overwritten() {
    let (seen, _) = run(Full::Overwrite);
    assert!(!seen.calls.is_empty());
}

#[test]
fn nothing_is_missing_where_calls_wait() {
    let (seen, _) = run(Full::Block);
    assert_eq!((seen.missing, seen.calls.len() as u64), (0, CALLS));
}
