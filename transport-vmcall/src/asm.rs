//! The instruction.
//!
//! # Why R8 is no problem here
//! C has no constraint letter for R8. The kernel's wrappers therefore had to choose between a register variable, which a
//! call placed between its declaration and the `asm` can destroy unnoticed, and an explicit `movl` to `%r8d` inside the
//! template with R8 as a clobber, which was merged, and which gcc cannot assemble when the number is not a constant
//! (linux-kernel, September to November 2020, the ACRN guest series, and August 2022). Rust's `in("r8")` names the
//! register: the compiler brings any value there, constant or not, and nothing can come between that and the
//! instruction.
//!
//! # The operands, which all three forms share
//! - `in("r8") number`: a 64-bit operand. ACRN compares all 64 bits with `0x800000nn`; for a constant the compiler
//!   emits the 6-byte `mov $imm32, %r8d`, which clears the upper half. A sign-extending move would make another number.
//! - `in("rdi")`, `in("rsi")`: only in the forms whose call has the parameter, so that a call without one costs nothing.
//!   They are inputs only: the hypervisor preserves every register but RAX (`vmcall_vmexit_handler` writes that one).
//!   The calls that return through another world do not; they take [`vmcall_switch`].
//! - `inlateout("rax")`: the result. Late, because the processor writes it after it has read every input. It goes in as
//!   [`RAX_UNWRITTEN`], which costs one instruction and no register: ACRN 3.3 did not write RAX where the result was -13 or
//!   -19 (a device that does not exist), and a 0 that happened to be there would be read as success. CPUID does not say which
//!   version answers, and GET_API_VERSION is a call itself, so no transport can be spared it.
//! - No `nomem`, no `readonly`, never `pure`: the hypervisor reads and writes memory that the compiler cannot see being
//!   passed. Without this barrier a compiler may drop the stores to a parameter block, and may take a field that
//!   the hypervisor writes for a constant (both were seen with gcc).
//! - `nostack`: VMCALL pushes nothing on the guest's stack, so it needs no alignment of it.
//! - No `preserves_flags`: the exit saves and restores RFLAGS, but nothing is gained by relying on that.

use core::arch::asm;

use hypercall::RAX_UNWRITTEN;

/// Executes VMCALL with no parameter.
///
/// # Safety
/// A hypervisor with ACRN's R8 ABI takes the exit, the processor is in ring 0, and what the call does is acceptable to
/// the whole program.
#[inline(always)]
pub(crate) unsafe fn vmcall0(number: u64) -> i64 {
    let mut rax = RAX_UNWRITTEN;
    // SAFETY: the caller promises an exit that this ABI describes; the operands are those of the module's page.
    unsafe {
        asm!("vmcall", in("r8") number, inlateout("rax") rax, options(nostack));
    }
    rax
}

/// Executes VMCALL with one parameter.
///
/// # Safety
/// As [`vmcall0`]; where the parameter is an address, the memory there is what the call takes, and may be read and
/// written as the call does.
#[inline(always)]
pub(crate) unsafe fn vmcall1(number: u64, first: u64) -> i64 {
    let mut rax = RAX_UNWRITTEN;
    // SAFETY: the caller promises an exit that this ABI describes; the operands are those of the module's page.
    unsafe {
        asm!("vmcall", in("r8") number, in("rdi") first, inlateout("rax") rax, options(nostack));
    }
    rax
}

/// Executes VMCALL with two parameters.
///
/// # Safety
/// As [`vmcall1`], for both parameters.
#[inline(always)]
pub(crate) unsafe fn vmcall2(number: u64, first: u64, second: u64) -> i64 {
    let mut rax = RAX_UNWRITTEN;
    // SAFETY: the caller promises an exit that this ABI describes; the operands are those of the module's page.
    unsafe {
        asm!(
            "vmcall",
            in("r8") number,
            in("rdi") first,
            in("rsi") second,
            inlateout("rax") rax,
            options(nostack),
        );
    }
    rax
}

/// Executes VMCALL with six registers in and out: the world switches.
///
/// `message` is RAX, RCX, RDX, RBX, RSI, RDI. The other world may run meanwhile and sets all of them.
///
/// # Safety
/// As [`vmcall0`], and the other world may be entered now.
#[inline(always)]
pub(crate) unsafe fn vmcall_switch(number: u64, message: [u64; 6]) -> [u64; 6] {
    let [mut rax, mut rcx, mut rdx, mut rbx, mut rsi, mut rdi] = message;
    // SAFETY: the caller promises an exit that this ABI describes. RBX is reserved by LLVM and cannot be an operand:
    // it is exchanged with a register of the compiler's choice before and after, so that it holds the message exactly
    // during the instruction and the compiler's value otherwise. That register is none of the others, since all operands
    // are live at the same time; should it be RBX itself, the exchanges do nothing, and RBX is the operand. Every register
    // that the switch may change is an output.
    unsafe {
        asm!(
            "xchg rbx, {rbx}",
            "vmcall",
            "xchg rbx, {rbx}",
            rbx = inout(reg) rbx,
            inout("rax") rax,
            inout("rcx") rcx,
            inout("rdx") rdx,
            inout("rsi") rsi,
            inout("rdi") rdi,
            in("r8") number,
            options(nostack),
        );
    }
    [rax, rcx, rdx, rbx, rsi, rdi]
}
