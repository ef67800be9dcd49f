//! Lines for people: to COM1, and where nothing answers there, or no longer, to port 0xe9.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::cpu::{port_in, port_out};

const COM1: u16 = 0x3f8;
/// Line status register: bit 5 says that it takes a byte, bit 6 that all were sent.
const STATUS: u16 = COM1 + 5;
/// A register that keeps what is written: nobody's, so it tells whether there is a UART.
const SCRATCH: u16 = COM1 + 7;
/// Where emulators take bytes without further ado.
const DEBUG: u16 = 0xe9;

const UNKNOWN: u8 = 0;
const UART: u8 = 1;
const PORT: u8 = 2;
static KIND: AtomicU8 = AtomicU8::new(UNKNOWN);
/// The UART took no more bytes: what was written since then may be nowhere.
static BROKEN: AtomicBool = AtomicBool::new(false);
/// How often a UART is asked whether it takes a byte, or sent all. A byte takes it 87 microseconds, and a port about one.
const PATIENCE: u32 = 100_000;

/// Finds out what there is to write to.
fn kind() -> u8 {
    let known = KIND.load(Ordering::Relaxed);
    if known != UNKNOWN {
        return known;
    }
    // SAFETY: these ports are a PC's first UART or nothing. Its divisor, format and FIFO are set here and by nobody else.
    let found = unsafe {
        port_out(SCRATCH, 0x5a);
        if port_in(SCRATCH) == 0x5a && port_in(STATUS) != 0xff {
            for (register, value) in [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 3), (2, 7), (4, 3)] {
                port_out(COM1 + register, value);
            }
            UART
        } else {
            PORT
        }
    };
    KIND.store(found, Ordering::Relaxed);
    found
}

/// Waits for a bit of the UART's status.
fn comes(bit: u8) -> bool {
    // SAFETY: reading the status has no effect that matters here.
    (0..PATIENCE).any(|_| unsafe { port_in(STATUS) } & bit != 0)
}

/// Writes a byte. A UART that takes no more must not hang the program, nor be waited for with each byte.
pub fn byte(byte: u8) {
    if kind() == UART {
        if comes(0x20) {
            // SAFETY: the UART's data port, after it said that it takes a byte.
            unsafe { port_out(COM1, byte) };
            return;
        }
        BROKEN.store(true, Ordering::Relaxed);
        KIND.store(PORT, Ordering::Relaxed);
    }
    // SAFETY: a port that an emulator listens to, or nobody.
    unsafe { port_out(DEBUG, byte) };
}

/// Whether bytes may have been lost: there was a UART, and it took no more.
pub fn broken() -> bool {
    BROKEN.load(Ordering::Relaxed)
}

/// Waits until everything was sent.
pub fn drain() {
    if kind() == UART {
        comes(0x40);
    }
}

/// The console as a writer. Never fails.
#[derive(Clone, Copy, Debug)]
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(byte);
        Ok(())
    }
}

/// Writes a line.
#[macro_export]
macro_rules! line {
    ($($argument:tt)*) => {{
        let _ = ::core::fmt::Write::write_fmt(&mut $crate::console::Console, ::core::format_args!($($argument)*));
        $crate::console::byte(b'\n');
    }};
}
