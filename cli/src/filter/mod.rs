//! Which calls a user wants to see.

mod call;

use std::collections::BTreeMap;

use hypercall_trace::entry::{Call, Entry, Outcome};
use hypercall_trace::explain::nearest;
use hypercall_trace::read::Trace;

use crate::args;
use crate::failure::Failure;
use crate::format::{Clocks, Moment};
use crate::input;

pub(crate) use call::{is_about, succeeded};

/// A filter, checked against a trace.
#[derive(Debug)]
pub struct Filter {
    calls: Vec<Pattern>,
    others: Vec<Pattern>,
    vms: Vec<u64>,
    /// `None`: all.
    lanes: Option<Vec<u32>>,
    results: Vec<Ending>,
    slower: Option<u64>,
    since: Option<Moment>,
    until: Option<Moment>,
    grep: Option<regex::Regex>,
    clocks: Clocks,
}

#[derive(Debug)]
enum Pattern {
    Name(String),
    Number(u64),
}

#[derive(Debug)]
enum Ending {
    Ok,
    Error,
    Refused,
    Failed,
    Unfinished,
    Rax(i64),
    Name(String),
}

impl Filter {
    /// Checks what was asked for against what is in the trace.
    pub(crate) fn new(asked: &args::Filter, trace: &Trace) -> Result<Self, Failure> {
        let filter = Self::growing(asked, trace)?;
        let used = trace.used_lanes();
        let there = |name: &&String| used.iter().any(|lane| lane.name == **name);
        if let Some(name) = asked.lane.iter().find(|name| !there(name)) {
            let known: Vec<_> = used.iter().map(|lane| lane.name.as_str()).collect();
            return Err(Failure::usage(
                format!("the trace has no lane `{name}`"),
                format!("its lanes: {}", known.join(", ")),
            ));
        }
        filter.can_tell_time(trace)?;
        Ok(filter)
    }

    /// Refuses to choose by time where nobody knows how long a tick is: nothing would pass, and that would look like an answer.
    pub(crate) fn can_tell_time(&self, trace: &Trace) -> Result<(), Failure> {
        let timed = [
            (self.slower.is_some(), "--slower"),
            (self.since.is_some(), "--since"),
            (self.until.is_some(), "--until"),
        ];
        let Some((_, option)) = timed.iter().find(|(asked, _)| *asked) else {
            return Ok(());
        };
        let Some(untimed) = input::without_clock(trace).into_iter().next() else {
            return Ok(());
        };
        let whose = if input::is_joined(trace) {
            format!("recording {untimed} of the file")
        } else {
            "the trace".to_owned()
        };
        Err(Failure::input(
            format!(
                "{option}: {whose} does not say how fast its clock is, as where a recording was killed within its first second"
            ),
            "leave it out; `--time ticks` shows times as recorded",
        ))
    }

    /// The same for a trace that grows: a lane may not be there yet. None that is there then fits.
    pub(crate) fn growing(asked: &args::Filter, trace: &Trace) -> Result<Self, Failure> {
        let lanes = trace
            .used_lanes()
            .into_iter()
            .filter(|lane| asked.lane.contains(&lane.name));
        let (others, calls): (Vec<_>, Vec<_>) = asked
            .call
            .iter()
            .partition(|pattern| pattern.starts_with('!'));
        let pattern = |text: &String| {
            let text = text.trim_start_matches('!');
            match number(text) {
                Some(number) => Ok(Pattern::Number(number)),
                None if text.contains('*')
                    || trace.schema().interfaces.is_empty()
                    || trace.schema().calls().any(|call| call.name == text) =>
                {
                    Ok(Pattern::Name(text.to_owned()))
                }
                None => Err(Failure::usage(
                    format!("the trace's interface has no call `{text}`"),
                    match nearest(text, trace.schema()) {
                        Some(near) => format!("`{}` comes nearest", crate::format::plain(near)),
                        None => "see `hcall calls`; a name may have * in it".to_owned(),
                    },
                )),
            }
        };
        Ok(Self {
            calls: calls.into_iter().map(pattern).collect::<Result<_, _>>()?,
            others: others.into_iter().map(pattern).collect::<Result<_, _>>()?,
            vms: asked.vm.clone(),
            lanes: (!asked.lane.is_empty()).then(|| lanes.map(|lane| lane.id).collect()),
            results: asked
                .result
                .iter()
                .map(|text| ending(text, trace))
                .collect::<Result<_, _>>()?,
            slower: asked.slower,
            since: asked.since,
            until: asked.until,
            grep: asked.grep.clone(),
            clocks: Clocks::of(trace),
        })
    }

    /// What is asked next is of this recording of a file that was joined from several: it has a clock of its own.
    pub fn recording(&mut self, number: u32) {
        self.clocks.enter(number);
    }

    /// Whether everything passes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.only_time_and_lanes()
            && self.grep.is_none()
            && self.lanes.is_none()
            && self.since.is_none()
            && self.until.is_none()
    }

    const fn only_time_and_lanes(&self) -> bool {
        self.calls.is_empty()
            && self.others.is_empty()
            && self.vms.is_empty()
            && self.results.is_empty()
            && self.slower.is_none()
    }

    /// The lanes that were asked for. `None`: all.
    #[must_use]
    pub fn lanes(&self) -> Option<&[u32]> {
        self.lanes.as_deref()
    }

    /// Whether an entry passes, but for its text. Damage always does; losses and changes of pages do unless something
    /// was asked for that only calls have. Lines of pages are looked for text as well.
    #[must_use]
    pub fn passes(&self, entry: &Entry) -> bool {
        let lane = match (&self.lanes, entry.lane()) {
            (Some(lanes), Some(lane)) => lanes.contains(&lane),
            _ => true,
        };
        match entry {
            Entry::Damaged(_) => lane,
            Entry::Call(call) => lane && self.in_time(call.enter) && self.call(call),
            Entry::Lost(lost) => lane && (lost.first == 0 || self.in_time(lost.first)),
            Entry::Pages(_) | Entry::Unknown(_) => {
                lane && self.only_time_and_lanes() && self.in_time(entry.ticks())
            }
        }
    }

    /// For each lane the index of the call from which on entries pass `--since`: blocks that end before need not be read.
    /// Empty where no such time was given, and of a file that was joined from several recordings: an index is there more than once.
    #[must_use]
    pub fn first_blocks(&self, trace: &Trace, lanes: &[u32]) -> BTreeMap<u32, u64> {
        let mut first = BTreeMap::new();
        let Some(since) = self.since.filter(|_| !input::is_joined(trace)) else {
            return first;
        };
        for block in trace.data() {
            let lane = block.header.lane;
            if !first.contains_key(&lane)
                && since.reached(self.clocks.now(), block.header.last_ticks)
            {
                first.insert(lane, block.header.first_index);
            }
        }
        // A lane that ends before has nothing.
        for lane in lanes {
            first.entry(*lane).or_insert(u64::MAX);
        }
        first
    }

    /// Whether it asks for something that few calls may have.
    #[must_use]
    pub const fn is_choosy(&self) -> bool {
        !self.only_time_and_lanes() || self.grep.is_some()
    }

    /// Whether nothing behind this entry passes in the order of time, because all that is behind it is later.
    #[must_use]
    pub fn is_past(&self, entry: &Entry) -> bool {
        match (self.until, entry) {
            (Some(until), Entry::Call(call)) => until.reached(self.clocks.now(), call.enter),
            _ => false,
        }
    }

    /// Whether an entry's text, without colours, passes. Damage and losses do: what is missing might have it.
    #[must_use]
    pub fn passes_text(&self, entry: &Entry, text: &str) -> bool {
        matches!(entry, Entry::Damaged(_) | Entry::Lost(_))
            || self.grep.as_ref().is_none_or(|regex| regex.is_match(text))
    }

    /// Whether text is looked at.
    #[must_use]
    pub const fn wants_text(&self) -> bool {
        self.grep.is_some()
    }

    fn in_time(&self, ticks: u64) -> bool {
        self.since
            .is_none_or(|since| since.reached(self.clocks.now(), ticks))
            && !self
                .until
                .is_some_and(|until| until.reached(self.clocks.now(), ticks))
    }

    fn call(&self, call: &Call) -> bool {
        let matches = |pattern: &Pattern| match pattern {
            Pattern::Name(name) => glob(name, call.name()),
            Pattern::Number(number) => call.number == *number,
        };
        (self.calls.is_empty() || self.calls.iter().any(matches))
            && !self.others.iter().any(matches)
            && self.slower.is_none_or(|least| {
                call.duration
                    .and_then(|ticks| self.clocks.now().nanoseconds(ticks))
                    .is_some_and(|nanoseconds| nanoseconds >= least)
            })
            && (self.results.is_empty() || self.results.iter().any(|ending| ended(call, ending)))
            && (self.vms.is_empty() || self.vms.iter().any(|vm| is_about(call, *vm)))
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn ending(text: &str, trace: &Trace) -> Result<Ending, Failure> {
    Ok(match text {
        "ok" => Ending::Ok,
        "error" => Ending::Error,
        "refused" => Ending::Refused,
        "failed" => Ending::Failed,
        "unfinished" => Ending::Unfinished,
        text => match text.parse() {
            Ok(rax) => Ending::Rax(rax),
            Err(_) => {
                let name = text.to_uppercase();
                let known = trace
                    .schema()
                    .calls()
                    .any(|call| call.codes.iter().any(|code| code.name == name));
                if !known {
                    return Err(Failure::usage(
                        format!("no result is called `{text}`"),
                        "use ok, error, refused, failed, unfinished, an error's name such as EINVAL, or a number",
                    ));
                }
                Ending::Name(name)
            }
        },
    })
}

fn ended(call: &Call, ending: &Ending) -> bool {
    match ending {
        Ending::Ok => succeeded(call),
        Ending::Error => !succeeded(call),
        Ending::Refused => call.rax().is_some() && !succeeded(call),
        Ending::Failed => matches!(call.outcome, Outcome::Failed(_)),
        Ending::Unfinished => matches!(call.outcome, Outcome::Unfinished),
        Ending::Rax(rax) => call.rax() == Some(*rax),
        Ending::Name(name) => call
            .rax()
            .and_then(|rax| call.schema.as_ref()?.code(rax))
            .is_some_and(|code| code.name == *name),
    }
}

/// Whether `text` fits a pattern in which `*` stands for any letters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(head) else {
        return false;
    };
    if !tail.contains('*') {
        return rest.ends_with(tail);
    }
    rest.char_indices()
        .map(|(at, _)| at)
        .chain([rest.len()])
        .any(|at| rest.get(at..).is_some_and(|rest| glob(tail, rest)))
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn stars_stand_for_any_letters() {
        assert!(glob("*_vm", "start_vm"));
        assert!(glob("*", ""));
        assert!(glob("set*mem*ons", "set_memory_regions"));
        assert!(!glob("set*x*", "set_memory_regions"));
        assert!(!glob("start", "start_vm"));
    }
}
