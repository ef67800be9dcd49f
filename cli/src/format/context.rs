//! What lines need to know of the trace that entries come from.

use std::borrow::Cow;
use std::fmt::Write as _;

use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::call::CallInfo;
use hypercall_trace::clock::ClockInfo;
use hypercall_trace::entry::{Call, Damaged};
use hypercall_trace::read::{Lane, Trace};
use hypercall_trace::schema::Schema;

use super::Clocks;

/// What is known about the trace that entries come from.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Make ticks into times.
    clocks: Clocks,
    /// The clock's ticks a second; 0: not known.
    frequency: u64,
    /// The lanes' names, without letters that a terminal obeys, in the order of the lanes' numbers.
    lanes: Vec<Lane>,
    /// The calls of ACRN's interface whose description is the one that this program was compiled with. Their values are
    /// shown by the program's own types.
    compiled: Vec<Option<&'static CallInfo>>,
    /// Whether a name has control characters in it, which a terminal would obey.
    pub(super) hostile: bool,
}

impl Context {
    /// Of an opened trace.
    #[must_use]
    pub fn of(trace: &Trace) -> Self {
        Self::with(trace.schema(), Clocks::of(trace), trace.lanes().to_vec())
    }

    /// Of parts. The clock is that of the first recording; nothing is known of those of others.
    #[must_use]
    pub fn new(schema: &Schema, clock: ClockInfo, lanes: Vec<Lane>) -> Self {
        Self::with(schema, clock.into(), lanes)
    }

    fn with(schema: &Schema, clocks: Clocks, lanes: Vec<Lane>) -> Self {
        let own = Schema::from_interfaces(&[HypervisorCalls::INTERFACE]);
        let compiled = schema
            .interface(HypervisorCalls::INTERFACE.name)
            .map(|theirs| {
                theirs
                    .calls
                    .iter()
                    .map(|call| {
                        let same = own.find(Some(&call.interface), &call.name) == Some(call);
                        HypervisorCalls::INTERFACE.call(&call.name).filter(|_| same)
                    })
                    .collect()
            });
        // The derived text of a schema has each of its names, with control characters escaped.
        let hostile = lanes.iter().any(|lane| lane.name.contains(is_command))
            || schema.calls().any(|call| {
                let text = format!("{call:?}");
                ["\\u{", "\\r", "\\n", "\\t", "\\0"]
                    .iter()
                    .any(|escape| text.contains(escape))
            });
        let plain = |lane: Lane| Lane {
            id: lane.id,
            name: plain(&lane.name),
        };
        let mut lanes: Vec<Lane> = lanes.into_iter().map(plain).collect();
        lanes.sort_by_key(|lane| lane.id);
        Self {
            frequency: clocks.now().frequency(),
            clocks,
            lanes,
            compiled: compiled.unwrap_or_default(),
            hostile,
        }
    }

    /// A lane's name.
    #[must_use]
    pub fn lane(&self, id: u32) -> Cow<'_, str> {
        let place = self.lanes.binary_search_by_key(&id, |lane| lane.id);
        match place.ok().and_then(|place| self.lanes.get(place)) {
            Some(lane) => Cow::Borrowed(&lane.name),
            None => Cow::Owned(format!("lane {id}")),
        }
    }

    /// Ticks in nanoseconds. `None` where the clock's frequency is not known.
    #[must_use]
    pub fn nanoseconds(&self, ticks: u64) -> Option<u64> {
        let whole = ticks.checked_div(self.frequency)?;
        let rest = ticks.checked_rem(self.frequency)?;
        match rest.checked_mul(1_000_000_000) {
            // Divisions of 128 bits cost more than the rest of a line.
            Some(rest) => whole
                .checked_mul(1_000_000_000)?
                .checked_add(rest.checked_div(self.frequency)?),
            None => self.clock().nanoseconds(ticks),
        }
    }

    /// What comes next is of this recording of a file that was joined from several: it has a clock of its own. Whether it is
    /// another one than before.
    pub fn recording(&mut self, number: u32) -> bool {
        let changed = self.clocks.enter(number);
        if changed {
            self.frequency = self.clock().frequency();
        }
        changed
    }

    /// The clock of the recording that is shown.
    #[must_use]
    pub const fn clock(&self) -> &ClockInfo {
        self.clocks.now()
    }

    /// Nanoseconds since the recording began.
    #[must_use]
    pub fn since_start(&self, ticks: u64) -> Option<u64> {
        self.nanoseconds(ticks.saturating_sub(self.clock().first.ticks))
    }

    pub(super) fn compiled(&self, call: &Call) -> Option<&'static CallInfo> {
        let schema = call.schema.as_ref()?;
        let info = self.compiled.get(schema.index).copied()??;
        schema.is(info).then_some(info)
    }
}

/// Whether a terminal obeys a letter instead of showing it: control characters, and those that turn the direction.
pub(super) fn is_command(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text without letters that a terminal obeys.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| {
            if is_command(letter) {
                '\u{fffd}'
            } else {
                letter
            }
        })
        .collect()
}

/// The same for text of several lines.
pub(crate) fn plain_lines(text: &str) -> String {
    let hidden = |letter| is_command(letter) && letter != '\n';
    text.chars()
        .map(|letter| if hidden(letter) { '\u{fffd}' } else { letter })
        .collect()
}

/// What is missing where nobody knows how much: no header is left that says it.
pub(crate) const UNKNOWN_NUMBER: &str = "an unknown number of calls";

/// A damaged stretch as a sentence.
#[must_use]
pub(crate) fn damage(damaged: &Damaged, context: &Context) -> String {
    let mut text = format!(
        "{} at byte {} cannot be read: {}",
        crate::commands::count(damaged.length, "byte"),
        damaged.offset,
        damaged.defect
    );
    if damaged.entries == Some(0) {
        // It may be a block that is of no lane.
        text.push_str("; no records");
        return text;
    }
    if let Some(entries) = damaged.entries {
        let records = crate::commands::count(entries, "record");
        let _ = write!(text, "; {records}");
    }
    if let Some(lane) = damaged.lane {
        let _ = write!(text, " of {}", context.lane(lane));
    }
    if damaged.is_unknown() {
        let _ = write!(text, "; {UNKNOWN_NUMBER}");
    }
    text
}
