//! Exceptions and interrupts: counted, forgiven where they are expected, and otherwise the end of the run.
//!
//! All vectors run on a stack of their own (IST 1), the double fault on another. The handler saves every register, SSE
//! included.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::exit::{Verdict, end};
use crate::line;

/// What the processor and the stub put on the stack.
#[repr(C)]
#[derive(Debug)]
pub struct Frame {
    /// R15 to RAX, in the order in which they lie.
    pub registers: [u64; 15],
    /// The vector.
    pub vector: u64,
    /// The error code, or 0.
    pub error: u64,
    /// Where it happened.
    pub rip: u64,
    /// The code segment; its low two bits are the privilege level.
    pub cs: u64,
    /// The flags.
    pub rflags: u64,
    /// The stack pointer.
    pub rsp: u64,
    /// The stack segment.
    pub ss: u64,
}

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

/// Interrupts by vector so far.
static COUNTS: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];
/// Where execution goes on after an expected exception; 0 when none is expected.
static RESUME: AtomicU64 = AtomicU64::new(0);
/// Where the stack is then.
static RESUME_STACK: AtomicU64 = AtomicU64::new(0);
/// The vector, error code, address and privilege level of the exception that was expected.
static CAUGHT: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
/// How often an exception was found that ends the run. All but the first came while that one was being reported.
static FATAL: AtomicU64 = AtomicU64::new(0);
/// Who wants to hear the end of an interrupt: a local APIC at this address, 1 for the x2APIC, 2 for the 8259 pair, 0 for
/// nobody.
static CONTROLLER: AtomicU64 = AtomicU64::new(0);

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

/// Says that interrupts come through a local APIC, which is switched on here.
///
/// # Safety
/// The memory at the APIC's address is the APIC, mapped to its own physical address.
pub unsafe fn use_apic() {
    const BASE: u32 = 0x1b;
    const SPURIOUS: u32 = 0xf;
    // SAFETY: every 64-bit processor has the register; the caller promises the mapping. A spurious vector of 0xff with
    // bit 8 switches the APIC on (Intel SDM volume 3, 11.9).
    unsafe {
        let base = crate::cpu::msr(BASE);
        if base & (1 << 10) != 0 {
            CONTROLLER.store(1, Ordering::Relaxed);
            crate::cpu::set_msr(0x800 + SPURIOUS, 0x1ff);
        } else {
            let registers = base & 0xf_ffff_f000;
            CONTROLLER.store(registers, Ordering::Relaxed);
            let at = core::ptr::with_exposed_provenance_mut::<u32>((registers + 0xf0) as usize);
            at.write_volatile(0x1ff);
        }
    }
}

/// Says that interrupts come through the 8259 pair, with vectors from `first` on, and lets only these lines through.
///
/// # Safety
/// This machine has the pair, and nobody else uses it.
pub unsafe fn use_8259(first: u8, lines: u16) {
    let [low, high] = (!lines).to_le_bytes();
    CONTROLLER.store(2, Ordering::Relaxed);
    // SAFETY: the caller promises that the controllers are there and nobody else's. Initialization words 1 to 4: edges, a
    // cascade on line 2, the vectors, 8086 mode; then the masks (Intel 8259A data sheet).
    unsafe {
        for (port, value) in [
            (0x20, 0x11),
            (0xa0, 0x11),
            (0x21, first),
            (0xa1, first.wrapping_add(8)),
            (0x21, 4),
            (0xa1, 2),
            (0x21, 1),
            (0xa1, 1),
            (0x21, low),
            (0xa1, high),
        ] {
            crate::cpu::port_out(port, value);
        }
    }
}

fn end_of_interrupt() {
    const END: u32 = 0xb;
    match CONTROLLER.load(Ordering::Relaxed) {
        0 => {}
        // SAFETY: `use_8259`'s caller promised the controllers. Only lines of the first one are used.
        2 => unsafe { crate::cpu::port_out(0x20, 0x20) },
        // SAFETY: `use_apic` found the APIC in this mode.
        1 => unsafe { crate::cpu::set_msr(0x800 + END, 0) },
        // SAFETY: `use_apic`'s caller promised that the APIC's registers are here.
        base => unsafe {
            core::ptr::with_exposed_provenance_mut::<u32>((base + 0xb0) as usize).write_volatile(0);
        },
    }
}

/// How often a vector came.
pub fn count(vector: u8) -> u64 {
    COUNTS[usize::from(vector)].load(Ordering::Acquire)
}

#[unsafe(no_mangle)]
extern "sysv64" fn interrupt_arrived(frame: &mut Frame) {
    let vector = frame.vector & 0xff;
    if let Some(count) = COUNTS.get(vector as usize) {
        count.fetch_add(1, Ordering::AcqRel);
    }
    if vector >= 32 {
        end_of_interrupt();
        return;
    }
    let resume = RESUME.swap(0, Ordering::AcqRel);
    if resume != 0 {
        let caught = [vector, frame.error, frame.rip, frame.cs & 3];
        CAUGHT
            .iter()
            .zip(caught)
            .for_each(|(place, value)| place.store(value, Ordering::Release));
        frame.rip = resume;
        frame.rsp = RESUME_STACK.load(Ordering::Acquire);
        frame.cs = u64::from(crate::CODE);
        frame.ss = u64::from(crate::DATA);
        frame.rflags &= !0x200;
        return;
    }
    // The stack starts anew with each exception: without an end here, one in this handler would come again for ever. Each
    // does less than the one before: it may be what that one did that raises it.
    match FATAL.fetch_add(1, Ordering::AcqRel) {
        0 => {}
        1 => {
            line!("EXCEPTION {vector} while another one was reported");
            end(Verdict::Failed)
        }
        2 => end(Verdict::Failed),
        _ => crate::cpu::stop(),
    }
    let address: u64;
    // SAFETY: reading CR2 has no effect; the handler runs in ring 0.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack, preserves_flags)) };
    line!(
        "EXCEPTION {vector} at RIP {:#x}, error code {:#x}, CR2 {address:#x}, ring {}",
        frame.rip,
        frame.error,
        frame.cs & 3
    );
    end(Verdict::Failed)
}

/// An exception that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caught {
    /// The vector.
    pub vector: u8,
    /// The error code, or 0.
    pub error: u64,
    /// Where it happened.
    pub rip: u64,
    /// In which ring.
    pub ring: u8,
}

/// Runs `code(argument)` in ring 0 and returns the exception that it raises, if it does.
///
/// # Safety
/// `code` is sound to abandon at any instruction that can fault.
pub unsafe fn catch(code: extern "sysv64" fn(u64), argument: u64) -> Option<Caught> {
    let finished: u64;
    // SAFETY: the label that an exception goes on at is in this block, with the stack pointer of this block, and every
    // register counts as changed. RBX and RBP, which cannot be named as changed, are saved on the stack around it.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "mov r12, rsp",
            "and rsp, -16",
            "sub rsp, 16",
            "mov [rsp], r12",
            "lea rax, [rip + 2f]",
            "mov [{stack}], rsp",
            "mov [{resume}], rax",
            "call {code}",
            "mov eax, 1",
            "jmp 3f",
            "2:",
            "xor eax, eax",
            "3:",
            "mov rsp, [rsp]",
            "pop rbp",
            "pop rbx",
            resume = in(reg) RESUME.as_ptr(),
            stack = in(reg) RESUME_STACK.as_ptr(),
            code = in(reg) code,
            in("rdi") argument,
            out("rax") finished,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
            clobber_abi("sysv64"),
        );
    }
    outcome(finished != 0)
}

/// Runs `code(argument)` in ring 3, on `stack`, and returns the exception that brings it back. Every way back is one.
///
/// # Safety
/// As [`catch`]; `stack` is the end of memory that ring 3 may use for nothing else.
pub unsafe fn catch_in_ring_3(
    code: extern "sysv64" fn(u64) -> !,
    argument: u64,
    stack: u64,
) -> Caught {
    // SAFETY: as in `catch`. IRETQ takes the frame that is pushed for it; ring 3's segments exist; its stack is the
    // caller's promise, and is aligned as after a call.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "lea rax, [rip + 2f]",
            "mov [{save}], rsp",
            "mov [{resume}], rax",
            "push {data}",
            "push {stack}",
            "push 2",
            "push {segment}",
            "push {code}",
            "iretq",
            "2:",
            "pop rbp",
            "pop rbx",
            resume = in(reg) RESUME.as_ptr(),
            save = in(reg) RESUME_STACK.as_ptr(),
            code = in(reg) code,
            stack = in(reg) stack - 8,
            data = const crate::USER_DATA,
            segment = const crate::USER_CODE,
            in("rdi") argument,
            out("rax") _,
            out("r12") _, out("r13") _, out("r14") _, out("r15") _,
            clobber_abi("sysv64"),
        );
    }
    outcome(false).unwrap_or(Caught {
        vector: 0xff,
        error: 0,
        rip: 0,
        ring: 0,
    })
}

fn outcome(finished: bool) -> Option<Caught> {
    RESUME.store(0, Ordering::Release);
    let [vector, error, rip, ring] =
        [0, 1, 2, 3].map(|at: usize| CAUGHT[at].load(Ordering::Acquire));
    (!finished).then_some(Caught {
        vector: vector as u8,
        error,
        rip,
        ring: ring as u8,
    })
}
