//! What is judged without running it.

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

/// Workspaces beside the main one.
const OUTSIDE: &[&str] = &["codegen", "fuzz", "testbed"];

pub fn format(shell: &Shell) -> Result<()> {
    cmd!(shell, "cargo fmt --all --check").run()?;
    for folder in OUTSIDE {
        cmd!(
            shell,
            "cargo fmt --all --manifest-path {folder}/Cargo.toml --check"
        )
        .run()?;
    }
    Ok(())
}

pub fn version(shell: &Shell) -> Result<()> {
    let manifest = shell.read_file("Cargo.toml")?;
    let stated = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'))
        .context("Cargo.toml states no rust-version")?;
    let used = cmd!(shell, "rustc --version").read()?;
    if !used.starts_with(&format!("rustc {stated}.")) {
        bail!(
            "the minimum version is stated as {stated}, and the tests run on {used}: they prove nothing about it"
        );
    }
    println!("{stated}, checked with {used}");
    Ok(())
}

/// What a kernel takes, and what else differs from the workspace with all features.
const APART: &[&[&str]] = &[
    &["-p", "hypercall-core", "-p", "hypercall-vmcall"],
    &["-p", "hypercall-trace", "--no-default-features"],
    &["-p", "hypercall", "--no-default-features"],
    &[
        "-p",
        "hypercall",
        "--no-default-features",
        "--features",
        "recorder",
    ],
    &["-p", "hypercall-mock", "--no-default-features"],
];

pub fn clippy(shell: &Shell) -> Result<()> {
    cmd!(
        shell,
        "cargo clippy --workspace --all-targets --all-features -- -D warnings"
    )
    .run()?;
    for &words in APART {
        cmd!(shell, "cargo clippy {words...} -- -D warnings").run()?;
    }
    cmd!(
        shell,
        "cargo clippy --manifest-path fuzz/Cargo.toml --all-targets -- -D warnings"
    )
    .run()?;
    // One by one, as they are built: together they would get each other's features, and the guest has no std.
    let folder = crate::ring0::target(shell);
    let host = crate::ring0::host(shell)?;
    let images: &[&[&str]] = &[
        &["bare"],
        &["guest"],
        &["hypervisor"],
        &["virt"],
        &["counted"],
        &["counted", "--features", "std"],
    ];
    for &package in images {
        cmd!(
            shell,
            "cargo clippy --release --manifest-path testbed/Cargo.toml --target-dir {folder} --target {host} -p {package...} -- -D warnings"
        )
        .run()?;
    }
    Ok(())
}

pub fn docs(shell: &Shell) -> Result<()> {
    let _flags = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    cmd!(shell, "cargo doc --workspace --no-deps --all-features").run()?;
    Ok(())
}
