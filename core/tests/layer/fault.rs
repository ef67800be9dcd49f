use std::cell::RefCell;
use std::time::Duration;

use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::layer::FaultInjection;
use hypercall_core::layer::fault::{Calls, Effect, Fault, Injector, Pattern, Plan, When};
use hypercall_core::{Client, ErrorKind, Hazard, TransportError};

use crate::plotter::{Plotter, PlotterCalls, Point, Wire};

thread_local! {
    static SLEPT: RefCell<Vec<Duration>> = const { RefCell::new(Vec::new()) };
}

fn sleep(time: Duration) {
    SLEPT.with_borrow_mut(|slept| slept.push(time));
}

fn plan(text: &str) -> Plan<8> {
    Plan::parse(text, PlotterCalls::INTERFACE).unwrap()
}

fn over(wire: Wire, text: &str) -> Client<FaultInjection<Wire, 8>> {
    Client::new(FaultInjection::new(wire, plan(text), sleep))
}

/// Writes 1, 2, 3, … into whatever the call writes.
fn writing() -> Wire {
    Wire::new(|_, args| {
        for argument in args {
            if let Some(output) = argument.output() {
                output
                    .iter_mut()
                    .zip(1..)
                    .for_each(|(byte, number)| *byte = number);
            }
        }
        Ok(0)
    })
}

fn issued(plotter: &Client<FaultInjection<Wire, 8>>) -> usize {
    plotter.transport().inner().issued()
}

#[test]
fn an_answer_instead_of_the_call_is_not_issued() {
    let plotter = over(writing(), "lift: instead=ENOENT @ 2; mirror: instead=0");
    plotter.lift(1).unwrap();
    assert_eq!(plotter.lift(1).unwrap_err().code(), Some(-2));
    plotter.lift(1).unwrap();
    assert_eq!(issued(&plotter), 2);
    let mut point = Point { x: 8, y: 9 };
    plotter.mirror(&mut point).unwrap();
    assert_eq!((point, issued(&plotter)), (Point { x: 8, y: 9 }, 2));
}

#[test]
fn an_answer_after_the_call_is_issued() {
    let plotter = over(writing(), "mirror: after=-7; add: after=0x8000000000000000");
    let mut point = Point { x: 8, y: 9 };
    assert_eq!(plotter.mirror(&mut point).unwrap_err().code(), Some(-7));
    assert_eq!((point.x, issued(&plotter)), (0x0403_0201, 1));
    let error = plotter.add(1, 2).unwrap_err();
    assert_eq!((error.kind, error.rax), (ErrorKind::Nonsense, i64::MIN));
}

#[test]
fn failures_look_like_a_transports() {
    let plotter = over(
        Wire::willing(),
        "lift: instead=lost@1; lift: after=crash@2; lift: instead=hang@3",
    );
    let kinds = [1, 2, 3].map(|pen| plotter.lift(pen).unwrap_err().kind);
    assert!(matches!(
        kinds,
        [
            ErrorKind::Transport(TransportError::Lost(_)),
            ErrorKind::Transport(TransportError::Dead(Hazard::Crashed(_))),
            ErrorKind::Transport(TransportError::Dead(Hazard::Hung(_))),
        ]
    ));
    assert_eq!(issued(&plotter), 1);
}

#[test]
fn an_attempt_without_an_answer_keeps_its_failure() {
    let unsupported = TransportError::Unsupported("not here");
    let wire = Wire::new(move |_, _| Err(unsupported));
    let plotter = over(wire, "lift: after=0; lift: after=lost");
    assert_eq!(
        plotter.lift(1).unwrap_err().kind,
        ErrorKind::Transport(unsupported)
    );
    assert!(
        plotter
            .transport()
            .injector()
            .tally()
            .all(|tally| (tally.seen, tally.acted) == (1, 0))
    );
}

#[test]
fn delays_add_up_and_come_before_the_call() {
    let plotter = over(
        Wire::new(|_, _| Ok(SLEPT.with_borrow(|slept| i64::try_from(slept.len()).unwrap()))),
        "add: delay=5ms; *: delay=7us @ 2..; add: delay=0s",
    );
    assert_eq!(plotter.add(1, 1), Ok(1));
    assert_eq!(plotter.add(1, 1), Ok(2));
    assert_eq!(
        SLEPT.take(),
        [Duration::from_millis(5), Duration::from_micros(5_007)]
    );
    let quick = over(Wire::willing(), "reset: delay=1s; lift: delay=0us");
    quick.lift(1).unwrap();
    assert!(SLEPT.take().is_empty());
}

#[test]
fn output_is_changed_where_the_plan_says() {
    let point = |text| {
        let plotter = over(writing(), text);
        let mut point = Point { x: 0, y: 0 };
        plotter.mirror(&mut point).unwrap();
        (point.x, point.y)
    };
    assert_eq!(point(""), (0x0403_0201, 0x0807_0605));
    assert_eq!(point("mirror: flip=0.1"), (0x0403_0203, 0x0807_0605));
    assert_eq!(point("mirror: flip=y.0"), (0x0403_0201, 0x0807_0604));
    assert_eq!(point("mirror: flip=y.31"), (0x0403_0201, 0x8807_0605));
    assert_eq!(point("mirror: flip=3"), (0xfb03_0201, 0x0807_0605));
    assert_eq!(
        point("mirror: xor=x^01020304; mirror: xor=y^0506"),
        (0, 0x0807_0000)
    );
    assert_eq!(
        point("*: flip=7.7; 0x14: flip=7.7"),
        (0x0403_0201, 0x0807_0605)
    );
    let plotter = over(writing(), "position: xor=4^ff");
    assert_eq!(plotter.position(1).unwrap().y, 0x0807_06fa);
    let plotter = over(writing(), "transpose: flip=12.0; firmware: flip=2.7");
    let mut points = [Point { x: 0, y: 0 }; 2];
    plotter.transpose(&mut points).unwrap();
    assert_eq!(points[1].y, 0x100f_0e0c);
    let mut bytes = [0; 3];
    plotter.firmware(&mut bytes).unwrap();
    assert_eq!(bytes, [1, 2, 0x83]);
}

#[test]
fn output_that_is_not_there_is_left_alone_and_told() {
    let plotter = over(writing(), "*: xor=2^ffff");
    let mut bytes = [0; 3];
    plotter.firmware(&mut bytes).unwrap();
    plotter.lift(1).unwrap();
    assert_eq!(bytes, [1, 2, 3]);
    plotter.firmware(&mut [0; 4]).unwrap();
    let tally = plotter.transport().injector().tally().next().unwrap();
    assert_eq!((tally.seen, tally.acted), (3, 1));
}

#[test]
fn the_first_answer_of_several_is_taken() {
    let plotter = over(
        Wire::willing(),
        "lift: after=-1; *: instead=-2; lift: delay=1us",
    );
    assert_eq!(plotter.lift(1).unwrap_err().code(), Some(-1));
    assert_eq!(plotter.reset().unwrap_err().code(), Some(-2));
    let acted: Vec<_> = plotter
        .transport()
        .injector()
        .tally()
        .map(|tally| (tally.seen, tally.acted))
        .collect();
    assert_eq!(acted, [(1, 1), (2, 1), (1, 1)]);
}

#[test]
fn each_fault_counts_the_calls_that_it_is_about() {
    let plotter = over(
        Wire::willing(),
        "paper: instead=-1 @ 2; 0x19: instead=-2 @ 3; *: instead=-3 @ 5",
    );
    let codes: Vec<_> = [
        plotter.ink(0).err(),
        plotter.reset().err(),
        plotter.paper(0).err(),
        plotter.ink(0).err(),
        plotter.lift(0).err(),
        plotter.paper(0).err(),
    ]
    .map(|error| error.map_or(0, |error| error.rax))
    .into();
    assert_eq!(codes, [0, 0, 0, -2, -3, -1]);
}

#[test]
fn concurrent_calls_are_counted_once_each() {
    let plotter = over(
        Wire::willing(),
        "lift: instead=-1 @ 100..1900+3; *: instead=-2 @ 2000",
    );
    let refused = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    if plotter.lift(1).is_err() {
                        refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(refused.into_inner(), 601 + 1);
    let tally: Vec<_> = plotter
        .transport()
        .injector()
        .tally()
        .map(|tally| (tally.seen, tally.acted))
        .collect();
    assert_eq!(tally, [(2000, 601), (2000, 1)]);
}

#[test]
fn an_injector_serves_whatever_carries_calls() {
    let mut plan = Plan::<1>::new();
    let fault = Fault {
        calls: Calls::One(PlotterCalls::MIRROR),
        effect: Effect::Flip(1, Pattern::bit(4)),
        when: When::once(1).unwrap(),
    };
    plan.push(fault).unwrap();
    assert!(plan.push(fault).is_err());
    let injector = Injector::new(plan);
    let info: &'static CallInfo = PlotterCalls::MIRROR;
    let mut bytes = [0; 8];
    let replayed = injector.call(
        info,
        [Arg::ReadWrite(&mut bytes), Arg::None],
        |_| {},
        |mut args| {
            args[0].output().unwrap()[0] = 9;
            Ok(0)
        },
    );
    assert_eq!((replayed, bytes), (Ok(0), [9, 16, 0, 0, 0, 0, 0, 0]));
}
