//! What a program did is what its trace says: every shape of call, losses, pages, secrets, lanes.
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
use hypercall_core::{Client, SharedPage, Transport, TransportError};
use hypercall_trace::clock::Monotonic;
use hypercall_trace::entry::{
    After, Argument, Call, Entry, Failure, LossCause, Outcome, Place, Target, When,
};
use hypercall_trace::read::Trace;
use hypercall_trace::record::{Full, Recorder, Recording, Redaction, SyncPolicy};
use hypercall_trace::schema::Schema;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Where a test puts its file and its rings. They are removed when the test's thread ends.
fn place(name: &str) -> (PathBuf, PathBuf) {
    struct Folder(PathBuf);
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
    thread_local! {
        static FOLDERS: std::cell::RefCell<Vec<Folder>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    let base = std::env::temp_dir().join(format!("hct-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&base);
    std::fs::create_dir_all(&base).unwrap();
    FOLDERS.with_borrow_mut(|folders| folders.push(Folder(base.clone())));
    (base.join("run.hct"), base.join("rings"))
}

fn calls(trace: &Trace) -> Vec<Call> {
    trace
        .entries()
        .filter_map(|entry| match entry {
            Entry::Call(call) => Some(call),
            _ => None,
        })
        .collect()
}

#[test]
fn a_program_is_recorded_as_it_was() {
    let (path, rings) = place("whole");
    let recording = Recording::options(INTERFACES)
        .rings(&rings)
        .redaction(Redaction::Hash([7; 16]))
        .create(&path)
        .unwrap();
    let client = Client::new(Recorder::new(
        Device::default(),
        recording.lane("main").unwrap(),
    ));
    for round in 0..50 {
        program(&client, round);
    }
    let done = recording.finish();
    assert!(done.complete, "{done:?}");
    assert_eq!((done.calls, done.lost), (50 * CALLS, 0));
    assert!(
        std::fs::read_dir(&rings).unwrap().next().is_none(),
        "no ring is left"
    );

    let trace = Trace::open(&path).unwrap();
    assert_eq!(trace.damage().count(), 0);
    assert!(trace.is_finished());
    assert_eq!(**trace.schema(), Schema::from_interfaces(INTERFACES));
    assert_eq!(trace.lanes()[0].name, "main");
    let calls = calls(&trace);
    assert_eq!(calls.len() as u64, 50 * CALLS);
    assert!(
        calls
            .iter()
            .enumerate()
            .all(|(index, call)| call.index == index as u64)
    );
    assert!(calls.windows(2).all(|two| two[0].enter <= two[1].enter));
    let report = trace.verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(
        (report.calls, report.unfinished, report.lost),
        (50 * CALLS, 0, 0)
    );

    // One round, call by call.
    let round = &calls[26..52];
    let by_name = |name: &str| round.iter().find(|call| call.name() == name).unwrap();
    assert_eq!(by_name("reset").args, [Argument::Unused, Argument::Unused]);
    assert_eq!(by_name("lift").registers(), [7, 0]);
    assert_eq!(round[2].outcome, Outcome::Returned(-2));
    assert_eq!(by_name("add").outcome, Outcome::Returned(41));
    let to = by_name("move_to").block(Place::Rsi).unwrap();
    assert_eq!(
        (&*to.before, &to.after),
        (&[1, 0, 0, 0, 2, 0, 0, 0][..], &After::Unchanged)
    );
    let mirrored = by_name("mirror").block(Place::Rdi).unwrap();
    assert_eq!(mirrored.before, [1, 0, 0, 0, 9, 0, 0, 0]);
    assert_eq!(mirrored.after, After::Changed(vec![0, 0, 0, 9, 0, 0, 0, 1]));
    assert_eq!(round[6].block(Place::Rdi).unwrap().after, After::Unchanged);
    let position = by_name("position").block(Place::Rsi).unwrap();
    assert_eq!((position.before.len(), position.length), (0, 8));
    assert_eq!(position.after, After::Changed((1..9).collect()));
    let draw = by_name("draw");
    let (header, points) = (
        draw.block(Place::Rdi).unwrap(),
        draw.block(Place::RdiNested).unwrap(),
    );
    assert_eq!(
        header.before,
        [5, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        "no address"
    );
    assert_eq!((points.before.len(), points.before[4]), (24, 1));
    assert_eq!(round[10].block(Place::RdiNested).unwrap().length, 0);
    let shared = by_name("share").block(Place::Rsi).unwrap();
    assert_eq!(
        shared.link.as_ref().unwrap().target,
        Target::Address(0x7000)
    );
    let transposed = by_name("transpose").block(Place::RdiNested).unwrap();
    assert_eq!(transposed.after_bytes().unwrap()[..4], [0, 0, 0, 1]);
    let firmware = by_name("firmware").block(Place::Rsi).unwrap();
    assert_eq!(
        (&*firmware.before, &firmware.after),
        (&[1, 2, 3, 4, 1][..], &After::Changed(vec![1, 4, 3, 2, 1]))
    );
    let failures: Vec<_> = round[17..]
        .iter()
        .map(|call| call.outcome.clone())
        .collect();
    assert_eq!(
        failures[0],
        Outcome::Failed(Failure::Untranslatable {
            register: 1,
            nested: true
        })
    );
    assert_eq!(
        failures[1],
        Outcome::Failed(Failure::Layer {
            layer: "allow-list".into(),
            reason: "not on it".into()
        })
    );
    assert_eq!(
        failures[3],
        Outcome::Failed(Failure::Hung("it waits for itself".into()))
    );
    assert_eq!(failures[4], Outcome::Failed(Failure::Fault(13)));
    assert_eq!(failures[8], Outcome::Returned(-7));

    // Seeking.
    for index in [0, 1, 500, 50 * CALLS - 1] {
        assert_eq!(trace.call(0, index).as_ref(), calls.get(index as usize));
        assert_eq!(
            trace.entry(index),
            Some(Entry::Call(calls[index as usize].clone()))
        );
    }
    assert_eq!(trace.call(0, 50 * CALLS), None);
    assert_eq!(trace.entry(50 * CALLS), None);
}

#[test]
fn secrets_are_hashed_and_equality_survives() {
    let record = |key, password: [u8; 12]| {
        let (path, rings) = place(&format!("secret-{key}-{}", password[0]));
        let recording = Recording::options(INTERFACES)
            .rings(rings)
            .redaction(Redaction::Hash([key; 16]))
            .create(&path)
            .unwrap();
        let client = Client::new(Recorder::new(
            Device::default(),
            recording.lane("main").unwrap(),
        ));
        let login = Login {
            name: *b"root\0\0\0\0",
            password,
            ink: Ink::RED,
            options: Options::FAST,
            reserved: 0,
        };
        client.login(&login).unwrap();
        recording.finish();
        let bytes = std::fs::read(&path).unwrap();
        assert!(
            !bytes.windows(7).any(|window| window == &password[5..12]),
            "in clear"
        );
        let trace = Trace::open(&path).unwrap();
        trace
            .call(0, 0)
            .unwrap()
            .block(Place::Rdi)
            .unwrap()
            .before
            .clone()
    };
    let one = record(1, *b"swordfish123");
    assert_eq!(&one[..8], b"root\0\0\0\0");
    assert_eq!(
        one[20..],
        [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        "what is no secret stays"
    );
    assert_eq!(one[8..20], record(1, *b"swordfish123")[8..20]);
    assert_ne!(one[8..20], record(1, *b"Swordfish123")[8..20]);
    assert_ne!(one[8..20], record(2, *b"swordfish123")[8..20]);
}

#[test]
fn a_call_that_never_returns_is_seen() {
    struct Panics;
    impl hypercall_core::Transport for Panics {
        fn call<'a>(
            &self,
            _: &'static hypercall_core::call::CallInfo,
            _: [hypercall_core::arg::Arg<'a>; 2],
        ) -> Result<i64, hypercall_core::TransportError> {
            panic!("the machine stops")
        }
    }
    let (path, rings) = place("never");
    let recording = Recording::options(INTERFACES)
        .rings(rings)
        .create(&path)
        .unwrap();
    let client = Client::new(Recorder::new(Panics, recording.lane("main").unwrap()));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client.add(1, 2)));
    assert!(caught.is_err());
    assert!(recording.finish().complete);
    let trace = Trace::open(&path).unwrap();
    let call = trace.call(0, 0).unwrap();
    assert_eq!((call.name(), call.registers()), ("add", [1, 2]));
    assert_eq!((call.outcome, call.duration), (Outcome::Unfinished, None));
    assert_eq!(trace.verify().unwrap().unfinished, 1);
}

#[test]
fn with_a_sync_for_each_call_it_is_on_the_disk_before_it_is_made() {
    use std::sync::{Arc, Mutex};
    /// Looks into the file while the call is in flight.
    struct Looks(PathBuf, Arc<Mutex<Vec<(u64, Outcome)>>>);
    impl hypercall_core::Transport for Looks {
        fn call<'a>(
            &self,
            _: &'static hypercall_core::call::CallInfo,
            _: [hypercall_core::arg::Arg<'a>; 2],
        ) -> Result<i64, hypercall_core::TransportError> {
            let trace = Trace::open(&self.0).unwrap();
            let last = calls(&trace).pop().unwrap();
            self.1.lock().unwrap().push((last.index, last.outcome));
            Ok(0)
        }
    }
    let (path, rings) = place("announced");
    let recording = Recording::options(INTERFACES)
        .rings(rings)
        .sync(SyncPolicy::EachCall)
        .create(&path)
        .unwrap();
    let seen = Arc::default();
    let looks = Looks(path.clone(), Arc::clone(&seen));
    let client = Client::new(Recorder::new(looks, recording.lane("main").unwrap()));
    for _ in 0..5 {
        client.reset().unwrap();
    }
    recording.finish();
    let expected: Vec<_> = (0..5).map(|index| (index, Outcome::Unfinished)).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
    // The announcements are superseded by what came of the calls.
    let trace = Trace::open(&path).unwrap();
    let outcomes: Vec<_> = calls(&trace).into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, vec![Outcome::Returned(0); 5]);
}

#[test]
fn watched_pages_are_part_of_the_trace() {
    static PAGE: SharedPage = SharedPage::new();
    /// A hypervisor that writes into the page when it is called.
    struct Writes;
    impl hypercall_core::Transport for Writes {
        fn call<'a>(
            &self,
            _: &'static hypercall_core::call::CallInfo,
            _: [hypercall_core::arg::Arg<'a>; 2],
        ) -> Result<i64, hypercall_core::TransportError> {
            PAGE.word(0x100).unwrap().fetch_add(1, Ordering::Relaxed);
            Ok(0)
        }
    }
    let (path, rings) = place("pages");
    let recording = Recording::options(INTERFACES)
        .rings(rings)
        .create(&path)
        .unwrap();
    let recorder = Recorder::new(Writes, recording.lane("main").unwrap());
    PAGE.word(8).unwrap().store(5, Ordering::Relaxed);
    assert_eq!(recorder.watch(&PAGE), Ok(0));
    let client = Client::new(recorder);
    client.share(PlotterId(1), (&PAGE).into()).unwrap();
    PAGE.word(0xffc).unwrap().store(0xabcd, Ordering::Relaxed);
    client.transport().note_pages();
    client.reset().unwrap();
    recording.finish();

    let trace = Trace::open(&path).unwrap();
    assert!(trace.verify().unwrap().is_clean());
    let mut seen = Vec::new();
    for entry in trace.entries() {
        match entry {
            Entry::Pages(change) => {
                let runs: Vec<_> = change
                    .runs
                    .iter()
                    .map(|run| (run.offset, run.before.clone(), run.after.clone()))
                    .collect();
                seen.push((change.index, Some((change.when, change.page, runs))));
            }
            Entry::Call(call) => {
                if call.index == 0 {
                    let link = call.block(Place::Rsi).unwrap().link.clone().unwrap();
                    assert_eq!(
                        link.target,
                        Target::Pages {
                            count: 1,
                            page: Some(0)
                        }
                    );
                }
                seen.push((call.index, None));
            }
            other => panic!("{other:?}"),
        }
    }
    let run = |offset, before: u32, after: u32| {
        vec![(
            offset,
            before.to_le_bytes().to_vec(),
            after.to_le_bytes().to_vec(),
        )]
    };
    assert_eq!(
        seen,
        [
            (0, Some((When::Enter, 0, run(8, 0, 5)))),
            (0, None),
            (0, Some((When::Exit, 0, run(0x100, 0, 1)))),
            (1, Some((When::Note, 0, run(0xffc, 0, 0xabcd)))),
            (1, None),
            (1, Some((When::Exit, 0, run(0x100, 1, 2)))),
        ]
    );
}

/// A storage that can be held up.
#[derive(Clone, Default)]
struct Gate(
    std::sync::Arc<(std::sync::Mutex<bool>, std::sync::Condvar)>,
    std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
);
impl Gate {
    fn close(&self) {
        *self.0.0.lock().unwrap() = true;
    }
    fn open(&self) {
        *self.0.0.lock().unwrap() = false;
        self.0.1.notify_all();
    }
    fn bytes(&self) -> Vec<u8> {
        self.1.lock().unwrap().clone()
    }
}
impl std::io::Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut closed = self.0.0.lock().unwrap();
        while *closed {
            closed = self.0.1.wait(closed).unwrap();
        }
        self.1.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
impl hypercall_trace::record::Storage for Gate {
    fn sync(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn over_full_ring(full: Full) -> (Vec<u64>, Vec<(u64, u64, LossCause)>, u64) {
    let (_, rings) = place(&format!("full-{full:?}"));
    let gate = Gate::default();
    gate.close();
    let recording = Recording::options(INTERFACES)
        .rings(rings)
        .ring(64 << 10, 8)
        .full(full)
        .start(gate.clone())
        .unwrap();
    let client = Client::new(Recorder::new(
        Device::default(),
        recording.lane("main").unwrap(),
    ));
    for round in 0..3000 {
        let _ = client.add(round, 1);
    }
    gate.open();
    let done = recording.finish();
    assert!(done.complete);
    let trace = Trace::from_bytes(gate.bytes()).unwrap();
    let report = trace.verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
    let mut kept = Vec::new();
    let mut lost = Vec::new();
    let mut next = 0;
    for entry in trace.entries() {
        match entry {
            Entry::Call(call) => {
                assert_eq!(call.index, next);
                assert_eq!(call.registers(), [next, 1], "every call keeps its index");
                next += 1;
                kept.push(call.index);
            }
            Entry::Lost(loss) => {
                assert_eq!(loss.index, next);
                next += loss.count;
                lost.push((loss.index, loss.count, loss.cause));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(next, 3000, "every call is there or counted");
    assert_eq!(done.lost, lost.iter().map(|(_, count, _)| count).sum());
    (kept, lost, done.lost)
}

#[test]
fn a_full_ring_drops_and_counts() {
    let (kept, lost, _) = over_full_ring(Full::Drop);
    assert_eq!(kept[0], 0);
    assert_eq!(lost.last().unwrap().2, LossCause::RingFull);
    assert!(kept.len() > 100 && kept.len() < 3000);
}

#[test]
fn a_full_ring_overwrites_the_oldest() {
    let (kept, lost, _) = over_full_ring(Full::Overwrite);
    assert_eq!(*kept.last().unwrap(), 2999, "the newest is kept");
    assert!(
        lost.iter()
            .any(|(_, _, cause)| *cause == LossCause::Overwritten),
        "{lost:?}"
    );
}

#[test]
fn a_full_ring_can_wait() {
    let (_, rings) = place("full-block");
    let gate = Gate::default();
    gate.close();
    let recording = Recording::options(INTERFACES)
        .rings(rings)
        .ring(64 << 10, 8)
        .full(Full::Block)
        .start(gate.clone())
        .unwrap();
    let lane = recording.lane("main").unwrap();
    let opener = std::thread::spawn({
        let gate = gate.clone();
        move || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            gate.open();
        }
    });
    let client = Client::new(Recorder::new(Device::default(), lane));
    for round in 0..3000 {
        let _ = client.add(round, 1);
    }
    opener.join().unwrap();
    let done = recording.finish();
    assert_eq!((done.calls, done.lost), (3000, 0));
}

#[test]
fn too_large_and_switched_off() {
    let (path, rings) = place("large");
    let recording = Recording::options(INTERFACES)
        .rings(rings)
        .ring(64 << 10, 8)
        .clock(Monotonic::new(), 1_000_000_000)
        .create(&path)
        .unwrap();
    let client = Client::new(Recorder::new(
        Device::default(),
        recording.lane("main").unwrap(),
    ));
    client.firmware(1, &mut vec![1; 100_000]).unwrap();
    client.transport().set_enabled(false);
    client.reset().unwrap();
    client.transport().set_enabled(true);
    client.firmware(1, &mut vec![1; 1000]).unwrap();
    let done = recording.finish();
    assert_eq!((done.calls, done.lost), (1, 1));
    let trace = Trace::open(&path).unwrap();
    let entries: Vec<_> = trace.entries().collect();
    assert!(
        matches!(&entries[..], [Entry::Lost(lost), Entry::Call(call)]
            if lost.cause == LossCause::TooLarge && call.index == 1),
        "{entries:?}"
    );
    assert_eq!(trace.clock().frequency(), 1_000_000_000);
}

/// What a call waits for its record is no part of its duration.
#[test]
fn a_call_does_not_last_as_long_as_the_disk() {
    use hypercall_trace::clock::ClockFn;
    use std::sync::atomic::AtomicU64;
    static TIME: AtomicU64 = AtomicU64::new(1);
    struct Slow(Gate);
    impl std::io::Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            TIME.fetch_add(1_000_000, Ordering::SeqCst);
            self.0.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl hypercall_trace::record::Storage for Slow {
        fn sync(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    struct Takes7;
    impl hypercall_core::Transport for Takes7 {
        fn call<'a>(
            &self,
            _: &'static hypercall_core::call::CallInfo,
            _: [hypercall_core::arg::Arg<'a>; 2],
        ) -> Result<i64, hypercall_core::TransportError> {
            TIME.fetch_add(7, Ordering::SeqCst);
            Ok(0)
        }
    }
    let (_, rings) = place("durations");
    let gate = Gate::default();
    let recording = Recording::options(INTERFACES)
        .rings(rings)
        .sync(SyncPolicy::EachCall)
        .clock(ClockFn(|| TIME.load(Ordering::SeqCst)), 1_000_000_000)
        .start(Slow(gate.clone()))
        .unwrap();
    let client = Client::new(Recorder::new(Takes7, recording.lane("main").unwrap()));
    for _ in 0..20 {
        client.reset().unwrap();
        client.mirror(&mut Point { x: 1, y: 2 }).unwrap();
    }
    recording.finish();
    let calls = calls(&Trace::from_bytes(gate.bytes()).unwrap());
    assert_eq!(calls.len(), 40);
    for call in calls {
        // The drain may write once more while the call is in flight.
        let duration = call.duration.unwrap();
        assert!(
            duration % 1_000_000 == 7 && duration < 10_000_000,
            "{duration}"
        );
    }
    assert!(TIME.load(Ordering::SeqCst) > 40_000_000);
}

#[test]
fn a_page_that_cannot_be_watched_says_so() {
    use hypercall_trace::record::{Lane, WatchError};
    static PAGES: [SharedPage; 17] = [const { SharedPage::new() }; 17];
    let (path, rings) = place("watch");
    let recording = Recording::options(INTERFACES)
        .rings(rings)
        .create(&path)
        .unwrap();
    let lane = recording.lane("main").unwrap();
    let shared = recording.shared_lane("pool", 1).unwrap();
    let args = || {
        [
            hypercall_core::arg::Arg::None,
            hypercall_core::arg::Arg::None,
        ]
    };
    let within = |lane: &dyn Fn() -> Result<u32, WatchError>| {
        assert_eq!(lane(), Err(WatchError::InUse));
        Ok(0)
    };
    let of_lane = By(|| within(&|| lane.watch(&PAGES[0])));
    lane.record(PlotterCalls::RESET, args(), &of_lane).unwrap();
    let of_shared = By(|| within(&|| shared.watch(&PAGES[0])));
    shared
        .record(PlotterCalls::RESET, args(), &of_shared)
        .unwrap();
    for (number, page) in (0..16).zip(&PAGES) {
        assert_eq!(lane.watch(page), Ok(number));
    }
    assert_eq!(lane.watch(&PAGES[3]), Ok(3), "it is watched already");
    assert_eq!(lane.watch(&PAGES[16]), Err(WatchError::NoRoom));
}

/// A transport that answers by a function.
struct By<F>(F);
impl<F: Fn() -> Result<i64, TransportError>> Transport for By<F> {
    fn call<'a>(
        &self,
        _: &'static hypercall_core::call::CallInfo,
        _: [hypercall_core::arg::Arg<'a>; 2],
    ) -> Result<i64, TransportError> {
        (self.0)()
    }
}

/// A call that panics in a lane of many threads, and a transport that calls itself through its own lane.
#[test]
fn panics_and_calls_within_calls_leave_the_lane_sound() {
    use hypercall_trace::record::Lane;
    let (path, rings) = place("sound");
    let recording = Recording::options(INTERFACES)
        .rings(rings)
        .create(&path)
        .unwrap();
    let lane = recording.shared_lane("pool", 1).unwrap();
    let args = || {
        [
            hypercall_core::arg::Arg::None,
            hypercall_core::arg::Arg::None,
        ]
    };
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        lane.record(
            PlotterCalls::RESET,
            args(),
            &By(|| panic!("the machine stops")),
        )
    }));
    assert!(caught.is_err());
    let inner = By(|| Ok(5));
    let outer = By(|| {
        let inner = lane.record(PlotterCalls::RESET, args(), &inner);
        inner.map(|rax| rax + 1)
    });
    let outer = lane.record(PlotterCalls::RESET, args(), &outer);
    assert_eq!(outer, Ok(6), "both calls were made");
    let done = recording.finish();
    assert_eq!((done.calls, done.lost), (2, 1));
    let trace = Trace::open(&path).unwrap();
    let entries: Vec<_> = trace.entries().collect();
    assert!(
        matches!(&entries[..], [Entry::Call(panicked), Entry::Call(outer), Entry::Lost(inner)]
            if panicked.outcome == Outcome::Unfinished
                && outer.outcome == Outcome::Returned(6)
                && inner.cause == LossCause::Busy),
        "{entries:?}"
    );
}

/// A recording whose file was never ended, because it was dropped: it is whole all the same.
#[test]
fn a_dropped_recording_is_finished() {
    let (path, rings) = place("dropped");
    let recording = Recording::options(INTERFACES)
        .rings(&rings)
        .create(&path)
        .unwrap();
    let client = Client::new(Recorder::new(
        Device::default(),
        recording.lane("main").unwrap(),
    ));
    client.add(1, 2).unwrap();
    drop(recording);
    // Nobody records it any more, and it is made.
    assert_eq!(client.add(3, 4), Ok(7));
    let trace = Trace::open(&path).unwrap();
    let report = trace.verify().unwrap();
    assert!(report.is_clean() && report.finished);
    assert_eq!(report.calls, 1);
    assert!(std::fs::read_dir(&rings).unwrap().next().is_none());
}

#[test]
fn many_threads_and_lanes() {
    let (path, rings) = place("threads");
    let recording = Recording::options(INTERFACES)
        .rings(rings)
        .create(&path)
        .unwrap();
    let pool = recording.shared_lane("pool", 2).unwrap();
    let client = Client::new(Recorder::new(Device::default(), pool));
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let client = &client;
            scope.spawn(move || {
                for round in 0..500 {
                    let _ = client.add(thread, round);
                }
            });
        }
        for name in ["vcpu0", "vcpu1"] {
            let lane = recording.lane(name).unwrap();
            scope.spawn(move || {
                let client = Client::new(Recorder::new(Device::default(), lane));
                for round in 0..20 {
                    program(&client, round);
                }
            });
        }
    });
    let done = recording.finish();
    assert!(done.complete);
    assert_eq!(
        done.calls + done.lost,
        4 * 500 + 2 * 20 * CALLS,
        "every call is there or counted"
    );
    let trace = Trace::open(&path).unwrap();
    assert!(trace.verify().unwrap().is_clean());
    for name in ["vcpu0", "vcpu1"] {
        let lane = trace.lane(name).unwrap();
        let names: Vec<_> = trace
            .lane_entries(lane)
            .map(|entry| match entry {
                Entry::Call(call) => (call.index, call.name().to_owned()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(names.len() as u64, 20 * CALLS);
        assert_eq!(names[27], (27, "lift".to_owned()));
    }
    let times: Vec<_> = trace.merged().map(|entry| entry.ticks()).collect();
    assert_eq!(times.len() as u64, trace.len());
    assert!(times.is_sorted());
    let pooled: u64 = ["pool", "pool.1"]
        .iter()
        .filter_map(|name| trace.lane(name))
        .flat_map(|lane| trace.lane_entries(lane))
        .map(|entry| match entry {
            Entry::Call(_) => 1,
            Entry::Lost(lost) => lost.count,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(pooled, 2000);
}

#[test]
fn a_ring_that_is_too_small_says_how_much_it_needs() {
    let (path, rings) = place("small-ring");
    let start = |bytes, path: &PathBuf| {
        Recording::options(INTERFACES)
            .rings(&rings)
            .ring(bytes, 4)
            .create(path)
            .unwrap()
    };
    let recording = start(4 << 10, &path);
    let error = recording.lane("main").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(
        text.contains("of 4096 bytes") && text.contains("4 blocks"),
        "{text}"
    );
    let needed: usize = text
        .rsplit_once("needs ")
        .and_then(|(_, rest)| rest.split(' ').next())
        .unwrap()
        .parse()
        .unwrap();
    recording.finish();
    assert!(std::fs::read_dir(&rings).unwrap().next().is_none());
    let recording = start(needed, &path.with_extension("enough"));
    recording.lane("main").unwrap();
    recording.finish();
}

#[test]
fn a_lane_has_a_name_of_its_own() {
    let (path, rings) = place("names");
    let recording = Recording::options(INTERFACES)
        .rings(rings)
        .create(&path)
        .unwrap();
    let lane = recording.lane("vcpu0").unwrap();
    let error = recording.lane("vcpu0").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("\"vcpu0\""), "{error}");
    recording.shared_lane("pool", 2).unwrap();
    let error = recording.lane("pool.1").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    let client = Client::new(Recorder::new(Device::default(), lane));
    client.reset().unwrap();
    recording.finish();
    let trace = Trace::open(&path).unwrap();
    let names: Vec<_> = trace.lanes().iter().map(|lane| &*lane.name).collect();
    assert_eq!(names, ["vcpu0", "pool", "pool.1"]);
}

/// A guest in ring 0 that polls a page: each look that finds something is a record.
#[test]
fn looks_without_calls_leave_room_for_the_next_call() {
    use hypercall_trace::clock::{ClockFn, ClockPoint};
    use hypercall_trace::record::{
        Sink, SinkFailed, SinkLane, SinkLaneOptions, Watched, write_preamble,
    };
    struct Bytes(Vec<u8>);
    impl Sink for Bytes {
        fn write(&mut self, bytes: &[u8]) -> Result<(), SinkFailed> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }
    static POLLED: SharedPage = SharedPage::new();
    let mut memory = vec![0_u64; 600];
    let mut sink = Bytes(Vec::new());
    write_preamble(&mut sink, 1, INTERFACES, &ClockPoint::default(), &["boot"]).unwrap();
    let options = SinkLaneOptions {
        lane: 0,
        interfaces: INTERFACES,
        clock: ClockFn(|| 5),
        redaction: Redaction::Zero,
        watched: [Watched::new()],
        announce: false,
    };
    let lane = SinkLane::new(&mut memory, sink, options).unwrap();
    let client = Client::new(Recorder::new(Device::default(), lane));
    client.transport().watch(&POLLED).unwrap();
    for value in 1..=500 {
        POLLED.words()[3].store(value, Ordering::Release);
        client.transport().note_pages();
    }
    assert_eq!(client.add(1, 2), Ok(3));
    client.transport().lane().flush().unwrap();
    let trace = Trace::from_bytes(client.into_inner().into_parts().1.into_sink().0).unwrap();
    let report = trace.verify().unwrap();
    assert_eq!((report.calls, report.lost), (1, 0));
    let looks = trace
        .entries()
        .filter(|entry| matches!(entry, Entry::Pages(_)))
        .count();
    assert_eq!(looks, 500);
}
