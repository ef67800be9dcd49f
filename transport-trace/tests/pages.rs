//! Shared pages from the recorder to the replayer: what one look finds, changes that are large, late or missing.

mod replay_support;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};

use hypercall_core::acrn::*;
use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::{Client, SharedPage, Transport, TransportError};
use hypercall_trace::entry::{Entry, PageChange, When};
use hypercall_trace::read::Trace;
use hypercall_trace::record::{Full, Recorder, Recording, Storage};
use hypercall_trace::replay::{Cause, Recorded, Replayer};
use replay_support::{fresh, polled_life, record};

/// Answers every call with 0.
struct Nobody;
impl Transport for Nobody {
    fn call<'a>(&self, _: &'static CallInfo, _: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        Ok(0)
    }
}

/// A file in memory that can be held up.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>, Arc<Mutex<Vec<u8>>>);
impl Gate {
    fn hold(&self, closed: bool) {
        *self.0.0.lock().unwrap() = closed;
        self.0.1.notify_all();
    }
    fn recorded(&self) -> Recorded {
        Recorded::read(&Trace::from_bytes(self.1.lock().unwrap().clone()).unwrap()).unwrap()
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
impl Storage for Gate {
    fn sync(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn recording(gate: &Gate, ring: (usize, usize), full: Full) -> Recording {
    Recording::options(&[HypervisorCalls::INTERFACE])
        .ring(ring.0, ring.1)
        .full(full)
        .start(gate.clone())
        .unwrap()
}

fn word(page: &'static SharedPage, number: usize) -> u32 {
    page.words()[number].load(Ordering::Acquire)
}

fn fill(page: &'static SharedPage, with: u32) {
    for (word, number) in page.words().iter().zip(0..) {
        word.store(with + number, Ordering::Release);
    }
}

fn changes(recorded: &Recorded) -> Vec<&PageChange> {
    let changes = recorded.entries.iter().filter_map(|entry| match entry {
        Entry::Pages(change) => Some(change),
        _ => None,
    });
    changes.collect()
}

/// A look finds what changed in all pages; the next look finds what changed after that.
#[test]
fn one_look_shows_all_pages() {
    let gate = Gate::default();
    let recording = recording(&gate, (1 << 16, 4), Full::Block);
    let client = Client::new(Recorder::new(Nobody, recording.lane("main").unwrap()));
    let pages = [fresh(), fresh()];
    for page in pages {
        client.transport().watch(page).unwrap();
    }
    client.get_api_version().unwrap();
    for value in [1, 2] {
        pages[0].words()[5].store(value, Ordering::Release);
        pages[1].words()[6].store(value, Ordering::Release);
        client.transport().note_pages();
    }
    client.get_api_version().unwrap();
    recording.finish();
    let recorded = gate.recorded();
    let looks: Vec<_> = changes(&recorded)
        .iter()
        .map(|change| (change.page, change.look))
        .collect();
    assert_eq!(looks, [(0, 1), (1, 0), (0, 1), (1, 0)]);

    let replayer = Replayer::options().recorded(recorded).unwrap();
    let lane = replayer.lane("main");
    let client = Client::new(&lane);
    let pages = [fresh(), fresh()];
    for page in pages {
        lane.watch(page);
    }
    client.get_api_version().unwrap();
    for value in [1, 2] {
        lane.note_pages().unwrap();
        assert_eq!((word(pages[0], 5), word(pages[1], 6)), (value, value));
    }
    client.get_api_version().unwrap();
    replayer.finish().unwrap();
}

/// A page that changes as a whole does not fit a small ring's block: it is several records, which one look shows.
#[test]
fn a_large_change_is_several_records_of_one_look() {
    for blocks in [24, 16, 8, 2] {
        let gate = Gate::default();
        let recording = recording(&gate, (1 << 16, blocks), Full::Block);
        let client = Client::new(Recorder::new(Nobody, recording.lane("main").unwrap()));
        let page = fresh();
        client.transport().watch(page).unwrap();
        client.get_api_version().unwrap();
        client.transport().note_pages();
        for with in [1000, 5000] {
            fill(page, with);
            client.transport().note_pages();
        }
        client.get_api_version().unwrap();
        recording.finish();
        let recorded = gate.recorded();
        let parts = changes(&recorded);
        assert!(parts.iter().all(|part| !part.late));
        assert_eq!(parts.len() > 2, blocks > 2, "{blocks}: {}", parts.len());
        let bytes: usize = parts
            .iter()
            .flat_map(|part| &part.runs)
            .map(|run| run.after.len())
            .sum();
        assert_eq!(bytes, 2 * 4096);

        let replayer = Replayer::options().recorded(recorded).unwrap();
        let lane = replayer.lane("main");
        let client = Client::new(&lane);
        let page = fresh();
        lane.watch(page);
        client.get_api_version().unwrap();
        // The first look found nothing, and is recorded as that.
        lane.note_pages().unwrap();
        assert_eq!(word(page, 7), 0);
        for with in [1000, 5000] {
            lane.note_pages().unwrap();
            assert!(
                page.words()
                    .iter()
                    .zip(0..)
                    .all(|(word, number)| word.load(Ordering::Acquire) == with + number)
            );
        }
        client.get_api_version().unwrap();
        replayer.finish().unwrap();
    }
}

/// A change for which the ring had no room stands later than it came. That is a loss: replay does not cross it unless told.
#[test]
fn a_late_change_is_a_loss() {
    let gate = Gate::default();
    let recording = recording(&gate, (1 << 16, 4), Full::Drop);
    let client = Client::new(Recorder::new(Nobody, recording.lane("main").unwrap()));
    let page = fresh();
    client.transport().watch(page).unwrap();
    client.get_api_version().unwrap();
    gate.hold(true);
    for with in 0..20 {
        fill(page, with * 10_000);
        client.transport().note_pages();
    }
    gate.hold(false);
    // A change of a page fills a block here. A block leaves the ring once it is written, so that there is room when one behind it
    // is in the file.
    let written = || {
        let trace = Trace::from_bytes(gate.1.lock().unwrap().clone()).ok()?;
        Some(changes(&Recorded::read(&trace).unwrap()).len())
    };
    while written() < Some(2) {
        std::thread::yield_now();
    }
    client.transport().note_pages();
    client.get_api_version().unwrap();
    recording.finish();
    let recorded = gate.recorded();
    let late: Vec<_> = changes(&recorded)
        .iter()
        .map(|change| change.late)
        .collect();
    assert_eq!(late.iter().filter(|late| **late).count(), 1, "{late:?}");
    assert_eq!(late.last(), Some(&true));

    let run = |options: hypercall_trace::replay::Options| {
        let replayer = options.recorded(recorded.clone()).unwrap();
        let lane = replayer.lane("main");
        let client = Client::new(&lane);
        client.get_api_version().unwrap();
        let answer = client.get_api_version();
        (answer, replayer.divergence())
    };
    let (answer, divergence) = run(Replayer::options());
    answer.unwrap_err();
    let divergence = divergence.unwrap();
    assert!(
        matches!(&divergence.cause, Cause::Missing { count: 0, why } if why.contains("no room")),
        "{divergence}"
    );
    run(Replayer::options().cross_losses()).0.unwrap();
}

/// Where calls wait for room, changes do.
#[test]
fn a_change_waits_where_calls_do() {
    let gate = Gate::default();
    let recording = recording(&gate, (1 << 15, 8), Full::Block);
    let client = Client::new(Recorder::new(Nobody, recording.lane("main").unwrap()));
    let page = fresh();
    client.transport().watch(page).unwrap();
    gate.hold(true);
    let opener = gate.clone();
    let thread = std::thread::spawn(move || opener.hold(false));
    for with in 0..50 {
        fill(page, with * 10_000);
        client.transport().note_pages();
    }
    thread.join().unwrap();
    client.get_api_version().unwrap();
    recording.finish();
    let recorded = gate.recorded();
    assert!(changes(&recorded).iter().all(|change| !change.late));
    let looks = changes(&recorded)
        .iter()
        .filter(|change| change.look == 1)
        .count();
    assert_eq!(looks, 50, "every look found what was there");
}

/// A change that is not there is found by the one behind it.
#[test]
fn a_missing_change_is_found() {
    let mut recorded = record(&|world| drop(polled_life(world)));
    let notes: Vec<_> = recorded
        .entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| matches!(entry, Entry::Pages(change) if change.when == When::Note))
        .map(|(at, _)| at)
        .collect();
    recorded.entries.remove(notes[1]);
    let replayer = Replayer::options().recorded(recorded).unwrap();
    let lane = replayer.lane("main");
    let client = Client::new(&lane);
    let page = fresh();
    lane.watch(page);
    let vm = client
        .create_vm(&mut replay_support::creation("polled"))
        .unwrap();
    client.set_ioreq_buffer(vm, page.into()).unwrap();
    client
        .set_memory_regions(vm, &[replay_support::ram(0, 0x10_0000)])
        .unwrap();
    client.start_vm(vm).unwrap();
    lane.note_pages().unwrap();
    let completed = ioreq::IoReqPage::new(page)
        .claim()
        .unwrap()
        .complete()
        .unwrap();
    client.notify_request_finish(vm, completed.vcpu()).unwrap();
    client
        .notify_request_finish(vm, completed.vcpu())
        .unwrap_err();
    let told = replayer.divergence().unwrap();
    assert!(
        matches!(&told.cause, Cause::Missing { count: 0, why } if why.contains("starts from something else")),
        "{told}"
    );
}

/// The block that a call starts may be behind one that ends with what a look at its entry found.
#[test]
fn a_page_that_changed_before_a_call_comes_with_it_across_blocks() {
    use hypercall_core::call::Direction;
    use hypercall_trace::clock::ClockInfo;
    use hypercall_trace::entry::{
        After, Argument, Block, Call, Entry, Outcome, PageChange, Run, When,
    };
    use hypercall_trace::read::Trace;
    use hypercall_trace::schema::Schema;
    use hypercall_trace::write::{Options, Writer};

    let clock = ClockInfo::with_frequency(10);
    let options = Options {
        block: 1024,
        ..Options::default()
    };
    let mut writer = Writer::new(Vec::new(), &Schema::default(), clock, options).unwrap();
    let lane = writer.lane("main").unwrap();
    let mut written = Vec::new();
    for index in 0..3 {
        written.push(Entry::Pages(PageChange {
            lane,
            index,
            when: When::Enter,
            page: 0,
            ticks: 10 * index,
            look: 0,
            late: false,
            runs: vec![Run {
                offset: 8,
                before: vec![0; 4],
                after: vec![1; 4],
            }],
        }));
        written.push(Entry::Call(Call {
            lane,
            index,
            schema: None,
            number: 7,
            args: [
                Argument::Block(Block {
                    direction: Direction::Read,
                    before: vec![0; 800],
                    after: After::Unchanged,
                    length: 800,
                    link: None,
                }),
                Argument::Unused,
            ],
            enter: 10 * index,
            duration: Some(1),
            outcome: Outcome::Returned(0),
        }));
    }
    written.iter().for_each(|entry| writer.push(entry).unwrap());
    let trace = Trace::from_bytes(writer.finish().unwrap()).unwrap();
    let split = |block: &&hypercall_trace::read::BlockEntry| block.header.first_index == 1;
    let block = trace.data().find(split).unwrap();
    assert_eq!(block.first_position, 3, "the call starts a block");
    for index in 0..3 {
        let from: Vec<_> = trace.lane_entries_from(lane, index).collect();
        assert!(from == written[index as usize * 2..], "from {index}");
    }
}

/// The rule for a program that polls: where a look finds something, it notes once more and then acts. Another processor may
/// write between the note and the look.
#[test]
fn what_is_written_between_a_note_and_a_look_is_replayed() {
    /// Polls, and acts on what it finds. How often it looked.
    fn poll(page: &'static SharedPage, mut note: impl FnMut(), mut other: impl FnMut(u32)) -> u32 {
        for look in 1..100 {
            note();
            other(look);
            if word(page, 9) != 0 {
                note();
                return look;
            }
        }
        panic!("nothing came");
    }
    let gate = Gate::default();
    let recording = recording(&gate, (1 << 16, 4), Full::Block);
    let client = Client::new(Recorder::new(Nobody, recording.lane("main").unwrap()));
    let page = fresh();
    client.transport().watch(page).unwrap();
    let looks = poll(
        page,
        || client.transport().note_pages(),
        |look| {
            if look == 4 {
                page.words()[9].store(7, Ordering::Release);
            }
        },
    );
    assert_eq!(looks, 4);
    client.get_api_version().unwrap();
    recording.finish();

    let replayer = Replayer::options().recorded(gate.recorded()).unwrap();
    let lane = replayer.lane("main");
    let page = fresh();
    lane.watch(page);
    let looks = poll(page, || lane.note_pages().unwrap(), |_| {});
    assert_eq!(
        (looks, word(page, 9)),
        (5, 7),
        "at the look behind its note"
    );
    Client::new(&lane).get_api_version().unwrap();
    replayer.finish().unwrap();
}
