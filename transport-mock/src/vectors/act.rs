//! Making the fake's guests do what a recording's guests did.

use alloc::{format, string::String};
use core::ops::Range;

use hypercall_core::{
    Gpa, Hpa,
    acrn::{AsyncIoKind, VcpuId, VmId},
};

use crate::fake::{Access, AccessOutcome, VcpuState, VmState};

use super::{
    guest::{STATE, Shown},
    op::Op,
    run::Runner,
};

const PAGE: u64 = 4096;
/// Bytes of a slot of the request page.
const SLOT_SIZE: u64 = 256;
/// Offsets in a shared buffer: where the next element goes, and the first element.
const TAIL: u64 = 20;
const ELEMENTS: u64 = 64;
/// What the hypervisor writes for a guest that had a triple fault (PM1A control, sleep state 5).
const POWER_OFF: Access = Access::PortWrite {
    port: 0x404,
    size: 2,
    value: 0x3400,
};

/// The rings of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ring {
    AsyncIo,
    Events,
}

impl Runner {
    /// The running VM's vCPU whose request slot has its state word at an address.
    pub(super) fn slot_at(&self, gpa: u64) -> Option<(VmId, VcpuId)> {
        let hpa = self.fake.translate(VmId::SERVICE_VM, Gpa(gpa))?.0;
        self.fake.vms().into_iter().find_map(|vm| {
            let view = self
                .fake
                .vm(vm)
                .filter(|view| view.state == VmState::Running)?;
            let offset = hpa
                .checked_sub(view.request_page?.0)
                .filter(|offset| *offset < PAGE)?;
            if offset % SLOT_SIZE != STATE {
                return None;
            }
            let vcpu = u16::try_from(offset / SLOT_SIZE).ok()?;
            view.vcpus.get(usize::from(vcpu))?;
            Some((vm, VcpuId(vcpu)))
        })
    }

    /// A guest asked for something. Returns why it could not have, if so.
    pub(super) fn request(
        &mut self,
        gpa: u64,
        vm: VmId,
        vcpu: VcpuId,
        later: &[(usize, Op)],
    ) -> String {
        let slot = gpa.wrapping_sub(STATE);
        let Some((access, fields)) = Shown::after(slot, later).access() else {
            return String::from(" (no guest can make the recorded request)");
        };
        let starts = self
            .fake
            .vm(vm)
            .and_then(|view| view.vcpus.get(usize::from(vcpu.0)).copied())
            .is_some_and(|vcpu| vcpu.state == VcpuState::Init);
        if starts {
            self.fake.guest_starts_vcpu(vm, vcpu);
        }
        let outcome = if access == POWER_OFF && self.is_triple_fault(vm, later) {
            self.fake.guest_triple_fault(vm, vcpu)
        } else {
            self.fake.guest_access(vm, vcpu, access)
        };
        match outcome {
            // Done at once: a notification had come early. The request is made all the same.
            Ok(AccessOutcome::Waiting | AccessOutcome::Done(_)) => {
                self.report.requests = self.report.requests.saturating_add(1);
                self.taken.remove(&(slot..slot.wrapping_add(SLOT_SIZE)));
                for Range { start, end } in fields {
                    self.taken
                        .insert(slot.wrapping_add(start as u64)..slot.wrapping_add(end as u64));
                }
                String::new()
            }
            other => format!(" (the guest's {access:?} came to {other:?})"),
        }
    }

    /// The running VM that has the tail of one of its rings at an address, and which.
    pub(super) fn ring_tail_at(&self, gpa: u64) -> Option<(VmId, Ring)> {
        let hpa = self.fake.translate(VmId::SERVICE_VM, Gpa(gpa))?.0;
        let tail = |ring: Option<Hpa>| ring.is_some_and(|ring| ring.0.wrapping_add(TAIL) == hpa);
        self.fake.vms().into_iter().find_map(|vm| {
            let view = self
                .fake
                .vm(vm)
                .filter(|view| view.state == VmState::Running)?;
            if tail(view.asyncio_ring) {
                Some((vm, Ring::AsyncIo))
            } else {
                tail(view.event_ring).then_some((vm, Ring::Events))
            }
        })
    }

    /// A guest did what moved the tail of a ring.
    pub(super) fn ring_moved(
        &mut self,
        gpa: u64,
        vm: VmId,
        ring: Ring,
        tail: u32,
        later: &[(usize, Op)],
    ) {
        match ring {
            Ring::AsyncIo => self.asynchronous(gpa, vm, tail, later),
            // The one event that a guest causes by itself. Its I/O request follows, and is not taken but checked.
            Ring::Events => {
                if self.fake.guest_triple_fault(vm, VcpuId::BSP).is_ok() {
                    self.report.requests = self.report.requests.saturating_add(1);
                }
            }
        }
    }

    /// A guest accessed registered addresses until the ring's tail came to be `tail`. Which ones, later reads tell by
    /// their descriptors; where they do not, any.
    fn asynchronous(&mut self, gpa: u64, vm: VmId, tail: u32, later: &[(usize, Op)]) {
        let ring = gpa.wrapping_sub(TAIL);
        for _ in 0..64 {
            let now = self.word(gpa);
            if now == tail {
                return;
            }
            let entries = self
                .fake
                .vm(vm)
                .map(|view| view.asyncio)
                .unwrap_or_default();
            let element = ring.wrapping_add(ELEMENTS).wrapping_add(u64::from(now));
            let descriptor = shown(element, later).map(u64::from_le_bytes);
            let Some(entry) = entries
                .iter()
                .find(|entry| descriptor.is_none_or(|descriptor| entry.fd == descriptor))
            else {
                return;
            };
            let access = match (entry.kind, u16::try_from(entry.addr.0)) {
                (AsyncIoKind::PIO, Ok(port)) => Access::PortWrite {
                    port,
                    size: 4,
                    value: u32::try_from(entry.data).unwrap_or(0),
                },
                _ => Access::MemoryWrite {
                    address: entry.addr.0,
                    size: 8,
                    value: entry.data,
                },
            };
            if self.fake.guest_access(vm, VcpuId::BSP, access) != Ok(AccessOutcome::Asynchronous) {
                return;
            }
            self.report.requests = self.report.requests.saturating_add(1);
        }
    }

    /// Whether later lines show that an event came with a request to power off.
    fn is_triple_fault(&self, vm: VmId, later: &[(usize, Op)]) -> bool {
        let ring = self.fake.vm(vm).and_then(|view| view.event_ring);
        ring.is_some_and(|Hpa(ring)| {
            let tail = ring.wrapping_add(TAIL);
            shown::<4>(tail, later)
                .is_some_and(|shown| u32::from_le_bytes(shown) != self.word(tail))
        })
    }
}

/// Bytes that a later read shows.
fn shown<const N: usize>(gpa: u64, later: &[(usize, Op)]) -> Option<[u8; N]> {
    later.iter().find_map(|(_, op)| match op {
        Op::Read { gpa: at, bytes } => {
            let start = usize::try_from(gpa.checked_sub(*at)?).ok()?;
            bytes.get(start..)?.first_chunk::<N>().copied()
        }
        _ => None,
    })
}
