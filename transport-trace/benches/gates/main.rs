//! The gates of the recorder and of the reader, as ratios to a floor that is measured in the same run: one reading of the
//! time-stamp counter and a copy of 128 bytes into a warm ring.
//!
//! `cargo bench -p hypercall-trace`. Every number is thread CPU time, the median of interleaved rounds. The gates are printed; whether they
//! hold is for the reader of a quiet machine to say, so nothing fails here.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark"
)]

extern crate hypercall_core as hypercall;

mod alternatives;
mod blocks;
mod lanes;
mod read;
mod record;
mod setup;
mod tails;

fn main() {
    // `cargo bench -p hypercall-trace -- record tails`: only these.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let parts: [(&str, fn()); 6] = [
        ("record", record::record),
        ("blocks", blocks::blocks),
        ("alternatives", alternatives::alternatives),
        ("tails", tails::tails),
        ("lanes", lanes::lanes),
        ("read", read::sizes_and_reading),
    ];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            part();
        }
    }
}
