//! The machines that the dispatcher is tried on, and how far a VM has got before the input begins.

use arbitrary::Arbitrary;
use hypercall_core::Gpa;
use hypercall_core::acrn::{
    AsyncIoInfo, Hypervisor, MemoryProt, MemoryRegion, PcpuId, PcpuSet, SbufId, SharedBufferHeader,
    VcpuId, VmCreation, VmFlags, VmId, VmName,
};
use hypercall_mock::fake::config::{Bar, CState, MemoryConfig, PciFunction, VdevSlot, VmConfig};
use hypercall_mock::fake::{Access, Build, FakeAcrn, FakeConfig, LoadOrder};
use zerocopy::IntoBytes;

use crate::ram;

/// A configuration.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Kind {
    /// One processor, a debug build.
    Small,
    /// As little as possible, a release build.
    Release,
    /// Devices, lines, C-states, a VM before the Service VM, and a VM that is out of reach.
    Rich,
    /// More processors than a request page has slots.
    Wide,
    /// VMs with worlds beside them, which make calls of their own.
    OwnWorld,
}

/// How far the first VM has got. Its name is `user`, and its id is 1 on every machine.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Start {
    /// The machine has just booted.
    Booted,
    /// Created, with memory.
    Created,
    /// With a request page and both rings.
    Equipped,
    /// Running.
    Running,
    /// Running, with a request; polling for its completion.
    Polling,
    /// Running, with a request; waiting for a notification.
    Waiting,
    /// Paused.
    Paused,
}

/// Where the first VM's request page and rings are. Behind the request page is a page of room, for a machine with more
/// processors than the page has slots.
const PAGES: [u64; 3] = [0x20_0000, 0x20_2000, 0x20_3000];

/// A machine of this kind, so far.
pub fn boot(kind: Kind, start: Start) -> FakeAcrn {
    let fake = FakeAcrn::with_config(config(kind));
    ram::mount(&fake);
    // A machine on which a step is refused is where it is: the input begins there.
    let _ = prepare(&fake, start);
    fake
}

fn prepare(fake: &FakeAcrn, start: Start) -> Result<(), hypercall_core::Error> {
    if matches!(start, Start::Booted) {
        return Ok(());
    }
    let mut flags = match start {
        Start::Polling => VmFlags::IO_COMPLETION_POLLING,
        _ => VmFlags::empty(),
    };
    flags.set(VmFlags::SECURE_WORLD, fake.config().trusty_vms > 1);
    let all = PcpuSet((1 << fake.config().pcpus) - 1);
    let name = VmName::new("user").expect("it is short");
    let mut creation = VmCreation::new(name)
        .with_flags(flags)
        .with_cpu_affinity(all);
    let vm = fake.create_vm(&mut creation)?;
    let memory = MemoryRegion::map(Gpa(0), Gpa(0x20_0000), 0x8000, MemoryProt::RAM);
    fake.set_memory_regions(vm, &[memory])?;
    if matches!(start, Start::Created) {
        return Ok(());
    }
    let [requests, asyncio, events] = PAGES;
    fake.set_ioreq_buffer(vm, Gpa(requests).into())?;
    ring(fake, vm, SbufId::ASYNCIO, asyncio, 8)?;
    ring(fake, vm, SbufId::VM_EVENT, events, 32)?;
    fake.asyncio_assign(vm, &AsyncIoInfo::port(3, 0x1122_3344))?;
    if matches!(start, Start::Equipped) {
        return Ok(());
    }
    fake.start_vm(vm)?;
    match start {
        Start::Paused => fake.pause_vm(vm)?,
        Start::Polling | Start::Waiting => {
            let _ = fake.guest_access(vm, VcpuId(0), Access::PortRead { port: 1, size: 1 });
        }
        _ => {}
    }
    Ok(())
}

fn ring(
    fake: &FakeAcrn,
    vm: VmId,
    id: SbufId,
    page: u64,
    element: u32,
) -> Result<(), hypercall_core::Error> {
    let header = SharedBufferHeader {
        magic: SharedBufferHeader::MAGIC,
        ele_num: 4,
        ele_size: element,
        size: 4 * element,
        ..SharedBufferHeader::default()
    };
    ram::store(page, header.as_bytes());
    fake.setup_sbuf(vm, PcpuId(0), id, Gpa(page).into())
}

fn config(kind: Kind) -> FakeConfig {
    let small = FakeConfig {
        vms: vec![VmConfig::service_vm(1), VmConfig::user_vm("user", 1)],
        memory: MemoryConfig {
            ram: ram::ranges(),
            hidden: vec![0xfec0_0000..0xfec0_1000, ram::HOLE..ram::HOLE + 0x1000],
            ..MemoryConfig::default()
        },
        ..FakeConfig::default()
    };
    match kind {
        Kind::Small => small,
        Kind::Release => FakeConfig {
            build: Build::Release,
            vms: vec![VmConfig::service_vm(1)],
            max_vms: 3,
            ..small
        },
        Kind::Rich => rich(small),
        Kind::Wide => FakeConfig {
            pcpus: 20,
            vms: vec![VmConfig::service_vm((1 << 20) - 1)],
            ..small
        },
        Kind::OwnWorld => {
            let flags = (VmFlags::SECURE_WORLD | VmFlags::TEE).bits();
            let service = VmConfig {
                flags,
                ..VmConfig::service_vm(1)
            };
            let user = VmConfig {
                flags,
                ..VmConfig::user_vm("user", 1)
            };
            FakeConfig {
                vms: vec![service, user],
                trusty_vms: 2,
                ..small
            }
        }
    }
}

fn rich(small: FakeConfig) -> FakeConfig {
    let mut first = VmConfig::user_vm("first", 1);
    first.load_order = LoadOrder::PreLaunched;
    let mut user = VmConfig::user_vm("user", 7);
    let mut region = [0; 32];
    region[..4].copy_from_slice(b"hv:/");
    user.vdevs = vec![
        VdevSlot {
            region,
            region_size: 0x1000,
            uart: 1,
            secondary_bus: 2
        };
        2
    ];
    user.lines = vec![(4, 4), (5, 30)];
    let mut safe = VmConfig::user_vm("safe", 2);
    safe.severity = 0x40;
    let ports = Bar::Ports {
        base: 0x3000,
        size: 0x40,
    };
    let memory = Bar::Memory {
        base: 0x8000_0000,
        size: 0x1000,
    };
    let bars = [memory, ports, Bar::None, Bar::None, Bar::None, Bar::None];
    FakeConfig {
        pcpus: 3,
        vms: vec![first, VmConfig::service_vm(7), user, safe],
        trusty_vms: 1,
        cstates: vec![
            CState {
                kind: 1,
                latency: 1,
                ..CState::default()
            };
            2
        ],
        pci: vec![
            PciFunction {
                bdf: 0,
                bridge: true,
                bars: [Bar::None; 6],
            },
            PciFunction {
                bdf: 0x10,
                bridge: false,
                bars,
            },
            PciFunction {
                bdf: 0x18,
                bridge: false,
                bars: [Bar::None; 6],
            },
        ],
        ..small
    }
}
