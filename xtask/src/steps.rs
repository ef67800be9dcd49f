//! The steps of a test run.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

/// One step.
pub struct Step {
    pub name: &'static str,
    pub what: &'static str,
    run: fn(&Shell) -> Result<()>,
}

/// In the order in which a failure is cheapest; the tests are last, so that a run ends with cargo's own summary.
pub const STEPS: &[Step] = &[
    Step {
        name: "format",
        what: "rustfmt, of the workspace and of the crates outside it",
        run: format,
    },
    Step {
        name: "version",
        what: "the stated minimum Rust version is the one that is used",
        run: version,
    },
    Step {
        name: "clippy",
        what: "clippy with warnings denied, in every combination of features that matters",
        run: clippy,
    },
    Step {
        name: "docs",
        what: "rustdoc with warnings denied",
        run: docs,
    },
    Step {
        name: "examples",
        what: "every example runs and says what it should",
        run: examples,
    },
    Step {
        name: "conform",
        what: "the fake ACRN agrees with every recorded answer of a real one",
        run: conform,
    },
    Step {
        name: "fuzz",
        what: "every fuzz target, for a fixed number of inputs",
        run: fuzz,
    },
    Step {
        name: "miri",
        what: "the tests that Miri can run, where it can be had",
        run: miri,
    },
    Step {
        name: "publish",
        what: "the published crates package and build from their packages",
        run: publish,
    },
    Step {
        name: "tests",
        what: "all tests and doctests",
        run: tests,
    },
];

/// Crates outside the workspace.
const OUTSIDE: &[&str] = &["codegen", "fuzz"];

/// Members that are being built and are not yet held to what the others are: what they promise comes with them.
const UNFINISHED: [&str; 6] = [
    "--exclude",
    "hypercall-trace",
    "--exclude",
    "hypercall-cli",
    "--exclude",
    "hypercall-conformance",
];

/// Runs all steps, or one.
pub fn run(shell: &Shell, only: Option<&str>) -> Result<()> {
    if let Some(name) = only
        && !STEPS.iter().any(|step| step.name == name)
    {
        bail!("there is no step `{name}`; see `cargo xtask steps`");
    }
    for step in STEPS
        .iter()
        .filter(|step| only.is_none_or(|name| name == step.name))
    {
        println!("\n== {}: {}", step.name, step.what);
        let start = Instant::now();
        (step.run)(shell).with_context(|| {
            format!(
                "step `{0}` failed; run it alone with `cargo xtask test --only {0}`",
                step.name
            )
        })?;
        eprintln!("== {} passed in {} s", step.name, start.elapsed().as_secs());
    }
    Ok(())
}

fn format(shell: &Shell) -> Result<()> {
    cmd!(shell, "cargo fmt --all --check").run()?;
    for folder in OUTSIDE {
        cmd!(
            shell,
            "cargo fmt --manifest-path {folder}/Cargo.toml --check"
        )
        .run()?;
    }
    Ok(())
}

fn version(shell: &Shell) -> Result<()> {
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

fn clippy(shell: &Shell) -> Result<()> {
    cmd!(
        shell,
        "cargo clippy --workspace {UNFINISHED...} --all-targets --all-features -- -D warnings"
    )
    .run()?;
    cmd!(
        shell,
        "cargo clippy --manifest-path fuzz/Cargo.toml --all-targets -- -D warnings"
    )
    .run()?;
    // What a kernel takes: no allocator, no std.
    cmd!(
        shell,
        "cargo clippy -p hypercall-core -p hypercall-vmcall -- -D warnings"
    )
    .run()?;
    cmd!(
        shell,
        "cargo clippy -p hypercall --no-default-features -- -D warnings"
    )
    .run()?;
    cmd!(
        shell,
        "cargo clippy -p hypercall-mock --no-default-features -- -D warnings"
    )
    .run()?;
    Ok(())
}

fn docs(shell: &Shell) -> Result<()> {
    let _flags = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    cmd!(
        shell,
        "cargo doc --workspace {UNFINISHED...} --no-deps --all-features"
    )
    .run()?;
    Ok(())
}

/// The examples that run by themselves.
const EXAMPLES: &[&str] = &[
    "quickstart",
    "mock",
    "own_interface",
    "layers",
    "asynchronous",
    "vmcall_no_std",
];

fn examples(shell: &Shell) -> Result<()> {
    for example in EXAMPLES {
        println!("\n-- cargo run --example {example}");
        cmd!(
            shell,
            "cargo run --quiet --all-features --example {example}"
        )
        .run()?;
    }
    Ok(())
}

fn conform(shell: &Shell) -> Result<()> {
    let mut files = shell.read_dir("transport-mock/tests/data/observed")?;
    files.sort();
    cmd!(
        shell,
        "cargo run --quiet --all-features --example conform -- {files...}"
    )
    .run()?;
    Ok(())
}

/// Inputs that each target gets in a test run: enough to notice a mistake, not to find a deep one.
const FUZZ_RUNS: &str = "-runs=20000";

fn fuzz(shell: &Shell) -> Result<()> {
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
        // Without a sanitizer it runs on the stable compiler; there is no unsafe code in what is fuzzed.
        let output = cmd!(
            shell,
            "cargo fuzz run --sanitizer none {target} -- {FUZZ_RUNS} -seed=1 -len_control=0 -max_len=512"
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
        println!("{target}: {}", FUZZ_RUNS.trim_start_matches("-runs="));
    }
    Ok(())
}

fn miri(shell: &Shell) -> Result<()> {
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
    // No unsafe code but the asm, which Miri cannot run: what it checks is the code around it.
    cmd!(
        shell,
        "cargo +nightly miri test -p hypercall-core --lib --test ioreq"
    )
    .run()?;
    cmd!(
        shell,
        "cargo +nightly miri test -p hypercall-mock --no-default-features --test own_interface"
    )
    .run()?;
    Ok(())
}

fn publish(shell: &Shell) -> Result<()> {
    cmd!(
        shell,
        "cargo publish --workspace {UNFINISHED...} --dry-run --allow-dirty"
    )
    .run()?;
    Ok(())
}

fn tests(shell: &Shell) -> Result<()> {
    cmd!(
        shell,
        "cargo test --workspace {UNFINISHED...} --all-features"
    )
    .run()?;
    Ok(())
}

/// Writes what tests compare with.
pub fn bless(shell: &Shell) -> Result<()> {
    let _bless = shell.push_env("BLESS", "1");
    let _overwrite = shell.push_env("TRYBUILD", "overwrite");
    cmd!(shell, "cargo test -p hypercall-vmcall --test object_code").run()?;
    cmd!(shell, "cargo test -p hypercall --test compile_fail").run()?;
    Ok(())
}
