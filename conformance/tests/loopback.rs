//! The suite over a loopback into the fake ACRN: the table that the guest's is compared with.

use std::fmt::Write as _;

use hypercall_conformance::{FakeSurroundings, Options, Report, Row, run};
use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::{Client, Gpa};
use hypercall_mock::fake::FakeAcrn;
use hypercall_mock::loopback::Loopback;

#[derive(Default)]
struct Table {
    text: String,
    failed: String,
}

impl Report for Table {
    fn heading(&mut self, text: &str) {
        writeln!(self.text, "== {text}").unwrap();
    }
    fn row(&mut self, row: &Row<'_>) {
        writeln!(self.text, "{row}").unwrap();
        if !row.holds() {
            writeln!(self.failed, "{row}").unwrap();
        }
    }
}

#[test]
fn every_call_answers_as_acrn_does() {
    let fake = FakeAcrn::new();
    let loopback = Loopback::new(
        AcrnServer::new(fake.clone()),
        fake.clone(),
        Gpa(0x100_0000),
        0x1_0000,
    );
    let mut table = Table::default();
    let surroundings = FakeSurroundings::new(&fake);
    let counts = run(
        &Client::new(loopback),
        &surroundings,
        Options::RECORDED,
        &mut table,
    );
    println!("{}{counts}", table.text);
    assert_eq!(table.failed, "");
    assert!(counts.passed() && counts.complete(), "{counts}");
}
