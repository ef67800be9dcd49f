//! The transport that records what passes through it.

use core::sync::atomic::{AtomicBool, Ordering};

use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::{SharedPage, Transport, TransportError};

/// Why a page is not watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchError {
    /// The lane has no room for another page. With std a lane watches 16 pages; without it as many as it was given room for.
    NoRoom,
    /// The lane is in use by a call: of another thread, or of this one, from within a transport. Try again when it has
    /// returned.
    InUse,
}

impl core::fmt::Display for WatchError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "the lane has no room for another page: watch it in a lane of its own",
            Self::InUse => "the lane is in use by a call: try again when the call has returned",
        })
    }
}
impl core::error::Error for WatchError {}

/// Where a recorder puts its records: one line of calls, one after the other.
///
/// A lane has a logical name, such as `vcpu0`; it is never a thread's number, so that two runs of a program have the
/// same lanes.
pub trait Lane {
    /// Records a call and makes it through `transport`, exactly once, whatever becomes of the record.
    ///
    /// # Errors
    /// Those of `transport`.
    fn record<'a>(
        &self,
        info: &'static CallInfo,
        args: [Arg<'a>; 2],
        transport: &(impl Transport + ?Sized),
    ) -> Result<i64, TransportError>;

    /// Watches a page that the hypervisor will keep: what changes in it is recorded at each enter and exit of a call of
    /// this lane. Its number in the lane.
    ///
    /// # Errors
    /// [`WatchError`]: the page is not watched.
    fn watch(&self, page: &'static SharedPage) -> Result<u32, WatchError>;

    /// The program looks at its watched pages: notes what changed in them. For a program that waits for a change without
    /// making calls. One that polls calls it before each look, and a replay shows it the change at the same look; what it
    /// reads without it, no recorder sees and no replay brings. Since the page may be written between this and the look, it is
    /// called once more when a look found something, before the program acts on it: see [the module](crate::record). While a call of the lane is in flight nothing is done: the
    /// call notes it when it returns.
    fn note_pages(&self);
}

impl<L: Lane + ?Sized> Lane for &L {
    #[inline]
    fn record<'a>(
        &self,
        info: &'static CallInfo,
        args: [Arg<'a>; 2],
        transport: &(impl Transport + ?Sized),
    ) -> Result<i64, TransportError> {
        (**self).record(info, args, transport)
    }
    fn watch(&self, page: &'static SharedPage) -> Result<u32, WatchError> {
        (**self).watch(page)
    }
    fn note_pages(&self) {
        (**self).note_pages();
    }
}

/// Wraps a transport and records every call in a lane.
///
/// The program does not change: `Client::new(Recorder::new(transport, lane))` implements what
/// `Client::new(transport)` does. A recording that fails never fails a call.
#[derive(Debug)]
pub struct Recorder<T, L> {
    transport: T,
    lane: L,
    enabled: AtomicBool,
}

impl<T, L: Lane> Recorder<T, L> {
    /// Records the calls of a transport.
    pub const fn new(transport: T, lane: L) -> Self {
        Self {
            transport,
            lane,
            enabled: AtomicBool::new(true),
        }
    }

    /// The transport.
    pub const fn transport(&self) -> &T {
        &self.transport
    }

    /// The lane.
    pub const fn lane(&self) -> &L {
        &self.lane
    }

    /// Switches recording off or on again. Calls that are made meanwhile take no index and leave no trace.
    pub fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::Relaxed);
    }

    /// Watches a page: see [`Lane::watch`].
    ///
    /// # Errors
    /// [`WatchError`]: the page is not watched.
    pub fn watch(&self, page: &'static SharedPage) -> Result<u32, WatchError> {
        self.lane.watch(page)
    }

    /// Looks at the watched pages now: see [`Lane::note_pages`].
    pub fn note_pages(&self) {
        self.lane.note_pages();
    }

    /// Gives the transport and the lane back.
    pub fn into_parts(self) -> (T, L) {
        (self.transport, self.lane)
    }
}

impl<T: Transport, L: Lane> Recorder<T, L> {
    /// Apart, so that a call that is not recorded does not pay for the room that this one needs on the stack.
    #[inline(never)]
    fn recorded(&self, info: &'static CallInfo, args: [Arg<'_>; 2]) -> Result<i64, TransportError> {
        self.lane.record(info, args, &self.transport)
    }
}

impl<T: Transport, L: Lane> Transport for Recorder<T, L> {
    #[inline]
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        if self.enabled.load(Ordering::Relaxed) {
            self.recorded(info, args)
        } else {
            self.transport.call(info, args)
        }
    }
}
