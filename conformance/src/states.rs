//! Every call that names a VM, in every state of that VM, with arguments that are good in some state.

use hypercall::acrn::{
    AsyncIoInfo, Bdf, GpaToHpa, Gsi, HypervisorCalls as Calls, IntrMonitor, Intx, IrqLine,
    IrqLineOp, MemoryProt, MemoryRegion, MmioDevice, MmioResource, MsiAddress, MsiData, MsiEntry,
    PciDevice, PmCommand, PtdevIrq, SbufId, VcpuId, VdevId, VirtualDevice, VmId, WriteProtect,
};
use hypercall::call::CallInfo;
use hypercall::{Error, Gpa, Hpa, PageAligned};

use crate::program::IDLE_ENTRY;
use crate::steps::{Expected, Steps};
use crate::user_vm::{Page, registers};

/// A call, what it answers when the VM is powered off, created, running, paused, and how it is made.
struct Row {
    call: &'static CallInfo,
    answers: [i64; 4],
    /// Only for the recorded machine.
    machine: bool,
    /// Only once the VM's slot had a ring for asynchronous I/O: the hypervisor crashes otherwise.
    after_ring: bool,
    make: fn(&Steps<'_>, VmId) -> Result<(), Error>,
}

const STATES: [&str; 4] = ["powered off", "created", "running", "paused"];

/// The order matters where one call sets up what the next one takes back.
const ROWS: &[Row] = &[
    row(Calls::CREATE_VCPU, [0, 0, 0, 0], |s, vm| {
        s.hypervisor.create_vcpu(vm)
    }),
    row(Calls::SET_VCPU_REGS, [-1, 0, -1, 0], |s, vm| {
        s.hypervisor.set_vcpu_regs(vm, &registers(IDLE_ENTRY))
    }),
    row(Calls::SET_IOREQ_BUFFER, [-1, 0, -1, -1], |s, vm| {
        s.hypervisor.set_ioreq_buffer(vm, s.shared(Page::Requests))
    }),
    row(Calls::NOTIFY_REQUEST_FINISH, [-1, 0, 0, 0], |s, vm| {
        s.hypervisor.notify_request_finish(vm, VcpuId::BSP)
    }),
    row(Calls::INJECT_MSI, [-1, 0, 0, 0], |s, vm| {
        let msi = MsiEntry::new(MsiAddress::to_apic(0), MsiData::vector_of(0x40));
        s.hypervisor.inject_msi(vm, &msi)
    }),
    row(Calls::VM_INTR_MONITOR, [-22, 0, 0, 0], |s, vm| {
        s.hypervisor
            .vm_intr_monitor(vm, &mut PageAligned(IntrMonitor::counters()))
    }),
    row(Calls::SET_IRQLINE, [-1, 0, 0, 0], |s, vm| {
        s.hypervisor
            .set_irqline(vm, IrqLine::new(Gsi(4), IrqLineOp::RAISING_PULSE))
    }),
    row(Calls::SET_MEMORY_REGIONS, [-1, 0, 0, 0], |s, vm| {
        s.hypervisor.set_memory_regions(vm, &[s.whole_memory()])
    }),
    row(Calls::VM_GPA2HPA, [-1, 0, 0, 0], |s, vm| {
        s.hypervisor
            .vm_gpa2hpa(vm, &mut GpaToHpa::of(Gpa(0x2345)))
            .map(drop)
    }),
    row(Calls::WRITE_PROTECT_PAGE, [-1, 0, 0, 0], |s, vm| {
        s.hypervisor
            .write_protect_page(vm, &WriteProtect::protect(Gpa(0x4000)))
    }),
    row(Calls::WRITE_PROTECT_PAGE, [-1, 0, 0, 0], |s, vm| {
        s.hypervisor
            .write_protect_page(vm, &WriteProtect::unprotect(Gpa(0x4000)))
    }),
    row(Calls::SETUP_SBUF, [0, 0, 0, 0], |s, vm| {
        s.ring(vm, SbufId::ASYNCIO, Page::AsyncIo)
    }),
    row(Calls::SETUP_SBUF, [0, 0, 0, 0], |s, vm| {
        s.ring(vm, SbufId::VM_EVENT, Page::Events)
    }),
    row(Calls::ASYNCIO_ASSIGN, [0, 0, 0, 0], |s, vm| {
        s.hypervisor
            .asyncio_assign(vm, &AsyncIoInfo::port(0x610, 7))
    })
    .after_ring(),
    row(Calls::ASYNCIO_DEASSIGN, [0, 0, 0, 0], |s, vm| {
        s.hypervisor
            .asyncio_deassign(vm, &AsyncIoInfo::port(0x610, 7))
    }),
    row(Calls::SET_PTDEV_INTR_INFO, [-1, -1, -1, -1], |s, vm| {
        s.hypervisor.set_ptdev_intr_info(vm, &pin())
    }),
    row(Calls::RESET_PTDEV_INTR_INFO, [-1, -1, -1, -1], |s, vm| {
        s.hypervisor.reset_ptdev_intr_info(vm, &pin())
    }),
    row(Calls::ASSIGN_PCIDEV, [-22, -19, -22, -22], |s, vm| {
        s.hypervisor.assign_pcidev(
            vm,
            &PciDevice::new(Bdf::new(0, 3, 0), Bdf::new(0xff, 0x1f, 7)),
        )
    }),
    row(Calls::DEASSIGN_PCIDEV, [-22, -19, -22, -19], |s, vm| {
        s.hypervisor.deassign_pcidev(
            vm,
            &PciDevice::new(Bdf::new(0, 3, 0), Bdf::new(0xff, 0x1f, 7)),
        )
    }),
    row(Calls::ASSIGN_MMIODEV, [-22, 0, -22, -22], |s, vm| {
        s.hypervisor.assign_mmiodev(vm, &nothing())
    }),
    row(Calls::DEASSIGN_MMIODEV, [-22, 0, -22, 0], |s, vm| {
        s.hypervisor.deassign_mmiodev(vm, &nothing())
    }),
    row(Calls::ADD_VDEV, [-22, 0, -22, -22], |s, vm| {
        s.hypervisor.add_vdev(
            vm,
            &VirtualDevice::new(VdevId::ROOT_PORT, Bdf::new(0, 4, 0)),
        )
    }),
    row(Calls::REMOVE_VDEV, [-22, -22, -22, -22], |s, vm| {
        s.hypervisor.remove_vdev(
            vm,
            &VirtualDevice::new(VdevId::ROOT_PORT, Bdf::new(0, 4, 0)),
        )
    }),
    row(Calls::PM_GET_PX_COUNT, [-1, -1, -1, -1], |s, vm| {
        s.hypervisor.pm_get_px_count(PmCommand::new(vm)).map(drop)
    })
    .of_the_machine(),
    row(Calls::PM_GET_PX_DATA, [-1, -1, -1, -1], |s, vm| {
        s.hypervisor.pm_get_px_data(PmCommand::new(vm)).map(drop)
    }),
    row(Calls::PM_GET_CX_COUNT, [-1, 0, -1, 0], |s, vm| {
        s.hypervisor.pm_get_cx_count(PmCommand::new(vm)).map(drop)
    }),
    row(Calls::PM_GET_CX_DATA, [-1, -1, -1, -1], |s, vm| {
        s.hypervisor
            .pm_get_cx_data(PmCommand::new(vm).with_state(0))
            .map(drop)
    }),
    row(Calls::SET_MEMORY_REGIONS, [-1, 0, 0, 0], |s, vm| {
        let last = MemoryRegion::map(Gpa(0x10_0000), s.vm_memory(), 4096, MemoryProt::RAM);
        s.hypervisor
            .set_memory_regions(vm, &[last, MemoryRegion::unmap(Gpa(0x10_0000), 4096)])
    }),
];

const fn row(
    call: &'static CallInfo,
    answers: [i64; 4],
    make: fn(&Steps<'_>, VmId) -> Result<(), Error>,
) -> Row {
    Row {
        call,
        answers,
        machine: false,
        after_ring: false,
        make,
    }
}

impl Row {
    const fn of_the_machine(mut self) -> Self {
        self.machine = true;
        self
    }

    const fn after_ring(mut self) -> Self {
        self.after_ring = true;
        self
    }
}

fn pin() -> PtdevIrq {
    PtdevIrq::intx(
        Bdf::new(0, 3, 0),
        Bdf::new(0xff, 0x1f, 7),
        Intx::ioapic(16, 16),
    )
}

/// Three ranges of no size.
const fn nothing() -> MmioDevice {
    MmioDevice::new(
        *b"NOTHING\0",
        MmioResource::new(Gpa(0x1000_0000), Hpa(0x1000_0000), 0),
    )
}

/// The whole table for one state.
fn table(steps: &mut Steps<'_>, vm: VmId, state: usize) {
    let name = STATES.get(state).copied().unwrap_or_default();
    for row in ROWS {
        let answer = Expected::from(row.answers.get(state).copied().unwrap_or(0));
        let left_out =
            row.machine && !steps.options.recorded_machine || row.after_ring && !steps.had_ring();
        if left_out {
            steps.row(row.call, name, answer, crate::Outcome::LeftOut);
        } else {
            let result = (row.make)(steps, vm);
            steps.step(row.call, name, answer, result);
        }
    }
}

pub(crate) fn run(steps: &mut Steps<'_>) {
    let h = steps.hypervisor;
    steps.heading("no such VM");
    for vm in [VmId(16), VmId::INVALID] {
        let what = if vm == VmId::INVALID {
            "VM 0xffff"
        } else {
            "VM 16"
        };
        for row in ROWS.iter().filter(|row| row.call.selector.is_none()) {
            let result = (row.make)(steps, vm);
            steps.step(row.call, what, -25, result);
        }
        steps.step(Calls::START_VM, what, -25, h.start_vm(vm));
        steps.step(Calls::PAUSE_VM, what, -25, h.pause_vm(vm));
        steps.step(Calls::RESET_VM, what, -25, h.reset_vm(vm));
        steps.step(Calls::DESTROY_VM, what, -25, h.destroy_vm(vm));
    }

    // The id of the VM, which is powered off afterwards.
    steps.heading("powered off");
    let Some(vm) = steps.create("to learn its id") else {
        return;
    };
    steps.destroy(vm);
    steps.prepare_ring(Page::AsyncIo, 8);
    steps.prepare_ring(Page::Events, 32);
    table(steps, vm, 0);
    life(steps, vm, 0);

    steps.heading("created");
    let Some(vm) = steps.create("powered off") else {
        return;
    };
    life(steps, vm, 1);
    table(steps, vm, 1);
    steps.equip_again(vm);

    steps.heading("running");
    steps.step(Calls::START_VM, "created", 0, h.start_vm(vm));
    life(steps, vm, 2);
    table(steps, vm, 2);
    steps.step(Calls::PAUSE_VM, "running", 0, h.pause_vm(vm));

    steps.heading("paused");
    life(steps, vm, 3);
    table(steps, vm, 3);
    steps.step(Calls::PAUSE_VM, "paused", 0, h.pause_vm(vm));
    steps.step(Calls::RESET_VM, "paused", 0, h.reset_vm(vm));
    steps.step(Calls::RESET_VM, "created by a reset", -1, h.reset_vm(vm));
    steps.step(
        Calls::START_VM,
        "created by a reset: its page is still set",
        0,
        h.start_vm(vm),
    );
    steps.destroy(vm);
    steps.step(Calls::DESTROY_VM, "destroyed", -1, h.destroy_vm(vm));
}

/// The calls that would change the state, where they are refused.
fn life(steps: &mut Steps<'_>, vm: VmId, state: usize) {
    let h = steps.hypervisor;
    let what = STATES.get(state).copied().unwrap_or_default();
    // A created VM has no page yet.
    steps.step(Calls::START_VM, what, -1, h.start_vm(vm));
    if state == 0 {
        steps.step(Calls::PAUSE_VM, what, -1, h.pause_vm(vm));
    } else {
        let again = h.create_vm(&mut hypercall::acrn::VmCreation::new(steps.options.vm));
        steps.step(Calls::CREATE_VM, what, -1, again);
    }
    if state != 3 {
        steps.step(Calls::RESET_VM, what, -1, h.reset_vm(vm));
        steps.step(Calls::DESTROY_VM, what, -1, h.destroy_vm(vm));
    }
}

impl Steps<'_> {
    /// After the table: memory and page are there, the program is loaded.
    fn equip_again(&mut self, vm: VmId) {
        self.load_program();
        let result = self.hypervisor.set_vcpu_regs(vm, &registers(IDLE_ENTRY));
        self.step(Calls::SET_VCPU_REGS, "created: flat 32-bit code", 0, result);
    }
}
