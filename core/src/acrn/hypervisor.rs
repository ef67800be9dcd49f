//! ACRN's hypercalls as one trait.

use super::create::VmCreation;
use super::debug::{HwInfo, NpkLog, ProfilingCommand};
use super::device::{MmioDevice, PciDevice, VirtualDevice};
use super::ids::{LapicId, PcpuId, VcpuId, Vector, VmId};
use super::info::ApiVersion;
use super::interrupts::{IntrMonitor, IrqLine, MsiEntry, PtdevIrq};
use super::ioreq::IoReqBuffer;
use super::memory::{GpaToHpa, MemoryRegion, SetRegions, WriteProtect};
use super::pm::{CstateData, PmCommand, PstateData};
use super::regs::VcpuRegs;
use super::sbuf::{AsyncIoInfo, SbufId, SbufParam};
use super::trusty::{TeeBoot, TrustyBootParam};
use crate::{Error, Hpa, PageAligned, SharedRef};

/// What ACRN does for a VM that asks: every hypercall of API version 1.0 that fits two registers.
///
/// Programs take `&impl Hypervisor` or `&dyn Hypervisor`. A [`Client`](crate::Client) over any transport implements it,
/// and so does anything that plays the hypervisor.
///
/// # How to read a method
/// *Needs* says in which states of the target VM the call succeeds: powered off (or never created), created, running,
/// paused. The state is checked before memory is read. Every call can also fail with:
/// - -25 when the calling VM may not make it (only the Service VM may make those without a note), or the target VM
///   cannot exist: its id is 16 or more, or it was launched before the Service VM;
/// - -1, -22 or -25, by call, when a parameter block cannot be read or written, which a transport over memory that
///   Rust owns rules out;
/// - an error that is not the hypervisor's: see [`ErrorKind`](crate::ErrorKind).
///
/// *Source* is the function in ACRN's tree that decides. "(observed)" is said of what was seen of ACRN at work and
/// is not plain from its source.
///
/// A parameter is used only during the call, except a [`SharedRef`], which the hypervisor keeps.
#[hypercall::interface(codes = super::codes::CODES, export)]
pub trait Hypervisor {
    /// The version of this interface.
    ///
    /// Source: `hcall_get_api_version`.
    ///
    /// # Errors
    /// None of its own.
    #[doc(alias = "HC_GET_API_VERSION")]
    #[doc(alias = "hcall_get_api_version")]
    #[call(0x8000_0000, errors(-25 = "is the caller the Service VM?"))]
    fn get_api_version(&self) -> Result<ApiVersion, Error>;

    /// Takes a processor away from the Service VM, for good: its vCPU stops, and the physical processor becomes free
    /// for other VMs.
    ///
    /// The caller must have stopped using the processor. An id that no vCPU has is answered with success.
    ///
    /// Source: `hcall_service_vm_offline_cpu`.
    ///
    /// # Errors
    /// -1: it is the processor that the Service VM booted on.
    ///
    /// # Traps
    /// Naming the processor that makes the call stops it.
    #[doc(alias = "HC_SERVICE_VM_OFFLINE_CPU")]
    #[doc(alias = "HC_SOS_REMOVE_CPU")]
    #[doc(alias = "hcall_service_vm_offline_cpu")]
    #[doc(alias = "remove_cpu")]
    #[call(0x8000_0001, errors(-1 = "is this the processor that the Service VM booted on? It cannot be given away"))]
    fn service_vm_offline_cpu(&self, lapic: LapicId) -> Result<(), Error>;

    /// Chooses the vector of the upcall, with which the hypervisor tells the Service VM of I/O requests and events.
    ///
    /// One for the whole machine; the default is 0xf3 ([`Vector::UPCALL_DEFAULT`]), and Linux relies on it.
    ///
    /// Source: `hcall_set_callback_vector`.
    ///
    /// # Errors
    /// -22: the vector is not in 0x20 to 0xff. All 64 bits count.
    #[doc(alias = "HC_SET_CALLBACK_VECTOR")]
    #[doc(alias = "hcall_set_callback_vector")]
    #[call(0x8000_0002, errors(-22 = "is the vector in 0x20 to 0xff?"))]
    fn set_callback_vector(&self, vector: Vector) -> Result<(), Error>;

    /// Creates a VM and returns its id, with the number of its vCPUs in `creation.vcpu_num`.
    ///
    /// A name that is configured in the hypervisor stands for that VM and its slot. Any other takes the first slot
    /// that is not configured and has no name, and an empty name takes a new one each time.
    /// The VM is then in state created: memory, registers, devices and the request page come next, then
    /// [`start_vm`](Hypervisor::start_vm).
    ///
    /// Needs: powered off. Source: `hcall_create_vm`, and `parse_target_vm` for the name.
    ///
    /// # Errors
    /// - -25: there is no slot for this name.
    /// - -1: the VM exists; or the affinity names a processor outside the VM's configuration; or
    ///   [`LAPIC_PASSTHROUGH`](super::VmFlags::LAPIC_PASSTHROUGH) is set without [`RT`](super::VmFlags::RT). Nothing
    ///   is written back.
    /// - [`Rejected`](crate::ErrorKind::Rejected), RAX 0 and vmid 0xffff: creation failed after these checks, for
    ///   instance because the slot's VM asks for a secure world that is not configured. Also with an id that no new VM
    ///   can have, 0 or one from 16 on, which ACRN never gives; it stays in `creation.vmid`.
    ///
    /// # Traps
    /// - An affinity that names a processor that does not exist, with a name that is not configured, **crashes the
    ///   hypervisor** (observed).
    /// - A refusal for a name that is not configured empties the slot's name even while its VM lives: the same name
    ///   then means another slot, and the next new name runs into the VM that is still there (observed).
    /// - A VM that is not configured and has no affinity has no vCPU: do not start it.
    /// - After a rejection the VM may exist all the same, in state created.
    #[doc(alias = "HC_CREATE_VM")]
    #[doc(alias = "hcall_create_vm")]
    #[doc(alias = "ACRN_IOCTL_CREATE_VM")]
    #[call(0x8000_0010, result = creation, errors(
        0 = "does the VM ask for a secure world that is not configured? The hypervisor's log says which step failed",
        -1 = "does the VM exist already, is its affinity within its configuration, and do its flags have RT where they have LAPIC_PASSTHROUGH?",
        -25 = "is a slot free for this name, and is the caller the Service VM?",
    ))]
    fn create_vm(&self, creation: &mut VmCreation) -> Result<VmId, Error>;

    /// Destroys a VM. Its memory, devices and request page are the caller's again when this returns `Ok`.
    ///
    /// Buffers of [`setup_sbuf`](Hypervisor::setup_sbuf) stay set.
    ///
    /// Needs: paused. Source: `hcall_destroy_vm`.
    ///
    /// # Errors
    /// - -1: another state.
    /// - -110: a processor of a VM with [`LAPIC_PASSTHROUGH`](super::VmFlags::LAPIC_PASSTHROUGH) did not come back. The
    ///   VM is powered off all the same (`shutdown_vm`).
    #[doc(alias = "HC_DESTROY_VM")]
    #[doc(alias = "hcall_destroy_vm")]
    #[doc(alias = "ACRN_IOCTL_DESTROY_VM")]
    #[call(0x8000_0011, errors(
        -1 = "is the VM paused? Pause it first, also when it was never started",
        -110 = "a processor of the VM did not come back; the VM is powered off",
    ))]
    fn destroy_vm(&self, vm: VmId) -> Result<(), Error>;

    /// Starts a VM at its first vCPU's registers.
    ///
    /// Needs: created, with a request page. Source: `hcall_start_vm`.
    ///
    /// # Errors
    /// -1: another state, or [`set_ioreq_buffer`](Hypervisor::set_ioreq_buffer) was not called for the VM.
    ///
    /// # Traps
    /// The VM runs whatever is at its entry point. Somebody should be ready to serve its requests.
    #[doc(alias = "HC_START_VM")]
    #[doc(alias = "hcall_start_vm")]
    #[doc(alias = "ACRN_IOCTL_START_VM")]
    #[call(0x8000_0012, errors(-1 = "is the VM in state created, and was its I/O request buffer set?"))]
    fn start_vm(&self, vm: VmId) -> Result<(), Error>;

    /// Stops all vCPUs of a VM where they are. There is no call that lets them go on: a paused VM is reset or
    /// destroyed.
    ///
    /// Needs: created, running or paused. Source: `hcall_pause_vm`.
    ///
    /// # Errors
    /// -1: powered off.
    ///
    /// # Traps
    /// - [`VmId::SERVICE_VM`] is accepted: it **pauses the caller, which never returns**.
    /// - A running VM of a higher severity than the Service VM's is left running, and the answer is success.
    #[doc(alias = "HC_PAUSE_VM")]
    #[doc(alias = "hcall_pause_vm")]
    #[doc(alias = "ACRN_IOCTL_PAUSE_VM")]
    #[call(0x8000_0013, errors(-1 = "was the VM created?"))]
    fn pause_vm(&self, vm: VmId) -> Result<(), Error>;

    /// Does nothing: the hypervisor creates all vCPUs with the VM. Kept for programs that still call it.
    ///
    /// Source: `hcall_create_vcpu`.
    ///
    /// # Errors
    /// None of its own; any state is fine.
    #[doc(alias = "HC_CREATE_VCPU")]
    #[doc(alias = "hcall_create_vcpu")]
    #[call(0x8000_0014)]
    fn create_vcpu(&self, vm: VmId) -> Result<(), Error>;

    /// Brings a paused VM back to state created, its vCPUs to their state after reset.
    ///
    /// Memory, devices and the request page stay. Every slot of the page becomes `FREE`, whatever was going on in it
    /// (observed): nobody may be serving a request meanwhile.
    ///
    /// Needs: paused. Source: `hcall_reset_vm`.
    ///
    /// # Errors
    /// - -1: another state.
    /// - -22, -110: a VM with [`LAPIC_PASSTHROUGH`](super::VmFlags::LAPIC_PASSTHROUGH) runs on the processor that makes
    ///   the call, or one of its processors did not come back. The VM is in state created all the same (`reset_vm`).
    #[doc(alias = "HC_RESET_VM")]
    #[doc(alias = "hcall_reset_vm")]
    #[doc(alias = "ACRN_IOCTL_RESET_VM")]
    #[call(0x8000_0015, errors(
        -1 = "is the VM paused?",
        -22 = "does the VM have its local APICs for itself, on the processor that made this call?",
        -110 = "a processor of the VM did not come back; the VM is in state created",
    ))]
    fn reset_vm(&self, vm: VmId) -> Result<(), Error>;

    /// Sets the registers that a vCPU starts with. Meant for the one that boots: the others get theirs from it.
    ///
    /// Needs: created or paused. Source: `hcall_set_vcpu_regs`, `is_valid_cr0_cr4`.
    ///
    /// # Errors
    /// -1: another state; no such vCPU; a bit in CR0 that [`Cr0`](super::Cr0) does not list, or its NE is 0; in CR4,
    /// VMXE, SMXE, or a bit that the processor lacks.
    ///
    /// # Traps
    /// A reset of the VM sets the registers back, so they are set again after it.
    #[doc(alias = "HC_SET_VCPU_REGS")]
    #[doc(alias = "hcall_set_vcpu_regs")]
    #[doc(alias = "ACRN_IOCTL_SET_VCPU_REGS")]
    #[call(0x8000_0016, errors(-1 = "is the VM created or paused, does the vCPU exist, is CR0.NE set, and are CR4.VMXE and CR4.SMXE clear?"))]
    fn set_vcpu_regs(&self, vm: VmId, regs: &VcpuRegs) -> Result<(), Error>;

    /// Delivers a message-signalled interrupt to a VM.
    ///
    /// Success says that the message was a message, not that a vCPU took it.
    ///
    /// Needs: created, running or paused, and a severity not above the Service VM's.
    /// Source: `hcall_inject_msi`, `vlapic_inject_msi`.
    ///
    /// # Errors
    /// -1: another state; a higher severity; bits 31:20 of the address are not 0xfee (the bits above are ignored); or
    /// the VM has its local APICs for itself and they are off or in transition.
    #[doc(alias = "HC_INJECT_MSI")]
    #[doc(alias = "hcall_inject_msi")]
    #[doc(alias = "ACRN_IOCTL_INJECT_MSI")]
    #[call(0x8000_0023, errors(-1 = "was the VM created, does the address start with 0xfee, and is the VM's severity not above the Service VM's?"))]
    fn inject_msi(&self, vm: VmId, msi: &MsiEntry) -> Result<(), Error>;

    /// Reads how many interrupts the pass-through devices of a VM raised, or delays them.
    ///
    /// The hypervisor works in the caller's page and keeps nothing of it.
    ///
    /// Needs: created, running or paused. Source: `hcall_vm_intr_monitor`.
    ///
    /// # Errors
    /// -22: powered off; `buf_cnt` above 48; an unknown command.
    ///
    /// # Traps
    /// `buf_cnt` of 0 or 1 when reading counters switches the limit off, and the hypervisor **may write beyond the
    /// buffer** (`ptirq_get_intr_data`). [`IntrMonitor::counters`] asks for 48.
    #[doc(alias = "HC_VM_INTR_MONITOR")]
    #[doc(alias = "hcall_vm_intr_monitor")]
    #[doc(alias = "ACRN_IOCTL_VM_INTR_MONITOR")]
    #[call(0x8000_0024, errors(-22 = "was the VM created, is the command known, and is buf_cnt at most 48?"))]
    fn vm_intr_monitor(
        &self,
        vm: VmId,
        monitor: &mut PageAligned<IntrMonitor>,
    ) -> Result<(), Error>;

    /// Raises, lowers or pulses an interrupt line of a VM: at its I/O APIC, and below 16 also at its 8259 controllers.
    ///
    /// Line 2 is the I/O APIC's; the timer's pin at the 8259 is 0, and the hypervisor maps one to the other.
    ///
    /// Needs: created, running or paused, and a severity not above the Service VM's. Source: `hcall_set_irqline`.
    ///
    /// # Errors
    /// -1: another state; a higher severity; no such line (48 of a User VM, and of the Service VM as many as the
    /// machine's I/O APICs have).
    ///
    /// # Traps
    /// An unknown operation is answered with success and does nothing (observed).
    #[doc(alias = "HC_SET_IRQLINE")]
    #[doc(alias = "hcall_set_irqline")]
    #[doc(alias = "ACRN_IOCTL_SET_IRQLINE")]
    #[call(0x8000_0025, errors(-1 = "was the VM created, is the line below 48, and is the VM's severity not above the Service VM's?"))]
    fn set_irqline(&self, vm: VmId, line: IrqLine) -> Result<(), Error>;

    /// Gives the hypervisor the page in which it puts the VM's I/O requests: see [`ioreq`](super::ioreq).
    ///
    /// The hypervisor sets all 16 slots to `FREE` and touches nothing else (observed). It keeps the page until
    /// [`destroy_vm`](Hypervisor::destroy_vm) succeeds, until this call succeeds with another page, or fails with one
    /// that is not mapped.
    ///
    /// Needs: created. Source: `hcall_set_ioreq_buffer`.
    ///
    /// # Errors
    /// -1: another state; or the page is not mapped in the Service VM, **and then the VM has no page any more**
    /// (observed). So an unmapped [`SharedRef::Address`] takes the page back, with an error.
    #[doc(alias = "HC_SET_IOREQ_BUFFER")]
    #[doc(alias = "hcall_set_ioreq_buffer")]
    #[call(0x8000_0030, header(IoReqBuffer { ioreq_buf: &page }), errors(
        -1 = "is the VM in state created, and is the page's address mapped in the Service VM?",
    ))]
    fn set_ioreq_buffer(&self, vm: VmId, page: SharedRef) -> Result<(), Error>;

    /// Tells the hypervisor that the request of a vCPU is complete, so that the vCPU goes on.
    ///
    /// The state in the request page must be `COMPLETE` before: a vCPU that wakes and does not find it so has no
    /// value. Where the hypervisor polls ([`IO_COMPLETION_POLLING`](super::VmFlags::IO_COMPLETION_POLLING)) the call
    /// is accepted and does nothing.
    ///
    /// Needs: created, running or paused, with a request page, and a severity not above the Service VM's.
    /// Source: `hcall_notify_ioreq_finish`.
    ///
    /// # Errors
    /// -1: another state; no request page; no such vCPU; a higher severity.
    ///
    /// # Traps
    /// A notification that no vCPU waits for is remembered (`signal_event`): that vCPU's next request does not wait for
    /// its answer. Notify once for each request.
    #[doc(alias = "HC_NOTIFY_REQUEST_FINISH")]
    #[doc(alias = "hcall_notify_ioreq_finish")]
    #[doc(alias = "ACRN_IOCTL_NOTIFY_REQUEST_FINISH")]
    #[call(0x8000_0031, errors(-1 = "does the VM have this vCPU and an I/O request buffer, and is its severity not above the Service VM's?"))]
    fn notify_request_finish(&self, vm: VmId, vcpu: VcpuId) -> Result<(), Error>;

    /// Lets writes of the VM to an address go on without waiting: each puts a number into the VM's
    /// [`ASYNCIO`](SbufId::ASYNCIO) buffer.
    ///
    /// Needs: created, running or paused, which the hypervisor does not check, and a buffer that was set up with
    /// [`setup_sbuf`](Hypervisor::setup_sbuf).
    /// Source: `hcall_asyncio_assign`, `add_asyncio`.
    ///
    /// # Errors
    /// None of its own: the answer is 0 also for address 0, a duplicate, an unknown kind, and the 65th address, which
    /// are not taken (observed).
    ///
    /// # Traps
    /// While the VM's slot never had an [`ASYNCIO`](SbufId::ASYNCIO) buffer, any address but 0 **crashes the
    /// hypervisor** (observed).
    #[doc(alias = "HC_ASYNCIO_ASSIGN")]
    #[doc(alias = "hcall_asyncio_assign")]
    #[call(0x8000_0032)]
    fn asyncio_assign(&self, vm: VmId, info: &AsyncIoInfo) -> Result<(), Error>;

    /// Takes back what [`asyncio_assign`](Hypervisor::asyncio_assign) did with the same `info`: every field counts,
    /// of `match_data` whether it is 0.
    ///
    /// Needs: created, running or paused, which the hypervisor does not check.
    /// Source: `hcall_asyncio_deassign`, `remove_asyncio`.
    ///
    /// # Errors
    /// None of its own: the answer is 0 also where nothing was found (observed).
    #[doc(alias = "HC_ASYNCIO_DEASSIGN")]
    #[doc(alias = "hcall_asyncio_deassign")]
    #[call(0x8000_0033)]
    fn asyncio_deassign(&self, vm: VmId, info: &AsyncIoInfo) -> Result<(), Error>;

    /// Translates an address of a VM into one of the machine.
    ///
    /// Needs: created, running or paused. Source: `hcall_gpa_to_hpa`.
    ///
    /// # Errors
    /// -1: powered off, or the address is not mapped; `translation` is then as it was.
    #[doc(alias = "HC_VM_GPA2HPA")]
    #[doc(alias = "hcall_gpa_to_hpa")]
    #[call(0x8000_0041, result = translation, errors(-1 = "was the VM created, and is the address mapped in it?"))]
    fn vm_gpa2hpa(&self, vm: VmId, translation: &mut GpaToHpa) -> Result<Hpa, Error>;

    /// Maps and unmaps ranges of a VM's memory, in their order.
    ///
    /// A mapped range is the Service VM's memory, which both then see. The hypervisor stops at the first region that
    /// it refuses; those before it stay done, and how many they were does not come back.
    ///
    /// Needs: created or paused; running where the severity is not above the Service VM's.
    /// Source: `hcall_set_vm_memory_regions`, `set_vm_memory_region`.
    ///
    /// # Errors
    /// - -1: powered off; a running VM of a higher severity; no region at all.
    /// - -22: a size that is no multiple of 4096; for a mapping, memory that the Service VM does not have in full;
    ///   for an unmapping, a range that the VM does not have in full, which then stays as it is.
    ///
    /// # Traps
    /// - Every kind but [`ADD`](super::MemoryRegionKind::ADD) **unmaps**, [`MODIFY`](super::MemoryRegionKind::MODIFY)
    ///   too (observed).
    /// - Pages that are mapped already **keep their old translation**; the rest of the range is mapped, and the answer
    ///   is success (observed). To move memory, unmap it first.
    /// - Addresses are not checked but rounded **up** to 4096 (observed).
    /// - [`VmId::SERVICE_VM`] is accepted: it changes the caller's own memory (observed).
    /// - The check of a range goes on from each address by the size of the page that maps it (`ept_is_valid_mr`), so
    ///   a range that begins inside a large page may end beyond what is mapped and is accepted. **Memory of the
    ///   hypervisor can be mapped so** (read in the source, not observed).
    /// - The right to write without the right to read makes a page table entry that the processor refuses: an access to
    ///   it **stops the hypervisor** (`ept_misconfig_vmexit_handler`; read in the source, not observed).
    /// - The memory of the VM is shared: it must not be memory that Rust owns.
    #[doc(alias = "HC_VM_SET_MEMORY_REGIONS")]
    #[doc(alias = "hcall_set_vm_memory_regions")]
    #[doc(alias = "ACRN_IOCTL_SET_MEMSEG")]
    #[doc(alias = "ACRN_IOCTL_UNSET_MEMSEG")]
    #[call(0x8000_0042, header(SetRegions { vmid: vm, mr_num: regions.len(), regions_gpa: &regions }), errors(
        -1 = "was the VM created, is there at least one region, and if the VM runs, is its severity not above the Service VM's?",
        -22 = "is each size a multiple of 4096, does the Service VM have the memory to map, and does the VM have all of the range to unmap?",
        -25 = "is the VM's id below 16, and is the caller the Service VM?",
    ))]
    fn set_memory_regions(&self, vm: VmId, regions: &[MemoryRegion]) -> Result<(), Error>;

    /// Takes the right to write one page away from a VM, or gives it back. Meanwhile each write becomes an I/O request
    /// of the kind [`WRITE_PROTECTED`](super::ioreq::IoReqKind::WRITE_PROTECTED).
    ///
    /// Needs: created, running or paused. Source: `hcall_write_protect_page`, `write_protect_page`.
    ///
    /// # Errors
    /// - -1: powered off.
    /// - -22: the address is no multiple of 4096, is not mapped, or is the hypervisor's memory; or the VM's severity
    ///   is above the Service VM's.
    ///
    /// # Traps
    /// [`VmId::SERVICE_VM`] is accepted, and whose request a write is then nobody says.
    #[doc(alias = "HC_VM_WRITE_PROTECT_PAGE")]
    #[doc(alias = "hcall_write_protect_page")]
    #[call(0x8000_0043, errors(
        -1 = "was the VM created?",
        -22 = "is the address a multiple of 4096 and mapped in the VM, and is the VM's severity not above the Service VM's?",
    ))]
    fn write_protect_page(&self, vm: VmId, page: &WriteProtect) -> Result<(), Error>;

    /// Gives the hypervisor a buffer that it fills: see [`sbuf`](super::sbuf).
    ///
    /// For ids 0 to 3 the buffer is `pcpu`'s, and the VM does not matter; for 64 and 65 it is the VM's, and `pcpu`
    /// does not matter. The hypervisor keeps the memory: buffers of a processor until another is set or this one
    /// removed, buffers of a VM until another is set or the VM is created again. After
    /// [`destroy_vm`](Hypervisor::destroy_vm) nothing comes any more, but the buffer is still set.
    ///
    /// Needs: any state. Source: `hcall_setup_sbuf`, `sbuf_setup_common`.
    ///
    /// # Errors
    /// - -22: ids 0 to 3, and there is no such processor.
    /// - -1: another id; address 0; for 64 and 65 a header without [its magic](super::SharedBufferHeader::MAGIC), or
    ///   memory that is not mapped; ids 0 to 3 in a release build.
    ///
    /// # Traps
    /// - For ids 0 to 3 the header is not looked at, and a non-zero address that is not mapped **removes** the buffer
    ///   and answers 0 (observed).
    /// - The hypervisor believes the header for as long as it has the buffer.
    #[doc(alias = "HC_SETUP_SBUF")]
    #[doc(alias = "hcall_setup_sbuf")]
    #[doc(alias = "ACRN_IOCTL_SETUP_ASYNCIO")]
    #[doc(alias = "ACRN_IOCTL_SETUP_VM_EVENT_RING")]
    #[call(0x8000_0044, header(SbufParam { cpu_id: pcpu, sbuf_id: id, gpa: &buffer }), errors(
        -1 = "is the id known, does the buffer start with the magic number, and for ids 0 to 3, is this a debug build?",
        -22 = "does the processor exist?",
    ))]
    fn setup_sbuf(
        &self,
        vm: VmId,
        pcpu: PcpuId,
        id: SbufId,
        buffer: SharedRef,
    ) -> Result<(), Error>;

    /// Connects the interrupt pin of a pass-through device to a pin of the VM.
    ///
    /// The pin is taken from the Service VM.
    ///
    /// Needs: created, with the device assigned by [`assign_pcidev`](Hypervisor::assign_pcidev).
    /// Source: `hcall_set_ptdev_intr_info`.
    ///
    /// # Errors
    /// - -1: another state; a kind other than [`INTX`](super::PtdevIrqKind::INTX); no such device in the VM; no such
    ///   pin on one of the sides.
    /// - -19: one of the two pins is connected to something else.
    #[doc(alias = "HC_SET_PTDEV_INTR_INFO")]
    #[doc(alias = "HC_SET_PTDEV_INTR")]
    #[doc(alias = "hcall_set_ptdev_intr_info")]
    #[doc(alias = "ACRN_IOCTL_SET_PTDEV_INTR")]
    #[call(0x8000_0053, errors(
        -1 = "is the VM in state created, is the device assigned to it under this address, is the kind INTX, and do both pins exist?",
        -19 = "is one of the two pins connected already?",
    ))]
    fn set_ptdev_intr_info(&self, vm: VmId, irq: &PtdevIrq) -> Result<(), Error>;

    /// Disconnects what [`set_ptdev_intr_info`](Hypervisor::set_ptdev_intr_info) connected. The physical pin does not
    /// count.
    ///
    /// Needs: created or paused. Source: `hcall_reset_ptdev_intr_info`.
    ///
    /// # Errors
    /// -1: another state; a kind other than [`INTX`](super::PtdevIrqKind::INTX); no such device in the VM; no such
    /// pin in the VM.
    #[doc(alias = "HC_RESET_PTDEV_INTR_INFO")]
    #[doc(alias = "HC_RESET_PTDEV_INTR")]
    #[doc(alias = "hcall_reset_ptdev_intr_info")]
    #[doc(alias = "ACRN_IOCTL_RESET_PTDEV_INTR")]
    #[call(0x8000_0054, errors(-1 = "is the VM created or paused, is the device assigned to it under this address, is the kind INTX, and does the pin exist?"))]
    fn reset_ptdev_intr_info(&self, vm: VmId, irq: &PtdevIrq) -> Result<(), Error>;

    /// Passes a PCI function through: the Service VM loses it, the VM gets it.
    ///
    /// Needs: created. Source: `hcall_assign_pcidev`, `vpci_assign_pcidev`.
    ///
    /// # Errors
    /// - -22: another state.
    /// - -19: the Service VM has no such function, or it is a bridge, or it is passed through already.
    /// - -14: the VM has no room for another device.
    /// - -5: a base address register for I/O ports differs from the machine's: ports are passed through only where they
    ///   are (`check_pt_dev_pio_bars`).
    #[doc(alias = "HC_ASSIGN_PCIDEV")]
    #[doc(alias = "hcall_assign_pcidev")]
    #[doc(alias = "ACRN_IOCTL_ASSIGN_PCIDEV")]
    #[call(0x8000_0055, errors(
        -5 = "are the base addresses of I/O ports those of the machine?",
        -14 = "has the VM room for another device?",
        -19 = "does the Service VM have this function, is it no bridge, and is it not passed through already?",
        -22 = "is the VM in state created?",
    ))]
    fn assign_pcidev(&self, vm: VmId, device: &PciDevice) -> Result<(), Error>;

    /// Gives a PCI function back to the Service VM. Of `device` only the two addresses count.
    ///
    /// Needs: created or paused. Source: `hcall_deassign_pcidev`, `vpci_deassign_pcidev`.
    ///
    /// # Errors
    /// - -22: another state.
    /// - -19: the VM has no such function at this address.
    #[doc(alias = "HC_DEASSIGN_PCIDEV")]
    #[doc(alias = "hcall_deassign_pcidev")]
    #[doc(alias = "ACRN_IOCTL_DEASSIGN_PCIDEV")]
    #[call(0x8000_0056, errors(
        -19 = "is this function assigned to the VM, under this virtual address?",
        -22 = "is the VM created or paused?",
    ))]
    fn deassign_pcidev(&self, vm: VmId, device: &PciDevice) -> Result<(), Error>;

    /// Passes the registers of a device through: the Service VM loses the ranges, the VM gets them.
    ///
    /// First each range that the Service VM has is unmapped there; one that it does not have is skipped in silence.
    /// Then all are mapped into the VM.
    ///
    /// Needs: created. Source: `hcall_assign_mmiodev`, `deassign_mmio_dev`, `assign_mmio_dev`.
    ///
    /// # Errors
    /// -22: another state; or an address or a size that is no multiple of 4096: the ranges before it stay done.
    ///
    /// # Traps
    /// - The machine's address is not checked: **memory of the hypervisor itself can be mapped into a VM** (observed).
    /// - Pages that the VM has already keep their old translation.
    #[doc(alias = "HC_ASSIGN_MMIODEV")]
    #[doc(alias = "hcall_assign_mmiodev")]
    #[doc(alias = "ACRN_IOCTL_ASSIGN_MMIODEV")]
    #[call(0x8000_0057, errors(-22 = "is the VM in state created, and are all addresses and sizes multiples of 4096?"))]
    fn assign_mmiodev(&self, vm: VmId, device: &MmioDevice) -> Result<(), Error>;

    /// Gives the registers of a device back to the Service VM: [`assign_mmiodev`](Hypervisor::assign_mmiodev) the
    /// other way round.
    ///
    /// Needs: created or paused. Source: `hcall_deassign_mmiodev`.
    ///
    /// # Errors
    /// -22: another state; or an address or a size that is no multiple of 4096: the ranges before it stay done.
    ///
    /// # Traps
    /// Ranges are mapped into the Service VM whether the VM had them or not, and the machine's address is not checked:
    /// **the Service VM can get memory of the hypervisor**.
    #[doc(alias = "HC_DEASSIGN_MMIODEV")]
    #[doc(alias = "hcall_deassign_mmiodev")]
    #[doc(alias = "ACRN_IOCTL_DEASSIGN_MMIODEV")]
    #[call(0x8000_0058, errors(-22 = "is the VM created or paused, and are all addresses and sizes multiples of 4096?"))]
    fn deassign_mmiodev(&self, vm: VmId, device: &MmioDevice) -> Result<(), Error>;

    /// Adds a device that the hypervisor emulates: [`VdevId`](super::VdevId) has those that there are.
    ///
    /// Needs: created. Source: `hcall_add_vdev` and the device's own function.
    ///
    /// # Errors
    /// - -22: another state; an unknown device; a device for which the VM's configuration has no place.
    /// - -14: a root port that the VM has no room for.
    #[doc(alias = "HC_ADD_VDEV")]
    #[doc(alias = "HC_CREATE_VDEV")]
    #[doc(alias = "hcall_add_vdev")]
    #[doc(alias = "ACRN_IOCTL_CREATE_VDEV")]
    #[call(0x8000_0059, errors(
        -14 = "has the VM room for another device?",
        -22 = "is the VM in state created, is the device one that the hypervisor emulates, and does the VM's configuration have a place for it?",
    ))]
    fn add_vdev(&self, vm: VmId, device: &VirtualDevice) -> Result<(), Error>;

    /// Removes an emulated device. Of `device` the id counts, and the slot's low 16 bits.
    ///
    /// Needs: created or paused. Source: `hcall_remove_vdev`.
    ///
    /// # Errors
    /// -22: another state; an unknown device; nothing at this slot.
    ///
    /// # Traps
    /// The slot decides which device goes; the id only decides how it is taken down. They must belong together.
    #[doc(alias = "HC_REMOVE_VDEV")]
    #[doc(alias = "HC_DESTROY_VDEV")]
    #[doc(alias = "hcall_remove_vdev")]
    #[doc(alias = "ACRN_IOCTL_DESTROY_VDEV")]
    #[call(0x8000_005a, errors(-22 = "is the VM created or paused, and is there such a device at this slot?"))]
    fn remove_vdev(&self, vm: VmId, device: &VirtualDevice) -> Result<(), Error>;

    /// Sends the hypervisor's log to the machine's trace hub, or stops it. Success says that it was asked;
    /// `log.result` says what came of it.
    ///
    /// Source: `hcall_setup_hv_npk_log`. Debug builds only.
    ///
    /// # Errors
    /// -1: a release build.
    ///
    /// # Traps
    /// [`ENABLE`](super::NpkLogCommand::ENABLE) makes the hypervisor write to whatever is at the address.
    #[doc(alias = "HC_SETUP_HV_NPK_LOG")]
    #[doc(alias = "hcall_setup_hv_npk_log")]
    #[call(0x8000_0061, errors(-1 = "is this a debug build of the hypervisor?"))]
    fn setup_hv_npk_log(&self, log: &mut NpkLog) -> Result<(), Error>;

    /// Serves the profiling driver. The buffer's layout follows the command and is private to both ends, so it is
    /// bytes here; it must be as long as the command reads and writes.
    ///
    /// Source: `hcall_profiling_ops`. Debug builds with profiling only.
    ///
    /// # Errors
    /// -1: an unknown command, a release build, or whatever the command refuses.
    ///
    /// # Traps
    /// The hypervisor does not know how long the buffer is, and writes as much as the command has to say.
    #[doc(alias = "HC_PROFILING_OPS")]
    #[doc(alias = "hcall_profiling_ops")]
    #[call(0x8000_0062, errors(-1 = "is this a debug build of the hypervisor, and is the command known?"))]
    fn profiling_ops(&self, command: ProfilingCommand, buffer: &mut [u8]) -> Result<(), Error>;

    /// How many physical processors there are.
    ///
    /// Source: `hcall_get_hw_info`. Debug builds only.
    ///
    /// # Errors
    /// -1: a release build.
    #[doc(alias = "HC_GET_HW_INFO")]
    #[doc(alias = "hcall_get_hw_info")]
    #[call(0x8000_0063, errors(-1 = "is this a debug build of the hypervisor?"))]
    fn get_hw_info(&self) -> Result<HwInfo, Error>;

    /// Starts the secure world of the calling VM: its memory is taken out of the normal world, and this processor goes
    /// on at the secure world's entry point. The call returns when that world
    /// [switches back](super::WorldSwitch::switch_world), with its message in registers.
    ///
    /// Made by a VM with [`SECURE_WORLD`](super::VmFlags::SECURE_WORLD).
    /// Source: `hcall_initialize_trusty`, `initialize_trusty`.
    ///
    /// # Errors
    /// - -25: this VM has no secure world.
    /// - -1: the secure world is not supported, runs already, or makes the call itself.
    /// - -14: `param` cannot be read, its version is neither 1 nor 2, or a step failed.
    /// - [`Lost`](crate::TransportError::Lost): over VMCALL, where it succeeded. There is no room for the message here; make the
    ///   call by [`start_secure_world`](super::WorldSwitch::start_secure_world).
    #[doc(alias = "HC_INITIALIZE_TRUSTY")]
    #[doc(alias = "hcall_initialize_trusty")]
    #[call(0x8000_0070, errors(
        -1 = "does the VM have a secure world that does not run yet?",
        -14 = "is the version 1 or 2, and does the memory exist?",
        -25 = "does the calling VM have the flag SECURE_WORLD?",
    ))]
    fn initialize_trusty(&self, param: &TrustyBootParam) -> Result<(), Error>;

    /// Saves the secure world before the machine sleeps; restores it when called again afterwards.
    ///
    /// Made on the boot processor of a VM with [`SECURE_WORLD`](super::VmFlags::SECURE_WORLD).
    /// Source: `hcall_save_restore_sworld_ctx`.
    ///
    /// # Errors
    /// - -25: this VM has no secure world.
    /// - -1: another processor, or the secure world is not supported.
    /// - -22: the secure world does not run, and nothing was saved.
    #[doc(alias = "HC_SAVE_RESTORE_SWORLD_CTX")]
    #[doc(alias = "hcall_save_restore_sworld_ctx")]
    #[call(0x8000_0072, errors(
        -1 = "is this the boot processor of a VM with a secure world?",
        -22 = "does the secure world run, or was it saved before?",
        -25 = "does the calling VM have the flag SECURE_WORLD?",
    ))]
    fn save_restore_sworld_ctx(&self) -> Result<(), Error>;

    /// How many performance states a VM's processors have. 0 where the VM has hardware-controlled ones instead.
    ///
    /// Of `command` the VM counts. Needs: created or paused. Source: `hcall_get_cpu_pm_state`, which writes one byte.
    ///
    /// # Errors
    /// -1: another state; or the VM has no [`VHWP`](super::VmFlags::VHWP), for then ACRN keeps performance states to
    /// itself.
    #[doc(alias = "HC_PM_GET_CPU_STATE")]
    #[doc(alias = "hcall_get_cpu_pm_state")]
    #[doc(alias = "ACRN_PMCMD_GET_PX_CNT")]
    #[doc(alias = "ACRN_IOCTL_PM_GET_CPU_STATE")]
    #[call(0x8000_0080, select(0xff, 0), errors(-1 = "is the VM created or paused? Only a VM with the flag VHWP gets an answer"))]
    fn pm_get_px_count(&self, command: PmCommand) -> Result<u8, Error>;

    /// One performance state of a VM's processors, counted from 0.
    ///
    /// Needs: created or paused. Source: `hcall_get_cpu_pm_state`.
    ///
    /// # Errors
    /// -1: in this version of ACRN always, because it passes no performance states through (`is_pt_pstate`).
    #[doc(alias = "HC_PM_GET_CPU_STATE")]
    #[doc(alias = "ACRN_PMCMD_GET_PX_DATA")]
    #[call(0x8000_0080, select(0xff, 1), errors(-1 = "ACRN passes no performance states through to VMs"))]
    fn pm_get_px_data(&self, command: PmCommand) -> Result<PstateData, Error>;

    /// How many idle states a VM's processors have, C0 not counted.
    ///
    /// Of `command` the VM counts. Needs: created or paused. Source: `hcall_get_cpu_pm_state`, which writes one byte.
    ///
    /// # Errors
    /// -1: another state.
    #[doc(alias = "HC_PM_GET_CPU_STATE")]
    #[doc(alias = "ACRN_PMCMD_GET_CX_CNT")]
    #[call(0x8000_0080, select(0xff, 2), errors(-1 = "is the VM created or paused?"))]
    fn pm_get_cx_count(&self, command: PmCommand) -> Result<u8, Error>;

    /// One idle state of a VM's processors, counted from 1.
    ///
    /// Needs: created or paused. Source: `hcall_get_cpu_pm_state`.
    ///
    /// # Errors
    /// -1: another state, or no such idle state.
    #[doc(alias = "HC_PM_GET_CPU_STATE")]
    #[doc(alias = "ACRN_PMCMD_GET_CX_DATA")]
    #[call(0x8000_0080, select(0xff, 3), errors(-1 = "is the VM created or paused, and is the state's number between 1 and the count of idle states?"))]
    fn pm_get_cx_data(&self, command: PmCommand) -> Result<CstateData, Error>;

    /// Tells the hypervisor that a vCPU of the trusted VM has booted, and puts it to sleep until a
    /// [request](super::WorldSwitch::switch_to_ree) comes. Made on each vCPU; the last one starts the rich VM.
    ///
    /// Made by a VM with [`TEE`](super::VmFlags::TEE). Source: `hcall_handle_tee_vcpu_boot_done`.
    ///
    /// # Errors
    /// - -25: this VM is no trusted VM.
    /// - [`Lost`](crate::TransportError::Lost): over VMCALL, where it returns with the first request, which is in six registers,
    ///   RAX among them. There is no room for it here; make the call by
    ///   [`tee_boot_done`](super::WorldSwitch::tee_boot_done).
    #[doc(alias = "HC_TEE_VCPU_BOOT_DONE")]
    #[doc(alias = "hcall_handle_tee_vcpu_boot_done")]
    #[call(0x8000_0090, errors(-25 = "does the calling VM have the flag TEE?"))]
    fn tee_vcpu_boot_done(&self, start: TeeBoot) -> Result<(), Error>;
}
