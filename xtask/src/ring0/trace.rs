//! The trace that a guest recorded: cut out of its output, opened, compared, replayed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use super::build::quietly;

/// Cuts the trace out of an output and writes it to a file in the folder.
pub fn extract(output: &str, folder: &Path, boot: &str) -> Result<PathBuf> {
    let mut bytes = Vec::new();
    for line in output
        .lines()
        .filter_map(|line| line.strip_prefix("trace: "))
    {
        for pair in line.as_bytes().chunks(2) {
            let pair = str::from_utf8(pair)?;
            bytes.push(
                u8::from_str_radix(pair, 16)
                    .with_context(|| format!("`{line}` is no line of a trace"))?,
            );
        }
    }
    let end = output
        .lines()
        .find_map(|line| line.strip_prefix("trace end: ")?.strip_suffix(" bytes"))
        .context("the trace has no end")?;
    ensure!(
        end.parse() == Ok(bytes.len()),
        "{} bytes of a trace arrived, and the guest sent {end}",
        bytes.len()
    );
    let path = folder.join(boot.replace(' ', "-")).with_extension("hct");
    std::fs::write(&path, bytes)?;
    Ok(path)
}

/// Shows and verifies a trace by the tool for it, compares it with the loopback's, and lets it answer the suite.
pub fn check(shell: &Shell, path: &Path) -> Result<()> {
    for command in ["verify", "show"] {
        let said = quietly(cmd!(
            shell,
            "cargo run --quiet -p hypercall-cli -- {command} {path}"
        ))?;
        ensure!(
            !said.trim().is_empty(),
            "`hcall {command}` says nothing about {}",
            path.display()
        );
        if command == "show" {
            ensure!(
                said.contains("get_api_version()"),
                "`hcall show` does not show the first call of {}",
                path.display()
            );
        }
    }
    let _trace = shell.push_env("RING0_TRACE", path);
    quietly(cmd!(
        shell,
        "cargo test --quiet -p hypercall-conformance --test trace"
    ))
    .with_context(|| {
        format!(
            "the trace {} is not the loopback's, or does not replay",
            path.display()
        )
    })?;
    println!(
        "    trace {}: as the loopback's, and it replays",
        path.display()
    );
    Ok(())
}
