//! Hypercalls from async code: owned values in and out, a bound on the calls in flight, and futures that are dropped.
//!
//! `cargo run --features async --example asynchronous`.

use std::error::Error as StdError;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::task::{Context, Waker};

use hypercall::acrn::server::AcrnServer;
use hypercall::acrn::{PcpuId, PcpuSet, VmCreation, VmId, VmName};
use hypercall::asynchronous::{AsyncHypervisor, Offload};
use hypercall::mock::fake::{FakeAcrn, VmState};
use hypercall::mock::loopback::Loopback;
use hypercall::{Client, Error, Gpa, SharedPage};

static REQUESTS: [SharedPage; 3] = [const { SharedPage::new() }; 3];

/// The program: it takes `&dyn AsyncHypervisor`, as a blocking one takes `&dyn Hypervisor`.
async fn boot(
    hypervisor: &dyn AsyncHypervisor,
    name: VmName,
    requests: &'static SharedPage,
) -> Result<VmId, Error> {
    // What the hypervisor writes comes back beside the result. If this future were dropped here, it would be written all
    // the same, into memory that belongs to the call.
    let creation = VmCreation::new(name).with_cpu_affinity(PcpuSet::of(&[PcpuId(0)]));
    let (result, creation) = hypervisor.create_vm(creation).await;
    let vm = result?;
    println!(
        "  {:?} is {vm:?} with {} vCPU",
        creation.name, creation.vcpu_num
    );
    hypervisor.set_ioreq_buffer(vm, requests.into()).await?;
    hypervisor.start_vm(vm).await?;
    Ok(vm)
}

async fn program(machine: FakeAcrn) -> Result<(), Box<dyn StdError>> {
    // The blocking implementation, and two of its calls in flight at most. The others wait without a thread.
    let acrn = AcrnServer::new(machine.clone());
    let blocking = Client::new(Loopback::new(
        acrn,
        machine.clone(),
        Gpa(0x100_0000),
        0x1_0000,
    ));
    let bound = NonZeroUsize::MIN.saturating_add(1);
    let offload = Offload::new(blocking, bound);
    let hypervisor: Arc<dyn AsyncHypervisor> = Arc::new(offload.clone());

    println!("Three VMs at once, {bound} calls in flight:");
    let mut tasks = Vec::new();
    for (name, page) in ["red", "green", "blue"].into_iter().zip(&REQUESTS) {
        let hypervisor = Arc::clone(&hypervisor);
        let name = VmName::new(name)?;
        tasks.push(tokio::spawn(
            async move { boot(&*hypervisor, name, page).await },
        ));
    }
    let mut vms = Vec::new();
    for task in tasks {
        vms.push(task.await??);
    }
    let running = |vm: &VmId| machine.state(*vm) == VmState::Running;
    if vms.len() != 3 || !vms.iter().all(running) {
        return Err("three VMs should run".into());
    }

    println!("A future that is dropped before it was polled: nothing happens.");
    let vm = vms[0];
    drop(hypervisor.pause_vm(vm));
    offload.idle().await;
    println!("  {vm:?} is {:?}", machine.state(vm));
    if machine.state(vm) != VmState::Running {
        return Err("nobody asked for it".into());
    }

    println!("One that is dropped while it waits for the answer: the call is made.");
    // As a timeout or a `select!` would: polled once, then given up.
    let mut pausing = hypervisor.pause_vm(vm);
    let _ = pausing
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    drop(pausing);
    offload.idle().await;
    println!("  {vm:?} is {:?}", machine.state(vm));
    if machine.state(vm) != VmState::Paused {
        return Err("a call that has begun is made".into());
    }

    println!("Errors are those of the blocking call:");
    let error = hypervisor
        .start_vm(vm)
        .await
        .err()
        .ok_or("a paused VM cannot be started")?;
    println!("  {error}");
    Ok(())
}

fn main() -> Result<(), Box<dyn StdError>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(program(FakeAcrn::new()))
}
