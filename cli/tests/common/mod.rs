//! Traces with times that are the same in every run, and the program under test.
#![allow(dead_code, reason = "each test file uses a part of it")]

mod every_call;

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
    After, Argument, Call, Entry, Failure, LossCause, Lost, Outcome, PageChange, Run, When, capture,
};
use hypercall_trace::record::{Recording, RecordingOptions};
use hypercall_trace::schema::Schema;
use hypercall_trace::write::{Options, Writer};

static REQUESTS: SharedPage = SharedPage::new();

/// What carries calls to a fake ACRN.
pub fn loopback(machine: &FakeAcrn) -> Loopback<AcrnServer<&FakeAcrn>, &FakeAcrn> {
    Loopback::new(AcrnServer::new(machine), machine, Gpa(0x100_0000), 0x1_0000)
}

/// A recording of ACRN's calls, in rings that have room for all of a test's.
pub fn recording() -> RecordingOptions {
    Recording::options(&[HypervisorCalls::INTERFACE]).ring(1 << 20, 8)
}

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
        self.written().finish().unwrap()
    }

    /// The same of a recording that was not finished.
    pub fn unfinished(&self) -> Vec<u8> {
        self.written().finish_early().unwrap()
    }

    fn written(&self) -> Writer<Vec<u8>> {
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
        writer
    }

    /// What a device model does with one VM, mistakes included, all answered by a fake ACRN.
    pub fn life() -> Self {
        let machine = FakeAcrn::new();
        let transport = loopback(&machine);
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
            look: 300,
            late: false,
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

    /// The same as `life`, of an interface that is not ACRN's.
    pub fn own() -> Self {
        let mut sample = Self::life();
        for interface in &mut sample.schema.interfaces {
            interface.name = "Own".into();
            for call in &mut interface.calls {
                Arc::make_mut(call).interface = "Own".into();
            }
        }
        for entry in &mut sample.entries {
            if let Entry::Call(call) = entry {
                call.schema = sample.schema.find(None, call.name()).cloned();
            }
        }
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

/// Fills in a command line: `IN`, `GOOD` and `OUT` stand for files.
pub fn arguments(line: &str, input: &str, good: &str, out: &str) -> Vec<String> {
    line.split(' ')
        .map(|word| match word {
            "IN" => input.to_owned(),
            "GOOD" => good.to_owned(),
            word => word.replace("OUT", out),
        })
        .collect()
}

/// CRC-32C, bit by bit.
pub fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
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
