//! Runs `hcall`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    hypercall_cli::run(std::env::args_os())
}
