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

/// A moment, in ticks and in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockPoint {
    /// Ticks a second, as the clock's owner knows or as a recording measured up to this point against the operating system's
    /// monotonic clock; 0 where that is not known.
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
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

    /// Readings of which the one counts that took least time: the thread may lose its processor in any of them.
    const READINGS: usize = 5;

    /// Makes points of a clock. How many ticks it has a second is measured against the monotonic clock: that of the calendar
    /// may be set meanwhile, by years.
    #[derive(Debug)]
    pub(crate) struct Pace<C> {
        clock: C,
        /// Ticks a second; 0 where they are measured.
        declared: u64,
        start: (Instant, u64),
    }

    impl<C: Clock> Pace<C> {
        pub(crate) fn new(clock: C, declared: u64) -> Self {
            let start = reading(&clock);
            Self {
                clock,
                declared,
                start,
            }
        }

        /// The moment it was made.
        pub(crate) fn first(&self) -> ClockPoint {
            ClockPoint {
                frequency: self.declared,
                ticks: self.start.1,
                unix_nanoseconds: unix_nanoseconds(),
            }
        }

        /// This moment.
        pub(crate) fn point(&self) -> ClockPoint {
            let (now, ticks) = reading(&self.clock);
            let frequency = if self.declared == 0 {
                measured(
                    ticks.saturating_sub(self.start.1),
                    now.duration_since(self.start.0),
                )
            } else {
                self.declared
            };
            ClockPoint {
                frequency,
                ticks,
                unix_nanoseconds: unix_nanoseconds(),
            }
        }
    }

    /// The ticks of a moment.
    fn reading(clock: &impl Clock) -> (Instant, u64) {
        let one = || {
            let before = Instant::now();
            let ticks = clock.now();
            (before.elapsed(), before, ticks)
        };
        let mut best = one();
        for _ in 1..READINGS {
            let next = one();
            if next.0 < best.0 {
                best = next;
            }
        }
        (best.1, best.2)
    }

    /// Ticks a second, of a clock that made so many in this time. 0 where that cannot be said.
    pub(super) fn measured(ticks: u64, time: Duration) -> u64 {
        u128::from(ticks)
            .saturating_mul(1_000_000_000)
            .checked_div(time.as_nanos())
            .and_then(|frequency| u64::try_from(frequency).ok())
            .unwrap_or(0)
    }

    /// This moment by the calendar; 0 where it is before 1970.
    fn unix_nanoseconds() -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_nanos()).ok())
            .unwrap_or(0)
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

        /// Ticks a second: as the last point says, else the first one, else as measured between the two by the calendar; 0
        /// where none of that is possible.
        ///
        /// The calendar may have been set between the points, so that it comes last: only traces whose recorder neither knew
        /// nor measured need it.
        #[must_use]
        pub fn frequency(&self) -> u64 {
            for point in [self.last, self.first] {
                if point.frequency != 0 {
                    return point.frequency;
                }
            }
            let ticks = self.last.ticks.saturating_sub(self.first.ticks);
            let nanoseconds = self
                .last
                .unix_nanoseconds
                .saturating_sub(self.first.unix_nanoseconds);
            let time = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
            measured(ticks, time)
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
pub(crate) use with_std::Pace;
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
    /// Not known: a recording measures it.
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

#[cfg(all(test, feature = "std", not(loom)))]
mod tests {
    use super::{ClockInfo, ClockPoint};
    use std::time::Duration;

    /// A Service VM's calendar is set by NTP at boot, while it is recorded.
    #[test]
    fn a_calendar_that_is_set_changes_no_duration() {
        let year = 365 * 24 * 3600 * 1_000_000_000;
        for (before, after) in [(0, year), (year, 0), (year, year)] {
            let clock = ClockInfo {
                first: ClockPoint {
                    frequency: 0,
                    ticks: 1000,
                    unix_nanoseconds: before + 1,
                },
                last: ClockPoint {
                    frequency: super::with_std::measured(4_200_000, Duration::from_millis(2)),
                    ticks: 4_201_000,
                    unix_nanoseconds: after + 2_000_001,
                },
            };
            assert_eq!(clock.frequency(), 2_100_000_000);
            assert_eq!(clock.nanoseconds(123_900), Some(59_000));
            assert_eq!(clock.unix_nanoseconds(3100), Some(before + 1 + 1000));
        }
    }

    #[test]
    fn what_no_point_says_is_taken_from_the_calendar_where_that_is_possible() {
        let point = |ticks, unix_nanoseconds| ClockPoint {
            frequency: 0,
            ticks,
            unix_nanoseconds,
        };
        let clock = |first, last| ClockInfo { first, last };
        assert_eq!(
            clock(point(5, 10), point(25, 20)).frequency(),
            2_000_000_000
        );
        assert_eq!(clock(point(5, 10), point(25, 10)).nanoseconds(7), None);
        assert_eq!(clock(point(5, 10), point(25, 2)).nanoseconds(7), None);
        assert_eq!(
            ClockInfo::with_frequency(1000).nanoseconds(7),
            Some(7_000_000)
        );
    }
}
