//! From the loader's state to Rust.
//!
//! Three loaders start an image, and all leave the processor in the same state: 32-bit protected mode with flat segments,
//! paging off, interrupts off. QEMU's `-kernel` finds the entry in a note ("PVH", the Xen boot protocol), GRUB by the
//! multiboot2 header (multiboot2 specification, 3.3), and ACRN enters an ELF Service VM at its entry point. No image needs what
//! they hand over, and neither stack nor descriptor table of theirs is used.
//!
//! The language expects SSE and says nothing of interrupts: SSE is switched on before the first instruction of Rust, and
//! interrupt handlers get a stack of their own, because compiled code keeps data below its stack pointer (System V ABI,
//! 3.2.2, the red zone).

use core::arch::global_asm;
use core::ffi::CStr;
use core::ptr::with_exposed_provenance;

global_asm!(
    r#"
    .section .multiboot2, "a"
    .balign 8
1:  .long 0xe85250d6                    // magic
    .long 0                             // i386, protected mode
    .long 24
    .long 0x100000000 - (0xe85250d6 + 0 + 24)   // the sum is 0
    .word 0, 0
    .long 8                             // the end of the tags

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18                      // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad image_entry
    .balign 4

    .section .text.boot, "ax"
    .code32
    .globl image_entry
image_entry:
    cli
    cld
    movl %ebx, boot_information
    lgdt (boot_table_register)
    ljmp $0x18, $2f
2:  movl $0x20, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movl $image_stack_end, %esp

    // Loaders should have zeroed it. It costs little to be sure.
    xorl %eax, %eax
    movl $__bss_start, %edi
    movl $__bss_end, %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    rep stosl

    // 4 GiB, mapped to themselves by pages of 2 MiB, for ring 3 too.
    movl $boot_pdpt + 7, boot_pml4
    movl $boot_directories + 7, %eax
    movl $boot_pdpt, %edi
    movl $4, %ecx
3:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    loop 3b
    movl $0x87, %eax
    movl $boot_directories, %edi
    movl $2048, %ecx
4:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 4b

    movl $0x620, %eax                   // CR4: PAE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx              // EFER: LME, the rest as it was
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    andl $0x9ffffff3, %eax              // without CD, NW, EM, TS
    orl $0x80010023, %eax               // PG, WP, NE, MP, PE
    movl %eax, %cr0
    ljmp $0x08, $5f

    .code64
5:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    fninit
    pushq $0x1f80
    ldmxcsr (%rsp)
    movabsq $image_stack_end, %rsp
    xorl %ebp, %ebp
    call image_main
    ud2

    .section .data.boot, "aw"
    .balign 16
    .globl boot_table
boot_table:
    .quad 0
    .quad 0x00209b0000000000            // 08: 64-bit code
    .quad 0x00cf93000000ffff            // 10: data
    .quad 0x00cf9b000000ffff            // 18: 32-bit code
    .quad 0x00cf93000000ffff            // 20: 32-bit data
    .quad 0x00cff3000000ffff            // 28: data, ring 3
    .quad 0x0020fb0000000000            // 30: 64-bit code, ring 3
    .quad 0, 0                          // 38: the task state segment, filled in later
boot_table_end:
    .globl boot_table_register
boot_table_register:
    .word boot_table_end - boot_table - 1
    .quad boot_table

    .globl boot_information
boot_information:
    .quad 0

    .section .bss.boot, "aw", @nobits
    .balign 4096
boot_pml4:
    .skip 4096
boot_pdpt:
    .skip 4096
boot_directories:
    .skip 4 * 4096
    .skip 1024 * 1024
image_stack_end:
    .text
"#,
    options(att_syntax)
);

unsafe extern "C" {
    static boot_information: u64;
}

/// The command line, where the loader was a PVH one and gave one.
///
/// # Safety
/// Called before anything but the image itself was written to memory.
pub unsafe fn command_line() -> Option<&'static str> {
    /// What `hvm_start_info` starts with (Xen, public/arch-x86/hvm/start_info.h), and where its command line is.
    const MAGIC: u32 = 0x336e_c578;
    const LINE: usize = 24;
    // SAFETY: the trampoline stored RBX there, and nobody writes it afterwards.
    let start = unsafe { boot_information } as usize;
    if start == 0 || start & 3 != 0 {
        return None;
    }
    // SAFETY: where RBX is no address of a PVH loader's, these are any bytes below 4 GiB, which are mapped; reading them
    // has no effect on RAM. The loader's strings end with a zero.
    unsafe {
        if with_exposed_provenance::<u32>(start).read() != MAGIC {
            return None;
        }
        let line = with_exposed_provenance::<u64>(start + LINE).read_unaligned() as usize;
        if line == 0 {
            return None;
        }
        CStr::from_ptr(with_exposed_provenance(line)).to_str().ok()
    }
}
