//! The suite makes no call that the real hypervisor would not survive, whatever the machine lacks.

use std::cell::RefCell;

use hypercall_conformance::{
    Counts, FakeSurroundings, Options, Outcome, Report, Row, Surroundings as _, run,
};
use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::{Client, Gpa, Transport, TransportError};
use hypercall_mock::fake::{FakeAcrn, FakeConfig};
use hypercall_mock::loopback::Loopback;

/// Looks at what passes, and refuses one call.
struct Watching<T> {
    inner: T,
    refused: Option<&'static str>,
    made: RefCell<Vec<&'static str>>,
}

impl<T: Transport> Transport for Watching<T> {
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        self.made.borrow_mut().push(info.name);
        if self.refused == Some(info.name) {
            return Ok(-1);
        }
        let result = self.inner.call(info, args);
        assert!(
            !matches!(result, Err(TransportError::Dead(_))),
            "{}: {result:?}",
            info.name
        );
        result
    }
}

#[derive(Default)]
struct Rows(Vec<(&'static str, String, Outcome)>);

impl Report for Rows {
    fn heading(&mut self, _: &str) {}
    fn row(&mut self, row: &Row<'_>) {
        self.0
            .push((row.call.name, row.what.to_owned(), row.outcome));
    }
}

fn suite(
    config: FakeConfig,
    options: Options,
    refused: Option<&'static str>,
) -> (Counts, Rows, Vec<&'static str>) {
    let fake = FakeAcrn::with_config(config);
    let client = Client::new(Watching {
        inner: Loopback::new(
            AcrnServer::new(fake.clone()),
            fake.clone(),
            Gpa(0x100_0000),
            0x1_0000,
        ),
        refused,
        made: RefCell::default(),
    });
    let surroundings = FakeSurroundings::new(&fake);
    // No earlier run's rings: the pages are the same.
    for page in surroundings.lent().pages {
        for word in page.words() {
            word.store(0, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let mut rows = Rows::default();
    let counts = run(&client, &surroundings, options, &mut rows);
    (counts, rows, client.into_inner().made.into_inner())
}

fn without_the_vm() -> FakeConfig {
    let mut config = FakeConfig::default();
    config.vms.retain(|vm| vm.name != Options::RECORDED.vm.0);
    assert_eq!(config.vms.len() + 1, FakeConfig::default().vms.len());
    config
}

/// One test: the pages are the same in all its parts.
#[test]
fn no_machine_dies_of_the_suite() {
    // Another name takes a slot without vCPUs, and a VM without vCPUs must not be started.
    for options in [
        Options::RECORDED,
        Options::any_machine(Options::RECORDED.vm),
    ] {
        let (counts, Rows(rows), made) = suite(without_the_vm(), options, None);
        let failed: Vec<_> = rows
            .iter()
            .filter(|(_, _, outcome)| !matches!(outcome, Outcome::AsExpected | Outcome::LeftOut))
            .collect();
        assert!(
            matches!(failed[..], [("create_vm", what, Outcome::DoesNotHold)] if what == "it has a vCPU"),
            "{failed:?}"
        );
        let last = rows
            .last()
            .map(|(_, what, outcome)| (what.as_str(), *outcome));
        let why = "the rest: this name is not configured";
        assert_eq!(last, Some((why, Outcome::LeftOut)));
        assert!(!counts.passed());
        assert!(!made.contains(&"start_vm"));
        assert!(
            made.contains(&"destroy_vm"),
            "the VM of that name is left behind"
        );
    }

    // No ring, and so no address whose writes go into it.
    let any = Options::any_machine(Options::RECORDED.vm);
    let (counts, Rows(rows), _) = suite(FakeConfig::default(), any, Some("setup_sbuf"));
    assert!(!counts.passed());
    let assigned: Vec<_> = rows
        .iter()
        .filter(|(call, what, _)| *call == "asyncio_assign" && !what.starts_with("VM "))
        .filter(|(_, _, outcome)| *outcome != Outcome::DoesNotHold)
        .collect();
    assert!(assigned.len() >= 10, "{assigned:?}");
    for row in assigned {
        assert_eq!(row.2, Outcome::LeftOut, "{row:?}");
    }

    // One slot that is not configured is as good as many.
    let config = FakeConfig {
        max_vms: FakeConfig::default().vms.len() as u16 + 1,
        ..FakeConfig::default()
    };
    let (counts, Rows(rows), _) = suite(config, any, None);
    assert!(counts.passed(), "{counts}");
    let second = rows
        .iter()
        .find(|(_, what, _)| what == "no name again: another slot");
    assert!(
        second.is_some_and(|row| row.2 == Outcome::LeftOut),
        "{second:?}"
    );
}
