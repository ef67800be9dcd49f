//! The emulators and GRUB's tools: installed where that is possible, named where it is not.

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

/// A program, and the Debian packages that bring it.
const NEEDED: &[(&str, &[&str])] = &[
    ("qemu-system-x86_64", &["qemu-system-x86"]),
    ("grub-mkrescue", &["grub-common", "grub-pc-bin"]),
    ("xorriso", &["xorriso"]),
    ("mformat", &["mtools"]),
];
const FOR_BOCHS: &[(&str, &[&str])] = &[("bochs", &["bochs", "bochsbios", "vgabios"])];

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
    for prefix in [&[][..], &["sudo", "-n"]] {
        let with = |words: &[&'static str]| -> Vec<&'static str> { [prefix, words].concat() };
        for words in [
            with(&["apt-get", "update", "-q"]),
            with(&["apt-get", "install", "-y", "-q", "--no-install-recommends"]),
        ] {
            let Some((program, arguments)) = words.split_first() else {
                continue;
            };
            let wanted: &[&str] = if words.contains(&"install") {
                packages
            } else {
                &[]
            };
            if cmd!(shell, "{program} {arguments...} {wanted...}")
                .run()
                .is_err()
            {
                break;
            }
        }
        if missing().next().is_none() {
            return Ok(());
        }
    }
    bail!(
        "install these packages (their Debian names are given) and run this again: {}",
        packages.join(" ")
    );
}

fn present(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else {
        return false;
    };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
