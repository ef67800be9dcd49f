//! Traces with times that are the same in every run, and the program under test.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assert_cmd::Command;
use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::acrn::{
    Hypervisor as _, HypervisorCalls, MemoryProt, MemoryRegion, MsiAddress, MsiData, MsiEntry,
    PcpuSet, PmCommand, SbufId, VcpuId, VmCreation, VmId,
};
use hypercall_core::arg::{Arg, reborrow};
use hypercall_core::call::{CallInfo, Direction};
use hypercall_core::{Client, Gpa, SharedPage, Transport, TransportError};
use hypercall_mock::fake::FakeAcrn;
use hypercall_mock::loopback::Loopback;
use hypercall_trace::clock::{ClockInfo, ClockPoint};
use hypercall_trace::entry::{
    After, Argument, Block, Call, Entry, Failure, Link as EntryLink, LossCause, Lost, Outcome,
    PageChange, Run, Target, When, capture,
};
use hypercall_trace::schema::{Kind, LinkTarget, Register, Schema};
use hypercall_trace::write::{Options, Writer};

static REQUESTS: SharedPage = SharedPage::new();

/// `hcall`, without colours and without what the environment says about them.
pub fn hcall() -> Command {
    let mut command = Command::cargo_bin("hcall").unwrap();
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

/// What a run wrote to its standard output; it must have ended with 0.
pub fn output(arguments: &[&str]) -> String {
    let output = hcall().args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A folder for a test's files.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
    /// A file with these entries.
    pub fn trace(&self, name: &str, trace: &Sample) -> String {
        std::fs::write(self.path(name), trace.bytes()).unwrap();
        self.text(name)
    }
}

/// The schema of ACRN's interface.
pub fn schema() -> Schema {
    Schema::from_interfaces(&[HypervisorCalls::INTERFACE])
}

/// Records calls with times that count up: a call is entered every 10 µs and takes as many µs as its index says.
pub struct Tape<T> {
    inner: T,
    lane: u32,
    schema: Schema,
    now: Cell<u64>,
    pub entries: RefCell<Vec<Entry>>,
}

impl<T> Tape<T> {
    pub fn new(inner: T, lane: u32) -> Self {
        let (schema, now, entries) = (schema(), Cell::new(1_000_000), RefCell::default());
        Self {
            inner,
            lane,
            schema,
            now,
            entries,
        }
    }
}

impl<T: Transport> Transport for Tape<T> {
    fn call<'a>(
        &self,
        info: &'static CallInfo,
        mut args: [Arg<'a>; 2],
    ) -> Result<i64, TransportError> {
        let before = capture(&args);
        let answer = self.inner.call(info, reborrow(&mut args));
        let mut captured = before;
        for (argument, live) in captured.iter_mut().zip(&args) {
            if let Argument::Block(block) = argument {
                let bytes = live.bytes().unwrap_or_default();
                let was = block.before_bytes().into_owned();
                block.after = match block.direction {
                    Direction::Read => After::Unchanged,
                    _ if was == bytes => After::Unchanged,
                    _ => After::Changed(bytes.to_vec()),
                };
                if let Some(link) = &mut block.link
                    && let hypercall_trace::entry::Target::Block(nested) = &mut link.target
                {
                    nested.after = After::Unchanged;
                }
            }
        }
        let mut entries = self.entries.borrow_mut();
        let index = entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Call(_)))
            .count() as u64;
        entries.push(Entry::Call(Call {
            lane: self.lane,
            index,
            schema: self
                .schema
                .find(Some(info.interface), info.name)
                .map(Arc::clone),
            number: info.number,
            args: captured,
            enter: self.now.get(),
            duration: Some(1000 * (index + 1)),
            outcome: match answer {
                Ok(rax) => Outcome::Returned(rax),
                Err(error) => Outcome::Failed(error.into()),
            },
        }));
        self.now.set(self.now.get() + 10_000);
        answer
    }
}

/// A trace in memory.
#[derive(Clone)]
pub struct Sample {
    pub schema: Schema,
    pub lanes: Vec<String>,
    pub entries: Vec<Entry>,
    pub block: usize,
}

impl Sample {
    /// The file. Its clock ticks in nanoseconds, from 1 ms on, which is 2026-01-01.
    pub fn bytes(&self) -> Vec<u8> {
        let first = ClockPoint {
            frequency: 1_000_000_000,
            ticks: 1_000_000,
            unix_nanoseconds: 1_767_225_600_000_000_000,
        };
        let last = ClockPoint {
            ticks: 1_001_000_000,
            unix_nanoseconds: first.unix_nanoseconds + 1_000_000_000,
            ..first
        };
        let options = Options {
            block: self.block,
            id: 7,
            ..Options::default()
        };
        let mut writer =
            Writer::new(Vec::new(), &self.schema, ClockInfo { first, last }, options).unwrap();
        for lane in &self.lanes {
            writer.lane(lane).unwrap();
        }
        for entry in &self.entries {
            writer.push(entry).unwrap();
        }
        writer.finish().unwrap()
    }

    /// What a device model does with one VM, mistakes included, all answered by a fake ACRN.
    pub fn life() -> Self {
        let machine = FakeAcrn::new();
        let transport = Loopback::new(
            AcrnServer::new(&machine),
            &machine,
            Gpa(0x100_0000),
            0x1_0000,
        );
        let tape = Tape::new(transport, 0);
        let acrn = Client::new(&tape);
        acrn.get_api_version().unwrap();
        let name = "POST_STD_VM1".try_into().unwrap();
        let mut creation = VmCreation::new(name).with_cpu_affinity(PcpuSet(1));
        let vm = acrn.create_vm(&mut creation).unwrap();
        acrn.start_vm(vm).unwrap_err();
        acrn.set_ioreq_buffer(vm, (&REQUESTS).into()).unwrap();
        let region = |gpa: u64| {
            MemoryRegion::map(Gpa(gpa), Gpa(0x400_0000 + gpa), 0x10_0000, MemoryProt::RAM)
        };
        acrn.set_memory_regions(vm, &[region(0), region(0x10_0000)])
            .unwrap();
        acrn.vm_gpa2hpa(vm, &mut hypercall_core::acrn::GpaToHpa::of(Gpa(0x1000)))
            .ok();
        acrn.start_vm(vm).unwrap();
        acrn.pm_get_px_count(PmCommand::new(vm)).ok();
        acrn.setup_sbuf(
            vm,
            hypercall_core::acrn::PcpuId(0),
            SbufId(99),
            Gpa(0x1000).into(),
        )
        .ok();
        acrn.inject_msi(
            vm,
            &MsiEntry::new(MsiAddress::to_apic(0), MsiData::vector_of(0x41)),
        )
        .unwrap();
        acrn.inject_msi(
            VmId(9),
            &MsiEntry::new(MsiAddress::to_apic(0), MsiData::vector_of(0x41)),
        )
        .ok();
        acrn.profiling_ops(hypercall_core::acrn::ProfilingCommand(0x99), &mut [1, 2, 3])
            .ok();
        acrn.notify_request_finish(vm, VcpuId(0)).ok();
        acrn.pause_vm(vm).unwrap();
        acrn.destroy_vm(vm).unwrap();
        let entries = tape.entries.take();
        Self {
            schema: schema(),
            lanes: vec!["main".into()],
            entries,
            block: 1 << 16,
        }
    }

    /// The same, and what else a trace can hold: a second lane, changed pages, losses, calls without an answer, a call that
    /// the schema does not have.
    pub fn everything() -> Self {
        let mut sample = Self::life();
        sample.lanes.push("vcpu0".into());
        let pause = sample
            .entries
            .iter()
            .find_map(|entry| match entry {
                Entry::Call(call) if call.name() == "pause_vm" => Some(call.clone()),
                _ => None,
            })
            .unwrap();
        let own = |index: u64, outcome: Outcome| Call {
            lane: 1,
            index,
            enter: 1_015_000 + 10_000 * index,
            duration: (outcome != Outcome::Unfinished).then_some(500),
            outcome,
            ..pause.clone()
        };
        sample.entries.push(Entry::Pages(PageChange {
            lane: 1,
            index: 0,
            when: When::Note,
            page: 0,
            ticks: 1_014_000,
            runs: vec![Run {
                offset: 0x40,
                before: vec![0; 8],
                after: vec![1, 0, 0, 0, 0x64, 0, 0, 0],
            }],
        }));
        let failures = [
            Failure::Layer {
                layer: "allow".into(),
                reason: "not on the list".into(),
            },
            Failure::Crashed("the page tables' pool is used up".into()),
            Failure::Lost("the line went dead".into()),
        ];
        for (index, failure) in (0..).zip(failures) {
            sample
                .entries
                .push(Entry::Call(own(index, Outcome::Failed(failure))));
        }
        sample.entries.push(Entry::Lost(Lost {
            lane: 1,
            index: 3,
            count: 7,
            cause: LossCause::RingFull,
            first: 1_050_000,
            last: 1_060_000,
        }));
        let unknown = Call {
            schema: None,
            number: 0x8000_00ff,
            args: [Argument::Value(0x1234), Argument::Unused],
            ..own(10, Outcome::Returned(-25))
        };
        sample.entries.push(Entry::Call(unknown));
        sample
            .entries
            .push(Entry::Call(own(11, Outcome::Returned(-77))));
        let mut last = own(12, Outcome::Unfinished);
        last.duration = None;
        sample.entries.push(Entry::Call(last));
        sample
    }

    /// Many calls of one lane.
    pub fn many(count: u64) -> Self {
        let sample = Self::life();
        let Some(Entry::Call(inject)) = sample
            .entries
            .iter()
            .find(|entry| matches!(entry, Entry::Call(call) if call.name() == "inject_msi"))
        else {
            panic!("no call");
        };
        let entries = (0..count)
            .map(|index| {
                Entry::Call(Call {
                    index,
                    enter: 1_000_000 + index * 100,
                    duration: Some(index % 1000),
                    ..inject.clone()
                })
            })
            .collect();
        Self {
            schema: schema(),
            lanes: sample.lanes,
            entries,
            block: 1 << 16,
        }
    }
}

/// Numbers that look random and are the same in every run.
pub struct Numbers(u64);

impl Numbers {
    pub const fn from(seed: u64) -> Self {
        Self(seed)
    }
    pub fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 20
    }
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[1]).collect()
    }
    /// A value of a kind: text is letters, enums and flags have values with a name and values without.
    fn value(&mut self, kind: &Kind, size: usize) -> Vec<u8> {
        let mut bytes = self.bytes(size);
        match kind {
            Kind::Text => {
                let end = usize::try_from(self.next()).unwrap() % size;
                for (at, byte) in bytes.iter_mut().enumerate() {
                    *byte = if at < end { b'a' + *byte % 26 } else { 0 };
                }
            }
            Kind::Enum(names) if !names.is_empty() && self.next() % 3 != 0 => {
                let name = &names[usize::try_from(self.next()).unwrap() % names.len()];
                bytes.copy_from_slice(&name.value.to_le_bytes()[..size.min(8)]);
            }
            Kind::Flags(names) if self.next() % 3 != 0 => {
                let bits = names
                    .iter()
                    .filter(|_| self.next() % 2 == 0)
                    .fold(0, |bits, name| bits | name.value);
                bytes.copy_from_slice(&bits.to_le_bytes()[..size.min(8)]);
            }
            Kind::Struct(info) => {
                for field in &info.fields {
                    let value = self.value(&field.kind, field.size);
                    bytes[field.offset..field.offset + field.size].copy_from_slice(&value);
                }
            }
            Kind::Array {
                element,
                size,
                length,
            } => {
                bytes = (0..*length)
                    .flat_map(|_| self.value(element, *size))
                    .collect();
            }
            _ => {}
        }
        bytes
    }
    fn block(&mut self, kind: &Kind, size: usize, direction: Direction) -> Block {
        Block {
            direction,
            length: size,
            before: match direction {
                Direction::Write => Vec::new(),
                _ => self.value(kind, size),
            },
            after: match direction {
                Direction::Read => After::Unchanged,
                _ => After::Changed(self.value(kind, size)),
            },
            link: None,
        }
    }
}

impl Sample {
    /// Each call of an interface as often as this, with values of all kinds.
    pub fn every_call(schema: Schema, times: u64) -> Self {
        let mut numbers = Numbers::from(7);
        let mut entries = Vec::new();
        let calls: Vec<_> = (0..times).flat_map(|_| schema.calls()).collect();
        for call in calls {
            let index = entries.len() as u64;
            let args = [0, 1].map(|register| match &call.registers[register] {
                Register::Unused => Argument::Unused,
                Register::Value { kind, .. } => {
                    let mut value = numbers.value(kind, 8);
                    if let (0, Some(selector)) = (register, call.selector) {
                        let other = u64::from_le_bytes(value.try_into().unwrap());
                        value = (other & !selector.mask | selector.value)
                            .to_le_bytes()
                            .to_vec();
                    }
                    Argument::Value(u64::from_le_bytes(value.try_into().unwrap()))
                }
                Register::Bytes { direction, .. } => {
                    let size = 1 + usize::try_from(numbers.next()).unwrap() % 40;
                    Argument::Block(numbers.block(&Kind::Unsigned, size, *direction))
                }
                Register::Block {
                    kind,
                    size,
                    direction,
                    link,
                    ..
                } => {
                    let mut block = numbers.block(kind, *size, *direction);
                    block.link = link.as_ref().map(|link| {
                        // Where the address stands there are zeros: a trace holds none.
                        block.before[link.offset..link.offset + 8].fill(0);
                        let target = match &link.target {
                            LinkTarget::Array {
                                kind,
                                size,
                                direction,
                                ..
                            } => {
                                let array = Kind::Array {
                                    element: Arc::new(kind.clone()),
                                    size: *size,
                                    length: 3,
                                };
                                Target::Block(Box::new(numbers.block(&array, 3 * size, *direction)))
                            }
                            LinkTarget::Shared if index % 2 == 0 => Target::Address(numbers.next()),
                            LinkTarget::Shared => Target::Pages {
                                count: 2,
                                page: Some(0),
                            },
                        };
                        EntryLink {
                            offset: link.offset,
                            target,
                        }
                    });
                    Argument::Block(block)
                }
            });
            let rax = match (
                index % 3,
                call.codes
                    .get(usize::try_from(index).unwrap() % call.codes.len().max(1)),
            ) {
                (1, Some(code)) => code.code,
                (2, _) => -4000 - index.cast_signed(),
                _ => 0,
            };
            entries.push(Entry::Call(Call {
                lane: 0,
                index,
                schema: Some(Arc::clone(call)),
                number: call.number,
                args,
                enter: 1_000_000 + index * 1000,
                duration: Some(numbers.next() % 100_000),
                outcome: Outcome::Returned(rax),
            }));
        }
        Self {
            schema,
            lanes: vec!["main".into()],
            entries,
            block: 1 << 16,
        }
    }
}

/// The file of a snapshot.
pub fn snapshot(name: &str) -> snapbox::Data {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snapshots")
        .join(name);
    snapbox::Data::read_from(&path, Some(snapbox::data::DataFormat::Text))
}

/// Compares text with a snapshot; `SNAPSHOTS=overwrite` writes it anew.
pub fn same(actual: &str, name: &str) {
    snapbox::Assert::new()
        .action_env("SNAPSHOTS")
        .eq(actual.to_owned(), snapshot(name));
}
