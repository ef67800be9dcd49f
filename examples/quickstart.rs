//! A VM's whole life, by typed hypercalls, against a working ACRN in memory.
//!
//! `cargo run --example quickstart`. Every call is printed as it returns, as strace prints system calls. The line that
//! decides what answers is the one that builds `transport`; over a `Vmcall` the same calls execute VMCALL.

use std::error::Error;
use std::fmt;

use hypercall::acrn::ioreq::{IoDirection, IoReqPage, Request};
use hypercall::acrn::server::AcrnServer;
use hypercall::acrn::{
    Hypervisor, MemoryProt, MemoryRegion, MsiAddress, MsiData, MsiEntry, PcpuId, PcpuSet, VcpuId,
    VmCreation, VmId,
};
use hypercall::layer::Print;
use hypercall::mock::fake::{Access, AccessOutcome, FakeAcrn};
use hypercall::mock::loopback::Loopback;
use hypercall::{Client, Gpa, SharedPage, Transport};

/// The page through which the VM's I/O requests reach this program. The hypervisor keeps it after the call.
static REQUESTS: SharedPage = SharedPage::new();

fn main() -> Result<(), Box<dyn Error>> {
    let machine = FakeAcrn::new();
    let transport = Loopback::new(
        AcrnServer::new(&machine),
        &machine,
        Gpa(0x100_0000),
        0x1_0000,
    );
    let hypervisor = Client::new(Print::new(transport, |line: fmt::Arguments<'_>| {
        println!("  {line}")
    }));

    println!("Who answers?");
    hypervisor.get_api_version()?;

    println!("\nA VM is described, created, and given memory and a page for its I/O requests:");
    let mut demo = VmCreation::new("demo".try_into()?).with_cpu_affinity(PcpuSet::of(&[PcpuId(0)]));
    let vm = hypervisor.create_vm(&mut demo)?;

    println!("\nStarted too early, on purpose:");
    if let Err(error) = hypervisor.start_vm(vm) {
        println!("  → {error}");
    }

    println!("\nSo:");
    hypervisor.set_ioreq_buffer(vm, (&REQUESTS).into())?;
    let rights = MemoryProt::READ | MemoryProt::WRITE | MemoryProt::EXEC | MemoryProt::WB;
    hypervisor.set_memory_regions(
        vm,
        &[MemoryRegion::map(
            Gpa(0),
            Gpa(0x400_0000),
            0x10_0000,
            rights,
        )],
    )?;
    hypervisor.start_vm(vm)?;

    println!("\nThe guest reads a port that nobody emulates but this program:");
    let keyboard = Access::PortRead {
        port: 0x64,
        size: 1,
    };
    machine.guest_access(vm, VcpuId(0), keyboard)?;
    serve(&hypervisor, vm)?;
    match machine.guest_outcome(vm, VcpuId(0)) {
        Some(AccessOutcome::Done(Some(value))) => {
            println!("  → the guest's vCPU goes on, having read {value:#x}")
        }
        other => return Err(format!("the guest did not read what was answered: {other:?}").into()),
    }

    println!("\nAn interrupt for it, and the end:");
    let msi = MsiEntry::new(MsiAddress::to_apic(0), MsiData::vector_of(0x41));
    hypervisor.inject_msi(vm, &msi)?;
    hypervisor.pause_vm(vm)?;
    hypervisor.destroy_vm(vm)?;
    println!("\nIn the machine, {vm:?} is {:?} again.", machine.state(vm));
    Ok(())
}

/// Answers the one request that waits, as a device model would.
fn serve(hypervisor: &Client<impl Transport>, vm: VmId) -> Result<(), Box<dyn Error>> {
    let claimed = IoReqPage::new(&REQUESTS)
        .claim()
        .ok_or("no request is waiting")?;
    let request = claimed.request();
    let completed = match request {
        Request::Pio(pio) if pio.direction == IoDirection::READ => {
            println!(
                "  → vCPU {} reads {} byte of port {:#x}",
                claimed.vcpu().0,
                pio.size,
                pio.address
            );
            claimed.complete_read(0x1c)?
        }
        other => return Err(format!("nobody asked for this: {other:?}").into()),
    };
    if completed.needs_notification() {
        hypervisor.notify_request_finish(vm, completed.vcpu())?;
    }
    Ok(())
}
