//! Reads a trace in every way that there is, and holds the ways against each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::own::OwnCalls;
use hypercall_trace::canonical::canonical;
use hypercall_trace::check::check;
use hypercall_trace::diff::{self, diff};
use hypercall_trace::drive::Driver;
use hypercall_trace::entry::{Entry, LossCause};
use hypercall_trace::explain::explain;
use hypercall_trace::gen_test::GenTest;
use hypercall_trace::read::{Buffer, Trace};
use hypercall_trace::replay::{Mode, Recorded, Replayer};
use hypercall_trace::state::state_at;
use hypercall_trace::write::{Compression, Options, Writer};

/// More entries than this are not made into a trace in memory.
const MANY: usize = 2_000;

/// The entries that hold something, without the reports of what could not be read.
pub fn really_read(trace: &Trace) -> Vec<Entry> {
    trace
        .entries()
        .filter(|entry| match entry {
            Entry::Damaged(_) => false,
            Entry::Lost(lost) => lost.cause != LossCause::Damaged,
            _ => true,
        })
        .collect()
}

/// Whether all of `part` stands in `whole`, in its order, lane by lane.
pub fn is_part(part: &[Entry], whole: &[Entry]) -> bool {
    let mut lanes: BTreeMap<Option<u32>, Vec<&Entry>> = BTreeMap::new();
    for entry in part {
        lanes.entry(entry.lane()).or_default().push(entry);
    }
    lanes.into_values().all(|entries| {
        let mut whole = whole.iter();
        entries
            .into_iter()
            .all(|entry| whole.any(|other| other == entry))
    })
}

/// Without what only the schema says.
pub fn nameless(mut entry: Entry) -> Entry {
    if let Entry::Call(call) = &mut entry {
        call.schema = None;
    }
    entry
}

/// Reads everything. Whether the trace is clean.
pub fn read(trace: &Trace) -> bool {
    let report = trace.verify().expect("memory does not fail");
    let entries: Vec<_> = trace.entries().take(MANY).collect();
    let whole = entries.len() < MANY;
    if report.is_clean() && whole {
        assert!(
            !entries
                .iter()
                .any(|entry| matches!(entry, Entry::Damaged(_))),
            "{report:?}"
        );
        assert_eq!(report.entries, entries.len() as u64);
        assert_eq!(trace.len(), report.entries);
        // From any place on it is the same.
        for (position, entry) in (0_u64..).zip(&entries).step_by(5) {
            assert_eq!(trace.entry(position).as_ref(), Some(entry));
        }
        assert_eq!(trace.merged().count(), entries.len());
        rewrite(trace, entries.len());
    } else {
        trace.merged().take(MANY).for_each(drop);
        for position in [1, 2, report.entries, u64::MAX] {
            trace.entries_from(position).take(8).for_each(drop);
        }
    }
    let mut buffer = Buffer::default();
    for block in trace.blocks().iter().take(100) {
        if let Ok(views) = trace.load(block, &mut buffer) {
            assert!(
                views
                    .records()
                    .take(MANY)
                    .all(|record| record.bytes().len() >= 16)
            );
            views.take(MANY).for_each(drop);
        }
    }
    for lane in trace.lanes().iter().take(20) {
        assert_eq!(trace.lane_name(lane.id), lane.name);
        trace.lane_entries(lane.id).take(MANY).for_each(drop);
        trace.lane_entries_from(lane.id, 3).take(8).for_each(drop);
        let _ = trace.call(lane.id, 2);
    }
    let _ = trace.clock().unix_nanoseconds(u64::MAX);
    if whole {
        in_memory(&Recorded {
            schema: trace.schema().clone(),
            lanes: trace.lanes().iter().take(50).cloned().collect(),
            entries,
            ..Recorded::default()
        });
    }
    report.is_clean()
}

/// What each lane of each recording has, in its order. The order over all lanes is that in which blocks were full.
fn by_recording(trace: &Trace) -> BTreeMap<(u32, Option<u32>), Vec<Entry>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut entries = trace.entries();
    while let Some(entry) = entries.next() {
        let of = (entries.recording(), entry.lane());
        found.entry(of).or_default().push(entry);
    }
    // A recording without entries is not written.
    let numbers: BTreeSet<u32> = found.keys().map(|(recording, _)| *recording).collect();
    let rank = |number| (0..).zip(&numbers).find(|(_, other)| **other == number);
    found
        .into_iter()
        .filter_map(|((number, lane), entries)| Some(((rank(number)?.0, lane), entries)))
        .collect()
}

/// Written again, it is the same, recording by recording.
fn rewrite(trace: &Trace, count: usize) {
    let most = trace.entries().filter_map(|entry| entry.lane()).max();
    if most > Some(1000) {
        return;
    }
    let options = Options {
        compression: Compression::Lz4,
        block: 1024,
        id: 5,
    };
    let mut writer = Writer::new(Vec::new(), trace.schema(), *trace.clock(), options)
        .expect("a vector takes all");
    for lane in 0..=most.unwrap_or(0) {
        writer
            .lane(&trace.lane_name(lane))
            .expect("a vector takes all");
    }
    let mut entries = trace.entries();
    while let Some(entry) = entries.next() {
        let recording = entries.recording();
        writer
            .recording(recording, trace.clock_of(recording))
            .expect("a vector takes all");
        writer
            .push(&entry)
            .unwrap_or_else(|error| panic!("{error}: {entry:?}"));
    }
    let bytes = writer.finish().expect("a vector takes all");
    let again = Trace::from_bytes(bytes).expect("it was just written");
    let report = again.verify().expect("memory does not fail");
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(again.schema(), trace.schema());
    assert_eq!(again.entries().count(), count);
    assert_eq!(by_recording(&again), by_recording(trace));
}

/// What works on a trace in memory.
fn in_memory(recorded: &Recorded) {
    let same = diff(recorded, recorded, diff::Options::default());
    // A call that cannot be read is missing, from both.
    let missing = recorded.entries.iter().any(|entry| match entry {
        Entry::Damaged(_) | Entry::Lost(_) => true,
        Entry::Unknown(unknown) => unknown.is_call(),
        Entry::Call(_) | Entry::Pages(_) => false,
    });
    assert!(same.is_empty() || missing, "{same}");
    let once = canonical(recorded);
    let _ = canonical(&once);
    let _ = check(recorded);
    let _ = state_at(recorded, 5);
    let _ = state_at(recorded, u64::MAX);
    let _ = GenTest::new("fuzzed", "fuzzed.hct").generate(recorded);
    let _ = explain("ret=-1 hypercall=0x80000023 failed", &recorded.schema);
    // A replay is of one recording.
    let last = recorded.clone().into_recordings().last();
    let one = last.map_or_else(|| recorded.clone(), |(_, recording)| recording);
    for mode in [Mode::Strict, Mode::Keyed, Mode::Loose] {
        let Ok(replayer) = Replayer::options().mode(mode).recorded(one.clone()) else {
            continue;
        };
        let name = one.lanes.first().map_or("main", |lane| lane.name.as_str());
        let _ = Driver::new(OwnCalls::INTERFACE).drive(&one, &replayer.lane(name));
        let _ = replayer.report();
        let _ = replayer.finish();
    }
}
