//! One boot: an emulator under a time limit, and what it wrote.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xshell::Shell;

use super::boots::{Boot, Image, Loader};
use super::{bochs, iso};

/// No boot takes longer: they take a second, and a few where GRUB is in the way.
const LIMIT: Duration = Duration::from_secs(120);

/// What can be booted.
pub struct Machine {
    guest: PathBuf,
    hypervisor: PathBuf,
    /// For images of CDs and the files of an emulator.
    pub folder: PathBuf,
}

/// How a boot went.
pub struct Run {
    /// The emulator's exit status.
    pub status: Option<i32>,
    /// What the image wrote, without carriage returns.
    pub output: String,
    pub elapsed: Duration,
}

impl Run {
    /// The last lines.
    pub fn tail(&self) -> String {
        let lines: Vec<&str> = self.output.lines().collect();
        let from = lines.len().saturating_sub(40);
        lines.get(from..).unwrap_or_default().join("\n")
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
        let mut command = match boot.loader {
            Loader::Pvh(line) => {
                let mut command = qemu(boot);
                command.arg("-kernel").arg(image);
                if !line.is_empty() {
                    command.args(["-append", line]);
                }
                command
            }
            Loader::Grub => {
                let mut command = qemu(boot);
                command.arg("-cdrom").arg(iso::make(&self.folder, image)?);
                command
            }
            Loader::Bochs => {
                let bochs = bochs::Bochs::prepare(
                    &self.folder,
                    &iso::make(&self.folder, image)?,
                    boot.cpu,
                )?;
                let mut run = under_limit(&mut bochs.command())?;
                // Bochs always ends with 1; what the image wrote tells how it ended.
                run.output = bochs.output()?;
                run.status = None;
                return Ok(run);
            }
        };
        under_limit(&mut command)
    }
}

fn qemu(boot: &Boot) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args([
            "-accel",
            "tcg",
            "-cpu",
            boot.cpu,
            "-m",
            "512",
            "-nodefaults",
            "-no-reboot",
        ])
        .args([
            "-display",
            "none",
            "-device",
            "isa-debug-exit,iobase=0xf4,iosize=4",
        ])
        .args(boot.more);
    command
}

/// Runs a program without input, and kills it when it takes too long.
fn under_limit(command: &mut Command) -> Result<Run> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} does not start", command.get_program().display()))?;
    let mut pipe = child.stdout.take().context("the output is a pipe")?;
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    });
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if start.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let bytes = reader.join().unwrap_or_default();
    let output = String::from_utf8_lossy(&bytes).replace('\r', "");
    let Some(status) = status else {
        bail!("no end within {} s; it wrote:\n{output}", LIMIT.as_secs());
    };
    Ok(Run {
        status: status.code(),
        output,
        elapsed: start.elapsed(),
    })
}
