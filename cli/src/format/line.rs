//! Entries as lines, in the manner of strace.
//!
//! ```text
//!     0.000104700 main#2  start_vm(vm=VmId(1)) = -1 EPERM (refused; the hypervisor gives no reason) <1.20µs>
//! ```

use std::borrow::Cow;
use std::fmt::Write as _;

use hypercall_trace::entry::{After, Call, Damaged, Entry, Lost, PageChange, When};

use super::context::{Context, UNKNOWN_NUMBER, damage, plain_lines};
use super::paint::{Paint, Part};
use super::requests::RequestPages;
use super::secret::has_secret;
use super::time::{self, Times};
use super::value::Values;
use super::{digits, hex};

/// Which columns and additions a line has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Columns {
    /// The time.
    pub times: Times,
    /// The lane's name, before the index.
    pub lane: bool,
    /// What to check after an error, in a line of its own.
    pub hints: bool,
    /// Dumps of the blocks of memory.
    pub hex: bool,
}

/// Makes lines of entries.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// About the trace.
    pub context: Context,
    /// The columns.
    pub columns: Columns,
    /// How values look.
    pub values: Values,
    /// The time of the line before.
    last: Option<u64>,
    requests: RequestPages,
    recording: u32,
}

impl Lines {
    /// With these columns and colours.
    #[must_use]
    pub fn new(context: Context, columns: Columns, values: Values) -> Self {
        Self {
            context,
            columns,
            values,
            last: None,
            requests: RequestPages::default(),
            recording: 0,
        }
    }

    /// What comes next is of this recording of a file that was joined from several: with a clock of its own, and watched pages, whose
    /// numbers begin again.
    pub fn recording(&mut self, number: u32) {
        if self.context.recording(number) {
            // No time has passed since the last line of another clock.
            self.last = None;
        }
        if std::mem::replace(&mut self.recording, number) != number {
            self.requests = RequestPages::default();
        }
    }

    /// Says that entries of a lane, or without one of any, were not looked at before the next one: what pages of this recording held is
    /// not known.
    pub fn begins_late(&mut self, lane: Option<u32>) {
        self.requests.lose(lane);
    }

    /// What pages hold, which is put back when another recording's entries were shown.
    pub(crate) fn take_pages(&mut self) -> RequestPages {
        std::mem::take(&mut self.requests)
    }

    /// Puts it back.
    pub(crate) fn put_pages(&mut self, pages: RequestPages) {
        self.requests = pages;
    }

    /// The line where the entries of a recording begin, or go on, of a file that was joined from several.
    pub fn title(&self, recording: u32, out: &mut String) {
        self.notice(&format!("recording {recording}"), out);
    }

    /// Notes an entry that is not shown. What later lines say of pages may depend on it.
    pub fn pass(&mut self, entry: &Entry) {
        self.requests.note(entry);
    }

    pub(super) const fn paint(&self) -> Paint {
        self.values.paint
    }

    /// Puts an entry's line or lines behind `out`, each with its end.
    pub fn entry(&mut self, entry: &Entry, out: &mut String) {
        self.requests.note(entry);
        if self.context.hostile {
            let paint = std::mem::take(&mut self.values.paint);
            let mut line = String::new();
            self.lines(entry, &mut line);
            self.values.paint = paint;
            out.push_str(&plain_lines(&line));
        } else {
            self.lines(entry, out);
        }
    }

    fn lines(&mut self, entry: &Entry, out: &mut String) {
        match entry {
            Entry::Call(call) => {
                self.place(call.lane, call.index, call.enter, out);
                self.request(call, out);
                self.answer(call, out);
                self.after_call(call, out);
            }
            Entry::Lost(lost) => self.lost(lost, out),
            Entry::Pages(change) => self.pages(change, out),
            Entry::Damaged(damaged) => self.damaged(damaged, out),
            Entry::Unknown(unknown) => {
                let lane = self.context.lane(unknown.lane);
                let kind = unknown.kind;
                self.notice(
                    &format!("a record of kind {kind} of {lane}, which this version does not know"),
                    out,
                );
            }
        }
    }

    fn place(&mut self, lane: u32, index: u64, ticks: u64, out: &mut String) {
        self.time(ticks, out);
        let paint = self.paint();
        paint.start(Part::Place, out);
        let start = out.len();
        let width = if self.columns.lane { 10 } else { 5 };
        if self.columns.lane {
            out.push_str(&self.context.lane(lane));
        }
        out.push('#');
        digits::decimal(index, out);
        // A name may be wide, or have letters of several bytes: a column is no promise.
        for _ in out.len().saturating_sub(start)..width {
            out.push(' ');
        }
        paint.end(Part::Place, out);
        out.push(' ');
    }

    fn time(&mut self, ticks: u64, out: &mut String) {
        if self.columns.times == Times::None {
            return;
        }
        let paint = self.paint();
        paint.start(Part::Time, out);
        let now = self.context.since_start(ticks);
        match (self.columns.times, now) {
            (Times::Ticks | Times::None, _) | (_, None) => digits::right(ticks, 16, out),
            (Times::Utc, Some(now)) => {
                let date = self.context.clock().unix_nanoseconds(ticks);
                match date.and_then(time::utc) {
                    Some(date) => out.push_str(&date),
                    None => time::seconds(now, out),
                }
            }
            (Times::Relative, Some(now)) => time::seconds(now, out),
            (Times::Delta, Some(now)) => {
                time::seconds(now.saturating_sub(self.last.unwrap_or(now)), out);
                self.last = Some(now);
            }
        }
        paint.end(Part::Time, out);
        out.push(' ');
    }

    fn after_call(&self, call: &Call, out: &mut String) {
        if let Some(ticks) = call.duration {
            let paint = self.paint();
            out.push(' ');
            paint.start(Part::Time, out);
            out.push('<');
            match self.context.nanoseconds(ticks) {
                Some(nanoseconds) => time::duration(nanoseconds, out),
                None => {
                    digits::decimal(ticks, out);
                    out.push_str(" ticks");
                }
            }
            out.push('>');
            paint.end(Part::Time, out);
        }
        out.push('\n');
        if self.columns.hints
            && !crate::filter::succeeded(call)
            && let Some(hint) = call.rax().and_then(|rax| call.schema.as_deref()?.hint(rax))
        {
            self.paint()
                .put(Part::Aside, &format!("        check: {hint}"), out);
            out.push('\n');
        }
        if self.columns.hex {
            for (place, block) in call.blocks() {
                let secret = has_secret(call, place);
                let before = block.before_bytes();
                let _ = writeln!(out, "        {place}, {} bytes, before:", block.length);
                dump_unless(secret, &before, out);
                match &block.after {
                    After::Changed(after) => {
                        let _ = writeln!(out, "        {place}, after:");
                        dump_unless(secret, after, out);
                    }
                    After::Unchanged => {
                        let _ = writeln!(out, "        {place}, after: the same");
                    }
                    After::Unfinished => {}
                }
            }
        }
    }

    fn notice(&self, text: &str, out: &mut String) {
        self.paint()
            .put(Part::Notice, &format!("--- {text} ---"), out);
        out.push('\n');
    }

    fn lost(&mut self, lost: &Lost, out: &mut String) {
        if lost.first != 0 {
            self.time(lost.first, out);
        }
        let lane = self.context.lane(lost.lane);
        let Lost {
            index,
            count,
            cause,
            ..
        } = lost;
        let last = index.saturating_add(count.saturating_sub(1));
        let text = match count {
            0 => format!("{UNKNOWN_NUMBER} of {lane} is missing, from #{index} on: {cause}"),
            1 => format!("1 call of {lane} is missing, #{index}: {cause}"),
            _ => format!("{count} calls of {lane} are missing, #{index} to #{last}: {cause}"),
        };
        self.notice(&text, out);
    }

    fn pages(&mut self, change: &PageChange, out: &mut String) {
        self.time(change.ticks, out);
        let mut text = String::from("--- ");
        let PageChange { page, index, .. } = change;
        let lane = if self.columns.lane {
            self.context.lane(change.lane)
        } else {
            Cow::Borrowed("")
        };
        let _ = match change.when {
            When::Enter => write!(text, "page {page} had changed before {lane}#{index}:"),
            When::Exit => write!(text, "page {page} changed during {lane}#{index}:"),
            When::Note => write!(text, "page {page} seen changed before {lane}#{index}:"),
        };
        let requests = self.requests.text(change);
        if let Some(requests) = &requests {
            text.push(' ');
            text.push_str(requests);
        }
        let runs = change.runs.iter().enumerate();
        for (number, run) in runs.take_while(|_| requests.is_none()) {
            let end = run
                .offset
                .saturating_add(u32::try_from(run.after.len()).unwrap_or(0));
            let comma = if number == 0 { "" } else { "," };
            if number >= self.values.detail.elements {
                text.push_str(", …");
                break;
            }
            let _ = write!(text, "{comma} {:#x}..{end:#x}", run.offset);
        }
        text.push_str(" ---");
        self.paint().put(Part::Notice, &text, out);
        out.push('\n');
        if self.columns.hex {
            for run in &change.runs {
                hex::dump(
                    "        ",
                    usize::try_from(run.offset).unwrap_or(0),
                    &run.after,
                    out,
                );
            }
        }
    }

    fn damaged(&self, damaged: &Damaged, out: &mut String) {
        self.paint().put(
            Part::Bad,
            &format!("--- {} ---", damage(damaged, &self.context)),
            out,
        );
        out.push('\n');
    }
}

fn dump_unless(secret: bool, bytes: &[u8], out: &mut String) {
    if secret {
        out.push_str("        <has a secret; not dumped>\n");
    } else {
        hex::dump("        ", 0, bytes, out);
    }
}
