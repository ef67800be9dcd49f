//! A test made of a trace of an interface that is not ACRN's: it compiles, and it passes. `plotter.rs` is what is generated here.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a test"
)]

extern crate hypercall_core as hypercall;

#[path = "../common/mod.rs"]
mod common;
#[path = "../file/mod.rs"]
mod file;
mod plotter;

use std::path::Path;

use common::INTERFACES;
use hypercall_trace::gen_test::GenTest;
use hypercall_trace::read::{Lane, Trace};
use hypercall_trace::replay::Recorded;
use hypercall_trace::schema::Schema;

fn generator() -> GenTest {
    GenTest::new("plotter", "data/plotter.hct")
        .crates("hypercall_core", "hypercall_trace")
        .types(&["crate::common::*"])
}

/// The program that makes a call of every shape, as it was recorded.
fn recorded() -> Recorded {
    Recorded {
        schema: Schema::from_interfaces(INTERFACES).into(),
        lanes: vec![Lane {
            id: 0,
            name: "boot".to_owned(),
        }],
        entries: file::calls(),
        ..Recorded::default()
    }
}

/// With `GENERATE=1` the test and its trace are written anew.
#[test]
fn the_test_of_an_own_interface_is_what_is_generated() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/generated_own");
    let (test, trace) = (folder.join("plotter.rs"), folder.join("data/plotter.hct"));
    if std::env::var_os("GENERATE").is_some() {
        let made = generator().generate(&recorded()).unwrap();
        std::fs::write(&test, &made.source).unwrap();
        std::fs::write(&trace, &made.trace).unwrap();
    }
    let kept = Recorded::read(&Trace::open(&trace).unwrap()).unwrap();
    let made = generator().generate(&kept).unwrap();
    assert_eq!(
        made.source,
        std::fs::read_to_string(&test).unwrap(),
        "generate it anew with GENERATE=1"
    );
    // It has every call of the interface, and what is recorded today is the same.
    for call in common::PlotterCalls::INTERFACE.calls {
        let made = made.source.contains(&format!("boot.{}(", call.name));
        assert!(made, "{}", call.name);
    }
    assert_eq!(
        generator().generate(&recorded()).unwrap().source,
        made.source
    );
}
