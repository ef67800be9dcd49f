//! Links a bare-metal image with the host's own tools, at 0x11000000, where the recorded ACRN was. The guest that it runs is
//! part of it: the file that `GUEST_ELF` names, or none for those who only check the code.

use std::path::Path;

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../link.ld");
    println!("cargo:rerun-if-changed={script}");
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        &format!("-T{script}"),
        "-Wl,--defsym=BASE=0x11000000",
        "-Wl,--build-id=none",
        "-Wl,-z,max-page-size=4096",
        "-Wl,-z,norelro",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }

    println!("cargo:rerun-if-env-changed=GUEST_ELF");
    let image = std::env::var("GUEST_ELF").unwrap_or_default();
    let bytes = if image.is_empty() {
        Vec::new()
    } else {
        println!("cargo:rerun-if-changed={image}");
        std::fs::read(&image).expect("GUEST_ELF names the guest's image")
    };
    let folder = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(Path::new(&folder).join("guest.elf"), bytes)
        .expect("the build folder takes a file");
}
