//! Prints the conformance suite's table over a loopback into the fake ACRN.
//!
//!     cargo run -p hypercall-conformance --features fake --example table -- [any]
//!
//! With `any` it makes the steps that hold on any ACRN which has the User VM configured.

use hypercall_conformance::{FakeSurroundings, Options, Report, Row, run};
use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::{Client, Gpa};
use hypercall_mock::fake::FakeAcrn;
use hypercall_mock::loopback::Loopback;

struct Lines;

impl Report for Lines {
    fn heading(&mut self, text: &str) {
        println!("== {text}");
    }
    fn row(&mut self, row: &Row<'_>) {
        println!("{row}");
    }
}

fn main() {
    let fake = FakeAcrn::new();
    let loopback = Loopback::new(
        AcrnServer::new(fake.clone()),
        fake.clone(),
        Gpa(0x100_0000),
        0x1_0000,
    );
    let options = match std::env::args().nth(1).as_deref() {
        Some("any") => Options::any_machine(Options::RECORDED.vm),
        _ => Options::RECORDED,
    };
    let surroundings = FakeSurroundings::new(&fake);
    let counts = run(&Client::new(loopback), &surroundings, options, &mut Lines);
    println!("{counts}");
    if !counts.passed() {
        std::process::exit(1);
    }
}
