//! The images, and what a guest's output is compared with.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use xshell::{Cmd, Shell, cmd};

use super::host::Host;

/// Where the images are built: beside the workspace's own things.
pub fn target(shell: &Shell) -> PathBuf {
    let target = shell
        .var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from("target"), PathBuf::from);
    shell.current_dir().join(target).join("ring0")
}

/// Runs a command, and shows what it says only where it fails. Returns its output.
pub fn quietly(command: Cmd<'_>) -> Result<String> {
    let output = command.quiet().ignore_status().output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said.into_owned())
}

/// The target that the images are built for, which is the host's: it is named, so that they lie in the same folder whatever
/// the configuration of cargo says, and so that flags for them are none of the build scripts'.
pub fn host(shell: &Shell) -> Result<String> {
    let said = cmd!(shell, "rustc -vV").quiet().read()?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

/// Flags for rustc, which come before those of RUSTFLAGS and of configurations.
const FLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";

fn build(shell: &Shell, package: &str, program: &str, features: &[&str]) -> Result<PathBuf> {
    let folder = target(shell);
    let host = host(shell)?;
    // The images have nothing to unwind with, whatever a profile in the environment or in a configuration says.
    let panic = "profile.release.panic=\"abort\"";
    quietly(
        cmd!(
            shell,
            "cargo build --quiet --release --config {panic} --manifest-path testbed/Cargo.toml --target-dir {folder} --target {host} -p {package} --bin {program} {features...}"
        )
        // Nobody's flags may change the images, neither those of this run nor those of a configuration of cargo's: they would be
        // linked otherwise, or use instructions that the guest has not. This variable is before all others, also when empty.
        .env(FLAGS, ""),
    )
    .with_context(|| format!("{program} does not build"))?;
    Ok(folder.join(host).join("release").join(program))
}

/// Builds the guest.
pub fn guest(shell: &Shell) -> Result<PathBuf> {
    build(shell, "guest", "guest", &[])
}

/// Builds the hypervisor around a guest.
pub fn hypervisor(shell: &Shell, guest: &std::path::Path) -> Result<PathBuf> {
    let _guest = shell.push_env("GUEST_ELF", guest);
    build(shell, "hypervisor", "hypervisor", &[])
}

/// Builds a program that makes recorded calls on the host, as the images are built.
pub fn counted(shell: &Shell, program: &str, features: &[&str]) -> Result<PathBuf> {
    build(shell, "counted", program, features)
}

/// The conformance suite's tables over a loopback, one line for each step; and what the recorder costs on the host.
#[derive(Debug)]
pub struct Tables {
    /// With what depends on the recorded machine.
    pub recorded: Vec<String>,
    /// Without.
    pub any: Vec<String>,
    pub host: Host,
}

impl Tables {
    pub fn make(shell: &Shell) -> Result<Self> {
        Ok(Self {
            recorded: table(shell, &[])?,
            any: table(shell, &["any"])?,
            host: Host::count(shell)?,
        })
    }
}

/// One table.
fn table(shell: &Shell, words: &[&str]) -> Result<Vec<String>> {
    let text = quietly(cmd!(
        shell,
        "cargo run --quiet -p hypercall-conformance --features fake --example table -- {words...}"
    ))
    .context("the suite fails over the loopback already")?;
    Ok(super::judge::rows(&text).map(str::to_owned).collect())
}
