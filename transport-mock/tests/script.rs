//! What a script promises: it answers what it was told of, and says readably what was not so.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod plotter;

use hypercall_core::{Client, ErrorKind, Gpa, SharedPage, TransportError};
use hypercall_mock::script::{Report, Script, Times, Why, expect};
use plotter::{Area, Colour, PenId, Plotter, PlotterCalls as C, Ticket, point, ticket};

/// Whether a call got no answer from the script.
fn refused<T: std::fmt::Debug>(answer: Result<T, hypercall_core::Error>) -> bool {
    matches!(
        answer.unwrap_err().kind,
        ErrorKind::Transport(TransportError::Unexpected(_))
    )
}

fn report(script: &Script) -> Report {
    *script.verify().unwrap_err()
}

#[test]
fn an_empty_script_expects_nothing() {
    let script = Script::new();
    script.verify().unwrap();
    assert!(refused(Client::new(&script).reset()));
    assert_eq!(
        report(&script).to_string(),
        "the script was not kept to\n\
         call 1 was not expected: reset()\n\
         expected next: nothing, the script is over"
    );
}

#[test]
fn calls_are_taken_in_order() {
    let script = || Script::new().then(expect(C::RESET)).then(expect(C::LIFT));
    let (kept, swapped) = (script(), script());
    let plotter = Client::new(&kept);
    plotter.reset().unwrap();
    plotter.lift(PenId(1)).unwrap();
    kept.verify().unwrap();
    let plotter = Client::new(&swapped);
    assert!(refused(plotter.lift(PenId(1))));
    assert!(
        refused(plotter.reset()),
        "what follows a wrong turn is refused"
    );
    assert!(refused(plotter.lift(PenId(1))));
    assert_eq!(
        report(&swapped).to_string(),
        "the script was not kept to\n\
         call 1 was not expected: lift(pen=PenId(1))\n\
         expected next:\n  \
           step 1: reset(…)\n      \
               is another call\n\
         elsewhere in the script:\n  \
           step 2: lift(…)\n      \
               not yet: step 1 is not done\n\
         2 later calls were refused\n\
         not met:\n  \
           step 1: reset(…): expected once, came never\n  \
           step 2: lift(…): expected once, came never"
    );
}

#[test]
fn a_group_is_taken_in_any_order_and_before_what_follows() {
    let script = || {
        Script::new()
            .any_order([
                expect(C::LIFT).arg("pen", PenId(1)),
                expect(C::LIFT).arg("pen", PenId(2)).times(2),
                expect(C::ADD).times(..).rax(9),
            ])
            .then(expect(C::RESET))
    };
    let kept = script();
    let plotter = Client::new(&kept);
    plotter.lift(PenId(2)).unwrap();
    assert_eq!(plotter.add(1, 1), Ok(9));
    plotter.lift(PenId(1)).unwrap();
    plotter.lift(PenId(2)).unwrap();
    assert_eq!(plotter.add(1, 1), Ok(9));
    plotter.reset().unwrap();
    kept.verify().unwrap();
    assert!(refused(plotter.add(1, 1)), "the group is over");
    assert_eq!(
        report(&kept).mismatch.unwrap().elsewhere[0].why,
        [Why::Past]
    );

    let early = script();
    let plotter = Client::new(&early);
    plotter.lift(PenId(2)).unwrap();
    assert!(refused(plotter.reset()));
    let report = report(&early);
    assert_eq!(report.unmet.len(), 3);
    assert_eq!(report.mismatch.unwrap().elsewhere[0].why, [Why::NotYet(1)]);
}

#[test]
fn times_are_exact_a_range_or_any() {
    let made = |times: Times, calls: usize| {
        let script = Script::new()
            .then(expect(C::LIFT).times(times))
            .then(expect(C::RESET));
        let plotter = Client::new(&script);
        (0..calls).for_each(|_| drop(plotter.lift(PenId(0)).map_err(|error| error.to_string())));
        let _ = plotter.reset();
        script.verify().is_ok()
    };
    let kept = |times: Times| {
        (0..5)
            .filter(|calls| made(times, *calls))
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(0.into()), [0]);
    assert_eq!(kept(2.into()), [2]);
    assert_eq!(kept((1..=3).into()), [1, 2, 3]);
    assert_eq!(kept((..=1).into()), [0, 1]);
    assert_eq!(kept((3..).into()), [3, 4]);
    assert_eq!(kept((..).into()), [0, 1, 2, 3, 4]);
}

#[test]
fn optional_steps_are_passed_over() {
    let script = Script::new()
        .then(expect(C::LIFT).times(..=1))
        .then(expect(C::ADD).times(..))
        .then(expect(C::RESET));
    Client::new(&script).reset().unwrap();
    script.verify().unwrap();
}

#[test]
fn arguments_are_matched_by_their_types() {
    static PAGE: SharedPage = SharedPage::new();
    static OTHER: SharedPage = SharedPage::new();
    let mut sent = ticket(b"demo\0\0\0\0");
    sent.area[1] = Area {
        width: 3,
        height: 4,
    };
    sent.colour = Colour::RED;
    let script = Script::new()
        .then(
            expect(C::MOVE_TO)
                .arg("pen", PenId(1))
                .block("to", &point(5, -6)),
        )
        .then(expect(C::MOVE_TO).field("x", 5_u32).field("to.y", -6_i32))
        .then(
            expect(C::ENQUEUE)
                .yields::<Ticket, u32>(7)
                .text("name", "demo")
                .field("colour", Colour::RED)
                .field("area[1].height", 4_u32)
                .field(
                    "area[1]",
                    Area {
                        width: 3,
                        height: 4,
                    },
                ),
        )
        .then(
            expect(C::DRAW)
                .field("colour", Colour::RED)
                .array("points", &[point(1, 2), point(3, 4)]),
        )
        .then(
            expect(C::DRAW)
                .field("count", 2_u16)
                .field("points[1].x", 3_u32),
        )
        .then(expect(C::SHARE).arg("pen", PenId(1)).shared("page", &PAGE))
        .then(expect(C::SHARE).shared("page", Gpa(0x1000)))
        .then(expect(C::PAPER).arg("pen", PenId(7)))
        .then(expect(C::FIRMWARE).bytes("bytes", &[1, 2, 3]))
        .then(expect(C::ADD).matching("the sum is even", |[left, right]| {
            (left.value() + right.value()) % 2 == 0
        }));
    let plotter = Client::new(&script);
    plotter.move_to(PenId(1), &point(5, -6)).unwrap();
    plotter.move_to(PenId(9), &point(5, -6)).unwrap();
    plotter.enqueue(&mut sent).unwrap();
    plotter
        .draw(Colour::RED, &[point(1, 2), point(3, 4)])
        .unwrap();
    plotter
        .draw(Colour::BLACK, &[point(1, 2), point(3, 4)])
        .unwrap();
    plotter.share(PenId(1), (&PAGE).into()).unwrap();
    plotter.share(PenId(1), Gpa(0x1000).into()).unwrap();
    plotter.paper(PenId(7)).unwrap();
    plotter.firmware(0, &mut [1, 2, 3]).unwrap();
    plotter.add(3, 5).unwrap();
    script.verify().unwrap();
    let script = Script::new().then(expect(C::SHARE).shared("page", &PAGE));
    assert!(refused(
        Client::new(&script).share(PenId(1), (&OTHER).into())
    ));
}

#[test]
fn answers_are_rax_memory_or_a_failure() {
    let script = Script::new()
        .then(expect(C::LIFT).rax(-2))
        .then(expect(C::LIFT).fails(TransportError::Lost("test")))
        .then(expect(C::POSITION).writes(&point(1, 2)))
        .then(expect(C::MIRROR).writes_field("y", 7_i32))
        .then(
            expect(C::ENQUEUE)
                .yields::<Ticket, u32>(42)
                .writes_field("area[0].width", 8_u32),
        )
        .then(expect(C::ENQUEUE).writes_field("id", u32::MAX))
        .then(expect(C::FIRMWARE).writes_bytes(&[7, 8]))
        .then(expect(C::TRANSPOSE).writes_array(&[point(1, 1), point(2, 2)]))
        .then(expect(C::TRANSPOSE).writes_field("points[1].x", 9_u32))
        .then(
            expect(C::ADD)
                .times(2)
                .answers(|[left, right]| Ok(i64::try_from(left.value() * right.value()).unwrap())),
        );
    let plotter = Client::new(&script);
    assert_eq!(plotter.lift(PenId(1)).unwrap_err().code(), Some(-2));
    assert!(plotter.lift(PenId(1)).unwrap_err().may_have_run());
    assert_eq!(plotter.position(PenId(1)), Ok(point(1, 2)));
    let mut changed = point(3, 4);
    plotter.mirror(&mut changed).unwrap();
    assert_eq!(changed, point(3, 7));
    let mut sent = ticket(b"demo\0\0\0\0");
    assert_eq!(plotter.enqueue(&mut sent), Ok(42));
    assert_eq!((sent.name, sent.area[0].width), (*b"demo\0\0\0\0", 8));
    assert!(matches!(
        plotter.enqueue(&mut sent).unwrap_err().kind,
        ErrorKind::Rejected(_)
    ));
    let mut bytes = [1, 2, 3];
    plotter.firmware(0, &mut bytes).unwrap();
    assert_eq!(bytes, [7, 8, 3]);
    let mut points = [point(0, 0); 2];
    plotter.transpose(Colour::RED, &mut points).unwrap();
    assert_eq!(points, [point(1, 1), point(2, 2)]);
    plotter.transpose(Colour::RED, &mut points).unwrap();
    assert_eq!(points[1], point(9, 2));
    assert_eq!((plotter.add(2, 3), plotter.add(4, 5)), (Ok(6), Ok(20)));
    script.verify().unwrap();
}

#[test]
fn a_mismatch_names_the_fields_that_differ_nearest_first() {
    let script = Script::new()
        .any_order([
            expect(C::RESET),
            expect(C::MOVE_TO)
                .arg("pen", PenId(2))
                .block("to", &point(50, 6))
                .times(1..=2),
            expect(C::MOVE_TO)
                .arg("pen", PenId(1))
                .block("to", &point(5, 7)),
        ])
        .then(expect(C::MOVE_TO).field("x", 5_u32));
    assert!(refused(
        Client::new(&script).move_to(PenId(1), &point(5, 6))
    ));
    assert_eq!(
        report(&script).mismatch.unwrap().to_string(),
        "call 1 was not expected: move_to(pen=PenId(1), x=5 mm, y=6)\n\
         expected next:\n  \
           step 1: move_to(pen=PenId(1), to={x=5 mm, y=7})\n      \
               to.y: expected 7, got 6\n  \
           step 1: move_to(pen=PenId(2), to={x=0x32 mm, y=6}), 1 to 2 times\n      \
               pen: expected PenId(2), got PenId(1)\n      \
               to.x: expected 0x32 mm, got 5 mm\n  \
           step 1: reset(…)\n      \
               is another call\n\
         elsewhere in the script:\n  \
           step 2: move_to(x=5 mm)\n      \
               not yet: step 1 is not done"
    );
}

#[test]
fn a_call_too_many_is_told_from_a_wrong_one() {
    let script = Script::new().then(expect(C::LIFT).times(2));
    let plotter = Client::new(&script);
    plotter.lift(PenId(1)).unwrap();
    plotter.lift(PenId(1)).unwrap();
    assert!(refused(plotter.lift(PenId(1))));
    let mismatch = report(&script).mismatch.unwrap();
    assert_eq!((mismatch.number, mismatch.next.len()), (3, 0));
    assert_eq!(mismatch.elsewhere[0].why, [Why::Done(2)]);
}

#[test]
fn differences_of_every_shape_are_readable() {
    static PAGE: SharedPage = SharedPage::new();
    let difference = |expectation, call: &dyn Fn(&Client<&Script>)| {
        let script = Script::new().then(expectation);
        call(&Client::new(&script));
        let mismatch = report(&script).mismatch.unwrap();
        mismatch.next[0]
            .why
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let mut sent = ticket(b"other\0\0\0");
    sent.area[1].width = 3;
    sent.pin = plotter::Pin(1234);
    assert_eq!(
        difference(
            expect(C::ENQUEUE).block("ticket", &ticket(b"demo\0\0\0\0")),
            &|plotter| {
                let _ = plotter.enqueue(&mut sent.clone());
            }
        ),
        [
            "ticket.name: expected \"demo\", got \"other\"",
            "ticket.pin: expected <secret>, got <secret>",
            "ticket.area[1].width: expected 0, got 3",
        ]
    );
    assert_eq!(
        difference(
            expect(C::DRAW).array("points", &[point(1, 1); 2]),
            &|plotter| {
                let _ = plotter.draw(Colour::RED, &[point(1, 1); 3]);
            }
        ),
        ["points: expected 2 elements, got 3 elements"]
    );
    assert_eq!(
        difference(expect(C::DRAW).field("points[2].x", 1_u32), &|plotter| {
            let _ = plotter.draw(Colour::RED, &[point(1, 1); 2]);
        }),
        ["points[2].x: expected 1 mm, got nothing: its memory ends before"]
    );
    assert_eq!(
        difference(
            expect(C::DRAW).array("points", &[point(1, 1); 9]),
            &|plotter| {
                let _ = plotter.draw(Colour::RED, &[point(1, 2); 9]);
            }
        )
        .last()
        .unwrap(),
        "points[…]: expected …, got 5 more elements that differ"
    );
    assert_eq!(
        difference(expect(C::FIRMWARE).bytes("bytes", &[0; 100]), &|plotter| {
            let mut bytes = [0; 100];
            bytes[70] = 0x1f;
            let _ = plotter.firmware(0, &mut bytes);
        }),
        ["bytes[70]: expected 0, got 0x1f"]
    );
    assert_eq!(
        difference(expect(C::SHARE).shared("page", Gpa(0x1000)), &|plotter| {
            let _ = plotter.share(PenId(1), Gpa(0x2000).into());
        }),
        ["page: expected Gpa(0x1000), got Gpa(0x2000)"]
    );
    let pages = difference(expect(C::SHARE).shared("page", &PAGE), &|plotter| {
        let _ = plotter.share(PenId(1), Gpa(0x2000).into());
    });
    assert!(
        pages[0].starts_with("page: expected <page> at 0x"),
        "{pages:?}"
    );
    assert_eq!(
        difference(expect(C::PAPER).arg("pen", PenId(7)), &|plotter| {
            let _ = plotter.paper(PenId(8));
        }),
        ["pen: expected PenId(7), got PenId(8)"]
    );
    assert_eq!(
        difference(
            expect(C::ADD).matching("the sum is even", |_| false),
            &|plotter| {
                let _ = plotter.add(1, 2);
            }
        ),
        ["the sum is even: expected yes, got no"]
    );
}

#[test]
fn what_a_call_cannot_meet_is_reported_and_not_answered() {
    let (least, most) = (3, 2);
    let script = Script::new().then(expect(C::RESET)).any_order([
        expect(C::LIFT).arg("pn", PenId(1)),
        expect(C::RESET).arg("pen", PenId(1)),
        expect(C::MOVE_TO).field("z", 1_u32),
        expect(C::MOVE_TO).field("x", 1_u64),
        expect(C::MOVE_TO).field("pen", PenId(1)),
        expect(C::LINE).field("x", 1_u32),
        expect(C::RESET).field("x", 1_u32),
        expect(C::DRAW)
            .array("points", &[point(0, 0)])
            .field("points[x]", 1_u32),
        expect(C::ENQUEUE).field("area[2].width", 1_u32),
        expect(C::ENQUEUE).text("name", "much too long"),
        expect(C::MIRROR).writes_field("z", 1_u32),
        expect(C::LIFT).shared("page", Gpa(0)),
        expect(C::LIFT).times(least..=most),
    ]);
    assert!(
        refused(Client::new(&script).reset()),
        "also where its own expectation is right"
    );
    let report = report(&script);
    let wrong: Vec<_> = report
        .wrong
        .iter()
        .map(|wrong| (wrong.step, wrong.why.as_str()))
        .collect();
    assert_eq!(
        wrong,
        [
            (
                2,
                "no argument `pn` in a register, but pen; use `field` for memory"
            ),
            (
                2,
                "no argument `pen` in a register, nor any other; use `field` for memory"
            ),
            (2, "there is no `z` in its memory; it has to, x, y"),
            (
                2,
                "`x` has 4 bytes, what it is compared with or set to has 8"
            ),
            (2, "there is no `pen` in its memory; it has to, x, y"),
            (2, "`x` is a field of both blocks: name the block first"),
            (2, "there is no `x` in its memory, of which it has none"),
            (2, "there is no `points[x]`"),
            (2, "there is no `area[2].width`"),
            (
                2,
                "`name` has 8 bytes, what it is compared with or set to has 13"
            ),
            (2, "there is no `z` in its memory; it has point, x, y"),
            (2, "no argument `page` that is shared memory"),
            (2, "3 to 2 times is never"),
        ]
    );
    assert!(report.mismatch.is_none());
    assert!(format!("{report:?}").contains("step 2 is wrong: lift: no argument `pn`"));
    let script = Script::new().then(expect(C::LINE).field("to.x", 2_u32).field("from.x", 1_u32));
    Client::new(&script)
        .line(&point(1, 0), &point(2, 0))
        .unwrap();
    script.verify().unwrap();
}

#[test]
fn an_answer_that_does_not_fit_is_told() {
    let why = |expectation, call: &dyn Fn(&Client<&Script>)| {
        let script = Script::new().then(expectation);
        call(&Client::new(&script));
        assert!(refused(Client::new(&script).reset()));
        let report = report(&script);
        assert_eq!(report.refused, 1);
        report.mismatch.unwrap().to_string()
    };
    assert_eq!(
        why(expect(C::FIRMWARE).writes_bytes(&[0; 9]), &|plotter| {
            assert!(refused(plotter.firmware(3, &mut [0; 4])));
        }),
        "call 1 could not be answered: firmware(offset=3, bytes=<00000000>)\n  \
         the answer writes 9 bytes, the call's memory has 4"
    );
    let lift = |expectation| {
        why(expectation, &|plotter| {
            assert!(refused(plotter.lift(PenId(1))))
        })
    };
    assert!(lift(expect(C::LIFT).writes(&point(1, 1))).ends_with("the call writes no memory"));
    let moved = why(expect(C::MOVE_TO).writes_field("x", 1_u32), &|plotter| {
        assert!(refused(plotter.move_to(PenId(1), &point(1, 1))));
    });
    assert!(
        moved.ends_with("`x` is not in the memory that the call writes"),
        "{moved}"
    );
}

#[test]
fn an_expectation_that_is_not_met_is_listed() {
    let script = Script::new()
        .then(expect(C::LIFT).arg("pen", PenId(1)).times(2..))
        .then(expect(C::RESET).times(..));
    Client::new(&script).lift(PenId(1)).unwrap();
    assert_eq!(
        report(&script).to_string(),
        "the script was not kept to\nnot met:\n  step 1: lift(pen=PenId(1)), at least 2 times: expected at least 2 times, came once"
    );
}

#[test]
fn the_first_of_several_that_match_takes_the_call() {
    let script = Script::new().any_order([
        expect(C::ADD).arg("left", 1_u32).rax(10),
        expect(C::ADD).times(..).rax(20),
    ]);
    let plotter = Client::new(&script);
    assert_eq!(
        [(1, 0), (1, 0), (2, 0)].map(|(left, right)| plotter.add(left, right).unwrap()),
        [10, 20, 20]
    );
    script.verify().unwrap();
}

#[test]
fn threads_share_a_script_and_no_call_is_lost() {
    let script =
        Script::new().any_order((0..4).map(|pen| expect(C::LIFT).arg("pen", PenId(pen)).times(50)));
    std::thread::scope(|scope| {
        for pen in 0..4 {
            let plotter = Client::new(&script);
            scope.spawn(move || (0..50).for_each(|_| plotter.lift(PenId(pen)).unwrap()));
        }
    });
    script.verify().unwrap();
}

#[test]
fn an_answer_may_make_calls_itself() {
    let script = std::sync::Arc::new_cyclic(|script: &std::sync::Weak<Script>| {
        let script = script.clone();
        Script::new()
            .then(expect(C::RESET).answers(move |_| {
                Client::new(&*script.upgrade().unwrap())
                    .lift(PenId(1))
                    .unwrap();
                Ok(0)
            }))
            .then(expect(C::LIFT))
    });
    Client::new(&*script).reset().unwrap();
    script.verify().unwrap();
}
