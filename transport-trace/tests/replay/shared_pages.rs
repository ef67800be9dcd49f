//! Shared pages on replay.

use hypercall_core::acrn::*;
use hypercall_core::{Client, SharedPage, SharedRef};
use hypercall_trace::entry::{Entry, LossCause, Lost};
use hypercall_trace::replay::{Cause, Mode, Replayer};

use super::replay_support::*;

#[test]
fn a_page_that_the_program_wrote_differently_diverges() {
    let recorded = record(&vm_life);
    let replayer = Replayer::options().recorded(recorded.clone()).unwrap();
    let lane = replayer.lane("main");
    let hypervisor = Client::new(&lane);
    let page = fresh();
    lane.watch(page);
    hypervisor.get_api_version().unwrap();
    let vm = hypervisor.create_vm(&mut creation("demo")).unwrap();
    hypervisor.start_vm(vm).unwrap_err();
    hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
    let state =
        |slot: usize| page.words()[slot * 64 + 34].load(std::sync::atomic::Ordering::Acquire);
    assert!(
        (0..16).all(|slot| state(slot) == 3),
        "what the hypervisor wrote is there"
    );
    hypervisor
        .set_memory_regions(vm, &[ram(0, 0x10_0000), ram(0x20_0000, 0x1000)])
        .unwrap();
    hypervisor.start_vm(vm).unwrap();
    assert_eq!(state(0), 3, "nothing is written before it was seen");
    lane.note_pages().unwrap();
    assert_eq!(state(0), 0, "the request is there");
    let claimed = ioreq::IoReqPage::new(page).claim().unwrap();
    let completed = claimed.complete_read(0x1d).unwrap();
    hypervisor
        .notify_request_finish(vm, completed.vcpu())
        .unwrap_err();
    let told = replayer.divergence().unwrap();
    assert_eq!(told.cause, Cause::Page { page: 0 });
    assert_eq!(
        (
            told.differences[0].expected.as_str(),
            told.differences[0].found.as_str()
        ),
        ("0x1c", "0x1d")
    );

    // Unless nobody wants to know.
    let replayer = Replayer::options()
        .unchecked_pages()
        .pages_ahead()
        .recorded(recorded)
        .unwrap();
    let lane = replayer.lane("main");
    let hypervisor = Client::new(&lane);
    let page = fresh();
    hypervisor.get_api_version().unwrap();
    let vm = hypervisor.create_vm(&mut creation("demo")).unwrap();
    hypervisor.start_vm(vm).unwrap_err();
    hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
    hypervisor
        .set_memory_regions(vm, &[ram(0, 0x10_0000), ram(0x20_0000, 0x1000)])
        .unwrap();
    hypervisor.start_vm(vm).unwrap();
    // The page was found by the call that handed it over, and what was noted is there without being asked for.
    for _ in 0..5 {
        let completed = ioreq::IoReqPage::new(page)
            .claim()
            .unwrap()
            .complete_read(0x77)
            .unwrap();
        hypervisor
            .notify_request_finish(vm, completed.vcpu())
            .unwrap();
    }
    hypervisor
        .inject_msi(
            vm,
            &MsiEntry::new(MsiAddress::to_apic(0), MsiData::vector_of(0x41)),
        )
        .unwrap();
}

/// A program that never looks by itself: what the hypervisor wrote meanwhile is there at the next call, as recorded.
#[test]
fn pages_are_written_at_the_call_where_nobody_looked() {
    let program = |world: &World| {
        let page = fresh();
        let port = world.lane("main");
        port.watch(page);
        let hypervisor = port.hypervisor();
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
        hypervisor
            .set_memory_regions(vm, &[ram(0, 0x4000)])
            .unwrap();
        hypervisor.start_vm(vm).unwrap();
        world.guest(|machine| {
            let access = hypercall_mock::fake::Access::PortWrite {
                port: 0x510,
                size: 4,
                value: 77,
            };
            machine.guest_access(vm, VcpuId::BSP, access).unwrap();
        });
        hypervisor.get_api_version().unwrap();
        assert_eq!(
            page.words()[88 / 4].load(std::sync::atomic::Ordering::Acquire),
            77
        );
        assert_eq!(
            page.words()[136 / 4].load(std::sync::atomic::Ordering::Acquire),
            0
        );
    };
    let recorded = record(&program);
    let (_, report) = replay(&program, &recorded, Replayer::options());
    assert!(report.is_clean(), "{report}");
}

/// A page that holds something of an earlier use is as good as a fresh one: what it held was not the recorded program's.
#[test]
fn a_used_page_is_as_good_as_a_fresh_one() {
    let page = fresh();
    let program = |world: &World| {
        let port = world.lane("main");
        port.watch(page);
        let hypervisor = port.hypervisor();
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
        hypervisor.pause_vm(vm).unwrap();
    };
    let recorded = record(&program);
    page.words()[700].store(0x55, std::sync::atomic::Ordering::Release);
    let (_, report) = replay(&program, &recorded, Replayer::options());
    assert!(report.is_clean(), "{report}");
    assert_eq!(
        page.words()[700].load(std::sync::atomic::Ordering::Acquire),
        0
    );
}

/// What the program saw before a call that a loose replay passes over is in the page all the same.
#[test]
fn pages_hold_what_was_seen_before_skipped_calls() {
    let recorded = record(&vm_life);
    let replayer = Replayer::options()
        .mode(Mode::Loose)
        .recorded(recorded)
        .unwrap();
    let lane = replayer.lane("main");
    let hypervisor = Client::new(&lane);
    let page = fresh();
    let word = |offset: usize| page.words()[offset / 4].load(std::sync::atomic::Ordering::Acquire);
    hypervisor.get_api_version().unwrap();
    let vm = hypervisor.create_vm(&mut creation("demo")).unwrap();
    hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
    // All five requests are passed over: the last one was for port 0x64, and was answered with 0x1c.
    hypervisor.pause_vm(vm).unwrap();
    assert_eq!((word(72), word(88)), (0x64, 0x1c));
    let report = replayer.report();
    assert_eq!(report.skipped.len(), 9, "{report}");
}

/// A device model that polls its page: it looks as `look` does, and serves one request.
fn poll_and_serve(
    hypervisor: &impl Hypervisor,
    page: &'static hypercall_core::SharedPage,
    look: &mut dyn FnMut(VmId) -> Result<(), hypercall_core::TransportError>,
) -> Result<(), Box<dyn std::error::Error>> {
    let vm = hypervisor.create_vm(&mut creation("one"))?;
    hypervisor.set_ioreq_buffer(vm, page.into())?;
    hypervisor.set_memory_regions(vm, &[ram(0, 0x4000)])?;
    hypervisor.start_vm(vm)?;
    let claimed = loop {
        look(vm)?;
        if let Some(claimed) = ioreq::IoReqPage::new(page).claim() {
            break claimed;
        }
    };
    let completed = claimed.complete().expect("it is ours");
    Ok(hypervisor.notify_request_finish(vm, completed.vcpu())?)
}

/// Records it with a guest that asks for something at the third look. The rule is to note once more before acting.
fn polled(notes: bool) -> hypercall_trace::replay::Recorded {
    record(&move |world: &World| {
        let page = fresh();
        let port = world.lane("main");
        port.watch(page);
        let mut looks = 0;
        poll_and_serve(&port.hypervisor(), page, &mut |vm| {
            looks += 1;
            port.look();
            if looks == 3 {
                world.guest(|machine| {
                    let access = hypercall_mock::fake::Access::PortWrite {
                        port: 0x510,
                        size: 4,
                        value: 77,
                    };
                    machine.guest_access(vm, VcpuId::BSP, access).unwrap();
                });
                if notes {
                    port.look();
                }
            }
            Ok(())
        })
        .unwrap();
    })
}

fn play(replayer: &Replayer) -> Result<(), Box<dyn std::error::Error>> {
    let lane = replayer.lane("main");
    let page = fresh();
    lane.watch(page);
    poll_and_serve(&Client::new(&lane), page, &mut |_| lane.note_pages())
}

#[test]
fn a_program_that_waits_for_what_no_look_found_is_told_so() {
    let replayer = Replayer::options().recorded(polled(true)).unwrap();
    play(&replayer).unwrap();
    replayer.finish().unwrap();

    // No limit ends what goes on; each ends what does not.
    for (options, limit) in [
        (Replayer::options().empty_looks(100), 100),
        (Replayer::options().at_first_look().empty_looks(100), 100),
        (Replayer::options().mode(Mode::Keyed).empty_looks(0), 0),
    ] {
        let replayer = options.recorded(polled(false)).unwrap();
        let error = play(&replayer).unwrap_err();
        assert!(error.to_string().contains("the program waits"), "{error}");
        let told = replayer.divergence().unwrap();
        assert_eq!(told.cause, Cause::Waits { looks: limit });
        assert_eq!((told.lane.as_str(), told.call), ("main", 4));
        assert!(
            told.next[0].text.contains("notify_request_finish"),
            "{told}"
        );
        assert!(told.to_string().contains("note_pages"), "{told}");
        let json = serde_json::to_value(&told).unwrap();
        assert_eq!(json["cause"]["kind"], "waits");
    }
}

/// Looks are counted in a row: a call in between, or something that was found, starts anew.
#[test]
fn looks_that_find_nothing_are_counted_from_the_last_call() {
    let replayer = Replayer::options()
        .empty_looks(3)
        .recorded(polled(true))
        .unwrap();
    let lane = replayer.lane("main");
    let hypervisor = Client::new(&lane);
    let page = fresh();
    let looks = |count: usize| (0..count).try_for_each(|_| lane.note_pages());
    looks(3).unwrap();
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    looks(3).unwrap();
    hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
    hypervisor
        .set_memory_regions(vm, &[ram(0, 0x4000)])
        .unwrap();
    hypervisor.start_vm(vm).unwrap();
    // Three looks until the request was there, and one that found it; then nothing more is to come.
    looks(4).unwrap();
    looks(3).unwrap();
    looks(1).unwrap_err();
    hypervisor.pause_vm(vm).unwrap_err();
}

/// What one lane does wrong ends the waiting of the others, whose pages nobody writes any more.
#[test]
fn a_look_tells_that_another_lane_left_the_trace() {
    let replayer = Replayer::options().recorded(polled(true)).unwrap();
    Client::new(replayer.lane("main"))
        .pause_vm(VmId(9))
        .unwrap_err();
    replayer.lane("main").note_pages().unwrap_err();
    let replayer = Replayer::options().recorded(polled(true)).unwrap();
    replayer.lane("elsewhere").note_pages().unwrap_err();
    assert!(matches!(
        replayer.divergence().unwrap().cause,
        Cause::NoLane { .. }
    ));
}

/// Whoever polls until another thread says stop is not cut, however often it looks meanwhile: it makes a last call or none.
#[test]
fn a_lane_that_polls_while_another_has_calls_to_come_does_not_leave_the_trace() {
    let recorded = record(&|world: &World| {
        let (main, model) = (world.lane("main"), world.lane("model"));
        let vm = main.hypervisor().create_vm(&mut creation("one")).unwrap();
        model.hypervisor().get_api_version().unwrap();
        main.hypervisor().pause_vm(vm).unwrap();
        main.hypervisor().destroy_vm(vm).unwrap();
    });
    for last_call in [false, true] {
        let replayer = Replayer::options().recorded(recorded.clone()).unwrap();
        let (main, model) = (replayer.lane("main"), replayer.lane("model"));
        let (hypervisor, served) = (Client::new(&main), Client::new(&model));
        let look = || (0..(1 << 20) + 2).try_for_each(|_| model.note_pages());
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        if !last_call {
            served.get_api_version().unwrap();
        }
        look().unwrap();
        hypervisor.pause_vm(vm).unwrap();
        look().unwrap();
        hypervisor.destroy_vm(vm).unwrap();
        model.note_pages().unwrap();
        if last_call {
            served.get_api_version().unwrap();
        }
        replayer.finish().unwrap();
    }

    // Where a limit was asked for it holds; a call of the other lane begins it anew.
    let replayer = Replayer::options()
        .empty_looks(3)
        .recorded(recorded)
        .unwrap();
    let (main, model) = (replayer.lane("main"), replayer.lane("model"));
    let looks = |count: usize| (0..count).try_for_each(|_| model.note_pages());
    looks(3).unwrap();
    Client::new(&main).create_vm(&mut creation("one")).unwrap();
    looks(3).unwrap();
    looks(1).unwrap_err();
    assert_eq!(
        replayer.divergence().unwrap().cause,
        Cause::Waits { looks: 3 }
    );
}

/// Whoever waits where calls are missing is told so: what it waits for may have come with one of them.
#[test]
fn a_program_that_waits_where_calls_are_missing_is_told_that() {
    for (count, expected) in [(3, Some(3)), (0, None)] {
        let mut recorded = polled(true);
        // All behind the start of the VM.
        let calls = |entry: &Entry| matches!(entry, Entry::Call(call) if call.index == 3);
        let start = recorded.entries.iter().position(calls).unwrap();
        recorded.entries.truncate(start + 1);
        recorded.entries.push(Entry::Lost(Lost {
            lane: 0,
            index: 4,
            count,
            cause: LossCause::RingFull,
            first: 0,
            last: 0,
        }));
        let replayer = Replayer::options()
            .empty_looks(5)
            .recorded(recorded)
            .unwrap();
        play(&replayer).unwrap_err();
        let told = replayer.divergence().unwrap();
        let missing = match &told.cause {
            Cause::Missing { count, .. } => Some(*count),
            Cause::MissingUnknown { .. } => None,
            other => panic!("{other}"),
        };
        assert_eq!(missing, expected, "{told}");
    }
}

/// Of several pages that a call hands over the trace knows the first one: the page behind it is not the one that was watched next.
#[test]
fn the_page_behind_one_that_is_handed_over_is_none_that_was_watched() {
    static RING: [SharedPage; 2] = [const { SharedPage::new() }; 2];
    let program = |world: &World| {
        let requests = fresh();
        let port = world.lane("main");
        port.watch(&RING[0]);
        port.watch(requests);
        let hypervisor = port.hypervisor();
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        hypervisor.set_ioreq_buffer(vm, requests.into()).unwrap();
        let ring = SharedRef::Pages(&RING);
        let _ = hypervisor.setup_sbuf(vm, PcpuId(0), SbufId::HVLOG, ring);
        hypervisor.start_vm(vm).unwrap();
        world.guest(|machine| {
            let access = hypercall_mock::fake::Access::PortRead {
                port: 0x60,
                size: 1,
            };
            machine.guest_access(vm, VcpuId::BSP, access).unwrap();
        });
        serve(&port, requests, vm).unwrap();
        let other = RING[1].words();
        assert!(
            other
                .iter()
                .all(|word| word.load(std::sync::atomic::Ordering::Acquire) == 0)
        );
    };
    let recorded = record(&program);
    let (again, report) = replay(&program, &recorded, Replayer::options());
    assert!(report.is_clean(), "{report}");
    assert_eq!(again.entries.len(), recorded.entries.len());
}
