//! One step: a call, what ACRN answers, what came back.

use core::cell::Cell;
use core::fmt;

use hypercall::acrn::{Hypervisor, HypervisorCalls as Calls};
use hypercall::call::CallInfo;
use hypercall::{Error, ErrorKind};

use crate::{Lent, Options, Surroundings};

/// What ACRN answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Success.
    Done,
    /// A refusal with this code.
    Code(i64),
    /// 0 in RAX, and memory that says that it did not succeed.
    Rejected,
    /// Not an answer but what follows from it: this holds.
    Fact,
}

impl From<i64> for Expected {
    fn from(code: i64) -> Self {
        match code {
            0 => Self::Done,
            code => Self::Code(code),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("0"),
            Self::Code(code) => code.fmt(f),
            Self::Rejected => f.write_str("rejected"),
            Self::Fact => f.write_str("holds"),
        }
    }
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer as it was expected.
    AsExpected,
    /// Success, which was not expected.
    Succeeded,
    /// Another failure than the expected one, or any where success was expected.
    Failed(Error),
    /// The fact does not hold.
    DoesNotHold,
    /// The step was not made: it depends on the machine, or would outlive the suite.
    LeftOut,
}

/// A step, for a [`Report`].
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Counted from 1.
    pub number: usize,
    /// The call, or the one that a fact follows from.
    pub call: &'static CallInfo,
    /// What is asked, and in which state.
    pub what: &'a str,
    /// What ACRN answers.
    pub expected: Expected,
    /// What came back.
    pub outcome: Outcome,
}

impl Row<'_> {
    /// Whether the step is no failure.
    #[must_use]
    pub const fn holds(&self) -> bool {
        matches!(self.outcome, Outcome::AsExpected | Outcome::LeftOut)
    }
}

impl fmt::Display for Row<'_> {
    /// A line of the table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            call,
            what,
            expected,
            outcome,
        } = self;
        let verdict = match outcome {
            Outcome::AsExpected => "ok",
            Outcome::LeftOut => "left out",
            _ => "FAILED",
        };
        write!(
            f,
            "{number:>4}  {:<24} {what:<58} {:>8}  {verdict}",
            call.name,
            Shown(*expected)
        )?;
        match outcome {
            Outcome::Failed(error) => write!(f, ": {error}"),
            Outcome::Succeeded => f.write_str(": it succeeded"),
            _ => Ok(()),
        }
    }
}

/// Pads.
struct Shown(Expected);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expected::Done => f.pad("0"),
            Expected::Code(code) => code.fmt(f),
            Expected::Rejected => f.pad("rejected"),
            Expected::Fact => f.pad("holds"),
        }
    }
}

/// Where rows go.
pub trait Report {
    /// A part of the suite starts.
    fn heading(&mut self, text: &str);
    /// A step was made, or left out.
    fn row(&mut self, row: &Row<'_>);
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Report for Silent {
    fn heading(&mut self, _: &str) {}
    fn row(&mut self, _: &Row<'_>) {}
}

/// How the suite went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps that were made.
    pub made: usize,
    /// Of those, the ones that ended otherwise than ACRN would.
    pub failed: usize,
    /// Steps that were left out.
    pub left_out: usize,
    /// Methods of the interface that were called at least once.
    pub calls: usize,
    /// Methods that the interface has.
    pub calls_of_interface: usize,
}

impl Counts {
    /// Whether every step that was made ended as it should.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.failed == 0
    }

    /// Whether no step was left out, and every method of the interface was called.
    #[must_use]
    pub const fn complete(&self) -> bool {
        self.left_out == 0 && self.calls == self.calls_of_interface
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} steps as ACRN, {} left out, {} of {} methods called",
            self.made.saturating_sub(self.failed),
            self.made,
            self.left_out,
            self.calls,
            self.calls_of_interface
        )
    }
}

/// The suite at work.
pub(crate) struct Steps<'a> {
    pub(crate) hypervisor: &'a dyn Hypervisor,
    pub(crate) surroundings: &'a dyn Surroundings,
    pub(crate) options: Options,
    pub(crate) lent: Lent,
    report: &'a mut dyn Report,
    counts: Counts,
    /// One bit for each call of the interface.
    called: u64,
    /// The slot of the User VM had a ring for asynchronous I/O. It is the same slot in the whole run: its name is configured.
    had_ring: Cell<bool>,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(
        hypervisor: &'a dyn Hypervisor,
        surroundings: &'a dyn Surroundings,
        options: Options,
        report: &'a mut dyn Report,
    ) -> Self {
        Self {
            hypervisor,
            surroundings,
            options,
            lent: surroundings.lent(),
            report,
            counts: Counts::default(),
            called: 0,
            had_ring: Cell::new(false),
        }
    }

    /// Whether the User VM's slot ever had a ring for asynchronous I/O.
    pub(crate) fn had_ring(&self) -> bool {
        self.had_ring.get()
    }

    /// It has one now.
    pub(crate) fn note_ring(&self) {
        self.had_ring.set(true);
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.report.heading(text);
    }

    /// A call and what ACRN answers. Returns the result, where there is one.
    pub(crate) fn step<T>(
        &mut self,
        call: &'static CallInfo,
        what: &str,
        expected: impl Into<Expected>,
        result: Result<T, Error>,
    ) -> Option<T> {
        self.called |= 1_u64
            .checked_shl(u32::try_from(call.index).unwrap_or(64))
            .unwrap_or(0);
        let expected = expected.into();
        let outcome = match (&result, expected) {
            (Ok(_), Expected::Done) => Outcome::AsExpected,
            (Ok(_), _) => Outcome::Succeeded,
            (Err(error), Expected::Code(code)) if error.code() == Some(code) => Outcome::AsExpected,
            (Err(error), Expected::Rejected) if matches!(error.kind, ErrorKind::Rejected(_)) => {
                Outcome::AsExpected
            }
            (Err(error), _) => Outcome::Failed(*error),
        };
        self.row(call, what, expected, outcome);
        result.ok()
    }

    /// As [`step`](Self::step), for what depends on the machine: `make` is not called on another one.
    pub(crate) fn on_recorded<T>(
        &mut self,
        call: &'static CallInfo,
        what: &str,
        expected: impl Into<Expected>,
        make: impl FnOnce(&dyn Hypervisor) -> Result<T, Error>,
    ) -> Option<T> {
        let expected = expected.into();
        if self.options.recorded_machine {
            let result = make(self.hypervisor);
            self.step(call, what, expected, result)
        } else {
            self.row(call, what, expected, Outcome::LeftOut);
            None
        }
    }

    /// Something that follows from an answer.
    pub(crate) fn fact(&mut self, call: &'static CallInfo, what: &str, holds: bool) {
        let outcome = if holds {
            Outcome::AsExpected
        } else {
            Outcome::DoesNotHold
        };
        self.row(call, what, Expected::Fact, outcome);
    }

    pub(crate) fn row(
        &mut self,
        call: &'static CallInfo,
        what: &str,
        expected: Expected,
        outcome: Outcome,
    ) {
        let counts = &mut self.counts;
        match outcome {
            Outcome::LeftOut => counts.left_out = counts.left_out.saturating_add(1),
            Outcome::AsExpected => counts.made = counts.made.saturating_add(1),
            _ => {
                counts.made = counts.made.saturating_add(1);
                counts.failed = counts.failed.saturating_add(1);
            }
        }
        let number = counts.made.saturating_add(counts.left_out);
        self.report.row(&Row {
            number,
            call,
            what,
            expected,
            outcome,
        });
    }

    pub(crate) fn finish(self) -> Counts {
        let calls = Calls::INTERFACE.calls;
        Counts {
            calls: usize::try_from(self.called.count_ones()).unwrap_or(0),
            calls_of_interface: calls.len(),
            ..self.counts
        }
    }
}
