//! The Service VM's side of a request: claim, read, answer, complete.

use core::sync::atomic::Ordering;

use super::request::{IoReqKind, Request};
use super::slot::{COMPLETION_POLLING, KERNEL_HANDLED, Moved, Slot, VALUE, VALUE_HIGH};
use super::state::IoReqState;
use crate::acrn::ids::VcpuId;

/// A request that is being served. The vCPU waits until it is completed, so dropping this without completing it
/// leaves the vCPU waiting.
#[derive(Debug)]
#[must_use = "the vCPU waits until its request is completed"]
pub struct Claimed<'a> {
    slot: Slot<'a>,
}

impl<'a> Claimed<'a> {
    pub(super) const fn new(slot: Slot<'a>) -> Self {
        Self { slot }
    }

    /// Whose request.
    #[must_use]
    pub const fn vcpu(&self) -> VcpuId {
        self.slot.vcpu()
    }

    /// What is asked: a copy.
    #[must_use]
    pub fn request(&self) -> Request {
        self.slot.request()
    }

    /// Whether the hypervisor polls for completion, and so needs no notification.
    #[must_use]
    pub fn completion_polling(&self) -> bool {
        self.slot.words()[COMPLETION_POLLING].load(Ordering::Relaxed) != 0
    }

    /// Whether the slot says that Linux's driver serves the request itself. Old where no driver set it.
    #[must_use]
    pub fn kernel_handled(&self) -> bool {
        self.slot.kernel_handled()
    }

    /// For a driver: notes whether it serves the request itself.
    pub fn set_kernel_handled(&mut self, handled: bool) {
        self.slot.words()[KERNEL_HANDLED].store(u32::from(handled), Ordering::Relaxed);
    }

    /// Completes a read: the VM gets `value`, of which the low bytes count, as many as it asked for.
    ///
    /// # Errors
    /// [`Moved`] when the slot is not `PROCESSING` any more; its state is left as it is.
    pub fn complete_read(self, value: u64) -> Result<Completed, Moved> {
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        // A reset may have freed the slot, and the hypervisor filled it in again. This does not rule that out, it only
        // makes it unlikely: a program resets a VM when nobody serves its requests.
        let state = self.slot.state();
        if state != IoReqState::PROCESSING {
            return Err(Moved {
                vcpu: self.slot.vcpu(),
                expected: IoReqState::PROCESSING,
                found: state,
            });
        }
        self.slot.words()[VALUE].store(u32::from_le_bytes([a, b, c, d]), Ordering::Relaxed);
        // In a request of 32-bit values the next word is padding, or, for PCI, the bus.
        if matches!(
            self.slot.kind(),
            IoReqKind::MMIO | IoReqKind::WRITE_PROTECTED
        ) {
            self.slot.words()[VALUE_HIGH]
                .store(u32::from_le_bytes([e, f, g, h]), Ordering::Relaxed);
        }
        self.complete()
    }

    /// Completes a request that asks for no value, such as a write.
    ///
    /// A read completed like this returns what the slot held before.
    ///
    /// # Errors
    /// [`Moved`] when the slot is not `PROCESSING` any more; its state is left as it is.
    pub fn complete(self) -> Result<Completed, Moved> {
        // Read before the state changes: afterwards the slot is the hypervisor's.
        let polling = self.completion_polling();
        self.slot
            .step(IoReqState::PROCESSING, IoReqState::COMPLETE)?;
        Ok(Completed {
            vcpu: self.slot.vcpu(),
            polling,
        })
    }
}

/// A request that was completed, and what is left to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the vCPU waits until the hypervisor is notified"]
pub struct Completed {
    vcpu: VcpuId,
    polling: bool,
}

impl Completed {
    /// Whose request.
    #[must_use]
    pub const fn vcpu(self) -> VcpuId {
        self.vcpu
    }

    /// Whether [`notify_request_finish`](crate::acrn::Hypervisor::notify_request_finish) has to be called: always,
    /// unless the hypervisor polls.
    #[must_use]
    pub const fn needs_notification(self) -> bool {
        !self.polling
    }
}
