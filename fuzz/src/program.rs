//! Runs an input on the fake ACRN through its dispatcher, and holds every step to what it may do.

use std::cell::RefCell;
use std::ops::Range;
use std::time::{Duration, Instant};

use hypercall_core::acrn::codes::CODES;
use hypercall_core::acrn::server::{AcrnServer, Host};
use hypercall_core::acrn::{Hypervisor, HypervisorCalls as Calls, ProfilingCommand, VmId};
use hypercall_core::call::CallInfo;
use hypercall_core::server::{BYTES_LIMIT, Registers};
use hypercall_core::{Gpa, TransportError};
use hypercall_mock::fake::FakeAcrn;

use crate::allowed::{allowed, check_writes, field, seen};
use crate::guest;
use crate::input::{Caller, Step, registers};
use crate::machine::{Kind, Start, boot};
use crate::ram::{self, Snapshot, bytes};
use crate::recorder::{Race, Read, Recorder};

/// Steps that an input may have.
const STEPS: usize = 24;
/// Far more than any call takes, also on a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// Runs an input.
///
/// # Panics
/// Where a step did what it may not.
pub fn run(kind: Kind, start: Start, steps: &[Step]) {
    let fake = boot(kind, start);
    for step in steps.iter().take(STEPS) {
        let begun = Instant::now();
        match step {
            Step::Store { at, words } => {
                for (at, word) in (ram::place(*at)..).step_by(8).zip(words) {
                    ram::store(at, &word.raw().to_le_bytes());
                }
            }
            Step::With(block, races) => call(&fake, kind, block.store(), Caller::SERVICE, races),
            Step::Call {
                number,
                args,
                by,
                races,
            } => {
                call(&fake, kind, registers(*number, *args), *by, races);
            }
            Step::Guest(act) => {
                let kept = guest::kept(&fake, act.vm());
                let before = Snapshot::take();
                act.play(&fake);
                if let Some(kept) = kept {
                    check_memory(&format!("{act:?}"), &before, &kept);
                }
            }
        }
        assert!(
            begun.elapsed() < LONG,
            "{step:?} took {:?}",
            begun.elapsed()
        );
        if fake.down().is_some() {
            break;
        }
    }
    look(&fake);
}

/// Whatever state the machine is in, it can be looked at, and a machine that is down answers nothing.
fn look(fake: &FakeAcrn) {
    let _ = fake.names();
    let _ = fake.cpuid(0x4000_0001);
    for vm in fake.vms() {
        let _ = (fake.vm(vm), fake.injections(vm));
    }
    if let Some(hazard) = fake.down() {
        let error = fake.get_api_version().expect_err("the machine is down");
        assert_eq!(
            error.kind,
            hypercall_core::ErrorKind::Transport(TransportError::Dead(hazard))
        );
    }
}

fn call(machine: &FakeAcrn, kind: Kind, registers: Registers, by: Caller, races: &[Race]) {
    let selected = Calls::INTERFACE.calls.iter().copied().find(|call| {
        call.number & 0xff == registers.number & 0xff && call.selected_by(registers.args)
    });
    let fake = match by.vm() {
        VmId::SERVICE_VM => machine.clone(),
        other => machine.called_by(other),
    };
    let command = ProfilingCommand(registers.args[0]);
    let extent = fake.profiling_extent(command).unwrap_or(0).min(BYTES_LIMIT);
    let blocks = selected.map_or(Vec::new(), |call| {
        allowed(call, registers.args, extent, &[])
    });
    let mut may_change = host_ranges(&fake, by.vm(), &blocks);
    let page = fake.vm(target(registers)).and_then(|vm| vm.request_page);
    let kept = guest::kept(&fake, None);

    let before = Snapshot::take();
    let raced = RefCell::new(Vec::new());
    let store = |race: Race| {
        let at = ram::place(race.place.to_le_bytes()[0]);
        ram::store(at, &race.value.to_le_bytes());
        raced.borrow_mut().push(at..at + 4);
    };
    let memory = Recorder::new(&fake, races, &store);
    let answer = AcrnServer::new(&fake).vmcall(registers, by.ring(), &memory);
    let (reads, writes) = memory.finish();

    let what = format!("{registers:x?} by {by:?}, answer {answer:?}");
    check_answer(&what, kind, by, answer);
    match selected {
        Some(call) if by.ring() == 0 => {
            check_writes(call, answer.ok(), &writes, &blocks);
            check_reads(&what, call, &reads);
            may_change.extend(own(&fake, call, registers, page.map(|page| page.0), &reads));
        }
        _ => assert!(
            reads.len() <= 1 && writes.is_empty(),
            "{what}: {reads:x?}, {writes:x?}"
        ),
    }
    // What waits goes on during a call. A store meanwhile may have told it anything.
    let raced = raced.into_inner();
    if let Some(kept) = kept.filter(|kept| kept.is_empty() || raced.is_empty()) {
        may_change.extend(kept);
        may_change.extend(raced);
        check_memory(&what, &before, &may_change);
    }
}

/// The VM that most calls are about.
fn target(registers: Registers) -> VmId {
    let [low, high, ..] = registers.args[0].to_le_bytes();
    VmId(u16::from_le_bytes([low, high]))
}

/// What the hypervisor itself writes: states of request slots.
fn own(
    fake: &FakeAcrn,
    call: &'static CallInfo,
    registers: Registers,
    page: Option<u64>,
    reads: &[Read],
) -> Vec<Range<u64>> {
    let slots = |page: u64| (0..16).map(move |slot| guest::state(page + slot * 256));
    if *call == *Calls::SET_IOREQ_BUFFER {
        let pointer = seen(reads, registers.args[1], 8).map(|block| Gpa(field(block, 0, 8)));
        let page = pointer.and_then(|pointer| fake.translate(VmId::SERVICE_VM, pointer));
        page.into_iter().flat_map(|page| slots(page.0)).collect()
    } else if *call == *Calls::RESET_VM {
        page.into_iter().flat_map(slots).collect()
    } else if *call == *Calls::NOTIFY_REQUEST_FINISH {
        let slot = usize::from(registers.args[1] as u16);
        page.into_iter()
            .filter_map(|page| slots(page).nth(slot))
            .collect()
    } else {
        Vec::new()
    }
}

/// Where ranges of a VM lead.
fn host_ranges(fake: &FakeAcrn, vm: VmId, ranges: &[Range<u128>]) -> Vec<Range<u64>> {
    let mut host = Vec::new();
    for range in ranges {
        let mut at = range.start;
        while at < range.end {
            let next = ((at | 0xfff) + 1).min(range.end);
            // The hypervisor's addresses wrap.
            let gpa = Gpa(at as u64);
            if let Some(hpa) = fake.translate(vm, gpa) {
                host.push(hpa.0..hpa.0 + (next - at) as u64);
            }
            at = next;
        }
    }
    host
}

fn check_answer(what: &str, kind: Kind, by: Caller, answer: Result<i64, TransportError>) {
    let (service, ring) = (by.vm() == VmId::SERVICE_VM, by.ring());
    match answer {
        Ok(0) => assert_eq!(ring, 0, "{what}"),
        Ok(rax) => assert!(
            ring == 0 && CODES.iter().any(|code| code.code == rax),
            "{what}"
        ),
        Err(TransportError::Fault(13)) => assert_ne!(ring, 0, "{what}"),
        Err(TransportError::Fault(6)) => assert!(!service, "{what}"),
        Err(TransportError::Dead(_)) => {}
        // A world switch.
        Err(TransportError::Unsupported(_)) => assert!(matches!(kind, Kind::OwnWorld), "{what}"),
        Err(_) => panic!("{what}"),
    }
}

fn check_reads(what: &str, call: &CallInfo, reads: &[Read]) {
    // ACRN reads the two blocks that name their target once more to find it. An array ends with the memory.
    let most = if call.has_array() { 0x1_0000 } else { 2 };
    assert!(reads.len() <= most, "{what}: {} reads", reads.len());
    for read in reads {
        let length = read.bytes.as_ref().map_or_else(|length| *length, Vec::len);
        assert!(length <= BYTES_LIMIT, "{what}: {length} bytes at once");
    }
}

/// Every byte of RAM that changed is one that may.
fn check_memory(what: &str, before: &Snapshot, may_change: &[Range<u64>]) {
    let differences = before.differences(&Snapshot::take());
    for at in bytes(&differences) {
        let allowed = may_change.iter().any(|range| range.contains(&at));
        assert!(
            allowed,
            "{what} changed {at:#x}, which is not in {may_change:x?}"
        );
    }
}
