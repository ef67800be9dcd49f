//! ACRN's dispatcher in front of the fake, against a hostile Service VM: any registers, any memory, stores by another
//! processor between the dispatcher's reads, and User VMs that act in between.
//!
//! No call may panic, take long, answer what ACRN does not, or write a byte of RAM that is not its block's or the
//! hypervisor's to keep. All of RAM is compared before and after each step.
#![no_main]

use arbitrary::Arbitrary;
use hypercall_fuzz::input::Step;
use hypercall_fuzz::machine::{Kind, Start};
use hypercall_fuzz::program::run;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    kind: Kind,
    start: Start,
    steps: Vec<Step>,
}

fuzz_target!(|input: Input| run(input.kind, input.start, &input.steps));
