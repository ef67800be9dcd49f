//! Looks at every byte of a trace.

use std::collections::HashMap;
use std::io;

use super::block::Buffer;
use super::scan::{Found, has_entries, scan};
use super::source::read_full;
use super::trace::Trace;
use super::view::View;
use crate::entry::{Damaged, Defect, LossCause, Lost};
use crate::format::record::checks;
use crate::format::{ALIGN, BLOCK_HEADER};

/// What is in a trace, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Bytes of the file.
    pub bytes: u64,
    /// Blocks.
    pub blocks: u64,
    /// Entries that could be read.
    pub entries: u64,
    /// Calls among them.
    pub calls: u64,
    /// Calls that never returned.
    pub unfinished: u64,
    /// Calls that the recorder noted as lost.
    pub lost: u64,
    /// Calls whose indices are missing although nobody noted them as lost.
    pub gaps: Vec<Lost>,
    /// What could not be read.
    pub damaged: Vec<Damaged>,
    /// Whether the file ends with an index. Without one it was not finished, or was cut between two blocks.
    pub finished: bool,
}

impl Report {
    /// Whether everything is there that was written, and right. Calls that the recorder itself lost do not count.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.gaps.is_empty()
    }
}

impl Trace {
    /// Checks every header, block and record.
    ///
    /// # Errors
    /// As the storage says.
    pub fn verify(&self) -> io::Result<Report> {
        self.verify_with(&mut |_| {})
    }

    /// The same, and tells `progress` at each block how many bytes of the file are behind it.
    ///
    /// # Errors
    /// As the storage says.
    pub fn verify_with(&self, progress: &mut dyn FnMut(u64)) -> io::Result<Report> {
        let mut report = Report {
            bytes: self.source().length()?,
            ..Report::default()
        };
        // The index is not believed here.
        let mut found = Found::new();
        scan(self.source(), &mut found, true)?;
        found.number();
        report.finished = found.finished;
        report.damaged.extend(found.damage.iter().cloned());
        report
            .damaged
            .extend(self.damage().filter(|damaged| damaged.offset == 0).cloned());
        let mut buffer = Buffer::default();
        let mut expected: HashMap<u32, u64> = HashMap::new();
        for block in &found.blocks {
            progress(block.offset);
            report.blocks = report.blocks.saturating_add(1);
            if let Err(defect) = padding(self, block.offset, block.header.stored) {
                report.damaged.push(block.damaged(defect));
            }
            let header = &block.header;
            let mut views = match self.load(block, &mut buffer) {
                Ok(views) => views,
                Err(damaged) => {
                    if has_entries(block) {
                        expected.remove(&header.lane);
                    }
                    report.damaged.push(damaged);
                    continue;
                }
            };
            if !has_entries(block) {
                continue;
            }
            if let Some(missing) = expected
                .get(&header.lane)
                .and_then(|expected| header.first_index.checked_sub(*expected))
                .filter(|missing| *missing != 0)
            {
                report.gaps.push(Lost {
                    lane: header.lane,
                    index: header.first_index.saturating_sub(missing),
                    count: missing,
                    cause: LossCause::Damaged,
                    first: 0,
                    last: header.first_ticks,
                });
            }
            let mut next = header.first_index;
            let (mut seen, mut calls, mut bad) = (0_u32, 0_u32, 0_u32);
            while let Some(record) = views.next_record() {
                seen = seen.saturating_add(1);
                match record {
                    Ok((index, view, bytes)) if checks(bytes) => {
                        next = index.saturating_add(view.indices());
                        match view {
                            View::Call(call) => {
                                calls = calls.saturating_add(1);
                                report.unfinished = report
                                    .unfinished
                                    .saturating_add(u64::from(call.duration.is_none()));
                            }
                            View::Lost(lost) => {
                                report.lost = report.lost.saturating_add(lost.count);
                            }
                            View::Pages(_) | View::Unknown(..) => {}
                        }
                    }
                    _ => bad = bad.saturating_add(1),
                }
            }
            report.entries = report
                .entries
                .saturating_add(u64::from(seen.saturating_sub(bad)));
            report.calls = report.calls.saturating_add(u64::from(calls));
            if bad != 0 || seen != header.entries {
                report.damaged.push(Damaged {
                    entries: Some(header.entries.saturating_sub(seen).max(bad)),
                    ..block.damaged(Defect::Record)
                });
            }
            expected.insert(header.lane, next);
        }
        let descriptions: Vec<_> = self
            .damage()
            .filter(|damaged| damaged.defect == Defect::Description)
            .cloned()
            .collect();
        report.damaged.extend(descriptions);
        Ok(report)
    }
}

/// Whether what fills a block up to the next is zero.
fn padding(trace: &Trace, offset: u64, stored: u32) -> Result<(), Defect> {
    let end = offset
        .saturating_add(BLOCK_HEADER as u64)
        .saturating_add(u64::from(stored));
    let mut bytes = [0; ALIGN];
    let length = stored.wrapping_neg() % 8;
    let part = usize::try_from(length)
        .ok()
        .and_then(|length| bytes.get_mut(..length));
    let Some(part) = part else { return Ok(()) };
    match read_full(trace.source(), end, part) {
        Ok(count) if part.iter().take(count).all(|byte| *byte == 0) => Ok(()),
        Ok(_) => Err(Defect::Checksum),
        Err(_) => Err(Defect::Unreadable),
    }
}
