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

/// Creates the User VM for the first time. `false` where it is not configured: nothing else can be asked then.
pub(crate) fn run(steps: &mut Steps<'_>) -> bool {
    steps.heading("creation, by a configured name");
    let h = steps.hypervisor;
    let call = Calls::CREATE_VM;
    let configured = steps.options.vm;
    let mut creation = VmCreation::new(configured);
    let id = steps.step(call, "configured", 0, h.create_vm(&mut creation));
    let Some(vm) = id else {
        end(steps, "the rest: this VM cannot be created");
        return false;
    };
    steps.fact(
        call,
        "the block has the id that is returned",
        creation.vmid == vm,
    );
    steps.fact(call, "it has a vCPU", creation.vcpu_num >= 1);
    if creation.vcpu_num == 0 {
        // The name took a slot that is not configured. A start of such a VM crashes a real hypervisor, and so does an
        // affinity that names a processor which does not exist.
        steps.destroy(vm);
        end(steps, "the rest: this name is not configured");
        return false;
    }
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
    others(steps);
    true
}

/// The suite ends here, and says why.
fn end(steps: &mut Steps<'_>, why: &str) {
    steps.row(Calls::START_VM, why, Expected::Done, Outcome::LeftOut);
}

fn others(steps: &mut Steps<'_>) {
    let h = steps.hypervisor;
    let call = Calls::CREATE_VM;
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
    let what = "no name again: another slot";
    let second = match h.create_vm(&mut VmCreation::default()) {
        // A machine may have one slot only that is not configured.
        Err(error) if error.code() == Some(-25) && !steps.options.recorded_machine => {
            steps.row(call, what, Expected::Done, Outcome::LeftOut);
            None
        }
        result => {
            let second = steps.step(call, what, 0, result);
            steps.fact(call, "two VMs", first.is_some() && first != second);
            second
        }
    };
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
