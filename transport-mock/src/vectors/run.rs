//! Replaying a recording on a fake.

use alloc::{format, string::String, vec, vec::Vec};
use core::{cell::RefCell, ops::Range};

use hypercall_core::{
    Gpa, TransportError,
    acrn::{AsyncIoKind, VcpuId, VmId, server::AcrnServer},
    server::{GuestMemory, Registers, Unmapped},
};

use crate::fake::{Access, AccessOutcome, FakeAcrn, FakeConfig, VcpuState, VmState};

use super::{
    guest::{STATE, Shown},
    op::Op,
    ranges::Ranges,
    report::{Difference, Report},
};

const PAGE: u64 = 4096;
/// Bytes of a slot of the request page.
const SLOT_SIZE: u64 = 256;
/// Offsets in a shared buffer: where the next element goes, and the first element.
const TAIL: u64 = 20;
const ELEMENTS: u64 = 64;

/// Replays a recording on a machine that has just booted, and compares every answer.
#[must_use]
pub fn run(operations: &[(usize, Op)], config: FakeConfig) -> Report {
    let mut runner = Runner {
        fake: FakeAcrn::with_config(config),
        report: Report::default(),
        taken: Ranges::default(),
        guests: Ranges::default(),
    };
    let mut rest = operations;
    while let Some(((line, operation), later)) = rest.split_first() {
        runner.step(*line, operation, later);
        rest = later;
    }
    runner.report
}

struct Runner {
    fake: FakeAcrn,
    report: Report,
    /// Guest addresses whose bytes were taken from the recording: fields of requests.
    taken: Ranges,
    /// Host addresses that a running guest may have written since somebody else did.
    guests: Ranges,
}

impl Runner {
    fn step(&mut self, line: usize, operation: &Op, later: &[(usize, Op)]) {
        match operation {
            Op::Hypercall { registers, rax } => self.hypercall(line, *registers, *rax),
            Op::HypercallCpl3 { registers, vector } => self.hypercall_cpl3(line, *registers, *vector),
            Op::Write { gpa, bytes } => self.store(*gpa, bytes),
            Op::Fill { gpa, length, byte } => self.fill(*gpa, *length, *byte),
            Op::Store32 { gpa, value } => self.store(*gpa, &value.to_le_bytes()),
            Op::Read { gpa, bytes } => self.read(line, *gpa, bytes),
            Op::WaitU32 { gpa, value, met } => self.wait(line, *gpa, *value, *met, later),
            Op::UpcallCount { vector, count } => {
                let given = self.fake.upcalls(*vector);
                self.register(line, given == *count, || {
                    format!("upcalls of vector {vector:#x}: recorded {count}, the fake has {given}")
                });
            }
            Op::Cpuid { leaf, registers } => self.cpuid(line, *leaf, registers),
            Op::Label(_) => {}
        }
    }

    fn differ(&mut self, line: usize, what: String) {
        self.report.differences.push(Difference { line, what });
    }

    fn register(&mut self, line: usize, agrees: bool, what: impl FnOnce() -> String) {
        self.report.registers = self.report.registers.saturating_add(1);
        if !agrees {
            self.differ(line, what());
        }
    }

    fn hypercall(&mut self, line: usize, registers: Registers, rax: i64) {
        let given = self.vmcall(registers, 0);
        self.register(line, given == Ok(rax), || match given {
            Ok(given) => format!("RAX of {registers:?}: recorded {rax}, the fake answers {given}"),
            Err(error) => format!("RAX of {registers:?}: recorded {rax}, the fake does not answer: {error}"),
        });
        // A call may have started a guest, or given one memory.
        self.guests_run();
    }

    fn hypercall_cpl3(&mut self, line: usize, registers: Registers, vector: u8) {
        let given = self.vmcall(registers, 3);
        self.register(line, given == Err(TransportError::Fault(vector)), || {
            format!("{registers:?} from ring 3: recorded exception {vector}, the fake gives {given:?}")
        });
    }

    fn vmcall(&mut self, registers: Registers, privilege: u8) -> Result<i64, TransportError> {
        let memory = Watched {
            fake: &self.fake,
            written: RefCell::new(Vec::new()),
        };
        let answer = AcrnServer::new(&self.fake).vmcall(registers, privilege, &memory);
        for (gpa, length) in memory.written.into_inner() {
            self.overwritten(gpa, length);
        }
        answer
    }

    fn store(&mut self, gpa: u64, bytes: &[u8]) {
        self.fake.write_memory(VmId::SERVICE_VM, Gpa(gpa), bytes);
        self.overwritten(gpa, bytes.len() as u64);
    }

    fn fill(&mut self, gpa: u64, length: u64, byte: u8) {
        let chunk = vec![byte; 4096];
        let mut done = 0;
        while done < length {
            let now = length.saturating_sub(done).min(PAGE);
            let part = usize::try_from(now).ok().and_then(|now| chunk.get(..now));
            self.store(gpa.wrapping_add(done), part.unwrap_or_default());
            done = done.saturating_add(now);
        }
    }

    /// Memory that the Service VM or the hypervisor wrote: its content is known again.
    fn overwritten(&mut self, gpa: u64, length: u64) {
        self.taken.remove(&(gpa..gpa.saturating_add(length)));
        for (at, range) in pages(gpa, length) {
            if let Some(hpa) = self.fake.translate(VmId::SERVICE_VM, Gpa(at)) {
                let size = range.end.saturating_sub(range.start);
                self.guests.remove(&(hpa.0..hpa.0.saturating_add(size)));
            }
        }
    }

    /// Guests had time: memory that they may write may have changed.
    fn guests_run(&mut self) {
        for vm in self.fake.vms() {
            if vm != VmId::SERVICE_VM && self.fake.state(vm) == VmState::Running {
                for mapping in self.fake.mappings(vm).iter().filter(|mapping| mapping.write) {
                    self.guests.insert(mapping.hpa.0..mapping.hpa.0.saturating_add(mapping.size));
                }
            }
        }
    }

    fn read(&mut self, line: usize, gpa: u64, recorded: &[u8]) {
        let mut given = vec![0; recorded.len()];
        self.fake.read_memory(VmId::SERVICE_VM, Gpa(gpa), &mut given);
        let mut compared = recorded.is_empty();
        let mut wrong = false;
        let mut guests = Vec::new();
        for ((distance, recorded), given) in (0_u64..).zip(recorded).zip(&given) {
            let at = gpa.wrapping_add(distance);
            if self.taken.contains(at) {
                continue;
            }
            if given == recorded {
                compared = true;
            } else if self.is_guests(at) {
                guests.push((at, *recorded));
            } else {
                compared = true;
                wrong = true;
            }
        }
        for (at, byte) in &guests {
            self.fake.write_memory(VmId::SERVICE_VM, Gpa(*at), &[*byte]);
        }
        if compared && (wrong || guests.is_empty()) {
            self.report.memory = self.report.memory.saturating_add(1);
        } else {
            self.report.taken = self.report.taken.saturating_add(1);
        }
        if wrong {
            self.differ(
                line,
                format!("memory at {gpa:#x}: recorded {}, the fake has {}", hex(recorded), hex(&given)),
            );
        }
    }

    fn is_guests(&self, gpa: u64) -> bool {
        self.fake
            .translate(VmId::SERVICE_VM, Gpa(gpa))
            .is_some_and(|hpa| self.guests.contains(hpa.0))
    }

    fn word(&self, gpa: u64) -> u32 {
        let mut bytes = [0; 4];
        self.fake.read_memory(VmId::SERVICE_VM, Gpa(gpa), &mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn wait(&mut self, line: usize, gpa: u64, value: u32, met: bool, later: &[(usize, Op)]) {
        self.guests_run();
        let mut note = String::new();
        if met && self.word(gpa) != value {
            if let Some((vm, vcpu)) = self.slot_at(gpa).filter(|_| value == 0) {
                note = self.request(gpa, vm, vcpu, later);
            } else if let Some(vm) = self.ring_tail_at(gpa) {
                self.asynchronous(gpa, vm, value, later);
            } else if self.is_guests(gpa) {
                self.fake.write_memory(VmId::SERVICE_VM, Gpa(gpa), &value.to_le_bytes());
                self.report.taken = self.report.taken.saturating_add(1);
                return;
            }
        }
        self.report.waits = self.report.waits.saturating_add(1);
        let given = self.word(gpa);
        if (given == value) != met {
            let recorded = if met { "came" } else { "did not come" };
            self.differ(
                line,
                format!("{value} at {gpa:#x} {recorded} in the recording; the fake has {given} there{note}"),
            );
        }
    }

    /// The running VM's vCPU whose request slot has its state word at an address.
    fn slot_at(&self, gpa: u64) -> Option<(VmId, VcpuId)> {
        let hpa = self.fake.translate(VmId::SERVICE_VM, Gpa(gpa))?.0;
        self.fake.vms().into_iter().find_map(|vm| {
            let view = self.fake.vm(vm).filter(|view| view.state == VmState::Running)?;
            let offset = hpa.checked_sub(view.request_page?.0).filter(|offset| *offset < PAGE)?;
            if offset % SLOT_SIZE != STATE {
                return None;
            }
            let vcpu = u16::try_from(offset / SLOT_SIZE).ok()?;
            view.vcpus.get(usize::from(vcpu))?;
            Some((vm, VcpuId(vcpu)))
        })
    }

    /// A guest asked for something. Returns why it could not have, if so.
    fn request(&mut self, gpa: u64, vm: VmId, vcpu: VcpuId, later: &[(usize, Op)]) -> String {
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
        match self.fake.guest_access(vm, vcpu, access) {
            Ok(AccessOutcome::Waiting) => {
                self.report.requests = self.report.requests.saturating_add(1);
                self.taken.remove(&(slot..slot.wrapping_add(SLOT_SIZE)));
                for Range { start, end } in fields {
                    self.taken.insert(slot.wrapping_add(start as u64)..slot.wrapping_add(end as u64));
                }
                String::new()
            }
            other => format!(" (the guest's {access:?} came to {other:?})"),
        }
    }

    /// The running VM whose ring of asynchronous I/Os has its tail at an address.
    fn ring_tail_at(&self, gpa: u64) -> Option<VmId> {
        let hpa = self.fake.translate(VmId::SERVICE_VM, Gpa(gpa))?.0;
        self.fake.vms().into_iter().find(|vm| {
            let view = self.fake.vm(*vm).filter(|view| view.state == VmState::Running);
            view.and_then(|view| view.asyncio_ring).is_some_and(|ring| ring.0.wrapping_add(TAIL) == hpa)
        })
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
            let entries = self.fake.vm(vm).map(|view| view.asyncio).unwrap_or_default();
            let descriptor = shown_u64(ring.wrapping_add(ELEMENTS).wrapping_add(u64::from(now)), later);
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

    /// Only what tells about the hypervisor is the fake's to know; the rest is the machine's.
    fn cpuid(&mut self, line: usize, leaf: u32, recorded: &[Option<u32>; 4]) {
        let known: [u32; 4] = match leaf {
            1 => [0, 0, 1 << 31, 0],
            0x4000_0000 | 0x4000_0001 => [u32::MAX; 4],
            0x4000_0010 => [0, u32::MAX, u32::MAX, u32::MAX],
            _ => [0; 4],
        };
        let given = self.fake.cpuid(leaf);
        let agrees = recorded.iter().zip(given).zip(known).all(|((recorded, given), known)| {
            recorded.is_none_or(|recorded| recorded & known == given & known)
        });
        let compared = recorded.iter().zip(known).any(|(recorded, known)| recorded.is_some() && known != 0);
        if compared {
            self.register(line, agrees, || {
                format!("CPUID leaf {leaf:#x}: recorded {recorded:x?}, the fake has {given:x?} of it in {known:x?}")
            });
        } else {
            self.report.taken = self.report.taken.saturating_add(1);
        }
    }
}

/// The Service VM's memory, noting what the hypervisor writes.
struct Watched<'f> {
    fake: &'f FakeAcrn,
    written: RefCell<Vec<(u64, u64)>>,
}

impl GuestMemory for Watched<'_> {
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), Unmapped> {
        self.fake.read(gpa, bytes)
    }

    fn write(&self, gpa: u64, bytes: &[u8]) -> Result<(), Unmapped> {
        self.written.borrow_mut().push((gpa, bytes.len() as u64));
        self.fake.write(gpa, bytes)
    }
}

/// The pages of a range: where each part starts, and its place in the range.
fn pages(gpa: u64, length: u64) -> impl Iterator<Item = (u64, Range<u64>)> {
    let mut done = 0;
    core::iter::from_fn(move || {
        (done < length).then(|| {
            let at = gpa.wrapping_add(done);
            let room = PAGE.saturating_sub(at % PAGE);
            let end = done.saturating_add(room).min(length);
            let part = done..end;
            done = end;
            (at, part)
        })
    })
}

/// Eight bytes that a later read shows.
fn shown_u64(gpa: u64, later: &[(usize, Op)]) -> Option<u64> {
    later.iter().find_map(|(_, op)| match op {
        Op::Read { gpa: at, bytes } => {
            let start = usize::try_from(gpa.checked_sub(*at)?).ok()?;
            let shown = bytes.get(start..start.checked_add(8)?)?;
            Some(u64::from_le_bytes(shown.try_into().ok()?))
        }
        _ => None,
    })
}

fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
