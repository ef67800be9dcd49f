//! The emulators and GRUB's tools: installed where that is possible, named where it is not.

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

/// A program or a file, and the Debian packages that bring it.
const NEEDED: &[(&str, &[&str])] = &[
    ("qemu-system-x86_64", &["qemu-system-x86"]),
    ("grub-mkrescue", &["grub-common"]),
    ("/usr/lib/grub/i386-pc", &["grub-pc-bin"]),
    ("xorriso", &["xorriso"]),
    ("mformat", &["mtools"]),
];
const FOR_BOCHS: &[(&str, &[&str])] = &[
    ("bochs", &["bochs"]),
    (super::bochs::BIOS, &["bochsbios"]),
    (super::bochs::VIDEO_BIOS, &["vgabios"]),
];

/// Installs what is missing with apt-get, as root or by sudo. Otherwise says what to install.
pub fn install(shell: &Shell, bochs: bool) -> Result<()> {
    let needed: Vec<_> = NEEDED
        .iter()
        .chain(if bochs { FOR_BOCHS } else { &[] })
        .collect();
    let missing = || needed.iter().filter(|(program, _)| !present(program));
    let packages: Vec<&str> = missing()
        .flat_map(|(_, packages)| packages.iter().copied())
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    println!("missing: {}", packages.join(" "));
    let packages = &packages;
    let prefix: &[&str] = if root() { &[] } else { &["sudo", "-n"] };
    // Another run of it may be at work, in a machine that has just started.
    let apt = [
        prefix,
        &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"],
        &["-q", "-o", "DPkg::Lock::Timeout=120"],
    ]
    .concat();
    if let Some((program, options)) = apt.split_first() {
        // A list that cannot be had does not matter where the packages are in another.
        let updated = cmd!(shell, "{program} {options...} update").run();
        let install = ["install", "-y", "--no-install-recommends"];
        let installed = cmd!(shell, "{program} {options...} {install...} {packages...}").run();
        if missing().next().is_none() {
            return Ok(());
        }
        for why in [updated.err(), installed.err()].into_iter().flatten() {
            eprintln!("{why}");
        }
    }
    bail!(
        "install these packages (their Debian names are given) and run this again: {}",
        packages.join(" ")
    );
}

/// Whether this is root: whose process it is tells.
fn root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn present(program: &str) -> bool {
    if program.starts_with('/') {
        return std::path::Path::new(program).exists();
    }
    let Some(path) = std::env::var_os("PATH") else {
        return false;
    };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
