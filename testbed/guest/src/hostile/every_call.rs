//! Every call of the interface, with arguments of no meaning, for a hypervisor that does not look at them.

use hypercall_core::acrn::{
    AsyncIoInfo, GpaToHpa, Gsi, Hypervisor, HypervisorCalls as Calls, IntrMonitor, IrqLine,
    IrqLineOp, LapicId, MemoryRegion, MmioDevice, MsiEntry, NpkLog, PciDevice, PcpuId, PmCommand,
    ProfilingCommand, PtdevIrq, SbufId, TeeBoot, TrustyBootParam, VcpuId, VcpuRegs, Vector,
    VirtualDevice, VmCreation, VmId, VmName, WriteProtect,
};
use hypercall_core::call::CallInfo;
use hypercall_core::{Client, Error, Gpa, PageAligned, Payload, SharedPage};

use crate::Way;

const VM: VmId = VmId(1);
/// What is described has no more calls than this: a call that is added is missing here.
const CALLS: usize = Calls::INTERFACE.calls.len();

/// A call, and how it ended.
pub type Outcome = (&'static CallInfo, Result<(), Error>);

/// Makes all, in the order of their declaration. `page` is what is handed over for keeps.
pub fn every_call(h: &Client<Way>, page: &'static SharedPage) -> [Outcome; CALLS] {
    let pm = PmCommand::new(VM);
    let mut creation = VmCreation::new(VmName([0; 16]));
    let mut monitor = PageAligned(IntrMonitor::zeroed());
    let mut question = GpaToHpa::of(Gpa(0));
    let mut log = NpkLog::zeroed();
    let mut bytes = [0; 16];
    [
        (Calls::GET_API_VERSION, h.get_api_version().map(drop)),
        (
            Calls::SERVICE_VM_OFFLINE_CPU,
            h.service_vm_offline_cpu(LapicId(1)),
        ),
        (
            Calls::SET_CALLBACK_VECTOR,
            h.set_callback_vector(Vector::UPCALL_DEFAULT),
        ),
        (Calls::CREATE_VM, h.create_vm(&mut creation).map(drop)),
        (Calls::DESTROY_VM, h.destroy_vm(VM)),
        (Calls::START_VM, h.start_vm(VM)),
        (Calls::PAUSE_VM, h.pause_vm(VM)),
        (Calls::CREATE_VCPU, h.create_vcpu(VM)),
        (Calls::RESET_VM, h.reset_vm(VM)),
        (
            Calls::SET_VCPU_REGS,
            h.set_vcpu_regs(VM, &VcpuRegs::zeroed()),
        ),
        (Calls::INJECT_MSI, h.inject_msi(VM, &MsiEntry::zeroed())),
        (Calls::VM_INTR_MONITOR, h.vm_intr_monitor(VM, &mut monitor)),
        (
            Calls::SET_IRQLINE,
            h.set_irqline(VM, IrqLine::new(Gsi(4), IrqLineOp::HIGH)),
        ),
        (Calls::SET_IOREQ_BUFFER, h.set_ioreq_buffer(VM, page.into())),
        (
            Calls::NOTIFY_REQUEST_FINISH,
            h.notify_request_finish(VM, VcpuId::BSP),
        ),
        (
            Calls::ASYNCIO_ASSIGN,
            h.asyncio_assign(VM, &AsyncIoInfo::zeroed()),
        ),
        (
            Calls::ASYNCIO_DEASSIGN,
            h.asyncio_deassign(VM, &AsyncIoInfo::zeroed()),
        ),
        (Calls::VM_GPA2HPA, h.vm_gpa2hpa(VM, &mut question).map(drop)),
        (
            Calls::SET_MEMORY_REGIONS,
            h.set_memory_regions(VM, &[MemoryRegion::zeroed(); 2]),
        ),
        (
            Calls::WRITE_PROTECT_PAGE,
            h.write_protect_page(VM, &WriteProtect::zeroed()),
        ),
        (
            Calls::SETUP_SBUF,
            h.setup_sbuf(VM, PcpuId(0), SbufId::ASYNCIO, page.into()),
        ),
        (
            Calls::SET_PTDEV_INTR_INFO,
            h.set_ptdev_intr_info(VM, &PtdevIrq::zeroed()),
        ),
        (
            Calls::RESET_PTDEV_INTR_INFO,
            h.reset_ptdev_intr_info(VM, &PtdevIrq::zeroed()),
        ),
        (
            Calls::ASSIGN_PCIDEV,
            h.assign_pcidev(VM, &PciDevice::zeroed()),
        ),
        (
            Calls::DEASSIGN_PCIDEV,
            h.deassign_pcidev(VM, &PciDevice::zeroed()),
        ),
        (
            Calls::ASSIGN_MMIODEV,
            h.assign_mmiodev(VM, &MmioDevice::zeroed()),
        ),
        (
            Calls::DEASSIGN_MMIODEV,
            h.deassign_mmiodev(VM, &MmioDevice::zeroed()),
        ),
        (Calls::ADD_VDEV, h.add_vdev(VM, &VirtualDevice::zeroed())),
        (
            Calls::REMOVE_VDEV,
            h.remove_vdev(VM, &VirtualDevice::zeroed()),
        ),
        (Calls::SETUP_HV_NPK_LOG, h.setup_hv_npk_log(&mut log)),
        (
            Calls::PROFILING_OPS,
            h.profiling_ops(ProfilingCommand::GET_VERSION, &mut bytes),
        ),
        (Calls::GET_HW_INFO, h.get_hw_info().map(drop)),
        (
            Calls::INITIALIZE_TRUSTY,
            h.initialize_trusty(&TrustyBootParam::zeroed()),
        ),
        (Calls::SAVE_RESTORE_SWORLD_CTX, h.save_restore_sworld_ctx()),
        (Calls::PM_GET_PX_COUNT, h.pm_get_px_count(pm).map(drop)),
        (Calls::PM_GET_PX_DATA, h.pm_get_px_data(pm).map(drop)),
        (Calls::PM_GET_CX_COUNT, h.pm_get_cx_count(pm).map(drop)),
        (Calls::PM_GET_CX_DATA, h.pm_get_cx_data(pm).map(drop)),
        (
            Calls::TEE_VCPU_BOOT_DONE,
            h.tee_vcpu_boot_done(TeeBoot::SLEEP),
        ),
    ]
}
