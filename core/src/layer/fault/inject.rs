//! Does to calls what a plan says.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use super::{Effect, Fault, Form, Plan};
use crate::arg::{Arg, reborrow};
use crate::call::CallInfo;
use crate::transport::{Transport, TransportError};

/// A plan with its counters: what decides about each call. Usable by whatever carries calls.
///
/// Every call that passes is counted exactly once by each fault that is about it, also when several threads call at
/// once: two calls never get the same count. Which of two concurrent calls is the earlier one is chance.
#[derive(Debug)]
pub struct Injector<const N: usize> {
    plan: Plan<N>,
    seen: [AtomicU64; N],
    acted: [AtomicU64; N],
}

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally<'p> {
    /// The fault.
    pub fault: &'p Fault,
    /// How many calls it was about.
    pub seen: u64,
    /// To how many of them it happened. An answer that an earlier fault's took the place of did not; nor did a change
    /// of output that is not there.
    pub acted: u64,
}

impl<const N: usize> Injector<N> {
    /// Nothing has been counted.
    #[must_use]
    pub const fn new(plan: Plan<N>) -> Self {
        Self {
            plan,
            seen: [const { AtomicU64::new(0) }; N],
            acted: [const { AtomicU64::new(0) }; N],
        }
    }

    /// What became of each fault until now.
    pub fn tally(&self) -> impl Iterator<Item = Tally<'_>> {
        let counters = self.seen.iter().zip(&self.acted);
        self.plan
            .faults()
            .zip(counters)
            .map(|(fault, (seen, acted))| Tally {
                fault,
                seen: seen.load(Ordering::Relaxed),
                acted: acted.load(Ordering::Relaxed),
            })
    }

    /// Takes one call through the plan. `sleep` is asked to wait at most once, before anything else; `carry` makes the
    /// call itself, unless it is answered instead.
    ///
    /// # Errors
    /// Those of `carry` and of the plan's answers.
    pub fn call<'a>(
        &self,
        info: &'static CallInfo,
        mut args: [Arg<'a>; 2],
        sleep: impl FnOnce(Duration),
        carry: impl FnOnce([Arg<'_>; 2]) -> Result<i64, TransportError>,
    ) -> Result<i64, TransportError> {
        let due = self.due(info);
        let mut delay = Duration::ZERO;
        let mut answer = None;
        for (fault, acted) in self.struck(due) {
            if let Some(more) = fault.effect.delay() {
                delay = delay.saturating_add(more);
                count(acted);
            }
            if let (Effect::Answer(form, given), None) = (fault.effect, answer) {
                answer = Some((form, given, acted));
            }
        }
        if !delay.is_zero() {
            sleep(delay);
        }
        if let Some((Form::Instead, given, acted)) = answer {
            count(acted);
            return given.give();
        }
        // Where there is no answer, there is nothing to replace and no output.
        let rax = carry(reborrow(&mut args))?;
        let [first, second] = &mut args;
        if let Some(output) = first.output().or_else(|| second.output()) {
            for (fault, acted) in self.struck(due) {
                if let Effect::Flip(place, pattern) = fault.effect
                    && pattern.apply(place, output)
                {
                    count(acted);
                }
            }
        }
        match answer {
            Some((_, given, acted)) => {
                count(acted);
                given.give()
            }
            None => Ok(rax),
        }
    }

    /// Counts a call with every fault that is about it; says which of them strike.
    fn due(&self, info: &CallInfo) -> [bool; N] {
        let mut due = [false; N];
        for ((due, fault), seen) in due.iter_mut().zip(self.plan.faults()).zip(&self.seen) {
            if fault.calls.contain(info) {
                *due = fault.when.contains(count(seen));
            }
        }
        due
    }

    fn struck(&self, due: [bool; N]) -> impl Iterator<Item = (&Fault, &AtomicU64)> {
        let faults = self.plan.faults().zip(&self.acted);
        faults
            .zip(due)
            .filter_map(|(fault, due)| due.then_some(fault))
    }
}

/// Counts one more; says the how manieth it is.
fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
}

/// Breaks calls by a [`Plan`] on their way to a transport.
///
/// ```
/// # use hypercall_core::{Client, Error, Transport, TransportError, arg::Arg, call::CallInfo};
/// # #[hypercall_core::interface(crate = ::hypercall_core)]
/// # pub trait Plotter {
/// #     /// Lifts the pen.
/// #     #[call(0x11)]
/// #     fn lift(&self, pen: u32) -> Result<(), Error>;
/// # }
/// # struct Wire;
/// # impl Transport for Wire {
/// #     fn call<'a>(&self, _: &'static CallInfo, _: [Arg<'a>; 2]) -> Result<i64, TransportError> { Ok(0) }
/// # }
/// use hypercall_core::layer::fault::{FaultInjection, Plan};
/// let plan = Plan::<8>::parse("lift: after=lost @ 2; *: delay=10us", PlotterCalls::INTERFACE)?;
/// let plotter = Client::new(FaultInjection::new(Wire, plan, std::thread::sleep));
/// assert!(plotter.lift(1).is_ok());
/// assert!(plotter.lift(1).unwrap_err().may_have_run());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FaultInjection<T, const N: usize> {
    inner: T,
    injector: Injector<N>,
    sleep: fn(Duration),
}

impl<T, const N: usize> FaultInjection<T, N> {
    /// Breaks the calls that go to `inner`. `sleep` returns after at least the time it is given, such as
    /// `std::thread::sleep`; a plan without delays never calls it.
    pub const fn new(inner: T, plan: Plan<N>, sleep: fn(Duration)) -> Self {
        Self {
            inner,
            injector: Injector::new(plan),
            sleep,
        }
    }

    /// The transport inside.
    pub const fn inner(&self) -> &T {
        &self.inner
    }

    /// Gives the transport inside back.
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// The plan and its counters.
    pub const fn injector(&self) -> &Injector<N> {
        &self.injector
    }
}

impl<T: Transport, const N: usize> Transport for FaultInjection<T, N> {
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        self.injector
            .call(info, args, self.sleep, |args| self.inner.call(info, args))
    }
}
