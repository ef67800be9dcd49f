//! Test doubles for hypercall interfaces, by their textbook names.
//!
//! | double | what it is | use it to |
//! |---|---|---|
//! | [`MockHypervisor`], [`MockTransport`] | mocks (feature `mockall`) | expect single calls, by method or raw |
//! | [`Script`](script::Script) | a transport with a list of expectations | expect a conversation, in order or not |
//! | [`Loopback`](loopback::Loopback) | client → registers and memory → dispatcher → server | run the whole way that a call takes |
//! | [`FakeAcrn`](fake::FakeAcrn) | a working ACRN in memory | run a program that needs a hypervisor |
//!
//! Without the feature `mockall` the crate is `no_std` and needs an allocator.
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

extern crate alloc;
extern crate hypercall_core as hypercall;
#[cfg(feature = "mockall")]
extern crate std;

pub mod fake;
pub mod loopback;
#[cfg(feature = "mockall")]
mod mocks;
mod ram;
pub mod script;
#[cfg(feature = "vectors")]
pub mod vectors;

#[cfg(feature = "mockall")]
pub use mocks::*;
pub use ram::Ram;
