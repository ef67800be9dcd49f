//! Hypercalls from async code, on tokio.
//!
//! A hypercall blocks its processor until the hypervisor answers, and nothing can take it back. So async code does not
//! make it: a thread does that may block, and the task waits for the answer.
//!
//! - [`Offload`] runs any blocking implementation of an interface on tokio's blocking pool, with a bound on the calls in
//!   flight. What happens to a call whose future is dropped is written there.
//! - [`AsyncHypervisor`] is the async twin of ACRN's interface. `Offload` implements it.
//! - [`async_twin!`] makes the twin of any other interface.
//!
//! ```
//! use hypercall_async::{AsyncHypervisor, Offload};
//! use hypercall_core::acrn::{Hypervisor, VmCreation, VmId};
//! use std::num::NonZeroUsize;
//!
//! async fn create(hypervisor: &dyn AsyncHypervisor) -> Result<VmId, hypercall_core::Error> {
//!     let (result, _creation) = hypervisor.create_vm(VmCreation::default()).await;
//!     result
//! }
//!
//! async fn main_task(blocking: impl Hypervisor + Send + Sync + 'static) {
//!     let hypervisor = Offload::new(blocking, NonZeroUsize::MIN);
//!     println!("{:?}", create(&hypervisor).await);
//! }
//! ```
#![warn(missing_docs, unreachable_pub)]
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod acrn;
mod offload;
mod twin;

pub use acrn::AsyncHypervisor;
pub use async_trait;
pub use offload::Offload;

/// What generated code needs. Not an interface for people.
#[doc(hidden)]
pub mod __private {
    pub use hypercall_core::Value;
    pub use hypercall_macros::async_twin;
    pub use std::vec::Vec;
}
