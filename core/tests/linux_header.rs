//! What this machine's C compiler makes of `<linux/acrn.h>` is what the payloads and the ioctl numbers say.
//!
//! A C program prints the sizes, offsets and numbers, so neither side is copied from the other. Without a compiler or
//! the header the test says so and passes, unless `CI=true` or `HYPERCALL_REQUIRE_LINUX_HEADERS` is set.

#![allow(clippy::expect_used, clippy::panic, reason = "a test")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use hypercall_core::Payload;
use hypercall_core::acrn::ioreq::{
    IoDirection, IoReqKind, IoReqPage, IoReqState, IoRequest, MmioRequest, PciRequest, PioRequest,
};
use hypercall_core::acrn::linux;
use hypercall_core::acrn::{
    CstateData, GenericAddress, GpRegs, MemoryProt, MmioDevice, MsiEntry, PciDevice,
    PciDeviceFlags, PmKind, PstateData, PtdevIrqKind, Regs, VcpuRegs, VirtualDevice, VmCreation,
};
use hypercall_core::schema::{Kind, Role, StructInfo};

/// A line of the C program's output, and what it should be.
struct Expectation {
    /// C that gives the number.
    expression: String,
    value: u64,
}

fn expect(list: &mut Vec<Expectation>, expression: impl Into<String>, value: u64) {
    list.push(Expectation {
        expression: expression.into(),
        value,
    });
}

fn layout<T: Payload>(list: &mut Vec<Expectation>, renamed: &[(&str, &str)]) {
    let Kind::Struct(info) = <T as Payload>::KIND else {
        panic!("a payload struct")
    };
    let StructInfo {
        c_name,
        size,
        align,
        fields,
        ..
    } = info;
    expect(list, format!("sizeof(struct {c_name})"), *size as u64);
    expect(list, format!("_Alignof(struct {c_name})"), *align as u64);
    for field in *fields {
        // Padding that C does not name.
        if field.role == Role::Reserved && field.name.starts_with("pad") {
            continue;
        }
        let name = renamed
            .iter()
            .find(|(ours, _)| *ours == field.c_name)
            .map_or(field.c_name, |(_, theirs)| theirs);
        expect(
            list,
            format!("__builtin_offsetof(struct {c_name}, {name})"),
            field.offset as u64,
        );
        expect(
            list,
            format!("sizeof(((struct {c_name} *)0)->{name})"),
            field.size as u64,
        );
    }
}

fn expectations() -> Vec<Expectation> {
    let mut list = Vec::new();
    layout::<CstateData>(&mut list, &[]);
    layout::<GenericAddress>(&mut list, &[]);
    layout::<GpRegs>(&mut list, &[]);
    layout::<IoRequest>(&mut list, &[]);
    layout::<MmioDevice>(&mut list, &[]);
    layout::<MmioRequest>(&mut list, &[]);
    layout::<MsiEntry>(&mut list, &[]);
    layout::<PciDevice>(&mut list, &[]);
    layout::<PciRequest>(&mut list, &[]);
    layout::<PioRequest>(&mut list, &[]);
    layout::<PstateData>(&mut list, &[]);
    layout::<Regs>(&mut list, &[]);
    layout::<VcpuRegs>(&mut list, &[]);
    layout::<VirtualDevice>(&mut list, &[]);
    // Linux still types the name as a GUID.
    layout::<VmCreation>(&mut list, &[("name", "uuid")]);
    // The driver's struct is 20 bytes, the hypervisor's 24: `layout_csv.rs` compares the bytes that both have.
    expect(&mut list, "sizeof(struct acrn_ptdev_irq)", 20);

    for (name, number) in linux::ALL {
        expect(&mut list, format!("ACRN_IOCTL_{name}"), u64::from(*number));
    }
    expect(&mut list, "ACRN_IOCTL_TYPE", u64::from(linux::TYPE));

    for (name, state) in [
        ("PENDING", IoReqState::PENDING),
        ("COMPLETE", IoReqState::COMPLETE),
        ("PROCESSING", IoReqState::PROCESSING),
        ("FREE", IoReqState::FREE),
    ] {
        expect(
            &mut list,
            format!("ACRN_IOREQ_STATE_{name}"),
            u64::from(state.0),
        );
    }
    for (name, kind) in [
        ("PORTIO", IoReqKind::PIO),
        ("MMIO", IoReqKind::MMIO),
        ("PCICFG", IoReqKind::PCI),
    ] {
        expect(
            &mut list,
            format!("ACRN_IOREQ_TYPE_{name}"),
            u64::from(kind.0),
        );
    }
    expect(
        &mut list,
        "ACRN_IOREQ_DIR_READ",
        u64::from(IoDirection::READ.0),
    );
    expect(
        &mut list,
        "ACRN_IOREQ_DIR_WRITE",
        u64::from(IoDirection::WRITE.0),
    );
    expect(
        &mut list,
        "ACRN_IO_REQUEST_MAX",
        u64::from(IoReqPage::SLOTS),
    );
    for (name, prot) in [
        ("ACCESS_READ", MemoryProt::READ),
        ("ACCESS_WRITE", MemoryProt::WRITE),
        ("ACCESS_EXEC", MemoryProt::EXEC),
        ("ACCESS_RWX", MemoryProt::RWX),
        ("TYPE_WB", MemoryProt::WB),
        ("TYPE_WT", MemoryProt::WT),
        ("TYPE_UC", MemoryProt::UC),
        ("TYPE_WC", MemoryProt::WC),
        ("TYPE_WP", MemoryProt::WP),
        ("TYPE_MASK", MemoryProt::TYPE_MASK),
    ] {
        expect(
            &mut list,
            format!("ACRN_MEM_{name}"),
            u64::from(prot.bits()),
        );
    }
    for (name, kind) in [
        ("INTX", PtdevIrqKind::INTX),
        ("MSI", PtdevIrqKind::MSI),
        ("MSIX", PtdevIrqKind::MSIX),
    ] {
        expect(
            &mut list,
            format!("ACRN_PTDEV_IRQ_{name}"),
            u64::from(kind.0),
        );
    }
    expect(
        &mut list,
        "ACRN_PTDEV_QUIRK_ASSIGN",
        u64::from(PciDeviceFlags::QUIRK.bits()),
    );
    for (name, kind) in [
        ("PX_CNT", PmKind::PX_COUNT),
        ("PX_DATA", PmKind::PX_DATA),
        ("CX_CNT", PmKind::CX_COUNT),
        ("CX_DATA", PmKind::CX_DATA),
    ] {
        expect(
            &mut list,
            format!("ACRN_PMCMD_GET_{name}"),
            u64::from(kind.0),
        );
    }
    list
}

fn program(list: &[Expectation]) -> String {
    let mut text = String::from(
        "#include <stdio.h>\n#include <sys/ioctl.h>\n#include <linux/acrn.h>\nint main(void) {\n",
    );
    for Expectation { expression, .. } in list {
        let _ = writeln!(
            text,
            "  printf(\"%llu\\n\", (unsigned long long)({expression}));"
        );
    }
    text.push_str("  return 0;\n}\n");
    text
}

/// Why the comparison cannot be made here, or nothing.
fn obstacle(compiler: &str, folder: &Path) -> Option<String> {
    let probe = folder.join("probe.c");
    fs::write(
        &probe,
        "#include <linux/acrn.h>\nint main(void) { return 0; }\n",
    )
    .expect("the folder can be written");
    match Command::new(compiler)
        .arg("-fsyntax-only")
        .arg(&probe)
        .output()
    {
        Err(error) => Some(format!(
            "the C compiler `{compiler}` does not start: {error}"
        )),
        Ok(output) if !output.status.success() => Some(format!(
            "<linux/acrn.h> does not compile: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
        Ok(_) => None,
    }
}

fn required() -> bool {
    env::var("CI").is_ok_and(|value| value == "true")
        || env::var_os("HYPERCALL_REQUIRE_LINUX_HEADERS").is_some()
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("linux_header");
    fs::create_dir_all(&folder).expect("the build's folder can be written");
    folder
}

#[test]
fn payloads_and_ioctls_are_those_of_the_linux_header() {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let folder = folder();
    if let Some(obstacle) = obstacle(&compiler, &folder) {
        assert!(
            !required(),
            "not compared with Linux's header, but this run must: {obstacle}"
        );
        eprintln!("SKIPPED: not compared with Linux's header: {obstacle}");
        return;
    }

    let list = expectations();
    let (source, binary) = (folder.join("layout.c"), folder.join("layout"));
    fs::write(&source, program(&list)).expect("the folder can be written");
    let built = Command::new(&compiler)
        .arg("-o")
        .arg(&binary)
        .arg(&source)
        .output()
        .expect("the compiler starts");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let run = Command::new(&binary).output().expect("the program starts");
    assert!(run.status.success());

    let output = String::from_utf8(run.stdout).expect("text");
    let answers: Vec<u64> = output
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    assert_eq!(answers.len(), list.len());
    let wrong: Vec<_> = list
        .iter()
        .zip(answers)
        .filter(|(expected, answer)| expected.value != *answer)
        .map(|(expected, answer)| {
            format!(
                "{} is {answer:#x} in C, {:#x} here",
                expected.expression, expected.value
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("compared {} numbers with <linux/acrn.h>", list.len());
}
