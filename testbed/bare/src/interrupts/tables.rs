//! The tables of interrupts, tasks and descriptors, and the stubs that the gates lead to.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;

global_asm!(
    r#"
    .text
    .balign 16
interrupt_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if (vector == 8) | ((vector >= 10) & (vector <= 14)) | (vector == 17) | (vector == 21) | (vector == 29) | (vector == 30)
    .else
    push 0
    .endif
    push vector
    jmp interrupt_common
    .set vector, vector + 1
    .endr

interrupt_common:
    push rax
    push rcx
    push rdx
    push rbx
    push rbp
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    cld
    mov rdi, rsp
    mov rbx, rsp
    sub rsp, 512
    and rsp, -16
    fxsave64 [rsp]
    call interrupt_arrived
    fxrstor64 [rsp]
    mov rsp, rbx
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rbp
    pop rbx
    pop rdx
    pop rcx
    pop rax
    add rsp, 16
    iretq
"#
);

unsafe extern "C" {
    static interrupt_stubs: [u8; 16];
    static mut boot_table: [u64; 9];
    static boot_table_register: [u8; 10];
}

/// A gate of the interrupt table (Intel SDM volume 3, 7.14.1).
#[repr(C)]
#[derive(Clone, Copy)]
struct Gate([u64; 2]);

/// A task state segment (Intel SDM volume 3, 9.7): the stacks for ring 0 and for interrupts.
#[repr(C, packed(4))]
struct Task {
    reserved0: u32,
    ring_stacks: [u64; 3],
    reserved1: u64,
    interrupt_stacks: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    io_map: u16,
}

const STACK: usize = 32 * 1024;

#[repr(C, align(16))]
struct Tables {
    gates: [Gate; 256],
    task: Task,
    stack: [u8; STACK],
    double_fault_stack: [u8; STACK],
    ring_stack: [u8; STACK],
}

struct Own(UnsafeCell<Tables>);
// SAFETY: written by `install`, once, on the only processor; afterwards the processor alone uses it.
unsafe impl Sync for Own {}
static TABLES: Own = Own(UnsafeCell::new(Tables {
    gates: [Gate([0; 2]); 256],
    task: Task {
        reserved0: 0,
        ring_stacks: [0; 3],
        reserved1: 0,
        interrupt_stacks: [0; 7],
        reserved2: 0,
        reserved3: 0,
        io_map: 104,
    },
    stack: [0; STACK],
    double_fault_stack: [0; STACK],
    ring_stack: [0; STACK],
}));

/// Loads tables of descriptors, tasks and interrupts, and masks the lines of the old interrupt controllers.
///
/// # Safety
/// Called once, by the only processor.
pub unsafe fn install() {
    let tables = TABLES.0.get();
    // SAFETY: the first and only access to the tables from Rust, per this function's contract; the stubs are 256 times
    // 16 bytes, as the assembler laid them out; the descriptors are what the manual wants; the selectors exist.
    unsafe {
        let stubs = (&raw const interrupt_stubs).expose_provenance() as u64;
        for (vector, gate) in (0_u64..).zip(&mut (*tables).gates) {
            let handler = stubs + vector * 16;
            let stack = if vector == 8 { 2 } else { 1 };
            // Present, interrupt gate, ring 0.
            let low = (handler & 0xffff)
                | u64::from(crate::CODE) << 16
                | stack << 32
                | 0x8e00 << 32
                | ((handler >> 16) & 0xffff) << 48;
            *gate = Gate([low, handler >> 32]);
        }
        let top = |stack: *const [u8; STACK]| stack.expose_provenance() as u64 + STACK as u64;
        (*tables).task.ring_stacks = [top(&raw const (*tables).ring_stack), 0, 0];
        (*tables).task.interrupt_stacks = [
            top(&raw const (*tables).stack),
            top(&raw const (*tables).double_fault_stack),
            0,
            0,
            0,
            0,
            0,
        ];
        let task = (&raw const (*tables).task).expose_provenance() as u64;
        // A 64-bit task state segment, present (Intel SDM volume 3, 9.2.3).
        boot_table[7] = 103 | (task & 0xff_ffff) << 16 | 0x89 << 40 | ((task >> 24) & 0xff) << 56;
        boot_table[8] = task >> 32;
        let mut register = [0_u8; 10];
        register[..2].copy_from_slice(&4095_u16.to_le_bytes());
        let gates = (&raw const (*tables).gates).expose_provenance() as u64;
        register[2..].copy_from_slice(&gates.to_le_bytes());
        asm!(
            "lgdt [{table}]",
            "lidt [{gates}]",
            "ltr {task:x}",
            table = in(reg) &raw const boot_table_register,
            gates = in(reg) &raw const register,
            task = in(reg) u32::from(crate::TASK),
            options(nostack),
        );
        // The 8259 pair as firmware leaves it raises the timer at the double fault's vector: no line gets through.
        crate::cpu::port_out(0x21, 0xff);
        crate::cpu::port_out(0xa1, 0xff);
    }
}
