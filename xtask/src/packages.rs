//! What a run needs besides Rust: installed where that is possible, named where it is not.

use std::path::Path;

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

/// A Debian package, and how to see that it is there.
pub struct Package {
    name: &'static str,
    what_for: &'static str,
    present: Present,
}

/// How to see that a package is there.
enum Present {
    /// A program is found.
    Program(&'static str),
    /// A file exists.
    File(&'static str),
}

const fn program(name: &'static str, program: &'static str, what_for: &'static str) -> Package {
    Package {
        name,
        what_for,
        present: Present::Program(program),
    }
}

const fn file(name: &'static str, file: &'static str, what_for: &'static str) -> Package {
    Package {
        name,
        what_for,
        present: Present::File(file),
    }
}

/// What the tests need.
pub const TESTS: &[Package] = &[
    program(
        "gcc",
        "gcc",
        "compiles the C form of a hypercall, and a program against Linux's header",
    ),
    file(
        "linux-libc-dev",
        "/usr/include/linux/acrn.h",
        "has <linux/acrn.h>, which the payloads are compared with",
    ),
    file(
        "libc6-dev",
        "/usr/include/stdio.h",
        "has the headers that a C program needs",
    ),
    program(
        "strace",
        "strace",
        "fails a recording's writes as a full disk does",
    ),
    program(
        "tshark",
        "tshark",
        "reads what hcall exports, by the dissector that it generates",
    ),
];

/// What the fuzz targets need.
pub const FUZZ: &[Package] = &[program("g++", "g++", "compiles the fuzzer's library")];

/// What booting the test bed in QEMU needs.
pub const QEMU: &[Package] = &[
    program(
        "qemu-system-x86",
        "qemu-system-x86_64",
        "boots the test bed",
    ),
    program(
        "grub-common",
        "grub-mkrescue",
        "makes an image that boots by multiboot2",
    ),
    file(
        "grub-pc-bin",
        "/usr/lib/grub/i386-pc/multiboot2.mod",
        "is GRUB's part for a BIOS",
    ),
    program("xorriso", "xorriso", "writes that image"),
    program("mtools", "mformat", "is what grub-mkrescue calls"),
];

/// What booting it in Bochs needs.
pub const BOCHS: &[Package] = &[
    program(
        "bochs",
        "bochs",
        "boots the test bed on a processor with VMX",
    ),
    file("bochsbios", crate::ring0::BIOS, "is the BIOS of Bochs"),
    file(
        "vgabios",
        crate::ring0::VIDEO_BIOS,
        "is the VGA BIOS of Bochs",
    ),
];

impl Package {
    fn present(&self) -> bool {
        match self.present {
            Present::File(path) => Path::new(path).exists(),
            Present::Program(name) => std::env::var_os("PATH").is_some_and(|path| {
                std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
            }),
        }
    }
}

/// Installs what is missing with apt-get, as root or by sudo. Otherwise says what to install.
pub fn install<'p>(shell: &Shell, packages: impl IntoIterator<Item = &'p Package>) -> Result<()> {
    let missing: Vec<&Package> = packages
        .into_iter()
        .filter(|package| !package.present())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let names = &names;
    println!("missing: {}", names.join(" "));
    let sudo: &[&str] = if root() { &[] } else { &["sudo", "-n"] };
    // Another run of it may be at work, in a machine that has just started.
    let apt = [
        sudo,
        &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"],
        &["-q", "-o", "DPkg::Lock::Timeout=120"],
    ]
    .concat();
    if let Some((program, options)) = apt.split_first() {
        // A list that cannot be had does not matter where the packages are in another.
        let updated = cmd!(shell, "{program} {options...} update").run();
        let install = ["install", "-y", "--no-install-recommends"];
        let installed = cmd!(shell, "{program} {options...} {install...} {names...}").run();
        if missing.iter().all(|package| package.present()) {
            return Ok(());
        }
        for why in [updated.err(), installed.err()].into_iter().flatten() {
            eprintln!("{why}");
        }
    }
    for package in missing.iter().filter(|package| !package.present()) {
        eprintln!("  {}: {}", package.name, package.what_for);
    }
    bail!("install these packages (their Debian names are given) and run this again");
}

/// Whether this is root: whose process it is tells.
fn root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}
