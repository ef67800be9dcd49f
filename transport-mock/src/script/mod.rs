//! A transport with a list of expectations: which calls come, with what, in which order, and what they are answered.
//!
//! ```
//! # use hypercall_core::{Client, Error, ErrorKind, Gpa, Payload, TransportError};
//! # use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
//! # #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
//! # #[repr(C)]
//! # #[payload(crate = ::hypercall_core)]
//! # pub struct Point { pub x: u32, pub y: u32 }
//! # #[hypercall_core::interface(crate = ::hypercall_core)]
//! # pub trait Plotter {
//! #     /// Lifts the pen.
//! #     #[call(0x11)]
//! #     fn lift(&self, pen: u32) -> Result<(), Error>;
//! #     /// Moves.
//! #     #[call(0x13)]
//! #     fn move_to(&self, pen: u32, to: &Point) -> Result<(), Error>;
//! #     /// Asks.
//! #     #[call(0x15)]
//! #     fn position(&self, pen: u32) -> Result<Point, Error>;
//! # }
//! use hypercall_mock::script::{Script, expect};
//!
//! let script = Script::new()
//!     .then(expect(PlotterCalls::LIFT).arg("pen", 1_u32))
//!     .any_order([
//!         expect(PlotterCalls::MOVE_TO).field("x", 5_u32).times(1..=2),
//!         expect(PlotterCalls::POSITION).writes(&Point { x: 5, y: 6 }),
//!     ])
//!     .then(expect(PlotterCalls::LIFT).rax(-22));
//! let plotter = Client::new(&script);
//!
//! plotter.lift(1)?;
//! assert_eq!(plotter.position(1)?, Point { x: 5, y: 6 });
//! plotter.move_to(1, &Point { x: 5, y: 0 })?;
//! assert_eq!(plotter.lift(3).unwrap_err().code(), Some(-22));
//! script.verify()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Order
//! A script is a row of steps, and a step is one expectation ([`Script::then`]) or several in any order
//! ([`Script::any_order`]). A step is done when each of its expectations was met as often as it must be, and a call that
//! the step does not want any more may then begin the next. Of several expectations that a call meets, the first that
//! is still open takes it: put the particular ones before the general ones.
//!
//! # Mismatch
//! A call that no open expectation takes is answered with [`TransportError::Unexpected`], and so is every later one:
//! what follows a wrong turn says nothing. [`Script::verify`] tells what came, what was expected, and for each
//! expectation how the call differs from it.
//!
//! Nothing is checked when a script is dropped: a test ends with `script.verify()?`. It does so also where the program
//! failed, before anything is made of the program's error, which says only that the script expected something else.
//!
//! A script knows nothing of the interface but its schema. An expectation that its call cannot meet (no such field, a
//! value of another width) makes no panic either: the script refuses every call, and `verify` says what is wrong.

mod answer;
mod check;
mod expectation;
mod nearest;
mod place;
mod report;
mod times;

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use hypercall::arg::Arg;
use hypercall::call::CallInfo;
use hypercall::show::ShowCall;
use hypercall::{Transport, TransportError};
use spin::Mutex;

pub use expectation::{Expectation, expect};
pub use report::{Candidate, Difference, Mismatch, Report, Unmet, Why, Wrong};
pub use times::Times;

const ELSE: TransportError =
    TransportError::Unexpected("the script expected something else; `Script::verify` says what");
const AFTER: TransportError = TransportError::Unexpected(
    "an earlier call was not what the script expected; `Script::verify` says which",
);
const WRONG: TransportError =
    TransportError::Unexpected("an expectation of the script is wrong; `Script::verify` says why");
const UNFIT: TransportError = TransportError::Unexpected(
    "the script's answer does not fit the call's memory; `Script::verify` says how",
);

/// A transport that answers calls as it was told to, as long as they are the ones it was told of.
///
/// It may be used by several threads at once. Predicates are asked while it is locked, so they must not use it.
#[must_use = "a script says whether it was kept to in `verify`"]
#[derive(Default)]
pub struct Script {
    /// Each with the number of its step, from 0, in the order of steps.
    expectations: Vec<(usize, Expectation)>,
    steps: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How often each expectation was met.
    met: Vec<usize>,
    /// The step that the last call belonged to.
    step: usize,
    /// Calls that came.
    calls: usize,
    mismatch: Option<Box<Mismatch>>,
    /// Calls that came after it.
    refused: usize,
}

impl Script {
    /// A script that expects nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Then this is expected.
    pub fn then(self, expectation: Expectation) -> Self {
        self.any_order([expectation])
    }

    /// Then these are expected, in any order and also mixed.
    pub fn any_order(mut self, expectations: impl IntoIterator<Item = Expectation>) -> Self {
        let step = self.steps;
        self.steps = step.saturating_add(1);
        self.expectations
            .extend(expectations.into_iter().map(|one| (step, one)));
        self.state.get_mut().met = vec![0; self.expectations.len()];
        self
    }

    /// Whether the script was kept to until now, and to its end.
    ///
    /// # Errors
    /// [`Report`], readable by `Display` and `Debug`, when an expectation is wrong, a call came that was not expected,
    /// or an expected one did not come often enough.
    pub fn verify(&self) -> Result<(), Box<Report>> {
        let state = self.state.lock();
        let unmet = self
            .progress(&state)
            .filter(|(_, met, one)| *met < one.how_often().least());
        let unmet: Vec<_> = unmet
            .map(|(step, met, one)| Unmet {
                step: step.saturating_add(1),
                expectation: one.to_string(),
                met,
                times: one.how_often(),
            })
            .collect();
        let wrong = self.expectations.iter().flat_map(|(step, one)| {
            one.wrong().iter().map(|why| Wrong {
                step: step.saturating_add(1),
                call: one.call(),
                why: why.clone(),
            })
        });
        let wrong: Vec<_> = wrong.collect();
        if wrong.is_empty() && unmet.is_empty() && state.mismatch.is_none() {
            return Ok(());
        }
        Err(Box::new(Report {
            wrong,
            mismatch: state.mismatch.clone(),
            refused: state.refused,
            unmet,
        }))
    }

    /// Every expectation with its step and how often it was met.
    fn progress<'s>(
        &'s self,
        state: &'s State,
    ) -> impl Iterator<Item = (usize, usize, &'s Expectation)> {
        let all = self.expectations.iter().zip(&state.met);
        all.map(|((step, one), met)| (*step, *met, one))
    }

    /// The last step that a call may belong to now: those before it are done.
    fn reach(&self, state: &State) -> usize {
        let undone = self.progress(state).find_map(|(step, met, one)| {
            (step >= state.step && met < one.how_often().least()).then_some(step)
        });
        undone.unwrap_or(self.steps)
    }

    /// Finds the expectation that takes a call, and counts it.
    fn take(
        &self,
        state: &mut State,
        info: &'static CallInfo,
        args: &[Arg<'_>; 2],
    ) -> Result<&Expectation, TransportError> {
        state.calls = state.calls.saturating_add(1);
        if self
            .expectations
            .iter()
            .any(|(_, one)| !one.wrong().is_empty())
        {
            return Err(WRONG);
        }
        if state.mismatch.is_some() {
            state.refused = state.refused.saturating_add(1);
            return Err(AFTER);
        }
        let (from, to) = (state.step, self.reach(state));
        let all = self.expectations.iter().zip(&mut state.met);
        for ((step, one), met) in all {
            let open = *step >= from && *step <= to && one.how_often().allow_more_than(*met);
            if open && one.call() == info && one.differences(args).is_empty() {
                *met = met.saturating_add(1);
                state.step = *step;
                return Ok(one);
            }
        }
        state.mismatch = Some(Box::new(self.mismatch(state, info, args)));
        Err(ELSE)
    }
}

impl Transport for Script {
    fn call<'a>(
        &self,
        info: &'static CallInfo,
        mut args: [Arg<'a>; 2],
    ) -> Result<i64, TransportError> {
        let (taken, number) = {
            let mut state = self.state.lock();
            (self.take(&mut state, info, &args)?, state.calls)
        };
        // Not under the lock: an answer may be a closure that makes calls itself.
        taken.answer(&mut args).unwrap_or_else(|why| {
            let mut state = self.state.lock();
            state.mismatch.get_or_insert_with(|| {
                Box::new(Mismatch {
                    number,
                    call: info,
                    shown: ShowCall(info, &args).to_string(),
                    unfit: Some(why),
                    next: Vec::new(),
                    elsewhere: Vec::new(),
                })
            });
            Err(UNFIT)
        })
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expectations = self.expectations.iter();
        f.debug_list()
            .entries(expectations.map(|(step, one)| (step.saturating_add(1), one)))
            .finish()
    }
}
