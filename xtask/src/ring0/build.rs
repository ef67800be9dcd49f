//! The images, and the table that a guest's is compared with.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

/// Where the images are built: beside the workspace's own things.
fn folder(shell: &Shell) -> PathBuf {
    match shell.var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => shell.current_dir().join("target"),
    }
    .join("ring0")
}

fn build(shell: &Shell, package: &str) -> Result<PathBuf> {
    let folder = folder(shell);
    cmd!(
        shell,
        "cargo build --quiet --release --manifest-path testbed/Cargo.toml --target-dir {folder} -p {package}"
    )
    .quiet()
    .run()
    .with_context(|| format!("the image of the {package} does not build"))?;
    Ok(folder.join("release").join(package))
}

/// Builds the guest.
pub fn guest(shell: &Shell) -> Result<PathBuf> {
    build(shell, "guest")
}

/// Builds the hypervisor around a guest.
pub fn hypervisor(shell: &Shell, guest: &std::path::Path) -> Result<PathBuf> {
    let _guest = shell.push_env("GUEST_ELF", guest);
    build(shell, "hypervisor")
}

/// The conformance suite's tables over a loopback, one line for each step.
#[derive(Debug)]
pub struct Tables {
    /// With what depends on the recorded machine.
    pub recorded: Vec<String>,
    /// Without.
    pub any: Vec<String>,
}

impl Tables {
    pub fn make(shell: &Shell) -> Result<Self> {
        Ok(Self {
            recorded: table(shell, &[])?,
            any: table(shell, &["any"])?,
        })
    }
}

/// One table.
fn table(shell: &Shell, words: &[&str]) -> Result<Vec<String>> {
    let output = cmd!(
        shell,
        "cargo run --quiet -p hypercall-conformance --features fake --example table -- {words...}"
    )
    .quiet()
    .ignore_status()
    .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let failed: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("FAILED"))
            .collect();
        bail!(
            "the suite fails over the loopback already:\n{}{}",
            failed.join("\n"),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(super::judge::rows(&text).map(str::to_owned).collect())
}
