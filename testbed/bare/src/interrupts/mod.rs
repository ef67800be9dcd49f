//! Exceptions and interrupts: counted, forgiven where they are expected, and otherwise the end of the run.
//!
//! All vectors run on a stack of their own (IST 1), the double fault on another. The handler saves every register, SSE
//! included.

mod catch;
mod controller;
mod tables;

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::exit::{Verdict, end};
use crate::line;

pub use catch::{Caught, catch, catch_in_ring_3};
pub use controller::{use_8259, use_apic};
pub use tables::install;

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

/// Interrupts by vector so far.
static COUNTS: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];
/// How often an exception was found that ends the run. All but the first came while that one was being reported.
static FATAL: AtomicU64 = AtomicU64::new(0);
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
        controller::end_of_interrupt();
        return;
    }
    if catch::resumes(frame) {
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
