//! ACRN's interface: its hypercalls, the memory they work on, and what it answers.
//!
//! [ACRN](https://projectacrn.org) is a small hypervisor for x86. One VM, the Service VM, creates the others and
//! emulates their devices; it manages them with the calls of [`Hypervisor`]. A User VM makes none, unless it has a
//! secure world beside it.
//!
//! This is API version 1.0, read from ACRN's sources (`common/hypercall.c`, `arch/x86/guest/vmcall.c`,
//! `include/public/`) and from what it answered at work.
//!
//! # For programs
//! - [`Hypervisor`] is the trait, and documents every call: what it needs, what it answers, and its traps.
//! - The arguments are plain structs with the hypervisor's layout. `new` and `Default` leave their reserved fields
//!   zero. Numbers of the hypervisor's that have names are open: an unknown one is kept.
//! - [`ioreq`] is the page through which device models serve a VM, [`sbuf`] the buffers that the hypervisor fills.
//! - [`WorldSwitch`] has the calls that carry more than two registers, or return with more than RAX.
//!
//! # For those who read a trace
//! - [`codes`] has what RAX says, [`unhandled`] the numbers that ACRN defines and does not answer.
//! - [`linux`] has the ioctls of Linux's driver, by which the calls are often made.
//!
//! # The life of a VM
//! A VM is powered off, created, running or paused. [`create_vm`](Hypervisor::create_vm) makes it created,
//! [`start_vm`](Hypervisor::start_vm) running, [`pause_vm`](Hypervisor::pause_vm) paused;
//! [`reset_vm`](Hypervisor::reset_vm) brings it from paused back to created,
//! [`destroy_vm`](Hypervisor::destroy_vm) from paused to powered off. There is no call that lets a paused VM go on.
//!
//! The calls trust their caller with this order, and with arguments that crash the hypervisor. [`vm`] has a handle that
//! keeps the order by its type, checks what can be checked, and gives itself back when a call fails. Programs that
//! create VMs start there.
//!
//! # The calls
//! A call's number is `0x80000000` plus its index. It succeeds in these states of its target: O powered off, C created,
//! R running, P paused. "Own" calls are made by the VM that they concern.
//!
//! | index | method | C name | states |
//! |---|---|---|---|
//! | 00 | [`get_api_version`](Hypervisor::get_api_version) | `HC_GET_API_VERSION` | any |
//! | 01 | [`service_vm_offline_cpu`](Hypervisor::service_vm_offline_cpu) | `HC_SERVICE_VM_OFFLINE_CPU` | any |
//! | 02 | [`set_callback_vector`](Hypervisor::set_callback_vector) | `HC_SET_CALLBACK_VECTOR` | any |
//! | 10 | [`create_vm`](Hypervisor::create_vm) | `HC_CREATE_VM` | O |
//! | 11 | [`destroy_vm`](Hypervisor::destroy_vm) | `HC_DESTROY_VM` | P |
//! | 12 | [`start_vm`](Hypervisor::start_vm) | `HC_START_VM` | C, with a request page |
//! | 13 | [`pause_vm`](Hypervisor::pause_vm) | `HC_PAUSE_VM` | C R P |
//! | 14 | [`create_vcpu`](Hypervisor::create_vcpu) | `HC_CREATE_VCPU` | any; does nothing |
//! | 15 | [`reset_vm`](Hypervisor::reset_vm) | `HC_RESET_VM` | P |
//! | 16 | [`set_vcpu_regs`](Hypervisor::set_vcpu_regs) | `HC_SET_VCPU_REGS` | C P |
//! | 23 | [`inject_msi`](Hypervisor::inject_msi) | `HC_INJECT_MSI` | C R P |
//! | 24 | [`vm_intr_monitor`](Hypervisor::vm_intr_monitor) | `HC_VM_INTR_MONITOR` | C R P |
//! | 25 | [`set_irqline`](Hypervisor::set_irqline) | `HC_SET_IRQLINE` | C R P |
//! | 30 | [`set_ioreq_buffer`](Hypervisor::set_ioreq_buffer) | `HC_SET_IOREQ_BUFFER` | C |
//! | 31 | [`notify_request_finish`](Hypervisor::notify_request_finish) | `HC_NOTIFY_REQUEST_FINISH` | C R P, with a request page |
//! | 32 | [`asyncio_assign`](Hypervisor::asyncio_assign) | `HC_ASYNCIO_ASSIGN` | C R P, with an `ASYNCIO` buffer |
//! | 33 | [`asyncio_deassign`](Hypervisor::asyncio_deassign) | `HC_ASYNCIO_DEASSIGN` | C R P |
//! | 41 | [`vm_gpa2hpa`](Hypervisor::vm_gpa2hpa) | `HC_VM_GPA2HPA` | C R P |
//! | 42 | [`set_memory_regions`](Hypervisor::set_memory_regions) | `HC_VM_SET_MEMORY_REGIONS` | C P; R by severity |
//! | 43 | [`write_protect_page`](Hypervisor::write_protect_page) | `HC_VM_WRITE_PROTECT_PAGE` | C R P |
//! | 44 | [`setup_sbuf`](Hypervisor::setup_sbuf) | `HC_SETUP_SBUF` | any |
//! | 50 51 52 | [`unhandled`] | | none |
//! | 53 | [`set_ptdev_intr_info`](Hypervisor::set_ptdev_intr_info) | `HC_SET_PTDEV_INTR_INFO` | C |
//! | 54 | [`reset_ptdev_intr_info`](Hypervisor::reset_ptdev_intr_info) | `HC_RESET_PTDEV_INTR_INFO` | C P |
//! | 55 | [`assign_pcidev`](Hypervisor::assign_pcidev) | `HC_ASSIGN_PCIDEV` | C |
//! | 56 | [`deassign_pcidev`](Hypervisor::deassign_pcidev) | `HC_DEASSIGN_PCIDEV` | C P |
//! | 57 | [`assign_mmiodev`](Hypervisor::assign_mmiodev) | `HC_ASSIGN_MMIODEV` | C |
//! | 58 | [`deassign_mmiodev`](Hypervisor::deassign_mmiodev) | `HC_DEASSIGN_MMIODEV` | C P |
//! | 59 | [`add_vdev`](Hypervisor::add_vdev) | `HC_ADD_VDEV` | C |
//! | 5a | [`remove_vdev`](Hypervisor::remove_vdev) | `HC_REMOVE_VDEV` | C P |
//! | 61 | [`setup_hv_npk_log`](Hypervisor::setup_hv_npk_log) | `HC_SETUP_HV_NPK_LOG` | any; debug builds |
//! | 62 | [`profiling_ops`](Hypervisor::profiling_ops) | `HC_PROFILING_OPS` | any; debug builds |
//! | 63 | [`get_hw_info`](Hypervisor::get_hw_info) | `HC_GET_HW_INFO` | any; debug builds |
//! | 70 | [`initialize_trusty`](Hypervisor::initialize_trusty), [`start_secure_world`](WorldSwitch::start_secure_world) | `HC_INITIALIZE_TRUSTY` | own |
//! | 71 | [`switch_world`](WorldSwitch::switch_world) | `HC_WORLD_SWITCH` | own |
//! | 72 | [`save_restore_sworld_ctx`](Hypervisor::save_restore_sworld_ctx) | `HC_SAVE_RESTORE_SWORLD_CTX` | own |
//! | 80 | [`pm_get_px_count`](Hypervisor::pm_get_px_count), [`pm_get_px_data`](Hypervisor::pm_get_px_data), [`pm_get_cx_count`](Hypervisor::pm_get_cx_count), [`pm_get_cx_data`](Hypervisor::pm_get_cx_data) | `HC_PM_GET_CPU_STATE` | C P |
//! | 90 | [`tee_vcpu_boot_done`](Hypervisor::tee_vcpu_boot_done), [`tee_boot_done`](WorldSwitch::tee_boot_done) | `HC_TEE_VCPU_BOOT_DONE` | own |
//! | 91 | [`switch_to_tee`](WorldSwitch::switch_to_tee), [`switch_to_ree`](WorldSwitch::switch_to_ree) | `HC_SWITCH_EE` | own |

mod layout;

pub mod codes;
mod create;
mod debug;
mod device;
mod hypervisor;
mod ids;
mod info;
mod interrupts;
pub mod ioreq;
pub mod linux;
mod memory;
mod pm;
mod regs;
pub mod sbuf;
pub mod server;
mod trusty;
pub mod unhandled;
pub mod vm;
mod world;

pub use create::{VmCreation, VmFlags, VmName, VmNameError};
pub use debug::{HwInfo, NpkLog, NpkLogCommand, NpkLogResult, ProfilingCommand};
pub use device::{
    MmioDevice, MmioMemType, MmioResource, PciDevice, PciDeviceFlags, VdevId, VirtualDevice,
    VrpConfig,
};
pub use hypervisor::*;
pub use ids::{Bdf, Gsi, LapicId, PcpuId, PcpuSet, VcpuId, Vector, VmId};
pub use info::ApiVersion;
pub use interrupts::{
    DeliveryMode, IntrMonitor, IntrMonitorCommand, Intx, IrqLine, IrqLineOp, MsiAddress, MsiData,
    MsiEntry, PirqCount, PtdevIrq, PtdevIrqKind,
};
pub use ioreq::IoReqBuffer;
pub use memory::{GpaToHpa, MemoryProt, MemoryRegion, MemoryRegionKind, SetRegions, WriteProtect};
pub use pm::{AddressSpace, CstateData, GenericAddress, PmCommand, PmKind, PstateData};
pub use regs::{Cr0, DescriptorTable, GpRegs, Regs, VcpuRegs};
pub use sbuf::{
    AsyncIoInfo, AsyncIoKind, RtcChange, SbufFlags, SbufId, SbufParam, SharedBufferHeader, VmEvent,
    VmEventKind,
};
pub use trusty::{TeeBoot, TrustyBootParam};
pub use world::{
    SWITCH_EE, SwitchRefused, TeeReply, TeeRequest, WORLD_SWITCH, WorldMessage, WorldSwitch,
};
