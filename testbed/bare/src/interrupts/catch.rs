//! Exceptions that are waited for.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use super::Frame;

/// Where execution goes on after an expected exception; 0 when none is expected.
static RESUME: AtomicU64 = AtomicU64::new(0);
/// Where the stack is then.
static RESUME_STACK: AtomicU64 = AtomicU64::new(0);
/// The vector, error code, address and privilege level of the exception that was expected.
static CAUGHT: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

/// Whether an exception was waited for. Execution then goes on where it is.
pub(super) fn resumes(frame: &mut Frame) -> bool {
    let resume = RESUME.swap(0, Ordering::AcqRel);
    if resume != 0 {
        let caught = [frame.vector & 0xff, frame.error, frame.rip, frame.cs & 3];
        CAUGHT
            .iter()
            .zip(caught)
            .for_each(|(place, value)| place.store(value, Ordering::Release));
        frame.rip = resume;
        frame.rsp = RESUME_STACK.load(Ordering::Acquire);
        frame.cs = u64::from(crate::CODE);
        frame.ss = u64::from(crate::DATA);
        frame.rflags &= !0x200;
        return true;
    }
    false
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
