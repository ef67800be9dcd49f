//! `cargo xtask test`: everything that CI runs, in the order in which a failure is cheapest.

mod packages;
mod ring0;
mod steps;

use std::process::ExitCode;

use anyhow::{Result, bail};
use xshell::Shell;

const USAGE: &str = "\
cargo xtask test              everything that CI runs
cargo xtask test --only STEP  one step of it
cargo xtask steps             the steps
cargo xtask ring0             boots the bare-metal images and checks what they say (--bochs, --image-only, --verbose, --bless)
cargo xtask bless             writes the listings and messages that tests compare anew, after an intended change";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without the backtrace that `Debug` may hold: it would be of this program, and say nothing.
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let shell = Shell::new()?;
    // Where cargo started it, not where it was compiled: a folder that was moved or copied brings its target folder along.
    let root =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = std::path::Path::new(&root).join("..");
    shell.change_dir(root.canonicalize()?);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["test"] => steps::run(&shell, None),
        ["test", "--only", step] => steps::run(&shell, Some(step)),
        ["steps"] => {
            for step in steps::STEPS {
                println!("{:<10} {}", step.name, step.what);
            }
            Ok(())
        }
        ["bless"] => steps::bless(&shell),
        ["ring0", ref words @ ..] => match ring0::Flags::from_words(words) {
            Some(flags) => ring0::run(&shell, flags),
            None => bail!("{USAGE}"),
        },
        _ => bail!("{USAGE}"),
    }
}
