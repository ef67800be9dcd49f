//! Whether a boot ended as it must.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};

use super::boot::Run;
use super::boots::{Boot, End, Loader};
use super::build::Tables;

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
    match boot.end {
        End::Passed => {
            status(PASSED)?;
            passed(run, last, &tables.recorded)
        }
        End::PassedAnywhere => {
            status(PASSED)?;
            passed(run, last, &tables.any)
        }
        End::PassedAtNoCost => {
            status(PASSED)?;
            let mut judged = passed(run, last, &tables.recorded)?;
            judged.notes = costs(&run.output)?;
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

fn passed(run: &Run, last: &str, table: &[String]) -> Result<Judged> {
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
    ensure!(!run.output.contains("FAILED"), "something failed");
    Ok(Judged {
        steps,
        checks,
        notes: Vec::new(),
    })
}

/// The lines about cost. Calls of values must cost nothing.
fn costs(output: &str) -> Result<Vec<String>> {
    let lines: Vec<&str> = output
        .lines()
        .filter_map(|line| line.strip_prefix("cost: "))
        .collect();
    let values = lines
        .iter()
        .filter(|line| line.contains("(value) bare ") || line.contains("(value, value) bare "));
    let mut seen = 0;
    for line in values {
        ensure!(
            line.ends_with(" difference 0"),
            "a typed call of values costs more than a hand-written one: {line}"
        );
        seen += 1;
    }
    ensure!(seen >= 2, "no calls of values were measured");
    Ok(lines.iter().map(|line| (*line).to_owned()).collect())
}

fn numbers(text: &str) -> Vec<usize> {
    text.split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|word| word.parse().ok())
        .collect()
}
