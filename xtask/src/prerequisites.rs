//! What the tests need besides Rust: installed where that is possible, named where it is not.

use std::path::Path;

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

/// A Debian package, and how to see that it is there.
struct Package {
    name: &'static str,
    what_for: &'static str,
    present: fn(&Shell) -> bool,
}

const PACKAGES: &[Package] = &[
    Package {
        name: "gcc",
        what_for: "compiles the C form of a hypercall, and a program against Linux's header",
        present: |shell| runs(shell, "gcc"),
    },
    Package {
        name: "g++",
        what_for: "compiles the fuzzer's library",
        present: |shell| runs(shell, "g++"),
    },
    Package {
        name: "linux-libc-dev",
        what_for: "has <linux/acrn.h>, which the payloads are compared with",
        present: |_| Path::new("/usr/include/linux/acrn.h").exists(),
    },
    Package {
        name: "libc6-dev",
        what_for: "has the headers that a C program needs",
        present: |_| Path::new("/usr/include/stdio.h").exists(),
    },
];

fn runs(shell: &Shell, program: &str) -> bool {
    cmd!(shell, "{program} --version")
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .is_ok()
}

/// Installs what is missing with apt-get, as root or by sudo. Otherwise says what to install.
pub fn install(shell: &Shell) -> Result<()> {
    let missing: Vec<&Package> = PACKAGES
        .iter()
        .filter(|package| !(package.present)(shell))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    println!("missing: {}", names.join(" "));
    let names = &names;
    for prefix in [&[][..], &["sudo", "-n"]] {
        let mut install: Vec<&str> = prefix.to_vec();
        install.extend(["apt-get", "install", "-y", "-q", "--no-install-recommends"]);
        let mut update: Vec<&str> = prefix.to_vec();
        update.extend(["apt-get", "update", "-q"]);
        let (Some((update, update_arguments)), Some((program, arguments))) =
            (update.split_first(), install.split_first())
        else {
            continue;
        };
        let updated = cmd!(shell, "{update} {update_arguments...}").run();
        if updated.is_ok()
            && cmd!(shell, "{program} {arguments...} {names...}")
                .run()
                .is_ok()
            && missing.iter().all(|package| (package.present)(shell))
        {
            return Ok(());
        }
    }
    for package in &missing {
        eprintln!("  {}: {}", package.name, package.what_for);
    }
    bail!("install these packages (their Debian names are given) and run this again");
}
