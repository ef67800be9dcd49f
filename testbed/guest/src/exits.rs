//! The exit itself: registers, numbers that no call has, instructions that are no hypercall, memory that is not the
//! guest's.

use core::arch::asm;
use core::ptr::with_exposed_provenance_mut;

use bare::control::{Command, Role, command};
use bare::cpu::{cpuid, msr, set_msr};
use bare::interrupts::{Caught, catch};
use bare::line;

use crate::checks::Checks;
use crate::probe::Probe;

/// Where the test bed's hypervisor lies.
const HYPERVISOR: u64 = 0x1100_0000;
/// Memory above the lent pages, for code.
const CODE: u64 = 0x210_0000;
const EFER: u32 = 0xc000_0080;
const APIC_BASE: u32 = 0x1b;
/// VMCALL, RET.
const VMCALL: [u8; 4] = [0x0f, 0x01, 0xc1, 0xc3];

pub fn run(checks: &mut Checks, about: u32) {
    line!("== the exit");
    let mut version = [u32::MAX; 2];
    let block = (&raw mut version).expose_provenance() as u64;
    for (what, number, rdi, rsi, rax) in [
        ("a call that writes memory", 0x8000_0000, block, 2, 0),
        ("a call with two values", 0x8000_0025, 1, 0x2_0000_0004, -1),
        ("a number that no call has", 0x8000_00ff, 1, 2, -25),
        (
            "a number that ACRN defines and does not answer",
            0x8000_0050,
            1,
            2,
            -25,
        ),
        ("the number 0 with no VM in RDI", 0, block | 0x8000, 2, -25),
        (
            "a sign-extended number with no VM in RDI",
            0xffff_ffff_8000_0000,
            0xffff,
            2,
            -25,
        ),
        (
            "a world switch of a VM without worlds",
            0x8000_0071,
            1,
            2,
            -25,
        ),
    ] {
        let mut probe = Probe::new(number, rdi, rsi);
        let answer = probe.run();
        checks.check(format_args!("{what}: RAX {answer}"), answer == rax);
        checks.check(
            format_args!("{what}: all other registers, flags and SSE state are intact"),
            probe.intact(),
        );
    }
    checks.check("the version was written: 1.0", version == [1, 0]);

    // Across the end of a page, and at the end of one.
    for at in [CODE + 4095, CODE + 4094, CODE + 4093, CODE] {
        let place = with_exposed_provenance_mut::<[u8; 4]>(at as usize);
        let rax: i64;
        // SAFETY: RAM above the lent pages that nothing else uses, mapped to itself and executable; the code there is a
        // hypercall that reads and writes no memory, and a return.
        unsafe {
            place.write(VMCALL);
            asm!("call {at}", at = in(reg) at, in("r8") 0x8000_0014_u64, in("rdi") 0_u64, lateout("rax") rax);
        }
        checks.check(format_args!("VMCALL at {at:#x}: RAX {rax}"), rax == 0);
    }

    for (what, code) in [
        ("UD2", ud2 as extern "sysv64" fn(u64)),
        ("VMMCALL, which is another ABI", vmmcall),
        ("VMRUN, which the guest may not", vmrun),
        ("VMXON, which it may not either", vmxon),
    ] {
        // SAFETY: the functions do nothing but the one instruction.
        let caught = unsafe { catch(code, 0) };
        let ud = matches!(
            caught,
            Some(Caught {
                vector: 6,
                error: 0,
                ring: 0,
                ..
            })
        );
        checks.check(format_args!("{what} raises #UD"), ud);
    }

    registers(checks);
    features(checks);

    command(Command::Reset, Role::PlainVm as u16);
    // SAFETY: as above.
    let caught = unsafe { catch(vmcall, 0) };
    command(Command::Reset, Role::ServiceVm as u16);
    let ud = matches!(
        caught,
        Some(Caught {
            vector: 6,
            error: 0,
            ring: 0,
            ..
        })
    );
    checks.check("VMCALL of a VM that may make no hypercalls raises #UD", ud);
    // SAFETY: as above.
    checks.check(
        "and of the Service VM it does not",
        unsafe { catch(vmcall, 0) }.is_none(),
    );

    if about & 1 == 0 {
        line!(
            "      this processor has no nested paging: the hypervisor's memory is not protected"
        );
        return;
    }
    for (what, code) in [
        (
            "reading the hypervisor's memory",
            read as extern "sysv64" fn(u64),
        ),
        ("writing the hypervisor's memory", write),
    ] {
        // SAFETY: the functions do nothing but the one access, which is refused or goes to memory of nobody's concern.
        let caught = unsafe { catch(code, HYPERVISOR) };
        checks.check(
            format_args!("{what} raises #GP"),
            caught.is_some_and(|caught| caught.vector == 13),
        );
    }
}

/// Model-specific registers that are the hypervisor's.
fn registers(checks: &mut Checks) {
    // SAFETY: every processor in long mode has the register; what was read can be written.
    let efer = unsafe {
        let efer = msr(EFER);
        set_msr(EFER, efer);
        efer
    };
    checks.check("EFER: long mode, and no SVM", efer & 0x1d00 == 0x500);
    // SAFETY: reading has no effect.
    let base = unsafe { msr(APIC_BASE) };
    checks.check(
        "the local APIC is where it is",
        base & !0xfff == 0xfee0_0000,
    );
    for (what, code) in [
        ("switching SVM on", switch_svm_on as extern "sysv64" fn(u64)),
        ("moving the local APIC", move_apic),
        ("reading a register of SVM's", read_vm_cr),
    ] {
        // SAFETY: the functions do nothing but the one access, which is refused.
        let caught = unsafe { catch(code, 0) };
        checks.check(
            format_args!("{what} raises #GP"),
            caught.is_some_and(|caught| caught.vector == 13),
        );
    }
}

/// What the processor may have and the guest has not: nobody keeps its state apart.
fn features(checks: &mut Checks) {
    const VMX_AND_AVX: u32 = 1 << 5 | 1 << 26 | 1 << 27 | 1 << 28;
    let [_, _, ecx, _] = cpuid(1, 0);
    checks.check(
        "CPUID shows no VMX, no XSAVE, no AVX",
        ecx & VMX_AND_AVX == 0 && cpuid(0xd, 0) == [0; 4],
    );
    let before = cr4();
    for (what, code) in [
        ("switching AVX on", switch_avx_on as extern "sysv64" fn(u64)),
        ("switching VMX on", switch_vmx_on),
    ] {
        // SAFETY: the function changes nothing that this program uses, and stops at the first exception.
        let caught = unsafe { catch(code, 0) };
        // SAFETY: what it was.
        unsafe { set_cr4(before) };
        checks.check(
            format_args!("{what} raises #GP or #UD"),
            caught.is_some_and(|caught| matches!(caught.vector, 6 | 13)),
        );
    }
    // SAFETY: the function does nothing but the one instruction, and what it throws away is in memory already.
    let caught = unsafe { catch(invalidate, 0) };
    checks.check("INVD is an instruction like others", caught.is_none());
}

fn cr4() -> u64 {
    let value: u64;
    // SAFETY: reading a register has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// # Safety
/// The program survives what the value changes.
unsafe fn set_cr4(value: u64) {
    // SAFETY: what the caller promises.
    unsafe { asm!("mov cr4, {}", in(reg) value, options(nostack)) };
}

extern "sysv64" fn switch_avx_on(_: u64) {
    // SAFETY: the caller waits for an exception of either instruction. Should none come, nothing here uses AVX.
    unsafe {
        set_cr4(cr4() | 1 << 18);
        asm!("xsetbv", in("ecx") 0, in("eax") 7, in("edx") 0, options(nostack));
    }
}

extern "sysv64" fn switch_vmx_on(_: u64) {
    // SAFETY: the caller waits for an exception. Should none come, nothing here uses VMX.
    unsafe { set_cr4(cr4() | 1 << 13) };
}

extern "sysv64" fn invalidate(_: u64) {
    // SAFETY: the hypervisor makes it an instruction that does nothing.
    unsafe { asm!("invd", options(nostack)) };
}

extern "sysv64" fn switch_svm_on(_: u64) {
    // SAFETY: the caller waits for the exception; should none come, nothing here uses SVM.
    unsafe { set_msr(EFER, msr(EFER) | 1 << 12) };
}

extern "sysv64" fn move_apic(_: u64) {
    // SAFETY: the caller waits for the exception; should none come, nothing here uses the APIC under the test bed.
    unsafe { set_msr(APIC_BASE, msr(APIC_BASE) + 0x10_0000) };
}

extern "sysv64" fn read_vm_cr(_: u64) {
    // SAFETY: the caller waits for the exception; reading has no effect.
    let _ = unsafe { msr(0xc001_0114) };
}

extern "sysv64" fn ud2(_: u64) {
    // SAFETY: raises an exception that the caller waits for.
    unsafe { asm!("ud2") };
}

extern "sysv64" fn vmcall(_: u64) {
    // SAFETY: raises an exception that the caller waits for, or does nothing.
    unsafe { asm!("vmcall", in("r8") 0x8000_0014_u64, in("rdi") 0_u64, out("rax") _) };
}

extern "sysv64" fn vmmcall(_: u64) {
    // SAFETY: raises an exception that the caller waits for, or does nothing that anybody answers.
    unsafe { asm!("vmmcall", out("rax") _) };
}

extern "sysv64" fn vmrun(_: u64) {
    // SAFETY: raises an exception that the caller waits for.
    unsafe { asm!("vmrun rax", in("rax") 0_u64) };
}

extern "sysv64" fn vmxon(_: u64) {
    // SAFETY: raises an exception that the caller waits for.
    unsafe { asm!("vmxon [{}]", in(reg) &raw const ZERO) };
}

static ZERO: u64 = 0;

extern "sysv64" fn read(address: u64) {
    // SAFETY: the caller waits for the exception.
    unsafe { with_exposed_provenance_mut::<u64>(address as usize).read_volatile() };
}

extern "sysv64" fn write(address: u64) {
    // SAFETY: the caller waits for the exception.
    unsafe { with_exposed_provenance_mut::<u64>(address as usize).write_volatile(0) };
}
