//! JSON lines lose nothing, whatever is in a trace: it comes back from them the same, and they come back from it the same,
//! byte for byte.

mod common;

#[path = "../../transport-trace/tests/strategies/mod.rs"]
mod strategies;

use std::sync::Arc;

use common::{Folder, Sample, output, schema};
use hypercall_trace::entry::Entry;
use hypercall_trace::read::Trace;
use proptest::collection::vec;
use proptest::prelude::*;
use strategies::{entry, placed};

/// An entry of ACRN's calls.
fn any_entry() -> impl Strategy<Value = Entry> {
    entry(schema().calls().map(Arc::clone).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_trace_comes_back_from_json_and_json_from_a_trace(
        entries in vec((any::<u32>(), any_entry()), 0..40),
        lanes in vec("[a-z ]{1,4}[\u{1b}\u{202e}é\"\\\\]{0,2}", 1..4),
        block in prop_oneof![Just(1024_usize), Just(1 << 16)],
    ) {
        let folder = Folder::new();
        let count = u32::try_from(lanes.len()).unwrap();
        let sample = Sample { schema: schema(), lanes, entries: placed(entries, count, common::crc), block };
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
