//! A working ACRN in memory: it does what the hypervisor does, so a program that needs one can be tested without.
//!
//! [`FakeAcrn`] implements the interface's trait: a program that takes `&impl Hypervisor` can be given one as it is. It
//! also answers raw, behind [`AcrnServer`](hypercall_core::acrn::server::AcrnServer), from registers and its own guest
//! memory; over a [`Loopback`](crate::loopback::Loopback) the whole way is run.
//!
//! ```
//! use hypercall_core::{Gpa, SharedPage, acrn::{Hypervisor, MemoryProt, MemoryRegion, VcpuId, VmCreation}};
//! use hypercall_mock::fake::{Access, AccessOutcome, FakeAcrn, VmState};
//!
//! static REQUESTS: SharedPage = SharedPage::new();
//!
//! let fake = FakeAcrn::new();
//! let vm = fake.create_vm(&mut VmCreation::new("POST_STD_VM1".try_into()?))?;
//! fake.set_ioreq_buffer(vm, (&REQUESTS).into())?;
//! fake.set_memory_regions(vm, &[MemoryRegion::map(Gpa(0), Gpa(0x400_0000), 0x10_0000, MemoryProt::RAM)])?;
//! fake.start_vm(vm)?;
//!
//! // The guest's side is played by the test.
//! let outcome = fake.guest_access(vm, VcpuId::BSP, Access::PortWrite { port: 0x510, size: 1, value: 0x42 })?;
//! assert_eq!(outcome, AccessOutcome::Waiting);
//! assert_eq!(fake.upcalls(0xf3), 1);
//!
//! // The device model answers.
//! REQUESTS.words()[136 / 4].store(1, core::sync::atomic::Ordering::Release);
//! fake.notify_request_finish(vm, VcpuId::BSP)?;
//! assert_eq!(fake.guest_outcome(vm, VcpuId::BSP), Some(AccessOutcome::Done(None)));
//! assert_eq!(fake.state(vm), VmState::Running);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # How far it goes
//! It answers by ACRN's rules, including those that are accidents: what a failed call leaves behind, what outlives a VM,
//! where addresses wrap. It was held to recordings of a real ACRN (feature `vectors`, example `conform`).
//!
//! It has no processors. What guests do is played by a test ([`guest_access`](FakeAcrn::guest_access) and its
//! neighbours); what the hypervisor emulates for guests by itself (interrupt controllers, PCI configuration, timers) is
//! not there. Interrupts are [recorded](FakeAcrn::injections), not delivered. It is deterministic: time does not pass.
//!
//! A call that crashes the real hypervisor, or never returns, answers
//! [`TransportError::Dead`](hypercall_core::TransportError::Dead) with the reason, and the machine stays
//! [down](FakeAcrn::down) until [`reset`](FakeAcrn::reset).
//!
//! # Rules
//! What each answer follows. "Who may call, which handler, which VM, unreadable parameters" are the
//! [dispatcher's](hypercall_core::acrn::server). Files are relative to ACRN's `hypervisor/`; states are powered **o**ff,
//! **c**reated, **r**unning, **p**aused.
//!
//! | call | the rule | ACRN |
//! |---|---|---|
//! | 00 GET_API_VERSION | 1.0 | `hcall_get_api_version` |
//! | 01 SERVICE_VM_OFFLINE_CPU | the vCPU with that APIC id goes offline; the first: -1; none: 0 | `hcall_service_vm_offline_cpu` |
//! | 02 SET_CALLBACK_VECTOR | 0x20 to 0xff of 64 bits, else -22 | `hcall_set_callback_vector` |
//! | 10 CREATE_VM | the name's slot, else the first without configuration and name, else -25 | `get_vmid_by_name`, `allocate_dynamical_vmid` |
//! | | not powered off, affinity outside the configuration's, LAPIC passthrough without RT: -1 | `hcall_create_vm` |
//! | | flags 0, 1, 2, 4 (debug: 11) replace the configuration's; the others are dropped | `DM_OWNED_GUEST_FLAG_MASK` |
//! | | a slot without configuration loses its name whenever no VM was made, a living VM's as well | `hcall_create_vm` |
//! | | a secure world that is not there: 0 and vmid 0xffff, now and in every later VM of the slot | `create_vm`, `get_sworld_vm_index` |
//! | | a line that cannot be passed through: 0 and vmid 0xffff, and a VM in state c without memory | `create_vm` |
//! | | no name: `ACRN VM_` and the slot's number | `create_vm` |
//! | | a vCPU for each processor of the affinity (0: the configuration's); one that does not exist: crash | `prepare_vcpu`, `create_vcpu` |
//! | | the first vCPU maps the APIC page at 0xfee00000 | `vlapic_create` |
//! | | rings and request page of the last VM are forgotten, its asynchronous I/Os are not | `create_vm` |
//! | 11 DESTROY_VM | p, else -1; memory, devices, lines, flags go, and the name of a slot without configuration | `shutdown_vm` |
//! | 12 START_VM | c with a request page, else -1; without vCPUs: crash | `hcall_start_vm`, `start_vm` |
//! | 13 PAUSE_VM | o: -1; running above the Service VM's severity: 0 and nothing; the caller: hang | `pause_vm` |
//! | 14 CREATE_VCPU | 0 | `hcall_create_vcpu` |
//! | 15 RESET_VM | p, else -1; slots of the request page become FREE | `reset_vm`, `reset_vm_ioreqs` |
//! | 16 SET_VCPU_REGS | c or p, vCPU not offline, CR0 and CR4 within the configured bits, else -1 | `hcall_set_vcpu_regs`, `is_valid_cr0_cr4` |
//! | 23 INJECT_MSI | not o, severity, address bits 31:20 = 0xfee, else -1 | `vlapic_inject_msi` |
//! | | LAPIC passthrough: no vCPU runs: -1; x2APIC: any address | `update_vm_vlapic_state` |
//! | 24 VM_INTR_MONITOR | o, more than 48 words, unknown command: -22 | `hcall_vm_intr_monitor`, `ptirq_get_intr_data` |
//! | 25 SET_IRQLINE | not o, severity, GSI below 48 (Service VM: the I/O APICs' lines), else -1; any operation | `hcall_set_irqline`, `get_vm_gsicount` |
//! | 30 SET_IOREQ_BUFFER | c, else -1; unmapped: -1 and no page; every slot's state becomes FREE; host address 0: 0 and no page | `hcall_set_ioreq_buffer`, `set_io_req_state` |
//! | 31 NOTIFY_REQUEST_FINISH | not o, severity, page, vCPU, else -1; wakes the vCPU, or its next wait; polling VMs: nothing | `hcall_notify_ioreq_finish`, `signal_event` |
//! | 32 ASYNCIO_ASSIGN | 0; an address before the slot's first ring: crash | `add_asyncio`, `asyncio_is_conflict` |
//! | 33 ASYNCIO_DEASSIGN | 0 | `remove_asyncio` |
//! | 41 VM_GPA2HPA | o, unmapped: -1; address bits above 47 do not matter | `local_gpa2hpa`, `pgtable_lookup_entry` |
//! | 42 VM_SET_MEMORY_REGIONS | o, none, running above the severity: -1; size, unmapped: -22 | `set_vm_memory_region` |
//! | | a range is checked by steps of the page that maps each point; one that wraps counts as mapped | `ept_is_valid_mr` |
//! | | addresses round up, pages that are there stay, large pages where they fit | `pgtable_add_map` |
//! | | the page tables' pool used up: crash; a range into the last 512 GiB of 64 bits: hang | `alloc_page`, `pgtable_add_map` |
//! | 43 VM_WRITE_PROTECT_PAGE | o: -1; severity, unaligned, unmapped, hypervisor's memory: -22 | `write_protect_page` |
//! | 44 SETUP_SBUF | address 0, other ids: -1; 64 and 65: the magic number, else -1 | `hcall_setup_sbuf`, `sbuf_setup_common` |
//! | | 0 to 3: no such processor -22, unmapped removes; release build: -1 | `sbuf_share_setup` |
//! | 53 54 SET/RESET_PTDEV_INTR_INFO | c (54: or p), INTX, the device's both addresses, lines, else -1; line taken: -19; emulated device: crash | `hcall_set_ptdev_intr_info`, `add_intx_remapping` |
//! | 55 ASSIGN_PCIDEV | not c: -22; the Service VM's own, no bridge, else -19; port BAR moved: -5; 96 functions: -14 | `vpci_assign_pcidev`, `check_pt_dev_pio_bars` |
//! | 56 DEASSIGN_PCIDEV | not c or p: -22; assigned at that address, else -19 | `vpci_deassign_pcidev` |
//! | 57 58 ASSIGN/DEASSIGN_MMIODEV | c (58: or p), else -22; what is mapped is unmapped, unaligned -22; then all is mapped, unaligned -22 | `assign_mmio_dev`, `deassign_mmio_dev` |
//! | 59 ADD_VDEV | not c, unknown device, no configured place: -22; a root port without one: 0 | `create_ivshmem_vdev`, `create_vmcs9900_vdev`, `create_vrp` |
//! | 5a REMOVE_VDEV | not c or p, unknown device, nothing there: -22 | `hcall_remove_vdev` |
//! | 61 SETUP_HV_NPK_LOG | 0 and a result in memory; release build: -1 | `npk_log_setup` |
//! | 62 PROFILING_OPS | commands 0 to 8, else -1; questions are answered, counters are not programmed; release build: -1 | `hcall_profiling_ops` |
//! | 63 GET_HW_INFO | the number of processors; release build: -1 | `hcall_get_hw_info` |
//! | 70 72 trusty | no flag: -25; context: -1; version: -14; nothing saved: -22 | `hcall_initialize_trusty`, `hcall_save_restore_sworld_ctx` |
//! | 80 PM_GET_CPU_STATE | not c or p: -1; P-states: count 0 with VHWP, else -1; C-states: the configured, 1 to their count | `hcall_get_cpu_pm_state` |
//! | 90 TEE_VCPU_BOOT_DONE | no flag: -25 | `hcall_handle_tee_vcpu_boot_done` |
//! | copies | page by page, whatever the rights; a chunk at host address 0 reads and becomes zeros | `local_copy_gpa`, `memcpy_s` |
//! | I/O requests | slot FREE, else the access fails; fields the access does not set keep the last one's | `acrn_insert_request`, `pio_instr_vmexit_handler` |
//! | | COMPLETE: the vCPU takes the value, the slot becomes FREE; a stopped vCPU only frees it | `dm_emulate_io_complete` |
//! | asynchronous I/Os | by address, kind and value, reads too; a full ring holds the vCPU | `get_asyncio_desc`, `acrn_insert_asyncio`, `sbuf_put` |

mod access;
mod answer;
mod asyncio;
mod calls;
pub mod config;
mod copy;
mod cpuid;
mod debug;
mod ept;
mod guest;
mod host;
mod inspect;
mod interrupts;
mod lifecycle;
mod machine;
mod memory;
mod own;
mod pci;
mod regions;
mod requests;
mod rings;
mod vm;

use alloc::sync::Arc;

use hypercall_core::{
    Gpa, SharedPage,
    server::{GuestMemory, Unmapped},
};
use spin::{Mutex, MutexGuard};

pub use access::{Access, AccessError, AccessOutcome};
pub use config::{Build, FakeConfig, LoadOrder, VmConfig};
pub use inspect::{Mapping, VcpuView, VmView};
pub use machine::STATIC_VM;
pub use vm::{Injection, Registers, VcpuState, VmState};

use crate::loopback::Mount;
use machine::Machine;

/// A working ACRN in memory. A clone is another handle to the same machine.
#[derive(Clone, Debug)]
pub struct FakeAcrn {
    inner: Arc<Inner>,
    /// Slot of the VM that calls, if it is not the Service VM.
    caller: Option<u16>,
}

#[derive(Debug)]
struct Inner {
    config: FakeConfig,
    machine: Mutex<Machine>,
}

impl FakeAcrn {
    /// The machine of [`FakeConfig::default`], just booted.
    #[must_use]
    pub fn new() -> Self {
        Self::with_config(FakeConfig::default())
    }

    /// A machine of one's own, just booted.
    #[must_use]
    pub fn with_config(config: FakeConfig) -> Self {
        Self {
            inner: Arc::new(Inner {
                machine: Mutex::new(Machine::new(config.clone())),
                config,
            }),
            caller: None,
        }
    }

    /// Switches the machine off and on: no VM but those that the hypervisor starts, memory zeroed, live pages no longer
    /// mounted. Also the way out of [`down`](Self::down).
    pub fn reset(&self) {
        *self.lock() = Machine::new(self.inner.config.clone());
    }

    /// What the machine is made of.
    #[must_use]
    pub fn config(&self) -> &FakeConfig {
        &self.inner.config
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.inner.machine.lock()
    }
}

impl Default for FakeAcrn {
    fn default() -> Self {
        Self::new()
    }
}

/// The caller's memory (the Service VM's), as the hypervisor copies it for a call: whatever is mapped, whatever the rights.
impl GuestMemory for FakeAcrn {
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), Unmapped> {
        let machine = self.lock();
        machine.copy_from(self.caller_slot(&machine), gpa, bytes)
    }

    fn write(&self, gpa: u64, bytes: &[u8]) -> Result<(), Unmapped> {
        let mut machine = self.lock();
        let caller = self.caller_slot(&machine);
        machine.copy_to(caller, gpa, bytes)
    }
}

impl Mount for FakeAcrn {
    fn mount(&self, pages: &'static [SharedPage]) -> Option<Gpa> {
        self.lock().mount_anywhere(pages).map(Gpa)
    }
}
