//! The rules of a VM's life, and the state that a trace tells of.

mod replay_support;

use std::collections::BTreeSet;

use hypercall_core::acrn::*;
use hypercall_core::{Gpa, Hpa, PageAligned};
use hypercall_mock::fake::Access;
use hypercall_trace::check::{Checker, Finding, Rule, Severity, check};
use hypercall_trace::entry::{
    After, Argument, Damaged, Defect, Entry, Failure, LossCause, Lost, Outcome, Unknown,
};
use hypercall_trace::gen_test::GenTest;
use hypercall_trace::replay::Recorded;
use hypercall_trace::state::{Device, Memory, VmState, state_at};
use replay_support::*;

fn rules(recorded: &Recorded) -> Vec<Rule> {
    check(recorded)
        .into_iter()
        .map(|finding| finding.rule)
        .collect()
}

fn of(program: Program<'_>) -> Vec<Finding> {
    check(&record(program))
}

/// The findings of a program that runs one VM of its own.
fn with_vm(does: impl Fn(&World, &Port, VmId) + Sync) -> Vec<Rule> {
    let program = |world: &World| {
        let port = world.lane("main");
        let vm = port.hypervisor().create_vm(&mut creation("one")).unwrap();
        does(world, &port, vm);
    };
    of(&program)
        .into_iter()
        .map(|finding| finding.rule)
        .collect()
}

#[test]
fn a_life_without_fault_is_clean() {
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
        for port_number in 0..3 {
            world.guest(|machine| {
                let access = Access::PortRead {
                    port: port_number,
                    size: 1,
                };
                machine.guest_access(vm, VcpuId::BSP, access).unwrap();
            });
            serve(&port, page, vm).unwrap();
        }
        hypervisor.pause_vm(vm).unwrap();
        hypervisor.destroy_vm(vm).unwrap();
    };
    assert_eq!(of(&program), []);
    // Threads beside each other are no fault either.
    assert_eq!(rules(&record(&threads)), []);
}

#[test]
fn a_start_too_early() {
    let findings = of(&vm_life);
    let [finding] = findings.as_slice() else {
        panic!("{findings:?}")
    };
    assert_eq!(finding.rule, Rule::StartWithoutRequestPage);
    assert_eq!(finding.severity, Severity::Error);
    assert_eq!((finding.at.lane.as_str(), finding.at.index), ("main", 2));
    assert!(finding.advice.contains("set_ioreq_buffer"));
    assert!(
        finding.to_string().starts_with("error at main#2"),
        "{finding}"
    );
    let json = serde_json::to_value(finding).unwrap();
    assert_eq!(json["rule"], "start_without_request_page");
}

#[test]
fn each_rule_is_found() {
    use Rule::*;
    let page = |port: &Port, vm| {
        let page = fresh();
        port.watch(page);
        port.hypervisor().set_ioreq_buffer(vm, page.into()).unwrap();
    };
    let found = with_vm(|_, port, vm| {
        page(port, vm);
        port.hypervisor().start_vm(vm).unwrap();
        port.hypervisor().start_vm(vm).unwrap_err();
    });
    assert_eq!(found, [StartedTwice, VmNotDestroyed]);

    let found = with_vm(|_, port, vm| {
        port.hypervisor().pause_vm(vm).unwrap();
        port.hypervisor().destroy_vm(vm).unwrap();
        port.hypervisor().pause_vm(vm).unwrap_err();
        // A creation under that id is a new VM.
        port.hypervisor().create_vm(&mut creation("two")).unwrap();
        port.hypervisor().pause_vm(vm).unwrap();
    });
    assert_eq!(found, [UsedAfterDestroy, VmNotDestroyed]);

    let found = with_vm(|_, port, vm| {
        port.hypervisor().destroy_vm(vm).unwrap_err();
        port.hypervisor().reset_vm(vm).unwrap_err();
    });
    assert_eq!(found, [WrongState, WrongState, VmNotDestroyed]);

    let found = with_vm(|_, port, vm| {
        let vdev = VirtualDevice::new(VdevId::ROOT_PORT, Bdf::new(0, 5, 0));
        port.hypervisor().add_vdev(vm, &vdev).unwrap();
        port.hypervisor().pause_vm(vm).unwrap();
        port.hypervisor().destroy_vm(vm).unwrap();
    });
    assert_eq!(found, [DeviceNotGivenBack]);
    let found = with_vm(|_, port, vm| {
        let uart = MmioDevice::new(
            *b"UART\0\0\0\0",
            MmioResource::new(Gpa(0xf000_0000), Hpa(0x3000_0000), 0x1000),
        );
        port.hypervisor().assign_mmiodev(vm, &uart).unwrap();
        port.hypervisor().deassign_mmiodev(vm, &uart).unwrap();
        port.hypervisor().pause_vm(vm).unwrap();
        port.hypervisor().destroy_vm(vm).unwrap();
    });
    assert_eq!(found, []);

    let found = with_vm(|_, port, vm| {
        let page = fresh();
        port.watch(page);
        let other = port.hypervisor().create_vm(&mut creation("two")).unwrap();
        port.hypervisor().set_ioreq_buffer(vm, page.into()).unwrap();
        // The same again is no fault.
        port.hypervisor().set_ioreq_buffer(vm, page.into()).unwrap();
        port.hypervisor()
            .set_ioreq_buffer(other, page.into())
            .unwrap();
    });
    assert_eq!(found, [PageGivenTwice, VmNotDestroyed, VmNotDestroyed]);

    let found = with_vm(|_, port, vm| {
        page(port, vm);
        port.hypervisor().start_vm(vm).unwrap();
        port.hypervisor()
            .notify_request_finish(vm, VcpuId::BSP)
            .unwrap();
    });
    assert_eq!(found, [NotifyWithoutRequest, VmNotDestroyed]);

    let found = with_vm(|_, port, vm| {
        port.hypervisor()
            .asyncio_assign(vm, &AsyncIoInfo::port(0x600, 7))
            .unwrap_err();
    });
    assert_eq!(found, [NoAnswer, CrashesHypervisor, VmNotDestroyed]);

    let found = with_vm(|_, port, vm| {
        let mut monitor = PageAligned(IntrMonitor {
            buf_cnt: 1,
            ..IntrMonitor::counters()
        });
        let _ = port.hypervisor().vm_intr_monitor(vm, &mut monitor);
    });
    assert!(found.contains(&WritesBeyondBuffer), "{found:?}");

    let found = with_vm(|_, port, _| {
        let own = MemoryRegion::unmap(Gpa(0x300_0000), 0x1000);
        port.hypervisor()
            .set_memory_regions(VmId::SERVICE_VM, &[own])
            .unwrap();
        port.hypervisor().pause_vm(VmId::SERVICE_VM).unwrap_err();
    });
    assert_eq!(found, [OwnMemory, NoAnswer, StopsCaller, VmNotDestroyed]);

    let found = with_vm(|_, port, vm| {
        let hypervisor = port.hypervisor();
        hypervisor
            .set_memory_regions(vm, &[ram(0, 0x4000)])
            .unwrap();
        hypervisor
            .set_memory_regions(vm, &[ram(0x3000, 0x2000)])
            .unwrap();
        let modify = MemoryRegion {
            kind: MemoryRegionKind::MODIFY,
            ..ram(0, 0x1000)
        };
        hypervisor.set_memory_regions(vm, &[modify]).unwrap();
        hypervisor
            .set_memory_regions(vm, &[MemoryRegion::unmap(Gpa(0x8000), 0x1000)])
            .unwrap_err();
    });
    assert_eq!(
        found,
        [MappedTwice, UnmapsInstead, UnmapsNothing, VmNotDestroyed]
    );
    // Regions of one call find what those before them left, and those before a refused one stay.
    let found = with_vm(|_, port, vm| {
        let hypervisor = port.hypervisor();
        hypervisor
            .set_memory_regions(vm, &[ram(0, 0x4000)])
            .unwrap();
        let unmap = |at, size| MemoryRegion::unmap(Gpa(at), size);
        hypervisor
            .set_memory_regions(vm, &[unmap(0, 0x4000), ram(0, 0x1000), ram(0x1000, 0x1000)])
            .unwrap();
        hypervisor
            .set_memory_regions(vm, &[unmap(0, 0x1000), ram(0x2000, 12)])
            .unwrap_err();
        hypervisor
            .set_memory_regions(vm, &[ram(0, 0x1000)])
            .unwrap();
        // Which of the two was refused nobody can say.
        hypervisor
            .set_memory_regions(vm, &[ram(0x8000, 0x1000), ram(0x9000, 12)])
            .unwrap_err();
        hypervisor
            .set_memory_regions(vm, &[unmap(0x8000, 0x1000)])
            .unwrap();
    });
    assert_eq!(found, [VmNotDestroyed]);

    let found = with_vm(|_, port, _| {
        port.hypervisor()
            .create_vm(&mut creation("one"))
            .unwrap_err();
    });
    assert_eq!(found, [NameLost, VmNotDestroyed]);

    let found = with_vm(|_, port, _| {
        let mut none = VmCreation::new("none".try_into().unwrap());
        let vm = port.hypervisor().create_vm(&mut none).unwrap();
        page(port, vm);
        port.hypervisor().start_vm(vm).unwrap_err();
    });
    assert_eq!(found, [NoAnswer, NoVcpu, VmNotDestroyed, VmNotDestroyed]);
}

/// What comes near each rule and is right.
#[test]
fn what_is_right_is_not_blamed() {
    let found = with_vm(|world, port, vm| {
        let h = port.hypervisor();
        let (page, ring) = (fresh(), fresh());
        port.watch(page);
        let header = SharedBufferHeader::for_memory(4096, 8).unwrap();
        ring.write(0, zerocopy::IntoBytes::as_bytes(&header))
            .unwrap();
        // An address is assigned where there is a ring.
        h.setup_sbuf(vm, PcpuId(0), SbufId::ASYNCIO, ring.into())
            .unwrap();
        h.asyncio_assign(vm, &AsyncIoInfo::port(0x600, 7)).unwrap();
        h.asyncio_deassign(vm, &AsyncIoInfo::port(0x600, 7))
            .unwrap();
        // Counters with room for them.
        h.vm_intr_monitor(vm, &mut PageAligned(IntrMonitor::counters()))
            .unwrap();
        // Memory beside memory; a part of it given back, and mapped again.
        h.set_memory_regions(vm, &[ram(0, 0x2000)]).unwrap();
        h.set_memory_regions(vm, &[ram(0x2000, 0x2000)]).unwrap();
        h.set_memory_regions(vm, &[MemoryRegion::unmap(Gpa(0x1000), 0x2000)])
            .unwrap();
        h.set_memory_regions(vm, &[ram(0x1000, 0x2000)]).unwrap();
        h.write_protect_page(vm, &WriteProtect::protect(Gpa(0x1000)))
            .unwrap();
        // A name of nobody is refused.
        let refused = creation("other").with_flags(VmFlags::LAPIC_PASSTHROUGH);
        h.create_vm(&mut { refused }).unwrap_err();
        // A request is answered, and then the hypervisor is told.
        h.set_ioreq_buffer(vm, page.into()).unwrap();
        h.start_vm(vm).unwrap();
        world.guest(|machine| {
            let access = hypercall_mock::fake::Access::PortWrite {
                port: 0x70,
                size: 1,
                value: 1,
            };
            machine.guest_access(vm, VcpuId::BSP, access).unwrap();
        });
        serve(port, page, vm).unwrap();
        // Paused, begun anew, started again.
        h.pause_vm(vm).unwrap();
        h.reset_vm(vm).unwrap();
        h.start_vm(vm).unwrap();
        h.pause_vm(vm).unwrap();
        h.destroy_vm(vm).unwrap();
        // The page is free, the id is another VM's, and the name too.
        let again = h.create_vm(&mut creation("one")).unwrap();
        h.set_ioreq_buffer(again, page.into()).unwrap();
        h.start_vm(again).unwrap();
        h.pause_vm(again).unwrap();
        h.destroy_vm(again).unwrap();
    });
    assert_eq!(found, []);
}

#[test]
fn what_is_not_seen_is_not_blamed() {
    // From the middle on: the VM has a page that the trace does not show.
    let mut recorded = record(&vm_life);
    recorded.entries.retain(|entry| match entry {
        Entry::Call(call) => call.index > 4,
        Entry::Pages(change) => change.index > 4,
        _ => false,
    });
    assert_eq!(rules(&recorded), []);

    // Behind a loss.
    let mut recorded = record(&vm_life);
    let lost = Lost {
        lane: 0,
        index: 3,
        count: 2,
        cause: LossCause::RingFull,
        first: 0,
        last: 0,
    };
    recorded.entries.retain(|entry| match entry {
        Entry::Call(call) => !(2..=4).contains(&call.index),
        Entry::Pages(_) => false,
        _ => true,
    });
    recorded.entries.insert(2, Entry::Lost(lost));
    assert_eq!(rules(&recorded), [Rule::CallsMissing]);
}

#[test]
fn ends_of_the_machine_are_found() {
    let mut recorded = record(&vm_life);
    if let Some(Entry::Call(call)) = recorded.entries.last_mut() {
        call.outcome = Outcome::Unfinished;
    }
    assert!(rules(&recorded).contains(&Rule::NeverReturned));
    if let Some(Entry::Call(call)) = recorded.entries.last_mut() {
        call.outcome = Outcome::Failed(Failure::Crashed("page fault".to_owned()));
    }
    assert!(rules(&recorded).contains(&Rule::NoAnswer));
}

#[test]
fn the_state_at_each_point() {
    let program = |world: &World| {
        let page = fresh();
        let port = world.lane("main");
        port.watch(page);
        let hypervisor = port.hypervisor();
        hypervisor.set_callback_vector(Vector(0xf4)).unwrap();
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        hypervisor
            .set_memory_regions(
                vm,
                &[ram(0, 0x4000), ram(0x4000, 0x1000), ram(0x9000, 0x1000)],
            )
            .unwrap();
        hypervisor
            .set_memory_regions(vm, &[MemoryRegion::unmap(Gpa(0x1000), 0x1000)])
            .unwrap();
        let vdev = VirtualDevice::new(VdevId::ROOT_PORT, Bdf::new(0, 5, 0));
        hypervisor.add_vdev(vm, &vdev).unwrap();
        let uart = MmioDevice::new(
            *b"UART\0\0\0\0",
            MmioResource::new(Gpa(0xf000_0000), Hpa(0x3000_0000), 0x1000),
        );
        hypervisor.assign_mmiodev(vm, &uart).unwrap();
        hypervisor
            .write_protect_page(vm, &WriteProtect::protect(Gpa(0x2000)))
            .unwrap();
        hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
        hypervisor.start_vm(vm).unwrap();
        hypervisor.pause_vm(vm).unwrap();
        hypervisor.reset_vm(vm).unwrap();
        hypervisor.pause_vm(vm).unwrap();
        hypervisor.destroy_vm(vm).unwrap();
    };
    let recorded = record(&program);
    let after = |name: &str, count: usize| {
        let mut seen = 0;
        let at = recorded.entries.iter().position(|entry| {
            seen += usize::from(matches!(entry, Entry::Call(call) if call.name() == name));
            seen == count
        });
        state_at(&recorded, at.unwrap() as u64)
    };
    let only = |machine: hypercall_trace::state::Machine| machine.vms.into_values().next().unwrap();
    assert!(after("set_callback_vector", 1).vms.is_empty());
    assert_eq!(after("create_vm", 1).upcall_vector, Some(0xf4));
    let vm = only(after("create_vm", 1));
    assert_eq!(
        (vm.name.as_deref(), vm.state, vm.vcpus),
        (Some("one"), VmState::Created, Some(1))
    );
    let vm = only(after("set_memory_regions", 1));
    let ranges: Vec<_> = vm
        .regions
        .iter()
        .map(|region| (region.gpa, region.from, region.size))
        .collect();
    assert_eq!(
        ranges,
        [(0, 0x400_0000, 0x5000), (0x9000, 0x400_9000, 0x1000)]
    );
    let vm = only(after("set_memory_regions", 2));
    let ranges: Vec<_> = vm
        .regions
        .iter()
        .map(|region| (region.gpa, region.from, region.size))
        .collect();
    assert_eq!(
        ranges,
        [
            (0, 0x400_0000, 0x1000),
            (0x2000, 0x400_2000, 0x3000),
            (0x9000, 0x400_9000, 0x1000)
        ]
    );
    let vm = only(after("start_vm", 1));
    assert_eq!(vm.state, VmState::Running);
    assert_eq!(
        vm.request_page,
        Some(Memory::Page {
            lane: "main".to_owned(),
            number: 0
        })
    );
    assert_eq!(vm.protected, [0x2000]);
    let [
        Device::Virtual {
            vendor: 0x8086,
            slot: 0x28,
            ..
        },
        Device::Mmio {
            name,
            host: 0x3000_0000,
        },
    ] = vm.devices.as_slice()
    else {
        panic!("{vm}")
    };
    assert_eq!(name, "UART");
    let text = vm.to_string();
    assert!(
        text.contains("emulated device 8086:9d14 at 00:05.0"),
        "{text}"
    );
    assert_eq!(only(after("pause_vm", 1)).state, VmState::Paused);
    assert_eq!(only(after("reset_vm", 1)).state, VmState::Created);
    let end = after("destroy_vm", 1);
    assert!(end.vms.is_empty());
    assert_eq!(end.destroyed.len(), 1);
    serde_json::to_string(&end).unwrap();
}

/// The pages of a range.
fn pages_of_range(gpa: u64, size: u64) -> impl Iterator<Item = u64> {
    (gpa..gpa + size).step_by(0x1000)
}

/// The trace's state agrees with the fake's, whatever a program does.
#[test]
fn the_state_is_the_machines() {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};
    let steps = prop::collection::vec((0..12_u8, 0..3_u8, 0..6_u8, 0..4_u8), 0..50);
    TestRunner::new(Config {
        cases: 64,
        ..Config::default()
    })
    .run(&steps, |steps| {
        let seen = std::sync::Mutex::new(None);
        let program = |world: &World| {
            let port = world.lane("main");
            let hypervisor = port.hypervisor();
            let pages = [(); 3].map(|()| fresh());
            let mut vms = [VmId(9); 3];
            for (what, vm, at, pages_of) in &steps {
                let number = usize::from(*vm);
                let id = vms[number];
                let region = ram(u64::from(*at) * 0x1000, u64::from(*pages_of) * 0x1000);
                let _ = match what {
                    0 | 1 => hypervisor
                        .create_vm(&mut creation(&format!("vm{vm}")))
                        .map(|id| vms[number] = id),
                    2 => hypervisor.start_vm(id),
                    3 => hypervisor.pause_vm(id),
                    4 => hypervisor.reset_vm(id),
                    5 => hypervisor.destroy_vm(id),
                    6 => hypervisor.set_ioreq_buffer(id, pages[number].into()),
                    7 => hypervisor.set_memory_regions(id, &[region]),
                    // Addresses inside a page are rounded up; a page without rights is none.
                    8 => hypervisor.set_memory_regions(
                        id,
                        &[MemoryRegion {
                            gpa: Gpa(region.gpa.0 + 5),
                            service_vm_gpa: Gpa(0x500_0001),
                            prot: if *pages_of == 2 {
                                MemoryProt::WB
                            } else {
                                MemoryProt::READ
                            },
                            ..region
                        }],
                    ),
                    // Fails in the middle: what unmaps is refused where nothing is.
                    9 => hypervisor.set_memory_regions(
                        id,
                        &[
                            MemoryRegion::unmap(Gpa(u64::from(*pages_of) * 0x1000), 0x1000),
                            MemoryRegion::unmap(region.gpa, region.size),
                            MemoryRegion::unmap(Gpa(0), 0x1000),
                        ],
                    ),
                    10 => hypervisor.set_memory_regions(
                        id,
                        &[
                            MemoryRegion::unmap(region.gpa, region.size),
                            ram(region.gpa.0, 0x2000),
                            ram(0x7000, 0x1000),
                        ],
                    ),
                    _ => hypervisor
                        .set_memory_regions(id, &[MemoryRegion::unmap(region.gpa, region.size)]),
                };
            }
            world.guest(|machine| {
                let mut all = Vec::new();
                for id in machine.vms().into_iter().filter(|id| id.0 != 0) {
                    let maps: BTreeSet<_> = machine
                        .mappings(id)
                        .into_iter()
                        // The page of the APIC is the hypervisor's own.
                        .filter(|map| map.gpa.0 < 0x10_0000)
                        .flat_map(|map| pages_of_range(map.gpa.0, map.size))
                        .collect();
                    let has_page = machine.vm(id).unwrap().request_page.is_some();
                    all.push((id.0, format!("{:?}", machine.state(id)), has_page, maps));
                }
                *seen.lock().unwrap() = Some(all);
            });
        };
        let recorded = record(&program);
        let machine = state_at(&recorded, u64::MAX);
        prop_assert!(machine.vms.values().all(|vm| !vm.regions_uncertain));
        let told: Vec<_> = machine
            .vms
            .iter()
            .filter(|(_, vm)| vm.created.is_some())
            .map(|(id, vm)| {
                let maps: BTreeSet<_> = vm
                    .regions
                    .iter()
                    .flat_map(|region| pages_of_range(region.gpa, region.size))
                    .collect();
                (
                    *id,
                    format!("{:?}", vm.state),
                    vm.request_page.is_some(),
                    maps,
                )
            })
            .collect();
        prop_assert_eq!(told, seen.into_inner().unwrap().unwrap());
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_stream_is_checked_as_a_whole() {
    let recorded = record(&answers);
    let mut checker = Checker::new();
    for (position, entry) in (0..).zip(&recorded.entries) {
        checker.take(position, "main", entry);
    }
    assert_eq!(checker.finish().findings, check(&recorded));
}

fn lost(lane: u32, index: u64, ticks: u64) -> Entry {
    Entry::Lost(Lost {
        lane,
        index,
        count: 1,
        cause: LossCause::RingFull,
        first: ticks,
        last: ticks,
    })
}

/// The calls of this name as a loss.
fn without(mut recorded: Recorded, name: &str) -> Recorded {
    for entry in &mut recorded.entries {
        if let Entry::Call(call) = entry
            && call.name() == name
        {
            *entry = lost(call.lane, call.index, call.enter);
        }
    }
    recorded
}

#[test]
fn behind_missing_calls_only_what_is_certain_is_found() {
    // The second creation takes the id of the first VM.
    let twice = |world: &World| {
        let hypervisor_of = world.lane("main");
        let hypervisor = hypervisor_of.hypervisor();
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        hypervisor.pause_vm(vm).unwrap();
        hypervisor.destroy_vm(vm).unwrap();
        let again = hypervisor.create_vm(&mut creation("two")).unwrap();
        assert_eq!(again, vm);
        hypervisor.set_ioreq_buffer(again, fresh().into()).unwrap();
        hypervisor.start_vm(again).unwrap();
    };
    let mut recorded = record(&twice);
    assert_eq!(rules(&recorded), [Rule::VmNotDestroyed]);
    let second = recorded
        .entries
        .iter()
        .rposition(|entry| matches!(entry, Entry::Call(call) if call.name() == "create_vm"))
        .unwrap();
    let Entry::Call(call) = recorded.entries[second].clone() else {
        panic!("a call")
    };
    recorded.entries[second] = lost(call.lane, call.index, call.enter);
    assert_eq!(rules(&recorded), [Rule::CallsMissing]);

    // What is missing is the call that gave something back.
    let clean = |world: &World| {
        let port = world.lane("main");
        let hypervisor = port.hypervisor();
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        hypervisor
            .set_memory_regions(vm, &[ram(0, 0x4000)])
            .unwrap();
        hypervisor.pause_vm(vm).unwrap();
        hypervisor.destroy_vm(vm).unwrap();
        // The last VM is there from its creation on, and stays.
        hypervisor.create_vm(&mut creation("last")).unwrap();
    };
    let recorded = record(&clean);
    assert_eq!(rules(&recorded), [Rule::VmNotDestroyed]);
    let found = check(&without(recorded, "destroy_vm"));
    let [missing, left] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(missing.rule, Rule::CallsMissing);
    assert_eq!(left.rule, Rule::VmNotDestroyed);
    assert!(left.message.contains("\"last\""), "{left}");
    // At the end of its lane nobody knows what the missing calls did.
    let mut cut = record(&clean);
    let end = cut.entries.len() as u64;
    cut.entries.push(lost(0, end, u64::MAX));
    assert_eq!(rules(&cut), [Rule::CallsMissing]);
}

/// What a program acted on and no look had found stands in no trace: a replay could not show it.
#[test]
fn an_answer_to_a_request_that_no_look_found_is_told() {
    use hypercall_core::acrn::ioreq::IoReqPage;
    // Serves two requests, one after the other. Those for which it looks as the rule says.
    let serve = |looks: &'static [u32]| {
        with_vm(move |world, port, vm| {
            let page = fresh();
            port.watch(page);
            port.hypervisor().set_ioreq_buffer(vm, page.into()).unwrap();
            port.hypervisor().start_vm(vm).unwrap();
            for request in 0..2 {
                world.guest(|machine| {
                    let access = Access::PortRead {
                        port: 0x64,
                        size: 1,
                    };
                    machine.guest_access(vm, VcpuId::BSP, access).unwrap();
                });
                if looks.contains(&request) {
                    port.look();
                }
                let claimed = IoReqPage::new(page).claim().unwrap();
                let completed = claimed.complete_read(1).unwrap();
                // A call in between does not change what the program did.
                port.hypervisor().get_api_version().unwrap();
                port.hypervisor()
                    .notify_request_finish(vm, completed.vcpu())
                    .unwrap();
            }
            port.hypervisor().pause_vm(vm).unwrap();
            port.hypervisor().destroy_vm(vm).unwrap();
        })
    };
    assert_eq!(serve(&[0, 1]), []);
    assert_eq!(serve(&[0]), [Rule::LookNotNoted]);
    assert_eq!(serve(&[1]), [Rule::LookNotNoted]);
    assert_eq!(serve(&[]), [Rule::LookNotNoted, Rule::LookNotNoted]);
}

/// A thread of its own may find the requests, and another one notify: its lane has the looks.
#[test]
fn a_request_that_another_lane_found_is_not_blamed() {
    use hypercall_core::acrn::ioreq::IoReqPage;
    let serve = |looks: bool| {
        with_vm(move |world, port, vm| {
            let worker = world.lane("worker");
            let page = fresh();
            port.watch(page);
            worker.watch(page);
            port.hypervisor().set_ioreq_buffer(vm, page.into()).unwrap();
            port.hypervisor().start_vm(vm).unwrap();
            for _ in 0..2 {
                world.guest(|machine| {
                    let access = Access::PortRead {
                        port: 0x64,
                        size: 1,
                    };
                    machine.guest_access(vm, VcpuId::BSP, access).unwrap();
                });
                if looks {
                    worker.look();
                }
                let claimed = IoReqPage::new(page).claim().unwrap();
                let completed = claimed.complete_read(1).unwrap();
                port.hypervisor()
                    .notify_request_finish(vm, completed.vcpu())
                    .unwrap();
            }
            port.hypervisor().pause_vm(vm).unwrap();
            port.hypervisor().destroy_vm(vm).unwrap();
        })
    };
    assert_eq!(serve(true), []);
    assert_eq!(serve(false), [Rule::LookNotNoted, Rule::LookNotNoted]);
}

/// Where the hypervisor polls, no call tells that a request was answered: the next look shows it.
#[test]
fn an_answer_that_no_look_found_is_told_where_the_hypervisor_polls() {
    use hypercall_core::acrn::ioreq::IoReqPage;
    #[derive(Clone, Copy, PartialEq)]
    enum Look {
        /// Before the request is served, and behind it.
        Both,
        /// Behind it only.
        Behind,
        /// In the middle: as a device model looks behind a driver that takes requests for it.
        Between,
    }
    // Serves requests one after the other; the second one may come while the first one's answer still stands.
    let serve = |looks: &'static [Look], driver: bool| {
        let program = |world: &World| {
            let port = world.lane("main");
            let page = fresh();
            port.watch(page);
            let polls = creation("one").with_flags(VmFlags::IO_COMPLETION_POLLING);
            let vm = port.hypervisor().create_vm(&mut polls.clone()).unwrap();
            port.hypervisor().set_ioreq_buffer(vm, page.into()).unwrap();
            port.hypervisor().start_vm(vm).unwrap();
            for (number, look) in (0x60..).zip(looks) {
                world.guest(|machine| {
                    let access = Access::PortRead {
                        port: number,
                        size: 1,
                    };
                    // That the answer before was taken is seen here, and by no look.
                    let _ = machine.guest_outcome(vm, VcpuId::BSP);
                    machine.guest_access(vm, VcpuId::BSP, access).unwrap();
                });
                if *look == Look::Both {
                    port.look();
                }
                let mut claimed = IoReqPage::new(page).claim().unwrap();
                claimed.set_kernel_handled(driver);
                if *look == Look::Between {
                    port.look();
                }
                assert!(!claimed.complete_read(1).unwrap().needs_notification());
                port.look();
            }
            port.hypervisor().pause_vm(vm).unwrap();
            port.hypervisor().destroy_vm(vm).unwrap();
        };
        rules(&record(&program))
    };
    use Look::{Behind, Between, Both};
    assert_eq!(serve(&[Both, Both, Both], false), []);
    assert_eq!(serve(&[Behind], false), [Rule::LookNotNoted]);
    assert_eq!(serve(&[Both, Behind, Both], false), [Rule::LookNotNoted]);
    let twice = [Rule::LookNotNoted, Rule::LookNotNoted];
    assert_eq!(serve(&[Behind, Behind], false), twice);
    // What is not the program's, or may be a driver's.
    assert_eq!(serve(&[Behind, Behind], true), []);
    assert_eq!(serve(&[Between], false), []);
}

/// A device model behind a driver that takes requests for it finds them taken.
#[test]
fn a_request_that_a_driver_took_is_found_by_a_look() {
    use hypercall_core::acrn::ioreq::IoReqPage;
    let serve = |looks: bool| {
        with_vm(move |world, port, vm| {
            let page = fresh();
            port.watch(page);
            port.hypervisor().set_ioreq_buffer(vm, page.into()).unwrap();
            port.hypervisor().start_vm(vm).unwrap();
            world.guest(|machine| {
                let access = Access::PortRead {
                    port: 0x64,
                    size: 1,
                };
                machine.guest_access(vm, VcpuId::BSP, access).unwrap();
            });
            let taken = IoReqPage::new(page).claim().unwrap();
            if looks {
                port.look();
            }
            let completed = taken.complete_read(1).unwrap();
            port.hypervisor()
                .notify_request_finish(vm, completed.vcpu())
                .unwrap();
            port.hypervisor().pause_vm(vm).unwrap();
            port.hypervisor().destroy_vm(vm).unwrap();
        })
    };
    assert_eq!(serve(true), []);
    assert_eq!(serve(false), [Rule::LookNotNoted]);
}

/// In ACRN a slot of a VM stays one for which the hypervisor polls, whatever the next VM in it asks for.
#[test]
fn a_notification_that_polling_makes_needless_is_no_fault() {
    use hypercall_core::acrn::ioreq::IoReqPage;
    let program = |world: &World| {
        let port = world.lane("main");
        let hypervisor = port.hypervisor();
        let polls = creation("one").with_flags(VmFlags::IO_COMPLETION_POLLING);
        let first = hypervisor.create_vm(&mut polls.clone()).unwrap();
        hypervisor.pause_vm(first).unwrap();
        hypervisor.destroy_vm(first).unwrap();
        let page = fresh();
        port.watch(page);
        let vm = hypervisor.create_vm(&mut creation("two")).unwrap();
        assert_eq!(first, vm);
        hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
        hypervisor.start_vm(vm).unwrap();
        world.guest(|machine| {
            let access = Access::PortRead {
                port: 0x64,
                size: 1,
            };
            machine.guest_access(vm, VcpuId::BSP, access).unwrap();
        });
        port.look();
        let completed = IoReqPage::new(page).claim().unwrap().complete_read(1);
        world.guest(|machine| {
            machine.guest_outcome(vm, VcpuId::BSP).unwrap();
        });
        let vcpu = completed.unwrap().vcpu();
        hypervisor.notify_request_finish(vm, vcpu).unwrap();
        hypervisor.pause_vm(vm).unwrap();
        hypervisor.destroy_vm(vm).unwrap();
    };
    assert_eq!(rules(&record(&program)), []);
}

/// 0 is the Service VM, and ids are below 16: an answer of another is an error by the interface's rules, and no VM.
#[test]
fn an_id_that_no_new_vm_can_have_is_no_vm() {
    let create = |answered: u16| {
        let mut recorded = record(&|world: &World| {
            let port = world.lane("main");
            port.hypervisor().create_vm(&mut creation("one")).unwrap();
        });
        for entry in &mut recorded.entries {
            if let Entry::Call(call) = entry {
                let Argument::Block(block) = &mut call.args[0] else {
                    panic!("no block");
                };
                let mut after = block.after_bytes().unwrap().into_owned();
                after[..2].copy_from_slice(&answered.to_le_bytes());
                block.after = After::Changed(after);
            }
        }
        recorded
    };
    for id in [0, 16, 0xfffe] {
        let recorded = create(id);
        let machine = state_at(&recorded, u64::MAX);
        assert!(machine.vms.is_empty(), "{machine}");
        assert_eq!(machine.impossible.keys().collect::<Vec<_>>(), [&id]);
        assert!(machine.to_string().contains(&format!("no VM {id}:")));
        let found = check(&recorded);
        assert_eq!(rules(&recorded), [Rule::ImpossibleId]);
        assert_eq!(
            (found[0].vm, found[0].severity),
            (Some(id), Severity::Error)
        );
        // A test of it holds what the typed call says: that it failed.
        let test = GenTest::new("x", "x.hct").generate(&recorded).unwrap();
        assert!(
            test.source.contains("ErrorKind::Rejected"),
            "{}",
            test.source
        );
    }
    for (id, there) in [(1, true), (15, true), (0xffff, false)] {
        let machine = state_at(&create(id), u64::MAX);
        assert_eq!(
            (machine.vms.contains_key(&id), machine.impossible.len()),
            (there, 0)
        );
    }
}

/// What a recording had is nothing to the next one in a joined file: its pages are others, and its machine may be.
#[test]
fn each_recording_of_a_joined_file_is_checked_for_itself() {
    let given = |vms: &'static [&str]| {
        move |world: &World| {
            let port = world.lane("main");
            for (number, name) in (1..).zip(vms) {
                let page = fresh();
                let vm = port.hypervisor().create_vm(&mut creation(name)).unwrap();
                // Page 0 is the last VM's.
                if number == vms.len() {
                    port.watch(page);
                }
                port.hypervisor().set_ioreq_buffer(vm, page.into()).unwrap();
            }
        }
    };
    let (one, two) = (
        record(&given(&["first", "second"])),
        record(&given(&["first"])),
    );
    let mut joined = one.clone();
    joined.joined = vec![one.entries.len()];
    joined.entries.extend(two.entries.iter().cloned());
    let each = [rules(&one), rules(&two)].concat();
    assert_eq!(each, [Rule::VmNotDestroyed; 3]);
    assert_eq!(rules(&joined), each);
    let begin = one.entries.len() as u64;
    assert_eq!(state_at(&joined, begin - 1).vms.len(), 2);
    assert_eq!(state_at(&joined, u64::MAX).vms.len(), 1);
}

/// Behind changes of pages that are missing nobody knows what the pages hold, also where no call is missing with them.
#[test]
fn behind_missing_changes_of_pages_nobody_is_blamed() {
    let program = |world: &World| {
        let page = fresh();
        let port = world.lane("main");
        port.watch(page);
        let vm = port.hypervisor().create_vm(&mut creation("one")).unwrap();
        port.hypervisor().set_ioreq_buffer(vm, page.into()).unwrap();
        port.hypervisor().start_vm(vm).unwrap();
        for port_number in 0..3 {
            world.guest(|machine| {
                let access = Access::PortRead {
                    port: port_number,
                    size: 1,
                };
                machine.guest_access(vm, VcpuId::BSP, access).unwrap();
            });
            serve(&port, page, vm).unwrap();
        }
        port.hypervisor().pause_vm(vm).unwrap();
        port.hypervisor().destroy_vm(vm).unwrap();
    };
    let recorded = record(&program);
    assert_eq!(rules(&recorded), []);
    let mut changes = 0;
    for place in 0..recorded.entries.len() {
        let Entry::Pages(change) = &recorded.entries[place] else {
            continue;
        };
        changes += 1;
        let mut damaged = Damaged {
            offset: 4096,
            length: 200,
            defect: Defect::Checksum,
            lane: Some(change.lane),
            entries: Some(1),
            index: Some(change.index),
            calls: Some(0),
        };
        let mut lacking = recorded.clone();
        lacking.entries[place] = Entry::Damaged(damaged.clone());
        let found = check(&lacking);
        let [missing] = found.as_slice() else {
            panic!("entry {place}: {found:?}")
        };
        assert_eq!(missing.rule, Rule::CallsMissing);
        // It is told where it was.
        let at = (missing.at.lane.as_str(), missing.at.index);
        assert_eq!(at, ("main", change.index), "entry {place}");
        // One that nobody knows anything of.
        damaged.lane = None;
        (damaged.entries, damaged.index, damaged.calls) = (None, None, None);
        lacking.entries[place] = Entry::Damaged(damaged);
        assert_eq!(rules(&lacking), [Rule::CallsMissing], "entry {place}");
        // One that a newer version recorded in a way that this one does not know.
        lacking.entries[place] = Entry::Unknown(Unknown {
            lane: change.lane,
            index: change.index,
            kind: 17,
            bytes: vec![0; 24],
        });
        assert_eq!(rules(&lacking), [], "entry {place}");
    }
    assert!(changes >= 9, "{changes}");
}
