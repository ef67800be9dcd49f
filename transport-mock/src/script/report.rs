//! What a script has to say when it was not kept to.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use hypercall::call::CallInfo;

use super::Times;

/// How the calls differ from the script. `Display` lists it all; so does `Debug`, for the `unwrap` of a test.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    /// Expectations that their call cannot meet. No call is answered while there is one.
    pub wrong: Vec<Wrong>,
    /// The first call that was not expected.
    pub mismatch: Option<Box<Mismatch>>,
    /// How many calls came after it. They were refused, whatever they were.
    pub refused: usize,
    /// What was expected and did not come often enough.
    pub unmet: Vec<Unmet>,
}

/// An expectation that says something about its call that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Its step, from 1.
    pub step: usize,
    /// Its call.
    pub call: &'static CallInfo,
    /// What is wrong.
    pub why: String,
}

/// A call that the script could not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Which of the calls it is, from 1.
    pub number: usize,
    /// The call.
    pub call: &'static CallInfo,
    /// The call with its arguments, in the form of [`ShowCall`](hypercall::show::ShowCall).
    pub shown: String,
    /// Where the call was expected, but the answer does not fit its memory: why.
    pub unfit: Option<String>,
    /// What was expected instead, the nearest first. Nothing: the script was over.
    pub next: Vec<Candidate>,
    /// Expectations of the same call that are past or to come, the nearest first; a few.
    pub elsewhere: Vec<Candidate>,
}

/// An expectation that did not take a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its step, from 1.
    pub step: usize,
    /// The expectation as text.
    pub expectation: String,
    /// Why it did not take the call: everything that differs.
    pub why: Vec<Why>,
}

/// Why an expectation did not take a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// It is about another call.
    OtherCall,
    /// An argument or a field differs.
    Differs(Difference),
    /// This step, from 1, is not done, and comes first.
    NotYet(usize),
    /// It was met this often, and must not be more often.
    Done(usize),
    /// Its step is over: a later one has begun.
    Past,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The argument or the field, such as `points[2].x`.
    pub what: String,
    /// What was expected, as text.
    pub expected: String,
    /// What came, as text.
    pub got: String,
}

/// An expectation that was not met often enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Its step, from 1.
    pub step: usize,
    /// The expectation as text.
    pub expectation: String,
    /// How often it was met.
    pub met: usize,
    /// How often it must be.
    pub times: Times,
}

impl Candidate {
    /// How far the call is from it.
    pub(super) fn distance(&self) -> (bool, usize) {
        let other = self.why.iter().any(|why| matches!(why, Why::OtherCall));
        (other, self.why.len())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCall => f.write_str("is another call"),
            Self::Differs(difference) => difference.fmt(f),
            Self::NotYet(step) => write!(f, "not yet: step {step} is not done"),
            Self::Done(1) => f.write_str("was already met once"),
            Self::Done(met) => write!(f, "was already met {met} times"),
            Self::Past => f.write_str("is past: a later step has begun"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            expected,
            got,
        } = self;
        write!(f, "{what}: expected {expected}, got {got}")
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  step {}: {}", self.step, self.expectation)?;
        self.why
            .iter()
            .try_for_each(|why| write!(f, "\n      {why}"))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, shown, .. } = self;
        if let Some(why) = &self.unfit {
            return write!(f, "call {number} could not be answered: {shown}\n  {why}");
        }
        write!(f, "call {number} was not expected: {shown}")?;
        if self.next.is_empty() {
            f.write_str("\nexpected next: nothing, the script is over")?;
        } else {
            f.write_str("\nexpected next:")?;
        }
        self.next.iter().try_for_each(|one| write!(f, "\n{one}"))?;
        if !self.elsewhere.is_empty() {
            f.write_str("\nelsewhere in the script:")?;
        }
        self.elsewhere
            .iter()
            .try_for_each(|one| write!(f, "\n{one}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the script was not kept to")?;
        for Wrong { step, call, why } in &self.wrong {
            write!(f, "\nstep {step} is wrong: {}: {why}", call.name)?;
        }
        if let Some(mismatch) = &self.mismatch {
            write!(f, "\n{mismatch}")?;
        }
        match self.refused {
            0 => {}
            1 => f.write_str("\n1 later call was refused")?,
            refused => write!(f, "\n{refused} later calls were refused")?,
        }
        if !self.unmet.is_empty() {
            f.write_str("\nnot met:")?;
        }
        for unmet in &self.unmet {
            let Unmet {
                step,
                expectation,
                met,
                times,
            } = unmet;
            write!(f, "\n  step {step}: {expectation}: expected {times}, came ")?;
            match met {
                0 => f.write_str("never")?,
                1 => f.write_str("once")?,
                met => write!(f, "{met} times")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Report {}
