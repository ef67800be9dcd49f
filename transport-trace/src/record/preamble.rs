//! What stands at the start of a trace that goes into a sink. Nothing is gathered in memory for it.

use hypercall_core::call::InterfaceInfo;

use super::sink::{Sink, SinkFailed};
use crate::clock::ClockPoint;
use crate::format::{BlockHeader, BlockKind, FileHeader, MAJOR, MINOR};
use crate::wire::{Measure, Put};

/// Writes what stands at the start of a trace: its header, the schema, the clock, the names of its lanes, which are numbered from 0. Of a
/// name at most 256 bytes are written.
///
/// Several [`SinkLane`](super::SinkLane)s may share a trace when their sinks take whole writes, one after the other.
///
/// # Errors
/// [`SinkFailed`].
pub fn write_preamble(
    sink: &mut impl Sink,
    id: u64,
    interfaces: &[&'static InterfaceInfo],
    clock: &ClockPoint,
    lanes: &[&str],
) -> Result<(), SinkFailed> {
    sink.write(
        &FileHeader {
            major: MAJOR,
            minor: MINOR,
            id,
        }
        .encode(),
    )?;
    described(sink, BlockKind::Schema, 0, |out| out.schema(interfaces))?;
    described(sink, BlockKind::Clock, 0, |out| out.clock(clock))?;
    for (lane, name) in (0..).zip(lanes) {
        described(sink, BlockKind::Lane, lane, |out| out.name(name))?;
    }
    Ok(())
}

/// What a description can be made of.
trait Describe {
    fn schema(&mut self, interfaces: &[&'static InterfaceInfo]);
    fn clock(&mut self, point: &ClockPoint);
    fn name(&mut self, name: &str);
}

impl<P: Put> Describe for P {
    fn schema(&mut self, interfaces: &[&'static InterfaceInfo]) {
        crate::wire::schema(self, interfaces);
    }
    fn clock(&mut self, point: &ClockPoint) {
        crate::clock::encode(self, point);
    }
    fn name(&mut self, name: &str) {
        self.text(crate::wire::cut_name(name));
    }
}

/// Passes bytes on to a sink until it fails.
struct Through<'s, S> {
    sink: &'s mut S,
    result: Result<(), SinkFailed>,
}

impl<S: Sink> Put for Through<'_, S> {
    fn bytes(&mut self, bytes: &[u8]) {
        if self.result.is_ok() {
            self.result = self.sink.write(bytes);
        }
    }
}

/// Writes a block whose body is described twice: to be measured, and to be written.
fn described<S: Sink>(
    sink: &mut S,
    kind: BlockKind,
    lane: u32,
    body: impl Fn(&mut dyn Describe),
) -> Result<(), SinkFailed> {
    let mut measure = Measure::default();
    body(&mut measure);
    let length = u32::try_from(measure.length).map_err(|_| SinkFailed)?;
    let mut header = BlockHeader::plain(kind, length, measure.crc);
    header.lane = lane;
    sink.write(&header.encode())?;
    let mut through = Through {
        sink,
        result: Ok(()),
    };
    body(&mut through);
    through.result?;
    let padding = measure
        .length
        .next_multiple_of(8)
        .saturating_sub(measure.length);
    sink.write([0; 8].get(..padding).unwrap_or_default())
}
