//! A User VM from creation to its end, with a device that the suite plays.

use core::sync::atomic::Ordering;

use hypercall::acrn::ioreq::{IoDirection, IoReqPage, Request};
use hypercall::acrn::{AsyncIoInfo, HypervisorCalls as Calls, SbufId, Vector, VmId};

use crate::program::{DEVICE, HELLO, PORT, PROGRAM_ENTRY, QUIET_PORT};
use crate::steps::Steps;
use crate::user_vm::Page;

/// What the device answers to a read.
const ANSWER: u8 = 0x1c;
/// What the write to the quiet port puts into the ring.
const NUMBER: u64 = 0x1122_3344_5566_7788;

pub(crate) fn run(steps: &mut Steps<'_>) {
    steps.heading("a life");
    let Some(vm) = steps.create("powered off") else {
        return;
    };
    steps.equip(vm, PROGRAM_ENTRY);
    steps.prepare_ring(Page::AsyncIo, 8);
    steps.prepare_ring(Page::Events, 32);
    let result = steps.ring(vm, SbufId::ASYNCIO, Page::AsyncIo);
    steps.step(Calls::SETUP_SBUF, "created: asynchronous I/O", 0, result);
    let result = steps.ring(vm, SbufId::VM_EVENT, Page::Events);
    steps.step(Calls::SETUP_SBUF, "created: events", 0, result);
    let quiet = AsyncIoInfo::port(QUIET_PORT, NUMBER);
    steps.asyncio_assign("created: a port", vm, &quiet);
    upcall(steps, vm);
    let result = steps.hypervisor.asyncio_deassign(vm, &quiet);
    steps.step(Calls::ASYNCIO_DEASSIGN, "running: the port", 0, result);

    let h = steps.hypervisor;
    steps.step(Calls::PAUSE_VM, "running", 0, h.pause_vm(vm));
    steps.step(Calls::RESET_VM, "paused", 0, h.reset_vm(vm));
    steps.step(Calls::PAUSE_VM, "created", 0, h.pause_vm(vm));
    steps.step(Calls::DESTROY_VM, "paused", 0, h.destroy_vm(vm));
}

/// The part of the life in which the VM runs.
fn upcall(steps: &mut Steps<'_>, vm: VmId) {
    let h = steps.hypervisor;
    steps.step(
        Calls::SET_CALLBACK_VECTOR,
        "0xf2",
        0,
        h.set_callback_vector(Vector(0xf2)),
    );
    let before = [0xf2, 0xf3].map(|vector| steps.surroundings.upcalls(vector));
    steps.step(Calls::START_VM, "created, equipped", 0, h.start_vm(vm));

    let ring = steps.page(Page::AsyncIo);
    let tail = || ring.word(20).map_or(0, |word| word.load(Ordering::Acquire));
    let filled = steps.surroundings.wait(&|| tail() == 8);
    steps.fact(
        Calls::ASYNCIO_ASSIGN,
        "a write came through the ring",
        filled,
    );
    let mut number = [0; 8];
    let _ = ring.read(64, &mut number);
    steps.fact(
        Calls::ASYNCIO_ASSIGN,
        "it is the port's number",
        u64::from_le_bytes(number) == NUMBER,
    );

    serve(steps, vm, "a write to a port", |request| match request {
        Request::Pio(pio) => (
            pio.direction == IoDirection::WRITE
                && pio.address == u64::from(PORT)
                && pio.size == 1
                && pio.value == u32::from(HELLO),
            None,
        ),
        _ => (false, None),
    });
    serve(steps, vm, "a read from a port", |request| match request {
        Request::Pio(pio) => (
            pio.direction == IoDirection::READ && pio.address == u64::from(PORT),
            Some(ANSWER),
        ),
        _ => (false, None),
    });
    serve(
        steps,
        vm,
        "a write to memory, of what was read and 1",
        |request| match request {
            Request::Mmio(mmio) => (
                mmio.direction == IoDirection::WRITE
                    && mmio.address.0 == u64::from(DEVICE)
                    && mmio.value == u64::from(ANSWER.wrapping_add(1)),
                None,
            ),
            _ => (false, None),
        },
    );
    let after = [0xf2, 0xf3].map(|vector| steps.surroundings.upcalls(vector));
    if let ([Some(before), Some(other)], [Some(after), Some(others)]) = (before, after) {
        // One for the ring, one for each request.
        let came = after.wrapping_sub(before);
        steps.fact(
            Calls::SET_CALLBACK_VECTOR,
            "four upcalls, at this vector and no other",
            came == 4 && others == other,
        );
    }
    steps.step(
        Calls::SET_CALLBACK_VECTOR,
        "the default",
        0,
        h.set_callback_vector(Vector::UPCALL_DEFAULT),
    );
}

/// Waits for a request, looks at it, answers it, and says so.
fn serve(
    steps: &mut Steps<'_>,
    vm: VmId,
    what: &str,
    look: impl FnOnce(&Request) -> (bool, Option<u8>),
) {
    let call = Calls::NOTIFY_REQUEST_FINISH;
    let page = IoReqPage::new(steps.page(Page::Requests));
    let pending = || {
        page.slots()
            .any(|slot| slot.state() == hypercall::acrn::ioreq::IoReqState::PENDING)
    };
    let came = steps.surroundings.wait(&pending);
    let Some(claimed) = page.claim().filter(|_| came) else {
        steps.fact(call, what, false);
        return;
    };
    let vcpu = claimed.vcpu();
    let (right, answer) = look(&claimed.request());
    steps.fact(call, what, right);
    let completed = match answer {
        Some(value) => claimed.complete_read(u64::from(value)),
        None => claimed.complete(),
    };
    steps.fact(call, "it can be completed", completed.is_ok());
    let result = steps.hypervisor.notify_request_finish(vm, vcpu);
    steps.step(call, what, 0, result);
}
