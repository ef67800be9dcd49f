//! The calls that the guest measures in ring 0 under the recorder, made on the host: for a parent that counts instructions
//! by letting one after the other run (`xtask/src/ring0/host.rs`).
//!
//! The program asks to be traced and stops. Then it makes each of six calls [`ROUNDS`] times, and raises SIGUSR1 before the
//! first and after each: what the parent counts between two of these signals is one call, and what goes round it, which is
//! the same for all. SIGUSR2 is the end.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::process::ExitCode;

use hypercall_core::acrn::{
    GpaToHpa, Hypervisor, HypervisorCalls, MsiAddress, MsiData, MsiEntry, VmId,
};
use hypercall_core::arg::Arg;
use hypercall_core::call::{CallInfo, InterfaceInfo};
use hypercall_core::{Client, Gpa, Transport, TransportError};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};

/// How often each call is made. The parent takes the smallest count.
pub const ROUNDS: usize = 32;
/// The exit status of a program that nobody may trace here.
const NOT_TRACED: u8 = 3;

pub static INTERFACES: &[&InterfaceInfo] = &[HypervisorCalls::INTERFACE];

/// Answers 0 at once, as the test bed's hypervisor does while the guest measures. To the one call that comes with memory to be
/// written it writes an address.
#[derive(Clone, Copy, Debug)]
pub struct Null;

impl Transport for Null {
    #[inline(never)]
    fn call<'a>(&self, _: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        if let [_, Arg::ReadWrite(block)] = black_box(args)
            && let Some(hpa) = block.get_mut(8..16)
        {
            hpa.copy_from_slice(&[0; 8]);
        }
        Ok(black_box(0))
    }
}

// The three calls, in the order in which the guest makes them.

#[inline(never)]
fn create_vcpu(h: &Client<impl Transport>) -> bool {
    h.create_vcpu(black_box(VmId(1))).is_ok()
}

#[inline(never)]
fn inject_msi(h: &Client<impl Transport>) -> bool {
    let msi = MsiEntry::new(MsiAddress::to_apic(0), MsiData::vector_of(0x40));
    h.inject_msi(black_box(VmId(1)), black_box(&msi)).is_ok()
}

#[inline(never)]
fn vm_gpa2hpa(h: &Client<impl Transport>) -> bool {
    let mut question = GpaToHpa::of(Gpa(0));
    h.vm_gpa2hpa(black_box(VmId(1)), black_box(&mut question))
        .is_ok()
}

/// Makes the calls plain and recorded, in turn, under the parent's eyes.
///
/// The recorder is made behind the first stop: a debugger of the parent's kind sees the thread that asked for it, and no
/// thread that a recording starts.
pub fn run<T: Transport>(recorder: impl FnOnce() -> Option<T>) -> ExitCode {
    if let Err(why) = ptrace::traceme().and_then(|()| raise(Signal::SIGSTOP)) {
        eprintln!("this process cannot be traced: {why}");
        return ExitCode::from(NOT_TRACED);
    }
    let Some(recorder) = recorder() else {
        eprintln!("there is no recorder");
        return ExitCode::FAILURE;
    };
    let (plain, recorded) = (Client::new(Null), Client::new(recorder));
    let calls: [&dyn Fn() -> bool; 6] = [
        &|| create_vcpu(&plain),
        &|| create_vcpu(&recorded),
        &|| inject_msi(&plain),
        &|| inject_msi(&recorded),
        &|| vm_gpa2hpa(&plain),
        &|| vm_gpa2hpa(&recorded),
    ];
    let mut fine = raise(Signal::SIGUSR1).is_ok();
    for call in calls {
        for _ in 0..ROUNDS {
            fine &= black_box(call)();
            fine &= raise(Signal::SIGUSR1).is_ok();
        }
    }
    fine &= raise(Signal::SIGUSR2).is_ok();
    if fine {
        ExitCode::SUCCESS
    } else {
        eprintln!("a call was not answered");
        ExitCode::FAILURE
    }
}
