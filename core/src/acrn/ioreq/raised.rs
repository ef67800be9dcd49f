//! The hypervisor's side of a request: fill in, raise, take the answer.

use core::sync::atomic::Ordering;

use zerocopy::IntoBytes;

use super::request::Request;
use super::slot::{COMPLETION_POLLING, KIND, Moved, Slot};
use super::state::IoReqState;
use crate::acrn::ids::VcpuId;

/// A slot without a request, on the hypervisor's side.
#[derive(Debug)]
#[must_use = "a slot that is not filled in stays free"]
pub struct Free<'a> {
    slot: Slot<'a>,
}

impl<'a> Free<'a> {
    pub(super) const fn new(slot: Slot<'a>) -> Self {
        Self { slot }
    }

    /// Whose slot.
    #[must_use]
    pub const fn vcpu(&self) -> VcpuId {
        self.slot.vcpu()
    }

    /// Fills the slot in and sets it to `PENDING`. The upcall is the caller's to raise.
    ///
    /// As in ACRN (`acrn_insert_request`): all 64 bytes of the request are written, the word for polling only when
    /// `polling` is set, and nothing else.
    ///
    /// # Errors
    /// [`Moved`] when the slot is not `FREE` any more; its state is left as it is.
    pub fn raise(self, request: &Request, polling: bool) -> Result<(), Moved> {
        self.slot.words()[KIND].store(request.kind().0, Ordering::Relaxed);
        let data = request.encode();
        for (word, bytes) in self.slot.reqs().zip(data.as_bytes().as_chunks::<4>().0) {
            word.store(u32::from_le_bytes(*bytes), Ordering::Relaxed);
        }
        if polling {
            self.slot.words()[COMPLETION_POLLING].store(1, Ordering::Relaxed);
        }
        self.slot.step(IoReqState::FREE, IoReqState::PENDING)
    }
}

/// A request that was answered, on the hypervisor's side.
#[derive(Debug)]
#[must_use = "a slot that is not released takes no further request"]
pub struct Answered<'a> {
    slot: Slot<'a>,
}

impl<'a> Answered<'a> {
    pub(super) const fn new(slot: Slot<'a>) -> Self {
        Self { slot }
    }

    /// Whose request.
    #[must_use]
    pub const fn vcpu(&self) -> VcpuId {
        self.slot.vcpu()
    }

    /// The request with its answer.
    #[must_use]
    pub fn request(&self) -> Request {
        self.slot.request()
    }

    /// The value, as wide as it may be.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.request().value()
    }

    /// Sets the slot to `FREE`.
    ///
    /// # Errors
    /// [`Moved`] when the slot is not `COMPLETE` any more; its state is left as it is.
    pub fn release(self) -> Result<(), Moved> {
        self.slot.step(IoReqState::COMPLETE, IoReqState::FREE)
    }
}
