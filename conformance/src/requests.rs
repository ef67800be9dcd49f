//! Memory that the hypervisor keeps: the request page, rings; and the addresses whose writes are asynchronous.

use hypercall::acrn::ioreq::{IoReqPage, IoReqState};
use hypercall::acrn::{
    AsyncIoInfo, AsyncIoKind, HypervisorCalls as Calls, PcpuId, SbufId, VcpuId, VmId,
};
use hypercall::{Gpa, SharedRef};

use crate::program::IDLE_ENTRY;
use crate::steps::Steps;
use crate::user_vm::{self, Page, registers};

/// Nothing is here.
const NOWHERE: SharedRef = SharedRef::Address(user_vm::NOWHERE);

pub(crate) fn run(steps: &mut Steps<'_>) {
    steps.heading("the request page");
    let h = steps.hypervisor;
    let Some(vm) = steps.create("powered off") else {
        return;
    };
    steps.load_program();
    let result = h.set_memory_regions(vm, &[steps.whole_memory()]);
    steps.step(Calls::SET_MEMORY_REGIONS, "created: its memory", 0, result);
    let result = h.set_vcpu_regs(vm, &registers(IDLE_ENTRY));
    steps.step(Calls::SET_VCPU_REGS, "created: flat 32-bit code", 0, result);
    let notify = Calls::NOTIFY_REQUEST_FINISH;
    steps.step(
        notify,
        "no page yet",
        -1,
        h.notify_request_finish(vm, VcpuId::BSP),
    );

    let call = Calls::SET_IOREQ_BUFFER;
    steps.clear(Page::Requests);
    let result = h.set_ioreq_buffer(vm, steps.shared(Page::Requests));
    steps.step(call, "a page of zeros", 0, result);
    let page = IoReqPage::new(steps.page(Page::Requests));
    let free = page.slots().all(|slot| slot.state() == IoReqState::FREE);
    steps.fact(call, "all its slots are free", free);
    let words = steps.page(Page::Requests).words();
    let states = words
        .iter()
        .filter(|word| word.load(core::sync::atomic::Ordering::Relaxed) != 0)
        .count();
    steps.fact(call, "nothing else was written", states == 16);
    steps.step(
        notify,
        "no such vCPU",
        -1,
        h.notify_request_finish(vm, VcpuId(15)),
    );
    let result = h.set_ioreq_buffer(vm, steps.shared(Page::OtherRequests));
    steps.step(call, "another page", 0, result);
    steps.step(
        call,
        "a page that is not mapped",
        -1,
        h.set_ioreq_buffer(vm, NOWHERE),
    );
    steps.step(
        Calls::START_VM,
        "that took the page away",
        -1,
        h.start_vm(vm),
    );
    let result = h.set_ioreq_buffer(vm, steps.shared(Page::Requests));
    steps.step(call, "the first page again", 0, result);
    steps.step(Calls::START_VM, "with a page", 0, h.start_vm(vm));
    rings(steps, vm);
    steps.destroy(vm);
}

fn rings(steps: &mut Steps<'_>, vm: VmId) {
    steps.heading("rings");
    let h = steps.hypervisor;
    let call = Calls::SETUP_SBUF;
    let any = PcpuId(0);
    steps.clear(Page::Blank);
    let blank = steps.shared(Page::Blank);
    let zero = SharedRef::Address(Gpa(0));
    steps.step(
        call,
        "no magic number",
        -1,
        h.setup_sbuf(vm, any, SbufId::ASYNCIO, blank),
    );
    steps.step(
        call,
        "address 0",
        -1,
        h.setup_sbuf(vm, any, SbufId::VM_EVENT, zero),
    );
    steps.step(
        call,
        "memory that is not mapped",
        -1,
        h.setup_sbuf(vm, any, SbufId::ASYNCIO, NOWHERE),
    );
    steps.step(
        call,
        "no such ring: 4",
        -1,
        h.setup_sbuf(vm, any, SbufId(4), blank),
    );
    steps.step(
        call,
        "no such ring: 66",
        -1,
        h.setup_sbuf(vm, any, SbufId(66), blank),
    );
    steps.prepare_ring(Page::AsyncIo, 8);
    steps.step(
        call,
        "asynchronous I/O",
        0,
        steps.ring(vm, SbufId::ASYNCIO, Page::AsyncIo),
    );
    let odd = h.setup_sbuf(
        vm,
        PcpuId(0xffff),
        SbufId::ASYNCIO,
        steps.shared(Page::AsyncIo),
    );
    steps.step(call, "the processor does not matter there", 0, odd);
    let processor = steps.shared(Page::Processor);
    for id in [SbufId::TRACE, SbufId::HVLOG, SbufId::SEP, SbufId::SOCWATCH] {
        let what = id.name().unwrap_or_default();
        steps.on_recorded(call, what, 0, |h| h.setup_sbuf(VmId(0), any, id, processor));
        steps.on_recorded(call, "and away, by memory that is not mapped", 0, |h| {
            h.setup_sbuf(VmId(0), any, id, NOWHERE)
        });
    }
    steps.on_recorded(call, "no such processor", -22, |h| {
        h.setup_sbuf(VmId(0), PcpuId(64), SbufId::TRACE, processor)
    });

    let port = AsyncIoInfo::port(0x620, 1);
    let unknown = AsyncIoInfo {
        kind: AsyncIoKind(9),
        ..AsyncIoInfo::port(0x624, 4)
    };
    for (what, info) in [
        ("a port", port),
        ("the same port", port),
        (
            "memory, one value",
            AsyncIoInfo::memory(Gpa(0x900_0000), 2).when(0x55),
        ),
        ("address 0", AsyncIoInfo::port(0, 3)),
        ("an unknown kind", unknown),
    ] {
        steps.asyncio_assign(what, vm, &info);
    }
    let call = Calls::ASYNCIO_DEASSIGN;
    for (what, info) in [
        ("what is not there", AsyncIoInfo::port(0x630, 1)),
        (
            "memory, one value",
            AsyncIoInfo::memory(Gpa(0x900_0000), 2).when(0x55),
        ),
        ("an unknown kind", unknown),
        ("a port", port),
    ] {
        steps.step(call, what, 0, h.asyncio_deassign(vm, &info));
    }
}
