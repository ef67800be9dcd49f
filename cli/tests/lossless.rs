//! JSON lines lose nothing, whatever is in a trace: it comes back from them the same, and they come back from it the same,
//! byte for byte.

mod common;

use std::sync::Arc;

use common::{Folder, Sample, output, schema};
use hypercall_core::call::Direction;
use hypercall_trace::entry::{
    After, Argument, Block, Call, Entry, Failure, Link, LossCause, Lost, Outcome, PageChange, Run,
    Target, Unknown, When,
};
use hypercall_trace::read::Trace;
use proptest::collection::vec;
use proptest::prelude::*;

fn block(direction: Direction) -> impl Strategy<Value = Block> {
    vec(any::<u8>(), 0..80).prop_flat_map(move |before| {
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
        (block(Direction::Read), 0..90_usize, target()).prop_map(|(mut block, offset, target)| {
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

fn call() -> impl Strategy<Value = Entry> {
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
        .prop_map(|((known, number), args, enter, duration, outcome)| {
            let schema = schema();
            let calls: Vec<_> = schema.calls().map(Arc::clone).collect();
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

fn entry() -> impl Strategy<Value = Entry> {
    let lost = (1..1000_u64, 0..7_usize, any::<u64>(), any::<u64>()).prop_map(
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
    let found = (0..3_usize, 0..9_u64, any::<bool>());
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
    prop_oneof![8 => call(), 1 => lost, 2 => pages, 1 => unknown]
}

/// Puts entries into lanes, with the indices that they have there.
fn placed(entries: Vec<(u32, Entry)>, lanes: u32) -> Vec<Entry> {
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
                let crc = common::crc(&covered);
                unknown.bytes[..4].copy_from_slice(&crc.to_le_bytes());
            }
            Entry::Damaged(_) => continue,
        }
        out.push(entry);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_trace_comes_back_from_json_and_json_from_a_trace(
        entries in vec((any::<u32>(), entry()), 0..40),
        lanes in vec("[a-z ]{1,4}[\u{1b}\u{202e}é\"\\\\]{0,2}", 1..4),
        block in prop_oneof![Just(1024_usize), Just(1 << 16)],
    ) {
        let folder = Folder::new();
        let count = u32::try_from(lanes.len()).unwrap();
        let sample = Sample { schema: schema(), lanes, entries: placed(entries, count), block };
        let trace = folder.trace("a.hct", &sample);
        let first = output(&["export", &trace, "--to", "json"]);
        let (lines, back) = (folder.text("a.jsonl"), folder.text("b.hct"));
        std::fs::write(&lines, &first).unwrap();
        output(&["import", &lines, "-o", &back]);
        // Not shown whole: the first line is the schema.
        prop_assert!(output(&["export", &back, "--to", "json"]) == first, "{}", first.lines().skip(1).collect::<Vec<_>>().join("\n"));
        let (ours, theirs) = (Trace::open(&trace).unwrap(), Trace::open(&back).unwrap());
        // In the order of their lanes: in a file lanes interleave by blocks.
        for lane in ours.lanes() {
            let before: Vec<_> = ours.lane_entries(lane.id).collect();
            let after: Vec<_> = theirs.lane_entries(lane.id).collect();
            prop_assert!(before == after, "{before:?}\n{after:?}");
        }
        prop_assert_eq!(ours.len(), sample.entries.len() as u64);
        prop_assert_eq!((ours.schema(), ours.clock(), ours.lanes(), ours.header().id),
            (theirs.schema(), theirs.clock(), theirs.lanes(), theirs.header().id));
        prop_assert!(theirs.verify().unwrap().is_clean());
    }
}

#[test]
fn of_a_damaged_trace_all_that_can_be_read_comes_back_and_the_rest_is_missing() {
    let folder = Folder::new();
    let mut sample = Sample::many(500);
    sample.block = 1024;
    let mut bytes = sample.bytes();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let trace = folder.text("a.hct");
    std::fs::write(&trace, bytes).unwrap();
    let (lines, back) = (folder.text("a.jsonl"), folder.text("b.hct"));
    for arguments in [
        ["export", &trace, "-o", &lines],
        ["import", &lines, "-o", &back],
    ] {
        common::hcall().args(arguments).assert().code(4);
    }
    let of = |path: &str| -> Vec<Entry> { Trace::open(path).unwrap().entries().collect() };
    let (before, after) = (of(&trace), of(&back));
    let calls = |entries: &[Entry]| -> Vec<Entry> {
        let call = |entry: &&Entry| matches!(entry, Entry::Call(_));
        entries.iter().filter(call).cloned().collect()
    };
    assert_eq!(calls(&before), calls(&after));
    let hole = before.iter().find_map(|entry| match entry {
        Entry::Damaged(damaged) => damaged.entries,
        _ => None,
    });
    let missing = after.iter().find_map(|entry| match entry {
        Entry::Lost(lost) => Some(lost.count),
        _ => None,
    });
    assert!(
        hole.is_some() && hole.map(u64::from) == missing,
        "{hole:?} {missing:?}"
    );
    assert_eq!(calls(&after).len() as u64 + missing.unwrap(), 500);
}
