//! Storages that block, fail and panic: no call waits for ever, and none is left out without a word.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test"
)]

extern crate hypercall_core as hypercall;

mod common;
mod storages;

use common::folder::Folder;
use common::{Device, INTERFACES, Plotter as _};
use hypercall::arg::Arg;
use hypercall::call::CallInfo;
use hypercall_core::{Client, Transport, TransportError};
use hypercall_trace::clock::ClockFn;
use hypercall_trace::entry::Outcome;
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::Trace;
use hypercall_trace::read::recover::{Ring, find};
use hypercall_trace::record::{FileLane, Full, Recorder, Recording, Storage, SyncPolicy};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use storages::{Bytes, Told, calls, client, recovered, rings_in, willing};

/// Makes a call that tells when it is in flight, and returns when it is told.
struct Slow(Sender<()>, Receiver<()>);

impl Transport for Slow {
    fn call<'a>(&self, _: &'static CallInfo, _: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        self.0.send(()).unwrap();
        self.1.recv().unwrap();
        Ok(42)
    }
}

/// A client whose calls are such ones, in a thread of its own that makes one call or more; when one is in flight, and what lets
/// it return.
fn slow<R: Send + 'static>(
    recording: &Recording,
    calls: impl FnOnce(&Client<Recorder<Slow, FileLane>>) -> R + Send + 'static,
) -> (Receiver<()>, Sender<()>, JoinHandle<R>) {
    let (in_flight, is_in_flight) = channel();
    let (go_on, goes_on) = channel();
    let lane = recording.lane("main").unwrap();
    let calling = std::thread::spawn(move || {
        calls(&Client::new(Recorder::new(Slow(in_flight, goes_on), lane)))
    });
    (is_in_flight, go_on, calling)
}

/// More calls than the small rings of these tests have room for.
const CALLS: u32 = 3000;

fn add(client: &Client<Recorder<Device, FileLane>>, calls: u32) {
    for count in 0..calls {
        assert_eq!(client.add(count, 1), Ok(count + 1));
    }
}

/// The last thing that the drain does before it looks for calls in flight is to ask what it has onto the disk. Meanwhile the
/// one in flight returns.
#[test]
fn a_call_that_returns_while_the_storage_is_waited_for_is_in_the_file() {
    let folder = Folder::new("returns");
    let bytes = Bytes::default();
    let (syncs, is_syncing) = channel();
    let (returned, has_returned) = channel();
    let mut first = true;
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .sync(SyncPolicy::Every(Duration::ZERO))
        .start(Told {
            bytes: bytes.clone(),
            write: || Ok(()),
            sync: move || {
                // Of the sync of the first call, behind which the recording stops.
                if std::mem::take(&mut first) {
                    syncs.send(()).unwrap();
                    has_returned.recv().unwrap();
                }
                Ok(())
            },
        })
        .unwrap();
    let (is_in_flight, go_on, calling) =
        slow(&recording, |client| (client.add(1, 2), client.add(3, 4)));
    is_in_flight.recv().unwrap();
    go_on.send(()).unwrap();
    is_in_flight.recv().unwrap();
    let finishing = std::thread::spawn(move || recording.finish());
    is_syncing.recv().unwrap();
    // As the drain saw it, the recording may go on or stop when the second call returns.
    go_on.send(()).unwrap();
    assert_eq!(calling.join().unwrap(), (Ok(42), Ok(42)));
    returned.send(()).unwrap();
    let done = finishing.join().unwrap();
    assert_eq!((done.calls, done.lost, done.complete), (2, 0, true));
    let outcomes: Vec<_> = calls(&bytes.trace())
        .into_iter()
        .map(|call| (call.index, call.outcome))
        .collect();
    assert_eq!(
        outcomes,
        [(0, Outcome::Returned(42)), (1, Outcome::Returned(42))]
    );
}

#[test]
fn a_call_that_returns_after_the_recording_is_one_that_never_returned() {
    let folder = Folder::new("after");
    let bytes = Bytes::default();
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .start(willing(&bytes))
        .unwrap();
    let (is_in_flight, go_on, calling) = slow(&recording, |client| client.add(1, 2));
    is_in_flight.recv().unwrap();
    let done = recording.finish();
    go_on.send(()).unwrap();
    assert_eq!(calling.join().unwrap(), Ok(42));
    assert_eq!((done.calls, done.lost, done.complete), (1, 0, true));
    let trace = bytes.trace();
    assert!(trace.verify().unwrap().is_clean());
    assert_eq!(calls(&trace)[0].outcome, Outcome::Unfinished);
}

#[test]
fn a_call_in_flight_is_announced_once() {
    let folder = Folder::new("announced");
    let bytes = Bytes::default();
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .sync(SyncPolicy::EachCall)
        .start(willing(&bytes))
        .unwrap();
    let (is_in_flight, go_on, calling) =
        slow(&recording, |client| (client.add(1, 2), client.add(3, 4)));
    for _ in 0..2 {
        is_in_flight.recv().unwrap();
        // Some looks of the drain: were there none, there could not be too many announcements.
        std::thread::sleep(Duration::from_millis(100));
        go_on.send(()).unwrap();
    }
    assert_eq!(calling.join().unwrap(), (Ok(42), Ok(42)));
    assert!(recording.finish().complete);
    let announced: Vec<_> = bytes
        .trace()
        .blocks()
        .iter()
        .filter(|block| block.header.kind == BlockKind::Announce)
        .map(|block| block.header.first_index)
        .collect();
    assert_eq!(announced, [0, 1]);
}

/// What the rings and the file have together: calls, and lost ones.
fn together(folder: &Folder, bytes: &Bytes) -> (u64, u64) {
    let file = Trace::from_bytes(bytes.all()).ok();
    let (trace, _) = recovered(file.as_ref(), &rings_in(&folder.0));
    let report = trace.verify().unwrap();
    (report.calls, report.lost)
}

#[test]
fn calls_that_wait_for_a_storage_that_takes_nothing_are_made_and_counted() {
    let folder = Folder::new("nothing");
    let bytes = Bytes::default();
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .ring(64 << 10, 4)
        .full(Full::Block)
        .start(Told {
            bytes: bytes.clone(),
            write: || Err(io::ErrorKind::StorageFull.into()),
            sync: || Ok(()),
        })
        .unwrap();
    let client = client(recording.lane("main").unwrap());
    add(&client, CALLS);
    let done = recording.finish();
    assert!(!done.complete && done.failures > 0);
    let (calls, lost) = together(&folder, &bytes);
    assert_eq!(calls + lost, u64::from(CALLS));
    assert!(calls > 100 && lost > 100, "{calls} kept, {lost} lost");
}

#[test]
fn no_call_waits_for_a_storage_that_panicked() {
    for sync in [SyncPolicy::Never, SyncPolicy::EachCall] {
        let folder = Folder::new(&format!("panic-{}", sync == SyncPolicy::Never));
        let bytes = Bytes::default();
        let recording = Recording::options(INTERFACES)
            .rings(&folder.0)
            .ring(64 << 10, 4)
            .full(Full::Block)
            .sync(sync)
            .start(Told {
                bytes: bytes.clone(),
                write: || panic!("out of ink"),
                sync: || Ok(()),
            })
            .unwrap();
        // A lane from before the panic, or from after it.
        let client = client(recording.lane("main").unwrap());
        add(&client, CALLS);
        let done = recording.finish();
        assert!(!done.complete);
        assert_eq!(
            done.failure.as_deref(),
            Some("the storage panicked: out of ink")
        );
        let (calls, lost) = together(&folder, &bytes);
        assert_eq!(calls + lost, u64::from(CALLS));
    }
}

/// A storage that does not come back, as on a network's file system whose server is gone.
#[test]
fn nobody_waits_for_a_storage_that_does_not_answer() {
    let ways = [
        (Full::Block, SyncPolicy::Never),
        (Full::Overwrite, SyncPolicy::EachBlock),
        (Full::Drop, SyncPolicy::EachCall),
    ];
    for (way, (full, sync)) in ways.into_iter().enumerate() {
        for hangs_in_sync in [false, true] {
            if hangs_in_sync && sync == SyncPolicy::Never {
                continue;
            }
            let folder = Folder::new(&format!("hangs-{way}-{hangs_in_sync}"));
            let bytes = Bytes::default();
            // Both return when this is dropped, and not before.
            let (release, released) = channel::<()>();
            let released = Arc::new(Mutex::new(released));
            let hang = move |hangs: bool| {
                if hangs {
                    let _ = released.lock().unwrap().recv();
                }
                Ok(())
            };
            let hang_too = hang.clone();
            let recording = Recording::options(INTERFACES)
                .rings(&folder.0)
                .ring(64 << 10, 4)
                .full(full)
                .sync(sync)
                .patience(Duration::from_millis(20))
                .start(Told {
                    bytes: bytes.clone(),
                    write: move || hang(!hangs_in_sync),
                    sync: move || hang_too(hangs_in_sync),
                })
                .unwrap();
            let client = client(recording.lane("main").unwrap());
            add(&client, CALLS);
            let done = recording.finish();
            assert!(!done.complete && done.failures > 0, "{done:?}");
            let failure = done.failure.as_deref().unwrap();
            assert!(
                failure.starts_with("the storage has not answered for 20ms"),
                "{failure}"
            );
            assert_eq!(done.rings.as_deref(), Some(&*folder.0));
            let (calls, lost) = together(&folder, &bytes);
            assert_eq!(calls + lost, u64::from(CALLS), "{full:?}, {sync:?}");
            assert_eq!((calls > 0, lost), (true, done.lost), "{full:?}, {sync:?}");
            drop(release);
        }
    }
}

/// An operating system tells once of what it could not write, and may drop it: that later syncs succeed proves nothing.
#[test]
fn a_sync_that_failed_is_not_forgotten() {
    const CALLS: u32 = 50;
    for (way, sync) in [
        SyncPolicy::EachBlock,
        SyncPolicy::EachCall,
        SyncPolicy::Every(Duration::ZERO),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = Folder::new(&format!("sync-{way}"));
        let bytes = Bytes::default();
        let syncs = Arc::new(Mutex::new(0_u32));
        let counted = Arc::clone(&syncs);
        let recording = Recording::options(INTERFACES)
            .rings(&folder.0)
            .sync(sync)
            .start(Told {
                bytes: bytes.clone(),
                write: || Ok(()),
                sync: move || {
                    let mut syncs = counted.lock().unwrap();
                    *syncs += 1;
                    match *syncs {
                        1 => Err(io::Error::other("the platter is scratched")),
                        // That is not a failure.
                        2 => Err(io::ErrorKind::Interrupted.into()),
                        _ => Ok(()),
                    }
                },
            })
            .unwrap();
        let client = client(recording.lane("main").unwrap());
        add(&client, CALLS);
        // It is tried again before the end, without a further call.
        until(|| (*syncs.lock().unwrap() >= 3).then_some(()));
        let done = recording.finish();
        assert!(!done.complete, "{sync:?}: {done:?}");
        assert_eq!(done.failures, 1, "{sync:?}: {done:?}");
        let failure = done.failure.unwrap();
        assert!(failure.contains("the platter is scratched"), "{failure}");
        assert_eq!(done.rings.as_deref(), Some(&*folder.0));
        assert_eq!(find(&folder.0).unwrap().len(), 1, "the rings stay");
        // No index says that all is well, so that `recover` looks for them.
        assert!(!bytes.trace().is_finished());
        assert_eq!(together(&folder, &bytes), (u64::from(CALLS), 0));
    }
}

/// Each write is well within the patience. All of them together, before the first call is announced, are not.
#[test]
fn a_call_waits_no_longer_for_many_writes_than_for_one() {
    /// Takes a byte at a time, slowly, until a call was made; or until it is plain that none comes before everything is written.
    struct Slow {
        bytes: Bytes,
        made: Arc<AtomicBool>,
        taken_before: Arc<AtomicU32>,
    }
    const PLAIN: u32 = 1000;
    impl io::Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let slow = !self.made.load(Ordering::SeqCst)
                && self.taken_before.fetch_add(1, Ordering::SeqCst) < PLAIN;
            let count = if slow { 1 } else { bytes.len() };
            if slow {
                std::thread::sleep(Duration::from_millis(10));
            }
            self.bytes.take(&bytes[..count]);
            Ok(count)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Storage for Slow {
        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    struct Made(Arc<AtomicBool>);
    impl Transport for Made {
        fn call<'a>(&self, _: &'static CallInfo, _: [Arg<'a>; 2]) -> Result<i64, TransportError> {
            self.0.store(true, Ordering::SeqCst);
            Ok(42)
        }
    }
    let folder = Folder::new("many");
    let (bytes, made) = (Bytes::default(), Arc::new(AtomicBool::new(false)));
    let taken_before = Arc::new(AtomicU32::new(0));
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .sync(SyncPolicy::EachCall)
        .patience(Duration::from_millis(100))
        .start(Slow {
            bytes: bytes.clone(),
            made: Arc::clone(&made),
            taken_before: Arc::clone(&taken_before),
        })
        .unwrap();
    let lane = recording.lane("main").unwrap();
    let client = Client::new(Recorder::new(Made(made), lane));
    assert_eq!(client.add(1, 2), Ok(42));
    // A hundred times the patience lies between the two.
    assert!(taken_before.load(Ordering::SeqCst) < PLAIN);
    // Nothing is missing for all that.
    let done = recording.finish();
    assert_eq!((done.calls, done.lost, done.complete), (1, 0, true));
    assert_eq!(calls(&bytes.trace()).len(), 1);
}

/// It holds what the memory of the machine did.
#[test]
#[cfg(unix)]
fn what_is_recorded_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("rights");
    let file = folder.file("run.hct");
    let recording = Recording::options(INTERFACES)
        .rings(folder.file("rings"))
        .create(&file)
        .unwrap();
    let _lane = recording.lane("main").unwrap();
    for (path, rights) in [
        (file, 0o600),
        (folder.file("rings"), 0o700),
        (folder.file("rings/lane-0.ring"), 0o600),
    ] {
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, rights, "{}", path.display());
    }
}

#[test]
fn a_file_that_is_there_is_named() {
    let folder = Folder::new("there");
    let file = folder.file("there.hct");
    std::fs::write(&file, "kept").unwrap();
    let error = Recording::options(INTERFACES).create(&file).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("there.hct: "), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
}

/// The drain is late for a while, and then is not.
#[test]
fn nothing_is_missing_when_a_storage_answers_late() {
    let folder = Folder::new("late");
    let bytes = Bytes::default();
    let (release, released) = channel::<()>();
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .patience(Duration::from_millis(1))
        .start(Told {
            bytes: bytes.clone(),
            write: move || {
                let _ = released.recv();
                Ok(())
            },
            sync: || Ok(()),
        })
        .unwrap();
    let client = client(recording.lane("main").unwrap());
    add(&client, CALLS);
    // Longer than anybody waits for it.
    std::thread::sleep(Duration::from_millis(100));
    drop(release);
    // All of it comes when the storage answers, as the file shows.
    until(|| {
        let trace = Trace::from_bytes(bytes.all()).ok()?;
        (calls(&trace).len() == CALLS as usize).then_some(())
    });
    drop(client);
    let done = recording.finish();
    assert!(done.failures > 0, "{done:?}");
    assert_eq!((done.calls, done.lost), (u64::from(CALLS), 0));
    let report = bytes.trace().verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
}

/// Looks until there is something, for a while: that it comes is promised, not when.
fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..3000 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not come");
}

/// The file of a process that is killed in its first second, and the ring alone.
#[test]
fn times_are_times_before_the_recording_ends() {
    static TICKS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let clock = ClockFn(|| TICKS.fetch_add(1000, std::sync::atomic::Ordering::Relaxed));
    let folder = Folder::new("times");
    let bytes = Bytes::default();
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .clock(clock, 0)
        .start(willing(&bytes))
        .unwrap();
    let client = client(recording.lane("main").unwrap());
    assert_eq!(client.add(1, 2), Ok(3));
    let file = until(|| {
        let trace = Trace::from_bytes(bytes.all()).ok()?;
        (trace.clock().last.frequency != 0).then_some(trace)
    });
    assert_eq!(file.clock().first.frequency, 0);
    assert_eq!(file.clock().frequency(), file.clock().last.frequency);
    // That of a lane that is made from now on says it from the start.
    let _later = recording.lane("later").unwrap();
    let later = Ring::open(find(&folder.0).unwrap().remove(1)).unwrap();
    assert_ne!(later.preamble.clock().frequency(), 0);
    let path = find(&folder.0).unwrap().remove(0);
    let ring = until(|| {
        let ring = Ring::open(path.clone()).unwrap();
        (ring.preamble.clock().frequency() != 0).then_some(ring)
    });
    let (alone, _) = recovered(None, &[ring]);
    assert!(alone.clock().nanoseconds(1_000_000).is_some());
    assert!(recording.finish().complete);
}
