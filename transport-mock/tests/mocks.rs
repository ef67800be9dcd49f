//! The mocks as a test in another crate uses them: expectations on payloads, outputs that are written, memory that is
//! kept, raw calls, and a mock of an interface that is not ACRN's.
#![cfg(feature = "mockall")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use hypercall_core::acrn::{
    Hypervisor, HypervisorCalls, MemoryProt, MemoryRegion, MsiAddress, MsiData, MsiEntry,
    ProfilingCommand, VmCreation, VmId, VmName,
};
use hypercall_core::arg::{Arg, Linked, Target};
use hypercall_core::{
    Client, Error, ErrorKind, Gpa, Payload, SharedPage, SharedRef, TransportError,
};
use hypercall_mock::mockall::{Sequence, predicate};
use hypercall_mock::{MockHypervisor, MockTransport};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

static REQUESTS: SharedPage = SharedPage::new();
const MEMORY: MemoryRegion =
    MemoryRegion::map(Gpa(0), Gpa(0x400_0000), 0x10_0000, MemoryProt::READ);

/// A program under test.
fn boot(hypervisor: &impl Hypervisor, name: VmName) -> Result<VmId, Error> {
    let mut creation = VmCreation::new(name);
    let vm = hypervisor.create_vm(&mut creation)?;
    assert_eq!(
        creation.vmid, vm,
        "what the mock wrote is what the program reads"
    );
    hypervisor.set_ioreq_buffer(vm, (&REQUESTS).into())?;
    hypervisor.set_memory_regions(vm, &[MEMORY])?;
    hypervisor.start_vm(vm)?;
    Ok(vm)
}

fn name() -> VmName {
    VmName::new("demo").unwrap()
}

/// Expects what `boot` does until it starts the VM.
fn created() -> MockHypervisor {
    let mut mock = MockHypervisor::new();
    let mut order = Sequence::new();
    mock.expect_create_vm()
        .withf(|creation| creation.name == name() && creation.reserved0 == 0)
        .times(1)
        .in_sequence(&mut order)
        .returning(|creation| {
            creation.vmid = VmId(3);
            Ok(VmId(3))
        });
    mock.expect_set_ioreq_buffer()
        .with(
            predicate::eq(VmId(3)),
            predicate::eq(SharedRef::from(&REQUESTS)),
        )
        .times(1)
        .in_sequence(&mut order)
        .returning(|_, _| Ok(()));
    mock.expect_set_memory_regions()
        .withf(|vm, regions| *vm == VmId(3) && regions == [MEMORY])
        .times(1)
        .in_sequence(&mut order)
        .returning(|_, _| Ok(()));
    mock
}

#[test]
fn a_program_runs_against_expectations_on_payloads() {
    let mut mock = created();
    mock.expect_start_vm()
        .with(predicate::eq(VmId(3)))
        .times(1)
        .returning(|_| Ok(()));
    assert_eq!(boot(&mock, name()), Ok(VmId(3)));
    mock.checkpoint();
}

#[test]
fn a_refusal_reaches_the_program_with_what_to_check() {
    let mut mock = created();
    mock.expect_start_vm().returning(|vm| {
        Err(Error::refused(
            HypervisorCalls::START_VM,
            [vm.0.into(), 0],
            -1,
        ))
    });
    let error = boot(&mock, name()).unwrap_err();
    assert_eq!((error.kind, error.code()), (ErrorKind::Refused, Some(-1)));
    let text = error.to_string();
    assert!(
        text.starts_with("start_vm(vm=VmId(3)) was refused with -1"),
        "{text}"
    );
    assert!(text.contains("I/O request buffer"), "{text}");
}

/// Whether a mock was content with what was done to it, until it was dropped.
fn content<T>(run: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(run)).is_ok()
}

#[test]
fn what_was_not_expected_and_what_is_missing_fail_the_test() {
    let expecting = || {
        let mut mock = MockHypervisor::new();
        mock.expect_pause_vm()
            .with(predicate::eq(VmId(1)))
            .times(1)
            .returning(|_| Ok(()));
        mock
    };
    assert!(content(|| expecting().pause_vm(VmId(1))));
    assert!(!content(|| expecting().pause_vm(VmId(2))), "another value");
    assert!(!content(|| expecting().start_vm(VmId(1))), "another call");
    assert!(!content(|| drop(expecting())), "no call");
}

#[test]
fn bytes_and_blocks_go_both_ways() {
    let mut mock = MockHypervisor::new();
    mock.expect_profiling_ops()
        .withf(|_, buffer| buffer == [1, 2, 3])
        .returning(|_, buffer| {
            buffer.copy_from_slice(&[4, 5, 6]);
            Ok(())
        });
    let msi = MsiEntry::new(MsiAddress::to_apic(0), MsiData::vector_of(0x41));
    mock.expect_inject_msi()
        .with(predicate::always(), predicate::eq(msi))
        .returning(|_, _| Ok(()));
    let mut buffer = [1, 2, 3];
    assert_eq!(mock.profiling_ops(ProfilingCommand(0), &mut buffer), Ok(()));
    assert_eq!(buffer, [4, 5, 6]);
    assert_eq!(mock.inject_msi(VmId(1), &msi), Ok(()));
}

#[test]
fn a_mock_is_injected_wherever_a_hypervisor_is_taken() {
    fn by_object(hypervisor: &dyn Hypervisor) -> Result<(), Error> {
        hypervisor.pause_vm(VmId(1))
    }
    fn by_value(hypervisor: impl Hypervisor + Send + Sync + 'static) -> Result<(), Error> {
        hypervisor.pause_vm(VmId(1))
    }
    let mut mock = MockHypervisor::new();
    mock.expect_pause_vm().times(2).returning(|_| Ok(()));
    assert_eq!(by_object(&mock), Ok(()));
    assert_eq!(by_value(std::sync::Arc::new(mock)), Ok(()));
}

#[test]
fn a_transport_is_mocked_below_the_client() {
    let mut mock = MockTransport::new();
    mock.expect_call()
        .withf(|info, args| {
            info == HypervisorCalls::CREATE_VM
                && args[0]
                    .bytes()
                    .is_some_and(|block| block[8..12] == *b"demo")
        })
        .times(1)
        .returning(|_, mut args| {
            // The block as the hypervisor sees it: it begins with the VM's id.
            args[0].output().unwrap()[..2].copy_from_slice(&7_u16.to_le_bytes());
            Ok(0)
        });
    mock.expect_call()
        .withf(|info, args| {
            info.name == "set_ioreq_buffer"
                && args[0] == Arg::Value(7)
                && matches!(&args[1], Arg::Linked(Linked { target: Target::Shared(page), .. })
                    if *page == SharedRef::from(&REQUESTS))
        })
        .times(1)
        .returning(|_, _| Ok(0));
    mock.expect_call()
        .withf(|info, args| {
            info.number == 0x8000_0042
                && matches!(&args[0], Arg::Linked(Linked { target: Target::Read(list), .. })
                    if *list == MEMORY.as_block())
        })
        .returning(|_, _| Ok(0));
    mock.expect_call()
        .withf(|info, _| info.name == "start_vm")
        .returning(|_, _| Err(TransportError::Lost("the line went dead")));
    let error = boot(&Client::new(mock), name()).unwrap_err();
    assert_eq!(
        error.kind,
        ErrorKind::Transport(TransportError::Lost("the line went dead"))
    );
    assert!(error.may_have_run());
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(crate = ::hypercall_core)]
struct Point {
    x: u32,
    y: u32,
}

#[hypercall_core::interface(crate = ::hypercall_core)]
trait Plotter {
    #[call(0x13)]
    fn move_to(&self, pen: u16, to: &Point) -> Result<(), Error>;
    #[call(0x14)]
    fn mirror(&self, point: &mut Point) -> Result<(), Error>;
    #[call(0x15)]
    fn r#type(&self) -> Result<Point, Error>;
    fn home(&self, pen: u16) -> Result<(), Error> {
        self.move_to(pen, &Point { x: 0, y: 0 })
    }
}

plotter_interface!(hypercall_mock::mock);

#[test]
fn any_interface_has_a_mock_and_methods_that_are_no_calls_run_on_it() {
    let mut mock = MockPlotter::new();
    mock.expect_move_to()
        .withf(|pen, to| *pen == 4 && *to == Point { x: 0, y: 0 })
        .times(1)
        .returning(|_, _| Ok(()));
    mock.expect_mirror().returning(|point| {
        core::mem::swap(&mut point.x, &mut point.y);
        Ok(())
    });
    mock.expect_type().returning(|| Ok(Point { x: 1, y: 1 }));
    assert_eq!(mock.home(4), Ok(()));
    let mut point = Point { x: 1, y: 2 };
    assert_eq!(mock.mirror(&mut point), Ok(()));
    assert_eq!(point, Point { x: 2, y: 1 });
    assert_eq!(mock.r#type(), Ok(Point { x: 1, y: 1 }));
}
