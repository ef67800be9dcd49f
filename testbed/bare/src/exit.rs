//! The end of a run, by each of the ways in which an emulator takes it.

use crate::{console, cpu};

/// How a run ended. QEMU's exit status is twice the value and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Verdict {
    /// Every step answered as it should: 33.
    Passed = 0x10,
    /// A step did not, or the program died: 35.
    Failed = 0x11,
    /// There is no hypervisor to call, and nothing was called: 37.
    Refused = 0x12,
}

/// Ends the run.
pub fn end(verdict: Verdict) -> ! {
    console::drain();
    // SAFETY: QEMU's isa-debug-exit ends the process here. Elsewhere nothing answers these ports, except Bochs, which
    // stops at the word "Shutdown".
    unsafe {
        cpu::port_out_long(0xf4, verdict as u32);
        for byte in *b"Shutdown" {
            cpu::port_out(0x8900, byte);
        }
    }
    cpu::stop()
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    crate::line!("PANIC: {info}");
    end(Verdict::Failed)
}
