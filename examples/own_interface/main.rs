//! An interface that is not ACRN's.
//!
//! `cargo run --example own_interface`. The trait in `balloon.rs` is the whole definition. From it come the client, the
//! server, what errors and traces show, and the mock. Besides `hypercall` it takes `zerocopy` for the payloads and
//! `mockall` for the mock.

mod balloon;

use std::sync::atomic::{AtomicU64, Ordering};

use balloon::{Balloon, BalloonCalls, BalloonServer, MockBalloon, PageRun, ZoneId, ZoneStats};
use hypercall::layer::Print;
use hypercall::mock::{Ram, loopback::Loopback};
use hypercall::{Client, Error, Gpa};

/// A hypervisor with one zone of 256 pages. It is the same trait, and answers raw calls through `BalloonServer`.
struct OneZone(AtomicU64);

impl Balloon for OneZone {
    fn zones(&self) -> Result<u16, Error> {
        Ok(1)
    }
    fn stats(&self, zone: ZoneId) -> Result<ZoneStats, Error> {
        match zone {
            ZoneId(0) => Ok(ZoneStats {
                given: self.0.load(Ordering::Relaxed),
                wanted: 64,
            }),
            _ => Err(Error::refused(BalloonCalls::STATS, [zone.0.into(), 0], -2)),
        }
    }
    fn give(&self, _: ZoneId, runs: &[PageRun]) -> Result<(), Error> {
        for run in runs {
            if run.start.0 / 4096 + run.count > 256 {
                return Err(Error::refused(BalloonCalls::GIVE, [0; 2], -34));
            }
            self.0.fetch_add(run.count, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The program: gives what is wanted, in two runs. Returns how much the hypervisor then has.
fn inflate(balloon: &impl Balloon) -> Result<u64, Error> {
    let count = balloon.stats(ZoneId(0))?.wanted / 2;
    let runs = [Gpa(0), Gpa(0x80_000)].map(|start| PageRun { start, count });
    balloon.give(ZoneId(0), &runs)?;
    Ok(balloon.stats(ZoneId(0))?.given)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("From the client through registers and guest memory to the server, and back:");
    let server = BalloonServer::new(OneZone(AtomicU64::new(0)));
    let wire = Loopback::new(server, Ram::new(16), Gpa(0), 0x1_0000);
    let wire = Print::new(wire, |line: std::fmt::Arguments<'_>| println!("  {line}"));
    let balloon = Client::new(wire);
    let (zones, given) = (balloon.zones()?, inflate(&balloon)?);
    let error = balloon.stats(ZoneId(1)).err().ok_or("there is one zone")?;
    println!("  → {error}");

    println!("The same program against a mock:");
    let mut mock = MockBalloon::new();
    mock.expect_stats().times(2).returning(|_| {
        Ok(ZoneStats {
            given: 7,
            wanted: 10,
        })
    });
    mock.expect_give()
        .withf(|_, runs| runs.len() == 2 && runs[1].count == 5)
        .returning(|_, _| Ok(()));
    println!(
        "  it gave two runs of 5 pages, and reads that {} are given",
        inflate(&mock)?
    );

    let seen = (zones, given, error.code());
    if seen == (1, 64, Some(-2)) {
        Ok(())
    } else {
        Err(format!("unexpected: {seen:?}").into())
    }
}
