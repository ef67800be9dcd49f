//! The steps of a test run.

mod fuzz;
mod lint;
mod prove;
mod try_out;

use std::time::Instant;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::packages::{self, Package};
use crate::ring0;

/// One step.
pub struct Step {
    pub name: &'static str,
    pub what: &'static str,
    /// The packages that it needs besides Rust and a linker.
    pub needs: &'static [&'static [Package]],
    run: fn(&Shell) -> Result<()>,
}

/// In the order in which a failure is cheapest; the tests are last, so that a run ends with cargo's own summary.
pub const STEPS: &[Step] = &[
    Step {
        name: "format",
        what: "rustfmt, of the workspace and of the crates outside it",
        needs: &[],
        run: lint::format,
    },
    Step {
        name: "version",
        what: "the stated minimum Rust version is the one that is used",
        needs: &[],
        run: lint::version,
    },
    Step {
        name: "clippy",
        what: "clippy with warnings denied, in every combination of features that matters",
        needs: &[],
        run: lint::clippy,
    },
    Step {
        name: "docs",
        what: "rustdoc with warnings denied",
        needs: &[],
        run: lint::docs,
    },
    Step {
        name: "examples",
        what: "every example runs and says what it should, and so does hcall's demo",
        needs: &[],
        run: try_out::examples,
    },
    Step {
        name: "conform",
        what: "the fake ACRN agrees with every recorded answer of a real one",
        needs: &[],
        run: try_out::conform,
    },
    Step {
        name: "ring0",
        what: "a guest's VMCALLs exit to a hypervisor, in an emulator",
        needs: &[packages::QEMU, packages::BOCHS],
        run: |shell| {
            let flags = ring0::Flags {
                bochs: true,
                ..ring0::Flags::default()
            };
            ring0::run(shell, flags)
        },
    },
    Step {
        name: "fuzz",
        what: "every fuzz target, for a fixed number of inputs",
        needs: &[packages::FUZZ],
        run: fuzz::all,
    },
    Step {
        name: "loom",
        what: "every interleaving of the recorder's ring",
        needs: &[],
        run: prove::loom,
    },
    Step {
        name: "miri",
        what: "the tests that Miri can run, where it can be had",
        needs: &[],
        run: prove::miri,
    },
    Step {
        name: "publish",
        what: "the published crates package and build from their packages",
        needs: &[],
        run: try_out::publish,
    },
    Step {
        name: "tests",
        what: "all tests and doctests",
        needs: &[packages::TESTS],
        run: |shell| {
            ring0::tests(shell)?;
            cmd!(shell, "cargo test --workspace --all-features").run()?;
            Ok(())
        },
    },
];

/// Runs all steps, or one. What they need is there before the first runs, so that a machine that lacks something says so at
/// once; one step asks for nothing that only others need.
pub fn run(shell: &Shell, only: Option<&str>) -> Result<()> {
    if let Some(name) = only
        && !STEPS.iter().any(|step| step.name == name)
    {
        bail!("there is no step `{name}`; see `cargo xtask steps`");
    }
    packages::install(shell, needed(only))?;
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

/// The packages that these steps need.
fn needed(only: Option<&str>) -> impl Iterator<Item = &'static Package> {
    STEPS
        .iter()
        .filter(move |step| only.is_none_or(|name| name == step.name))
        .flat_map(|step| step.needs.iter().copied().flatten())
}

/// Writes what tests compare with.
pub fn bless(shell: &Shell) -> Result<()> {
    let _bless = shell.push_env("BLESS", "1");
    let _overwrite = shell.push_env("TRYBUILD", "overwrite");
    cmd!(shell, "cargo test -p hypercall-vmcall --test object_code").run()?;
    cmd!(shell, "cargo test -p hypercall --test compile_fail").run()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_asks_only_for_its_own_packages() {
        assert_eq!(needed(Some("format")).count(), 0);
        assert_eq!(needed(Some("tests")).count(), packages::TESTS.len());
        let all = [
            packages::TESTS,
            packages::FUZZ,
            packages::QEMU,
            packages::BOCHS,
        ];
        let all = all.map(<[Package]>::len).iter().sum::<usize>();
        assert_eq!(needed(None).count(), all);
    }
}
