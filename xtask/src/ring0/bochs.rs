//! Bochs: an emulator of Intel's processors with VMX.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// A machine that boots from a CD.
pub struct Bochs {
    config: PathBuf,
    /// What Bochs's debugger is told at the start.
    commands: PathBuf,
    /// What the image wrote to COM1.
    serial: PathBuf,
}

/// Instructions in an emulated second. So few that the serial port's 115,200 bits a second are not what a run waits for.
const SPEED: u32 = 4_000_000;

impl Bochs {
    /// Writes its files into a folder.
    pub fn prepare(folder: &Path, cd: &Path, model: &str) -> Result<Self> {
        let folder = folder.join("bochs");
        std::fs::create_dir_all(&folder)?;
        let serial = folder.join("serial.txt");
        std::fs::write(&serial, "")?;
        let config = folder.join("bochsrc");
        let shares = "/usr/share/bochs";
        std::fs::write(
            &config,
            format!(
                "cpu: model={model}, count=1, ips={SPEED}, reset_on_triple_fault=0\n\
                 memory: guest=512, host=512\n\
                 romimage: file={shares}/BIOS-bochs-latest\n\
                 vgaromimage: file={shares}/VGABIOS-lgpl-latest\n\
                 ata0-master: type=cdrom, path={cd}, status=inserted\n\
                 boot: cdrom\n\
                 display_library: rfb, options=\"timeout=0\"\n\
                 com1: enabled=1, mode=file, dev={serial}\n\
                 sound: driver=dummy, waveout=/dev/null, wavein=, midiout=\n\
                 clock: sync=none\n\
                 log: {log}\n\
                 panic: action=fatal\n\
                 error: action=ignore\n\
                 info: action=ignore\n\
                 debug: action=ignore\n",
                cd = cd.display(),
                serial = serial.display(),
                log = folder.join("log.txt").display(),
            ),
        )?;
        let commands = folder.join("commands");
        std::fs::write(&commands, "c\n")?;
        Ok(Self {
            config,
            commands,
            serial,
        })
    }

    /// How it is started.
    pub fn command(&self) -> Command {
        let mut command = Command::new("bochs");
        command
            .arg("-q")
            .arg("-f")
            .arg(&self.config)
            .arg("-rc")
            .arg(&self.commands);
        command.stderr(std::process::Stdio::null());
        command
    }

    /// What the image wrote.
    pub fn output(&self) -> Result<String> {
        let bytes = std::fs::read(&self.serial).context("the serial port's file")?;
        Ok(String::from_utf8_lossy(&bytes).replace('\r', ""))
    }
}
