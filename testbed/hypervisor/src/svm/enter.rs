//! Into the guest, and back at its exit: the registers that SVM does not switch.

use core::arch::global_asm;

use crate::cpu::Registers;

unsafe extern "sysv64" {
    /// Enters the guest and comes back at its exit.
    pub fn svm_run(vmcb: u64, registers: *mut Registers, host: u64);
}

global_asm!(
    r#"
    .text
    .globl svm_run
svm_run:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    push rsi
    push rdx
    sub rsp, 16
    stmxcsr [rsp]
    fnstcw [rsp + 4]

    mov rax, rdi
    fxrstor64 [rsi]
    mov rbx, [rsi + 520]
    mov rcx, [rsi + 528]
    mov rdx, [rsi + 536]
    mov rdi, [rsi + 552]
    mov rbp, [rsi + 560]
    mov r8, [rsi + 568]
    mov r9, [rsi + 576]
    mov r10, [rsi + 584]
    mov r11, [rsi + 592]
    mov r12, [rsi + 600]
    mov r13, [rsi + 608]
    mov r14, [rsi + 616]
    mov r15, [rsi + 624]
    mov rsi, [rsi + 544]

    // The machine's interrupts are held back here (CLGI) and end the guest's run there: with interrupt masking of its own
    // the guest's flag does not matter to them, but the host's at VMRUN does.
    sti
    vmload rax
    vmrun rax
    vmsave rax
    cli

    mov rax, [rsp + 24]
    mov [rax + 520], rbx
    mov [rax + 528], rcx
    mov [rax + 536], rdx
    mov [rax + 544], rsi
    mov [rax + 552], rdi
    mov [rax + 560], rbp
    mov [rax + 568], r8
    mov [rax + 576], r9
    mov [rax + 584], r10
    mov [rax + 592], r11
    mov [rax + 600], r12
    mov [rax + 608], r13
    mov [rax + 616], r14
    mov [rax + 624], r15
    fxsave64 [rax]

    mov rax, [rsp + 16]
    vmload rax
    fninit
    fldcw [rsp + 4]
    ldmxcsr [rsp]
    add rsp, 32
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
"#
);

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(Registers, fx) == 0);
    assert!(offset_of!(Registers, rbx) == 520 && offset_of!(Registers, rsi) == 544);
    assert!(offset_of!(Registers, rdi) == 552 && offset_of!(Registers, r15) == 624);
};
