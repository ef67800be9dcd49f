//! `hcall completions`: what a shell needs to complete a command line.

use clap::CommandFactory as _;

use crate::args::{Cli, Completions};
use crate::failure::Failure;
use crate::output::Output;
use crate::status::Status;

pub(crate) fn run(args: &Completions, out: &mut Output) -> Result<Status, Failure> {
    // The generator does not say when its writer fails, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hcall", &mut script);
    out.text(&String::from_utf8_lossy(&script))?;
    Ok(Status::Done)
}
