//! Replay, drive, comparison, the canonical form and generated tests of a trace that was joined from several recordings: each of them is for
//! itself.

mod replay_support;

use hypercall_core::Gpa;
use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::acrn::*;
use hypercall_mock::fake::FakeAcrn;
use hypercall_mock::loopback::Loopback;
use hypercall_trace::canonical::canonical;
use hypercall_trace::check::check;
use hypercall_trace::clock::ClockInfo;
use hypercall_trace::diff::{Diff, Difference, Options as DiffOptions, diff, diff_traces};
use hypercall_trace::drive::Driver;
use hypercall_trace::entry::{Call, Entry};
use hypercall_trace::gen_test::{GenError, GenTest};
use hypercall_trace::read::{Lane, Trace};
use hypercall_trace::replay::{Recorded, ReplayError, Replayer};
use hypercall_trace::write::{Options, Writer};
use replay_support::*;

/// A VM that is not destroyed, after as many others were created before the recording began: its id says how many.
fn one_vm(others: usize, name: &str, vectors: &[u64]) -> Recorded {
    let program = |world: &World| {
        let port = world.lane("main");
        let hypervisor = port.hypervisor();
        for other in 0..others {
            let mut other = creation(&format!("other{other}"));
            hypervisor.create_vm(&mut other).unwrap();
        }
        let vm = hypervisor.create_vm(&mut creation(name)).unwrap();
        for vector in vectors {
            hypervisor.set_callback_vector(Vector(*vector)).unwrap();
        }
        hypervisor.pause_vm(vm).unwrap();
    };
    let mut recorded = record(&program);
    recorded.entries.drain(..others);
    for (index, entry) in (0..).zip(&mut recorded.entries) {
        let Entry::Call(call) = entry else { panic!() };
        call.index = index;
    }
    recorded
}

fn empty(like: &Recorded) -> Recorded {
    Recorded {
        entries: Vec::new(),
        ..like.clone()
    }
}

fn bytes(recorded: &Recorded) -> Vec<u8> {
    let clock = ClockInfo::with_frequency(1_000_000_000);
    let mut writer = Writer::new(Vec::new(), &recorded.schema, clock, Options::default()).unwrap();
    for lane in &recorded.lanes {
        writer.lane(&lane.name).unwrap();
    }
    for entry in &recorded.entries {
        writer.push(entry).unwrap();
    }
    writer.finish().unwrap()
}

/// One file of several.
fn joined(all: &[&Recorded]) -> Vec<u8> {
    let mut file = Vec::new();
    for recorded in all {
        let of = bytes(recorded);
        file.extend_from_slice(if file.is_empty() { &of } else { &of[32..] });
    }
    file
}

fn trace(all: &[&Recorded]) -> Trace {
    Trace::from_bytes(joined(all)).unwrap()
}

fn read(all: &[&Recorded]) -> Recorded {
    Recorded::read(&trace(all)).unwrap()
}

#[test]
fn recordings_without_entries_have_their_numbers_too() {
    let (one, two) = (one_vm(0, "one", &[]), one_vm(0, "two", &[0x41]));
    let nothing = empty(&one);
    let all = read(&[&nothing, &one, &nothing, &two, &nothing]);
    assert_eq!(
        (all.joined.as_slice(), all.recordings()),
        (&[0, 2, 2, 5][..], 5)
    );
    let of: Vec<_> = (0..5).map(|place| all.recording_of(place)).collect();
    assert_eq!(of, [1, 1, 3, 3, 3]);
    let (numbers, parts): (Vec<_>, Vec<_>) = all.into_recordings().unzip();
    assert_eq!(numbers, [1, 3]);
    for (part, whole) in parts.iter().zip([&one, &two]) {
        assert_eq!((&part.entries, &part.lanes), (&whole.entries, &whole.lanes));
        assert!(part.joined.is_empty());
    }
    // By hand, and not in order: nothing is in two of them.
    let odd = Recorded {
        joined: vec![3, 1, 9],
        ..two
    };
    let lengths: Vec<_> = odd
        .into_recordings()
        .map(|(number, part)| (number, part.entries.len()))
        .collect();
    assert_eq!(lengths, [(0, 3)]);
}

#[test]
fn a_replay_is_of_one_recording_that_is_chosen_where_there_are_several() {
    let life = record(&vm_life);
    let nothing = empty(&life);
    let file = joined(&[&life, &nothing, &life]);
    let options = Replayer::options;
    let whole = Recorded::read(&Trace::from_bytes(file.clone()).unwrap()).unwrap();
    for refused in [
        options().from_bytes(&file),
        options().recorded(whole.clone()),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, ReplayError::Joined { recordings: 3 }));
        assert_eq!(
            error.to_string(),
            "the trace was joined from 3 recordings, and a replay is of one of them: choose it with `Options::recording`, 0 to 2"
        );
    }
    for refused in [
        options().recording(3).from_bytes(&file),
        options().recording(3).recorded(whole.clone()),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(
            error,
            ReplayError::NoRecording {
                asked: 3,
                recordings: 3
            }
        ));
        assert_eq!(
            error.to_string(),
            "the trace has no recording 3: it has 3 recordings, counted from 0"
        );
    }
    for number in [0, 2] {
        let replayer = options().recording(number).from_bytes(&file).unwrap();
        assert_eq!(replayer.report().missing, []);
        let (again, report) = replay(&vm_life, &whole, options().recording(number));
        assert!(report.is_clean(), "{report}");
        assert_eq!(canonical(&again), canonical(&life));
    }
    let none = options().recording(1).from_bytes(&file).unwrap();
    assert_eq!(none.finish().unwrap().answered, 0);
    // There is nothing to choose from.
    let alone = options()
        .from_bytes(&joined(&[&nothing, &life, &nothing]))
        .unwrap();
    assert_eq!(alone.report().missing, []);
    let calls = life
        .entries
        .iter()
        .filter(|entry| matches!(entry, Entry::Call(_)));
    assert_eq!(alone.report().unused.len(), calls.count());
}

#[test]
fn what_is_wrong_with_another_recording_does_not_matter_to_a_replay() {
    let (one, two) = (one_vm(0, "one", &[0x41; 50]), one_vm(0, "two", &[]));
    let mut file = joined(&[&one, &two]);
    let whole = Trace::from_bytes(file.clone()).unwrap();
    let block = usize::try_from(whole.data().next().unwrap().offset).unwrap();
    let options = Replayer::options;
    // The block's header, and what it holds.
    for at in [block, block + 64] {
        file[at] ^= 1;
        assert!(matches!(
            options().recording(0).from_bytes(&file),
            Err(ReplayError::Damaged(_))
        ));
        let replayer = options().recording(1).from_bytes(&file).unwrap();
        assert_eq!(replayer.report().missing, []);
        file[at] ^= 1;
    }
    // Nor does it take memory.
    let memory = two.entries.iter().map(Entry::memory).sum();
    let chosen = |number| options().recording(number).memory(memory).replay(&whole);
    assert!(matches!(chosen(0), Err(ReplayError::TooLarge(_))));
    assert_eq!(chosen(1).unwrap().report().unused.len(), 2);
}

fn fake() -> Loopback<AcrnServer<FakeAcrn>, FakeAcrn> {
    let machine = FakeAcrn::new();
    Loopback::new(
        AcrnServer::new(machine.clone()),
        machine,
        Gpa(0x100_0000),
        0x4_0000,
    )
}

#[test]
fn names_of_one_recording_are_not_taken_for_those_of_the_next_one_that_is_driven() {
    let (one, two) = (one_vm(0, "one", &[]), one_vm(0, "two", &[]));
    let driver = Driver::new(HypervisorCalls::INTERFACE);
    // Both had the same id, and the second one gets another one here.
    let driven = driver.drive(&read(&[&one, &two]), &fake());
    assert!(driven.differences.is_empty(), "{driven}");
    assert_eq!((driven.made, driven.same), (4, 4));
    // Two of one name do not go into one machine.
    let twice = read(&[&one, &one]);
    assert_eq!(driver.drive(&twice, &fake()).differences.len(), 1);
    for (_, part) in twice.into_recordings() {
        let driven = driver.drive(&part, &fake());
        assert!(
            driven.is_complete() && driven.differences.is_empty(),
            "{driven}"
        );
    }
}

#[test]
fn pages_of_a_fake_that_is_gone_are_as_new_for_the_next() {
    let life = record(&vm_life);
    let driver = Driver::new(HypervisorCalls::INTERFACE).reuse_pages();
    let driven = driver.drive(&life, &fake());
    assert!(driven.differences.is_empty(), "{driven}");
    for _ in 0..2 {
        assert_eq!(driver.drive(&life, &fake()), driven);
    }
}

/// Compares them in memory and in their files, which is the same.
fn compare(left: &[&Recorded], right: &[&Recorded]) -> Diff {
    let options = DiffOptions::default();
    let in_memory = diff(&read(left), &read(right), options);
    let opened = diff_traces(&trace(left), &trace(right), options);
    assert_eq!(in_memory, opened);
    opened
}

fn lines(told: &Diff) -> Vec<String> {
    told.differences.iter().map(ToString::to_string).collect()
}

#[test]
fn recordings_are_compared_one_by_one_with_names_of_their_own() {
    let (one, other) = (one_vm(0, "one", &[]), one_vm(1, "one", &[]));
    let two = one_vm(0, "two", &[0x41, 0x42]);
    let nothing = empty(&one);
    let told = compare(&[&one, &nothing, &two], &[&other, &nothing, &two]);
    assert!(told.is_empty() && told.same == 6, "{told}");
    // The other way round it would be the second one that is taken for the first.
    let told = compare(&[&one, &two, &one], &[&one, &two, &other]);
    assert!(told.is_empty() && told.same == 8, "{told}");

    let changed = one_vm(0, "two", &[0x41, 0x43]);
    let told = compare(&[&one, &two], &[&one, &changed]);
    let [
        Difference::Changed {
            recording,
            lane,
            left,
            ..
        },
    ] = told.differences.as_slice()
    else {
        panic!("{told}")
    };
    assert_eq!(
        (*recording, lane.as_str(), left.index),
        (Some(1), "main", 2)
    );
    assert!(
        lines(&told)[0].starts_with("~ main#2 of recording 1  set_callback_vector("),
        "{told}"
    );
    let json = serde_json::to_value(&told.differences[0]).unwrap();
    assert_eq!(json["recording"], 1);

    let shorter = one_vm(0, "two", &[0x41]);
    let told = compare(&[&shorter, &one], &[&two, &one]);
    assert!(
        lines(&told)[0].starts_with("+ main#2 of recording 0  set_callback_vector("),
        "{told}"
    );
    assert_eq!(told.same, 5);

    // Of traces of one recording none is named.
    let told = compare(&[&two], &[&changed]);
    assert!(
        lines(&told)[0].starts_with("~ main#2  set_callback_vector("),
        "{told}"
    );
    let json = serde_json::to_value(&told.differences[0]).unwrap();
    assert_eq!(json.get("recording"), None);
}

#[test]
fn a_lane_of_one_recording_is_told_of_that_one() {
    let one = one_vm(0, "one", &[]);
    let mut more = one.clone();
    more.lanes.push(Lane {
        id: 1,
        name: "vcpu0".to_owned(),
    });
    let mut call = one.entries[0].clone();
    if let Entry::Call(call) = &mut call {
        call.lane = 1;
    }
    more.entries.push(call);
    let told = compare(&[&one, &more, &one], &[&one, &one, &one]);
    assert_eq!(
        lines(&told),
        ["- lane vcpu0 of recording 1 is in the first trace only"]
    );
    let told = compare(&[&one, &one], &[&one, &more]);
    assert_eq!(
        lines(&told),
        ["+ lane vcpu0 of recording 1 is in the second trace only"]
    );
    // It is in both, and of different recordings.
    let told = compare(&[&more, &one], &[&one, &more]);
    let [first, second] = lines(&told).try_into().unwrap();
    assert!(
        first.starts_with("- vcpu0#0 of recording 0  create_vm("),
        "{first}"
    );
    assert!(
        second.starts_with("+ vcpu0#0 of recording 1  create_vm("),
        "{second}"
    );
}

#[test]
fn recordings_that_only_one_trace_has_are_a_difference() {
    let one = one_vm(0, "one", &[]);
    let nothing = empty(&one);
    let told = compare(&[&one], &[&one, &one]);
    assert_eq!(
        told.differences,
        [Difference::RecordingsOnlyRight { first: 1, last: 1 }]
    );
    assert_eq!(lines(&told), ["+ recording 1 is in the second trace only"]);
    assert_eq!(told.same, 2);
    let told = compare(&[&one, &one, &nothing], &[&one]);
    assert_eq!(
        lines(&told),
        ["- recordings 1 to 2 are in the first trace only"]
    );
}

/// What is read lane by lane and recording by recording is what is read at once, also of a damaged file.
#[test]
fn a_damaged_joined_file_is_compared_in_memory_as_in_the_file() {
    let one = one_vm(0, "one", &[0x41]);
    let nothing = empty(&one);
    let mut more = one.clone();
    more.lanes.push(Lane {
        id: 1,
        name: "vcpu0".to_owned(),
    });
    more.entries
        .extend(one.entries.iter().cloned().map(|entry| match entry {
            Entry::Call(call) => Entry::Call(Call { lane: 1, ..call }),
            other => other,
        }));
    let all = [&one, &more, &nothing, &more];
    let (whole, file) = (read(&all), joined(&all));
    let opened = trace(&all);
    for at in (32..file.len()).step_by(37) {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        // Some say nothing any more.
        let Ok(damaged) = Trace::from_bytes(damaged) else {
            continue;
        };
        let options = DiffOptions::default();
        let in_memory = diff(&Recorded::read(&damaged).unwrap(), &whole, options);
        let in_files = diff_traces(&damaged, &opened, options);
        assert_eq!(lines(&in_memory), lines(&in_files), "at {at}");
        assert_eq!(in_memory.same, in_files.same, "at {at}");
    }
}

#[test]
fn the_canonical_form_keeps_recordings_apart() {
    let (one, other) = (one_vm(0, "one", &[]), one_vm(1, "one", &[]));
    let nothing = empty(&one);
    let life = record(&vm_life);
    let all = read(&[&nothing, &one, &life, &nothing, &one]);
    let form = canonical(&all);
    assert_eq!(form.joined, all.joined);
    assert_eq!(check(&form).len(), check(&all).len());
    assert_eq!(
        form,
        canonical(&read(&[&nothing, &other, &life, &nothing, &other]))
    );
    assert_eq!(form, canonical(&form));
    // Each is as it would be alone.
    for ((_, part), alone) in form.into_recordings().zip([&one, &life, &one]) {
        assert!(part.entries == canonical(alone).entries);
    }
}

#[test]
fn a_test_is_made_of_one_recording() {
    let (one, two) = (one_vm(0, "one", &[]), one_vm(1, "two", &[0x41]));
    let all = read(&[&one, &two]);
    let maker = || GenTest::new("test", "test.hct");
    let refused = maker().generate(&all).unwrap_err();
    assert!(matches!(refused, GenError::Joined { recordings: 2 }));
    assert!(
        refused
            .to_string()
            .ends_with("choose it with `GenTest::recording`, 0 to 1")
    );
    let refused = maker().recording(2).generate(&all).unwrap_err();
    assert!(matches!(
        refused,
        GenError::NoRecording {
            asked: 2,
            recordings: 2
        }
    ));
    for (number, alone) in [(0, &one), (1, &two)] {
        let made = maker().recording(number).generate(&all).unwrap();
        let expected = maker().generate(alone).unwrap();
        assert_eq!(made, expected);
        let replayer = Replayer::options().from_bytes(&made.trace).unwrap();
        assert_eq!(replayer.report().unused.len(), made.calls);
    }
    let nothing = empty(&one);
    let alone = maker().generate(&read(&[&nothing, &one])).unwrap();
    assert_eq!(alone, maker().generate(&one).unwrap());
}
