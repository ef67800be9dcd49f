//! Recordings by the core that needs neither std nor an allocator.

use super::{Device, INTERFACES, program};
use hypercall::Client;
use hypercall_trace::clock::{ClockFn, ClockPoint};
use hypercall_trace::record::{
    Recorder, Redaction, Sink, SinkFailed, SinkLane, SinkLaneOptions, write_preamble,
};
use std::sync::atomic::{AtomicU64, Ordering};

/// A sink that keeps what it gets.
#[derive(Default)]
pub struct InMemory(pub Vec<u8>);

impl Sink for InMemory {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkFailed> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// A clock that counts how often it was asked.
pub fn ticking() -> u64 {
    static TICKS: AtomicU64 = AtomicU64::new(1000);
    TICKS.fetch_add(10, Ordering::Relaxed)
}

/// The [`program`], once for each round, in a trace with this number and point of the clock.
pub fn recorded_without_std(
    id: u64,
    point: &ClockPoint,
    rounds: impl IntoIterator<Item = u32>,
) -> Vec<u8> {
    let mut memory = vec![0_u64; 600];
    let mut sink = InMemory::default();
    write_preamble(&mut sink, id, INTERFACES, point, &["boot"]).unwrap();
    let options = SinkLaneOptions {
        lane: 0,
        interfaces: INTERFACES,
        clock: ClockFn(ticking),
        redaction: Redaction::Zero,
        watched: [],
        announce: false,
    };
    let lane = SinkLane::new(&mut memory, sink, options).unwrap();
    let client = Client::new(Recorder::new(Device::default(), lane));
    for round in rounds {
        program(&client, round);
    }
    client.transport().lane().flush().unwrap();
    client.into_inner().into_parts().1.into_sink().0
}
