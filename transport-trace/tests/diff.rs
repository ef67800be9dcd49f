//! Two traces compared.

mod replay_support;

use std::sync::Arc;

use hypercall_core::Gpa;
use hypercall_core::acrn::*;
use hypercall_trace::clock::ClockInfo;
use hypercall_trace::diff::{Diff, Difference, Options, diff, diff_traces};
use hypercall_trace::entry::{
    Argument, Call, Entry, LossCause, Lost, Outcome, PageChange, Run, When,
};
use hypercall_trace::read::Trace;
use hypercall_trace::replay::{Reason, Recorded};
use hypercall_trace::write::{Options as WriteOptions, Writer};
use proptest::prelude::*;
use replay_support::*;

fn compare(left: &Recorded, right: &Recorded) -> Diff {
    diff(left, right, Options::default())
}

fn set(hypervisor: &impl Hypervisor, vm: VmId, line: u32) {
    hypervisor
        .set_irqline(vm, IrqLine::new(Gsi(line), IrqLineOp::HIGH))
        .unwrap();
}

/// A program that sets lines of a VM, after as many others were created.
fn lines(others: usize, lines: &[u32]) -> Recorded {
    let program = |world: &World| {
        let port = world.lane("main");
        let hypervisor = port.hypervisor();
        for other in 0..others {
            hypervisor
                .create_vm(&mut creation(&format!("other{other}")))
                .unwrap();
        }
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        lines.iter().for_each(|line| set(&hypervisor, vm, *line));
        hypervisor.pause_vm(vm).unwrap();
    };
    record(&program)
}

#[test]
fn two_runs_of_one_program_are_the_same() {
    for (name, program) in CORPUS {
        let (one, other) = (record(program), record(program));
        let told = compare(&one, &other);
        assert!(told.is_empty(), "{name}: {told}");
        let calls = one
            .entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Call(_)))
            .count();
        assert_eq!(told.same, calls as u64);
    }
}

#[test]
fn a_call_more_makes_only_itself_differ() {
    let told = compare(&lines(0, &[3, 4, 5, 6]), &lines(0, &[3, 4, 9, 5, 6]));
    let [Difference::OnlyRight { call, .. }] = told.differences.as_slice() else {
        panic!("{told}")
    };
    assert!(call.text.contains("line.gsi=Gsi(9)"), "{told}");
    assert_eq!((call.index, told.same), (3, 6));
    let told = compare(&lines(0, &[3, 4, 9, 5, 6]), &lines(0, &[3, 4, 5, 6]));
    assert!(
        matches!(told.differences.as_slice(), [Difference::OnlyLeft { .. }]),
        "{told}"
    );
    assert!(told.to_string().contains("- main#3  set_irqline"), "{told}");
}

#[test]
fn another_value_is_a_change_of_one_field() {
    let told = compare(&lines(0, &[3, 4, 5]), &lines(0, &[3, 7, 5]));
    let [
        Difference::Changed {
            left,
            right,
            differences,
            ..
        },
    ] = told.differences.as_slice()
    else {
        panic!("{told}")
    };
    assert_eq!((left.index, right.index), (2, 2));
    let [field] = differences.as_slice() else {
        panic!("{told}")
    };
    assert_eq!(
        (
            field.field.as_str(),
            field.expected.as_str(),
            field.found.as_str()
        ),
        ("line.gsi", "Gsi(4)", "Gsi(7)")
    );
    assert_eq!(field.reason, Reason::Value);
    let text = told.to_string();
    assert!(text.starts_with("~ main#2  set_irqline("), "{text}");
    assert!(text.ends_with("the same, 1 difference\n"), "{text}");
}

#[test]
fn names_that_the_hypervisor_gave_out_are_tied() {
    // The same VM has another id: only the creation of the others is left.
    let told = compare(&lines(0, &[3, 4, 5]), &lines(2, &[3, 4, 5]));
    assert_eq!(told.differences.len(), 2, "{told}");
    assert!(
        told.differences
            .iter()
            .all(|difference| matches!(difference, Difference::OnlyRight { .. })),
        "{told}"
    );
    assert_eq!(told.same, 5);
}

fn each_call(recorded: &mut Recorded, mut change: impl FnMut(&mut Call)) {
    for entry in &mut recorded.entries {
        if let Entry::Call(call) = entry {
            change(call);
        }
    }
}

#[test]
fn answers_are_compared() {
    let left = lines(0, &[3, 4]);
    let mut right = left.clone();
    each_call(&mut right, |call| {
        if call.index == 1 {
            call.outcome = Outcome::Returned(-22);
        }
    });
    let told = compare(&left, &right);
    let [Difference::Changed { differences, .. }] = told.differences.as_slice() else {
        panic!("{told}")
    };
    assert_eq!(
        (
            differences[0].field.as_str(),
            differences[0].expected.as_str()
        ),
        ("RAX", "0")
    );
    assert_eq!(differences[0].found, "-22 EINVAL");
    let mut right = left.clone();
    each_call(&mut right, |call| {
        if let Argument::Block(block) = &mut call.args[0]
            && let hypercall_trace::entry::After::Changed(bytes) = &mut block.after
        {
            bytes[4] = 7;
        }
    });
    let told = compare(&left, &right);
    let [Difference::Changed { differences, .. }] = told.differences.as_slice() else {
        panic!("{told}")
    };
    assert_eq!(
        (differences[0].field.as_str(), differences[0].found.as_str()),
        ("vcpu_num", "7")
    );
}

#[test]
fn addresses_times_and_lanes() {
    let left = record(&vm_life);
    let mut right = left.clone();
    each_call(&mut right, |call| {
        call.enter += 1_000_000;
        call.duration = call.duration.map(|duration| duration * 3);
        if call.name() == "set_memory_regions"
            && let Argument::Block(block) = &mut call.args[0]
            && let Some(hypercall_trace::entry::Link {
                target: hypercall_trace::entry::Target::Block(regions),
                ..
            }) = &mut block.link
        {
            // Memory of the Service VM, somewhere else.
            for region in regions.before.chunks_mut(32) {
                region[19] ^= 0x10;
            }
        }
    });
    assert!(compare(&left, &right).is_empty());
    right.lanes[0].name = "other".to_owned();
    let told = compare(&left, &right);
    assert!(
        matches!(
            told.differences.as_slice(),
            [
                Difference::LaneOnlyLeft { .. },
                Difference::LaneOnlyRight { .. }
            ]
        ),
        "{told}"
    );
}

#[test]
fn pages_are_compared_unless_told_otherwise() {
    let left = record(&vm_life);
    let mut right = left.clone();
    for entry in &mut right.entries {
        if let Entry::Pages(change) = entry
            && let Some(run) = change.runs.last_mut()
        {
            run.after[0] ^= 1;
        }
    }
    assert!(!compare(&left, &right).is_empty());
    assert!(
        diff(
            &left,
            &right,
            Options {
                without_pages: true
            }
        )
        .is_empty()
    );
}

#[test]
fn pages_behind_the_last_call_are_compared() {
    let noted = |byte| {
        let mut recorded = lines(0, &[3]);
        recorded.entries.push(Entry::Pages(PageChange {
            lane: 0,
            index: 3,
            ticks: u64::MAX,
            page: 1,
            when: When::Note,
            look: 1,
            late: false,
            runs: vec![Run {
                offset: 8,
                before: vec![0; 4],
                after: vec![byte, 0, 0, 0],
            }],
        }));
        recorded
    };
    assert!(compare(&noted(1), &noted(1)).is_empty());
    let told = compare(&noted(1), &noted(2));
    let [
        Difference::PagesBehind {
            lane, differences, ..
        },
    ] = told.differences.as_slice()
    else {
        panic!("{told}")
    };
    assert_eq!(lane, "main");
    let [word] = differences.as_slice() else {
        panic!("{told}")
    };
    assert_eq!((&*word.expected, &*word.found), ("0x1", "0x2"));
    // One that only one of them has is told as well, and none where pages are left out.
    assert_eq!(compare(&lines(0, &[3]), &noted(2)).differences.len(), 1);
    let without_pages = Options {
        without_pages: true,
    };
    assert!(diff(&noted(1), &noted(2), without_pages).is_empty());
    let traces = diff_traces(&trace(&noted(1)), &trace(&noted(2)), Options::default());
    assert_eq!(traces, told);
}

#[test]
fn losses_are_told() {
    let left = lines(0, &[3, 4, 5]);
    let mut right = left.clone();
    right.entries.remove(2);
    let lost = Lost {
        lane: 0,
        index: 2,
        count: 1,
        cause: LossCause::RingFull,
        first: 0,
        last: 0,
    };
    right.entries.insert(2, Entry::Lost(lost));
    let told = compare(&left, &right);
    assert!(
        told.differences.iter().any(|difference| matches!(
            difference,
            Difference::Missing {
                left: false,
                count: Some(1),
                ..
            }
        )),
        "{told}"
    );
}

fn trace(recorded: &Recorded) -> Trace {
    let mut writer = Writer::new(
        Vec::new(),
        &recorded.schema,
        ClockInfo::default(),
        WriteOptions::default(),
    )
    .unwrap();
    for lane in &recorded.lanes {
        writer.lane(&lane.name).unwrap();
    }
    for entry in &recorded.entries {
        writer.push(entry).unwrap();
    }
    Trace::from_bytes(writer.finish().unwrap()).unwrap()
}

/// Many calls with a few marked ones missing on either side, over many windows.
fn long(count: u32, without: impl Fn(u32) -> bool) -> Recorded {
    let mut recorded = lines(0, &[3]);
    let Some(Entry::Call(call)) = recorded.entries.get(1).cloned() else {
        unreachable!()
    };
    let kept = (0..count).filter(|line| !without(*line));
    let next = recorded.entries.len() as u64;
    for (index, line) in (next..).zip(kept) {
        let mut call = call.clone();
        call.index = index;
        call.args[1] = Argument::Value(u64::from(line));
        recorded.entries.push(Entry::Call(call));
    }
    recorded
}

/// What a window does not hold: all calls with another value, and many calls that only one trace has.
#[test]
fn windows_without_anything_in_common() {
    let left = long(3_000, |_| false);
    let mut right = left.clone();
    each_call(&mut right, |call| {
        if call.name() == "set_irqline"
            && let Argument::Value(value) = &mut call.args[1]
        {
            *value |= 1 << 40;
        }
    });
    let told = compare(&left, &right);
    assert_eq!(told.differences.len(), 3_001, "{told}");
    assert!(
        told.differences
            .iter()
            .all(|difference| matches!(difference, Difference::Changed { differences, .. } if differences.len() == 1))
    );

    // Two thousand calls in a row that only the first has.
    let right = long(5_000, |line| (1_000..3_000).contains(&line));
    let left = long(5_000, |_| false);
    let told = compare(&left, &right);
    assert_eq!(told.differences.len(), 2_000);
    assert!(told.differences.iter().all(|difference| matches!(difference, Difference::OnlyLeft { call, .. } if (1_003..3_003).contains(&call.index))));
    let told = compare(&right, &left);
    assert_eq!(told.differences.len(), 2_000);
    assert!(
        told.differences
            .iter()
            .all(|difference| matches!(difference, Difference::OnlyRight { .. }))
    );
}

/// A call that was moved is in both, at other places.
#[test]
fn a_moved_call_is_told_twice() {
    let left = lines(0, &[3, 4, 5, 6, 7]);
    let right = lines(0, &[4, 5, 6, 3, 7]);
    let told = compare(&left, &right);
    let text: Vec<String> = told.differences.iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 2, "{told}");
    assert!(
        text[0].starts_with("- main#1 ") && text[0].contains("gsi=Gsi(3)"),
        "{told}"
    );
    assert!(
        text[1].starts_with("+ main#4 ") && text[1].contains("gsi=Gsi(3)"),
        "{told}"
    );
    assert_eq!(told.same, 6);
}

#[test]
fn long_traces_are_aligned_window_by_window() {
    let left = long(5_000, |line| line % 700 == 13);
    let right = long(5_000, |line| {
        line % 900 == 400 || (2_000..2_100).contains(&line)
    });
    let told = compare(&left, &right);
    let (mut ours, mut theirs) = (0, 0);
    for difference in &told.differences {
        match difference {
            Difference::OnlyLeft { .. } => ours += 1,
            Difference::OnlyRight { .. } => theirs += 1,
            other => panic!("{other}"),
        }
    }
    let missing_left = (0..5_000).filter(|line| line % 700 == 13).count();
    let missing_right = (0..5_000)
        .filter(|line| line % 900 == 400 || (2_000..2_100).contains(line))
        .count();
    assert_eq!((ours, theirs), (missing_right, missing_left), "{told}");
    // From files it is the same.
    assert_eq!(
        diff_traces(&trace(&left), &trace(&right), Options::default()),
        told
    );
    // Traces that have nothing in common end as well.
    let other = long(3_000, |line| line < 1_500);
    let told = compare(&long(1_500, |_| false), &other);
    assert!(told.differences.len() >= 1_500 / 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A trace is the same as itself; what is taken out of it is what is told, and nothing else.
    #[test]
    fn what_was_taken_out_is_told(count in 1..400_u32, taken in prop::collection::btree_set(0..400_u32, 0..20)) {
        let all = long(count, |_| false);
        prop_assert!(compare(&all, &all).is_empty());
        let some = long(count, |line| taken.contains(&line));
        let told = compare(&all, &some);
        let expected = taken.iter().filter(|line| **line < count).count();
        prop_assert_eq!(told.differences.len(), expected);
        let left = told.differences.iter().all(|difference| matches!(difference, Difference::OnlyLeft { .. }));
        prop_assert!(left, "{}", told);
        // The other way round.
        prop_assert_eq!(compare(&some, &all).differences.len(), expected);
    }
}

#[test]
fn schemas_may_be_missing() {
    let mut left = record(&vm_life);
    each_call(&mut left, |call| call.schema = None);
    left.schema = Arc::default();
    assert!(compare(&left, &left).is_empty());
    let _ = Gpa(0);
}

/// A VM is the same VM in another run by how it came to be, whatever its id: so the calls about it stay aligned.
#[test]
fn calls_stay_aligned_although_the_ids_differ() {
    let told = compare(&lines(0, &[3, 4, 5]), &lines(1, &[9, 3, 4, 5]));
    let texts: Vec<String> = told.differences.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{told}");
    assert!(texts[0].contains("+ main#0  create_vm"), "{told}");
    assert!(texts[1].contains("line.gsi=Gsi(9)"), "{told}");
}
