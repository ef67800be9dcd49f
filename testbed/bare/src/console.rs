//! Lines for people: to COM1, and where nothing answers there, to port 0xe9.

use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};

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

/// Writes a byte.
pub fn byte(byte: u8) {
    let kind = kind();
    // SAFETY: the UART's data port, after it said that it takes a byte; or a port that an emulator listens to, or nobody.
    unsafe {
        if kind == UART {
            // A UART that died must not hang the program.
            for _ in 0..1_000_000 {
                if port_in(STATUS) & 0x20 != 0 {
                    break;
                }
            }
            port_out(COM1, byte);
        }
        if kind == PORT {
            port_out(DEBUG, byte);
        }
    }
}

/// Waits until everything was sent.
pub fn drain() {
    if kind() == UART {
        for _ in 0..1_000_000 {
            // SAFETY: reading the status has no effect that matters here.
            if unsafe { port_in(STATUS) } & 0x40 != 0 {
                break;
            }
        }
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
