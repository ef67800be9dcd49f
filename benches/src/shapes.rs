//! A typed call by every way to the same fake, for each shape of arguments.
//!
//! | name | way |
//! |---|---|
//! | `direct` | the method of the fake |
//! | `raw` | by hand: blocks into guest memory, three registers into the dispatcher, blocks out of guest memory |
//! | `loopback` | the typed client over the loopback, all types known |
//! | `dyn` | the same, as `&dyn Hypervisor` over `&dyn Transport` |
//!
//! So `loopback` to `raw` is what types cost, `loopback` to `direct` what the way costs.
#![expect(
    clippy::expect_used,
    reason = "a call that fails is not the one that is measured"
)]

use std::hint::black_box;

use criterion::Criterion;
use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::acrn::{Hypervisor, HypervisorCalls as Calls, SetRegions, VmId};
use hypercall_core::call::CallInfo;
use hypercall_core::server::{GuestMemory, Registers, Serve};
use hypercall_core::{Client, Gpa, Transport};
use hypercall_mock::fake::FakeAcrn;
use zerocopy::IntoBytes;

use crate::stage::{self, BLOCK, NESTED, REGIONS};

/// The shapes: the names of the groups.
pub(crate) const SHAPES: [&str; 4] = ["value", "struct_in", "struct_in_out", "nested_array"];

/// Every shape by every way. A macro, because each way has a type of its own: a function over `&impl Hypervisor` that
/// is passed as a value would have one.
pub(crate) fn bench(criterion: &mut Criterion) {
    macro_rules! shape {
        ($name:literal, $typed:ident, $raw:ident) => {
            let fake = FakeAcrn::new();
            let vm = stage::created(&fake);
            let mut group = criterion.benchmark_group($name);
            group.bench_function("direct", |bencher| {
                bencher.iter(|| $typed(&fake, black_box(vm)))
            });
            let by_hand = ByHand {
                server: AcrnServer::new(&fake),
                memory: &fake,
            };
            group.bench_function("raw", |bencher| {
                bencher.iter(|| $raw(&by_hand, black_box(vm)))
            });
            let client = stage::client(&fake);
            group.bench_function("loopback", |bencher| {
                bencher.iter(|| $typed(&client, black_box(vm)));
            });
            let wire = stage::wire(&fake);
            let client = Client::new(&wire as &dyn Transport);
            let object: &dyn Hypervisor = &client;
            group.bench_function("dyn", |bencher| {
                bencher.iter(|| $typed(black_box(object), black_box(vm)));
            });
            group.finish();
        };
    }
    shape!("value", value, raw_value);
    shape!("struct_in", struct_in, raw_struct_in);
    shape!("struct_in_out", struct_in_out, raw_struct_in_out);
    shape!("nested_array", nested_array, raw_nested_array);
}

/// CREATE_VCPU does nothing: what is measured is the way.
fn value(hypervisor: &(impl Hypervisor + ?Sized), vm: VmId) {
    hypervisor.create_vcpu(vm).expect("the VM exists");
}

fn struct_in(hypervisor: &(impl Hypervisor + ?Sized), vm: VmId) {
    hypervisor
        .inject_msi(vm, &stage::msi())
        .expect("the VM was created");
}

fn struct_in_out(hypervisor: &(impl Hypervisor + ?Sized), vm: VmId) {
    let hpa = hypervisor.vm_gpa2hpa(vm, &mut stage::translation());
    black_box(hpa.expect("the page is mapped"));
}

/// Maps what is mapped: the map does not grow.
fn nested_array(hypervisor: &(impl Hypervisor + ?Sized), vm: VmId) {
    hypervisor
        .set_memory_regions(vm, &stage::regions())
        .expect("the Service VM has the memory");
}

/// What a program would do that has no client.
struct ByHand<'f> {
    server: AcrnServer<&'f FakeAcrn>,
    memory: &'f FakeAcrn,
}

impl ByHand<'_> {
    fn put(&self, gpa: u64, bytes: &[u8]) {
        self.memory.write(gpa, bytes).expect("it is RAM");
    }

    fn call(&self, call: &'static CallInfo, args: [u64; 2]) {
        let registers = Registers {
            number: call.number,
            args,
        };
        assert_eq!(self.server.serve(registers, self.memory), Ok(0));
    }
}

fn raw_value(by_hand: &ByHand<'_>, vm: VmId) {
    by_hand.call(Calls::CREATE_VCPU, [vm.0.into(), 0]);
}

fn raw_struct_in(by_hand: &ByHand<'_>, vm: VmId) {
    by_hand.put(BLOCK, stage::msi().as_bytes());
    by_hand.call(Calls::INJECT_MSI, [vm.0.into(), BLOCK]);
}

fn raw_struct_in_out(by_hand: &ByHand<'_>, vm: VmId) {
    let mut translation = stage::translation();
    by_hand.put(BLOCK, translation.as_bytes());
    by_hand.call(Calls::VM_GPA2HPA, [vm.0.into(), BLOCK]);
    by_hand
        .memory
        .read(BLOCK, translation.as_mut_bytes())
        .expect("it is RAM");
    black_box(translation.hpa);
}

fn raw_nested_array(by_hand: &ByHand<'_>, vm: VmId) {
    by_hand.put(NESTED, stage::regions().as_bytes());
    let header = SetRegions {
        vmid: vm,
        mr_num: u32::try_from(REGIONS).expect("it is small"),
        regions_gpa: Gpa(NESTED),
        ..SetRegions::default()
    };
    by_hand.put(BLOCK, header.as_bytes());
    by_hand.call(Calls::SET_MEMORY_REGIONS, [BLOCK, 0]);
}
