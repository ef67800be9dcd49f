//! Memory that would come out wrong.

use crate::bench::{Break, bench, created};
use hypercall_core::acrn::{MemoryProt, MemoryRegion, MemoryRegionKind};
use hypercall_core::{ErrorKind, Gpa, Hpa};
use hypercall_mock::fake::FakeAcrn;

#[test]
fn memory_that_would_come_out_wrong_is_not_issued() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let vm = created(&hypervisor);
    hypervisor.issued();
    let good = MemoryRegion::map(Gpa(0x1000), Gpa(0x1000_0000), 0x1000, MemoryProt::RAM);
    let bad = [
        MemoryRegion { size: 0, ..good },
        MemoryRegion {
            size: 0x1001,
            ..good
        },
        MemoryRegion {
            gpa: Gpa(0x1001),
            ..good
        },
        MemoryRegion {
            service_vm_gpa: Gpa(0x1000_0800),
            ..good
        },
        MemoryRegion {
            gpa: Gpa(!0xfff),
            size: 0x2000,
            ..good
        },
        MemoryRegion {
            service_vm_gpa: Gpa(!0xfff),
            ..good
        },
        MemoryRegion {
            kind: MemoryRegionKind::MODIFY,
            ..good
        },
        MemoryRegion {
            kind: MemoryRegionKind(1),
            ..good
        },
        MemoryRegion {
            prot: MemoryProt::WB,
            ..good
        },
        MemoryRegion {
            prot: MemoryProt::WRITE | MemoryProt::WB,
            ..good
        },
    ];
    for region in bad {
        let error = vm.set_memory_regions(&[good, region]).unwrap_err();
        assert!(
            matches!(error.kind, ErrorKind::Invalid(_)),
            "{region:?}: {error}"
        );
    }
    assert!(vm.set_memory_regions(&[]).is_err());
    assert!(hypervisor.issued().is_empty());
    vm.set_memory_regions(&[good, MemoryRegion::unmap(Gpa(0x1000), 0x1000), good])
        .unwrap();
    assert_eq!(vm.translate(Gpa(0x1fff)).unwrap(), Hpa(0x1000_0fff));
}
