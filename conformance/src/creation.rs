//! Creating VMs: names, flags, processors.

use hypercall::acrn::{
    HypervisorCalls as Calls, PcpuId, PcpuSet, VmCreation, VmFlags, VmId, VmName,
};

use crate::steps::{Expected, Outcome, Steps};

const SPARE: VmName = name("conformance");
const OTHER: VmName = name("another");
const SECURE: VmName = name("secure");

const fn name(name: &str) -> VmName {
    match VmName::new(name) {
        Ok(name) => name,
        Err(_) => VmName::EMPTY,
    }
}

pub(crate) fn run(steps: &mut Steps<'_>) {
    steps.heading("creation, by a configured name");
    let h = steps.hypervisor;
    let call = Calls::CREATE_VM;
    let configured = steps.options.vm;
    let bad = VmCreation::new(configured).with_flags(VmFlags::LAPIC_PASSTHROUGH);
    let mut sent = bad;
    steps.step(
        call,
        "local APICs of its own without RT",
        -1,
        h.create_vm(&mut sent),
    );
    steps.fact(call, "a refusal writes nothing", sent == bad);
    let elsewhere = PcpuSet::of(&[PcpuId(63)]);
    steps.on_recorded(call, "a processor that is not configured", -1, |h| {
        h.create_vm(&mut VmCreation::new(configured).with_cpu_affinity(elsewhere))
    });
    let mut creation = VmCreation::new(configured);
    let id = steps.step(call, "configured", 0, h.create_vm(&mut creation));
    let Some(vm) = id else { return };
    steps.fact(
        call,
        "the block has the id that is returned",
        creation.vmid == vm,
    );
    steps.fact(call, "it has a vCPU", creation.vcpu_num >= 1);
    if steps.options.recorded_machine {
        steps.fact(call, "it is the VM after the Service VM", vm == VmId(1));
    }
    steps.step(
        call,
        "once more",
        -1,
        h.create_vm(&mut VmCreation::new(configured)),
    );
    steps.destroy(vm);
    steps.step(Calls::PAUSE_VM, "destroyed", -1, h.pause_vm(vm));

    steps.heading("creation, by other names");
    let mut creation = VmCreation::new(SPARE).with_flags(VmFlags::NVMX);
    let id = steps.step(
        call,
        "a name that is not configured",
        0,
        h.create_vm(&mut creation),
    );
    let Some(vm) = id else { return };
    steps.fact(
        call,
        "without processors it has no vCPU",
        creation.vcpu_num == 0,
    );
    steps.fact(
        call,
        "flags come back as sent",
        creation.flags == VmFlags::NVMX,
    );
    steps.step(
        call,
        "its name once more",
        -1,
        h.create_vm(&mut VmCreation::new(SPARE)),
    );
    // The refusal took the name away, so another one runs into the VM.
    steps.step(
        call,
        "another name, into its slot",
        -1,
        h.create_vm(&mut VmCreation::new(OTHER)),
    );
    steps.destroy(vm);
    let mut unnamed = VmCreation::default();
    let first = steps.step(call, "no name", 0, h.create_vm(&mut unnamed));
    let second = steps.step(
        call,
        "no name again: another slot",
        0,
        h.create_vm(&mut VmCreation::default()),
    );
    steps.fact(call, "two VMs", first.is_some() && first != second);
    for vm in [first, second].into_iter().flatten() {
        steps.destroy(vm);
    }
    full(steps);
}

/// No slot is left. How many there are depends on the machine.
fn full(steps: &mut Steps<'_>) {
    let call = Calls::CREATE_VM;
    let mut made = [VmId::INVALID; 16];
    let mut used = 0;
    let refused = steps.on_recorded(call, "no name, until no slot is left", -25, |h| {
        loop {
            let vm = h.create_vm(&mut VmCreation::default())?;
            let Some(place) = made.get_mut(used) else {
                return Ok(());
            };
            *place = vm;
            used = used.saturating_add(1);
        }
    });
    if !steps.options.recorded_machine {
        return;
    }
    steps.fact(
        call,
        "every slot was taken",
        refused.is_none() && used == 14,
    );
    let h = steps.hypervisor;
    let gone = made
        .iter()
        .take(used)
        .all(|vm| h.pause_vm(*vm).and_then(|()| h.destroy_vm(*vm)).is_ok());
    steps.fact(Calls::DESTROY_VM, "all of them", gone);
}

/// What cannot be undone before the next boot.
pub(crate) fn lasting(steps: &mut Steps<'_>) {
    steps.heading("what outlives its VM");
    let call = Calls::CREATE_VM;
    let what = "a secure world that is not configured";
    if !(steps.options.lasting && steps.options.recorded_machine) {
        steps.row(call, what, Expected::Rejected, Outcome::LeftOut);
        return;
    }
    let h = steps.hypervisor;
    let mut creation = VmCreation::new(SECURE).with_flags(VmFlags::SECURE_WORLD);
    steps.step(call, what, Expected::Rejected, h.create_vm(&mut creation));
    steps.fact(
        call,
        "the block says that there is no VM",
        creation.vmid == VmId::INVALID,
    );
    let result = h.create_vm(&mut VmCreation::new(SECURE));
    steps.step(call, "that slot, from now on", Expected::Rejected, result);
}
