//! What a dispatcher costs for one call, in front of methods that do nothing.
//!
//! | name | what |
//! |---|---|
//! | `method` | the method alone, called through a pointer |
//! | `generated` | the server that the interface's attribute writes |
//! | `acrn` | ACRN's dispatcher, which first finds the handler by the low byte and looks the target up |

use std::hint::black_box;

use criterion::Criterion;
use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::acrn::{
    Hypervisor, HypervisorCalls as Calls, HypervisorServer, MemoryRegion, SetRegions, VmId,
};
use hypercall_core::call::CallInfo;
use hypercall_core::server::{Registers, Serve};
use zerocopy::{FromZeros, IntoBytes};

use crate::silent::{Blank, Silent};
use crate::stage;

/// The groups' names.
pub(crate) const SHAPES: [&str; 4] = [
    "dispatch_value",
    "dispatch_struct_in",
    "dispatch_struct_in_out",
    "dispatch_nested_array",
];

/// Each shape by each dispatcher.
pub(crate) fn bench(criterion: &mut Criterion) {
    let [value, struct_in, struct_in_out, nested_array] = SHAPES;
    shape(criterion, value, Calls::CREATE_VCPU, [1, 0], |silent| {
        let _ = black_box(silent.create_vcpu(VmId(1)));
    });
    shape(
        criterion,
        struct_in,
        Calls::INJECT_MSI,
        [1, stage::BLOCK],
        |silent| {
            let _ = black_box(silent.inject_msi(VmId(1), &stage::msi()));
        },
    );
    shape(
        criterion,
        struct_in_out,
        Calls::VM_GPA2HPA,
        [1, stage::BLOCK],
        |silent| {
            let _ = black_box(silent.vm_gpa2hpa(VmId(1), &mut stage::translation()));
        },
    );
    shape(
        criterion,
        nested_array,
        Calls::SET_MEMORY_REGIONS,
        [stage::BLOCK, 0],
        |silent| {
            let region = MemoryRegion::new_zeroed();
            for _ in 0..stage::REGIONS {
                let _ = black_box(silent.set_memory_regions(VmId(1), &[region]));
            }
        },
    );
}

fn shape(
    criterion: &mut Criterion,
    name: &str,
    call: &'static CallInfo,
    args: [u64; 2],
    method: fn(&dyn Hypervisor),
) {
    let memory = memory();
    let registers = Registers {
        number: call.number,
        args,
    };
    let mut group = criterion.benchmark_group(name);
    group.bench_function("method", |bencher| {
        bencher.iter(|| black_box(method)(black_box(&Silent)));
    });
    let generated = HypervisorServer::new(Silent);
    group.bench_function("generated", |bencher| {
        bencher.iter(|| generated.serve(black_box(registers), black_box(&memory)));
    });
    let acrn = AcrnServer::new(Silent);
    group.bench_function("acrn", |bencher| {
        bencher.iter(|| acrn.serve(black_box(registers), black_box(&memory)));
    });
    group.finish();
}

/// Every block reads as a header of so many regions; the other calls do not mind.
fn memory() -> Blank {
    let header = SetRegions {
        vmid: VmId(1),
        mr_num: 8,
        ..SetRegions::default()
    };
    let mut start = [0; 32];
    for (to, from) in start.iter_mut().zip(header.as_bytes()) {
        *to = *from;
    }
    Blank { start }
}
