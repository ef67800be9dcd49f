//! A handle that makes the ordinary life of a VM hard to get wrong.
//!
//! [`Hypervisor`](super::Hypervisor) has every call and trusts its caller. A [`Vm`] has the calls that a device model
//! makes for each VM, in the order in which they work, over any hypervisor, by value or by reference. What the types
//! cannot see is checked before a call is issued, where it can be known; the error is then of the kind
//! [`Invalid`](crate::ErrorKind::Invalid).
//!
//! ```text
//!                 set_request_page         start             pause
//! create ─► Created, NoPage ─► Created, WithPage ─► Running ─► Paused ─► destroy ─► PoweredOff
//!                                      ▲                         │
//!                                      └───────── reset ─────────┘
//! ```
//! A created VM can be paused too. Registers are set and devices are given back in [`Stopped`] states, created and
//! paused; devices are assigned in created. [`Vm::shut_down`] goes from any state to powered off.
//!
//! ```
//! use hypercall_core::acrn::vm::Vm;
//! use hypercall_core::acrn::{Hypervisor, MemoryProt, PcpuId, PcpuSet, Regs, VcpuRegs, VmCreation, VmName};
//! use hypercall_core::{Error, Gpa, OwnedPage};
//!
//! const NAME: VmName = match VmName::new("demo") {
//!     Ok(name) => name,
//!     Err(_) => panic!("the name does not fit"),
//! };
//!
//! fn run(hypervisor: &impl Hypervisor, page: OwnedPage) -> Result<(), Error> {
//!     let first = PcpuSet::of(&[PcpuId(0)]);
//!     let vm = Vm::create(hypervisor, &VmCreation::new(NAME).with_cpu_affinity(first), first)?;
//!     vm.map(Gpa(0), Gpa(0x1000_0000), 0x10_0000, MemoryProt::RAM)?;
//!     vm.set_vcpu_regs(&VcpuRegs::bsp(Regs::real_mode(0, 0x7c00)))?;
//!     let vm = vm.set_request_page(page)?.start()?;
//!     vm.requests().serve(|_vcpu, _request| Some(0xff)).ok();
//!     let off = vm.shut_down()?;
//!     assert!(off.page.is_some_and(|page| !page.is_lent()));
//!     Ok(())
//! }
//! ```
//!
//! # When a call fails
//! The handle comes back with the error: [`Failed`]. After a refusal the VM is where it was, and the handle is right.
//! Where the answer was lost the hypervisor may have acted; [`Failed::is_state_known`] is then false, and
//! [`Failed::reconcile`] asks the hypervisor, by calls that change nothing ([`VmState::of`]), and returns the handle in
//! the state found. `?` in a function that returns [`Error`](crate::Error) drops the handle, by the rule below.
//!
//! # What a dropped handle does
//! It destroys a VM that nobody would miss: one that this handle created and never tried to start. Before, it asks
//! whether the VM is still stopped, gives devices back and pauses it. Every other VM is **left as it is**: a program
//! that ends, or forgets a handle, must not stop a VM that others rely on. That is
//! - a running VM, and one that may be running;
//! - a paused VM that has run: what it did is in its memory;
//! - a VM that was started and then reset;
//! - a VM that was [adopted](AnyVm::adopt);
//! - a VM whose destruction was issued without an answer: its id may be somebody else's by now.
//!
//! [`Vm::detach`] leaves any VM as it is; [`Vm::shut_down`] ends any VM, and says how that went.
//!
//! # The request page
//! The hypervisor keeps it, so it comes from an [`OwnedPage`](crate::OwnedPage), which says who holds it. A program has
//! one from a [`PageCell`](crate::PageCell): `static CELL: PageCell = PageCell::new();`, and then `CELL.take()`.
//!
//! | what happened | the page |
//! |---|---|
//! | the hypervisor refused it, or nothing was issued | the caller's again, with the error |
//! | whether it was taken is not known | back with the error, still lent; the same page can be set again |
//! | `DESTROY_VM` answered 0 | the caller's again: [`PoweredOff::page`] |
//! | destruction without an answer 0 | in [`PoweredOff::page`], still lent |
//! | [`detach`](Vm::detach) | returned, still lent |
//! | the handle was dropped, and the VM with it | free to be taken from its cell again |
//! | the handle was dropped, and the VM lives | never handed out again |
//!
//! A page that is dropped while it is lent is leaked.
//!
//! # What it cannot know
//! - Whether a name is configured in the hypervisor, and so whether a typing error creates another VM.
//! - Whether the processors it is told of exist; and how many vCPUs an adopted VM has.
//! - Whether another program acts on the same VM. The hypervisor then refuses what does not fit.
//! - Whether pages are mapped already: they keep their old translation.
//!
//! Calls that the handle does not have go through [`Vm::hypervisor`] with [`Vm::id`].
#![allow(
    clippy::result_large_err,
    reason = "the handle comes back with the error, and there is no allocator to put it elsewhere"
)]

mod adopt;
mod any;
mod body;
mod create;
mod device;
mod failed;
mod handle;
mod life;
mod memory;
mod misuse;
mod probe;
mod request;
mod state;

pub use any::{AnyVm, PoweredOff};
pub use device::{MMIO_DEVICES, PCI_DEVICES, VIRTUAL_DEVICES};
pub use failed::Failed;
pub use handle::Vm;
pub use probe::VmState;
pub use request::{Pending, Requests, ServeError};
pub use state::{Created, NoPage, Paused, Running, State, Stopped, WithPage};
