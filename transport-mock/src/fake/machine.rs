//! The machine behind the fake's lock: slots, host memory, and the parts that belong to no VM.

use alloc::{collections::BTreeMap, vec::Vec};

use hypercall_core::Hazard;

use super::{
    answer::{Answer, ENOTTY},
    asyncio::AsyncIoList,
    config::{FakeConfig, LoadOrder, VmConfig},
    debug::Npk,
    ept::{EXECUTE, Ept, READ, RWX, Shape, UNCACHED, WRITE, WRITE_BACK},
    interrupts::PassedLine,
    memory::{HostMemory, PAGE},
    pci::Vdev,
    vm::{ApicMode, Slot, Vcpu, VcpuState, VmState},
};

/// `GUEST_FLAG_STATIC_VM`: the VM is in the configuration. Part of every row of [`FakeConfig::vms`].
pub const STATIC_VM: u64 = 1 << 8;
pub(crate) const SECURE_WORLD: u64 = 1;
pub(crate) const LAPIC_PASSTHROUGH: u64 = 1 << 1;
pub(crate) const COMPLETION_POLLING: u64 = 1 << 2;
pub(crate) const REAL_TIME: u64 = 1 << 4;
pub(crate) const VHWP: u64 = 1 << 12;
pub(crate) const STATELESS: u64 = 1 << 14;
pub(crate) const PMU_PASSTHROUGH: u64 = 1 << 11;

/// Where the local APIC's registers are, in every VM.
pub(crate) const APIC_BASE: u64 = 0xfee0_0000;
/// The vector of upcalls until SET_CALLBACK_VECTOR (`HYPERVISOR_CALLBACK_HSM_VECTOR`).
const UPCALL_VECTOR: u32 = 0xf3;
const MAX_SLOTS: u16 = 16;
const MAX_PCPUS: u16 = 64;

/// Everything that the fake knows.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) config: FakeConfig,
    pub(crate) memory: HostMemory,
    pub(crate) slots: Vec<Slot>,
    /// Slot of the Service VM.
    pub(crate) service: u16,
    pub(crate) upcall_vector: u32,
    /// Upcalls raised so far, by vector.
    pub(crate) upcalls: BTreeMap<u32, u64>,
    /// For each processor, the host addresses of buffers 0 to 3.
    pub(crate) cpu_buffers: Vec<[Option<u64>; 4]>,
    pub(crate) npk: Npk,
    /// The switches of the sampling collector, as SET_CONTROL_SWITCH left them.
    pub(crate) sampling_switches: u64,
    /// Interrupt lines of passed-through devices.
    pub(crate) lines: Vec<PassedLine>,
    /// Some vCPU may look whether it can go on: it polls, or waits for room in a ring.
    pub(crate) lookers: bool,
    /// What brought the machine down.
    pub(crate) dead: Option<Hazard>,
    /// Where the next live page goes when nobody says where.
    pub(crate) next_mount: u64,
}

impl Machine {
    pub(crate) fn new(mut config: FakeConfig) -> Self {
        config.pcpus = config.pcpus.clamp(1, MAX_PCPUS);
        config.max_vms = config.max_vms.clamp(1, MAX_SLOTS);
        config.cstates.truncate(7);
        let memory = HostMemory::new(config.memory.ram.clone());
        let table = core::mem::take(&mut config.vms);
        let service = table
            .iter()
            .position(|vm| vm.load_order == LoadOrder::ServiceVm)
            .and_then(|at| u16::try_from(at).ok())
            .unwrap_or(0);
        let next_mount = config
            .memory
            .ram
            .iter()
            .map(|range| range.end)
            .filter(|end| *end <= config.memory.service_vm_top)
            .max()
            .unwrap_or(0);
        let mut machine = Self {
            memory,
            slots: Vec::new(),
            service,
            upcall_vector: UPCALL_VECTOR,
            upcalls: BTreeMap::new(),
            cpu_buffers: alloc::vec![[None; 4]; usize::from(config.pcpus)],
            npk: Npk::default(),
            sampling_switches: 0,
            lines: Vec::new(),
            lookers: false,
            dead: None,
            next_mount,
            config,
        };
        let mut table = table.into_iter();
        for number in 0..machine.config.max_vms {
            let configured = table.next();
            let dynamic = configured.is_none();
            let mut vm = configured.unwrap_or_else(|| VmConfig::user_vm("", 0));
            if !dynamic {
                vm.flags |= STATIC_VM;
            }
            let slot = machine.new_slot(vm);
            machine.slots.push(slot);
            let boots = machine
                .slot(number)
                .is_some_and(|slot| !dynamic && slot.config.load_order != LoadOrder::PostLaunched);
            if boots {
                machine.boot(number);
            }
        }
        machine
    }

    fn new_slot(&self, config: VmConfig) -> Slot {
        Slot {
            vdev_bdfs: alloc::vec![super::pci::UNASSIGNED; config.vdevs.len()],
            config,
            id: 0,
            state: VmState::PoweredOff,
            vcpus: Vec::new(),
            ept: Ept::new(self.shape(false)),
            secure_world: false,
            trusty: super::vm::Trusty::default(),
            polling: false,
            request_page: None,
            asyncio_ring: None,
            event_ring: None,
            asyncio: AsyncIoList::new(),
            interrupt_delay: 0,
            apic: ApicMode::Disabled,
            vdevs: Vec::new(),
            injections: alloc::collections::VecDeque::new(),
        }
    }

    /// How the page tables of a VM are built (ACRN `init_ept_pgtable`).
    pub(crate) fn shape(&self, real_time: bool) -> Shape {
        let memory = &self.config.memory;
        Shape {
            pool: memory.table_pages,
            giant_pages: memory.giant_pages,
            no_large_code: memory.no_large_code,
            small_code_pages: real_time,
        }
    }

    /// Starts a VM that the hypervisor starts itself (ACRN `launch_vms`).
    fn boot(&mut self, number: u16) {
        let pcpus = self.config.pcpus;
        let memory = self.config.memory.clone();
        let functions: Vec<Vdev> = self.config.pci.iter().map(Vdev::physical).collect();
        let Some(slot) = self.slots.get_mut(usize::from(number)) else {
            return;
        };
        slot.id = number;
        slot.state = VmState::Running;
        slot.vcpus = (0..pcpus)
            .filter(|pcpu| slot.config.affinity.wrapping_shr(u32::from(*pcpu)) & 1 == 1)
            .map(Vcpu::new)
            .collect();
        slot.set_vcpus(VcpuState::Running);
        if slot.config.load_order == LoadOrder::ServiceVm {
            slot.vdevs = functions;
            let top = memory.service_vm_top.max(4 << 30);
            // A configuration too large for the pool leaves the Service VM with less; nothing else can fail here.
            let _ = slot.ept.add(0, 0, top, RWX | UNCACHED);
            for range in &memory.ram {
                let size = range.end.wrapping_sub(range.start);
                let _ = slot
                    .ept
                    .modify(range.start, size, WRITE_BACK, super::ept::TYPE_MASK);
            }
            for range in memory.hidden.iter().chain([&memory.hypervisor]) {
                let _ = slot
                    .ept
                    .delete(range.start, range.end.wrapping_sub(range.start));
            }
            let _ = slot.ept.delete(APIC_BASE, PAGE);
            let _ = slot.ept.add(
                memory.apic_access_page,
                APIC_BASE,
                PAGE,
                READ | WRITE | UNCACHED,
            );
        }
    }

    pub(crate) fn slot(&self, number: u16) -> Option<&Slot> {
        self.slots.get(usize::from(number))
    }

    pub(crate) fn slot_mut(&mut self, number: u16) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(number))
    }

    /// The slot of an id that the Service VM uses, where a hypercall may reach it: it exists, and the hypervisor does
    /// not start its VM itself (ACRN `parse_target_vm`, `dispatch_hypercall`).
    pub(crate) fn target(&self, relative: u16) -> Answer<u16> {
        let number = self.service.wrapping_add(relative);
        let slot = self.slot(number).ok_or(ENOTTY)?;
        if self.config_of(slot).load_order == LoadOrder::PreLaunched {
            return Err(ENOTTY);
        }
        Ok(number)
    }

    /// The configuration that ACRN uses for a slot: that of the number that the slot believes to have.
    pub(crate) fn config_of<'m>(&'m self, slot: &'m Slot) -> &'m VmConfig {
        self.slot(slot.id).map_or(&slot.config, |own| &own.config)
    }

    /// Whether the Service VM may touch a VM while it runs (ACRN `is_severity_pass`).
    pub(crate) fn in_reach(&self, slot: &Slot) -> bool {
        self.config_of(slot).severity <= super::config::SERVICE_SEVERITY
    }

    /// Where the Service VM's address leads, if anywhere.
    pub(crate) fn service_hpa(&self, gpa: u64) -> Option<u64> {
        Some(self.slot(self.service)?.ept.lookup(gpa)?.hpa)
    }

    /// Raises the upcall interrupt in the Service VM (ACRN `arch_fire_hsm_interrupt`).
    pub(crate) fn upcall(&mut self) {
        let count = self.upcalls.entry(self.upcall_vector).or_insert(0);
        *count = count.saturating_add(1);
    }

    /// Whether a page's rights include execution, for inspection.
    pub(crate) const fn executable(prot: u64) -> bool {
        prot & EXECUTE != 0
    }
}
