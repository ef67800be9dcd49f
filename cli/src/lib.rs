//! `hcall`, what field engineers run: shows, compares, checks and replays recorded hypercalls.
//!
//! The binary only calls [`run`]. What a subcommand does stands in the file of its name under `commands`; how calls look
//! stands in [`mod@format`], and [`export`] has the forms that other programs read.
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

mod args;
mod commands;
pub mod export;
mod failure;
pub mod filter;
pub mod format;
mod input;
mod life;
mod order;
mod output;
mod redaction;
mod status;
mod target;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

pub use failure::Failure;
pub use status::Status;

/// Runs `hcall` with a command line: the program's name and its arguments.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match args::Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help that was asked for is no error; a reader that went away is none either.
            let _ = error.print();
            let wrong = error.use_stderr();
            return if wrong { Status::Usage } else { Status::Done }.into();
        }
    };
    failure::set_up(cli.colour);
    let status = match commands::run(cli) {
        Ok(status) => status,
        Err(failure) if failure.is_closed_pipe() => Status::Done,
        Err(failure) => {
            let status = failure.status();
            crate::output::tell!("{:?}", miette::Report::new(failure));
            status
        }
    };
    status.into()
}
