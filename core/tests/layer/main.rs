//! What the layers promise, over an interface and a transport of these tests' own.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod allow;
mod count;
mod fault;
mod grammar;
mod plotter;
mod print;
