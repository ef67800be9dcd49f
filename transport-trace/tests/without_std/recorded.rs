//! What both forms of the recorder record: the same program, under a clock that counts how often it was asked.

use crate::common::in_memory::recorded_without_std;
use hypercall_trace::clock::ClockPoint;

/// The number of the trace.
pub const ID: u64 = 77;
/// How often the program runs.
pub const ROUNDS: u32 = 5;

/// The trace. Once in a process: the clock goes on.
pub fn recorded() -> Vec<u8> {
    let point = ClockPoint {
        frequency: 1_000_000,
        ticks: 1000,
        unix_nanoseconds: 5,
    };
    recorded_without_std(ID, &point, 0..ROUNDS)
}
