//! 26 recorded calls as a test. Generated; from here on it is yours.

#![cfg_attr(rustfmt, rustfmt_skip)]
#![allow(unused_imports, unused_mut, clippy::unreadable_literal)]

use crate::common::*;
use hypercall_core::{Client, Error, ErrorKind, Gpa, Hpa, PageAligned, Payload, SharedPage, SharedRef, Value};
use hypercall_trace::replay::Replayer;

/// The calls with their answers.
const TRACE: &[u8] = include_bytes!("data/plotter.hct");

#[test]
fn plotter() -> Result<(), Box<dyn std::error::Error>> {
    let replayer = Replayer::options().from_bytes(TRACE)?;
    let _told = TellsWhereItLeft(&replayer);
    let boot_lane = replayer.lane("boot");
    let boot = Client::new(&boot_lane);

    // Given out before the slice begins.
    let plotter_2 = PlotterId(2);
    let plotter_7 = PlotterId(7);

    // boot#0: reset() = 0
    boot.reset()?;

    // boot#1: lift(plotter=PlotterId(7)) = 0
    boot.lift(plotter_7)?;

    // boot#2: lift(plotter=PlotterId(2)) = -2 ENOENT
    let error = boot.lift(plotter_2).unwrap_err();
    assert_eq!(error.rax, -2, "ENOENT: {error}");

    // boot#3: add(left=2, right=0x28) = 0x2a
    assert_eq!(boot.add(2, 40)?, arg(42));

    // boot#4: move_to(plotter=PlotterId(2), x=2, y=2) = 0
    let to = Point {
        x: 2,
        y: 2,
    };
    boot.move_to(plotter_2, &to)?;

    // boot#5: mirror(x=2, y=9) = 0
    let mut point = Point {
        x: 2,
        y: 9,
    };
    boot.mirror(&mut point)?;
    assert_eq!(point.x, 0x9000000);
    assert_eq!(point.y, 0x2000000);

    // boot#6: mirror() = 0
    let mut point = zeroed::<Point>();
    boot.mirror(&mut point)?;

    // boot#7: position(plotter=PlotterId(2)) = {x=0x5040302, y=0x9080706}
    let expected = Point {
        x: 0x5040302,
        y: 0x9080706,
    };
    assert_eq!(boot.position(plotter_2)?, expected);

    // boot#8: enqueue(name="a ticket", id=0xffffffff) = 0x636b6574
    let mut ticket = Ticket {
        name: text("a ticket"),
        id: 0xffffffff,
        ..zeroed()
    };
    boot.enqueue(&mut ticket)?;
    assert_eq!(ticket.id, 0x636b6574);

    // boot#9: draw(colour=5, count=3, points[0].x=1, points[0].y=2, points[1].x=3, points[1].y … nts[2].x=5, points[2].y=6) = 0
    boot.draw(5, &[Point {
        x: 1,
        y: 2,
    }, Point {
        x: 3,
        y: 4,
    }, Point {
        x: 5,
        y: 6,
    }])?;

    // boot#10: draw(colour=6) = 0
    boot.draw(6, &[])?;

    // boot#11: share(plotter=PlotterId(2), page=Gpa(0x7000)) = 0
    boot.share(plotter_2, Gpa(0x7000).into())?;

    // boot#12: ink(plotter=PlotterId(0x102)) = {block of RSI=2}
    let expected = 2;
    assert_eq!(boot.ink(plotter_2)?, expected);

    // boot#13: paper(plotter=PlotterId(0x202)) = {x=0x5040302, y=0x9080706}
    let expected = Point {
        x: 0x5040302,
        y: 0x9080706,
    };
    assert_eq!(boot.paper(plotter_2)?, expected);

    // boot#14: firmware(offset=3, bytes=0x204030201) = 0
    let mut bytes = [0x01, 0x02, 0x03, 0x04, 0x02];
    boot.firmware(3, &mut bytes)?;
    assert_eq!(bytes, [0x02, 0x04, 0x03, 0x02, 0x01]);

    // boot#15: transpose(colour=1, count=3, points[0].x=1, points[0].y=2, points[1].x=3, points … nts[2].x=5, points[2].y=6) = 0
    let mut points = [Point {
        x: 1,
        y: 2,
    }, Point {
        x: 3,
        y: 4,
    }, Point {
        x: 5,
        y: 6,
    }];
    boot.transpose(1, &mut points)?;
    assert_eq!(points[0].x, 0x2000000);
    assert_eq!(points[0].y, 0x3000000);
    assert_eq!(points[1].x, 0x4000000);
    assert_eq!(points[1].y, 0x5000000);
    assert_eq!(points[2].x, 0x6000000);
    assert_eq!(points[2].y, 0x1000000);

    // boot#16: login(name="root", ink=RED, options=FAST) = 0
    let login = Login {
        name: text("root"),
        // password is a secret.
        ink: raw(1 /* RED */),
        options: raw(1 /* FAST */),
        ..zeroed()
    };
    boot.login(&login)?;

    // boot#17: fail(how=0) = ? (argument 2: the memory that its block points at has no single p …  physically contiguous memory)
    let error = boot.fail(0).unwrap_err();
    assert_eq!(error.code(), None, "{error}");
    assert!(!error.may_have_run());

    // boot#18: fail(how=1) = ? (not issued: the allow-list layer says: not on it)
    let error = boot.fail(1).unwrap_err();
    assert_eq!(error.code(), None, "{error}");
    assert!(!error.may_have_run());

    // boot#19: fail(how=2) = ? (the hypervisor crashed: it divides by zero)
    let error = boot.fail(2).unwrap_err();
    assert_eq!(error.code(), None, "{error}");
    assert!(error.may_have_run());

    // boot#20: fail(how=3) = ? (the caller never returns: it waits for itself)
    let error = boot.fail(3).unwrap_err();
    assert_eq!(error.code(), None, "{error}");
    assert!(error.may_have_run());

    // boot#21: fail(how=4) = ? (not issued: #GP(0) (general protection): hypercalls are made from ring 0 only)
    let error = boot.fail(4).unwrap_err();
    assert_eq!(error.code(), None, "{error}");
    assert!(!error.may_have_run());

    // boot#22: fail(how=5) = ? (not issued: too many registers)
    let error = boot.fail(5).unwrap_err();
    assert_eq!(error.code(), None, "{error}");
    assert!(!error.may_have_run());

    // boot#23: fail(how=6) = ? (the test double was not prepared for it: no script)
    let error = boot.fail(6).unwrap_err();
    assert_eq!(error.code(), None, "{error}");
    assert!(!error.may_have_run());

    // boot#24: fail(how=7) = ? (the answer was lost, and the hypervisor may have acted: the line went dead)
    let error = boot.fail(7).unwrap_err();
    assert_eq!(error.code(), None, "{error}");
    assert!(error.may_have_run());

    // boot#25: fail(how=8) = -7 E2BIG
    let error = boot.fail(8).unwrap_err();
    assert_eq!(error.rax, -7, "E2BIG: {error}");

    // Every recorded call was made.
    replayer.finish()?;
    Ok(())
}

/// Prints the replay's report where the program left the trace.
struct TellsWhereItLeft<'r>(&'r Replayer);

impl Drop for TellsWhereItLeft<'_> {
    fn drop(&mut self) {
        if self.0.divergence().is_some() {
            eprintln!("{}", self.0.report());
        }
    }
}

/// A value of these bytes; zero behind them.
fn bytes<T: hypercall_core::zerocopy::FromBytes>(from: &[u8]) -> T {
    let mut all = vec![0; size_of::<T>()];
    for (place, byte) in all.iter_mut().zip(from) {
        *place = *byte;
    }
    T::read_from_bytes(&all).unwrap_or_else(|_| T::new_zeroed())
}

fn text<T: hypercall_core::zerocopy::FromBytes>(from: &str) -> T {
    bytes(from.as_bytes())
}

/// A flag or a named number, as it is in memory.
fn raw<T: hypercall_core::zerocopy::FromBytes>(from: u64) -> T {
    bytes(&from.to_le_bytes())
}

fn zeroed<P: Payload>() -> P {
    P::zeroed()
}

/// A value as it is in a register.
fn arg<V: Value>(from: u64) -> V {
    V::from_register(from)
}
