//! What a newcomer would run.

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

pub fn publish(shell: &Shell) -> Result<()> {
    cmd!(shell, "cargo publish --workspace --dry-run --allow-dirty").run()?;
    Ok(())
}
