use hypercall_core::call::CallInfo;
use hypercall_core::layer::fault::{
    Answer, Calls, Effect, Fault, Form, Name, Pattern, Plan, PlanError, Problem, When,
};
use proptest::prelude::*;

use crate::plotter::PlotterCalls;

fn parse(text: &str) -> Result<Plan<4>, PlanError> {
    Plan::parse(text, PlotterCalls::INTERFACE)
}

fn one(text: &str) -> Fault {
    *parse(text).unwrap().faults().next().unwrap()
}

#[test]
fn every_form_means_what_the_page_says() {
    assert_eq!(
        one("lift: instead=ENOENT @ 2"),
        Fault {
            calls: Calls::One(PlotterCalls::LIFT),
            effect: Effect::Answer(Form::Instead, Answer::Rax(-2)),
            when: When::once(2).unwrap(),
        }
    );
    let number = one("0x11: after=-1 @ 3..");
    assert_eq!(number.calls, Calls::Number(0x11));
    assert_eq!(number.calls, one("17: after=-1").calls);
    assert_eq!(number.effect, Effect::Answer(Form::After, Answer::Rax(-1)));
    assert_eq!(one("*: delay=5ms").calls, Calls::All);
    let effects = [
        ("delay=3us", Effect::Delay(3)),
        ("delay=5ms", Effect::Delay(5_000)),
        ("delay=2s", Effect::Delay(2_000_000)),
        ("instead=lost", Effect::Answer(Form::Instead, Answer::Lost)),
        ("after=crash", Effect::Answer(Form::After, Answer::Crash)),
        ("instead=hang", Effect::Answer(Form::Instead, Answer::Hang)),
        (
            "instead=0xffffffffffffffff",
            Effect::Answer(Form::Instead, Answer::Rax(-1)),
        ),
        (
            "instead=-9223372036854775808",
            Effect::Answer(Form::Instead, Answer::Rax(i64::MIN)),
        ),
        ("after=E2BIG", Effect::Answer(Form::After, Answer::Rax(-7))),
        ("flip=3", Effect::Flip(3, Pattern::BYTE)),
        ("flip=0x3.7", Effect::Flip(3, Pattern::bit(7))),
        ("flip=y.9", Effect::Flip(5, Pattern::bit(1))),
        (
            "xor=y^00fF",
            Effect::Flip(4, Pattern::new(&[0, 0xff]).unwrap()),
        ),
    ];
    for (text, effect) in effects {
        assert_eq!(one(&format!("mirror:{text}")).effect, effect, "{text}");
    }
    let whens = [
        ("", When::ALWAYS),
        ("@1..", When::ALWAYS),
        ("@+1", When::ALWAYS),
        ("@3", When::once(3).unwrap()),
        ("@3..3+9", When::once(3).unwrap()),
        ("@3..", When::starting(3).unwrap()),
        ("@3..7", When::new(3, Some(7), 1).unwrap()),
        ("@3..7+2", When::new(3, Some(7), 2).unwrap()),
        ("@3..+2", When::new(3, None, 2).unwrap()),
        ("@3+2", When::new(3, None, 2).unwrap()),
        ("@+2", When::every(2).unwrap()),
    ];
    for (text, when) in whens {
        assert_eq!(one(&format!("lift:delay=1s{text}")).when, when, "{text}");
    }
}

#[test]
fn spaces_lines_and_comments_do_not_count() {
    let spread = "# a plan\n;; lift :\tinstead = ENOENT  @  2 # why\r\n\n  add:delay=1ms;#\n mirror: xor = x ^ 01;";
    let tight = "lift:instead=ENOENT@2;add:delay=1ms;mirror:xor=0^01";
    assert_eq!(parse(spread), parse(tight));
    assert_eq!(parse(spread).unwrap().faults().count(), 3);
    for nothing in ["", "  ", ";", "# nothing", "\n;#\n"] {
        assert_eq!(parse(nothing), Ok(Plan::new()));
    }
}

#[test]
fn plans_are_shown_in_their_shortest_form() {
    let shown = |text: &str| parse(text).unwrap().to_string();
    assert_eq!(
        shown("lift:instead=-2@2..2;17:after=-2@1..;*:delay=60000ms@10+10"),
        "lift: instead=ENOENT @ 2; 0x11: after=-2; *: delay=60s @ +10"
    );
    assert_eq!(
        shown("mirror:xor=y^08@3..7+2;mirror:xor=0^FF"),
        "mirror: flip=4.3 @ 3..7+2; mirror: flip=0"
    );
    assert_eq!(
        shown("lift:instead=-8;lift:after=-9;lift:after=-10"),
        "lift: instead=-8; lift: after=-9; lift: after=-10"
    );
}

#[test]
fn errors_say_where_and_what() {
    let room = Problem::TooMany(4);
    let unknown = |name: &str, nearest| Problem::UnknownCall {
        name: Name::new(name),
        nearest,
    };
    let cases = [
        ("x", 0, unknown("x", None)),
        ("lfit: delay=1s", 0, unknown("lfit", Some("lift"))),
        ("lift", 4, Problem::Expected("`:` and what happens")),
        (" 0x77: delay=1s", 1, Problem::UnknownNumber),
        (
            "lift: burn=1",
            6,
            Problem::Expected("`instead`, `after`, `delay`, `flip` or `xor`"),
        ),
        (
            "lift: =1",
            6,
            Problem::Expected("`instead`, `after`, `delay`, `flip` or `xor`"),
        ),
        ("lift: delay 1s", 12, Problem::Expected("`=`")),
        ("lift: delay=1", 13, Problem::Expected("`us`, `ms` or `s`")),
        (
            "lift: delay=s",
            12,
            Problem::Expected("a time such as `5ms`"),
        ),
        (
            "lift: delay=18446744073709551615ms",
            12,
            Problem::TooLarge(u64::MAX / 1000),
        ),
        (
            "lift: delay=18446744073709551616us",
            12,
            Problem::TooLarge(u64::MAX),
        ),
        (
            "lift: instead=",
            14,
            Problem::Expected("RAX, a code's name, `lost`, `crash` or `hang`"),
        ),
        ("lift: instead=ENOTHING", 14, Problem::UnknownCode),
        (
            "lift: instead=9223372036854775808",
            14,
            Problem::TooLarge(i64::MAX as u64),
        ),
        (
            "lift: delay=1s @",
            16,
            Problem::Expected("a count such as `3`, `3..`, `3..7`, `3..7+2` or `+2`"),
        ),
        ("lift: delay=1s @ 0", 17, Problem::Never),
        ("lift: delay=1s @ 4..3", 17, Problem::Never),
        ("lift: delay=1s @ 1+0", 17, Problem::Never),
        ("lift: delay=1s @ 1+", 19, Problem::Expected("a step")),
        (
            "lift: delay=1s 2",
            15,
            Problem::Expected("`@` and when, or the end of the fault"),
        ),
        (
            "lift: delay=1s @ 2 3",
            19,
            Problem::Expected("`@` and when, or the end of the fault"),
        ),
        ("lift: flip=0.0", 11, Problem::NoOutput),
        ("lift: flip=x.0", 11, Problem::NoOutput),
        ("*: flip=x.0", 8, Problem::UnknownField),
        ("0x19: flip=x.0", 11, Problem::UnknownField),
        ("transpose: flip=x.0", 16, Problem::UnknownField),
        ("mirror: flip=z", 13, Problem::UnknownField),
        ("mirror: flip=8", 13, Problem::BeyondOutput(8)),
        ("mirror: flip=0.8", 15, Problem::TooLarge(7)),
        ("mirror: flip=y.32", 15, Problem::TooLarge(31)),
        ("mirror: flip=y.", 15, Problem::Expected("a bit's number")),
        (
            "mirror: flip=",
            13,
            Problem::Expected("the number of a byte, or a field's name"),
        ),
        ("mirror: xor=y", 13, Problem::Expected("`^` and bytes")),
        (
            "mirror: xor=y^",
            14,
            Problem::Expected("bytes as pairs of hexadecimal digits"),
        ),
        (
            "mirror: xor=y^123",
            17,
            Problem::Expected("another hexadecimal digit"),
        ),
        ("mirror: xor=y^0000", 14, Problem::BadPattern),
        ("*: xor=0^112233445566778899", 9, Problem::BadPattern),
        ("mirror: xor=y^1122334455", 12, Problem::BeyondOutput(8)),
        (
            "reset:delay=1s;reset:delay=1s;reset:delay=1s;reset:delay=1s;reset:delay=1s",
            60,
            room,
        ),
        ("ßtart", 0, unknown("ßtart", None)),
        ("…", 0, Problem::Expected("a call's name or number, or `*`")),
    ];
    for (text, offset, problem) in cases {
        let line = 1;
        let error = PlanError {
            offset,
            line,
            problem,
        };
        assert_eq!(parse(text), Err(error), "{text}");
    }
}

#[test]
fn an_error_can_be_shown_in_its_text() {
    let text = "lift: delay=1s\nadd: ünstead=lost @ 3\nreset: delay=1s";
    let error = parse(text).unwrap_err();
    assert_eq!(
        error.in_text(text).to_string(),
        "expected `instead`, `after`, `delay`, `flip` or `xor`\n  add: ünstead=lost @ 3\n       ^"
    );
    assert_eq!(
        error.to_string(),
        "line 2, byte 20: expected `instead`, `after`, `delay`, `flip` or `xor`"
    );
    // A name that nothing has: which, where, and what may have been meant.
    let text = "lift: delay=1s\n\n  mirorr: delay=1s";
    assert_eq!(
        parse(text).unwrap_err().to_string(),
        "line 3, byte 18: the interface has no call of the name mirorr; mirror comes nearest"
    );
    let long = "lift".repeat(1000);
    let told = parse(&long).unwrap_err().to_string();
    assert!(told.ends_with("liftlift…"), "{told}");
}

fn calls() -> impl Strategy<Value = Calls> {
    let known = prop::sample::select(PlotterCalls::INTERFACE.calls);
    prop_oneof![
        Just(Calls::All),
        known
            .clone()
            .prop_map(|call: &'static CallInfo| Calls::Number(call.number)),
        known.prop_map(Calls::One),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        any::<i64>().prop_map(Answer::Rax),
        (-12_i64..3).prop_map(Answer::Rax),
        Just(Answer::Lost),
        Just(Answer::Crash),
        Just(Answer::Hang),
    ]
}

/// A fault that the parser accepts: a flip is inside the output of calls that have one.
fn fault() -> impl Strategy<Value = Fault> {
    let form =
        prop::bool::ANY.prop_map(|instead| if instead { Form::Instead } else { Form::After });
    let answers = (calls(), form, answer())
        .prop_map(|(calls, form, answer)| (calls, Effect::Answer(form, answer)));
    let delay = prop_oneof![any::<u64>(), (0..2_000_u64).prop_map(|time| time * 1_000)];
    let delays = (calls(), delay).prop_map(|(calls, time)| (calls, Effect::Delay(time)));
    let writers = prop::sample::select(vec![
        Calls::All,
        Calls::Number(0x19),
        Calls::One(PlotterCalls::MIRROR),
        Calls::One(PlotterCalls::TRANSPOSE),
    ]);
    let pattern = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..=4),
        (0_u32..8).prop_map(|bit| vec![1 << bit]),
        Just(vec![0xff]),
    ]
    .prop_filter_map("changes nothing", |bytes| Pattern::new(&bytes));
    let flips = (writers, 0_usize..=4, pattern)
        .prop_map(|(calls, place, pattern)| (calls, Effect::Flip(place, pattern)));
    let small = || 0_u64..9;
    let when = prop_oneof![
        (small(), prop::option::of(small()), small()),
        (any::<u64>(), prop::option::of(any::<u64>()), any::<u64>()),
    ]
    .prop_map(|(first, last, step)| When::new(first, last, step).unwrap_or(When::ALWAYS));
    (prop_oneof![answers, delays, flips], when).prop_map(|((calls, effect), when)| Fault {
        calls,
        effect,
        when,
    })
}

/// Text that is nearly a plan.
fn soup() -> impl Strategy<Value = String> {
    let tokens = prop::sample::select(vec![
        "lift",
        "mirror",
        "*",
        "0x19",
        "25",
        ":",
        ":",
        "=",
        "=",
        "instead",
        "after",
        "delay",
        "flip",
        "xor",
        "lost",
        "ENOENT",
        "-",
        "5ms",
        "us",
        "x",
        ".",
        "..",
        "+",
        "@",
        "^",
        "ff",
        "0",
        "7",
        "99999999999999999999",
        ";",
        "\n",
        "#",
        " ",
        "é",
        "\u{3000}",
    ]);
    prop::collection::vec(tokens, 0..14).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn a_plan_reads_back_as_itself(faults in prop::collection::vec(fault(), 0..=4)) {
        let mut plan = Plan::<4>::new();
        for fault in faults {
            plan.push(fault).unwrap();
        }
        let text = plan.to_string();
        prop_assert_eq!(parse(&text), Ok(plan), "{}", text);
    }

    #[test]
    fn any_text_is_a_plan_or_an_error(text in prop_oneof!["\\PC*", "(?s).*", soup()]) {
        match parse(&text) {
            Ok(plan) => prop_assert_eq!(parse(&plan.to_string()), Ok(plan)),
            Err(error) => {
                prop_assert!(text.is_char_boundary(error.offset), "{error}");
                let _ = error.in_text(&text).to_string();
            }
        }
    }

    #[test]
    fn any_error_can_be_shown_in_any_text(offset: usize, near in 0_usize..40, text in "(?s).{0,9}") {
        for offset in [offset, near] {
            let _ = PlanError { offset, line: 1, problem: Problem::Never }.in_text(&text).to_string();
        }
    }

    #[test]
    fn when_is_what_counting_says(first in 1_u64..20, last in prop::option::of(0_u64..40), step in 1_u64..9) {
        if let Some(when) = When::new(first, last, step) {
            let struck: Vec<_> = (first..=last.unwrap_or(60)).step_by(usize::try_from(step).unwrap()).collect();
            for count in 0..=60 {
                prop_assert_eq!(when.contains(count), struck.contains(&count));
            }
        } else {
            prop_assert!(last.is_some_and(|last| last < first));
        }
    }
}
