//! What the recorder costs on this machine, in instructions: the figures that stand beside ring 0's.
//!
//! They are counted by letting a program run one instruction after the other (ptrace), which needs no counter of the
//! processor's: a virtual machine has none. The program is `testbed/counted`, which says where a call starts and ends.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::Shell;

use super::build;
use super::cost::RECORDED;

/// How often the program makes each call: `ROUNDS` in `testbed/counted`.
#[cfg(target_os = "linux")]
const ROUNDS: usize = 32;

/// Instructions more, for each of [`RECORDED`].
pub type Costs = [u64; RECORDED.len()];

/// What was counted here.
#[derive(Clone, Debug)]
pub enum Host {
    Counted {
        /// The recorder without std, as the guest has it.
        core: Costs,
        /// The recorder with std.
        std: Costs,
    },
    /// Nothing may be traced here: why.
    NotCounted(String),
}

impl Host {
    /// Builds the programs and counts.
    pub fn count(shell: &Shell) -> Result<Self> {
        let core = count(&build::counted(shell, "counted", &[])?);
        let std = core.and_then(|core| {
            let program = build::counted(shell, "counted-std", &["--features", "std"])?;
            Ok((core, count(&program)?))
        });
        match std {
            Ok((core, std)) => Ok(Self::Counted { core, std }),
            Err(why) => match why.downcast::<NotTraced>() {
                // On a machine of somebody's it is said; where the tests must show everything it is a failure.
                Ok(why) => {
                    ensure!(
                        std::env::var_os("CI").is_none(),
                        "the recorder's cost on the host is part of CI: {why}"
                    );
                    Ok(Self::NotCounted(why.0))
                }
                Err(why) => Err(why.context("the recorder's cost on the host was not counted")),
            },
        }
    }

    /// What stands behind ring 0's figure of one call.
    pub fn beside(&self, call: usize) -> String {
        match self {
            Self::Counted { core, std } => match (core.get(call), std.get(call)) {
                (Some(core), Some(std)) => format!("host {core}, host with std {std}"),
                _ => "host not counted: there is no such call".to_owned(),
            },
            Self::NotCounted(why) => format!("host not counted: {why}"),
        }
    }
}

/// Nobody may trace here, for this reason.
#[derive(Debug)]
struct NotTraced(String);

impl fmt::Display for NotTraced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotTraced {}

#[cfg(not(target_os = "linux"))]
fn count(_: &Path) -> Result<Costs> {
    Err(NotTraced("instructions are counted on Linux only".to_owned()).into())
}

#[cfg(target_os = "linux")]
fn count(program: &Path) -> Result<Costs> {
    let intervals = stepping::intervals(&mut std::process::Command::new(program))
        .with_context(|| format!("counting the instructions of {}", program.display()))?;
    costs(&intervals)
}

/// From what was counted between the signals: each call plain and recorded, the fewest of the rounds.
#[cfg(target_os = "linux")]
fn costs(intervals: &[u64]) -> Result<Costs> {
    ensure!(
        intervals.len() == 2 * RECORDED.len() * ROUNDS,
        "{} calls were counted, not {} times {} plain and recorded",
        intervals.len(),
        ROUNDS,
        RECORDED.len()
    );
    let mut least = intervals
        .chunks(ROUNDS)
        .map(|rounds| rounds.iter().copied().min().unwrap_or(0));
    let mut costs = [0; RECORDED.len()];
    for (cost, call) in costs.iter_mut().zip(RECORDED) {
        let (plain, recorded) = (least.next().unwrap_or(0), least.next().unwrap_or(0));
        ensure!(
            plain > 0 && recorded > plain,
            "{call}: {plain} instructions plain and {recorded} recorded"
        );
        *cost = recorded - plain;
    }
    Ok(costs)
}

#[cfg(target_os = "linux")]
mod stepping {
    use std::process::{Child, Command, Stdio};

    use anyhow::{Context, Result, bail};
    use nix::errno::Errno;
    use nix::sys::ptrace;
    use nix::sys::signal::Signal;
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::Pid;

    use super::NotTraced;

    /// The exit status by which the program says that it cannot be traced.
    const NOT_TRACED: i32 = 3;
    /// More instructions than this the program does not take: some hundred calls of a few thousand.
    const MOST: u64 = 10_000_000;

    /// Instructions between each two signals SIGUSR1 of the program.
    pub fn intervals(program: &mut Command) -> Result<Vec<u64>> {
        let mut child = program
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut reaped = false;
        let counted = follow(&child, &mut reaped);
        // The number of a process that has been waited for may be another's by now.
        if counted.is_err() && !reaped {
            let _ = child.kill();
        }
        let said = said(&mut child);
        if !reaped {
            let _ = child.wait();
        }
        counted.map_err(|why| match why.downcast::<NotTraced>() {
            Ok(NotTraced(why)) if said.is_empty() => NotTraced(why).into(),
            Ok(_) => NotTraced(said).into(),
            Err(why) if said.is_empty() => why,
            Err(why) => why.context(said),
        })
    }

    fn said(child: &mut Child) -> String {
        let mut text = String::new();
        if let Some(errors) = &mut child.stderr {
            let _ = std::io::Read::read_to_string(errors, &mut text);
        }
        text.trim().to_owned()
    }

    /// What ptrace answers where it is forbidden or not there is a reason of its own; anything else is a failure.
    fn traced<T>(result: nix::Result<T>) -> Result<T> {
        result.map_err(|errno| match errno {
            Errno::EPERM | Errno::EACCES | Errno::ENOSYS | Errno::EIO => {
                NotTraced(format!("ptrace is not permitted here ({errno})")).into()
            }
            other => anyhow::Error::new(other).context("ptrace"),
        })
    }

    /// `reaped`: whether the program has ended and nobody is to wait for it any more.
    fn follow(child: &Child, reaped: &mut bool) -> Result<Vec<u64>> {
        let pid = Pid::from_raw(i32::try_from(child.id()).context("a process id")?);
        let mut intervals = Vec::new();
        // Instructions since the last signal; nothing where they are not counted.
        let mut since = None::<u64>;
        let mut all = 0_u64;
        loop {
            let status = waitpid(pid, None)?;
            *reaped = matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..));
            let mut signal = None;
            match status {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => {
                    since = since.map(|count| count + 1);
                    all += 1;
                    if all > MOST {
                        bail!("the program does not come to its end");
                    }
                }
                // It asked to be traced and waits. Should this program end, so does the other.
                WaitStatus::Stopped(_, Signal::SIGSTOP) => {
                    traced(ptrace::setoptions(pid, ptrace::Options::PTRACE_O_EXITKILL))?;
                }
                WaitStatus::Stopped(_, Signal::SIGUSR1) => {
                    intervals.extend(since);
                    since = Some(0);
                }
                WaitStatus::Stopped(_, Signal::SIGUSR2) => since = None,
                WaitStatus::Exited(_, 0) => return Ok(intervals),
                WaitStatus::Exited(_, NOT_TRACED) => {
                    return Err(NotTraced("ptrace is not permitted here".to_owned()).into());
                }
                // Somebody else's: of the terminal, whose size changed, or of whoever stops and continues a group of processes.
                WaitStatus::Stopped(_, other) => signal = Some(other),
                other => bail!("the program ended otherwise than it should: {other:?}"),
            }
            // The signals that are named here were for this program only: the other one does not get them.
            traced(match since {
                Some(_) => ptrace::step(pid, signal),
                None => ptrace::cont(pid, signal),
            })?;
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    /// As the program would be counted: the first round of each call is the slowest.
    fn counted(calls: &[u64]) -> Vec<u64> {
        calls
            .iter()
            .flat_map(|call| {
                (0..ROUNDS as u64).map(move |round| call + if round == 0 { 99 } else { 0 })
            })
            .collect()
    }

    #[test]
    fn the_fewest_of_the_rounds_are_compared() {
        let costs = costs(&counted(&[100, 700, 110, 910, 120, 1120])).unwrap();
        assert_eq!(costs, [600, 800, 1000]);
    }

    #[test]
    fn what_was_not_counted_is_no_figure() {
        let whole = counted(&[100, 700, 110, 910, 120, 1120]);
        assert!(costs(&whole[1..]).is_err());
        assert!(costs(&[]).is_err());
        assert!(costs(&counted(&[100, 100, 110, 910, 120, 1120])).is_err());
        assert!(costs(&counted(&[0, 700, 110, 910, 120, 1120])).is_err());
    }

    #[test]
    fn only_a_program_that_cannot_be_traced_may_stay_without_figures() {
        let run = |line: &str| stepping::intervals(Command::new("/bin/sh").args(["-c", line]));
        let refused = run("echo this process cannot be traced: EPERM >&2; exit 3").unwrap_err();
        assert_eq!(
            refused.downcast::<NotTraced>().unwrap().0,
            "this process cannot be traced: EPERM"
        );
        let failed = run("echo a call was not answered >&2; exit 1").unwrap_err();
        assert!(format!("{failed:#}").starts_with("a call was not answered"));
        assert!(failed.downcast::<NotTraced>().is_err());
        assert!(costs(&run("exit 0").unwrap()).is_err());
    }
}
