//! What other tools than the test runner execute.

use anyhow::Result;
use xshell::{Shell, cmd};

pub fn loom(shell: &Shell) -> Result<()> {
    // A target folder of its own: the flag changes every crate, and would have everything else built anew.
    let folder = shell.current_dir().join("target/loom");
    // Under loom most of the crate is left out, and what it alone uses has no use.
    let _flags = shell.push_env("RUSTFLAGS", "--cfg loom -A unused");
    cmd!(
        shell,
        "cargo test --release --target-dir {folder} -p hypercall-trace --lib ring::model"
    )
    .run()?;
    Ok(())
}

/// Packages, and which of their tests: those of the code around the asm, which Miri cannot run, and of the recorder's ring.
const UNDER_MIRI: &[&[&str]] = &[
    &["-p", "hypercall-core", "--lib", "--test", "ioreq"],
    &[
        "-p",
        "hypercall-mock",
        "--no-default-features",
        "--test",
        "own_interface",
    ],
    &["-p", "hypercall-trace", "--lib", "ring::"],
];

pub fn miri(shell: &Shell) -> Result<()> {
    let installed = || {
        cmd!(shell, "cargo +nightly miri --version")
            .quiet()
            .ignore_stdout()
            .ignore_stderr()
            .run()
            .is_ok()
    };
    if !installed() {
        let _ = cmd!(
            shell,
            "rustup component add miri rust-src --toolchain nightly"
        )
        .ignore_status()
        .run();
    }
    if !installed() {
        println!("not run: there is no nightly toolchain with Miri here, and none could be had");
        return Ok(());
    }
    for &words in UNDER_MIRI {
        cmd!(shell, "cargo +nightly miri test {words...}").run()?;
    }
    Ok(())
}
