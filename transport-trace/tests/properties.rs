//! Whatever is recorded or written is read back as it was.
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

use common::*;
use hypercall_core::arg::{Arg, Linked, Target as ArgTarget};
use hypercall_core::call::{CallInfo, Direction};
use hypercall_core::{Gpa, SharedRef, Transport, TransportError};
use hypercall_trace::clock::{ClockInfo, NoClock};
use hypercall_trace::entry::{
    After, Argument, Block, Call, Entry, Failure, Link, LossCause, Lost, Outcome, PageChange, Run,
    Target, When, capture,
};
use hypercall_trace::read::Trace;
use hypercall_trace::record::{
    Recorder, Redaction, Sink, SinkFailed, SinkLane, SinkLaneOptions, write_preamble,
};
use hypercall_trace::schema::Schema;
use hypercall_trace::write::{Compression, Options, Writer};
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..70),
        1 => proptest::collection::vec(any::<u8>(), 0..1500),
    ]
}

fn after(length: usize) -> impl Strategy<Value = After> {
    prop_oneof![
        Just(After::Unchanged),
        proptest::collection::vec(any::<u8>(), length).prop_map(After::Changed),
    ]
}

fn block(direction: Direction) -> impl Strategy<Value = Block> {
    bytes().prop_flat_map(move |before| {
        let length = before.len();
        let after = match direction {
            Direction::Read => Just(After::Unchanged).boxed(),
            _ => after(length).boxed(),
        };
        after.prop_map(move |after| Block {
            direction,
            before: if direction == Direction::Write {
                Vec::new()
            } else {
                before.clone()
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
        prop_oneof![
            Just(Direction::Read),
            Just(Direction::Write),
            Just(Direction::ReadWrite)
        ]
        .prop_flat_map(block)
        .prop_map(Argument::Block),
        (block(Direction::Read), 0..100_usize, target()).prop_map(|(mut block, offset, target)| {
            block.link = Some(Link { offset, target });
            Argument::Block(block)
        }),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let text = "[a-zé ]{0,40}";
    prop_oneof![
        4 => any::<i64>().prop_map(Outcome::Returned),
        1 => (text, text).prop_map(|(layer, reason)| Outcome::Failed(Failure::Layer { layer, reason })),
        1 => text.prop_map(|why| Outcome::Failed(Failure::Lost(why))),
        1 => any::<u8>().prop_map(|vector| Outcome::Failed(Failure::Fault(vector))),
        1 => (9..200_u8, any::<u8>(), text, text).prop_map(|(code, detail, text, more)| {
            Outcome::Failed(Failure::Other { code, detail, text, more })
        }),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let call = (
        0..15_u16,
        any::<u64>(),
        [argument(), argument()],
        any::<u64>(),
        any::<u64>(),
        outcome(),
    )
        .prop_map(|(id, number, args, enter, duration, outcome)| {
            Entry::Call(Call {
                lane: 0,
                index: 0,
                schema: Schema::from_interfaces(INTERFACES).call_by_id(id).cloned(),
                number,
                args,
                enter,
                duration: Some(duration),
                outcome,
            })
        });
    let lost = (1..1000_u64, 1..9_u8, any::<u64>(), any::<u64>()).prop_map(
        |(count, cause, first, last)| {
            let causes = [
                LossCause::RingFull,
                LossCause::Overwritten,
                LossCause::TooLarge,
                LossCause::Busy,
                LossCause::Sink,
            ];
            let cause = causes
                .get(usize::from(cause))
                .copied()
                .unwrap_or(LossCause::Other(77));
            Entry::Lost(Lost {
                lane: 0,
                index: 0,
                count,
                cause,
                first,
                last,
            })
        },
    );
    let pages = (
        0..4_u32,
        any::<u64>(),
        proptest::collection::vec((0..1000_u32, 1..20_usize, any::<u8>()), 0..5),
        prop_oneof![0..4_u64, 250..260_u64, any::<u64>()],
        any::<bool>(),
    )
        .prop_map(|(page, ticks, runs, look, late)| {
            let runs = runs
                .into_iter()
                .map(|(word, words, fill)| Run {
                    offset: word * 4,
                    before: vec![0; words * 4],
                    after: vec![fill; words * 4],
                })
                .collect();
            Entry::Pages(PageChange {
                lane: 0,
                index: 0,
                when: When::Enter,
                page,
                ticks,
                look,
                late,
                runs,
            })
        });
    prop_oneof![6 => call, 1 => lost, 1 => pages]
}

/// Gives entries the indices that they have in a lane.
fn number(entries: &mut [Entry]) {
    let mut next = 0;
    for entry in entries {
        match entry {
            Entry::Call(call) => {
                call.index = next;
                next += 1;
            }
            Entry::Lost(lost) => {
                lost.index = next;
                next += lost.count;
            }
            Entry::Pages(change) => change.index = next,
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(mut entries in proptest::collection::vec(entry(), 0..40), codec in 0..3_usize, size in 100..10_000_usize) {
        number(&mut entries);
        let compression = [Compression::None, Compression::Lz4, Compression::Zstd(1)][codec];
        let options = Options { compression, block: size, id: 7 };
        let schema = Schema::from_interfaces(INTERFACES);
        let mut writer = Writer::new(Vec::new(), &schema, ClockInfo::default(), options).unwrap();
        writer.lane("main").unwrap();
        for entry in &entries {
            writer.push(entry).unwrap();
        }
        let trace = Trace::from_bytes(writer.finish().unwrap()).unwrap();
        prop_assert_eq!(trace.entries().collect::<Vec<_>>(), entries.clone());
        prop_assert!(trace.verify().unwrap().is_clean());
        // From any place on.
        for position in 0..entries.len() {
            prop_assert_eq!(trace.entry(position as u64), entries.get(position).cloned());
        }
    }

    #[test]
    fn what_is_recorded_is_what_capture_says(calls in proptest::collection::vec((0..8_usize, bytes(), bytes(), any::<u64>()), 1..30)) {
        #[derive(Default)]
        struct Bytes(Vec<u8>);
        impl Sink for Bytes {
            fn write(&mut self, bytes: &[u8]) -> Result<(), SinkFailed> {
                self.0.extend_from_slice(bytes);
                Ok(())
            }
        }
        /// Turns every byte that may be written over.
        struct Turns;
        impl Transport for Turns {
            fn call<'a>(&self, _: &'static CallInfo, mut args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
                for argument in &mut args {
                    if let Some(bytes) = argument.output() {
                        bytes.iter_mut().for_each(|byte| *byte = !*byte);
                    }
                }
                Ok(5)
            }
        }
        let mut sink = Bytes::default();
        write_preamble(&mut sink, 1, INTERFACES, &Default::default(), &["main"]).unwrap();
        let mut memory = vec![0; 4000];
        let options = SinkLaneOptions {
            lane: 0, interfaces: INTERFACES, clock: NoClock, redaction: Redaction::Zero, watched: [], announce: false,
        };
        let recorder = Recorder::new(Turns, SinkLane::new(&mut memory, sink, options).unwrap());
        let mut expected = Vec::new();
        for (shape, first, second, value) in &calls {
            let (mut one, mut two) = (first.clone(), second.clone());
            // The address's place, as a client leaves it.
            one.extend_from_slice(&[0; 8]);
            let offset = one.len() - 8;
            let args = match shape {
                0 => [Arg::None, Arg::Value(*value)],
                1 => [Arg::Read(&one), Arg::Read(&two)],
                2 => {
                    two.fill(0);
                    [Arg::ReadWrite(&mut one), Arg::Write(&mut two)]
                }
                3 => [Arg::Value(*value), Arg::Linked(Linked { header: &mut one, offset, target: ArgTarget::Read(&two) })],
                4 => [Arg::Linked(Linked { header: &mut one, offset, target: ArgTarget::ReadWrite(&mut two) }), Arg::None],
                5 => [
                    Arg::Linked(Linked { header: &mut one, offset, target: ArgTarget::Shared(SharedRef::Address(Gpa(*value))) }),
                    Arg::ReadWrite(&mut two),
                ],
                6 => [
                    Arg::Linked(Linked { header: &mut one, offset, target: ArgTarget::Shared((&PAGE).into()) }),
                    Arg::Read(&two),
                ],
                _ => [Arg::Write(&mut []), Arg::ReadWrite(&mut [])],
            };
            let mut captured = capture(&args);
            for argument in &mut captured {
                let Argument::Block(block) = argument else { continue };
                finish(block);
                if let Some(Link { target: Target::Block(nested), .. }) = &mut block.link {
                    finish(nested);
                }
            }
            expected.push(captured);
            recorder.call(PlotterCalls::ADD, args).unwrap();
        }
        recorder.lane().flush().unwrap();
        let trace = Trace::from_bytes(recorder.into_parts().1.into_sink().0).unwrap();
        prop_assert!(trace.verify().unwrap().is_clean());
        let read: Vec<_> = trace
            .entries()
            .map(|entry| match entry {
                Entry::Call(call) => call.args,
                other => panic!("{other:?}"),
            })
            .collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn any_bytes_are_read_without_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..3000), start in any::<bool>()) {
        if start {
            bytes.splice(0..0, golden());
        }
        if let Ok(trace) = Trace::from_bytes(bytes) {
            let entries = trace.entries().count();
            prop_assert!(entries < 10_000);
            let _ = trace.verify().unwrap();
            let _ = trace.merged().count();
        }
    }

    #[test]
    fn damaged_files_are_read_without_harm(places in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..20)) {
        let mut bytes = golden();
        for (place, value) in places {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(trace) = Trace::from_bytes(bytes) {
            let _ = trace.entries().count();
            let _ = trace.verify().unwrap();
            let _ = trace.merged().count();
        }
    }
}

fn golden() -> Vec<u8> {
    std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/v1-lz4.hct"
    ))
    .unwrap()
}

/// What [`Turns`] makes of a block, in words of the record.
fn finish(block: &mut Block) {
    block.after = match block.direction {
        Direction::Read => After::Unchanged,
        _ if block.length == 0 => After::Unchanged,
        _ => After::Changed(block.before_bytes().iter().map(|byte| !byte).collect()),
    };
}
