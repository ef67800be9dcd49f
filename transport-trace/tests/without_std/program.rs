//! Records by the form of the library that is compiled without std, and prints the trace. The program itself has std; what it
//! links has not.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test's program"
)]

extern crate hypercall_core as hypercall;

#[path = "../common/mod.rs"]
mod common;
mod recorded;

fn main() {
    std::io::Write::write_all(&mut std::io::stdout(), &recorded::recorded()).unwrap();
}
