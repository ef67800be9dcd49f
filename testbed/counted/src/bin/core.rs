//! The recorder as the guest has it: without std, over memory of its own and a sink that forgets everything.

use std::process::ExitCode;

use counted::{INTERFACES, Null, run};
use hypercall_trace::clock::ClockFn;
use hypercall_trace::record::{
    Recorder, Redaction, Sink, SinkFailed, SinkLane, SinkLaneOptions, Watched,
};

/// Words of its memory, as many as the guest's recorder has.
const WORDS: usize = 4352;

struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _: &[u8]) -> Result<(), SinkFailed> {
        Ok(())
    }
}

/// The time-stamp counter, read as the guest reads it.
fn time() -> u64 {
    // SAFETY: both instructions are part of every 64-bit processor; Linux lets programs read the counter.
    unsafe {
        core::arch::x86_64::_mm_lfence();
        core::arch::x86_64::_rdtsc()
    }
}

fn main() -> ExitCode {
    let mut memory = vec![0_u64; WORDS];
    run(|| {
        let options = SinkLaneOptions {
            lane: 0,
            interfaces: INTERFACES,
            clock: ClockFn(time),
            redaction: Redaction::Zero,
            watched: [] as [Watched; 0],
            announce: false,
        };
        Some(Recorder::new(
            Null,
            SinkLane::new(&mut memory, Nowhere, options)?,
        ))
    })
}
