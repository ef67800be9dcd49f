//! I/O requests on the fake: raised by a guest, served through a live page.

use std::sync::atomic::Ordering;

use hypercall_core::acrn::{
    AsyncIoInfo, Hypervisor, MemoryProt, MemoryRegion, PcpuId, SbufId, SharedBufferHeader, VcpuId,
    VmCreation, VmFlags, VmId, WriteProtect,
};
use hypercall_core::{Gpa, SharedPage};
use hypercall_mock::fake::{
    Access, AccessError, AccessOutcome, FakeAcrn, FakeConfig, VmConfig, VmState,
};
use zerocopy::IntoBytes;

const BSP: VcpuId = VcpuId::BSP;
const PENDING: u32 = 0;
const COMPLETE: u32 = 1;
const FREE: u32 = 3;

/// A word of a slot.
fn word(page: &SharedPage, vcpu: usize, offset: usize) -> u32 {
    page.word(vcpu * 256 + offset)
        .unwrap()
        .load(Ordering::Acquire)
}

fn set(page: &SharedPage, vcpu: usize, offset: usize, value: u32) {
    page.word(vcpu * 256 + offset)
        .unwrap()
        .store(value, Ordering::Release);
}

fn started(fake: &FakeAcrn, page: &'static SharedPage, flags: VmFlags) -> VmId {
    let mut creation = VmCreation::new("POST_STD_VM1".try_into().unwrap()).with_flags(flags);
    let vm = fake.create_vm(&mut creation).unwrap();
    fake.set_ioreq_buffer(vm, page.into()).unwrap();
    let memory = [MemoryRegion::map(
        Gpa(0),
        Gpa(0x400_0000),
        0x20_0000,
        MemoryProt::RAM,
    )];
    fake.set_memory_regions(vm, &memory).unwrap();
    fake.start_vm(vm).unwrap();
    vm
}

#[test]
fn requests_are_served_one_after_the_other() {
    static REQUESTS: SharedPage = SharedPage::new();
    let fake = FakeAcrn::new();
    let vm = started(&fake, &REQUESTS, VmFlags::empty());
    assert!((0..16).all(|vcpu| word(&REQUESTS, vcpu, 136) == FREE));

    let access = Access::PortWrite {
        port: 0x510,
        size: 1,
        value: 0x1142,
    };
    assert_eq!(
        fake.guest_access(vm, BSP, access),
        Ok(AccessOutcome::Waiting)
    );
    assert_eq!((word(&REQUESTS, 0, 136), fake.upcalls(0xf3)), (PENDING, 1));
    // Type, direction, address, size, value.
    let request = [0, 64, 72, 80, 88].map(|offset| word(&REQUESTS, 0, offset));
    assert_eq!(request, [0, 1, 0x510, 1, 0x42]);
    assert_eq!(fake.guest_access(vm, BSP, access), Err(AccessError::Busy));

    set(&REQUESTS, 0, 136, COMPLETE);
    assert_eq!(
        fake.guest_outcome(vm, BSP),
        Some(AccessOutcome::Waiting),
        "not notified yet"
    );
    fake.notify_request_finish(vm, BSP).unwrap();
    assert_eq!(fake.guest_outcome(vm, BSP), Some(AccessOutcome::Done(None)));
    assert_eq!(word(&REQUESTS, 0, 136), FREE);

    // A read shows the value of the request before it, and takes the answer cut to its size.
    fake.guest_access(
        vm,
        BSP,
        Access::PortRead {
            port: 0x510,
            size: 2,
        },
    )
    .unwrap();
    assert_eq!([64, 88].map(|offset| word(&REQUESTS, 0, offset)), [0, 0x42]);
    set(&REQUESTS, 0, 88, 0xdead_beef);
    set(&REQUESTS, 0, 136, COMPLETE);
    fake.notify_request_finish(vm, BSP).unwrap();
    assert_eq!(
        fake.guest_outcome(vm, BSP),
        Some(AccessOutcome::Done(Some(0xbeef)))
    );

    // Memory has 64 bits of value; a port access leaves the upper half.
    let write = Access::MemoryWrite {
        address: 0xd000_0010,
        size: 8,
        value: 0x1122_3344_5566_7788,
    };
    fake.guest_access(vm, BSP, write).unwrap();
    assert_eq!(
        [0, 72, 88, 92].map(|offset| word(&REQUESTS, 0, offset)),
        [1, 0xd000_0010, 0x5566_7788, 0x1122_3344]
    );
    set(&REQUESTS, 0, 136, COMPLETE);
    fake.notify_request_finish(vm, BSP).unwrap();
    fake.guest_access(
        vm,
        BSP,
        Access::PortWrite {
            port: 1,
            size: 4,
            value: 9,
        },
    )
    .unwrap();
    assert_eq!(
        [88, 92].map(|offset| word(&REQUESTS, 0, offset)),
        [9, 0x1122_3344]
    );
}

#[test]
fn a_protected_page_makes_requests_of_its_own_type() {
    static REQUESTS: SharedPage = SharedPage::new();
    let fake = FakeAcrn::new();
    let vm = started(&fake, &REQUESTS, VmFlags::empty());
    fake.write_protect_page(vm, &WriteProtect::protect(Gpa(0x2000)))
        .unwrap();
    assert_eq!(
        fake.write_memory(vm, Gpa(0x1ffe), &[1, 2, 3, 4]),
        2,
        "the protected half is lost"
    );
    let write = Access::ProtectedWrite {
        address: 0x2000,
        size: 1,
        value: 0x77,
    };
    fake.guest_access(vm, BSP, write).unwrap();
    assert_eq!(
        [0, 64, 72, 80, 88].map(|offset| word(&REQUESTS, 0, offset)),
        [3, 1, 0x2000, 1, 0x77]
    );
    fake.write_protect_page(vm, &WriteProtect::unprotect(Gpa(0x2000)))
        .unwrap();
    assert_eq!(fake.write_memory(vm, Gpa(0x2000), &[5]), 1);
}

#[test]
fn a_notification_that_came_early_ends_the_next_wait() {
    static REQUESTS: SharedPage = SharedPage::new();
    let fake = FakeAcrn::new();
    let vm = started(&fake, &REQUESTS, VmFlags::empty());
    fake.notify_request_finish(vm, BSP).unwrap();
    let read = Access::PortRead {
        port: 0x60,
        size: 1,
    };
    assert_eq!(
        fake.guest_access(vm, BSP, read),
        Ok(AccessOutcome::Done(None))
    );
    assert_eq!(word(&REQUESTS, 0, 136), PENDING, "the request stays behind");
    assert_eq!(fake.guest_access(vm, BSP, read), Err(AccessError::NoSlot));
}

#[test]
fn polling_needs_no_notification_and_is_for_ever() {
    static REQUESTS: SharedPage = SharedPage::new();
    let fake = FakeAcrn::new();
    let vm = started(&fake, &REQUESTS, VmFlags::IO_COMPLETION_POLLING);
    let read = Access::PortRead {
        port: 0x60,
        size: 1,
    };
    fake.guest_access(vm, BSP, read).unwrap();
    assert_eq!(word(&REQUESTS, 0, 4), 1);
    fake.notify_request_finish(vm, BSP).unwrap();
    assert_eq!(fake.guest_outcome(vm, BSP), Some(AccessOutcome::Waiting));
    set(&REQUESTS, 0, 88, 7);
    set(&REQUESTS, 0, 136, COMPLETE);
    assert_eq!(
        fake.guest_outcome(vm, BSP),
        Some(AccessOutcome::Done(Some(7)))
    );
    assert_eq!(word(&REQUESTS, 0, 136), FREE);

    fake.pause_vm(vm).unwrap();
    fake.destroy_vm(vm).unwrap();
    let vm = started(&fake, &REQUESTS, VmFlags::empty());
    assert!(
        fake.vm(vm).unwrap().polling,
        "the flag is gone, the mode is not"
    );
}

#[test]
fn a_paused_vm_takes_no_answer() {
    static REQUESTS: SharedPage = SharedPage::new();
    let fake = FakeAcrn::new();
    let vm = started(&fake, &REQUESTS, VmFlags::empty());
    fake.guest_access(
        vm,
        BSP,
        Access::PortRead {
            port: 0x60,
            size: 1,
        },
    )
    .unwrap();
    fake.pause_vm(vm).unwrap();
    set(&REQUESTS, 0, 136, COMPLETE);
    fake.notify_request_finish(vm, BSP).unwrap();
    assert_eq!(word(&REQUESTS, 0, 136), FREE);
    assert_eq!(fake.guest_outcome(vm, BSP), Some(AccessOutcome::Done(None)));
    assert_eq!(
        fake.guest_access(vm, BSP, Access::PortRead { port: 1, size: 1 }),
        Err(AccessError::NotRunning)
    );
}

#[test]
fn every_vcpu_has_its_slot() {
    static REQUESTS: SharedPage = SharedPage::new();
    let fake = FakeAcrn::with_config(FakeConfig {
        pcpus: 4,
        vms: vec![
            VmConfig::service_vm(0xf),
            VmConfig::user_vm("POST_STD_VM1", 0xe),
        ],
        ..FakeConfig::default()
    });
    let vm = started(&fake, &REQUESTS, VmFlags::empty());
    let read = Access::PortRead {
        port: 0x60,
        size: 1,
    };
    assert_eq!(
        fake.guest_access(vm, VcpuId(2), read),
        Err(AccessError::NotRunning),
        "not started by the first"
    );
    assert!(fake.guest_starts_vcpu(vm, VcpuId(2)));
    assert!(!fake.guest_starts_vcpu(vm, VcpuId(3)), "there are three");
    fake.guest_access(vm, VcpuId(2), read).unwrap();
    fake.guest_access(
        vm,
        BSP,
        Access::PortRead {
            port: 0x64,
            size: 1,
        },
    )
    .unwrap();
    assert_eq!([0, 2].map(|vcpu| word(&REQUESTS, vcpu, 72)), [0x64, 0x60]);
    set(&REQUESTS, 2, 88, 5);
    set(&REQUESTS, 2, 136, COMPLETE);
    fake.notify_request_finish(vm, VcpuId(2)).unwrap();
    assert_eq!(
        fake.guest_outcome(vm, VcpuId(2)),
        Some(AccessOutcome::Done(Some(5)))
    );
    assert_eq!(fake.guest_outcome(vm, BSP), Some(AccessOutcome::Waiting));
    assert_eq!(
        fake.notify_request_finish(vm, VcpuId(3))
            .unwrap_err()
            .code(),
        Some(-1)
    );
}

#[test]
fn memory_is_shared_for_real() {
    static REQUESTS: SharedPage = SharedPage::new();
    static LIVE: SharedPage = SharedPage::new();
    let fake = FakeAcrn::new();
    let vm = started(&fake, &REQUESTS, VmFlags::empty());
    assert!(fake.mount_at(Gpa(0x400_3000), &LIVE));
    fake.write_memory(vm, Gpa(0x3ffc), &[0xaa, 0xbb, 0xcc, 0xdd, 0xee]);
    assert_eq!(word(&LIVE, 15, 252), 0xddcc_bbaa);
    set(&LIVE, 0, 0, 0x1234);
    let mut seen = [0; 2];
    fake.read_memory(vm, Gpa(0x3000), &mut seen);
    assert_eq!(seen, [0x34, 0x12]);
    fake.read_memory(VmId::SERVICE_VM, Gpa(0x400_4000), &mut seen);
    assert_eq!(seen, [0xee, 0]);
    fake.read_memory(vm, Gpa(0x20_0000), &mut seen);
    assert_eq!(seen, [0xff, 0xff], "nothing is mapped there");
}

#[test]
fn asynchronous_ios_go_into_the_ring() {
    static REQUESTS: SharedPage = SharedPage::new();
    static RING: SharedPage = SharedPage::new();
    let header = SharedBufferHeader::for_memory(64 + 3 * 8, 8).unwrap();
    RING.write(0, header.as_bytes()).unwrap();
    let fake = FakeAcrn::new();
    let vm = started(&fake, &REQUESTS, VmFlags::empty());
    fake.setup_sbuf(vm, PcpuId(9), SbufId::ASYNCIO, (&RING).into())
        .unwrap();
    fake.asyncio_assign(vm, &AsyncIoInfo::port(0x600, 7))
        .unwrap();
    fake.asyncio_assign(vm, &AsyncIoInfo::memory(Gpa(0xe000_0000), 8).when(0x55))
        .unwrap();

    let kick = Access::PortWrite {
        port: 0x600,
        size: 2,
        value: 3,
    };
    assert_eq!(
        fake.guest_access(vm, BSP, kick),
        Ok(AccessOutcome::Asynchronous)
    );
    assert_eq!(
        (word(&RING, 0, 20), word(&RING, 0, 64), fake.upcalls(0xf3)),
        (8, 7, 1)
    );
    let other = Access::MemoryWrite {
        address: 0xe000_0000,
        size: 4,
        value: 0x54,
    };
    assert_eq!(
        fake.guest_access(vm, BSP, other),
        Ok(AccessOutcome::Waiting),
        "other data are a request"
    );
    set(&REQUESTS, 0, 136, COMPLETE);
    fake.notify_request_finish(vm, BSP).unwrap();
    let matching = Access::MemoryWrite {
        address: 0xe000_0000,
        size: 4,
        value: 0x55,
    };
    assert_eq!(
        fake.guest_access(vm, BSP, matching),
        Ok(AccessOutcome::Asynchronous)
    );

    // Three elements hold two: the next one waits until there is room.
    assert_eq!(
        fake.guest_access(vm, BSP, kick),
        Ok(AccessOutcome::RingFull)
    );
    set(&RING, 0, 16, 8);
    assert_eq!(fake.guest_outcome(vm, BSP), Some(AccessOutcome::Done(None)));
    assert_eq!((word(&RING, 0, 20), word(&RING, 0, 64 + 16)), (0, 7));
    fake.asyncio_deassign(vm, &AsyncIoInfo::port(0x600, 7))
        .unwrap();
    assert_eq!(fake.guest_access(vm, BSP, kick), Ok(AccessOutcome::Waiting));
}

#[test]
fn a_triple_fault_asks_for_power_off() {
    static REQUESTS: SharedPage = SharedPage::new();
    static RING: SharedPage = SharedPage::new();
    let header = SharedBufferHeader::for_memory(4096, 32).unwrap();
    RING.write(0, header.as_bytes()).unwrap();
    let fake = FakeAcrn::new();
    let vm = started(&fake, &REQUESTS, VmFlags::empty());
    fake.setup_sbuf(vm, PcpuId(0), SbufId::VM_EVENT, (&RING).into())
        .unwrap();
    assert_eq!(fake.guest_triple_fault(vm, BSP), Ok(AccessOutcome::Waiting));
    assert_eq!(
        (word(&RING, 0, 20), word(&RING, 0, 64), fake.upcalls(0xf3)),
        (32, 2, 2)
    );
    assert_eq!(
        [72, 80, 88].map(|offset| word(&REQUESTS, 0, offset)),
        [0x404, 2, 0x3400]
    );
    assert_eq!(fake.state(vm), VmState::Running);
}

#[test]
fn the_fake_is_shared_between_threads() {
    static REQUESTS: SharedPage = SharedPage::new();
    let fake = FakeAcrn::new();
    let vm = started(&fake, &REQUESTS, VmFlags::empty());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..200 {
                while word(&REQUESTS, 0, 136) != PENDING {
                    std::thread::yield_now();
                }
                set(&REQUESTS, 0, 88, word(&REQUESTS, 0, 72).wrapping_mul(3));
                set(&REQUESTS, 0, 136, COMPLETE);
                fake.notify_request_finish(vm, BSP).unwrap();
            }
        });
        for port in 0..200 {
            fake.guest_access(vm, BSP, Access::PortRead { port, size: 2 })
                .unwrap();
            let answer = loop {
                match fake.guest_outcome(vm, BSP) {
                    Some(AccessOutcome::Done(answer)) => break answer,
                    _ => std::thread::yield_now(),
                }
            };
            assert_eq!(answer, Some(u64::from(port) * 3));
        }
    });
}
