//! The machine that the benches call, and the calls' arguments.
#![expect(
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "a bench that cannot be set up has no result"
)]

use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::acrn::{
    GpaToHpa, Hypervisor, MemoryProt, MemoryRegion, MsiAddress, MsiData, MsiEntry, PcpuSet,
    VmCreation, VmId, VmName,
};
use hypercall_core::{Client, Gpa};
use hypercall_mock::fake::FakeAcrn;
use hypercall_mock::loopback::Loopback;

/// Where the loopback puts its blocks.
const SCRATCH: Gpa = Gpa(0x200_0000);
/// Where the hand-written calls put theirs.
pub(crate) const BLOCK: u64 = 0x300_0000;
/// Where a header's array is.
pub(crate) const NESTED: u64 = 0x300_1000;
/// Regions in the array.
pub(crate) const REGIONS: usize = 8;

/// What carries a typed call to the fake.
pub(crate) type Wire<'f> = Loopback<AcrnServer<&'f FakeAcrn>, &'f FakeAcrn>;

/// A loopback to the fake.
pub(crate) fn wire(fake: &FakeAcrn) -> Wire<'_> {
    Loopback::new(AcrnServer::new(fake), fake, SCRATCH, 0x1_0000)
}

/// A client of the fake.
pub(crate) fn client(fake: &FakeAcrn) -> Client<Wire<'_>> {
    Client::new(wire(fake))
}

/// What CREATE_VM is given.
pub(crate) fn creation() -> VmCreation {
    VmCreation::new(VmName::new("bench").expect("it is short")).with_cpu_affinity(PcpuSet(1))
}

/// A VM that was created, with memory.
pub(crate) fn created(fake: &FakeAcrn) -> VmId {
    let vm = fake.create_vm(&mut creation()).expect("a slot is free");
    fake.set_memory_regions(vm, &regions())
        .expect("the Service VM has the memory");
    vm
}

/// Pages that do not follow each other.
pub(crate) fn regions() -> [MemoryRegion; REGIONS] {
    let mut page = 0;
    [(); REGIONS].map(|()| {
        page += 0x1000;
        MemoryRegion::map(
            Gpa(page),
            Gpa(0x400_0000 + 2 * page),
            0x1000,
            MemoryProt::RAM,
        )
    })
}

/// An interrupt for the VM's first vCPU.
pub(crate) const fn msi() -> MsiEntry {
    MsiEntry::new(MsiAddress::to_apic(0), MsiData::vector_of(0x30))
}

/// A question for the first page.
pub(crate) const fn translation() -> GpaToHpa {
    GpaToHpa::of(Gpa(0x1000))
}
