//! Entries of every kind, for properties that hold of all of them. Used by the tests of the library and of the tool.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    dead_code,
    reason = "for tests, each of which uses a part of it"
)]

use std::sync::Arc;

use hypercall_core::call::Direction;
use hypercall_trace::entry::{
    After, Argument, Block, Call, Entry, Failure, Link, LossCause, Lost, Outcome, PageChange, Run,
    Target, Unknown, When,
};
use hypercall_trace::schema;
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes of a block: many zeros, and sometimes many bytes.
pub fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(prop_oneof![Just(0_u8), any::<u8>()], 0..80),
        1 => vec(any::<u8>(), 0..1500),
    ]
}

fn block(direction: Direction) -> impl Strategy<Value = Block> {
    bytes().prop_flat_map(move |before| {
        let length = before.len();
        let after = match direction {
            Direction::Read => Just(After::Unchanged).boxed(),
            _ => prop_oneof![
                Just(After::Unchanged),
                vec(any::<u8>(), length).prop_map(After::Changed),
            ]
            .boxed(),
        };
        after.prop_map(move |after| Block {
            direction,
            before: match direction {
                Direction::Write => Vec::new(),
                _ => before.clone(),
            },
            after,
            length,
            link: None,
        })
    })
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        block(Direction::Read).prop_map(|block| Target::Block(Box::new(block))),
        block(Direction::ReadWrite).prop_map(|block| Target::Block(Box::new(block))),
        (any::<u32>(), proptest::option::of(0..u32::MAX - 1))
            .prop_map(|(count, page)| Target::Pages { count, page }),
        any::<u64>().prop_map(Target::Address),
    ]
}

fn argument() -> impl Strategy<Value = Argument> {
    prop_oneof![
        Just(Argument::Unused),
        any::<u64>().prop_map(Argument::Value),
        block(Direction::Read).prop_map(Argument::Block),
        block(Direction::Write).prop_map(Argument::Block),
        block(Direction::ReadWrite).prop_map(Argument::Block),
        (block(Direction::Read), 0..100_usize, target()).prop_map(|(mut block, offset, target)| {
            block.link = Some(Link { offset, target });
            Argument::Block(block)
        }),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let text = || "[ -~\u{0}-\u{1f}é✓\u{202e}]{0,30}";
    let failure = prop_oneof![
        (0..2_u8, any::<bool>())
            .prop_map(|(register, nested)| Failure::Untranslatable { register, nested }),
        (text(), text()).prop_map(|(layer, reason)| Failure::Layer { layer, reason }),
        text().prop_map(Failure::Crashed),
        text().prop_map(Failure::Hung),
        any::<u8>().prop_map(Failure::Fault),
        text().prop_map(Failure::Unsupported),
        text().prop_map(Failure::Unexpected),
        text().prop_map(Failure::Lost),
        (9..=255_u8, any::<u8>(), text(), text()).prop_map(|(code, detail, text, more)| {
            Failure::Other {
                code,
                detail,
                text,
                more,
            }
        }),
    ];
    prop_oneof![
        3 => any::<i64>().prop_map(Outcome::Returned),
        2 => failure.prop_map(Outcome::Failed),
        1 => Just(Outcome::Unfinished),
    ]
}

fn call(calls: Vec<Arc<schema::Call>>) -> impl Strategy<Value = Entry> {
    let what = (
        proptest::option::weighted(0.9, any::<prop::sample::Index>()),
        any::<u64>(),
    );
    (
        what,
        [argument(), argument()],
        any::<u64>(),
        any::<u64>(),
        outcome(),
    )
        .prop_map(move |((known, number), args, enter, duration, outcome)| {
            let mut args = args;
            let finished = outcome != Outcome::Unfinished;
            if !finished {
                args.iter_mut().for_each(unfinished);
            }
            Entry::Call(Call {
                lane: 0,
                index: 0,
                schema: known.map(|index| Arc::clone(index.get(&calls))),
                number,
                args,
                enter,
                duration: finished.then_some(duration),
                outcome,
            })
        })
}

/// A call that never returned does not say what became of its memory.
fn unfinished(argument: &mut Argument) {
    fn block(of: &mut Block) {
        of.after = After::Unfinished;
        if let Some(Link {
            target: Target::Block(nested),
            ..
        }) = &mut of.link
        {
            block(nested);
        }
    }
    if let Argument::Block(of) = argument {
        block(of);
    }
}

/// An entry of any kind, of these calls or of none.
pub fn entry(calls: Vec<Arc<schema::Call>>) -> impl Strategy<Value = Entry> {
    // 0: an unknown number.
    let lost = (0..1000_u64, 0..7_usize, any::<u64>(), any::<u64>()).prop_map(
        |(count, cause, first, last)| {
            let causes = [
                LossCause::RingFull,
                LossCause::Overwritten,
                LossCause::TooLarge,
                LossCause::Busy,
                LossCause::Sink,
                LossCause::Damaged,
                LossCause::Other(77),
            ];
            Entry::Lost(Lost {
                lane: 0,
                index: 0,
                count,
                cause: causes[cause],
                first,
                last,
            })
        },
    );
    let run = (0..1000_u32, 1..9_usize, any::<u8>()).prop_map(|(word, words, fill)| Run {
        offset: word * 4,
        before: vec![0; words * 4],
        after: vec![fill; words * 4],
    });
    let look = prop_oneof![0..9_u64, 250..260_u64, any::<u64>()];
    let found = (0..3_usize, look, any::<bool>());
    let pages = (0..4_u32, any::<u64>(), found, vec(run, 0..4)).prop_map(
        |(page, ticks, (when, look, late), runs)| {
            let when = [When::Enter, When::Exit, When::Note][when];
            Entry::Pages(PageChange {
                lane: 0,
                index: 0,
                when,
                page,
                ticks,
                look: if when == When::Note { look } else { 0 },
                late,
                runs,
            })
        },
    );
    // Of a later minor version. The first word is the record's checksum, length and kind.
    let unknown = (20..=255_u8, vec(any::<u8>(), 0..6)).prop_map(|(kind, words)| {
        let mut bytes = vec![0; 16];
        bytes.extend(words.iter().flat_map(|byte| [*byte; 8]));
        Entry::Unknown(Unknown {
            lane: 0,
            index: 0,
            kind,
            bytes,
        })
    });
    prop_oneof![8 => call(calls), 1 => lost, 2 => pages, 1 => unknown]
}

/// Puts entries into lanes, with the indices that they have there. `crc` is CRC-32C.
pub fn placed(entries: Vec<(u32, Entry)>, lanes: u32, crc: fn(&[u8]) -> u32) -> Vec<Entry> {
    let mut next = [0_u64; 8];
    let mut out = Vec::new();
    for (lane, mut entry) in entries {
        let lane = lane % lanes;
        let index = &mut next[lane as usize];
        match &mut entry {
            Entry::Call(call) => {
                (call.lane, call.index) = (lane, *index);
                *index += 1;
            }
            Entry::Lost(lost) => {
                (lost.lane, lost.index) = (lane, *index);
                *index += lost.count;
            }
            Entry::Pages(change) => {
                change.lane = lane;
                // What is seen at a call's return belongs to the call before.
                match (change.when, index.checked_sub(1)) {
                    (When::Exit, Some(before)) => change.index = before,
                    (When::Exit, None) => continue,
                    _ => change.index = *index,
                }
            }
            Entry::Unknown(unknown) => {
                (unknown.lane, unknown.index) = (lane, *index);
                let words = u32::try_from(unknown.bytes.len() / 8).unwrap();
                let second = words | u32::from(unknown.kind) << 24;
                unknown.bytes[4..8].copy_from_slice(&second.to_le_bytes());
                let mut covered = unknown.bytes[8..].to_vec();
                covered.extend(second.to_le_bytes());
                let crc = crc(&covered);
                unknown.bytes[..4].copy_from_slice(&crc.to_le_bytes());
            }
            Entry::Damaged(_) => continue,
        }
        out.push(entry);
    }
    out
}
