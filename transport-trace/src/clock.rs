//! Where a recorder takes the time from.

/// Gives the time in ticks, in order, at a cost that a recorder can afford twice a call.
pub trait Clock {
    /// The time now. Never less than what was answered before, on the same thread.
    fn now(&self) -> u64;
}

impl<C: Clock + ?Sized> Clock for &C {
    #[inline]
    fn now(&self) -> u64 {
        (**self).now()
    }
}

/// A clock that always says 0: for those who record without times.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoClock;

impl Clock for NoClock {
    #[inline]
    fn now(&self) -> u64 {
        0
    }
}

/// A function is a clock: code in ring 0 passes its own way of reading the time-stamp counter.
#[derive(Clone, Copy, Debug)]
pub struct ClockFn(pub fn() -> u64);

impl Clock for ClockFn {
    #[inline]
    fn now(&self) -> u64 {
        (self.0)()
    }
}

/// A moment, in ticks and in nanoseconds since 1970. Two of them make ticks into times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockPoint {
    /// Ticks a second, where the clock's owner knows; 0 where not.
    pub frequency: u64,
    /// The moment in ticks.
    pub ticks: u64,
    /// The moment in nanoseconds since 1970, UTC; 0 where that is not known.
    pub unix_nanoseconds: i64,
}

pub(crate) fn encode(out: &mut impl crate::wire::Put, point: &ClockPoint) {
    out.u64(point.frequency);
    out.u64(point.ticks);
    out.i64(point.unix_nanoseconds);
}

#[cfg(feature = "std")]
mod with_std {
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    use super::{Clock, ClockPoint};

    /// The operating system's monotonic clock, in nanoseconds since this value was made.
    #[derive(Clone, Copy, Debug)]
    pub struct Monotonic(Instant);

    impl Monotonic {
        /// Starts at 0 now.
        #[must_use]
        pub fn new() -> Self {
            Self(Instant::now())
        }

        #[cfg_attr(
            target_arch = "x86_64",
            expect(dead_code, reason = "the clock of other processors")
        )]
        pub(crate) const fn frequency(self) -> u64 {
            1_000_000_000
        }
    }

    impl Default for Monotonic {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Clock for Monotonic {
        #[inline]
        fn now(&self) -> u64 {
            u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
        }
    }

    /// This moment, by `clock` and by the calendar.
    pub(crate) fn point(clock: &dyn Clock, frequency: u64) -> ClockPoint {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_nanos()).ok());
        ClockPoint {
            frequency,
            ticks: clock.now(),
            unix_nanoseconds: unix.unwrap_or(0),
        }
    }

    /// Makes a trace's ticks into times.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ClockInfo {
        /// The first point of the trace.
        pub first: ClockPoint,
        /// The last point of the trace.
        pub last: ClockPoint,
    }

    impl ClockInfo {
        /// A clock whose frequency is known.
        #[must_use]
        pub const fn with_frequency(frequency: u64) -> Self {
            let point = ClockPoint {
                frequency,
                ticks: 0,
                unix_nanoseconds: 0,
            };
            Self {
                first: point,
                last: point,
            }
        }

        /// Ticks a second: as declared, else as measured between the points; 0 where neither is possible.
        #[must_use]
        pub fn frequency(&self) -> u64 {
            if self.first.frequency != 0 {
                return self.first.frequency;
            }
            let ticks = self.last.ticks.saturating_sub(self.first.ticks);
            let nanoseconds = self
                .last
                .unix_nanoseconds
                .saturating_sub(self.first.unix_nanoseconds);
            u128::from(ticks)
                .saturating_mul(1_000_000_000)
                .checked_div(u128::try_from(nanoseconds).unwrap_or(0))
                .and_then(|frequency| u64::try_from(frequency).ok())
                .unwrap_or(0)
        }

        /// A duration in nanoseconds. `None` where the clock's frequency is not known.
        #[must_use]
        pub fn nanoseconds(&self, ticks: u64) -> Option<u64> {
            u128::from(ticks)
                .saturating_mul(1_000_000_000)
                .checked_div(u128::from(self.frequency()))
                .and_then(|nanoseconds| u64::try_from(nanoseconds).ok())
        }

        /// A moment in nanoseconds since 1970, UTC. `None` where the trace does not say.
        #[must_use]
        pub fn unix_nanoseconds(&self, ticks: u64) -> Option<i64> {
            if self.first.unix_nanoseconds == 0 {
                return None;
            }
            let after = self.nanoseconds(ticks.saturating_sub(self.first.ticks))?;
            let before = self.nanoseconds(self.first.ticks.saturating_sub(ticks))?;
            self.first
                .unix_nanoseconds
                .checked_add(i64::try_from(after).ok()?)?
                .checked_sub(i64::try_from(before).ok()?)
        }
    }
}

#[cfg(feature = "std")]
pub(crate) use with_std::point;
#[cfg(feature = "std")]
pub use with_std::{ClockInfo, Monotonic};

/// The processor's time-stamp counter: the cheapest clock there is. Processors of the last ten years count at a constant
/// rate, alike on all cores (Intel SDM volume 3, 19.17.1).
#[cfg(all(target_arch = "x86_64", not(loom)))]
#[derive(Clone, Copy, Debug, Default)]
pub struct Tsc;

#[cfg(all(target_arch = "x86_64", not(loom)))]
impl Clock for Tsc {
    #[inline]
    fn now(&self) -> u64 {
        crate::ring::time_stamp()
    }
}

#[cfg(all(target_arch = "x86_64", not(loom)))]
impl Tsc {
    /// Not known: it is found out from two readings.
    #[cfg(feature = "std")]
    pub(crate) const fn frequency(self) -> u64 {
        0
    }
}

/// The clock of a recording whose maker chose none.
#[cfg(all(feature = "std", target_arch = "x86_64", not(loom)))]
pub type DefaultClock = Tsc;
/// The clock of a recording whose maker chose none.
#[cfg(all(feature = "std", not(all(target_arch = "x86_64", not(loom)))))]
pub type DefaultClock = Monotonic;
