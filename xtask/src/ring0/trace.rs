//! The trace that a guest recorded: cut out of its output, opened, compared, replayed.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use super::build::quietly;

/// Cuts the trace out of an output. Its lines are complete and nothing but hexadecimal; what is wrong within a byte the
/// trace's own checksums tell.
pub fn extract(output: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for line in output
        .lines()
        .filter_map(|line| line.strip_prefix("trace: "))
    {
        for pair in line.as_bytes().chunks(2) {
            let digits = pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
            ensure!(digits, "`{line}` is no line of a trace");
            bytes.push(u8::from_str_radix(str::from_utf8(pair)?, 16)?);
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
    Ok(bytes)
}

/// Shows and verifies a trace by the tool for it, compares it with the loopback's, and lets it answer the suite. `any`: the
/// suite left out what depends on the recorded machine.
pub fn check(shell: &Shell, path: &Path, any: bool) -> Result<()> {
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
    let _options = shell.push_env("RING0_OPTIONS", if any { "any" } else { "recorded" });
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

#[cfg(test)]
mod tests {
    use super::extract;

    const WHOLE: &str = "guest: started\ntrace: 48c0ff\n   1  a row\ntrace: 00\ntrace end: 4 bytes\nring0: passed\n";

    #[test]
    fn a_trace_is_cut_out_of_what_is_around_it() {
        assert_eq!(extract(WHOLE).unwrap(), [0x48, 0xc0, 0xff, 0]);
    }

    #[test]
    fn what_the_way_did_to_a_trace_is_noticed() {
        for (from, to) in [
            ("trace: 00\n", ""),
            ("trace: 00\n", "trace: 00\ntrace: 00\n"),
            ("trace: 48c0ff", "trace: 48c0f"),
            ("trace: 48c0ff", "trace: 48cEXCEPTION 13"),
            ("trace: 48c0ff", "trace: 48+0ff"),
            ("trace end: 4 bytes\n", ""),
            ("trace end: 4 bytes\n", "trace end: 4"),
            ("trace: 00", "trce: 00"),
        ] {
            assert!(WHOLE.contains(from));
            assert!(extract(&WHOLE.replace(from, to)).is_err(), "{to}");
        }
    }
}
