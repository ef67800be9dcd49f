//! The I/O request page, from both sides.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test"
)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use hypercall_core::SharedPage;
use hypercall_core::acrn::VcpuId;
use hypercall_core::acrn::ioreq::{
    Claimed, IoDirection, IoReqKind, IoReqPage, IoReqState, IoRequest, MmioRequest, PciRequest,
    PioRequest, Request,
};
use hypercall_core::{Gpa, Payload};

fn inb(port: u64) -> Request {
    Request::Pio(PioRequest {
        direction: IoDirection::READ,
        address: port,
        size: 1,
        ..PioRequest::default()
    })
}

fn raise(page: IoReqPage<'_>, vcpu: u16, request: &Request) {
    page.slot(VcpuId(vcpu))
        .unwrap()
        .free()
        .unwrap()
        .raise(request, false)
        .unwrap();
}

/// What a tool sees that reads the page out.
fn dump(page: &SharedPage, slot: usize) -> IoRequest {
    let mut request = IoRequest::default();
    page.read(slot * 256, request.as_block_mut()).unwrap();
    request
}

#[test]
fn a_request_goes_round() {
    let memory = SharedPage::new();
    let page = IoReqPage::new(&memory);
    page.clear();
    raise(page, 3, &inb(0x60));
    assert_eq!(dump(&memory, 3).state, IoReqState::PENDING);

    let claimed = page.claim().unwrap();
    assert_eq!((claimed.vcpu(), claimed.request()), (VcpuId(3), inb(0x60)));
    assert_eq!(dump(&memory, 3).state, IoReqState::PROCESSING);
    assert!(page.claim().is_none(), "it is claimed");

    let done = claimed.complete_read(0x1c).unwrap();
    assert_eq!((done.vcpu(), done.needs_notification()), (VcpuId(3), true));

    let answered = page.slot(VcpuId(3)).unwrap().answered().unwrap();
    assert_eq!(answered.value(), 0x1c);
    answered.release().unwrap();
    assert_eq!(dump(&memory, 3).state, IoReqState::FREE);
}

#[test]
fn a_page_of_zeros_is_sixteen_pending_requests() {
    let memory = SharedPage::new();
    let page = IoReqPage::new(&memory);
    assert_eq!(
        page.slots()
            .filter(|slot| slot.state() == IoReqState::PENDING)
            .count(),
        16
    );
    page.clear();
    assert_eq!(
        page.slots()
            .filter(|slot| slot.state() == IoReqState::FREE)
            .count(),
        16
    );
    assert!(page.slot(VcpuId(16)).is_none());
}

#[test]
fn clearing_writes_the_states_and_nothing_else() {
    let memory = SharedPage::new();
    memory.write(0, &[0xee; 4096]).unwrap();
    IoReqPage::new(&memory).clear();
    let mut bytes = [0; 4096];
    memory.read(0, &mut bytes).unwrap();
    for (offset, byte) in bytes.into_iter().enumerate() {
        let expected = match offset % 256 {
            136 => 3,
            137..=139 => 0,
            _ => 0xee,
        };
        assert_eq!(byte, expected, "byte {offset}");
    }
}

#[test]
fn a_value_is_as_wide_as_its_request() {
    let memory = SharedPage::new();
    let page = IoReqPage::new(&memory);
    page.clear();
    let value = 0x1111_2222_3333_4444;

    let read = MmioRequest {
        direction: IoDirection::READ,
        address: Gpa(0xd000_0000),
        size: 8,
        ..MmioRequest::default()
    };
    raise(page, 0, &Request::Mmio(read));
    let _ = page.claim().unwrap().complete_read(value).unwrap();
    assert_eq!(
        page.slot(VcpuId(0)).unwrap().answered().unwrap().value(),
        value
    );

    // Behind the 32-bit value of a PCI request stands the bus.
    let read = PciRequest {
        direction: IoDirection::READ,
        size: 4,
        bus: 7,
        device: 1,
        register: 4,
        ..PciRequest::default()
    };
    raise(page, 1, &Request::Pci(read));
    let _ = page.claim().unwrap().complete_read(value).unwrap();
    let answered = page.slot(VcpuId(1)).unwrap().answered().unwrap();
    assert_eq!(
        answered.request(),
        Request::Pci(PciRequest {
            value: 0x3333_4444,
            ..read
        })
    );
}

#[test]
fn a_reset_is_noticed_and_not_undone() {
    let memory = SharedPage::new();
    let page = IoReqPage::new(&memory);
    page.clear();
    for complete in [
        |claimed: Claimed<'_>| claimed.complete_read(1),
        |claimed: Claimed<'_>| claimed.complete(),
    ] {
        raise(page, 0, &inb(0x60));
        let claimed = page.claim().unwrap();
        page.clear();
        let moved = complete(claimed).unwrap_err();
        assert_eq!(
            (moved.expected, moved.found),
            (IoReqState::PROCESSING, IoReqState::FREE)
        );
        assert!(moved.to_string().contains("FREE"), "{moved}");
        assert_eq!(dump(&memory, 0).state, IoReqState::FREE);
    }
}

#[test]
fn polling_needs_no_notification() {
    let memory = SharedPage::new();
    let page = IoReqPage::new(&memory);
    page.clear();
    let slot = page.slot(VcpuId(0)).unwrap();
    slot.free().unwrap().raise(&inb(0x60), true).unwrap();
    assert!(
        !page
            .claim()
            .unwrap()
            .complete_read(0)
            .unwrap()
            .needs_notification()
    );
}

#[test]
fn what_a_driver_serves_itself_is_not_adopted() {
    let memory = SharedPage::new();
    let page = IoReqPage::new(&memory);
    page.clear();
    raise(page, 0, &inb(0x60));
    let slot = page.slot(VcpuId(0)).unwrap();
    assert!(slot.adopt().is_none(), "it is not claimed yet");
    let mut driver = slot.claim().unwrap();
    driver.set_kernel_handled(true);
    assert!(slot.adopt().is_none());
    driver.set_kernel_handled(false);
    assert_eq!(slot.adopt().unwrap().request(), inb(0x60));
}

#[test]
fn unknown_kinds_and_states_stay_visible() {
    let memory = SharedPage::new();
    let page = IoReqPage::new(&memory);
    page.clear();
    let strange = Request::Unknown(IoReqKind(9), [1, 2, 3, 4, 5, 6, 7, 8]);
    raise(page, 0, &strange);
    assert_eq!(page.claim().unwrap().request(), strange);

    memory.write(136, &77_u32.to_le_bytes()).unwrap();
    let slot = page.slot(VcpuId(0)).unwrap();
    assert_eq!(slot.state(), IoReqState(77));
    assert!(slot.claim().is_none() && slot.free().is_none() && slot.answered().is_none());
}

/// A hypervisor and two device models on three threads: no request is lost, none is served twice, none is torn.
#[test]
fn both_sides_at_once() {
    // Miri interprets, and both sides spin.
    const ROUNDS: u32 = if cfg!(miri) { 10 } else { 2000 };
    let memory = SharedPage::new();
    let page = IoReqPage::new(&memory);
    page.clear();
    let served = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while served.load(Ordering::Relaxed) < ROUNDS {
                    let Some(claimed) = page.claim() else {
                        thread::yield_now();
                        continue;
                    };
                    let Request::Mmio(mmio) = claimed.request() else {
                        panic!("another kind")
                    };
                    assert_eq!(mmio.address.0 >> 32, mmio.address.0 & 0xffff_ffff, "torn");
                    let _ = claimed.complete_read(!mmio.address.0).unwrap();
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            for round in 0..u64::from(ROUNDS) {
                let address = Gpa(round << 32 | round);
                let slot = page
                    .slot(VcpuId(u16::try_from(round % 16).unwrap()))
                    .unwrap();
                let read = MmioRequest {
                    address,
                    size: 8,
                    ..MmioRequest::default()
                };
                slot.free()
                    .unwrap()
                    .raise(&Request::Mmio(read), false)
                    .unwrap();
                let answered = loop {
                    match slot.answered() {
                        Some(answered) => break answered,
                        None => thread::yield_now(),
                    }
                };
                assert_eq!(answered.value(), !address.0);
                answered.release().unwrap();
            }
        });
    });
    assert_eq!(served.load(Ordering::Relaxed), ROUNDS);
}
