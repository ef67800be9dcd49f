//! How much the fake ACRN does: a VM's whole life, and a translation.
#![expect(
    clippy::expect_used,
    reason = "a call that fails is not the one that is measured"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use hypercall_core::Gpa;
use hypercall_core::acrn::Hypervisor;
use hypercall_mock::fake::FakeAcrn;

use crate::stage;

/// Calls in [`life`].
const CALLS: u64 = 5;

/// Elements are hypercalls.
pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fake");
    group.throughput(Throughput::Elements(CALLS));
    let fake = FakeAcrn::new();
    group.bench_function("life", |bencher| bencher.iter(|| life(&fake)));
    let client = stage::client(&fake);
    group.bench_function("life_loopback", |bencher| bencher.iter(|| life(&client)));
    group.throughput(Throughput::Elements(1));
    let fake = FakeAcrn::new();
    let vm = stage::created(&fake);
    group.bench_function("gpa2hpa", |bencher| {
        bencher.iter(|| black_box(fake.vm_gpa2hpa(vm, &mut stage::translation())));
    });
    group.finish();
    // Something that every machine can do, to see the others against.
    let mut group = criterion.benchmark_group("yardstick");
    let page = vec![0x5a_u8; 4096];
    group.bench_function("page_copy", |bencher| {
        bencher.iter(|| black_box(&page).clone())
    });
    group.finish();
}

/// Create, request page, start, pause, destroy.
fn life(hypervisor: &impl Hypervisor) {
    let vm = hypervisor
        .create_vm(&mut stage::creation())
        .expect("a slot is free");
    hypervisor
        .set_ioreq_buffer(vm, Gpa(stage::NESTED).into())
        .expect("the VM was created");
    hypervisor.start_vm(vm).expect("it has a request page");
    hypervisor.pause_vm(vm).expect("it exists");
    hypervisor.destroy_vm(vm).expect("it is paused");
}
