//! A capture for Wireshark and tshark: a packet for each entry, an interface for each lane.
//!
//! The link type is USER0, which Wireshark leaves to its user; the [dissector](super::dissector()) takes it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use hypercall_trace::entry::Entry;
use hypercall_trace::read::Trace;
use hypercall_trace::schema::Schema;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, PcapError};

use super::Exporter;
use super::packet::packet;
use crate::format::Context;

/// The largest packet that Wireshark takes. The rest of a larger one is left out, and the packet says so.
const MAX_PACKET: usize = 262_144;
/// Timestamps are nanoseconds.
const NANOSECONDS: u8 = 9;

/// Writes it.
pub struct Pcapng<W: Write> {
    /// Taken when the first block is written; back after it.
    to: Option<W>,
    writer: Option<PcapNgWriter<W>>,
    schema: std::sync::Arc<Schema>,
    context: Context,
    /// The interface of each lane.
    lanes: HashMap<Option<u32>, u32>,
    /// The last time of the recording, for entries that have none.
    last: u64,
}

impl<W: Write> std::fmt::Debug for Pcapng<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pcapng")
            .field("lanes", &self.lanes)
            .finish_non_exhaustive()
    }
}

fn failed(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

impl<W: Write> Pcapng<W> {
    /// To a sink, best a buffered one.
    #[must_use]
    pub fn new(to: W) -> Self {
        Self {
            to: Some(to),
            writer: None,
            schema: std::sync::Arc::default(),
            context: Context::default(),
            lanes: HashMap::new(),
            last: 0,
        }
    }

    fn writer(&mut self) -> io::Result<&mut PcapNgWriter<W>> {
        self.writer
            .as_mut()
            .ok_or_else(|| io::Error::other("the export was not started"))
    }

    /// The interface of a lane; a new one at its first sight.
    fn interface(&mut self, lane: Option<u32>) -> io::Result<u32> {
        if let Some(place) = self.lanes.get(&lane) {
            return Ok(*place);
        }
        let place =
            u32::try_from(self.lanes.len()).map_err(|_| io::Error::other("too many lanes"))?;
        let name = match lane {
            Some(lane) => self.context.lane(lane).into_owned(),
            None => "(no lane)".to_owned(),
        };
        let block = InterfaceDescriptionBlock {
            linktype: DataLink::USER0,
            snaplen: 0,
            options: vec![
                InterfaceDescriptionOption::IfName(Cow::Owned(name)),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        };
        self.writer()?.write_pcapng_block(block).map_err(failed)?;
        self.lanes.insert(lane, place);
        Ok(place)
    }

    /// Nanoseconds since 1970; since the trace began where the date is not known; 0 where no time is.
    fn time(&mut self, entry: &Entry) -> u64 {
        let ticks = entry.ticks();
        let clock = self.context.clock();
        if ticks != 0 {
            let date = clock
                .unix_nanoseconds(ticks)
                .and_then(|date| u64::try_from(date).ok());
            let since = || self.context.since_start(ticks);
            // A packet must have a time. 1970 is none that anybody takes for true, and keeps the order.
            self.last = date.or_else(since).unwrap_or(0);
        }
        self.last
    }
}

impl<W: Write> Exporter for Pcapng<W> {
    fn start(&mut self, trace: &Trace) -> io::Result<()> {
        self.schema = std::sync::Arc::clone(trace.schema());
        self.context = Context::of(trace);
        let to = self
            .to
            .take()
            .ok_or_else(|| io::Error::other("the export was started twice"))?;
        self.writer = Some(PcapNgWriter::new(to).map_err(failed)?);
        for lane in trace.lanes() {
            self.interface(Some(lane.id))?;
        }
        Ok(())
    }

    fn recording(&mut self, number: u32) -> io::Result<()> {
        self.context.recording(number);
        // No time of another recording is one of this one.
        self.last = 0;
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        let interface_id = self.interface(entry.lane())?;
        let timestamp = Duration::from_nanos(self.time(entry));
        let data = packet(entry, &self.schema, &self.context);
        let original_len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let kept = data.get(..MAX_PACKET).unwrap_or(&data);
        let block = EnhancedPacketBlock {
            interface_id,
            timestamp,
            original_len,
            data: Cow::Borrowed(kept),
            options: Vec::new(),
        };
        self.writer()?.write_pcapng_block(block).map_err(failed)?;
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.writer.take() {
            Some(writer) => writer.into_inner().flush(),
            None => Ok(()),
        }
    }
}
