//! Whether a boot ended as it must.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};

use super::boot::Run;
use super::boots::{Boot, End, Loader};
use super::build::Tables;
use super::cost::costs;

/// Exit statuses of QEMU for the ends that the images know.
const PASSED: i32 = 33;
const FAILED: i32 = 35;
const REFUSED: i32 = 37;

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// Steps of the conformance suite that were answered as by ACRN.
    steps: usize,
    /// Other things that held.
    checks: usize,
    /// What the run said for people.
    notes: Vec<String>,
}

impl Judged {
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.checks += other.checks;
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps == 0 && self.checks == 0 {
            f.write_str("ends as it should")?;
        } else {
            write!(
                f,
                "{} steps as ACRN, {} checks hold",
                self.steps, self.checks
            )?;
        }
        self.notes
            .iter()
            .try_for_each(|note| write!(f, "\n    {note}"))
    }
}

/// The rows of a suite's table: lines that start with a number.
pub fn rows(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| {
        let mut words = line.split_whitespace();
        line.starts_with(' ')
            && words
                .next()
                .is_some_and(|word| word.parse::<usize>().is_ok())
            && words.next().is_some()
    })
}

/// Judges a run. `tables` are the suite's over a loopback.
pub fn judge(boot: &Boot, run: &Run, tables: &Tables) -> Result<Judged> {
    let last = run
        .output
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let status = |expected: i32| -> Result<()> {
        // Bochs has none that says anything.
        ensure!(
            boot.loader == Loader::Bochs || run.status == Some(expected),
            "the exit status is {:?}, not {expected}; the last line is `{last}`",
            run.status
        );
        Ok(())
    };
    if !boot.processor.is_empty() {
        let start = format!("hypervisor: {}, guest at ", boot.processor);
        ensure!(
            run.output.lines().any(|line| line.starts_with(&start)),
            "no line starts with `{start}`: the boot does not show what it is for"
        );
    }
    match boot.end {
        End::Passed => {
            status(PASSED)?;
            passed(boot, run, last, &tables.recorded)
        }
        End::PassedAnywhere => {
            status(PASSED)?;
            passed(boot, run, last, &tables.any)
        }
        End::PassedAtNoCost => {
            status(PASSED)?;
            let mut judged = passed(boot, run, last, &tables.recorded)?;
            judged.notes = costs(&run.output, &tables.host)?;
            Ok(judged)
        }
        End::Refused(why) => {
            status(REFUSED)?;
            ensure!(last == "ring0: refused", "the last line is `{last}`");
            let line = run
                .output
                .lines()
                .find(|line| line.contains("no hypercall was made"));
            let line = line.context("nothing says that no hypercall was made")?;
            ensure!(line.contains(why), "`{line}` does not say `{why}`");
            Ok(Judged {
                notes: vec![line.to_owned()],
                ..Judged::default()
            })
        }
        End::Failed(why) => {
            status(FAILED)?;
            let line = run.output.lines().find(|line| line.contains(why));
            let line =
                line.with_context(|| format!("nothing says `{why}`; the last line is `{last}`"))?;
            Ok(Judged {
                notes: vec![format!("it failed: {}", line.trim())],
                ..Judged::default()
            })
        }
    }
}

fn passed(boot: &Boot, run: &Run, last: &str, table: &[String]) -> Result<Judged> {
    let said = numbers(
        last.strip_prefix("ring0: passed: ")
            .with_context(|| format!("the last line is `{last}`"))?,
    );
    let [steps, checks, failed] = said[..] else {
        bail!("the last line is `{last}`");
    };
    ensure!(failed == 0, "the last line is `{last}`");
    let all: Vec<&str> = rows(&run.output).collect();
    ensure!(
        all.len() == table.len(),
        "{} rows arrived, and the loopback has {}",
        all.len(),
        table.len()
    );
    for (number, (ours, theirs)) in all.iter().zip(table).enumerate() {
        ensure!(
            ours == theirs,
            "step {} differs from the loopback's:\n  ring 0    {ours}\n  loopback  {theirs}",
            number + 1
        );
    }
    let made = all.iter().filter(|row| row.ends_with("  ok")).count();
    let left_out = all.iter().filter(|row| row.ends_with("  left out")).count();
    ensure!(
        (made, made + left_out) == (steps, all.len()),
        "{made} rows of {steps} steps say ok, {left_out} say left out"
    );
    let held = run
        .output
        .lines()
        .filter(|line| line.starts_with("      ") && line.ends_with(": ok"))
        .count();
    ensure!(held == checks, "{held} checks arrived of {checks}");
    ensure!(
        checks == boot.checks,
        "{checks} checks were made, and this boot has {}: see `CHECKS` in xtask/src/ring0/boots.rs",
        boot.checks
    );
    ensure!(!run.output.contains("FAILED"), "something failed");
    Ok(Judged {
        steps,
        checks,
        notes: Vec::new(),
    })
}

fn numbers(text: &str) -> Vec<usize> {
    text.split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|word| word.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::super::boots::{BOCHS, QEMU};
    use super::super::host::Host;
    use super::*;

    const GOOD: &str = "hypervisor: a processor, guest at 0x200000
guest: started
   1  a_call     asked      0  ok
   2  a_call     again     -1  left out
      a check: ok
cost: empty 3
cost: save_restore_sworld_ctx(): typed 8, by hand 8, with any RAX 7
cost: create_vcpu(value): typed 9, by hand 9, with any RAX 8
cost: set_irqline(value, value): typed 10, by hand 10, with any RAX 9
cost: inject_msi(value, read): typed 9, by hand 9, with any RAX 8
cost: set_memory_regions(value, array): typed 19, by hand 19, with any RAX 18
cost: get_api_version(written): typed 15, by hand 15, with any RAX 14
cost: create_vm(read and written): typed 14, by hand 8, with any RAX 7
cost: vm_gpa2hpa(value, read and written): typed 12, by hand 9, with any RAX 8
cost: create_vcpu(value) recorded: 900 more
cost: inject_msi(value, read) recorded: 900 more
cost: vm_gpa2hpa(value, read and written) recorded: 900 more
ring0: passed: 1 steps, 1 checks, 0 failed
";

    fn tables() -> Tables {
        let rows: Vec<String> = rows(GOOD).map(str::to_owned).collect();
        assert_eq!(rows.len(), 2);
        Tables {
            recorded: rows.clone(),
            any: rows,
            host: Host::Counted {
                core: [600, 700, 800],
                std: [150, 160, 170],
            },
        }
    }

    fn run(status: i32, output: &str) -> Run {
        Run {
            status: Some(status),
            output: output.to_owned(),
            file: PathBuf::new(),
            elapsed: Duration::ZERO,
        }
    }

    fn boot(end: End) -> Boot {
        let refused = matches!(end, End::Refused(_) | End::Failed(_));
        Boot {
            end,
            processor: if refused { "" } else { "a processor" },
            checks: 1,
            ..QEMU[0]
        }
    }

    #[test]
    fn a_run_passes_when_everything_is_as_it_should() {
        for end in [End::Passed, End::PassedAnywhere, End::PassedAtNoCost] {
            let judged = judge(&boot(end), &run(PASSED, GOOD), &tables()).unwrap();
            assert_eq!((judged.steps, judged.checks), (1, 1));
        }
    }

    #[test]
    fn a_run_fails_when_one_thing_is_not() {
        let passed = boot(End::Passed);
        for status in [FAILED, REFUSED, 0, 1] {
            assert!(judge(&passed, &run(status, GOOD), &tables()).is_err());
        }
        for (from, to) in [
            ("asked      0  ok", "asked      0  FAILED: refused"),
            ("asked      0  ok", "asked     -1  ok"),
            ("   2  a_call     again     -1  left out\n", ""),
            ("again     -1  left out", "again     -1  ok"),
            ("      a check: ok\n", ""),
            ("a check: ok", "a check: FAILED"),
            ("1 steps", "2 steps"),
            ("1 checks", "2 checks"),
            ("0 failed", "1 failed"),
            ("ring0: passed", "ring0: FAILED"),
            ("a processor", "another one"),
            ("hypervisor: a processor, guest at 0x200000\n", ""),
            ("ring0: passed: 1 steps, 1 checks, 0 failed\n", ""),
        ] {
            assert!(GOOD.contains(from));
            let output = GOOD.replace(from, to);
            assert!(
                judge(&passed, &run(PASSED, &output), &tables()).is_err(),
                "{to}"
            );
        }
    }

    #[test]
    fn a_check_that_is_no_longer_made_fails() {
        let output = GOOD.replace("      a check: ok\n", "");
        let output = output.replace("1 checks", "0 checks");
        assert!(judge(&boot(End::Passed), &run(PASSED, &output), &tables()).is_err());
        let none = Boot {
            checks: 0,
            ..boot(End::Passed)
        };
        assert!(judge(&none, &run(PASSED, &output), &tables()).is_ok());
    }

    #[test]
    fn only_a_boot_that_counts_is_judged_by_its_costs() {
        let output = GOOD.replace("typed 12, by hand 9", "typed 13, by hand 9");
        let judged = |end| judge(&boot(end), &run(PASSED, &output), &tables());
        assert!(judged(End::PassedAtNoCost).is_err());
        assert!(judged(End::Passed).is_ok());
    }

    #[test]
    fn a_failure_that_was_asked_for_has_to_come() {
        let failed = boot(End::Failed("EXCEPTION 13"));
        let output = "EXCEPTION 13 at RIP 0x1\n";
        assert!(judge(&failed, &run(FAILED, output), &tables()).is_ok());
        assert!(judge(&failed, &run(PASSED, output), &tables()).is_err());
        assert!(judge(&failed, &run(FAILED, GOOD), &tables()).is_err());
        let refused = boot(End::Refused("no hypervisor"));
        let output = "guest: no hypercall was made: no hypervisor\nring0: refused\n";
        assert!(judge(&refused, &run(REFUSED, output), &tables()).is_ok());
        assert!(judge(&refused, &run(REFUSED, GOOD), &tables()).is_err());
    }

    #[test]
    fn boots_have_files_of_their_own() {
        let names: Vec<String> = QEMU.iter().chain(BOCHS).map(Boot::file_name).collect();
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{name}");
            assert!(
                !name.contains(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')
            );
        }
    }
}
