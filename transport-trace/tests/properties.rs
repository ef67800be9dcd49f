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
mod strategies;

use common::in_memory::InMemory;
use common::*;
use hypercall_core::arg::{Arg, Linked, Target as ArgTarget};
use hypercall_core::call::{CallInfo, Direction};
use hypercall_core::{Gpa, SharedRef, Transport, TransportError};
use hypercall_trace::clock::{ClockInfo, NoClock};
use hypercall_trace::entry::{After, Argument, Block, Entry, Link, Target, capture};
use hypercall_trace::read::Trace;
use hypercall_trace::record::{Recorder, Redaction, SinkLane, SinkLaneOptions, write_preamble};
use hypercall_trace::schema::Schema;
use hypercall_trace::write::{Compression, Options, Writer};
use proptest::prelude::*;
use std::sync::Arc;
use strategies::{bytes, entry, placed};

/// An entry of the calls of [`INTERFACES`].
fn any_entry() -> impl Strategy<Value = Entry> {
    let schema = Schema::from_interfaces(INTERFACES);
    entry(schema.calls().map(Arc::clone).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(entries in proptest::collection::vec((Just(0), any_entry()), 0..40), codec in 0..3_usize, size in 100..10_000_usize) {
        let entries = placed(entries, 1, crc32c::crc32c);
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
        let mut sink = InMemory::default();
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
