//! What a newcomer would run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use xshell::{Shell, cmd};

/// The examples that run by themselves.
const EXAMPLES: &[&str] = &[
    "quickstart",
    "mock",
    "own_interface",
    "layers",
    "recording",
    "asynchronous",
    "vmcall_no_std",
];

pub fn examples(shell: &Shell) -> Result<()> {
    for example in EXAMPLES {
        println!("\n-- cargo run --example {example}");
        cmd!(
            shell,
            "cargo run --quiet --all-features --example {example}"
        )
        .run()?;
    }
    let folder = shell.create_temp_dir()?;
    for (package, words) in [
        ("hypercall-trace", ["--example", "record", "--"].as_slice()),
        ("hypercall-cli", &["--", "demo", "--output"]),
    ] {
        println!("\n-- cargo run -p {package} {}", words.join(" "));
        let file = folder.path().join(package).with_extension("hct");
        cmd!(shell, "cargo run --quiet -p {package} {words...} {file}").run()?;
    }
    Ok(())
}

pub fn conform(shell: &Shell) -> Result<()> {
    let mut files = shell.read_dir("transport-mock/tests/data/observed")?;
    files.sort();
    cmd!(
        shell,
        "cargo run --quiet --all-features --example conform -- {files...}"
    )
    .run()?;
    Ok(())
}

/// Removes what an earlier dry run left: packages of the same version, and what was built of them, which cargo would take for
/// today's.
fn forget_dry_runs(shell: &Shell) -> Result<()> {
    let target = crate::ring0::target(shell).with_file_name("");
    if target.join("package").exists() {
        remove_ours(shell, &target.join("debug/.fingerprint"))?;
    }
    let home = shell
        .var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(shell.var_os("HOME")?).join(".cargo")));
    let Some(sources) = home.map(|home| home.join("registry/src")) else {
        return Ok(());
    };
    for registry in shell.read_dir(sources).unwrap_or_default() {
        // The registry of a dry run is a folder: its name has no host in front.
        if !registry
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('-'))
        {
            continue;
        }
        remove_ours(shell, &registry)?;
    }
    Ok(())
}

fn remove_ours(shell: &Shell, folder: &Path) -> Result<()> {
    for package in shell.read_dir(folder).unwrap_or_default() {
        if package
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("hypercall-"))
        {
            shell.remove_path(package)?;
        }
    }
    Ok(())
}

pub fn publish(shell: &Shell) -> Result<()> {
    forget_dry_runs(shell)?;
    cmd!(shell, "cargo publish --workspace --dry-run --allow-dirty").run()?;
    Ok(())
}
