//! Recording a replay gives the same trace, for a corpus of programs, many times, with several threads.

mod replay_support;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use hypercall_core::acrn::*;
use hypercall_core::{Gpa, Transport};
use hypercall_trace::canonical::canonical;
use hypercall_trace::diff::{Options as DiffOptions, diff};
use hypercall_trace::entry::{Entry, When};
use hypercall_trace::replay::{Recorded, Replayer};
use proptest::prelude::*;
use replay_support::*;

/// Records a program, replays it, records that: the same trace.
fn proves(name: &str, program: Program<'_>, times: usize) {
    let first = record(program);
    assert!(first.entries.len() > 2, "{name}");
    let known = canonical(&first);
    for _ in 0..times {
        let options = Replayer::options()
            .interface(HypervisorCalls::INTERFACE)
            .secret_key(KEY);
        let (again, report) = replay(program, &first, options);
        assert!(report.is_clean(), "{name}: {report}");
        same(name, &known, &canonical(&again));
    }
}

fn same(name: &str, one: &Recorded, other: &Recorded) {
    if one != other {
        let told = diff(one, other, DiffOptions::default());
        for (place, (one, other)) in one.entries.iter().zip(&other.entries).enumerate() {
            assert_eq!(one, other, "{name}: entry {place}; {told}");
        }
        assert_eq!(one.entries.len(), other.entries.len(), "{name}: {told}");
        assert_eq!(one, other, "{name}: {told}");
    }
}

#[test]
fn recording_a_replay_gives_the_same_trace() {
    for (name, program) in CORPUS {
        proves(name, program, 20);
    }
}

#[test]
fn canonical_is_a_fixed_point() {
    for (name, program) in CORPUS {
        let once = canonical(&record(program));
        assert_eq!(once, canonical(&once), "{name}");
    }
}

/// One step of a random program.
#[derive(Clone, Debug)]
enum Op {
    Create(u8),
    Start(u8),
    Pause(u8),
    Reset(u8),
    Destroy(u8),
    Page(u8),
    NoPage(u8),
    Regions(u8, Vec<(u8, u8, bool)>),
    Translate(u8, u8),
    Line(u8, u8),
    Monitor(u8),
    Version,
    Access(u8, u8),
    Serve(u8),
    Scribble(u8, u16, u32),
}

fn op() -> impl Strategy<Value = Op> {
    let vm = || 0..4_u8;
    let region = (0..8_u8, 0..4_u8, any::<bool>());
    prop_oneof![
        vm().prop_map(Op::Create),
        vm().prop_map(Op::Start),
        vm().prop_map(Op::Pause),
        vm().prop_map(Op::Reset),
        vm().prop_map(Op::Destroy),
        vm().prop_map(Op::Page),
        vm().prop_map(Op::NoPage),
        (vm(), prop::collection::vec(region, 0..5))
            .prop_map(|(vm, regions)| Op::Regions(vm, regions)),
        (vm(), any::<u8>()).prop_map(|(vm, at)| Op::Translate(vm, at)),
        (vm(), any::<u8>()).prop_map(|(vm, line)| Op::Line(vm, line)),
        vm().prop_map(Op::Monitor),
        Just(Op::Version),
        (vm(), any::<u8>()).prop_map(|(vm, port)| Op::Access(vm, port)),
        vm().prop_map(Op::Serve),
        (vm(), 0..1024_u16, any::<u32>()).prop_map(|(vm, at, word)| Op::Scribble(vm, at, word)),
    ]
}

/// Runs steps. Whatever is answered is used later on, so that a wrong answer shows.
fn steps(world: &World, lane: &str, ops: &[Op], transcript: &Mutex<Vec<String>>) {
    let port = world.lane(lane);
    let hypervisor = port.hypervisor();
    let pages = [(); 4].map(|()| fresh());
    pages.iter().for_each(|page| port.watch(page));
    const NONE: VmId = VmId(99);
    let mut vms = [NONE; 4];
    let at = |number: u8| usize::from(number);
    // Two VMs that run, so that what follows has something to do.
    let running = |vm| {
        [
            Op::Create(vm),
            Op::Page(vm),
            Op::Regions(vm, vec![(0, 2, true)]),
            Op::Start(vm),
        ]
    };
    let begin: Vec<Op> = running(0).into_iter().chain(running(1)).collect();
    for op in begin.iter().chain(ops) {
        let told = match op {
            Op::Create(vm) => {
                let made = hypervisor.create_vm(&mut creation(&format!("{lane}{vm}")));
                if let Ok(id) = made {
                    vms[at(*vm)] = id;
                }
                made.map(|_| ()).map_err(|error| error.to_string())
            }
            Op::Start(vm) => hypervisor
                .start_vm(vms[at(*vm)])
                .map_err(|error| error.to_string()),
            Op::Pause(vm) => hypervisor
                .pause_vm(vms[at(*vm)])
                .map_err(|error| error.to_string()),
            Op::Reset(vm) => hypervisor
                .reset_vm(vms[at(*vm)])
                .map_err(|error| error.to_string()),
            Op::Destroy(vm) => {
                let gone = hypervisor.destroy_vm(vms[at(*vm)]);
                if gone.is_ok() {
                    // Another lane may get the id.
                    vms[at(*vm)] = NONE;
                }
                gone.map_err(|error| error.to_string())
            }
            Op::Page(vm) => hypervisor
                .set_ioreq_buffer(vms[at(*vm)], pages[at(*vm)].into())
                .map_err(|error| error.to_string()),
            Op::NoPage(vm) => hypervisor
                .set_ioreq_buffer(vms[at(*vm)], Gpa(0xffff_0000_0000).into())
                .map_err(|error| error.to_string()),
            Op::Regions(vm, regions) => {
                let regions: Vec<_> = regions
                    .iter()
                    .map(|(gpa, pages, map)| {
                        let (gpa, size) = (u64::from(*gpa) * 0x1000, u64::from(*pages) * 0x1000);
                        if *map {
                            ram(gpa, size)
                        } else {
                            MemoryRegion::unmap(Gpa(gpa), size)
                        }
                    })
                    .collect();
                hypervisor
                    .set_memory_regions(vms[at(*vm)], &regions)
                    .map_err(|error| error.to_string())
            }
            Op::Translate(vm, gpa) => {
                let mut question = GpaToHpa::of(Gpa(u64::from(*gpa) * 0x100));
                hypervisor
                    .vm_gpa2hpa(vms[at(*vm)], &mut question)
                    .map(|_| ())
                    .map_err(|error| error.to_string())
            }
            Op::Line(vm, line) => {
                let line = IrqLine::new(Gsi(u32::from(*line)), IrqLineOp::HIGH);
                hypervisor
                    .set_irqline(vms[at(*vm)], line)
                    .map_err(|error| error.to_string())
            }
            Op::Monitor(vm) => {
                let mut monitor = hypercall_core::PageAligned(IntrMonitor::counters());
                hypervisor
                    .vm_intr_monitor(vms[at(*vm)], &mut monitor)
                    .map_err(|error| error.to_string())
            }
            Op::Version => hypervisor
                .get_api_version()
                .map(|_| ())
                .map_err(|error| error.to_string()),
            Op::Access(vm, number) => {
                let (page, vm) = (pages[at(*vm)], vms[at(*vm)]);
                let state = || page.words()[34].load(Ordering::Acquire);
                let came = world.event(lane, |machine| {
                    let before = state();
                    let port = u16::from(*number);
                    let access = hypercall_mock::fake::Access::PortRead { port, size: 1 };
                    let _ = machine.guest_access(vm, VcpuId::BSP, access);
                    state() != before
                });
                if came {
                    port.look();
                }
                Ok(())
            }
            Op::Serve(vm) => {
                let page = ioreq::IoReqPage::new(pages[at(*vm)]);
                match page.claim() {
                    Some(claimed) => {
                        let completed = claimed.complete().unwrap();
                        hypervisor
                            .notify_request_finish(vms[at(*vm)], completed.vcpu())
                            .map_err(|error| error.to_string())
                    }
                    None => Err("nothing waits".to_owned()),
                }
            }
            Op::Scribble(vm, word, value) => {
                // Where no request is: what the program writes there the hypervisor leaves.
                if word % 64 > 34 {
                    let word = &pages[at(*vm)].words()[usize::from(*word)];
                    word.store(*value, Ordering::Release);
                }
                hypervisor
                    .create_vcpu(vms[at(*vm)])
                    .map_err(|error| error.to_string())
            }
        };
        transcript
            .lock()
            .unwrap()
            .push(format!("{lane} {op:?}: {told:?}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_program_replays(ops in prop::collection::vec(op(), 0..60)) {
        let transcript = Mutex::new(Vec::new());
        let program = |world: &World| steps(world, "main", &ops, &transcript);
        let events = Arc::default();
        let first = record_with(&program, &events);
        let told = std::mem::take(&mut *transcript.lock().unwrap());
        let (again, report) = replay_with(&program, &first, Replayer::options(), &events);
        prop_assert!(report.is_clean(), "{report}");
        // The program saw the same, errors included.
        prop_assert_eq!(told, transcript.into_inner().unwrap());
        same("random", &canonical(&first), &canonical(&again));
    }

    #[test]
    fn any_programs_replay_beside_each_other(
        lanes in prop::collection::vec(prop::collection::vec(op(), 0..30), 2..4)
    ) {
        let program = |world: &World| {
            std::thread::scope(|scope| {
                for (number, ops) in lanes.iter().enumerate() {
                    scope.spawn(move || {
                        let transcript = Mutex::new(Vec::new());
                        steps(world, &format!("lane{number}"), ops, &transcript);
                    });
                }
            });
        };
        let events = Arc::default();
        let first = record_with(&program, &events);
        for _ in 0..3 {
            let (again, report) = replay_with(&program, &first, Replayer::options(), &events);
            prop_assert!(report.is_clean(), "{report}");
            same("random threads", &canonical(&first), &canonical(&again));
        }
    }
}

/// A program that polls sees each change at the same look as when it was recorded.
#[test]
fn a_polled_page_changes_at_the_same_look() {
    let seen = Mutex::new(Vec::new());
    let program = |world: &World| *seen.lock().unwrap() = polled_life(world);
    let first = record(&program);
    let told = std::mem::take(&mut *seen.lock().unwrap());
    // 1, 2, 3, 6, 301, 1 and 10 looks, and what each of them came with.
    assert_eq!(told.len(), 324 + 14 + 1);
    let counts: Vec<u64> = first
        .entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Pages(change) if change.when == When::Note => Some(change.look),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [1, 2, 3, 1, 3, 3, 301, 1, 10]);
    let (again, report) = replay(&program, &first, Replayer::options());
    assert!(report.is_clean(), "{report}");
    assert_eq!(told, *seen.lock().unwrap());
    same("polled", &canonical(&first), &canonical(&again));

    // Unless the program is not to wait.
    let (_, report) = replay(&program, &first, Replayer::options().at_first_look());
    let hasty = seen.lock().unwrap();
    assert!(hasty.len() < told.len(), "{report}");
}

/// The replayer is a transport of its own where there is one lane.
#[test]
fn a_single_lane_needs_no_name() {
    let first = record(&vm_life);
    let replayer = Replayer::options().recorded(first).unwrap();
    let transport: &dyn Transport = &replayer;
    hypercall_core::Client::new(transport)
        .get_api_version()
        .unwrap();
}

/// Numbers of watched pages are names too.
#[test]
fn the_order_of_watching_does_not_matter() {
    let program = |swapped: bool| {
        move |world: &World| {
            let (page, other) = (fresh(), fresh());
            let port = world.lane("main");
            let order = if swapped {
                [other, page]
            } else {
                [page, other]
            };
            order.into_iter().for_each(|page| port.watch(page));
            let hypervisor = port.hypervisor();
            let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
            hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
            hypervisor.set_ioreq_buffer(vm, other.into()).unwrap();
        }
    };
    let (one, swapped) = (record(&program(false)), record(&program(true)));
    assert_ne!(one.entries.len(), 0);
    same("watching", &canonical(&one), &canonical(&swapped));
}
