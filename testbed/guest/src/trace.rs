//! The recorder in ring 0: memory of its own, and the console as the sink.
//!
//! The trace goes out as lines `trace: ` with bytes in hexadecimal, between the lines for people, as it arises: what was
//! recorded before a crash is there. The last line, `trace end: `, has the number of bytes.

use core::cell::UnsafeCell;
use core::fmt::Write as _;

use bare::console::{self, Console};
use bare::{cpu, line};
use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::call::InterfaceInfo;
use hypercall_trace::clock::{ClockFn, ClockPoint};
use hypercall_trace::record::{
    Recorder, Redaction, Sink, SinkFailed, SinkLane, SinkLaneOptions, Watched, write_preamble,
};

use crate::Way;

/// Bytes in a line.
const LINE: usize = 64;
/// Words of a recorder's memory: two blocks of 16 KiB and what divides them.
const WORDS: usize = 4352;

pub static INTERFACES: &[&InterfaceInfo] = &[HypervisorCalls::INTERFACE];

/// What records: `N` pages can be watched.
pub type Recording<S, const N: usize> = Recorder<Way, SinkLane<'static, ClockFn, S, [Watched; N]>>;

/// The console as a sink.
#[derive(Debug)]
pub struct Serial {
    line: [u8; LINE],
    used: usize,
    written: usize,
}

impl Serial {
    pub const fn new() -> Self {
        Self {
            line: [0; LINE],
            used: 0,
            written: 0,
        }
    }

    fn put_line(&mut self) {
        let bytes = &self.line[..self.used];
        let _ = Console.write_str("trace: ");
        for byte in bytes {
            let _ = write!(Console, "{byte:02x}");
        }
        line!("");
        self.used = 0;
    }

    /// Writes what is left, and that this is the end. An error where any of it may not have got through.
    pub fn end(mut self) -> Result<(), SinkFailed> {
        if self.used != 0 {
            self.put_line();
        }
        line!("trace end: {} bytes", self.written);
        console::drain();
        if console::broken() {
            return Err(SinkFailed);
        }
        Ok(())
    }
}

impl Sink for Serial {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkFailed> {
        for byte in bytes {
            self.line[self.used] = *byte;
            self.used += 1;
            if self.used == LINE {
                self.put_line();
            }
        }
        // What was taken may be nowhere: whoever put it there has to know.
        if console::broken() {
            return Err(SinkFailed);
        }
        self.written += bytes.len();
        Ok(())
    }
}

/// Forgets everything: to measure what recording costs without what the console costs.
#[derive(Debug)]
pub struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _: &[u8]) -> Result<(), SinkFailed> {
        Ok(())
    }
}

/// Memory for recorders, handed out once each.
pub struct Memory(UnsafeCell<[u64; WORDS]>);
// SAFETY: `take` is called once for each, which its contract says.
unsafe impl Sync for Memory {}

pub static FIRST: Memory = Memory(UnsafeCell::new([0; WORDS]));
pub static SECOND: Memory = Memory(UnsafeCell::new([0; WORDS]));

impl Memory {
    /// The memory.
    ///
    /// # Safety
    /// Called once.
    #[expect(clippy::mut_from_ref, reason = "called once, as the contract says")]
    pub unsafe fn take(&'static self) -> &'static mut [u64; WORDS] {
        // SAFETY: the only reference, by this function's contract.
        unsafe { &mut *self.0.get() }
    }
}

/// Writes the start of a trace.
pub fn preamble(sink: &mut impl Sink, tsc_khz: Option<u32>) -> Result<(), SinkFailed> {
    let point = ClockPoint {
        frequency: u64::from(tsc_khz.unwrap_or(0)) * 1000,
        ticks: cpu::time(),
        unix_nanoseconds: 0,
    };
    write_preamble(sink, 1, INTERFACES, &point, &["main"])
}

/// A recorder over the way to the hypervisor.
pub fn recorder<S: Sink, const N: usize>(
    way: Way,
    memory: &'static mut [u64; WORDS],
    sink: S,
) -> Option<Recording<S, N>> {
    let options = SinkLaneOptions {
        lane: 0,
        interfaces: INTERFACES,
        clock: ClockFn(cpu::time),
        redaction: Redaction::Zero,
        watched: [const { Watched::new() }; N],
        announce: false,
    };
    Some(Recorder::new(way, SinkLane::new(memory, sink, options)?))
}
