//! Records calls of ACRN's interface into the file that is named on the command line, and says what came of it.
//!
//! `cargo run -p hypercall-trace --example record -- run.hct [calls]`

use hypercall_core::acrn::{Hypervisor, HypervisorCalls, VmId};
use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::{Client, Transport, TransportError};
use hypercall_trace::read::Trace;
use hypercall_trace::record::{Recorder, Recording};

/// Stands for a real transport: refuses every third call.
struct Machine;

impl Transport for Machine {
    fn call<'a>(&self, _: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        let [first, _] = args;
        Ok(if first.value() % 3 == 2 { -1 } else { 0 })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let path = words.next().ok_or("which file?")?;
    let calls: u16 = words.next().map_or(Ok(1000), |word| word.parse())?;

    let recording = Recording::options(&[HypervisorCalls::INTERFACE]).create(&path)?;
    let hypervisor = Client::new(Recorder::new(Machine, recording.lane("main")?));
    let mut refused = 0_u32;
    for vm in 0..calls {
        if hypervisor.pause_vm(VmId(vm)).is_err() {
            refused = refused.saturating_add(1);
        }
    }
    let done = recording.finish();
    println!("{calls} calls made, {refused} refused; {done:?}");

    let trace = Trace::open(&path)?;
    let report = trace.verify()?;
    println!(
        "{} calls in the file, {} lost, clean: {}",
        report.calls,
        report.lost,
        report.is_clean()
    );
    Ok(())
}
