use hypercall_core::call::InterfaceInfo;
use hypercall_core::layer::{Counting, Outcome};
use hypercall_core::{Client, Hazard, LayerRefusal, TransportError};

use crate::plotter::{Plotter, PlotterCalls, Wire};

/// Answers a `lift` by its pen's number.
fn by_pen() -> Wire {
    const ERRORS: &[TransportError] = &[
        TransportError::Untranslatable {
            register: 0,
            nested: false,
        },
        TransportError::Layer(LayerRefusal {
            layer: "test",
            reason: "no",
        }),
        TransportError::Dead(Hazard::Crashed("why")),
        TransportError::Dead(Hazard::Hung("why")),
        TransportError::Fault(6),
        TransportError::Fault(13),
        TransportError::Unsupported("why"),
        TransportError::Unexpected("why"),
        TransportError::Lost("why"),
    ];
    Wire::new(|_, args| match i64::try_from(args[0].value()).unwrap() {
        rax @ 0..100 => Ok(-rax),
        100 => Ok(7),
        101 => Ok(i64::MIN),
        error => Err(ERRORS[usize::try_from(error - 200).unwrap()]),
    })
}

#[test]
fn each_outcome_is_counted_apart() {
    let plotter = Client::new(Counting::<_, 64>::new(by_pen(), PlotterCalls::INTERFACE));
    for pen in [
        0, 0, 0, 2, 7, 7, 77, 100, 101, 200, 201, 202, 203, 204, 205, 206, 207, 208,
    ] {
        let _ = plotter.lift(pen);
    }
    plotter.add(1, 0).unwrap_err();
    plotter.add(100, 0).unwrap();
    plotter.reset().unwrap();
    let counts = plotter.transport();
    let of = |outcome| counts.count(PlotterCalls::LIFT, outcome);
    assert_eq!(of(Outcome::Success), 3);
    assert_eq!(
        (
            of(Outcome::Refused(-2)),
            of(Outcome::Refused(-7)),
            of(Outcome::Refused(-77))
        ),
        (1, 2, 1)
    );
    assert_eq!(of(Outcome::Refused(-1)), 0);
    assert_eq!(of(Outcome::Nonsense), 2, "RAX 7 and i64::MIN");
    for outcome in [
        Outcome::Untranslatable,
        Outcome::Layer,
        Outcome::Crashed,
        Outcome::Hung,
        Outcome::Fault(6),
        Outcome::Fault(13),
        Outcome::Unsupported,
        Outcome::Unexpected,
        Outcome::Lost,
    ] {
        assert_eq!(of(outcome), 1, "{outcome:?}");
    }
    assert_eq!(
        counts.count(PlotterCalls::ADD, Outcome::Success),
        1,
        "its result is RAX 7"
    );
    assert_eq!(counts.count(PlotterCalls::ADD, Outcome::Refused(-1)), 1);
    assert_eq!(
        (
            counts.calls(PlotterCalls::LIFT),
            counts.calls(PlotterCalls::MIRROR)
        ),
        (18, 0)
    );
    assert_eq!(
        (counts.total(), counts.overflow(), counts.foreign()),
        (21, 0, 0)
    );
}

#[test]
fn the_table_is_in_the_interfaces_order() {
    let plotter = Client::new(Counting::<_, 2>::new(by_pen(), PlotterCalls::INTERFACE));
    for pen in [2, 2, 7] {
        let _ = plotter.lift(pen);
    }
    plotter.reset().unwrap();
    let lines = [
        "   calls  call and outcome",
        "       2  lift: -2 ENOENT",
        "       1  lift: -7 E2BIG",
        "       1  not counted apart: the table is full",
        "       4  in total",
    ];
    assert_eq!(plotter.transport().to_string(), lines.join("\n"));
}

#[test]
fn what_has_no_room_is_counted_as_that() {
    let plotter = Client::new(Counting::<_, 2>::new(by_pen(), PlotterCalls::INTERFACE));
    for pen in 0..10 {
        let _ = plotter.lift(pen);
    }
    let _ = plotter.lift(0);
    let counts = plotter.transport();
    assert_eq!(
        (
            counts.calls(PlotterCalls::LIFT),
            counts.overflow(),
            counts.total()
        ),
        (3, 8, 11)
    );
    let plotter = Client::new(Counting::<_, 0>::new(by_pen(), PlotterCalls::INTERFACE));
    plotter.reset().unwrap();
    assert_eq!(
        (plotter.transport().overflow(), plotter.transport().total()),
        (1, 1)
    );
}

#[test]
fn calls_of_another_interface_are_not_taken_for_its_own() {
    static OTHER: InterfaceInfo = InterfaceInfo {
        name: "Other",
        calls: &[PlotterCalls::LIFT],
    };
    let plotter = Client::new(Counting::<_, 8>::new(Wire::willing(), &OTHER));
    plotter.reset().unwrap();
    plotter.lift(1).unwrap();
    // `reset` has the place of `lift` in the other interface, and `lift` has none.
    assert_eq!(
        (
            plotter.transport().foreign(),
            plotter.transport().counts().count()
        ),
        (2, 0)
    );
}

#[test]
fn reset_and_clear_start_from_nothing() {
    let mut counts = Counting::<_, 1>::new(by_pen(), PlotterCalls::INTERFACE);
    let _ = Client::new(&counts).lift(2);
    let _ = Client::new(&counts).lift(3);
    counts.reset();
    assert_eq!((counts.total(), counts.counts().count()), (0, 0));
    let _ = Client::new(&counts).lift(3);
    assert_eq!(counts.overflow(), 1, "the only place still is -2's");
    counts.clear();
    let _ = Client::new(&counts).lift(3);
    assert_eq!(
        (
            counts.overflow(),
            counts.count(PlotterCalls::LIFT, Outcome::Refused(-3))
        ),
        (0, 1)
    );
}

#[test]
fn threads_lose_nothing_and_a_reset_between_them_neither_doubles_nor_renames() {
    const EACH: u32 = 2_000;
    let counts = Counting::<_, 16>::new(by_pen(), PlotterCalls::INTERFACE);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let counts = &counts;
            scope.spawn(move || {
                for call in 0..EACH {
                    let _ = Client::new(counts).lift((call + thread) % 8);
                }
            });
        }
    });
    assert_eq!(
        (counts.total(), counts.overflow()),
        (u64::from(4 * EACH), 0)
    );
    for code in 1..8 {
        assert_eq!(
            counts.count(PlotterCalls::LIFT, Outcome::Refused(-code)),
            u64::from(4 * EACH / 8)
        );
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..EACH {
                let _ = Client::new(&counts).lift(5);
            }
        });
        scope.spawn(|| (0..100).for_each(|_| counts.reset()));
    });
    assert!(counts.count(PlotterCalls::LIFT, Outcome::Refused(-5)) <= u64::from(EACH));
    assert_eq!(counts.count(PlotterCalls::LIFT, Outcome::Refused(-4)), 0);
}
