//! Links a bare-metal image with the host's own tools. It lies at 2 MiB: an image that ACRN may start as well stays low.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../link.ld");
    println!("cargo:rerun-if-changed={script}");
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        &format!("-T{script}"),
        "-Wl,--defsym=BASE=0x200000",
        "-Wl,--build-id=none",
        "-Wl,-z,max-page-size=4096",
        "-Wl,-z,norelro",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
