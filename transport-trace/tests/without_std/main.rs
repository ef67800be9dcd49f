//! The recorder as it is compiled without std, as for ring 0: other checksums and no reader, and the same entries.
//!
//! Cargo would give this test's own library all the features that its dependencies ask for, so a package of its own is built, by
//! what was fetched for this one.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test"
)]

extern crate hypercall_core as hypercall;

#[path = "../common/mod.rs"]
mod common;
mod recorded;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{CALLS, INTERFACES};
use hypercall_trace::read::Trace;
use hypercall_trace::schema::Schema;

/// Builds the program, and runs it. What it prints.
fn by_the_form_without_std() -> Vec<u8> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.parent().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("without_std");
    fs::create_dir_all(&folder).unwrap();
    let program = package.join("tests/without_std/program.rs");
    let manifest = format!(
        "[package]\nname = \"without-std\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [workspace]\n\n\
         [[bin]]\nname = \"without-std\"\npath = {program:?}\n\n\
         [dependencies]\n\
         hypercall-core = {{ path = {:?} }}\n\
         hypercall-trace = {{ path = {package:?}, default-features = false }}\n\
         zerocopy = {{ version = \"0.8\", features = [\"derive\"] }}\n",
        root.join("core"),
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    // The versions that were fetched.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let cargo = |command: &str| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(&folder)
            .args([command, "--quiet", "--offline"])
            // Not what a wrapper of the test's own run asks for, such as one that counts what is covered.
            .env("CARGO_ENCODED_RUSTFLAGS", "")
            .env("CARGO_TARGET_DIR", folder.join("target"));
        cargo
    };
    let tree = cargo("tree").args(["--prefix", "none"]).output().unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let has = |name: &str| {
        tree.lines()
            .any(|line| line.split(' ').next() == Some(name))
    };
    // The last one comes with std.
    assert!(has("hypercall-trace") && has("siphasher"), "{tree}");
    assert!(!has("memmap2"), "not the form without std: {tree}");
    let output = cargo("run").output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

#[test]
fn the_form_without_std_records_the_same() {
    let trace = Trace::from_bytes(by_the_form_without_std()).unwrap();
    let with_std = Trace::from_bytes(recorded::recorded()).unwrap();
    // Not the same bytes: much memory has a sum of lines with std, and is under the CRC without it.
    assert!(trace.entries().eq(with_std.entries()), "the same entries");
    assert_eq!(trace.lanes(), with_std.lanes());
    assert_eq!(trace.clock(), with_std.clock());
    let report = trace.verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.calls, u64::from(recorded::ROUNDS) * CALLS);
    assert_eq!(trace.header().id, recorded::ID);
    assert_eq!(**trace.schema(), Schema::from_interfaces(INTERFACES));
}
