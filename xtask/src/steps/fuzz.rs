//! The fuzz targets.

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

/// Inputs that each target gets in a test run: enough to notice a mistake, not to find a deep one.
const RUNS: &str = "-runs=20000";

pub fn all(shell: &Shell) -> Result<()> {
    if cmd!(shell, "cargo fuzz --version")
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .is_err()
    {
        cmd!(shell, "cargo install --locked --quiet cargo-fuzz").run()?;
    }
    let targets = cmd!(shell, "cargo fuzz list").read()?;
    for target in targets.lines() {
        // Without a sanitizer it runs on the stable compiler. The only unsafe code in what is fuzzed is the instruction for
        // checksums; Miri and its own tests look at that.
        let output = cmd!(
            shell,
            "cargo fuzz run --sanitizer none {target} -- {RUNS} -seed=1 -len_control=0 -max_len=512"
        )
        .quiet()
        .ignore_status()
        .output()?;
        // What the fuzzer says on its way is of interest only when it found something.
        if !output.status.success() {
            bail!(
                "fuzz target `{target}` failed:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        println!("{target}: {}", RUNS.trim_start_matches("-runs="));
    }
    Ok(())
}
