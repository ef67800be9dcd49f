#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
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

pub use hypercall_core::*;

#[cfg(feature = "async")]
pub use hypercall_async as asynchronous;
#[cfg(feature = "mock")]
pub use hypercall_mock as mock;
#[cfg(feature = "recorder")]
pub use hypercall_trace as trace;
#[cfg(feature = "vmcall")]
pub use hypercall_vmcall as vmcall;
