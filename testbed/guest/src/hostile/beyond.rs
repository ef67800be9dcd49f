//! Memory beyond what a call was given is overwritten. No client can see it: what is looked at here is that the call's own
//! result is right all the same, and that the memory is.

use bare::control::Answer;
use hypercall_conformance::Lent;
use hypercall_core::acrn::{
    GpaToHpa, Hypervisor, IntrMonitor, MemoryProt, MemoryRegion, MsiEntry, ProfilingCommand,
    VmCreation, VmId,
};
use hypercall_core::{Client, Gpa, Hpa, PageAligned, Payload};

use super::{KEPT, VM, name, rejected, under};
use crate::Way;
use crate::checks::Checks;

/// A page of bytes, all of which may be looked at, unlike the padding of a block that is as long as a page.
#[repr(C, align(4096))]
struct Bytes([u8; 4096]);

/// Makes a call with a block at the start of a page that nothing else is in, so that what is written beyond it harms nobody.
/// `T` is what the call takes, which may be longer than the block. Whether the call is right, and the memory behind the block
/// overwritten.
fn overwritten<B: Copy, T>(block: B, call: impl FnOnce(&mut T) -> bool) -> bool {
    const {
        assert!(size_of::<B>() <= size_of::<T>() && size_of::<T>() <= size_of::<Bytes>());
        assert!(align_of::<T>() <= align_of::<Bytes>());
    }
    let mut bytes = Bytes([0; 4096]);
    // The hypervisor reaches all of it by address.
    let place = &raw mut bytes;
    let _ = place.expose_provenance();
    // SAFETY: a page is as long and as aligned as the types want. All of it is initialized, the types are blocks that start
    // alike and that any bytes are, and the hypervisor writes no bytes but plain ones. The page is not used otherwise while
    // the reference lives.
    let taken = unsafe {
        place.cast::<B>().write(block);
        &mut *place.cast::<T>()
    };
    let right = under(Answer::Beyond, || call(taken));
    let length = size_of::<B>();
    let beyond = core::hint::black_box(&bytes).0.get(length..length + 64);
    right && beyond.is_some_and(|beyond| beyond == [0xee; 64])
}

pub fn run(checks: &mut Checks, h: &Client<Way>, lent: Lent) {
    let creation = VmCreation {
        vmid: VmId(3),
        ..VmCreation::new(name())
    };
    let question = GpaToHpa {
        hpa: Hpa(0x1000),
        ..GpaToHpa::of(Gpa(0))
    };
    // The blocks that results come out of are not written themselves: none is taken.
    let region = MemoryRegion::map(Gpa(0), lent.gpa, 4096, MemoryProt::RAM);
    let pages = lent.pages.get(KEPT..).and_then(|pages| pages.split_first());
    let kept = pages.is_some_and(|(first, rest)| {
        let right = under(Answer::Beyond, || {
            h.set_ioreq_buffer(VM, first.into()).is_ok()
        });
        let mut behind = [0; 64];
        let next = rest.first();
        right && next.is_some_and(|page| page.read(0, &mut behind).is_ok()) && behind == [0xee; 64]
    });
    for (what, found) in [
        (
            "a block that is read",
            overwritten(MsiEntry::zeroed(), |msi: &mut MsiEntry| {
                h.inject_msi(VM, msi).is_ok()
            }),
        ),
        (
            "a block that is read and written",
            overwritten(
                IntrMonitor::counters(),
                |monitor: &mut PageAligned<IntrMonitor>| h.vm_intr_monitor(VM, monitor).is_ok(),
            ),
        ),
        (
            "a block with a VM's id in it",
            overwritten(creation, |creation: &mut VmCreation| {
                rejected(h.create_vm(creation))
            }),
        ),
        (
            "a block with an address in it",
            overwritten(question, |question: &mut GpaToHpa| {
                rejected(h.vm_gpa2hpa(VM, question))
            }),
        ),
        (
            "an array that a block points at",
            overwritten([region; 2], |regions: &mut [MemoryRegion; 2]| {
                h.set_memory_regions(VM, regions).is_ok()
            }),
        ),
        (
            "bytes of any number",
            overwritten([0_u8; 16], |bytes: &mut [u8; 16]| {
                let command = ProfilingCommand::GET_VERSION;
                h.profiling_ops(command, bytes).is_ok()
            }),
        ),
        ("a page that is kept", kept),
    ] {
        checks.check(
            format_args!("memory beyond {what} is overwritten (not detected)"),
            found,
        );
    }
}
