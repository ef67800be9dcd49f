//! The User VM of most steps, and which of the lent pages is what.

use hypercall::acrn::{
    AsyncIoInfo, Cr0, DescriptorTable, HypervisorCalls as Calls, MemoryProt, MemoryRegion, Regs,
    SbufId, SharedBufferHeader, VcpuRegs, VmCreation, VmId,
};
use hypercall::{Error, Gpa, SharedPage, SharedRef, Value};

use crate::program::{CODE, IDLE_ENTRY};
use crate::steps::{Expected, Outcome, Steps};

/// The first page of the VM's own memory, and how many there are.
const VM_PAGES: core::ops::Range<usize> = 16..48;
const PAGE: u64 = 4096;
/// Nothing is here. On a real machine a write to it must not go into a device, so it lies where none has memory or a PCI
/// window: at 127 TiB, which is above what 46 bits of physical address reach, and far above the windows that firmware opens
/// where there are 52. It is below 2^47, because ACRN's walk of four levels takes bits 47 to 12 and would find another page
/// for what is higher.
pub(crate) const NOWHERE: Gpa = Gpa(0x7f00_0000_0000);
/// Bytes of the VM's memory, from its address 0.
pub(crate) const VM_BYTES: u64 = 32 * PAGE;

/// Which page is for what.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Page {
    Requests = 0,
    OtherRequests = 1,
    AsyncIo = 2,
    Events = 3,
    Processor = 4,
    Blank = 5,
}

impl Steps<'_> {
    /// A lent page.
    pub(crate) fn page(&self, page: Page) -> &'static SharedPage {
        static NONE: SharedPage = SharedPage::new();
        self.lent.pages.get(page as usize).unwrap_or(&NONE)
    }

    /// A lent page as an argument.
    pub(crate) fn shared(&self, page: Page) -> SharedRef {
        self.page(page).into()
    }

    /// Address of the VM's memory in the Service VM.
    pub(crate) fn vm_memory(&self) -> Gpa {
        Gpa(self
            .lent
            .gpa
            .0
            .saturating_add(PAGE.saturating_mul(VM_PAGES.start as u64)))
    }

    /// An empty ring in a page, for elements of this size.
    pub(crate) fn prepare_ring(&self, page: Page, element: u32) {
        let header = SharedBufferHeader::for_memory(4096, element).unwrap_or_default();
        let bytes = hypercall::Payload::as_block(&header);
        let _ = self.page(page).write(0, bytes);
    }

    /// A page of zeros.
    pub(crate) fn clear(&self, page: Page) {
        for word in self.page(page).words() {
            word.store(0, core::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Puts the program into the VM's memory.
    pub(crate) fn load_program(&self) {
        let page = VM_PAGES.start.saturating_add(1);
        if let Some(page) = self.lent.pages.get(page) {
            let _ = page.write(0, &CODE);
        }
    }

    /// The whole of the VM's memory.
    pub(crate) fn whole_memory(&self) -> MemoryRegion {
        MemoryRegion::map(Gpa(0), self.vm_memory(), VM_BYTES, MemoryProt::RAM)
    }

    /// Creates the VM. Its memory and its request page are not there yet. `None` too for one without vCPUs, which must not
    /// be started: it is destroyed again.
    pub(crate) fn create(&mut self, what: &str) -> Option<VmId> {
        let mut creation = VmCreation::new(self.options.vm);
        let result = self.hypervisor.create_vm(&mut creation);
        let vm = self.step(Calls::CREATE_VM, what, 0, result)?;
        if creation.vcpu_num == 0 {
            self.fact(Calls::CREATE_VM, "it has a vCPU", false);
            self.destroy(vm);
            return None;
        }
        Some(vm)
    }

    /// Gives the VM memory with the program, registers and a request page, so that it can be started.
    pub(crate) fn equip(&mut self, vm: VmId, entry: u32) {
        self.load_program();
        let region = self.whole_memory();
        let result = self.hypervisor.set_memory_regions(vm, &[region]);
        self.step(Calls::SET_MEMORY_REGIONS, "created: its memory", 0, result);
        let result = self.hypervisor.set_vcpu_regs(vm, &registers(entry));
        self.step(Calls::SET_VCPU_REGS, "created: flat 32-bit code", 0, result);
        let result = self
            .hypervisor
            .set_ioreq_buffer(vm, self.shared(Page::Requests));
        self.step(Calls::SET_IOREQ_BUFFER, "created: its page", 0, result);
    }

    /// Pauses and destroys the VM, whatever it does.
    pub(crate) fn destroy(&mut self, vm: VmId) {
        let result = self.hypervisor.pause_vm(vm);
        self.step(Calls::PAUSE_VM, "at the end", 0, result);
        let result = self.hypervisor.destroy_vm(vm);
        self.step(Calls::DESTROY_VM, "paused", 0, result);
    }

    /// Sets up a ring of a VM.
    pub(crate) fn ring(&self, vm: VmId, id: SbufId, page: Page) -> Result<(), Error> {
        let result = self
            .hypervisor
            .setup_sbuf(vm, Value::from_register(0), id, self.shared(page));
        if result.is_ok() && id == SbufId::ASYNCIO {
            self.note_ring();
        }
        result
    }

    /// Makes the writes to an address asynchronous, where that does not crash the hypervisor: once the VM's slot had a ring.
    pub(crate) fn asyncio_assign(&mut self, what: &str, vm: VmId, info: &AsyncIoInfo) {
        let call = Calls::ASYNCIO_ASSIGN;
        if self.had_ring() {
            let result = self.hypervisor.asyncio_assign(vm, info);
            self.step(call, what, 0, result);
        } else {
            self.row(call, what, Expected::Done, Outcome::LeftOut);
        }
    }
}

/// Registers of the first vCPU at an entry in flat 32-bit protected mode.
pub(crate) fn registers(entry: u32) -> VcpuRegs {
    VcpuRegs::bsp(Regs::protected_mode(entry, DescriptorTable::new(0, 0xffff)))
}

/// The same, with another CR0.
pub(crate) fn registers_with_cr0(cr0: Cr0) -> VcpuRegs {
    let mut registers = registers(IDLE_ENTRY);
    registers.regs.cr0 = cr0;
    registers
}
