//! Serving a VM's I/O requests without forgetting one.
//!
//! A vCPU waits from its access until its slot is complete **and** the hypervisor was told. [`IoReqPage`] has the first
//! half and [`Hypervisor`] the second; here they are one step, which also happens when a program gives up on a request.

use thiserror::Error;

use super::handle::Vm;
use super::state::WithPage;
use crate::Error;
use crate::acrn::ioreq::{Claimed, IoDirection, IoReqPage, Moved, Request};
use crate::acrn::{Hypervisor, VcpuId, VmId};

/// The requests of a VM: its page, and the hypervisor that is told of the answers.
///
/// From [`Vm::requests`]. While it lives the VM's handle cannot change the VM's state, so no reset comes between a
/// request and its answer. [`Requests::new`] is for a device model in another place than the handle.
#[derive(Debug)]
pub struct Requests<'a, H: ?Sized> {
    hypervisor: &'a H,
    vm: VmId,
    page: IoReqPage<'a>,
}

impl<H: ?Sized> Clone for Requests<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<H: ?Sized> Copy for Requests<'_, H> {}

impl<H: Hypervisor, S> Vm<H, S, WithPage> {
    /// The VM's I/O requests, to be served.
    #[must_use]
    pub const fn requests(&self) -> Requests<'_, H> {
        Requests::new(self.hypervisor(), self.id(), self.request_page())
    }
}

impl<'a, H: ?Sized> Requests<'a, H> {
    /// The requests of the VM that was given this page.
    #[must_use]
    pub const fn new(hypervisor: &'a H, vm: VmId, page: IoReqPage<'a>) -> Self {
        Self {
            hypervisor,
            vm,
            page,
        }
    }
}

impl<'a, H: Hypervisor + ?Sized> Requests<'a, H> {
    /// Claims the first request that waits.
    #[must_use]
    pub fn claim(self) -> Option<Pending<'a, H>> {
        self.page.claim().map(|claimed| self.pending(claimed))
    }

    /// Looks through all slots once and serves each request that waits: calls `answer` with it, completes it, and
    /// notifies the hypervisor. Returns how many it served. One upcall may stand for several requests, so call this
    /// until it returns 0, at each upcall.
    ///
    /// `answer` returns what the VM reads, of which the low bytes count. For a write it does not matter. `None` says
    /// that nobody is at this address: the VM reads ones, as from an empty bus. A read never returns what the slot held
    /// before.
    ///
    /// ```
    /// # use hypercall_core::acrn::{ioreq::Request, vm::Requests, Hypervisor};
    /// fn keyboard<H: Hypervisor>(requests: Requests<'_, H>) {
    ///     let served = requests.serve(|_vcpu, request| match request {
    ///         Request::Pio(pio) if pio.address == 0x64 => Some(0x1c),
    ///         _ => None,
    ///     });
    ///     if let Err(error) = served {
    ///         eprintln!("{error}");
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ServeError`] for the first request that could not be finished; those after it wait for the next call.
    pub fn serve(
        self,
        mut answer: impl FnMut(VcpuId, &Request) -> Option<u64>,
    ) -> Result<usize, ServeError> {
        let mut served = 0_usize;
        for claimed in self.page.slots().filter_map(|slot| slot.claim()) {
            let pending = self.pending(claimed);
            let value = answer(pending.vcpu, &pending.request);
            pending.answer(value)?;
            served = served.saturating_add(1);
        }
        Ok(served)
    }

    fn pending(self, claimed: Claimed<'a>) -> Pending<'a, H> {
        Pending {
            hypervisor: self.hypervisor,
            vm: self.vm,
            vcpu: claimed.vcpu(),
            request: claimed.request(),
            claimed: Some(claimed),
        }
    }
}

/// A request that waits for its answer.
///
/// Dropped, it is answered as if nobody were at the address, also when the program panics: a vCPU that reads ones is
/// better off than one that waits for ever.
#[must_use = "the vCPU waits for the answer"]
pub struct Pending<'a, H: Hypervisor + ?Sized> {
    hypervisor: &'a H,
    vm: VmId,
    vcpu: VcpuId,
    request: Request,
    /// `None` once it is answered.
    claimed: Option<Claimed<'a>>,
}

impl<H: Hypervisor + ?Sized> Pending<'_, H> {
    /// Whose request.
    #[must_use]
    pub const fn vcpu(&self) -> VcpuId {
        self.vcpu
    }

    /// What is asked: a copy.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// Completes the request, and notifies the hypervisor unless it polls. `value` is as
    /// [`Requests::serve`]'s answer.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn answer(mut self, value: Option<u64>) -> Result<(), ServeError> {
        self.finish(value)
    }

    fn finish(&mut self, value: Option<u64>) -> Result<(), ServeError> {
        let Some(claimed) = self.claimed.take() else {
            return Ok(());
        };
        let completed = if self.request.direction() == IoDirection::READ {
            claimed.complete_read(value.unwrap_or(u64::MAX))
        } else {
            claimed.complete()
        }?;
        if completed.needs_notification() {
            self.hypervisor.notify_request_finish(self.vm, self.vcpu)?;
        }
        Ok(())
    }
}

impl<H: Hypervisor + ?Sized> Drop for Pending<'_, H> {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.finish(None);
    }
}

impl<H: Hypervisor + ?Sized> core::fmt::Debug for Pending<'_, H> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pending")
            .field("vm", &self.vm)
            .field("vcpu", &self.vcpu)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// A request that could not be finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ServeError {
    /// The slot is not what it was when the request was claimed: the VM was reset. There is nothing left to do.
    #[error(transparent)]
    Moved(#[from] Moved),
    /// The request is complete, and the hypervisor was not told, or may not have been.
    ///
    /// The slot says: it stays [`COMPLETE`](crate::acrn::ioreq::IoReqState::COMPLETE) until the vCPU goes on. Notify
    /// again only while it does. ACRN remembers a notification that nobody waits for, and the vCPU's next request would
    /// not wait for its answer (`wait_event`).
    #[error("a request is complete, but the vCPU may still wait: {0}")]
    Notify(#[from] Error),
}
