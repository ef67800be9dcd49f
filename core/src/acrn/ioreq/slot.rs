//! One vCPU's slot, its state, and how one gets a handle on it.
//!
//! Why this is sound against a writer on another processor, whatever it does: every access is one of a 32-bit atomic.
//! Why it is correct against one that keeps the protocol: a handle is made by a read of the state with acquire
//! ordering, so what the other side wrote before it changed the state is seen; it is used up by a compare-exchange
//! with release ordering, so what was written through it is seen by whoever sees the new state.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, Ordering};

use thiserror::Error;
use zerocopy::IntoBytes;

use super::raised::{Answered, Free};
use super::request::{IoReqKind, IoRequest, MmioRequest, PciRequest, PioRequest, Request};
use super::served::Claimed;
use super::state::IoReqState;
use crate::acrn::ids::VcpuId;

/// Words of a slot, and the places of its fields among them.
pub(super) const WORDS: usize = 64;
pub(super) const KIND: usize = 0;
pub(super) const COMPLETION_POLLING: usize = 1;
const REQS: usize = 16;
const REQS_WORDS: usize = 16;
/// The value stands at the same place in every kind of request.
pub(super) const VALUE: usize = 22;
pub(super) const VALUE_HIGH: usize = 23;
pub(super) const KERNEL_HANDLED: usize = 33;
pub(super) const STATE: usize = 34;

const _: () = {
    assert!(size_of::<IoRequest>() == WORDS * 4);
    assert!(offset_of!(IoRequest, kind) == KIND * 4);
    assert!(offset_of!(IoRequest, completion_polling) == COMPLETION_POLLING * 4);
    assert!(offset_of!(IoRequest, reqs) == REQS * 4);
    assert!(offset_of!(PioRequest, value) == (VALUE - REQS) * 4);
    assert!(offset_of!(MmioRequest, value) == (VALUE - REQS) * 4);
    assert!(offset_of!(PciRequest, value) == (VALUE - REQS) * 4);
    assert!(offset_of!(IoRequest, kernel_handled) == KERNEL_HANDLED * 4);
    assert!(offset_of!(IoRequest, state) == STATE * 4);
};

/// One vCPU's place in the page.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'a> {
    words: &'a [AtomicU32; WORDS],
    vcpu: VcpuId,
}

impl<'a> Slot<'a> {
    pub(super) const fn new(words: &'a [AtomicU32; WORDS], vcpu: VcpuId) -> Self {
        Self { words, vcpu }
    }

    pub(super) const fn words(self) -> &'a [AtomicU32; WORDS] {
        self.words
    }

    /// The vCPU.
    #[must_use]
    pub const fn vcpu(self) -> VcpuId {
        self.vcpu
    }

    /// Where the request stands at this moment; unknown values are kept.
    #[must_use]
    pub fn state(self) -> IoReqState {
        IoReqState(self.words[STATE].load(Ordering::Acquire))
    }

    /// For the Service VM: takes the request if one is waiting.
    ///
    /// Of several who try, one gets it.
    #[must_use]
    pub fn claim(self) -> Option<Claimed<'a>> {
        self.step(IoReqState::PENDING, IoReqState::PROCESSING)
            .ok()
            .map(|()| Claimed::new(self))
    }

    /// For a device model behind a driver that claims requests for it, as Linux's does: the request if it was claimed
    /// and the driver does not serve it itself.
    ///
    /// Nothing stops two callers from both getting it; it is for the one whom the driver woke.
    #[must_use]
    pub fn adopt(self) -> Option<Claimed<'a>> {
        let claimed = self.state() == IoReqState::PROCESSING && !self.kernel_handled();
        claimed.then_some(Claimed::new(self))
    }

    /// For the hypervisor: the slot, if it may be filled in.
    ///
    /// The hypervisor has one thread for each vCPU, which alone fills in its slot.
    #[must_use]
    pub fn free(self) -> Option<Free<'a>> {
        (self.state() == IoReqState::FREE).then_some(Free::new(self))
    }

    /// For the hypervisor: the request, if it was answered.
    #[must_use]
    pub fn answered(self) -> Option<Answered<'a>> {
        (self.state() == IoReqState::COMPLETE).then_some(Answered::new(self))
    }

    pub(super) fn kind(self) -> IoReqKind {
        IoReqKind(self.words[KIND].load(Ordering::Relaxed))
    }

    pub(super) fn kernel_handled(self) -> bool {
        self.words[KERNEL_HANDLED].load(Ordering::Relaxed) != 0
    }

    /// One step of the round, if the state is what it should be.
    pub(super) fn step(self, from: IoReqState, to: IoReqState) -> Result<(), Moved> {
        self.words[STATE]
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .map(|_| ())
            .map_err(|state| Moved {
                vcpu: self.vcpu,
                expected: from,
                found: IoReqState(state),
            })
    }

    pub(super) fn request(self) -> Request {
        let mut data = [0_u64; 8];
        for (bytes, word) in data
            .as_mut_bytes()
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .zip(self.reqs())
        {
            *bytes = word.load(Ordering::Relaxed).to_le_bytes();
        }
        Request::decode(self.kind(), data)
    }

    pub(super) fn reqs(self) -> impl Iterator<Item = &'a AtomicU32> {
        self.words.iter().skip(REQS).take(REQS_WORDS)
    }
}

/// The state changed under the one who owned it. In ACRN a reset of the VM does that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the request of vCPU {} is {found:?}, not {expected:?}: was its VM reset?", .vcpu.0)]
pub struct Moved {
    /// Whose request.
    pub vcpu: VcpuId,
    /// What the state should have been.
    pub expected: IoReqState,
    /// What it was. It was left so.
    pub found: IoReqState,
}
