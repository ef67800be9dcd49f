//! Records what a program asks, and lets the recording answer the same program.
//!
//! `cargo run --features trace --example recording`. In the field the transport would be a `Vmcall`; the recording goes to a
//! laptop, and the second half is a test there.

use std::error::Error;

use hypercall::acrn::server::AcrnServer;
use hypercall::acrn::{Hypervisor, HypervisorCalls, PcpuId, PcpuSet, VmCreation};
use hypercall::mock::{fake::FakeAcrn, loopback::Loopback};
use hypercall::trace::record::{Recorder, Recording};
use hypercall::trace::replay::Replayer;
use hypercall::{Client, Gpa};

/// The program. It does not know whether it is recorded, or who answers it.
fn probe(hypervisor: &impl Hypervisor) -> Result<(), hypercall::Error> {
    let version = hypervisor.get_api_version()?;
    println!("  version {}.{}", version.major, version.minor);
    let name = "probe".try_into().expect("a name of at most 16 bytes");
    let mut creation = VmCreation::new(name).with_cpu_affinity(PcpuSet::of(&[PcpuId(0)]));
    let vm = hypervisor.create_vm(&mut creation)?;
    println!("  created {vm:?} with {} vCPU", creation.vcpu_num);
    if let Err(error) = hypervisor.start_vm(vm) {
        println!("  {error}");
    }
    hypervisor.pause_vm(vm)?;
    hypervisor.destroy_vm(vm)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("recording-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("probe.hct");

    println!("Recorded, against a working ACRN in memory:");
    let recording = Recording::options(&[HypervisorCalls::INTERFACE]).create(&path)?;
    let machine = FakeAcrn::new();
    let server = AcrnServer::new(&machine);
    let transport = Loopback::new(server, &machine, Gpa(0x100_0000), 0x1_0000);
    probe(&Client::new(Recorder::new(
        transport,
        recording.lane("main")?,
    )))?;
    let finished = recording.finish();
    println!("  → {} calls, {} lost", finished.calls, finished.lost);

    println!("\nReplayed: nothing but the file answers.");
    let replayer = Replayer::options()
        .interface(HypervisorCalls::INTERFACE)
        .open(&path)?;
    probe(&Client::new(replayer.lane("main")))?;
    let report = replayer.report();
    print!("  → {report}");

    println!("\nA program that asks for something else:");
    let replayer = Replayer::options()
        .interface(HypervisorCalls::INTERFACE)
        .open(&path)?;
    let hypervisor = Client::new(replayer.lane("main"));
    hypervisor.get_api_version()?;
    if let Err(error) = hypervisor.destroy_vm(1.into()) {
        println!("  {error}");
    }
    print!("\n{}", replayer.report());
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
