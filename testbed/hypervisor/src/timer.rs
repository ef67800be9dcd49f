//! The hypervisor's clock: the PC's interval timer, through the old interrupt controllers. The local APIC is the guest's.

use bare::cpu::{port_in, port_out, time};
use bare::interrupts::{count, use_8259};
use virt::frequency;

/// The vector of its interrupts.
const VECTOR: u8 = 0x20;
/// Interrupts in a second.
const HERTZ: u32 = 1000;
/// How long the counter is measured: 10 ms, and some times: an emulator that has to wait for a processor in one of them shows too
/// many ticks.
const MEASURED: u16 = 11_932;
const ROUNDS: u32 = 5;
/// How often it is looked at the timer at most.
const PATIENCE: u32 = 10_000_000;

/// Ports that are not the guest's: the controllers and the timer.
pub const PORTS: [u16; 8] = [0x20, 0x21, 0x40, 0x41, 0x42, 0x43, 0xa0, 0xa1];

/// The frequency of the time-stamp counter in kHz, measured against the timer's third counter. `None` where the timer does not
/// come to its end.
///
/// # Safety
/// Nobody uses the timer yet, nor the speaker that hangs on its third counter.
pub unsafe fn tsc_khz() -> Option<u32> {
    let mut least = None;
    for _ in 0..ROUNDS {
        // SAFETY: what the caller promises.
        let ticks = unsafe { round() }?;
        least = Some(least.map_or(ticks, |least: u64| least.min(ticks)));
    }
    frequency::khz(least?, u32::from(MEASURED))
}

/// Ticks of the counter while the timer's third one makes [`MEASURED`] counts.
///
/// # Safety
/// As [`tsc_khz`].
unsafe fn round() -> Option<u64> {
    /// System control port B: bit 0 lets the third counter count, bit 1 is the speaker, bit 5 the counter's output.
    const CONTROL: u16 = 0x61;
    let [low, high] = MEASURED.to_le_bytes();
    // SAFETY: the caller promises the timer and the speaker. The third counter, both bytes, once (Intel 8254 data sheet,
    // mode 0): its output rises when it is through.
    unsafe {
        let control = port_in(CONTROL) & !3;
        port_out(CONTROL, control);
        for (port, value) in [(0x43, 0xb0), (0x42, low), (0x42, high)] {
            port_out(port, value);
        }
        let start = time();
        port_out(CONTROL, control | 1);
        let done = (0..PATIENCE).any(|_| port_in(CONTROL) & 0x20 != 0);
        let end = time();
        port_out(CONTROL, control);
        done.then(|| end.wrapping_sub(start))
    }
}

/// Starts it.
///
/// # Safety
/// Handlers are installed, interrupts are off, and nobody else uses [`PORTS`].
pub unsafe fn start() {
    let [low, high, ..] = (frequency::TIMER as u32 / HERTZ).to_le_bytes();
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
