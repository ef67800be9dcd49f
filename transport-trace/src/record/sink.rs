//! A lane without threads, files or an allocator: memory that the caller gives, emptied into a sink that the caller gives.
//! It runs in ring 0 of a guest and sends a trace through a serial port.

use core::cell::RefCell;

use hypercall_core::arg::Arg;
use hypercall_core::call::{CallInfo, InterfaceInfo};
use hypercall_core::{SharedPage, Transport, TransportError};

use super::lane::{LaneWriter, Wait};
use super::pages::{Point, Watched};
use super::recorder::{Lane, WatchError};
use super::redact::Redaction;
use super::summary::Summary;
use crate::clock::{Clock, ClockPoint};
use crate::format::record::{LOST_LENGTH, kind, word};
use crate::format::{BlockHeader, BlockKind, Codec, FileHeader, MAJOR, MINOR, put};
use crate::loss::{Loss, LossCause};
use crate::ring::{Consumer, Full, Taken};
use crate::wire::{Measure, Put};

/// Takes the bytes of a trace, in order.
pub trait Sink {
    /// Takes bytes.
    ///
    /// # Errors
    /// [`SinkFailed`] when the sink did not take all of them. The records are then lost, which a later block says; a
    /// reader finds the next block whatever part of this one arrived.
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkFailed>;
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkFailed> {
        (**self).write(bytes)
    }
}

/// A sink did not take bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkFailed;

impl core::fmt::Display for SinkFailed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the sink of the trace took no more bytes")
    }
}
impl core::error::Error for SinkFailed {}

/// Writes what stands at the start of a trace: its header, the schema, the clock, the names of its lanes, which are numbered from 0.
///
/// Several [`SinkLane`]s may share a trace when their sinks take whole writes, one after the other.
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
        self.text(name);
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

/// The way from the memory to the sink.
#[derive(Debug)]
struct Outlet<'m, S> {
    consumer: Consumer<'m>,
    lane: u32,
    sink: S,
    announce: bool,
    /// Bytes of a block of which the sink may have taken a part.
    torn: usize,
    /// What the sink did not take.
    failed: Loss,
    /// The index of the first call that it did not take.
    failed_index: u64,
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

impl<'m, C: Clock, S: Sink, W: AsMut<[Watched]>> SinkLane<'m, C, S, W> {
    /// A lane over memory, which is divided into two blocks. `None` for less than 2,304 bytes. A call that does not
    /// fit a block is counted as lost.
    pub fn new(memory: &'m mut [u64], sink: S, options: SinkLaneOptions<'m, C, W>) -> Option<Self> {
        let (producer, consumer) = crate::ring::borrowed(memory, 2, Full::Drop)?;
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

impl<S: Sink> Outlet<'_, S> {
    fn drain(&mut self, partial: bool) -> Result<(), SinkFailed> {
        let mut result = Ok(());
        loop {
            let Self {
                consumer,
                sink,
                lane,
                torn,
                failed,
                failed_index,
                ..
            } = self;
            if failed.count != 0 {
                put_loss(sink, torn, *lane, *failed_index, failed)?;
                *failed = Loss::default();
            }
            let taken = consumer.take(partial, |batch| {
                if batch.bytes.is_empty() {
                    return true;
                }
                let summary = Summary::of(batch.bytes);
                let header = summary.header(*lane, batch.first_index, batch.bytes);
                if send(sink, torn, &header, [batch.bytes, &[]]).is_err() {
                    // The memory is needed: the records go, and a record says so.
                    *failed = Loss {
                        count: summary.indices,
                        first: summary.first_ticks,
                        last: summary.last_ticks,
                        cause: LossCause::Sink,
                    };
                    *failed_index = batch.first_index;
                    result = Err(SinkFailed);
                }
                true
            });
            if taken != Taken::Some || result.is_err() {
                return result;
            }
        }
    }

    /// Shows the call that was just entered to the sink.
    fn announce(&mut self) {
        let _ = self.drain(true);
        let Self {
            consumer,
            sink,
            lane,
            torn,
            ..
        } = self;
        let _ = consumer.entered(|index, word, body| {
            let summary = Summary::of_entered(word, body);
            let crc = crate::checksum::append(crate::checksum::of(&word.to_le_bytes()), body);
            let mut header = summary.header(*lane, index, body);
            header.kind = BlockKind::Announce;
            header.crc = crc;
            header.raw = header.raw.saturating_add(8);
            header.stored = header.raw;
            send(sink, torn, &header, [&word.to_le_bytes(), body])
        });
    }
}

/// Writes a block.
///
/// Behind one of which the sink may have taken a part, zeros come first, as many as it should have had: a reader takes what
/// stands where a block says that it is for that block's.
fn send(
    sink: &mut impl Sink,
    torn: &mut usize,
    header: &BlockHeader,
    parts: [&[u8]; 2],
) -> Result<(), SinkFailed> {
    const ZEROS: [u8; 64] = [0; 64];
    while *torn != 0 {
        let zeros = ZEROS.get(..*torn).unwrap_or(&ZEROS);
        sink.write(zeros)?;
        *torn = torn.saturating_sub(zeros.len());
    }
    let [first, second] = parts;
    let written = sink
        .write(&header.encode())
        .and_then(|()| sink.write(first))
        .and_then(|()| {
            if second.is_empty() {
                Ok(())
            } else {
                sink.write(second)
            }
        });
    if written.is_err() {
        *torn = usize::try_from(header.span()).unwrap_or(usize::MAX);
    }
    written
}

/// Writes a block that holds only a loss.
fn put_loss(
    sink: &mut impl Sink,
    torn: &mut usize,
    lane: u32,
    index: u64,
    loss: &Loss,
) -> Result<(), SinkFailed> {
    let mut record = [0; LOST_LENGTH];
    put(&mut record, 8, &loss.encode());
    let (_, first) = word(0, &record[8..], LOST_LENGTH / 8, kind::LOST);
    put(&mut record, 0, &first.to_le_bytes());
    let header = Summary::of(&record).header(lane, index, &record);
    debug_assert_eq!(header.codec, Codec::None, "nothing is compressed here");
    send(sink, torn, &header, [&record, &[]])
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
