//! What a typed call costs beside a hand-written one: instructions, where the emulator counts them (`-icount`).

use core::arch::asm;
use core::hint::black_box;

use bare::control::{Answer, Command, command};
use bare::{cpu, line};
use hypercall_core::acrn::{
    GpaToHpa, Gsi, Hypervisor, IrqLine, IrqLineOp, MsiAddress, MsiData, MsiEntry, VmId,
};
use hypercall_core::{Client, Gpa, Hpa, RAX_UNWRITTEN, Value};

use crate::Way;
use crate::checks::Checks;
use crate::trace::{self, Nowhere};

/// How often each is called; the smallest count is taken.
const ROUNDS: usize = 32;

/// Ticks of the fastest of some rounds.
fn measure(mut call: impl FnMut() -> bool) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        let start = cpu::time();
        let fine = call();
        let end = cpu::time();
        if fine {
            least = least.min(end - start);
        }
    }
    least
}

#[inline(never)]
fn nothing(_: &Client<Way>, _: VmId) -> bool {
    true
}

/// RAX before a call by hand, as in the typed one: it is read as an answer where the hypervisor writes none.
const UNWRITTEN: u64 = RAX_UNWRITTEN.cast_unsigned();

/// As [`bare_one`], by somebody who does not think of that.
#[inline(never)]
fn careless_one(_: &Client<Way>, vm: VmId) -> bool {
    let rax: u64;
    // SAFETY: the hypervisor answers 0 and does nothing.
    unsafe {
        asm!("vmcall", in("r8") 0x8000_0014_u64, in("rdi") vm.to_register(), lateout("rax") rax, options(nostack))
    };
    rax == 0
}

#[inline(never)]
fn bare_one(_: &Client<Way>, vm: VmId) -> bool {
    let mut rax = UNWRITTEN;
    // SAFETY: the hypervisor answers 0 and does nothing.
    unsafe {
        asm!("vmcall", in("r8") 0x8000_0014_u64, in("rdi") vm.to_register(), inlateout("rax") rax, options(nostack))
    };
    rax == 0
}

#[inline(never)]
fn typed_one(h: &Client<Way>, vm: VmId) -> bool {
    h.create_vcpu(vm).is_ok()
}

#[inline(never)]
fn bare_two(_: &Client<Way>, vm: VmId, line: IrqLine) -> bool {
    let mut rax = UNWRITTEN;
    // SAFETY: the hypervisor answers 0 and does nothing.
    unsafe {
        asm!("vmcall", in("r8") 0x8000_0025_u64, in("rdi") vm.to_register(), in("rsi") line.to_register(), inlateout("rax") rax, options(nostack));
    }
    rax == 0
}

#[inline(never)]
fn typed_two(h: &Client<Way>, vm: VmId, line: IrqLine) -> bool {
    h.set_irqline(vm, line).is_ok()
}

#[inline(never)]
fn bare_read(_: &Client<Way>, vm: VmId, msi: &MsiEntry) -> bool {
    let mut rax = UNWRITTEN;
    // SAFETY: the hypervisor answers 0 and does nothing.
    unsafe {
        asm!("vmcall", in("r8") 0x8000_0023_u64, in("rdi") vm.to_register(), in("rsi") &raw const *msi, inlateout("rax") rax, options(nostack));
    }
    rax == 0
}

#[inline(never)]
fn typed_read(h: &Client<Way>, vm: VmId, msi: &MsiEntry) -> bool {
    h.inject_msi(vm, msi).is_ok()
}

#[inline(never)]
fn bare_yielded(_: &Client<Way>, vm: VmId, question: &mut GpaToHpa) -> bool {
    let mut rax = UNWRITTEN;
    // SAFETY: the hypervisor answers 0 and does nothing.
    unsafe {
        asm!("vmcall", in("r8") 0x8000_0041_u64, in("rdi") vm.to_register(), in("rsi") &raw mut *question, inlateout("rax") rax, options(nostack));
    }
    rax == 0
}

#[inline(never)]
fn typed_yielded(h: &Client<Way>, vm: VmId, question: &mut GpaToHpa) -> bool {
    h.vm_gpa2hpa(vm, question).is_ok()
}

pub fn run(checks: &mut Checks, h: &Client<Way>) {
    line!("== cost, in ticks (with -icount: instructions, those of the hypervisor included)");
    command(Command::Answer, Answer::Nothing as u16);
    let vm = black_box(VmId(1));
    let irq = black_box(IrqLine::new(Gsi(4), IrqLineOp::HIGH));
    let msi = MsiEntry::new(MsiAddress::to_apic(0), MsiData::vector_of(0x40));
    let mut question = GpaToHpa {
        hpa: Hpa(0),
        ..GpaToHpa::of(Gpa(0))
    };
    let empty = measure(|| nothing(h, vm));
    line!("cost: empty {empty}");
    let careless = measure(|| careless_one(h, vm));
    line!(
        "cost: a RAX that is no answer: {} more",
        measure(|| bare_one(h, vm)).cast_signed() - careless.cast_signed()
    );
    for (what, bare, typed) in [
        (
            "create_vcpu(value)",
            measure(|| bare_one(h, vm)),
            measure(|| typed_one(h, vm)),
        ),
        (
            "set_irqline(value, value)",
            measure(|| bare_two(h, vm, irq)),
            measure(|| typed_two(h, vm, irq)),
        ),
        (
            "inject_msi(value, read)",
            measure(|| bare_read(h, vm, &msi)),
            measure(|| typed_read(h, vm, &msi)),
        ),
        (
            "vm_gpa2hpa(value, read and written)",
            measure(|| bare_yielded(h, vm, &mut question)),
            measure(|| typed_yielded(h, vm, &mut question)),
        ),
    ] {
        line!(
            "cost: {what} bare {} typed {} difference {}",
            bare - empty,
            typed - empty,
            typed.cast_signed() - bare.cast_signed()
        );
        checks.check(
            format_args!("{what} was answered"),
            bare != u64::MAX && typed != u64::MAX,
        );
    }
    recorder(checks, h, vm, &msi);
    command(Command::Answer, Answer::Honest as u16);
}

/// What the recorder adds to a call, and the block of memory that it has to empty now and then not counted.
fn recorder(checks: &mut Checks, h: &Client<Way>, vm: VmId, msi: &MsiEntry) {
    // SAFETY: called once.
    let memory = unsafe { trace::SECOND.take() };
    let Some(recorder) = trace::recorder::<_, 0>(*h.transport(), memory, Nowhere) else {
        checks.check("memory for a recorder", false);
        return;
    };
    let recorded = Client::new(recorder);
    for (what, plain, call) in [
        (
            "create_vcpu(value)",
            measure(|| typed_one(h, vm)),
            measure(|| recorded.create_vcpu(vm).is_ok()),
        ),
        (
            "inject_msi(value, read)",
            measure(|| typed_read(h, vm, msi)),
            measure(|| recorded.inject_msi(vm, msi).is_ok()),
        ),
        (
            "vm_gpa2hpa(value, read and written)",
            measure(|| {
                typed_yielded(
                    h,
                    vm,
                    &mut GpaToHpa {
                        hpa: Hpa(0),
                        ..GpaToHpa::of(Gpa(0))
                    },
                )
            }),
            measure(|| {
                recorded
                    .vm_gpa2hpa(
                        vm,
                        &mut GpaToHpa {
                            hpa: Hpa(0),
                            ..GpaToHpa::of(Gpa(0))
                        },
                    )
                    .is_ok()
            }),
        ),
    ] {
        line!(
            "cost: {what} recorded: {} more",
            call.cast_signed() - plain.cast_signed()
        );
        checks.check(
            format_args!("{what} was answered under the recorder"),
            call != u64::MAX,
        );
    }
}
