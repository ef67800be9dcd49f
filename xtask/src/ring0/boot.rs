//! One boot: an emulator under a time limit, and what it wrote.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xshell::Shell;

use super::boots::{Boot, Image, Loader};
use super::{bochs, iso};

/// No boot takes longer, in seconds: they take one, and ten in Bochs.
const LIMIT: u64 = 120;

/// What can be booted.
pub struct Machine {
    guest: PathBuf,
    hypervisor: PathBuf,
    /// For images of CDs, the files of an emulator, and what the images wrote.
    pub folder: PathBuf,
}

/// How a boot went.
#[derive(Debug)]
pub struct Run {
    /// The emulator's exit status, where it says something.
    pub status: Option<i32>,
    /// What the image wrote, without carriage returns.
    pub output: String,
    /// Where that is kept.
    pub file: PathBuf,
    pub elapsed: Duration,
}

impl Run {
    /// What people want to see of a run that failed: the lines that say so, and the last ones.
    pub fn tail(&self) -> String {
        const LAST: usize = 40;
        const FAILED: usize = 20;
        let lines: Vec<&str> = self
            .output
            .lines()
            .filter(|line| !line.starts_with("trace: "))
            .collect();
        let (before, last) = lines.split_at(lines.len().saturating_sub(LAST));
        let failed = before.iter().filter(|line| line.contains("FAILED"));
        let shown: Vec<&str> = failed.take(FAILED).chain(last).copied().collect();
        shown.join("\n")
    }
}

impl Machine {
    pub fn new(shell: &Shell, guest: PathBuf, hypervisor: PathBuf) -> Result<Self> {
        let folder = guest
            .parent()
            .context("an image lies in a folder")?
            .join("boot");
        shell.create_dir(&folder)?;
        Ok(Self {
            guest,
            hypervisor,
            folder,
        })
    }

    /// Boots, and waits for the end.
    pub fn boot(&self, boot: &Boot) -> Result<Run> {
        let image = match boot.image {
            Image::Guest => &self.guest,
            Image::Hypervisor => &self.hypervisor,
        };
        let file = self.folder.join(boot.file_name()).with_extension("txt");
        match boot.loader {
            Loader::Pvh(line) => {
                let mut words = qemu(boot);
                words.extend(["-kernel", "image"]);
                if !line.is_empty() {
                    words.extend(["-append", line]);
                }
                std::fs::copy(image, self.folder.join("image"))?;
                under_limit(&words, &self.folder, file)
            }
            Loader::Grub => {
                let mut words = qemu(boot);
                words.extend(["-cdrom", "image.iso"]);
                let cd = iso::make(&self.folder, image)?;
                std::fs::copy(cd, self.folder.join("image.iso"))?;
                under_limit(&words, &self.folder, file)
            }
            Loader::Bochs => {
                let cd = iso::make(&self.folder, image)?;
                let bochs = bochs::Bochs::prepare(&self.folder, &cd, boot.cpu)?;
                let run = under_limit(bochs::Bochs::COMMAND, &bochs.folder, file);
                // It says nothing of the image's itself, and its status is always 1. Where it did not come to its end, what the
                // image wrote until then is wanted all the same.
                let written = bochs.output()?;
                match run {
                    Ok(mut run) => {
                        run.output = text(&written);
                        run.status = None;
                        std::fs::write(&run.file, &run.output)?;
                        Ok(run)
                    }
                    Err(why) => Err(why.context(format!(
                        "what it wrote is in {}",
                        bochs.folder.join("serial.txt").display()
                    ))),
                }
            }
        }
    }
}

/// QEMU runs in the folder, so that no path is among its options, in which a comma would mean something.
fn qemu(boot: &Boot) -> Vec<&'static str> {
    let mut words = vec!["qemu-system-x86_64", "-accel", "tcg", "-cpu", boot.cpu];
    words.extend(["-m", "512", "-nodefaults", "-no-reboot", "-display", "none"]);
    words.extend(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    words.extend(boot.more);
    words
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\r', "")
}

/// Runs a program without input in a folder, what it writes goes to a file. `timeout` ends it and whatever it started when it
/// takes too long, even if this program is gone by then.
fn under_limit(words: &[&str], folder: &Path, file: PathBuf) -> Result<Run> {
    let start = Instant::now();
    let errors = file.with_extension("err");
    let name = words.first().copied().unwrap_or_default();
    let status = Command::new("timeout")
        .args(["--signal=KILL", &LIMIT.to_string()])
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(File::create(&file)?)
        .stderr(File::create(&errors)?)
        .status()
        .context("`timeout`, of the coreutils, does not start")?;
    let output = text(&std::fs::read(&file)?);
    let said = text(&std::fs::read(&errors)?);
    if start.elapsed() >= Duration::from_secs(LIMIT) {
        bail!(
            "no end within {LIMIT} s; what it wrote is in {}",
            file.display()
        );
    }
    if let Some(signal) = status.signal() {
        bail!("{name} was ended by signal {signal}: {said}");
    }
    // What `timeout` says of a program that it cannot start.
    if let Some(126 | 127) = status.code() {
        bail!("{name} does not start: {said}");
    }
    if output.is_empty() && !said.is_empty() && name != "bochs" {
        bail!("{name} said nothing but: {said}{}", version(name));
    }
    Ok(Run {
        status: status.code(),
        output,
        file,
        elapsed: start.elapsed(),
    })
}

/// Which version it is, for those who look for what is wrong.
pub fn version(program: &str) -> String {
    let said = Command::new(program).arg("--version").output();
    let said = said.map(|said| text(&said.stdout)).unwrap_or_default();
    let first = said.lines().next().unwrap_or_default();
    format!("(this is {first}; 7.2 is known to work)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_shown_however_long_ago_it_was() {
        let long = "      another check: ok\n".repeat(100);
        let run = Run {
            status: Some(35),
            output: format!("trace: 00\n      a check: FAILED\n{long}ring0: FAILED\n"),
            file: PathBuf::new(),
            elapsed: Duration::ZERO,
        };
        let tail = run.tail();
        assert!(tail.starts_with("      a check: FAILED\n      another check: ok\n"));
        assert!(tail.ends_with("ring0: FAILED"));
        assert_eq!(tail.lines().count(), 41);
    }
}
