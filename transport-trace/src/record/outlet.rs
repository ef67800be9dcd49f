//! The way from the memory of a lane to its sink.

use super::sink::{Sink, SinkFailed};
use super::summary::Summary;
use crate::format::record::{LOST_LENGTH, kind, word};
use crate::format::{BlockHeader, BlockKind, Codec, put};
use crate::loss::{Loss, LossCause};
use crate::ring::{Consumer, Taken};

/// The way from the memory to the sink.
#[derive(Debug)]
pub(super) struct Outlet<'m, S> {
    pub(super) consumer: Consumer<'m>,
    pub(super) lane: u32,
    pub(super) sink: S,
    pub(super) announce: bool,
    /// Bytes of a block of which the sink may have taken a part.
    pub(super) torn: usize,
    /// What the sink did not take.
    pub(super) failed: Loss,
    /// The index of the first call that it did not take.
    pub(super) failed_index: u64,
}

impl<S: Sink> Outlet<'_, S> {
    pub(super) fn drain(&mut self, partial: bool) -> Result<(), SinkFailed> {
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
    pub(super) fn announce(&mut self) {
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
