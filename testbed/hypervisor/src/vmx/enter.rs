//! Into the guest, and back at its exit: the registers that VMX does not switch.

use core::arch::global_asm;

use crate::cpu::Registers;

unsafe extern "sysv64" {
    /// Enters the guest and comes back at its exit. 1 where the processor refuses to enter.
    pub fn vmx_run(registers: *mut Registers, launched: u64) -> u64;
}

global_asm!(
    r#"
    .text
    .globl vmx_run
vmx_run:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    push rdi
    sub rsp, 16
    stmxcsr [rsp]
    fnstcw [rsp + 4]

    mov eax, 0x6c14
    vmwrite rax, rsp
    lea rcx, [rip + 3f]
    mov eax, 0x6c16
    vmwrite rax, rcx

    fxrstor64 [rdi]
    test rsi, rsi
    mov rax, [rdi + 512]
    mov rbx, [rdi + 520]
    mov rcx, [rdi + 528]
    mov rdx, [rdi + 536]
    mov rsi, [rdi + 544]
    mov rbp, [rdi + 560]
    mov r8, [rdi + 568]
    mov r9, [rdi + 576]
    mov r10, [rdi + 584]
    mov r11, [rdi + 592]
    mov r12, [rdi + 600]
    mov r13, [rdi + 608]
    mov r14, [rdi + 616]
    mov r15, [rdi + 624]
    mov rdi, [rdi + 552]
    jz 2f
    vmresume
    jmp 4f
2:  vmlaunch
    jmp 4f

3:  push rax
    mov rax, [rsp + 24]
    pop qword ptr [rax + 512]
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
    xor eax, eax
    jmp 5f
4:  mov eax, 1
5:  fninit
    fldcw [rsp + 4]
    ldmxcsr [rsp]
    add rsp, 24
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
"#
);
