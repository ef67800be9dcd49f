//! The VMCALL transport in a kernel, without the standard library.
//!
//! `cargo run --example vmcall_no_std`. The module `kernel` is what a kernel would have: it uses `core` only. This
//! program runs it as an ordinary process, in ring 3, where no hypercall can be made: detection says so, with the
//! reason, and nothing is executed.
#![no_std]

extern crate std;

mod kernel;

use std::{println, process::ExitCode};

use hypercall::vmcall::NotAvailable;
use kernel::Unavailable;

fn main() -> ExitCode {
    println!("Is there a hypervisor that takes hypercalls from here?");
    match kernel::bring_up() {
        Err(Unavailable::Detection(reason)) => {
            println!("  no: {reason}");
            println!(
                "  {}",
                match reason {
                    NotAvailable::NoHypervisor => "A kernel would go on without one.",
                    NotAvailable::OtherHypervisor(_) =>
                        "A kernel would look for that one's interface.",
                    NotAvailable::NotPrivileged { .. } =>
                        "A kernel is in ring 0; this process is not.",
                    _ => "A kernel would log the reason.",
                }
            );
            println!("No VMCALL was executed.");
            ExitCode::SUCCESS
        }
        Err(Unavailable::Hypervisor(error)) => {
            println!("  yes, and it refuses: {error}");
            ExitCode::FAILURE
        }
        Ok(version) => {
            println!("  yes: API version {version:?}, which a process cannot have seen");
            ExitCode::FAILURE
        }
    }
}
