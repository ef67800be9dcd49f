//! A program is tested with a mock in place of the hypervisor.
//!
//! `cargo run --example mock`. The program takes `&impl Hypervisor` and does not know what answers. A test says what must
//! be called and what to answer, so every refusal can be had.

use std::error::Error as StdError;

use hypercall::acrn::{Hypervisor, HypervisorCalls, VmCreation, VmId, VmName};
use hypercall::mock::MockHypervisor;
use hypercall::mock::mockall::{Sequence, predicate::eq};
use hypercall::{Error, ErrorKind, SharedPage, SharedRef, TransportError};

static REQUESTS: SharedPage = SharedPage::new();

/// The program under test: puts a fresh VM in the place of an old one.
fn replace(hypervisor: &impl Hypervisor, old: VmId, name: VmName) -> Result<VmId, Error> {
    hypervisor.pause_vm(old)?;
    hypervisor.destroy_vm(old)?;
    let new = hypervisor.create_vm(&mut VmCreation::new(name))?;
    let ready = hypervisor
        .set_ioreq_buffer(new, (&REQUESTS).into())
        .and_then(|()| hypervisor.start_vm(new));
    if let Err(error) = ready {
        // A VM that does not start must not keep its slot. Only a paused one can be destroyed.
        hypervisor.pause_vm(new)?;
        hypervisor.destroy_vm(new)?;
        return Err(error);
    }
    Ok(new)
}

/// A mock that expects the old VM 1 to go, and the new VM 2 to come.
fn expects_replacement(name: VmName) -> MockHypervisor {
    let mut mock = MockHypervisor::new();
    let mut order = Sequence::new();
    mock.expect_pause_vm()
        .with(eq(VmId(1)))
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Ok(()));
    mock.expect_destroy_vm()
        .with(eq(VmId(1)))
        .times(1)
        .in_sequence(&mut order)
        .returning(|_| Ok(()));
    // A payload: what must go in, and what the hypervisor writes into it.
    mock.expect_create_vm()
        .withf(move |creation| creation.name == name)
        .times(1)
        .in_sequence(&mut order)
        .returning(|creation| {
            creation.vmid = VmId(2);
            Ok(VmId(2))
        });
    // Memory that the hypervisor keeps: the mock is given the page itself.
    mock.expect_set_ioreq_buffer()
        .with(eq(VmId(2)), eq(SharedRef::from(&REQUESTS)))
        .times(1)
        .in_sequence(&mut order)
        .returning(|_, _| Ok(()));
    mock
}

fn main() -> Result<(), Box<dyn StdError>> {
    let name = VmName::new("fresh")?;

    println!("All goes well:");
    let mut mock = expects_replacement(name);
    mock.expect_start_vm()
        .with(eq(VmId(2)))
        .times(1)
        .returning(|_| Ok(()));
    let new = replace(&mock, VmId(1), name)?;
    println!("  VM 1 was replaced by {new:?}; every expected call was made, in order");

    println!("The new VM does not start:");
    let mut mock = expects_replacement(name);
    mock.expect_start_vm().returning(|vm| {
        Err(Error::refused(
            HypervisorCalls::START_VM,
            [vm.0.into(), 0],
            -1,
        ))
    });
    mock.expect_pause_vm()
        .with(eq(VmId(2)))
        .times(1)
        .returning(|_| Ok(()));
    mock.expect_destroy_vm()
        .with(eq(VmId(2)))
        .times(1)
        .returning(|_| Ok(()));
    let error = replace(&mock, VmId(1), name)
        .err()
        .ok_or("it should not have started")?;
    println!("  {error}");
    if error.kind != ErrorKind::Refused {
        return Err("the program changed the error".into());
    }

    println!("The hypervisor is gone:");
    let mut mock = MockHypervisor::new();
    mock.expect_pause_vm().times(1).returning(|vm| {
        let lost = TransportError::Lost("the other end closed");
        Err(Error::transport(
            HypervisorCalls::PAUSE_VM,
            [vm.0.into(), 0],
            lost,
        ))
    });
    let error = replace(&mock, VmId(1), name)
        .err()
        .ok_or("nobody should have answered")?;
    println!("  {error}");
    if !error.may_have_run() {
        return Err("after a lost answer nobody knows".into());
    }
    Ok(())
}
