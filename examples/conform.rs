//! Holds the fake ACRN to recorded conversations with a real one.
//!
//! `cargo run --example conform -- FILE…` replays each file on a fake that has just booted, through registers and
//! memory, and prints how many of its answers agree, and which do not. The files' format, and what is taken from them
//! because only a guest's own code could know it, is described in [`vectors`].
//!
//! The exit status is 0 when every answer of every file agrees, 1 when one differs or a file cannot be used, and 2
//! without files.

use std::process::ExitCode;

use hypercall::mock::fake::FakeConfig;
use hypercall::mock::vectors::{self, Report};

fn main() -> ExitCode {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: conform FILE…");
        return ExitCode::from(2);
    }
    let mut total = Report::default();
    let mut unusable = 0_usize;
    for file in &files {
        let name = file.to_string_lossy();
        match replay(file) {
            Ok(report) => {
                println!("{name}: {report}");
                for difference in &report.differences {
                    println!("{name}: {difference}");
                }
                total.add(&report);
            }
            Err(error) => {
                println!("{name}: error: {error}");
                unusable += 1;
            }
        }
    }
    println!(
        "total: {} files, {unusable} with errors; {total}",
        files.len()
    );
    if unusable == 0 && total.agrees() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn replay(file: &std::ffi::OsStr) -> Result<Report, Box<dyn std::error::Error>> {
    let operations = vectors::parse(&std::fs::read(file)?)?;
    Ok(vectors::run(&operations, FakeConfig::default()))
}
