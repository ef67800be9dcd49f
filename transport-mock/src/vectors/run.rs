//! Replaying a recording on a fake.

use alloc::{format, string::String, vec, vec::Vec};
use core::{cell::RefCell, ops::Range};

use hypercall_core::{
    Gpa, TransportError,
    acrn::{VmId, server::AcrnServer},
    server::{GuestMemory, Registers, Unmapped},
};

use crate::fake::{FakeAcrn, FakeConfig, VmState};

use super::{
    machine::apic_page,
    op::Op,
    ranges::Ranges,
    report::{Difference, Report},
};

const PAGE: u64 = 4096;

/// Replays a recording on a machine that has just booted, and compares every answer.
#[must_use]
pub fn run(operations: &[(usize, Op)], mut config: FakeConfig) -> Report {
    let apic_page = apic_page(operations).filter(|page| *page != config.memory.apic_access_page);
    if let Some(page) = apic_page {
        config.memory.apic_access_page = page;
    }
    let mut runner = Runner {
        fake: FakeAcrn::with_config(config),
        report: Report {
            apic_page,
            ..Report::default()
        },
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

pub(super) struct Runner {
    pub(super) fake: FakeAcrn,
    pub(super) report: Report,
    /// Guest addresses whose bytes were taken from the recording: fields of requests.
    pub(super) taken: Ranges,
    /// Host addresses that a running guest may have written since somebody else did.
    guests: Ranges,
}

impl Runner {
    fn step(&mut self, line: usize, operation: &Op, later: &[(usize, Op)]) {
        match operation {
            Op::Hypercall { registers, rax } => self.hypercall(line, *registers, *rax),
            Op::HypercallCpl3 { registers, vector } => {
                self.hypercall_cpl3(line, *registers, *vector)
            }
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
            Err(error) => {
                format!("RAX of {registers:?}: recorded {rax}, the fake does not answer: {error}")
            }
        });
        // A call may have started a guest, or given one memory.
        self.guests_run();
    }

    fn hypercall_cpl3(&mut self, line: usize, registers: Registers, vector: u8) {
        let given = self.vmcall(registers, 3);
        self.register(line, given == Err(TransportError::Fault(vector)), || {
            format!(
                "{registers:?} from ring 3: recorded exception {vector}, the fake gives {given:?}"
            )
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
                for mapping in self
                    .fake
                    .mappings(vm)
                    .iter()
                    .filter(|mapping| mapping.write)
                {
                    self.guests
                        .insert(mapping.hpa.0..mapping.hpa.0.saturating_add(mapping.size));
                }
            }
        }
    }

    fn read(&mut self, line: usize, gpa: u64, recorded: &[u8]) {
        let mut given = vec![0; recorded.len()];
        self.fake
            .read_memory(VmId::SERVICE_VM, Gpa(gpa), &mut given);
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
                format!(
                    "memory at {gpa:#x}: recorded {}, the fake has {}",
                    hex(recorded),
                    hex(&given)
                ),
            );
        }
    }

    fn is_guests(&self, gpa: u64) -> bool {
        self.fake
            .translate(VmId::SERVICE_VM, Gpa(gpa))
            .is_some_and(|hpa| self.guests.contains(hpa.0))
    }

    pub(super) fn word(&self, gpa: u64) -> u32 {
        let mut bytes = [0; 4];
        self.fake
            .read_memory(VmId::SERVICE_VM, Gpa(gpa), &mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn wait(&mut self, line: usize, gpa: u64, value: u32, met: bool, later: &[(usize, Op)]) {
        self.guests_run();
        let mut note = String::new();
        if met && self.word(gpa) != value {
            if let Some((vm, vcpu)) = self.slot_at(gpa).filter(|_| value == 0) {
                note = self.request(gpa, vm, vcpu, later);
            } else if let Some((vm, ring)) = self.ring_tail_at(gpa) {
                self.ring_moved(gpa, vm, ring, value, later);
            } else if self.is_guests(gpa) {
                self.fake
                    .write_memory(VmId::SERVICE_VM, Gpa(gpa), &value.to_le_bytes());
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

    /// Only what tells about the hypervisor is the fake's to know; the rest is the machine's.
    fn cpuid(&mut self, line: usize, leaf: u32, recorded: &[Option<u32>; 4]) {
        let known: [u32; 4] = match leaf {
            1 => [0, 0, 1 << 31, 0],
            0x4000_0000 | 0x4000_0001 => [u32::MAX; 4],
            0x4000_0010 => [0, u32::MAX, u32::MAX, u32::MAX],
            _ => [0; 4],
        };
        let given = self.fake.cpuid(leaf);
        let agrees = recorded
            .iter()
            .zip(given)
            .zip(known)
            .all(|((recorded, given), known)| {
                recorded.is_none_or(|recorded| recorded & known == given & known)
            });
        let compared = recorded
            .iter()
            .zip(known)
            .any(|(recorded, known)| recorded.is_some() && known != 0);
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

fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
