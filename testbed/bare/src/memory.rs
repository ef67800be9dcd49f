//! The memory functions that the compiler calls.
//!
//! Written as string instructions: a loop in Rust would be recognised as one of these functions and call itself.

use core::arch::global_asm;

global_asm!(
    r#"
    .text
    .globl memcpy
memcpy:
    mov rax, rdi
    mov rcx, rdx
    rep movsb
    ret

    .globl memmove
memmove:
    mov rax, rdi
    mov rcx, rdx
    mov r8, rdi
    sub r8, rsi
    cmp r8, rdx
    jb 2f
    rep movsb
    ret
2:  lea rsi, [rsi + rdx - 1]
    lea rdi, [rdi + rdx - 1]
    std
    rep movsb
    cld
    ret

    .globl memset
memset:
    mov r8, rdi
    mov eax, esi
    mov rcx, rdx
    rep stosb
    mov rax, r8
    ret

    .globl memcmp
    .globl bcmp
memcmp:
bcmp:
    xor eax, eax
    xor ecx, ecx
3:  cmp rcx, rdx
    je 4f
    movzx eax, byte ptr [rdi + rcx]
    movzx r8d, byte ptr [rsi + rcx]
    inc rcx
    sub eax, r8d
    je 3b
4:  ret

    .globl strlen
strlen:
    xor eax, eax
5:  cmp byte ptr [rdi + rax], 0
    je 6f
    inc rax
    jmp 5b
6:  ret
"#
);
