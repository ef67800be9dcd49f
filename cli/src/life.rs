//! The program that `hcall demo` records and replays: a VM's whole life, as a device model makes it.

use hypercall_core::acrn::ioreq::{IoDirection, IoReqPage, Request};
use hypercall_core::acrn::{
    Hypervisor, MemoryProt, MemoryRegion, MsiAddress, MsiData, MsiEntry, PcpuId, PcpuSet, VcpuId,
    VmCreation, VmId,
};
use hypercall_core::{Error, Gpa, SharedPage};

/// What happens beside the program's calls.
pub(crate) trait World {
    /// The guest runs up to its next I/O request. In a replay there is no guest: its request comes from the trace.
    fn guest(&self, vm: VmId) -> Result<(), String>;
}

/// What the guest reads from the port.
pub(crate) const ANSWER: u32 = 0x1c;

/// Lives a VM's life. `requests` is the page through which its I/O requests come.
pub(crate) fn live(
    hypervisor: &impl Hypervisor,
    requests: &'static SharedPage,
    world: &impl World,
) -> Result<(), String> {
    let told = |error: Error| error.to_string();
    hypervisor.get_api_version().map_err(told)?;
    let name = "demo"
        .try_into()
        .map_err(|_| "the VM's name is too long".to_owned())?;
    let mut creation = VmCreation::new(name).with_cpu_affinity(PcpuSet::of(&[PcpuId(0)]));
    let vm = hypervisor.create_vm(&mut creation).map_err(told)?;
    // Too early, on purpose: a trace without an error would show less.
    if hypervisor.start_vm(vm).is_ok() {
        return Err("the VM started without a page for its I/O requests".to_owned());
    }
    hypervisor
        .set_ioreq_buffer(vm, requests.into())
        .map_err(told)?;
    let rights = MemoryProt::READ | MemoryProt::WRITE | MemoryProt::EXEC | MemoryProt::WB;
    let region = MemoryRegion::map(Gpa(0), Gpa(0x400_0000), 0x10_0000, rights);
    hypervisor.set_memory_regions(vm, &[region]).map_err(told)?;
    hypervisor.start_vm(vm).map_err(told)?;
    for _ in 0..3 {
        world.guest(vm)?;
        serve(hypervisor, vm, requests)?;
    }
    let msi = MsiEntry::new(MsiAddress::to_apic(0), MsiData::vector_of(0x41));
    hypervisor.inject_msi(vm, &msi).map_err(told)?;
    hypervisor.pause_vm(vm).map_err(told)?;
    hypervisor.destroy_vm(vm).map_err(told)
}

/// Answers the request that waits, as a device model would.
fn serve(
    hypervisor: &impl Hypervisor,
    vm: VmId,
    requests: &'static SharedPage,
) -> Result<(), String> {
    let claimed = IoReqPage::new(requests)
        .claim()
        .ok_or("no I/O request is waiting")?;
    let completed = match claimed.request() {
        Request::Pio(pio) if pio.direction == IoDirection::READ => {
            claimed.complete_read(ANSWER.into())
        }
        _ => claimed.complete(),
    };
    let completed = completed.map_err(|error| error.to_string())?;
    if completed.needs_notification() {
        let vcpu: VcpuId = completed.vcpu();
        hypervisor
            .notify_request_finish(vm, vcpu)
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}
