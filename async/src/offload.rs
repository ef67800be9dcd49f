//! [`Offload`]: blocking calls on threads that may block.

use std::fmt;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::Arc;

use hypercall_core::call::CallInfo;
use hypercall_core::{Error, TransportError};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Makes the calls of a blocking implementation on tokio's blocking pool.
///
/// For an implementation `H` of an interface, it implements the interface's async twin: `Offload<H: Hypervisor>` is an
/// [`AsyncHypervisor`](crate::AsyncHypervisor). Clones share the implementation and its bound. The futures need a tokio
/// runtime around them, of either kind.
///
/// # The bound
/// A call that has begun occupies a thread until the hypervisor answers, which may be never. So at most
/// [`bound`](Offload::bound) calls are in flight; further ones wait, first come, first served, without a thread. A call
/// keeps its slot until it returned, whatever became of the future that asked for it.
///
/// # When a future is dropped
/// | the future | the call | its owned values |
/// |---|---|---|
/// | was never polled | is not made | dropped with the future |
/// | waits for a slot | is not made, and loses its place | dropped with the future |
/// | waits for the answer | **is made all the same**, and its answer is thrown away | live until it returned, then dropped |
///
/// There is no way to take back a call that got its slot: a task that gives up after a timeout does not know what became
/// of it, as with [`TransportError::Lost`]. [`idle`](Offload::idle) waits for calls that were left behind.
///
/// # Order
/// Slots are given in the order in which the futures were first polled. With a bound of 1 the calls are made in
/// this order, one after the other; with more, calls in flight have no order. A task that awaits each call before the next
/// has its own order, as always.
///
/// # What is not an answer
/// - A panic of the implementation goes on in the task that awaits the call, and frees the slot.
/// - A runtime that shuts down lets calls that have begun return. One that it does not begin any more fails with
///   [`TransportError::Unsupported`], and the owned values come back as they went in. So does a call that is asked for
///   outside of any runtime.
pub struct Offload<H> {
    implementation: Arc<H>,
    slots: Arc<Semaphore>,
    bound: NonZeroUsize,
}

/// Tokio's semaphore takes any number of slots, but counts them by `u32` where several are asked for at once.
const MOST: NonZeroUsize = {
    let most = u32::MAX as usize;
    let most = if most < Semaphore::MAX_PERMITS {
        most
    } else {
        Semaphore::MAX_PERMITS
    };
    match NonZeroUsize::new(most) {
        Some(most) => most,
        None => NonZeroUsize::MIN,
    }
};

impl<H> Offload<H> {
    /// An adapter that has at most `bound` calls of `implementation` in flight.
    ///
    /// A hypervisor that serves one call at a time wants 1. More than the runtime's `max_blocking_threads` gains nothing:
    /// the calls wait for a thread instead of a slot. Numbers above 2²⁹ − 1 are as good as any and count as less.
    #[must_use]
    pub fn new(implementation: H, bound: NonZeroUsize) -> Self {
        let bound = bound.min(MOST);
        Self {
            implementation: Arc::new(implementation),
            slots: Arc::new(Semaphore::new(bound.get())),
            bound,
        }
    }

    /// The blocking implementation, for code that may block.
    #[must_use]
    pub fn implementation(&self) -> &H {
        &self.implementation
    }

    /// The most calls that are in flight at once.
    #[must_use]
    pub const fn bound(&self) -> NonZeroUsize {
        self.bound
    }

    /// How many calls have a slot now: they wait for a thread, are being made, or were left behind by a dropped future.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.bound
            .get()
            .saturating_sub(self.slots.available_permits())
    }

    /// Waits until no call is in flight.
    ///
    /// It stands in the same line as the calls: those that came before are made first, those that come later wait.
    pub async fn idle(&self) {
        // `MOST` makes the conversion exact. Nobody closes the semaphore.
        if let Ok(all) = u32::try_from(self.bound.get()) {
            let _slots = self.slots.acquire_many(all).await;
        }
    }
}

impl<H: Send + Sync + 'static> Offload<H> {
    /// Makes one call on the blocking pool. The methods of an async twin are this function.
    ///
    /// `make` gets the implementation and `owned`, and returns the result and `owned` as the call left it. `call` and
    /// `args` (0 for a register that holds no value) are for errors.
    ///
    /// # Errors
    /// What `make` returns; or [`TransportError::Unsupported`] where `make` was not run, because there is no runtime or
    /// it shut down. `owned` is then as it was.
    ///
    /// # Panics
    /// With the panic of `make`; and, as tokio does, when the system gives the runtime no thread at all.
    pub async fn run<A, R, F>(
        &self,
        call: &'static CallInfo,
        args: [u64; 2],
        owned: A,
        make: F,
    ) -> (Result<R, Error>, A)
    where
        A: Clone + Send + 'static,
        R: Send + 'static,
        F: FnOnce(&H, A) -> (Result<R, Error>, A) + Send + 'static,
    {
        let refuse = |why| {
            Err(Error::transport(
                call,
                args,
                TransportError::Unsupported(why),
            ))
        };
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            return (refuse("nobody gives out slots any more"), owned);
        };
        let Ok(runtime) = Handle::try_current() else {
            return (refuse("there is no tokio runtime to make it on"), owned);
        };
        let implementation = Arc::clone(&self.implementation);
        let untouched = owned.clone();
        let made = runtime.spawn_blocking(move || {
            let answer = make(&implementation, owned);
            // Only now: whoever waits for the slot may rely on the call having let go of everything.
            drop(implementation);
            drop(slot);
            answer
        });
        match made.await {
            Ok(answer) => answer,
            // Tokio cancels a blocking task only before it began.
            Err(stopped) => match stopped.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => (
                    refuse("the tokio runtime shut down before it was made"),
                    untouched,
                ),
            },
        }
    }
}

impl<H> Clone for Offload<H> {
    fn clone(&self) -> Self {
        Self {
            implementation: Arc::clone(&self.implementation),
            slots: Arc::clone(&self.slots),
            bound: self.bound,
        }
    }
}

impl<H: fmt::Debug> fmt::Debug for Offload<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offload")
            .field("implementation", &self.implementation)
            .field("bound", &self.bound)
            .field("in_flight", &self.in_flight())
            .finish()
    }
}
