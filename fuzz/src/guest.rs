//! What User VMs do, and what the hypervisor may write for them.

use std::ops::Range;

use arbitrary::Arbitrary;
use hypercall_core::acrn::ioreq::IoReqPage;
use hypercall_core::acrn::{Gsi, VcpuId, VmId};
use hypercall_mock::fake::{Access, FakeAcrn};

use crate::input::{Id, Word};
use crate::ram;

/// `ACRN_IOREQ_STATE_COMPLETE`.
const COMPLETE: u32 = 1;

/// Something that a User VM does.
#[derive(Arbitrary, Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are those of the fake's methods")]
pub enum Act {
    Access {
        vm: Id,
        vcpu: u8,
        kind: u8,
        address: u8,
        size: u8,
        value: Word,
    },
    /// Not the VM but its device model: a value, and a state, most likely COMPLETE.
    Answer {
        vm: Id,
        vcpu: u8,
        value: u64,
        state: u8,
    },
    Outcome {
        vm: Id,
        vcpu: u8,
    },
    TripleFault {
        vm: Id,
        vcpu: u8,
    },
    StartVcpu {
        vm: Id,
        vcpu: u8,
    },
    X2Apic {
        vm: Id,
    },
    PowerOff {
        vm: Id,
    },
    Line {
        line: u8,
    },
}

impl Act {
    /// The VM that accesses something, if one does.
    pub fn vm(self) -> Option<VmId> {
        match self {
            Self::Access { vm, .. } | Self::TripleFault { vm, .. } | Self::Answer { vm, .. } => {
                Some(VmId(vm.raw() as u16))
            }
            _ => None,
        }
    }

    /// Does it.
    pub fn play(self, fake: &FakeAcrn) {
        let id = |vm: Id| VmId(vm.raw() as u16);
        // Half the time the first.
        let of = |vcpu: u8| VcpuId(u16::from((vcpu & 0x7f).saturating_sub(0x5f)));
        match self {
            Self::Access {
                vm,
                vcpu,
                kind,
                address,
                size,
                value,
            } => {
                // Few, so that registered addresses are met.
                let (port, memory) = (u16::from(address % 4), u64::from(address % 4));
                let size = [1, 2, 4, 8, size][usize::from(size) % 5];
                let value = value.raw();
                let access = match kind % 5 {
                    0 => Access::PortRead { port, size },
                    1 => Access::PortWrite {
                        port,
                        size,
                        value: value as u32,
                    },
                    2 => Access::MemoryRead {
                        address: memory,
                        size,
                    },
                    3 => Access::MemoryWrite {
                        address: memory,
                        size,
                        value,
                    },
                    _ => Access::ProtectedWrite {
                        address: value,
                        size,
                        value,
                    },
                };
                let _ = fake.guest_access(id(vm), of(vcpu), access);
            }
            Self::Answer {
                vm,
                vcpu,
                value,
                state: to,
            } => {
                if let Some(page) = fake.vm(id(vm)).and_then(|vm| vm.request_page) {
                    let slot = page.0 + u64::from(of(vcpu).0 % 16) * 256;
                    ram::store(slot + 88, &value.to_le_bytes());
                    let to = if to < 0xc0 {
                        COMPLETE
                    } else {
                        u32::from(to % 5)
                    };
                    ram::store(state(slot).start, &to.to_le_bytes());
                }
            }
            Self::Outcome { vm, vcpu } => drop(fake.guest_outcome(id(vm), of(vcpu))),
            Self::TripleFault { vm, vcpu } => drop(fake.guest_triple_fault(id(vm), of(vcpu))),
            Self::StartVcpu { vm, vcpu } => drop(fake.guest_starts_vcpu(id(vm), of(vcpu))),
            Self::X2Apic { vm } => fake.guest_enables_x2apic(id(vm)),
            Self::PowerOff { vm } => fake.guest_powers_off(id(vm)),
            Self::Line { line } => drop(fake.line_fires(Gsi(line.into()))),
        }
    }
}

/// Host memory that the hypervisor may write because time passes, or because this VM acts: fields of slots of request
/// pages, and as many elements of rings as there can be.
///
/// `None` where a hostile Service VM has put one into another: then what is written into the first is what the second
/// says, and no rule is left.
pub fn kept(fake: &FakeAcrn, acting: Option<VmId>) -> Option<Vec<Range<u64>>> {
    let mut whole = Vec::new();
    let mut fields = Vec::new();
    for (id, vm) in (0..16).map(VmId).filter_map(|id| Some((id, fake.vm(id)?))) {
        // Those that wait find an answer, or room.
        let waiting = vm.vcpus.iter().filter(|vcpu| vcpu.waiting).count();
        let new = usize::from(acting == Some(id));
        if let Some(page) = vm.request_page
            && waiting + new > 0
        {
            // A vCPU without a slot uses memory behind the page: ACRN does not look (`acrn_insert_request`).
            let slots = u64::from(IoReqPage::SLOTS).max(vm.vcpus.len() as u64);
            whole.push(page.0..page.0 + slots * 256);
            for slot in 0..slots {
                let slot = page.0 + slot * 256;
                fields.push(state(slot));
                if new > 0 {
                    fields.extend([slot..slot + 8, slot + 64..slot + 128]);
                }
            }
        }
        for (ring, largest, count) in [
            (vm.asyncio_ring, 8, waiting + new),
            (vm.event_ring, 32, new),
        ] {
            if let Some(ring) = ring
                && count > 0
            {
                let elements = elements(ring.0, largest, count);
                fields.extend([ring.0 + 16..ring.0 + 24, ring.0 + 32..ring.0 + 36]);
                fields.extend(elements.iter().cloned());
                whole.push(ring.0..ring.0 + 64);
                whole.extend(elements);
            }
        }
    }
    whole.sort_by_key(|range| range.start);
    let apart = whole
        .array_windows()
        .all(|[one, next]| one.end <= next.start);
    apart.then_some(fields)
}

/// The state word of a slot.
pub fn state(slot: u64) -> Range<u64> {
    slot + 136..slot + 140
}

/// Where so many next elements of a ring go, by its header. One that is larger than `largest` is not stored.
fn elements(ring: u64, largest: u32, count: usize) -> Vec<Range<u64>> {
    let word = |offset| ram::load(ring.wrapping_add(offset));
    let (element, size) = (word(12), word(36));
    let mut tail = word(20);
    let mut places = Vec::new();
    if element > largest {
        return places;
    }
    for _ in 0..count {
        let start = ring + 64 + u64::from(tail);
        let place = start..start + u64::from(element);
        if !places.contains(&place) {
            places.push(place);
        }
        let next = tail.wrapping_add(element);
        tail = if next >= size {
            next.wrapping_sub(size)
        } else {
            next
        };
    }
    places
}
