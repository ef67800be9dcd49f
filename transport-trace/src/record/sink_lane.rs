//! A lane without threads, files or an allocator: memory that the caller gives, emptied into a sink that the caller gives.
//! It runs in ring 0 of a guest and sends a trace through a serial port.

use core::cell::RefCell;

use hypercall_core::arg::Arg;
use hypercall_core::call::{CallInfo, InterfaceInfo};
use hypercall_core::{SharedPage, Transport, TransportError};

use super::lane::LaneWriter;
use super::outlet::Outlet;
use super::pages::{Point, Watched};
use super::recorder::{Lane, WatchError};
use super::redact::Redaction;
use super::room::Wait;
use super::sink::{Sink, SinkFailed};
use crate::clock::Clock;
use crate::loss::{Loss, LossCause};
use crate::ring::Full;
use crate::ring::layout::{Geometry, LEAST_BLOCK};

/// A lane over memory and a sink.
///
/// A block of the memory is handed to the sink when it is full, by the call or the look at its pages that finds it so, and by
/// [`flush`](Self::flush).
#[derive(Debug)]
pub struct SinkLane<'m, C, S, W = [Watched; 0]> {
    inner: RefCell<Inner<'m, C, S, W>>,
    /// Calls that came while another one was in flight.
    busy: core::cell::Cell<u64>,
}

#[derive(Debug)]
struct Inner<'m, C, S, W> {
    writer: LaneWriter<'m, C, W>,
    outlet: Outlet<'m, S>,
}

/// What a [`SinkLane`] is made of.
#[derive(Debug)]
pub struct SinkLaneOptions<'m, C, W = [Watched; 0]> {
    /// The lane's number in the trace.
    pub lane: u32,
    /// The interfaces, as in the preamble.
    pub interfaces: &'m [&'static InterfaceInfo],
    /// The clock.
    pub clock: C,
    /// What becomes of secrets.
    pub redaction: Redaction,
    /// Room for the pages to watch.
    pub watched: W,
    /// Whether each call is announced in the sink before it is made, so that a call that stops the machine is seen
    /// there.
    pub announce: bool,
}

/// Into how many blocks the memory is divided.
const BLOCKS: usize = 2;

impl<'m, C: Clock, S: Sink, W: AsMut<[Watched]>> SinkLane<'m, C, S, W> {
    /// The least memory that a lane can be made over, in bytes: what it keeps of its blocks, and two blocks of 1 KiB.
    pub const LEAST: usize =
        Geometry::controls(BLOCKS).saturating_add(BLOCKS.saturating_mul(LEAST_BLOCK));

    /// A lane over memory, which is divided into two blocks. `None` for less than [`LEAST`](Self::LEAST) bytes. A call that
    /// does not fit a block is counted as lost.
    pub fn new(memory: &'m mut [u64], sink: S, options: SinkLaneOptions<'m, C, W>) -> Option<Self> {
        let (producer, consumer) = crate::ring::borrowed(memory, BLOCKS, Full::Drop)?;
        let writer = LaneWriter::new(
            producer,
            options.clock,
            options.interfaces,
            options.redaction,
            options.watched,
            Wait::NEVER,
        );
        Some(Self {
            inner: RefCell::new(Inner {
                writer,
                outlet: Outlet {
                    consumer,
                    lane: options.lane,
                    sink,
                    announce: options.announce,
                    torn: 0,
                    failed: Loss::default(),
                    failed_index: 0,
                },
            }),
            busy: core::cell::Cell::new(0),
        })
    }

    /// Hands everything to the sink that is complete, and what was lost.
    ///
    /// # Errors
    /// [`SinkFailed`]; what the sink did not take is lost, and counted. Also from within a call of this lane: nothing is
    /// done then.
    pub fn flush(&self) -> Result<(), SinkFailed> {
        let Ok(mut inner) = self.inner.try_borrow_mut() else {
            return Err(SinkFailed);
        };
        let Inner { writer, outlet } = &mut *inner;
        outlet.drain(true)?;
        for _ in 0..self.busy.take() {
            writer.lose(LossCause::Busy);
        }
        writer.producer.settle();
        outlet.drain(true)
    }

    /// The sink, and what stands in the memory is dropped. [`flush`](Self::flush) first.
    pub fn into_sink(self) -> S {
        self.inner.into_inner().outlet.sink
    }
}

impl<C: Clock, S: Sink, W: AsMut<[Watched]>> Lane for SinkLane<'_, C, S, W> {
    fn record<'a>(
        &self,
        info: &'static CallInfo,
        args: [Arg<'a>; 2],
        transport: &(impl Transport + ?Sized),
    ) -> Result<i64, TransportError> {
        let Ok(mut inner) = self.inner.try_borrow_mut() else {
            self.busy.set(self.busy.get().saturating_add(1));
            return transport.call(info, args);
        };
        for _ in 0..self.busy.take() {
            inner.writer.lose(LossCause::Busy);
        }
        let Inner { writer, outlet } = &mut *inner;
        let entered = || {
            if outlet.announce {
                outlet.announce();
            }
            outlet.announce
        };
        let outcome = writer.around(info, args, entered, transport);
        let _ = outlet.drain(false);
        outcome
    }

    fn watch(&self, page: &'static SharedPage) -> Result<u32, WatchError> {
        let Ok(mut inner) = self.inner.try_borrow_mut() else {
            return Err(WatchError::InUse);
        };
        inner.writer.watch(page)
    }

    fn note_pages(&self) {
        if let Ok(mut inner) = self.inner.try_borrow_mut() {
            inner.writer.note(Point::Note);
            // A program that waits for a change may make no call for long, and its next one needs room.
            let _ = inner.outlet.drain(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockFn;

    struct Nowhere;
    impl Sink for Nowhere {
        fn write(&mut self, _: &[u8]) -> Result<(), SinkFailed> {
            Ok(())
        }
    }

    #[test]
    fn a_lane_is_made_over_the_least_memory_and_over_no_less() {
        type Smallest = SinkLane<'static, ClockFn, Nowhere>;
        fn made(memory: &mut [u64]) -> bool {
            let options = SinkLaneOptions {
                lane: 0,
                interfaces: &[],
                clock: ClockFn(|| 0),
                redaction: Redaction::Zero,
                watched: [],
                announce: false,
            };
            SinkLane::new(memory, Nowhere, options).is_some()
        }
        const WORDS: usize = Smallest::LEAST / 8;
        assert!(made(&mut [0; WORDS]));
        assert!(!made(&mut [0; WORDS - 1]));
    }
}
