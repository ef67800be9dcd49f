//! The hypervisor's clock: the PC's interval timer, through the old interrupt controllers. The local APIC is the guest's.

use bare::cpu::port_out;
use bare::interrupts::{count, use_8259};

/// The vector of its interrupts.
const VECTOR: u8 = 0x20;
/// Interrupts in a second, and the frequency that they are made from.
const HERTZ: u32 = 1000;
const CLOCK: u32 = 1_193_182;

/// Ports that are not the guest's: the controllers and the timer.
pub const PORTS: [u16; 8] = [0x20, 0x21, 0x40, 0x41, 0x42, 0x43, 0xa0, 0xa1];

/// Starts it.
///
/// # Safety
/// Handlers are installed, interrupts are off, and nobody else uses [`PORTS`].
pub unsafe fn start() {
    let [low, high, ..] = (CLOCK / HERTZ).to_le_bytes();
    // SAFETY: the caller promises handlers and the ports. The first counter, both bytes, again and again (Intel 8254 data
    // sheet, mode 2), on the first line.
    unsafe {
        for (port, value) in [(0x43, 0x34), (0x40, low), (0x40, high)] {
            port_out(port, value);
        }
        use_8259(VECTOR, 1);
    }
}

/// Interrupts so far.
pub fn ticks() -> u64 {
    count(VECTOR)
}
