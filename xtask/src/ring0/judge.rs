//! Whether a boot ended as it must.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};

use super::boot::Run;
use super::boots::{Boot, End, Loader};
use super::build::Tables;
use super::host::Host;

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

/// Calls, and how many instructions more than a hand-written one the typed one has: what the listings of the object-code
/// test show. The two look whether what came back is an address.
const COSTS: [(&str, i64); 4] = [
    ("create_vcpu(value)", 0),
    ("set_irqline(value, value)", 0),
    ("inject_msi(value, read)", 0),
    ("vm_gpa2hpa(value, read and written)", 2),
];
/// What it costs that RAX holds no answer before a call, in the typed form and in the hand-written one: one instruction.
const GUARD: &str = "a RAX that is no answer: 1 more";
/// Calls whose cost under the recorder is shown, in the order in which they are made in ring 0 and on the host.
pub const RECORDED: [&str; 3] = [
    "create_vcpu(value)",
    "inject_msi(value, read)",
    "vm_gpa2hpa(value, read and written)",
];

/// The lines about cost. Every call costs what it must, and the recorder's cost is there, beside the host's.
fn costs(output: &str, host: &Host) -> Result<Vec<String>> {
    let lines: Vec<&str> = output
        .lines()
        .filter_map(|line| line.strip_prefix("cost: "))
        .collect();
    for (call, more) in COSTS {
        let line = lines
            .iter()
            .find(|line| line.starts_with(&format!("{call} bare ")))
            .with_context(|| format!("the cost of {call} was not measured"))?;
        ensure!(
            line.ends_with(&format!(" difference {more}")),
            "a typed call costs another number of instructions than {more} more than a hand-written one: {line}"
        );
    }
    ensure!(
        lines.contains(&GUARD),
        "no line is `cost: {GUARD}`: {lines:?}"
    );
    let mut notes: Vec<String> = lines
        .iter()
        .filter(|line| !line.contains(" recorded: "))
        .map(|line| (*line).to_owned())
        .collect();
    for (at, call) in RECORDED.into_iter().enumerate() {
        let more = lines.iter().find_map(|line| {
            line.strip_prefix(call)?
                .strip_prefix(" recorded: ")?
                .strip_suffix(" more")?
                .parse::<u64>()
                .ok()
        });
        let more = more
            .filter(|more| *more > 0)
            .with_context(|| format!("the recorder's cost of {call} was not measured"))?;
        notes.push(format!(
            "recorder, {call}: ring 0 {more} instructions more, {}",
            host.beside(at)
        ));
    }
    Ok(notes)
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
    use super::*;

    const GOOD: &str = "hypervisor: a processor, guest at 0x200000
guest: started
   1  a_call     asked      0  ok
   2  a_call     again     -1  left out
      a check: ok
cost: a RAX that is no answer: 1 more
cost: create_vcpu(value) bare 9 typed 9 difference 0
cost: set_irqline(value, value) bare 9 typed 9 difference 0
cost: inject_msi(value, read) bare 9 typed 9 difference 0
cost: vm_gpa2hpa(value, read and written) bare 9 typed 11 difference 2
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
    fn a_typed_call_that_costs_something_fails() {
        let boot = boot(End::PassedAtNoCost);
        for (from, to) in [
            (
                "bare 9 typed 9 difference 0\ncost: set",
                "bare 9 typed 10 difference 1\ncost: set",
            ),
            (
                "cost: set_irqline(value, value) bare 9 typed 9 difference 0\n",
                "",
            ),
            (
                "read) bare 9 typed 9 difference 0",
                "read) bare 9 typed 10 difference 1",
            ),
            ("typed 11 difference 2", "typed 12 difference 3"),
            ("no answer: 1 more", "no answer: 2 more"),
            ("typed 11 difference 2", "typed 9 difference 0"),
            ("cost: inject_msi(value, read) recorded: 900 more\n", ""),
            ("read) recorded: 900 more", "read) recorded: -1 more"),
        ] {
            assert!(GOOD.contains(from));
            let output = GOOD.replace(from, to);
            assert!(judge(&boot, &run(PASSED, &output), &tables()).is_err());
        }
    }

    #[test]
    fn the_recorders_cost_stands_beside_the_hosts() {
        let notes = costs(GOOD, &tables().host).unwrap();
        assert_eq!(
            notes[5..],
            [
                "recorder, create_vcpu(value): ring 0 900 instructions more, host 600, host with std 150",
                "recorder, inject_msi(value, read): ring 0 900 instructions more, host 700, host with std 160",
                "recorder, vm_gpa2hpa(value, read and written): ring 0 900 instructions more, host 800, host with std 170",
            ]
        );
        let nothing = Host::NotCounted("ptrace is not permitted here".to_owned());
        assert_eq!(
            costs(GOOD, &nothing).unwrap()[5],
            "recorder, create_vcpu(value): ring 0 900 instructions more, host not counted: ptrace is not permitted here"
        );
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
