//! I/O requests: how a VM's access to a device that nobody passed through reaches the program that emulates it.
//!
//! One page, given to the hypervisor with [`set_ioreq_buffer`](super::Hypervisor::set_ioreq_buffer), holds 16 slots,
//! one for each vCPU. A slot goes round in one direction only, and each state has one owner who may write the slot:
//!
//! | state | owner | how it is left |
//! |---|---|---|
//! | [`FREE`](IoReqState::FREE) | hypervisor | it fills the slot in, sets `PENDING` and raises the upcall |
//! | [`PENDING`](IoReqState::PENDING) | Service VM | it claims the slot by setting `PROCESSING` |
//! | [`PROCESSING`](IoReqState::PROCESSING) | Service VM | it writes the value, sets `COMPLETE` and notifies |
//! | [`COMPLETE`](IoReqState::COMPLETE) | hypervisor | it takes the value and sets `FREE` |
//!
//! The upcall is an interrupt at the Service VM's first processor, vector 0xf3 unless
//! [`set_callback_vector`](super::Hypervisor::set_callback_vector) chose another. It says that something happened,
//! not what or where: whoever gets it looks through all slots. After `COMPLETE`,
//! [`notify_request_finish`](super::Hypervisor::notify_request_finish) wakes the vCPU, unless the hypervisor polls.
//!
//! [`RESET_VM`](super::Hypervisor::reset_vm) sets every slot to `FREE` whatever it was (observed). A page of zeros is
//! 16 pending requests that nobody made: look at it only after the hypervisor has set it up.
//!
//! # For device models
//! [`IoReqPage::claim`] gives a [`Claimed`] slot, which says what is asked and can be completed once. The types keep
//! the order: a value can be written only into a claimed slot, and the state is set after it.
//!
//! ```
//! use hypercall_core::acrn::ioreq::{IoDirection, IoReqPage, PioRequest, Request};
//! use hypercall_core::acrn::VcpuId;
//! use hypercall_core::SharedPage;
//!
//! static PAGE: SharedPage = SharedPage::new();
//! let page = IoReqPage::new(&PAGE);
//! # page.clear();
//! # let inb = PioRequest { direction: IoDirection::READ, address: 0x60, size: 1, ..PioRequest::default() };
//! # page.slot(VcpuId(2)).unwrap().free().unwrap().raise(&Request::Pio(inb), false).unwrap();
//! while let Some(claimed) = page.claim() {
//!     let vcpu = claimed.vcpu();
//!     let done = match claimed.request() {
//!         Request::Pio(pio) if pio.direction == IoDirection::READ => claimed.complete_read(0x1c),
//!         _ => claimed.complete(),
//!     };
//!     if done.is_ok_and(|done| done.needs_notification()) {
//!         // hypervisor.notify_request_finish(vm, vcpu)?;
//! #       assert_eq!(vcpu, VcpuId(2));
//!     }
//! }
//! # assert_eq!(page.slot(VcpuId(2)).unwrap().answered().unwrap().value(), 0x1c);
//! ```
//!
//! # For those who play the hypervisor
//! [`Slot::free`] and [`Slot::answered`] are the other two ends.

mod page;
mod raised;
mod request;
mod served;
mod slot;
mod state;

pub use page::IoReqPage;
pub use raised::{Answered, Free};
pub use request::{
    IoDirection, IoReqKind, IoRequest, MmioRequest, PciRequest, PioRequest, Request,
};
pub use served::{Claimed, Completed};
pub use slot::{Moved, Slot};
pub use state::IoReqState;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::layout::{layout, zero_default};
use crate::{Gpa, Payload};

/// What [`set_ioreq_buffer`](super::Hypervisor::set_ioreq_buffer) puts before its page: the page's address, which the
/// hypervisor reads from memory.
///
/// The attribute on the trait fills it in; a program does not build one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_ioreq_buffer")]
#[doc(alias = "acrn_ioreq_buffer")]
pub struct IoReqBuffer {
    /// Where the page is.
    pub ioreq_buf: Gpa,
}
layout!(IoReqBuffer: 8 bytes, align 8 { ioreq_buf @ 0 });
zero_default!(IoReqBuffer);
