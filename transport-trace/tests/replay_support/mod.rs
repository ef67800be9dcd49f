//! Programs to record and to replay, and the two ways to run them.
#![allow(dead_code, unreachable_pub)]

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hypercall_core::acrn::ioreq::{IoDirection, IoReqPage, Request};
use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::acrn::*;
use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::{Client, Error, Gpa, Hpa, PageAligned, SharedPage, Transport, TransportError};
use hypercall_mock::fake::{Access, FakeAcrn};
use hypercall_mock::loopback::Loopback;
use hypercall_trace::read::Trace;
use hypercall_trace::record::{FileLane, Full, Recorder, Recording};
use hypercall_trace::replay::{Options, Recorded, ReplayLane, Replayer, Report};

pub type Carrier = Box<dyn Transport + Send>;

/// A lane of a program: its hypervisor, and what it does with shared pages. Everything is recorded.
pub struct Port {
    recorder: Recorder<Carrier, FileLane>,
    replay: Option<ReplayLane>,
}

impl Port {
    pub fn hypervisor(&self) -> Client<&Self> {
        Client::new(self)
    }

    pub fn watch(&self, page: &'static SharedPage) {
        if let Some(replay) = &self.replay {
            replay.watch(page);
        }
        self.recorder.watch(page).unwrap();
    }

    /// The program looks at its pages.
    pub fn look(&self) {
        if let Some(replay) = &self.replay {
            // A divergence is told by the next call.
            let _ = replay.note_pages();
        }
        self.recorder.note_pages();
    }
}

impl Transport for Port {
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        if let Some(replay) = &self.replay {
            replay.prepare();
        }
        self.recorder.call(info, args)
    }
}

/// Where a program runs.
pub struct World {
    recording: Recording,
    machine: Option<FakeAcrn>,
    loopback: Option<Arc<Loopback<AcrnServer<FakeAcrn>, FakeAcrn>>>,
    replayer: Option<Replayer>,
    events: Arc<Events>,
}

/// Interrupts of a run, by lane: whether one came. A replay of a program needs them from somewhere.
#[derive(Default)]
pub struct Events(Mutex<BTreeMap<String, VecDeque<bool>>>);

impl World {
    pub fn lane(&self, name: &str) -> Port {
        let replay = self.replayer.as_ref().map(|replayer| replayer.lane(name));
        let carrier: Carrier = match (&replay, &self.loopback) {
            (Some(replay), _) => Box::new(replay.clone()),
            (None, Some(loopback)) => Box::new(Arc::clone(loopback)),
            (None, None) => unreachable!(),
        };
        Port {
            recorder: Recorder::new(carrier, self.recording.lane(name).unwrap()),
            replay,
        }
    }

    /// What a guest does to the pages of a lane, and whether an interrupt says so: as it was when this is a replay.
    pub fn event(&self, lane: &str, does: impl FnOnce(&FakeAcrn) -> bool) -> bool {
        let mut events = self.events.0.lock().unwrap();
        let events = events.entry(lane.to_owned()).or_default();
        match &self.machine {
            Some(machine) => {
                let came = does(machine);
                events.push_back(came);
                came
            }
            None => {
                let came = events.pop_front().unwrap();
                events.push_back(came);
                came
            }
        }
    }

    /// What guests do: only where there is a machine.
    pub fn guest(&self, does: impl FnOnce(&FakeAcrn)) {
        if let Some(machine) = &self.machine {
            does(machine);
        }
    }
}

pub type Program<'p> = &'p (dyn Fn(&World) + Sync);

static RUNS: AtomicU64 = AtomicU64::new(0);

pub fn scratch_file(name: &str) -> PathBuf {
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let file = format!("{name}-{}-{run}.hct", std::process::id());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(file);
    let _ = std::fs::remove_file(&path);
    path
}

fn run(
    program: Program<'_>,
    machine: Option<FakeAcrn>,
    replayer: Option<Replayer>,
    events: &Arc<Events>,
) -> Recorded {
    let path = scratch_file("run");
    let recording = Recording::options(&[HypervisorCalls::INTERFACE])
        .full(Full::Block)
        .ring(1 << 20, 8)
        .redaction(hypercall_trace::record::Redaction::Hash(KEY))
        .create(&path)
        .unwrap();
    let loopback = machine.clone().map(|machine| {
        Arc::new(Loopback::new(
            AcrnServer::new(machine.clone()),
            machine,
            Gpa(0x100_0000),
            0x4_0000,
        ))
    });
    let world = World {
        recording,
        machine,
        loopback,
        replayer,
        events: Arc::clone(events),
    };
    program(&world);
    world.recording.finish();
    let recorded = Recorded::read(&Trace::open(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    recorded
}

/// The key of secrets.
pub const KEY: [u8; 16] = *b"a key for tests.";

/// Runs a program over the fake.
pub fn record(program: Program<'_>) -> Recorded {
    record_with(program, &Arc::default())
}

/// Runs a program over the fake, and keeps its interrupts.
pub fn record_with(program: Program<'_>, events: &Arc<Events>) -> Recorded {
    run(program, Some(FakeAcrn::new()), None, events)
}

/// Runs a program over a recorded trace, and records that.
pub fn replay(program: Program<'_>, recorded: &Recorded, options: Options) -> (Recorded, Report) {
    replay_with(program, recorded, options, &Arc::default())
}

/// Runs a program over a recorded trace with the interrupts of that run.
pub fn replay_with(
    program: Program<'_>,
    recorded: &Recorded,
    options: Options,
    events: &Arc<Events>,
) -> (Recorded, Report) {
    let replayer = options.recorded(recorded.clone()).unwrap();
    let again = run(program, None, Some(replayer.clone()), events);
    (again, replayer.report())
}

/// A page of zeros that nobody else has.
pub fn fresh() -> &'static SharedPage {
    Box::leak(Box::new(SharedPage::new()))
}

pub fn creation(name: &str) -> VmCreation {
    VmCreation::new(name.try_into().unwrap()).with_cpu_affinity(PcpuSet::of(&[PcpuId(0)]))
}

pub fn ram(at: u64, size: u64) -> MemoryRegion {
    MemoryRegion::map(Gpa(at), Gpa(0x400_0000 + at), size, MemoryProt::RAM)
}

/// A device model's answer to the request that waits.
pub fn serve(port: &Port, page: &'static SharedPage, vm: VmId) -> Result<(), Error> {
    port.look();
    let claimed = IoReqPage::new(page).claim().expect("a request waits");
    let read = matches!(claimed.request(), Request::Pio(pio) if pio.direction == IoDirection::READ);
    let completed = if read {
        claimed.complete_read(0x1c)
    } else {
        claimed.complete()
    }
    .unwrap();
    if completed.needs_notification() {
        port.hypervisor()
            .notify_request_finish(vm, completed.vcpu())?;
    }
    Ok(())
}

/// A VM's whole life, with I/O requests.
pub fn vm_life(world: &World) {
    let page = fresh();
    let port = world.lane("main");
    port.watch(page);
    let hypervisor = port.hypervisor();
    hypervisor.get_api_version().unwrap();
    let vm = hypervisor.create_vm(&mut creation("demo")).unwrap();
    assert_eq!(hypervisor.start_vm(vm).unwrap_err().code(), Some(-1));
    hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
    hypervisor
        .set_memory_regions(vm, &[ram(0, 0x10_0000), ram(0x20_0000, 0x1000)])
        .unwrap();
    hypervisor.start_vm(vm).unwrap();
    for round in 0..5_u16 {
        world.guest(|machine| {
            let access = if round % 2 == 0 {
                Access::PortRead {
                    port: 0x60 + round,
                    size: 1,
                }
            } else {
                Access::PortWrite {
                    port: 0x60,
                    size: 2,
                    value: u32::from(round),
                }
            };
            machine.guest_access(vm, VcpuId::BSP, access).unwrap();
        });
        serve(&port, page, vm).unwrap();
    }
    let msi = MsiEntry::new(MsiAddress::to_apic(0), MsiData::vector_of(0x41));
    hypervisor.inject_msi(vm, &msi).unwrap();
    hypervisor.pause_vm(vm).unwrap();
    hypervisor.destroy_vm(vm).unwrap();
}

/// A program that polls its request page: a request comes after some looks that found nothing, several come between two
/// calls, and the program writes into the page itself in between. What it saw at each look.
pub fn polled_life(world: &World) -> Vec<u32> {
    const MARK: usize = 1000;
    let page = fresh();
    let port = world.lane("main");
    port.watch(page);
    let hypervisor = port.hypervisor();
    let vm = hypervisor.create_vm(&mut creation("polled")).unwrap();
    hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
    hypervisor
        .set_memory_regions(vm, &[ram(0, 0x10_0000)])
        .unwrap();
    hypervisor.start_vm(vm).unwrap();
    let mut seen = Vec::new();
    for round in 0..7_u32 {
        // Looks that find nothing before a call: behind it, counting begins anew.
        if round == 1 {
            port.look();
            port.look();
            hypervisor.create_vcpu(vm).unwrap();
        }
        let mut looks = 0;
        let claimed = loop {
            // Another vCPU's time, so to speak: nothing tells the program when.
            if looks == [0, 1, 2, 5, 300, 0, 9][round as usize] {
                world.guest(|machine| {
                    let access = Access::PortWrite {
                        port: 0x70,
                        size: 4,
                        value: 0x100 + round,
                    };
                    machine.guest_access(vm, VcpuId::BSP, access).unwrap();
                });
            }
            looks += 1;
            port.look();
            seen.push(page.words()[34].load(Ordering::Acquire));
            if let Some(claimed) = IoReqPage::new(page).claim() {
                break claimed;
            }
            assert!(looks < 1000, "the request of round {round} never came");
            // Where no request is; so the next look finds something, and not what is waited for.
            if round == 3 && looks == 2 {
                page.words()[MARK].store(0xabcd, Ordering::Release);
            }
        };
        let Request::Pio(pio) = claimed.request() else {
            panic!("no port")
        };
        seen.extend([looks, pio.value]);
        // A look in the middle of the service finds the program's own writes.
        if round == 2 {
            port.look();
        }
        let completed = claimed.complete().unwrap();
        hypervisor
            .notify_request_finish(vm, completed.vcpu())
            .unwrap();
    }
    seen.push(page.words()[MARK].load(Ordering::Acquire));
    hypervisor.pause_vm(vm).unwrap();
    hypervisor.destroy_vm(vm).unwrap();
    seen
}

/// Two lanes that take turns; one polls its page, one is answered with failures.
pub fn two_lanes(world: &World) {
    let page = fresh();
    let (boot, model) = (world.lane("boot"), world.lane("device-model"));
    model.watch(page);
    let (b, m) = (boot.hypervisor(), model.hypervisor());
    let vm = b.create_vm(&mut creation("turns")).unwrap();
    m.set_ioreq_buffer(vm, page.into()).unwrap();
    b.set_memory_regions(vm, &[ram(0, 0x2000)]).unwrap();
    b.start_vm(vm).unwrap();
    for looks in [3, 1] {
        for look in 1..=looks {
            if look == looks {
                world.guest(|machine| {
                    let access = Access::PortRead {
                        port: 0x71,
                        size: 1,
                    };
                    machine.guest_access(vm, VcpuId::BSP, access).unwrap();
                });
            }
            model.look();
        }
        let completed = IoReqPage::new(page)
            .claim()
            .expect("a request waits")
            .complete_read(0x26)
            .unwrap();
        m.notify_request_finish(vm, completed.vcpu()).unwrap();
        b.set_irqline(vm, IrqLine::new(Gsi(looks), IrqLineOp::LOW))
            .unwrap();
    }
    let param = TrustyBootParam::new(Gpa(0x1000), Gpa(0x2000), 0x1000, [9; 64]);
    b.initialize_trusty(&param).unwrap_err();
    b.pause_vm(vm).unwrap();
    b.destroy_vm(vm).unwrap();
    m.notify_request_finish(vm, VcpuId::BSP).unwrap_err();
    // The hypervisor does not survive this one.
    m.asyncio_assign(vm, &AsyncIoInfo::port(0x600, 7))
        .unwrap_err();
    b.get_api_version().unwrap_err();
}

/// Errors of all kinds, results of all kinds.
pub fn answers(world: &World) {
    let port = world.lane("main");
    let hypervisor = port.hypervisor();
    assert!(hypervisor.set_callback_vector(Vector(7)).is_err());
    hypervisor.set_callback_vector(Vector(0xf4)).unwrap();
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    assert!(hypervisor.create_vm(&mut creation("one")).is_err());
    let rejected = creation("other").with_flags(VmFlags::SECURE_WORLD);
    assert!(hypervisor.create_vm(&mut { rejected }).is_err());
    assert!(hypervisor.set_memory_regions(vm, &[]).is_err());
    let half = [ram(0, 0x1000), ram(0x2000, 12), ram(0x3000, 0x1000)];
    assert!(hypervisor.set_memory_regions(vm, &half).is_err());
    let hpa = hypervisor
        .vm_gpa2hpa(vm, &mut GpaToHpa::of(Gpa(0x10)))
        .unwrap();
    assert_ne!(hpa.0, 0);
    assert!(
        hypervisor
            .vm_gpa2hpa(vm, &mut GpaToHpa::of(Gpa(0x90_0000)))
            .is_err()
    );
    hypervisor.get_hw_info().unwrap();
    let mut monitor = PageAligned(IntrMonitor::counters());
    hypervisor.vm_intr_monitor(vm, &mut monitor).unwrap();
    hypervisor
        .set_irqline(vm, IrqLine::new(Gsi(5), IrqLineOp::HIGH))
        .unwrap();
    hypervisor
        .set_irqline(vm, IrqLine::new(Gsi(99), IrqLineOp::HIGH))
        .unwrap_err();
    let states = hypervisor.pm_get_cx_count(PmCommand::new(vm)).unwrap();
    for state in 0..=states {
        let _ = hypervisor.pm_get_cx_data(PmCommand::new(vm).with_state(state));
    }
    let _ = hypervisor.profiling_ops(ProfilingCommand(1), &mut [0; 64]);
    let param = TrustyBootParam::new(Gpa(0x1000), Gpa(0x2000), 0x1000, [7; 64]);
    assert!(hypervisor.initialize_trusty(&param).is_err());
    hypervisor
        .set_vcpu_regs(vm, &VcpuRegs::bsp(Regs::reset()))
        .unwrap();
    hypervisor
        .set_ioreq_buffer(vm, Gpa(0x500_0000).into())
        .unwrap();
    hypervisor.pause_vm(vm).unwrap();
    hypervisor.destroy_vm(vm).unwrap();
    // The hypervisor does not survive this one.
    assert!(
        hypervisor
            .asyncio_assign(vm, &AsyncIoInfo::port(0x600, 7))
            .unwrap_err()
            .may_have_run()
    );
    assert!(hypervisor.get_api_version().is_err());
}

/// Several threads, each with VMs of its own; what one creates another one uses.
pub fn threads(world: &World) {
    let main = world.lane("main");
    let vms: Vec<(VmId, &'static SharedPage)> = (0..3)
        .map(|number| {
            let page = fresh();
            let vm = main
                .hypervisor()
                .create_vm(&mut creation(&format!("vm{number}")))
                .unwrap();
            (vm, page)
        })
        .collect();
    std::thread::scope(|scope| {
        for (number, (vm, page)) in vms.iter().copied().enumerate() {
            scope.spawn(move || {
                let port = world.lane(&format!("worker{number}"));
                port.watch(page);
                let hypervisor = port.hypervisor();
                hypervisor.set_ioreq_buffer(vm, page.into()).unwrap();
                hypervisor
                    .set_memory_regions(vm, &[ram(0, 0x4000)])
                    .unwrap();
                hypervisor.start_vm(vm).unwrap();
                for round in 0..20_u32 {
                    world.guest(|machine| {
                        let access = Access::PortWrite {
                            port: 0x510,
                            size: 4,
                            value: round,
                        };
                        machine.guest_access(vm, VcpuId::BSP, access).unwrap();
                    });
                    serve(&port, page, vm).unwrap();
                    let line =
                        IrqLine::new(Gsi(u32::try_from(number).unwrap() + 3), IrqLineOp::HIGH);
                    hypervisor.set_irqline(vm, line).unwrap();
                }
            });
        }
    });
    for (vm, _) in vms {
        main.hypervisor().pause_vm(vm).unwrap();
        main.hypervisor().destroy_vm(vm).unwrap();
    }
}

/// Every call of the interface, whatever it is answered.
pub fn every_call(world: &World) {
    let (page, ring, log) = (fresh(), fresh(), fresh());
    let header = SharedBufferHeader::for_memory(4096, 8).unwrap();
    ring.write(0, zerocopy::IntoBytes::as_bytes(&header))
        .unwrap();
    let port = world.lane("main");
    port.watch(ring);
    port.watch(page);
    let h = port.hypervisor();
    let nic = Bdf::new(0, 3, 0);
    let irq = PtdevIrq::intx(nic, nic, Intx::ioapic(5, 6));
    let device = PciDevice {
        bar: [0xf000_0000, 0, 0xe001, 0, 0, 0],
        ..PciDevice::new(nic, nic)
    };
    let uart = MmioDevice::new(
        *b"UART\0\0\0\0",
        MmioResource::new(Gpa(0xf000_0000), Hpa(0x3000_0000), 0x1000),
    );
    let port_device = VirtualDevice::new(VdevId::ROOT_PORT, Bdf::new(0, 5, 0)).with_args(b"abc");
    let _ = h.get_api_version();
    let _ = h.service_vm_offline_cpu(LapicId(77));
    let _ = h.set_callback_vector(Vector(0xf3));
    let vm = h.create_vm(&mut creation("all")).unwrap();
    let _ = h.create_vcpu(vm);
    let _ = h.set_vcpu_regs(
        vm,
        &VcpuRegs::bsp(Regs::protected_mode(
            0x1000,
            DescriptorTable::new(0x2000, 0x1f),
        )),
    );
    let _ = h.inject_msi(
        vm,
        &MsiEntry::new(MsiAddress::to_apic(0), MsiData::vector_of(0x41)),
    );
    let _ = h.vm_intr_monitor(vm, &mut PageAligned(IntrMonitor::delay(3)));
    let _ = h.set_irqline(vm, IrqLine::new(Gsi(5), IrqLineOp::FALLING_PULSE));
    let _ = h.set_ioreq_buffer(vm, page.into());
    let _ = h.notify_request_finish(vm, VcpuId(1));
    let _ = h.setup_sbuf(vm, PcpuId(0), SbufId::ASYNCIO, ring.into());
    let _ = h.setup_sbuf(vm, PcpuId(0), SbufId::HVLOG, log.into());
    let _ = h.setup_sbuf(vm, PcpuId(0), SbufId(9), Gpa(0).into());
    let _ = h.asyncio_assign(vm, &AsyncIoInfo::port(0x600, 7).when(3));
    let _ = h.asyncio_deassign(vm, &AsyncIoInfo::memory(Gpa(0xd000_0000), 8));
    let _ = h.set_memory_regions(
        vm,
        &[ram(0, 0x4000), MemoryRegion::unmap(Gpa(0x1000), 0x1000)],
    );
    let _ = h.vm_gpa2hpa(vm, &mut GpaToHpa::of(Gpa(0x10)));
    let _ = h.write_protect_page(vm, &WriteProtect::protect(Gpa(0)));
    let _ = h.assign_pcidev(vm, &device);
    let _ = h.set_ptdev_intr_info(vm, &irq);
    let _ = h.reset_ptdev_intr_info(vm, &irq);
    let _ = h.deassign_pcidev(vm, &device);
    let _ = h.assign_mmiodev(vm, &uart);
    let _ = h.deassign_mmiodev(vm, &uart);
    let _ = h.add_vdev(vm, &port_device);
    let _ = h.remove_vdev(vm, &port_device);
    let _ = h.setup_hv_npk_log(&mut NpkLog::new(NpkLogCommand::QUERY));
    let _ = h.profiling_ops(ProfilingCommand::GET_VERSION, &mut [0; 32]);
    let _ = h.get_hw_info();
    let _ = h.initialize_trusty(&TrustyBootParam::new(
        Gpa(0x1000),
        Gpa(0x2000),
        0x1000,
        [7; 64],
    ));
    let _ = h.save_restore_sworld_ctx();
    let _ = h.pm_get_px_count(PmCommand::new(vm));
    let _ = h.pm_get_px_data(PmCommand::new(vm));
    let _ = h.pm_get_cx_count(PmCommand::new(vm));
    let _ = h.pm_get_cx_data(PmCommand::new(vm).with_state(1));
    let _ = h.tee_vcpu_boot_done(TeeBoot::START_REE);
    let _ = h.start_vm(vm);
    let _ = h.pause_vm(vm);
    let _ = h.reset_vm(vm);
    let _ = h.pause_vm(vm);
    let _ = h.destroy_vm(vm);
    let _ = h.profiling_ops(ProfilingCommand(77), &mut []);
}

/// A program without state of its own.
pub type Run = fn(&World);

pub const CORPUS: &[(&str, Run)] = &[
    ("vm_life", vm_life),
    ("answers", answers),
    ("every_call", every_call),
    ("threads", threads),
    ("two_lanes", two_lanes),
    ("polled_life", |world| drop(polled_life(world))),
];
