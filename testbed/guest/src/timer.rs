//! The hypervisor's timer: I/O requests come while this guest does something else, and their upcalls when it lets them in.

use core::arch::asm;

use bare::control::{Command, Pace, command};
use bare::{cpu, interrupts, line};
use hypercall_conformance::{CODE, IDLE_ENTRY, Lent, Options, PROGRAM_ENTRY};
use hypercall_core::acrn::ioreq::{IoReqPage, IoReqState, Request};
use hypercall_core::acrn::{
    DescriptorTable, Hypervisor, MemoryProt, MemoryRegion, Regs, VcpuRegs, Vector, VmCreation, VmId,
};
use hypercall_core::{Client, Error, Gpa, SharedPage};

use crate::Way;
use crate::checks::Checks;

/// Rounds of a loop within which something should have come: seconds. Nothing depends on how fast they are.
const PATIENCE: u32 = 1 << 31;
/// The User VM's memory in the lent pages.
const VM_PAGES: core::ops::Range<usize> = 16..48;
const UPCALL: u8 = Vector::UPCALL_DEFAULT.0 as u8;

pub fn run(checks: &mut Checks, h: &Client<Way>, lent: Lent) {
    line!("== the timer");
    // SAFETY: under the test bed these ports are nobody's: they answer as if nothing were there.
    let masks = unsafe {
        cpu::port_out(0x21, 0x5a);
        cpu::port_in(0x21)
    };
    checks.check(
        "the interrupt controller is not this guest's",
        masks == 0xff,
    );
    let before = command(Command::Ticks, 0);
    let came = until(|| command(Command::Ticks, 0) != before);
    checks.check("the timer goes on", came);

    let Some(page) = lent.pages.first() else {
        return;
    };
    command(Command::Pace, Pace::Tick as u16);
    match start(h, lent, page) {
        Ok(vm) => {
            watch(checks, h, vm, page);
            let gone = h.pause_vm(vm).and_then(|()| h.destroy_vm(vm));
            checks.check("the VM of this check is gone", gone.is_ok());
        }
        Err(why) => {
            line!("      {why}");
            checks.check("a VM for this check", false);
        }
    }
    command(Command::Pace, Pace::Open as u16);
}

/// A VM that runs the program.
fn start(h: &Client<Way>, lent: Lent, page: &'static SharedPage) -> Result<VmId, Error> {
    let vm = h.create_vm(&mut VmCreation::new(Options::RECORDED.vm))?;
    let base = Gpa(lent.gpa.0 + 4096 * VM_PAGES.start as u64);
    let bytes = 4096 * VM_PAGES.len() as u64;
    if let Some(first) = lent.pages.get(VM_PAGES.start + IDLE_ENTRY as usize / 4096) {
        let _ = first.write(0, &CODE);
    }
    let memory = MemoryRegion::map(Gpa(0), base, bytes, MemoryProt::RAM);
    h.set_memory_regions(vm, &[memory])?;
    let registers = Regs::protected_mode(PROGRAM_ENTRY, DescriptorTable::new(0, 0xffff));
    h.set_vcpu_regs(vm, &VcpuRegs::bsp(registers))?;
    h.set_ioreq_buffer(vm, page.into())?;
    h.start_vm(vm)?;
    Ok(vm)
}

fn watch(checks: &mut Checks, h: &Client<Way>, vm: VmId, page: &'static SharedPage) {
    let slots = IoReqPage::new(page);
    let pending = || {
        slots
            .slots()
            .any(|slot| slot.state() == IoReqState::PENDING)
    };
    let upcalls = interrupts::count(UPCALL);
    checks.check(
        "a request comes while this guest computes with interrupts off",
        until(pending),
    );
    checks.check("its upcall does not", interrupts::count(UPCALL) == upcalls);
    // SAFETY: handlers are installed, on a stack of their own, and preserve every register.
    unsafe { asm!("sti", "nop", "cli") };
    checks.check(
        "it comes behind the instruction after STI",
        interrupts::count(UPCALL) == upcalls + 1,
    );
    checks.check(
        "the request can be answered",
        answer(h, vm, &slots).is_some(),
    );

    // SAFETY: as above.
    unsafe { asm!("sti") };
    let (mut rounds, mut sum) = (0_u64, 0_f64);
    let came = until(|| {
        if rounds == 1 << 26 {
            (rounds, sum) = (0, 0.0);
        }
        rounds += 1;
        sum += rounds as f64;
        interrupts::count(UPCALL) != upcalls + 1
    });
    // SAFETY: as above.
    unsafe { asm!("cli") };
    checks.check(
        "an upcall comes in the middle of a computation",
        came && pending(),
    );
    // Exact: below 2^53.
    checks.check(
        "which goes on as if nothing had been",
        sum == (rounds * (rounds + 1) / 2) as f64,
    );
    checks.check("one upcall", interrupts::count(UPCALL) == upcalls + 2);
    checks.check(
        "the next request can be answered",
        answer(h, vm, &slots).is_some(),
    );
}

/// Answers the request that is there.
fn answer(h: &Client<Way>, vm: VmId, slots: &IoReqPage<'_>) -> Option<()> {
    let claimed = slots.claim()?;
    let known = matches!(claimed.request(), Request::Pio(_));
    let vcpu = claimed.complete().ok()?.vcpu();
    h.notify_request_finish(vm, vcpu).ok()?;
    known.then_some(())
}

/// Computes until something holds. Nothing in this loop leaves the guest.
fn until(mut holds: impl FnMut() -> bool) -> bool {
    (0..PATIENCE).any(|_| holds())
}
