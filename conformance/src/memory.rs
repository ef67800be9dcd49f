//! A VM's memory: what is accepted, and what the translation says afterwards.

use hypercall::acrn::{
    GpaToHpa, HypervisorCalls as Calls, MemoryProt, MemoryRegion, MemoryRegionKind, VmId,
    WriteProtect,
};
use hypercall::{Gpa, Hpa};

use crate::steps::{Expected, Steps};
use crate::user_vm::{NOWHERE, VM_BYTES};

const PAGE: u64 = 4096;

pub(crate) fn run(steps: &mut Steps<'_>) {
    steps.heading("memory of a created VM");
    let Some(vm) = steps.create("powered off") else {
        return;
    };
    let base = steps.vm_memory();
    let page = |number: u64| Gpa(base.0.saturating_add(number.saturating_mul(PAGE)));
    let ram = MemoryProt::RAM;
    regions(steps, vm, "no region", -1, &[]);
    regions(
        steps,
        vm,
        "a size of half a page",
        -22,
        &[MemoryRegion::map(Gpa(0), base, 2048, ram)],
    );
    regions(
        steps,
        vm,
        "a size of nothing",
        0,
        &[MemoryRegion::map(Gpa(0), base, 0, ram)],
    );
    regions(
        steps,
        vm,
        "memory that the Service VM has not",
        -22,
        &[MemoryRegion::map(Gpa(0), NOWHERE, PAGE, ram)],
    );
    regions(
        steps,
        vm,
        "unmap what is not mapped",
        -22,
        &[MemoryRegion::unmap(Gpa(0), PAGE)],
    );
    regions(
        steps,
        vm,
        "four pages",
        0,
        &[MemoryRegion::map(Gpa(0), base, 4 * PAGE, ram)],
    );
    translate(
        steps,
        vm,
        Gpa(0x1234),
        Some(Hpa(page(1).0.saturating_add(0x234))),
    );
    translate(steps, vm, Gpa(4 * PAGE), None);

    regions(
        steps,
        vm,
        "over it, to other memory",
        0,
        &[MemoryRegion::map(Gpa(3 * PAGE), page(8), 2 * PAGE, ram)],
    );
    translate(steps, vm, Gpa(3 * PAGE), Some(Hpa(page(3).0)));
    translate(steps, vm, Gpa(4 * PAGE), Some(Hpa(page(9).0)));

    let three = [
        MemoryRegion::map(Gpa(0x10_0000), page(4), PAGE, ram),
        MemoryRegion::unmap(Gpa(0x20_0000), PAGE),
        MemoryRegion::map(Gpa(0x30_0000), page(5), PAGE, ram),
    ];
    regions(steps, vm, "the second of three is refused", -22, &three);
    translate(steps, vm, Gpa(0x10_0000), Some(Hpa(page(4).0)));
    translate(steps, vm, Gpa(0x30_0000), None);

    let modify = MemoryRegion {
        kind: MemoryRegionKind::MODIFY,
        ..MemoryRegion::map(Gpa(PAGE), page(1), PAGE, MemoryProt::READ | MemoryProt::WB)
    };
    regions(steps, vm, "modify, which unmaps", 0, &[modify]);
    regions(
        steps,
        vm,
        "unmap more than there is",
        -22,
        &[MemoryRegion::unmap(Gpa(0), 4 * PAGE)],
    );
    regions(
        steps,
        vm,
        "no rights: mapped, and counts as unmapped",
        0,
        &[MemoryRegion::map(Gpa(PAGE), page(1), PAGE, MemoryProt::WB)],
    );
    translate(steps, vm, Gpa(PAGE), None);

    let uneven = MemoryRegion::map(Gpa(0x50_0001), Gpa(page(6).0.saturating_add(1)), PAGE, ram);
    regions(steps, vm, "uneven addresses, rounded up", 0, &[uneven]);
    translate(steps, vm, Gpa(0x50_0000), None);
    translate(steps, vm, Gpa(0x50_1000), Some(Hpa(page(7).0)));

    protect(steps, vm);
    let all = MemoryRegion::map(Gpa(0x60_0000), base, VM_BYTES, MemoryProt::DEVICE);
    regions(steps, vm, "all of it, uncached", 0, &[all]);
    steps.destroy(vm);
}

/// Asks for mappings.
fn regions(steps: &mut Steps<'_>, vm: VmId, what: &str, expected: i64, regions: &[MemoryRegion]) {
    let result = steps.hypervisor.set_memory_regions(vm, regions);
    steps.step(Calls::SET_MEMORY_REGIONS, what, expected, result);
}

/// Asks for a translation; `None` where there is none.
fn translate(steps: &mut Steps<'_>, vm: VmId, gpa: Gpa, hpa: Option<Hpa>) {
    let call = Calls::VM_GPA2HPA;
    let mut question = GpaToHpa::of(gpa);
    let result = steps.hypervisor.vm_gpa2hpa(vm, &mut question);
    match hpa {
        Some(hpa) => {
            let found = steps.step(call, "mapped", 0, result);
            if steps.options.recorded_machine {
                steps.fact(call, "to where it should be", found == Some(hpa));
            }
        }
        None => {
            steps.step(call, "not mapped", -1, result);
            steps.fact(
                call,
                "a refusal writes nothing",
                question == GpaToHpa::of(gpa),
            );
        }
    }
}

fn protect(steps: &mut Steps<'_>, vm: VmId) {
    let h = steps.hypervisor;
    let call = Calls::WRITE_PROTECT_PAGE;
    for (what, page, expected) in [
        ("an uneven address", WriteProtect::protect(Gpa(0x801)), -22),
        (
            "an address that is not mapped",
            WriteProtect::protect(Gpa(0x70_0000)),
            -22,
        ),
        ("a page", WriteProtect::protect(Gpa(0)), 0),
        (
            "a page, by another value than 1",
            WriteProtect {
                set: 0x80,
                ..WriteProtect::protect(Gpa(0))
            },
            0,
        ),
        ("and back", WriteProtect::unprotect(Gpa(0)), 0),
    ] {
        steps.step(
            call,
            what,
            Expected::from(expected),
            h.write_protect_page(vm, &page),
        );
    }
}
