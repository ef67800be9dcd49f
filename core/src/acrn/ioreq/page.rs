//! The live request page.

use core::sync::atomic::Ordering;

use super::served::Claimed;
use super::slot::{STATE, Slot, WORDS};
use super::state::IoReqState;
use crate::SharedPage;
use crate::acrn::ids::VcpuId;

/// Slots in a page (`ACRN_IO_REQUEST_MAX`).
const SLOTS: u16 = 16;

/// A page of I/O requests. A view: copies of it are the same page.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "acrn_io_request_buffer")]
pub struct IoReqPage<'a> {
    page: &'a SharedPage,
}

impl<'a> IoReqPage<'a> {
    /// How many vCPUs have a slot. A VM may have more, whose requests then have no place.
    #[doc(alias = "ACRN_IO_REQUEST_MAX")]
    pub const SLOTS: u16 = SLOTS;

    /// Views a page as requests.
    #[must_use]
    pub const fn new(page: &'a SharedPage) -> Self {
        Self { page }
    }

    /// The slot of a vCPU, or `None` from 16 on.
    #[must_use]
    pub fn slot(self, vcpu: VcpuId) -> Option<Slot<'a>> {
        let (slots, _) = self.page.words().as_chunks::<WORDS>();
        let words = slots.get(usize::from(vcpu.0))?;
        Some(Slot::new(words, vcpu))
    }

    /// All slots.
    pub fn slots(self) -> impl Iterator<Item = Slot<'a>> {
        (0..SLOTS).filter_map(move |vcpu| self.slot(VcpuId(vcpu)))
    }

    /// Claims the first request that is waiting.
    ///
    /// Called again and again it serves low vCPUs first; a device model that must be fair goes through
    /// [`slots`](Self::slots).
    #[must_use]
    pub fn claim(self) -> Option<Claimed<'a>> {
        self.slots().find_map(Slot::claim)
    }

    /// Sets every slot to [`FREE`](IoReqState::FREE) and touches nothing else, as the hypervisor does when it is given
    /// the page and when it resets the VM (`reset_vm_ioreqs`).
    pub fn clear(self) {
        for slot in self.slots() {
            slot.words()[STATE].store(IoReqState::FREE.0, Ordering::Release);
        }
    }
}
