//! `cargo xtask ring0`: builds the two bare-metal images, boots them in an emulator, and checks what they say.
//!
//! Every boot has an exit status and a last line that it must end with, and a time limit. docs/ring0.md says what the boots
//! show.

mod bochs;
mod boot;
mod boots;
mod build;
mod cost;
mod host;
mod iso;
mod judge;
mod trace;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

pub use bochs::{BIOS, VIDEO_BIOS};
pub use build::{host, target};

use boot::Machine;
use boots::{BOCHS, Boot, End, Loader, QEMU};
use build::Tables;
use judge::Judged;

use crate::packages;

/// What `cargo xtask ring0` is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flags {
    /// Only builds the guest and prints where it is.
    pub image_only: bool,
    /// Boots under Bochs too, where VMCALL exits by itself.
    pub bochs: bool,
    /// Prints everything that the images say.
    pub verbose: bool,
    /// Keeps the trace for the conformance suite's tests.
    pub bless: bool,
}

impl Flags {
    /// Reads the words behind `ring0`. `None` where there is one too many.
    pub fn from_words(words: &[&str]) -> Option<Self> {
        let mut flags = Self::default();
        for word in words {
            match *word {
                "--image-only" => flags.image_only = true,
                "--bochs" => flags.bochs = true,
                "--verbose" => flags.verbose = true,
                "--bless" => flags.bless = true,
                _ => return None,
            }
        }
        Some(flags)
    }
}

/// The tests of what of the hypervisor runs on a host.
pub fn tests(shell: &Shell) -> Result<()> {
    let (folder, host) = (target(shell), host(shell)?);
    cmd!(
        shell,
        "cargo test --manifest-path testbed/Cargo.toml --target-dir {folder} --target {host} -p virt"
    )
    .run()?;
    Ok(())
}

/// The whole run.
pub fn run(shell: &Shell, flags: Flags) -> Result<()> {
    let guest = build::guest(shell)?;
    if flags.image_only {
        println!("{}", guest.display());
        return Ok(());
    }
    packages::install(shell, packages::QEMU)?;
    if flags.bochs {
        packages::install(shell, packages::BOCHS)?;
    }
    let hypervisor = build::hypervisor(shell, &guest)?;
    let tables = Tables::make(shell)?;
    let machine = Machine::new(shell, guest, hypervisor)?;
    let mut traces = Vec::new();

    let boots: Vec<&Boot> = QEMU
        .iter()
        .chain(if flags.bochs { BOCHS } else { &[] })
        .collect();
    let mut all = Judged::default();
    for boot in &boots {
        let run = machine
            .boot(boot)
            .with_context(|| format!("boot `{}`", boot.name))?;
        if flags.verbose {
            println!("{}", run.output);
        }
        match judge::judge(boot, &run, &tables) {
            Ok(judged) => {
                println!(
                    "{:<34} {:>5} ms  {judged}",
                    boot.name,
                    run.elapsed.as_millis()
                );
                all.add(&judged);
                if matches!(boot.end, End::Passed | End::PassedAnywhere) {
                    let path = machine.folder.join(boot.file_name()).with_extension("hct");
                    let bytes = trace::extract(&run.output)
                        .with_context(|| format!("the trace of boot `{}`", boot.name))?;
                    std::fs::write(&path, bytes)?;
                    traces.push((path, boot.end));
                }
            }
            Err(why) => {
                if !flags.verbose {
                    println!("{}", run.tail());
                }
                bail!(
                    "boot `{}` ({}): {why}; all that it wrote is in {} {}",
                    boot.name,
                    boot.shows,
                    run.file.display(),
                    match boot.loader {
                        Loader::Bochs => String::new(),
                        _ => boot::version("qemu-system-x86_64"),
                    }
                );
            }
        }
    }
    for (trace, end) in &traces {
        trace::check(shell, trace, *end == End::PassedAnywhere)?;
    }
    if let Some((trace, _)) = traces.iter().find(|(_, end)| *end == End::Passed)
        && flags.bless
    {
        shell.copy_file(trace, "conformance/tests/data/ring0.hct")?;
    }
    println!(
        "ring0: {} boots passed: {all}, {} traces verified, compared and replayed",
        boots.len(),
        traces.len()
    );
    Ok(())
}
