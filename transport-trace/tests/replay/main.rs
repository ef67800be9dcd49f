//! What a replayer answers, what it refuses, and what it says about it.

mod choice;
mod ends;
#[path = "../replay_support/mod.rs"]
mod replay_support;
mod report;
mod shared_pages;
mod values;

use hypercall_core::Client;
use hypercall_core::acrn::*;
use hypercall_trace::entry::{Call, Entry};
use hypercall_trace::replay::{Recorded, ReplayLane, Replayer};
use replay_support::*;

/// Three calls with arguments of their own, and a fourth that repeats the first.
pub(crate) fn lines(world: &World) {
    let port = world.lane("main");
    let hypervisor = port.hypervisor();
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    for line in [3, 4, 5, 3] {
        hypervisor
            .set_irqline(vm, IrqLine::new(Gsi(line), IrqLineOp::HIGH))
            .unwrap();
    }
    hypervisor.pause_vm(vm).unwrap();
}

pub(crate) fn set(
    hypervisor: &impl Hypervisor,
    vm: VmId,
    line: u32,
) -> Result<(), hypercall_core::Error> {
    hypervisor.set_irqline(vm, IrqLine::new(Gsi(line), IrqLineOp::HIGH))
}

pub(crate) fn lane(
    options: hypercall_trace::replay::Options,
    recorded: &Recorded,
) -> (Replayer, Client<ReplayLane>) {
    let replayer = options.recorded(recorded.clone()).unwrap();
    let client = Client::new(replayer.lane("main"));
    (replayer, client)
}

/// The calls of a trace, without their answers' times.
pub(crate) fn calls(recorded: &Recorded) -> impl Iterator<Item = &Call> {
    recorded.entries.iter().filter_map(|entry| match entry {
        Entry::Call(call) => Some(call),
        _ => None,
    })
}

pub(crate) fn each_call(recorded: &mut Recorded, mut change: impl FnMut(&mut Call)) {
    for entry in &mut recorded.entries {
        if let Entry::Call(call) = entry {
            change(call);
        }
    }
}
