//! Counts calls by name and outcome.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::arg::Arg;
use crate::call::{CallInfo, InterfaceInfo};
use crate::layer::Outcome;
use crate::transport::{Transport, TransportError};

/// Counts the calls of an interface, by call and [`Outcome`].
///
/// There is room for `SLOTS` different pairs of call and outcome; `let counted: Counting<_> = Counting::new(…)` takes the
/// default. A call whose pair has no room any more is counted in
/// [`overflow`](Counting::overflow), and one that is not of the interface in [`foreign`](Counting::foreign): every
/// answer that came back is in exactly one of the three places.
///
/// Counting is lock-free and never waits. While calls are being made, a reader sees each number as it was at some
/// moment, but not all of them at the same moment.
#[derive(Debug)]
pub struct Counting<T, const SLOTS: usize = 64> {
    inner: T,
    interface: &'static InterfaceInfo,
    slots: [Slot; SLOTS],
    overflow: AtomicU64,
    foreign: AtomicU64,
}

/// A pair of call and outcome, and its count.
#[derive(Debug)]
struct Slot {
    /// 0 while free. Never changes once it is something else, except through `&mut`: so a thread that found its slot
    /// cannot count into another's.
    key: AtomicU64,
    count: AtomicU64,
}

impl Slot {
    const fn free() -> Self {
        Self {
            key: AtomicU64::new(0),
            count: AtomicU64::new(0),
        }
    }
}

/// How often a call had an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The call.
    pub call: &'static CallInfo,
    /// What came of it.
    pub outcome: Outcome,
    /// How often: at least 1.
    pub count: u64,
}

impl<T, const SLOTS: usize> Counting<T, SLOTS> {
    /// Counts the calls of `interface` that go to `inner`.
    pub const fn new(inner: T, interface: &'static InterfaceInfo) -> Self {
        Self {
            inner,
            interface,
            slots: [const { Slot::free() }; SLOTS],
            overflow: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
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

    /// Everything that was counted since the start or the last [`reset`](Counting::reset): by call, in the order of
    /// the interface, and by outcome.
    pub fn counts(&self) -> impl Iterator<Item = Count> + '_ {
        let mut last = 0;
        core::iter::from_fn(move || {
            let (key, slot) = self
                .slots
                .iter()
                .map(|slot| (slot.key.load(Ordering::Relaxed), slot))
                .filter(|(key, _)| *key > last)
                .min_by_key(|(key, _)| *key)?;
            last = key;
            Some(self.entry(slot))
        })
        .flatten()
    }

    /// What a slot says, where it says anything.
    fn entry(&self, slot: &Slot) -> Option<Count> {
        let (index, outcome) = unpack(slot.key.load(Ordering::Relaxed))?;
        let count = slot.count.load(Ordering::Relaxed);
        let call = self.interface.calls.get(index).copied()?;
        (count > 0).then_some(Count {
            call,
            outcome,
            count,
        })
    }

    /// How often a call had an outcome, as far as there was room to count it.
    #[must_use]
    pub fn count(&self, call: &CallInfo, outcome: Outcome) -> u64 {
        self.sum(|entry| entry.call == call && entry.outcome == outcome)
    }

    /// How often a call was made, as far as there was room to count it.
    #[must_use]
    pub fn calls(&self, call: &CallInfo) -> u64 {
        self.sum(|entry| entry.call == call)
    }

    /// How many calls were made, with those that are counted nowhere else.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sum(|_| true)
            .wrapping_add(self.overflow())
            .wrapping_add(self.foreign())
    }

    /// Calls of the interface for whose pair of call and outcome there was no room.
    ///
    /// 0 says that every other number is complete.
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.overflow.load(Ordering::Relaxed)
    }

    /// Calls that are not of the interface.
    #[must_use]
    pub fn foreign(&self) -> u64 {
        self.foreign.load(Ordering::Relaxed)
    }

    /// Starts again from 0, also while calls are being made: each is counted before or after, never twice and never
    /// under another's name.
    ///
    /// Pairs keep their room, so that this holds; [`clear`](Counting::clear) frees it.
    pub fn reset(&self) {
        for slot in &self.slots {
            slot.count.store(0, Ordering::Relaxed);
        }
        self.overflow.store(0, Ordering::Relaxed);
        self.foreign.store(0, Ordering::Relaxed);
    }

    /// Starts again from 0, with all room free.
    pub fn clear(&mut self) {
        self.slots = [const { Slot::free() }; SLOTS];
        self.overflow = AtomicU64::new(0);
        self.foreign = AtomicU64::new(0);
    }

    fn sum(&self, which: impl Fn(&Count) -> bool) -> u64 {
        self.slots
            .iter()
            .filter_map(|slot| self.entry(slot))
            .filter(which)
            .fold(0, |sum, entry| sum.wrapping_add(entry.count))
    }

    fn record(&self, call: &'static CallInfo, outcome: Outcome) {
        // A description that only shares its place with a call of the interface must not be counted as that call.
        let ours = self.interface.calls.get(call.index);
        let counter = if ours.is_some_and(|ours| *ours == call) {
            pack(call.index, outcome)
                .and_then(|key| self.slot(key))
                .unwrap_or(&self.overflow)
        } else {
            &self.foreign
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The counter of a pair, which gets a free slot when it has none.
    fn slot(&self, key: u64) -> Option<&AtomicU64> {
        // Spreads the pairs over the table, so that a busy one is found at once. Any odd number with bits
        // everywhere does; this one is 2^64 divided by the golden ratio.
        let spread = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let start = usize::try_from(spread).ok()?.checked_rem(SLOTS)?;
        let (before, from) = self.slots.split_at_checked(start)?;
        from.iter().chain(before).find_map(|slot| {
            let found = match slot.key.load(Ordering::Relaxed) {
                0 => slot
                    .key
                    .compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed)
                    .unwrap_or_else(|other| other),
                other => other,
            };
            (found == 0 || found == key).then_some(&slot.count)
        })
    }
}

/// A pair as a number that is never 0 and sorts as a table does: bit 63, the call in 55:40, the outcome's kind in 39:32,
/// its detail in 31:0.
fn pack(index: usize, outcome: Outcome) -> Option<u64> {
    let index = u16::try_from(index).ok()?;
    let (kind, detail) = outcome.pack();
    Some(1 << 63 | u64::from(index) << 40 | u64::from(kind) << 32 | u64::from(detail))
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "each part is cut out of the number"
)]
fn unpack(key: u64) -> Option<(usize, Outcome)> {
    if key == 0 {
        return None;
    }
    let outcome = Outcome::unpack((key >> 32) as u8, key as u32)?;
    Some((usize::from((key >> 40) as u16), outcome))
}

impl<T: Transport, const SLOTS: usize> Transport for Counting<T, SLOTS> {
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        let answer = self.inner.call(info, args);
        self.record(info, Outcome::of(info, &answer));
        answer
    }
}

/// A table with a line for each pair, in the order of [`counts`](Counting::counts), and a total.
///
/// ```text
///    calls  call and outcome
///        3  create_vm: success
///        1  create_vm: -1 EPERM
///        4  in total
/// ```
impl<T, const SLOTS: usize> fmt::Display for Counting<T, SLOTS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Shown(Count);
        impl fmt::Display for Shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.outcome.show(self.0.call, f)
            }
        }
        // The total is that of the lines shown, whatever other threads count meanwhile.
        let mut total = 0_u64;
        let mut line = |f: &mut fmt::Formatter<'_>, count: u64, what: fmt::Arguments<'_>| {
            total = total.wrapping_add(count);
            writeln!(f, "{count:>8}  {what}")
        };
        writeln!(f, "   calls  call and outcome")?;
        for entry in self.counts() {
            let name = entry.call.name;
            line(f, entry.count, format_args!("{name}: {}", Shown(entry)))?;
        }
        let apart = [
            (self.overflow(), "not counted apart: the table is full"),
            (self.foreign(), "of another interface"),
        ];
        for (count, what) in apart {
            if count > 0 {
                line(f, count, format_args!("{what}"))?;
            }
        }
        write!(f, "{total:>8}  in total")
    }
}
