//! The call model of Hypercall: what a hypercall is before anything carries it.
//!
//! - An **interface** is a trait under [`#[interface]`](macro@interface). [`acrn`] is the one that comes with the crate.
//! - A **call** is a [`CallInfo`](call::CallInfo) and two [`Arg`](arg::Arg)uments; a [`Transport`] carries it.
//! - A program calls the trait's methods on a [`Client`] over any transport, and gets an [`Error`] that names the call.
//! - A hypervisor, or a fake one, implements the same trait and is driven by [`server`].
//! - [`layer`]s wrap a transport: count, restrict, break on purpose, print.
//!
//! The crate is `no_std` and needs no allocator; with the feature `alloc` the traits are also implemented for `Box` and
//! `Arc`.
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
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
// The attribute and the derive name this crate `hypercall`, inside it as well.
extern crate self as hypercall;

pub mod acrn;
pub mod arg;
pub mod call;
#[doc(hidden)]
pub mod client;
mod error;
mod ids;
pub mod layer;
pub mod names;
mod payload;
pub mod schema;
pub mod server;
mod shared;
pub mod show;
mod transport;
mod value;

pub use bitflags;
pub use error::{Error, ErrorKind};
pub use hypercall_macros::{Payload, interface};
pub use ids::{Gpa, Hpa};
pub use payload::{PageAligned, Payload, Rejection, Yields};
pub use shared::{OutsidePage, OwnedPage, PageCell, SharedPage, SharedRef};
pub use transport::{Client, Hazard, LayerRefusal, RAX_UNWRITTEN, Transport, TransportError};
pub use value::Value;
pub use zerocopy;

/// What generated code needs. Not an interface for people.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "alloc")]
    pub use alloc::{boxed::Box, sync::Arc};

    pub use crate::client::Returned;
    pub use crate::payload::PlainData;
    pub use crate::shared::Kept;
}

/// Passes its input on if this crate was built with the feature `alloc`.
#[cfg(feature = "alloc")]
#[doc(hidden)]
#[macro_export]
macro_rules! __if_alloc {
    ($($tokens:tt)*) => { $($tokens)* };
}

/// Passes its input on if this crate was built with the feature `alloc`.
#[cfg(not(feature = "alloc"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __if_alloc {
    ($($tokens:tt)*) => {};
}
