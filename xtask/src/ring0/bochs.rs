//! Bochs: an emulator of Intel's processors with VMX.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where Debian puts its BIOS.
pub const BIOS: &str = "/usr/share/bochs/BIOS-bochs-latest";
/// And the one of its display.
pub const VIDEO_BIOS: &str = "/usr/share/bochs/VGABIOS-lgpl-latest";

/// Instructions in an emulated second. So few that the serial port's 115,200 bits a second are not what a run waits for.
const SPEED: u32 = 4_000_000;

/// A machine that boots from a CD. It runs in a folder of its own, so that no path has to be written in its configuration.
pub struct Bochs {
    pub folder: PathBuf,
}

impl Bochs {
    /// Writes its files into a folder.
    pub fn prepare(folder: &Path, cd: &Path, model: &str) -> Result<Self> {
        let folder = folder.join("bochs");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("serial.txt"), "")?;
        std::fs::copy(cd, folder.join("image.iso"))?;
        std::fs::write(
            folder.join("bochsrc"),
            format!(
                "cpu: model={model}, count=1, ips={SPEED}, reset_on_triple_fault=0\n\
                 memory: guest=512, host=512\n\
                 romimage: file={BIOS}\n\
                 vgaromimage: file={VIDEO_BIOS}\n\
                 ata0-master: type=cdrom, path=image.iso, status=inserted\n\
                 boot: cdrom\n\
                 display_library: rfb, options=\"timeout=0\"\n\
                 com1: enabled=1, mode=file, dev=serial.txt\n\
                 sound: driver=dummy, waveout=/dev/null, wavein=, midiout=\n\
                 clock: sync=none\n\
                 log: log.txt\n\
                 panic: action=fatal\n\
                 error: action=ignore\n\
                 info: action=ignore\n\
                 debug: action=ignore\n",
            ),
        )?;
        // What the debugger is told at the start.
        std::fs::write(folder.join("commands"), "c\n")?;
        Ok(Self { folder })
    }

    /// The program and its arguments.
    pub const COMMAND: &[&str] = &["bochs", "-q", "-f", "bochsrc", "-rc", "commands"];

    /// What the image wrote.
    pub fn output(&self) -> Result<Vec<u8>> {
        std::fs::read(self.folder.join("serial.txt")).context("the serial port's file")
    }
}
