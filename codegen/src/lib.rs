//! The same calls three times: through the trait, by hand in Rust, and (`c/forms.c`) in C. A test compares what comes
//! out. Functions of the same name after the prefix have the same signature.
//!
//! The two Rust forms are built one at a time: in one object the compiler finds most of them identical and merges them.
#![no_std]

#[cfg(feature = "by-hand")]
mod by_hand;
#[cfg(feature = "typed")]
mod typed;
