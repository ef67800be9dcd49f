//! Records hypercalls, and reads what was recorded.
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
#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "std")]
pub mod canonical;
#[cfg(feature = "std")]
pub mod check;
mod checksum;
pub mod clock;
#[cfg(feature = "std")]
pub mod diff;
#[cfg(feature = "std")]
pub mod drive;
#[cfg(feature = "std")]
pub mod entry;
#[cfg(feature = "std")]
pub mod explain;
pub mod format;
#[cfg(feature = "std")]
pub mod gen_test;
#[cfg(feature = "std")]
mod get;
mod loss;
pub use loss::LossCause;
#[cfg(feature = "std")]
pub mod read;
pub mod record;
#[cfg(feature = "std")]
pub mod replay;
mod ring;
#[cfg(feature = "std")]
pub mod schema;
#[cfg(feature = "std")]
pub mod state;
mod wire;
#[cfg(feature = "std")]
pub mod write;
