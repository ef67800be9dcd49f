//! Layers around a transport: count, allow, break on purpose, print.
//!
//! `cargo run --example layers`. Neither the program nor the hypervisor knows of them.

use std::error::Error as StdError;
use std::fmt::Arguments;

use hypercall::acrn::server::AcrnServer;
use hypercall::acrn::{Hypervisor, HypervisorCalls, PcpuId, PcpuSet, VmCreation, VmId, VmName};
use hypercall::layer::fault::Plan;
use hypercall::layer::{
    AllowList, CallList, Counting, DryRun, FaultInjection, Outcome, Print, Rule,
};
use hypercall::mock::fake::{FakeAcrn, VmState};
use hypercall::mock::loopback::Loopback;
use hypercall::{Client, Error, ErrorKind, Gpa, SharedPage};

static REQUESTS: SharedPage = SharedPage::new();

/// The program. It starts a VM, and tries three times.
fn start(hypervisor: &impl Hypervisor) -> Result<VmId, Error> {
    let name = VmName::new("demo").unwrap_or(VmName::EMPTY);
    let vm = hypervisor
        .create_vm(&mut VmCreation::new(name).with_cpu_affinity(PcpuSet::of(&[PcpuId(0)])))?;
    hypervisor.set_ioreq_buffer(vm, (&REQUESTS).into())?;
    let mut tries = 1;
    loop {
        match hypervisor.start_vm(vm) {
            Ok(()) => return Ok(vm),
            Err(error) if tries == 3 => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

fn line(line: Arguments<'_>) {
    println!("  {line}");
}

fn main() -> Result<(), Box<dyn StdError>> {
    let interface = HypervisorCalls::INTERFACE;
    let allowed = CallList::only(Rule::all_named(
        interface,
        ["create_vm", "set_ioreq_buffer", "start_vm", "pause_vm"],
    )?);

    println!("A dry run: nothing is behind it.");
    let dry = Client::new(DryRun::new(allowed, line));
    // It gets no further than the first call, whose answer it needs.
    let error = start(&dry).err().ok_or("a dry run answered")?;
    let refused = dry.destroy_vm(VmId(1));
    if error.may_have_run() || refused.is_ok() {
        return Err("a dry run issued something".into());
    }

    println!(
        "\nThe hypervisor, with faults, counted, printed, and restricted to what the program needs:"
    );
    let machine = FakeAcrn::new();
    let acrn = Loopback::new(
        AcrnServer::new(&machine),
        &machine,
        Gpa(0x100_0000),
        0x1_0000,
    );
    let plan = Plan::<4>::parse(
        "start_vm: instead=EIO @ 1..2   # the first two are refused and never arrive
         pause_vm: after=lost             # it is made, and its answer never comes",
        interface,
    )?;
    // From the inside out: what the outermost layer refuses, the others do not see.
    let broken = FaultInjection::new(acrn, plan, std::thread::sleep);
    let counted: Counting<_> = Counting::new(broken, interface);
    let printed = Print::new(counted, line);
    let hypervisor = Client::new(AllowList::new(printed, allowed));

    let vm = start(&hypervisor)?;
    let lost = hypervisor
        .pause_vm(vm)
        .err()
        .ok_or("the answer should be lost")?;
    println!("  → {lost}");
    println!("    but in the machine: {vm:?} is {:?}", machine.state(vm));
    let forbidden = hypervisor
        .destroy_vm(vm)
        .err()
        .ok_or("destroy_vm is not on the list")?;
    println!("  → {forbidden}");

    let counts = hypervisor.transport().inner().inner();
    println!("\n{counts}");
    let starts = (
        counts.count(HypervisorCalls::START_VM, Outcome::Refused(-5)),
        counts.count(HypervisorCalls::START_VM, Outcome::Success),
    );
    let as_expected = starts == (2, 1)
        && lost.may_have_run()
        && machine.state(vm) == VmState::Paused
        && matches!(forbidden.kind, ErrorKind::Layer(_))
        && counts.calls(HypervisorCalls::DESTROY_VM) == 0;
    if as_expected {
        Ok(())
    } else {
        Err("not as expected".into())
    }
}
