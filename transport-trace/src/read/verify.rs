//! Looks at every byte of a trace.

use std::io;

use super::block::{BlockEntry, Buffer, Views};
use super::index::decode_index;
use super::order::Order;
use super::scan::{Found, has_entries, scan};
use super::source::read_full;
use super::trace::Trace;
use super::view::View;
use crate::entry::{Damaged, Defect, LossCause, Lost};
use crate::format::record::checks;
use crate::format::{ALIGN, BLOCK_HEADER, BlockKind, FILE_HEADER, u64_at};

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
    /// Calls that are noted as lost.
    pub lost: u64,
    /// Those among them that no recorder lost: they were in damaged parts of a trace that this one was made from.
    pub lost_to_damage: u64,
    /// Places where calls are noted as lost and nobody knows how many: see [`Lost::how_many`].
    pub lost_unknown: u64,
    /// Calls whose indices are missing although nobody noted them as lost.
    pub gaps: Vec<Lost>,
    /// What could not be read.
    pub damaged: Vec<Damaged>,
    /// Whether the file ends with an index. Without one the recording was not finished, or the end of its file was lost, unless only a part
    /// of the index is missing: see [`Trace::ends_early`].
    pub finished: bool,
}

impl Report {
    /// Whether everything is there that was written, and right. Calls that are noted as lost do not count.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.gaps.is_empty()
    }
}

impl Trace {
    /// Checks every header, block and record, and whether they are those that were written, in their order.
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
        let mut found = Found::new(&self.header());
        scan(self.source(), &mut found, true)?;
        let mut buffer = Buffer::default();
        found.adopt_by_indexes(self.source(), &mut buffer);
        if self.found.indexed {
            // But where a block's own header is damaged, the index knows of the block; that the header is will be said.
            found.adopt(self.blocks());
        }
        found.number(&self.header());
        report.finished = found.finished;
        report.damaged.extend(found.damage.iter().cloned());
        let at_start = |damaged: &&Damaged| damaged.offset == 0;
        report
            .damaged
            .extend(self.damage().filter(at_start).cloned());
        let mut gaps = found.damage.iter().peekable();
        let mut order = Order::from_the_start();
        let mut clock = (0_u32, 0_u64);
        for (place, block) in found.blocks.iter().enumerate() {
            progress(block.offset);
            while let Some(gap) = gaps.next_if(|gap| gap.offset < block.offset) {
                order.forget(gap.lane);
            }
            report.blocks = report.blocks.saturating_add(1);
            report.damaged.extend(self.damaged_header(block));
            let header = &block.header;
            let shown = has_entries(block);
            let views = match self.load(block, &mut buffer) {
                Ok(views) => views,
                Err(damaged) => {
                    if shown && block.misplaced.is_none() {
                        order.forget(Some(header.lane));
                    }
                    report.damaged.push(damaged);
                    continue;
                }
            };
            // Of a block that cannot be used that is said once.
            if let Err(defect) = padding(self, block.offset, block.header.stored) {
                report.damaged.push(block.damaged(defect));
            }
            if header.kind == BlockKind::Clock {
                let now = (block.section, u64_at(views.bytes(), 8));
                if now < clock {
                    report.damaged.push(block.damaged(Defect::Order));
                }
                clock = now.max(clock);
            }
            if header.kind == BlockKind::Index
                && !index_is_right(views.bytes(), found.blocks.get(..place).unwrap_or_default())
            {
                report.damaged.push(block.damaged(Defect::Index));
            }
            if !shown {
                continue;
            }
            match order.enter(block, &found.starts) {
                Ok(missing) => report.gaps.extend(missing),
                Err(defect) => {
                    report.damaged.push(block.damaged(defect));
                    continue;
                }
            }
            match report.take(block, views) {
                Some(next) => order.leave(header.lane, next),
                None => order.forget(Some(header.lane)),
            }
        }
        let descriptions = self
            .damage()
            .filter(|damaged| damaged.defect == Defect::Description);
        report.damaged.extend(descriptions.cloned());
        Ok(report)
    }
}

impl Report {
    /// Checks the records of a block, and its header against them. The index behind them, where all could be read.
    fn take(&mut self, block: &BlockEntry, mut views: Views<'_>) -> Option<u64> {
        let header = &block.header;
        let mut next = header.first_index;
        let (mut seen, mut calls, mut unknown, mut bad) = (0_u32, 0_u32, 0_u32, 0_u32);
        let mut told = true;
        while let Some(record) = views.next_record() {
            seen = seen.saturating_add(1);
            let Ok((index, view, bytes)) = record else {
                bad = bad.saturating_add(1);
                continue;
            };
            if !checks(bytes) {
                bad = bad.saturating_add(1);
                continue;
            }
            next = index.saturating_add(view.indices());
            match view {
                View::Call(call) => {
                    calls = calls.saturating_add(1);
                    self.unfinished = self
                        .unfinished
                        .saturating_add(u64::from(call.duration.is_none()));
                    // A time of 0 is none.
                    let times = header.first_ticks..=header.last_ticks;
                    told &= call.enter == 0 || times.contains(&call.enter);
                    told &= header.call_bits & (1 << (call.id % 32)) != 0;
                }
                View::Lost(lost) => {
                    self.lost = self.lost.saturating_add(lost.count);
                    self.lost_unknown =
                        self.lost_unknown.saturating_add(u64::from(lost.count == 0));
                    if lost.cause == LossCause::Damaged {
                        self.lost_to_damage = self.lost_to_damage.saturating_add(lost.count);
                    }
                }
                View::Unknown(..) => {
                    unknown = unknown.saturating_add(u32::from(view.indices() != 0));
                }
                View::Pages(_) => {}
            }
        }
        let good = seen.saturating_sub(bad);
        self.entries = self.entries.saturating_add(u64::from(good));
        self.calls = self.calls.saturating_add(u64::from(calls));
        if bad != 0 || seen != header.entries {
            self.damaged.push(Damaged {
                entries: Some(header.entries.saturating_sub(seen).max(bad)),
                ..block.damaged(Defect::Record)
            });
            return None;
        }
        if !told || header.calls != calls.saturating_add(unknown) {
            self.damaged.push(block.damaged(Defect::Summary));
        }
        Some(next)
    }
}

/// Whether an index tells of exactly these blocks before it. That of a file that was joined to this one counts from its own
/// start, which is its schema block, behind a header that was left out.
fn index_is_right(body: &[u8], before: &[BlockEntry]) -> bool {
    let Some(count) = decode_index(body).map(Iterator::count) else {
        return false;
    };
    let Some(told) = before
        .len()
        .checked_sub(count)
        .and_then(|start| before.get(start..))
    else {
        return false;
    };
    let moved = told
        .first()
        .map_or(0, |first| first.offset.wrapping_sub(FILE_HEADER as u64));
    let starts = (moved == 0 && !told.is_empty())
        || before.is_empty()
        || told
            .first()
            .is_some_and(|first| first.header.kind == BlockKind::Schema && first.section != 0);
    starts
        && decode_index(body).is_some_and(|mut entries| {
            told.iter().all(|block| {
                entries.next() == Some((block.offset.wrapping_sub(moved), Some(block.header)))
            })
        })
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
