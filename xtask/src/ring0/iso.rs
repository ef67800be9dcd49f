//! A CD that GRUB starts an image from.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Makes a CD with this image in a folder, and returns it.
pub fn make(folder: &Path, image: &Path) -> Result<PathBuf> {
    let name = image.file_name().context("an image has a name")?;
    let tree = folder.join("cd").join(name);
    let grub = tree.join("boot/grub");
    std::fs::create_dir_all(&grub)?;
    std::fs::copy(image, tree.join("boot/image"))?;
    std::fs::write(
        grub.join("grub.cfg"),
        "set timeout=0\nterminal_output console\nmenuentry image {\n  multiboot2 /boot/image\n  boot\n}\n",
    )?;
    let cd = folder.join(name).with_extension("iso");
    let made = Command::new("grub-mkrescue")
        .arg("-o")
        .arg(&cd)
        .arg(&tree)
        .output()
        .context("grub-mkrescue")?;
    ensure!(
        made.status.success(),
        "grub-mkrescue: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    Ok(cd)
}
