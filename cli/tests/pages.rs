//! What `show` and `state` make of pages and VMs of which a trace does not tell all.

mod common;

use common::{Folder, Sample, hcall, output};
use hypercall_trace::entry::{
    Argument, Call, Entry, LossCause, Lost, PageChange, Run, Target, Unknown, When,
};
use hypercall_trace::read::Trace;

/// Where in the first slot of a page of I/O requests what is: the direction, the port, the size, the value, the state.
const DIRECTION: u32 = 64;
const PORT: u32 = 72;
const SIZE: u32 = 80;
const VALUE: u32 = 88;
const STATE: u32 = 136;
/// Of the state.
const PENDING: u32 = 0;
const COMPLETE: u32 = 1;
const PROCESSING: u32 = 2;
const FREE: u32 = 3;

/// A look that found words changed: where, what they were, what they are.
fn look(ticks: u64, words: &[(u32, u32, u32)]) -> Entry {
    let run = |(offset, before, after): &(u32, u32, u32)| Run {
        offset: *offset,
        before: before.to_le_bytes().to_vec(),
        after: after.to_le_bytes().to_vec(),
    };
    Entry::Pages(PageChange {
        lane: 0,
        index: u64::MAX,
        when: When::Note,
        page: 0,
        ticks,
        look: 1,
        late: false,
        runs: words.iter().map(run).collect(),
    })
}

/// A recording of a VM that is created, if it is in it, and gets page 0 for its requests; then what looks find.
fn recording(creates: bool, looks: &[Entry]) -> Sample {
    let mut sample = Sample::life();
    sample.entries.retain_mut(|entry| {
        let Entry::Call(call) = entry else {
            return false;
        };
        for argument in &mut call.args {
            if let Argument::Block(block) = argument
                && let Some(link) = &mut block.link
                && let Target::Pages { page, .. } = &mut link.target
            {
                *page = Some(0);
            }
        }
        creates && call.name() == "create_vm" || call.name() == "set_ioreq_buffer"
    });
    let mut next = 0;
    sample.entries.extend_from_slice(looks);
    for entry in &mut sample.entries {
        match entry {
            Entry::Call(call) => {
                call.index = next;
                next += 1;
            }
            Entry::Lost(lost) => {
                lost.index = next;
                next += lost.count;
            }
            Entry::Pages(change) => change.index = next,
            Entry::Unknown(unknown) => unknown.index = next,
            _ => {}
        }
    }
    sample
}

/// A record that is no call and that a newer version wrote: where a known one has the point of a look, it has one that is not known.
fn newer(kind: u8) -> Entry {
    let mut bytes = vec![0; 24];
    bytes[4..8].copy_from_slice(&[3, 0, 0, kind]);
    bytes[8..16].copy_from_slice(&2_150_000_u64.to_le_bytes());
    bytes[20] = 3;
    let covered = [&bytes[8..], &bytes[4..8]].concat();
    bytes[..4].copy_from_slice(&common::crc(&covered).to_le_bytes());
    Entry::Unknown(Unknown {
        lane: 0,
        index: 0,
        kind,
        bytes,
    })
}

fn free() -> Entry {
    look(2_000_000, &[(STATE, 0, FREE)])
}

fn write() -> Entry {
    let words = [
        (DIRECTION, 0, 1),
        (PORT, 0, 0x64),
        (SIZE, 0, 1),
        (VALUE, 0, 0x55),
        (STATE, FREE, PENDING),
    ];
    look(2_100_000, &words)
}

/// One file of several.
fn joined(folder: &Folder, name: &str, recordings: &[Sample]) -> String {
    let mut bytes = Vec::new();
    for sample in recordings {
        let of = sample.bytes();
        bytes.extend_from_slice(&of[if bytes.is_empty() { 0 } else { 32 }..]);
    }
    std::fs::write(folder.path(name), bytes).unwrap();
    folder.text(name)
}

/// Numbers of pages begin again in the next recording of a joined file, and its machine may be another.
#[test]
fn each_recording_of_a_joined_file_has_its_own_pages_and_vms() {
    let folder = Folder::new();
    let read = [(PORT, 0, 0x64), (SIZE, 0, 1), (STATE, FREE, PENDING)];
    let one = recording(true, &[free(), write()]);
    let two = recording(false, &[free(), look(2_100_000, &read)]);
    let trace = joined(&folder, "joined.hct", &[one, two]);
    for options in [
        &["show"][..],
        &["show", "--lane", "main"],
        &["show", "--since", "0s"],
    ] {
        let shown = output(&[options, &[&trace]].concat());
        let told: Vec<_> = shown
            .lines()
            .filter_map(|line| line.split_once("PENDING: "))
            .map(|(_, what)| what.trim_end_matches(" ---"))
            .collect();
        let expected = [
            "PIO write of port 0x64, 1 byte, value 0x55",
            "PIO read of port 0x64, 1 byte",
        ];
        assert_eq!(told, expected, "{options:?}: {shown}");
    }
    // The first one's VM has a name; the second one's, which it did not see created, has none.
    let named = "POST_STD_VM1";
    assert!(output(&["state", "--at", "1", &trace]).contains(named));
    let last = output(&["state", &trace]);
    assert!(last.contains("VM 1") && !last.contains(named), "{last}");
    let checked = hcall().args(["check", &trace]).output().unwrap().stdout;
    let checked = String::from_utf8(checked).unwrap();
    let findings = checked.lines().filter(|line| line.contains("VM 1")).count();
    assert!(
        findings == 1 && checked.contains("never destroyed"),
        "{checked}"
    );
}

/// Each recording of a joined file may have a call of one name: which is meant is said, or asked for.
#[test]
fn a_call_of_a_joined_file_is_named_with_its_recording() {
    let folder = Folder::new();
    let (one, two) = (recording(true, &[]), recording(true, &[free()]));
    let single = folder.trace("single.hct", &one);
    let trace = joined(&folder, "joined.hct", &[one, two]);
    let run = |arguments: &[&str]| {
        let output = hcall().args(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (status, _, err) = run(&["state", &trace, "--at", "main#0"]);
    assert_eq!(status, Some(2), "{err}");
    assert!(err.contains("--recording, 0 to 1"), "{err}");
    for (recording, entry) in [("0", 0), ("1", 2)] {
        let chosen = ["--at", "main#0", "--recording", recording];
        let shown = output(&[&["state", &trace][..], &chosen].concat());
        let title = format!("after main#0 of recording {recording} create_vm (entry {entry})");
        assert_eq!(shown.lines().next(), Some(title.as_str()));
        assert!(!shown.contains("request page"), "{shown}");
        let json = output(&[&["state", "--json", &trace][..], &chosen].concat());
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["recording"].to_string(), recording);
        assert_eq!(json["vms"]["1"]["created"]["position"], entry);
    }
    let first = output(&["state", &trace, "--recording", "0"]);
    assert!(first.starts_with("after main#1 of recording 0 "), "{first}");
    let last = output(&["state", &trace]);
    assert!(last.starts_with("after main#1 of recording 1 "), "{last}");
    for wrong in [
        &["--recording", "2"][..],
        &["--recording", "0", "--at", "1"],
    ] {
        assert_eq!(run(&[&["state", &trace], wrong].concat()).0, Some(2));
    }
    let (_, checked, _) = run(&["check", &trace]);
    for place in [
        "(main#0 of recording 0, entry 0)",
        "(main#0 of recording 1, entry 2)",
    ] {
        assert!(checked.contains(place), "{checked}");
    }
    let (_, checked, _) = run(&["check", "--json", &trace]);
    let recordings: Vec<_> = checked
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["recording"].clone())
        .collect();
    assert_eq!(recordings, [0, 1]);
    // Of one recording nothing is said of it.
    assert!(output(&["state", &single, "--at", "main#0"]).starts_with("after main#0 create_vm"));
    assert!(run(&["check", &single]).1.contains("(main#0, entry 0)"));
}

/// What pages hold behind changes that are missing is not known: nothing is read in them that stood there before.
#[test]
fn behind_missing_changes_no_old_request_is_shown() {
    let lost = |cause| {
        Entry::Lost(Lost {
            lane: 0,
            index: 0,
            count: 2,
            cause,
            first: 2_150_000,
            last: 2_160_000,
        })
    };
    let done = |before| look(2_200_000, &[(STATE, before, COMPLETE)]);
    let folder = Folder::new();
    let shown = |name: &str, between: Vec<Entry>, last: Entry| {
        let looks = [vec![free(), write()], between, vec![last]].concat();
        let trace = folder.trace(name, &recording(true, &looks));
        let shown = output(&["show", "--time", "none", &trace]);
        shown.lines().last().unwrap_or_default().to_owned()
    };
    let old = "vCPU 0 COMPLETE: PIO write of port 0x64, 1 byte, value 0x55";
    let offsets = ": 0x88..0x8c ---";
    assert!(shown("whole.hct", vec![], done(PENDING)).contains(old));
    for cause in [LossCause::Overwritten, LossCause::Sink, LossCause::Damaged] {
        let line = shown("lost.hct", vec![lost(cause)], done(PENDING));
        assert!(line.ends_with(offsets), "{cause}: {line}");
    }
    // A change for which there was no room comes later, so that the recorder still says all.
    let line = shown("full.hct", vec![lost(LossCause::RingFull)], done(PENDING));
    assert!(line.contains(old), "{line}");
    // What it does not know may be a change.
    for kind in [17, 0x70] {
        let line = shown("newer.hct", vec![newer(kind)], done(PENDING));
        assert!(line.ends_with(offsets), "{kind}: {line}");
    }
    // Nothing says that one is missing, but for what the next one found there.
    let line = shown("silent.hct", vec![], done(PROCESSING));
    assert!(line.ends_with(offsets), "{line}");
    // That a slot is free says all of it; a request that is all new is one.
    let freed = look(2_200_000, &[(STATE, COMPLETE, FREE)]);
    let line = shown("free.hct", vec![lost(LossCause::Overwritten)], freed);
    assert!(line.ends_with("vCPU 0 FREE ---"), "{line}");
    let all: Vec<_> = (0..140)
        .step_by(4)
        .map(|offset| match offset {
            PORT => (offset, 0x70, 0x71),
            SIZE => (offset, 1, 1),
            STATE => (offset, FREE, PENDING),
            _ => (offset, 0, 0),
        })
        .collect();
    let all = look(2_200_000, &all);
    let line = shown("new.hct", vec![lost(LossCause::Overwritten)], all);
    assert!(line.contains("PENDING: PIO read of port 0x71"), "{line}");
}

/// Only what was not looked at makes pages unknown: of the lane, and of the recording, of which there is more before.
#[test]
fn where_nothing_is_passed_over_requests_are_read() {
    let folder = Folder::new();
    let told = |trace: &str, options: &[&str]| -> Vec<String> {
        let shown = output(&[&["show", "--time", "none", trace][..], options].concat());
        let changes = shown
            .lines()
            .filter(|line| line.contains("page 0 seen changed before"));
        changes.map(str::to_owned).collect()
    };
    let mut sample = recording(true, &[free(), write()]);
    let all = told(&folder.trace("one.hct", &sample), &[]);
    assert!(all.iter().all(|line| line.contains("vCPU 0")), "{all:?}");
    let one = folder.text("one.hct");
    for options in [
        &["--since", "0s"][..],
        &["--since", "0s", "--lane", "main"],
        &["--since", "0s", "--file-order"],
    ] {
        assert_eq!(told(&one, options), all, "{options:?}");
    }
    assert_eq!(
        told(&one, &["--since", "0s", "--grep", "PIO write"]),
        all[1..]
    );
    // Of one lane there is more before, of the other there is not.
    let Some(Entry::Call(call)) = sample.entries.first().cloned() else {
        panic!("no call");
    };
    sample.lanes.push("other".into());
    let of_other = |index, enter| {
        Entry::Call(Call {
            lane: 1,
            index,
            enter,
            ..call.clone()
        })
    };
    // Enough for the second call to stand in another block.
    let large = Entry::Pages(PageChange {
        lane: 1,
        index: 1,
        when: When::Note,
        page: 1,
        ticks: 1_000_002,
        look: 1,
        late: false,
        runs: vec![Run {
            offset: 0,
            before: vec![0; 4096],
            after: (0..=255).cycle().take(4096).collect(),
        }],
    });
    sample.entries.push(of_other(0, 1_000_001));
    sample.entries.push(large);
    sample.entries.push(of_other(1, 2_300_000));
    sample.block = 1 << 10;
    let two = folder.trace("two.hct", &sample);
    let trace = Trace::open(&two).unwrap();
    let blocks = trace.data().filter(|block| block.header.lane == 1);
    assert!(blocks.count() > 1);
    let options = ["--since", "5us"];
    let shown = output(&[&["show", &two][..], &options].concat());
    assert!(
        shown.contains("main#0") && !shown.contains("other#0"),
        "{shown}"
    );
    let whole = told(&two, &[]);
    assert!(
        whole.len() == 2 && whole[1].contains("PIO write"),
        "{whole:?}"
    );
    assert_eq!(told(&two, &options), whole);
    // Of the first recording there is, and the second one is read from its start.
    let one = recording(true, &[free(), write()]);
    let both = [one.clone(), one];
    let joined = joined(&folder, "joined.hct", &both);
    let skipped = told(&joined, &["--skip", "3"]);
    assert_eq!(skipped[1..], all, "{skipped:?}");
    assert!(!skipped[0].contains("PENDING"), "{skipped:?}");
}

/// Where the next recording of a joined file begins is said, before the first line of it that is shown.
#[test]
fn lines_of_a_joined_file_say_of_which_recording_they_are() {
    let folder = Folder::new();
    let one = recording(true, &[free()]);
    let single = folder.trace("single.hct", &one);
    let trace = joined(&folder, "joined.hct", &[one.clone(), one.clone(), one]);
    let title = |line: &str| line.starts_with("--- recording ");
    for (options, titles, lines) in [
        (&[][..], &["1", "2"][..], 9),
        (&["--call", "create_vm"], &["1", "2"], 3),
        (&["--grep", "FREE"], &["1", "2"], 3),
        (&["--file-order"], &["1", "2"], 9),
        (&["--skip", "4"], &["1", "2"], 5),
        (&["--skip", "7"], &["2"], 2),
        (&["-n", "3"], &[], 3),
        (&["--follow"], &["1", "2"], 9),
    ] {
        let shown = output(&[&["show", &trace][..], options].concat());
        let told: Vec<_> = shown.lines().filter(|line| title(line)).collect();
        let expected: Vec<_> = titles
            .iter()
            .map(|number| format!("--- recording {number} ---"))
            .collect();
        assert_eq!(told, expected, "{options:?}: {shown}");
        assert_eq!(shown.lines().count() - told.len(), lines, "{options:?}");
        let json = output(&[&["show", "--json", &trace][..], options].concat());
        let numbers: Vec<_> = json
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|line| line["recording"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers.len(), lines, "{options:?}");
        assert!(numbers.is_sorted(), "{options:?}: {numbers:?}");
        assert_eq!(
            numbers.last(),
            Some(&if lines == 3 && titles.is_empty() {
                0
            } else {
                2
            })
        );
    }
    // They are entries for `import`, as those of a file of one recording are.
    let exported = output(&["export", "--to", "json", &trace]);
    let shown = output(&["show", "--json", "--raw", "-n", "3", &trace]);
    let lines = format!("{}\n{shown}", exported.lines().next().unwrap());
    std::fs::write(folder.path("lines.jsonl"), lines).unwrap();
    let imported = folder.text("imported.hct");
    let lines = folder.text("lines.jsonl");
    let mut import = hcall();
    import.args(["import", &lines, "-o", &imported]);
    // The line is missing that says how many they are.
    import.assert().code(4);
    let again = output(&["show", "-n", "3", &imported]);
    assert_eq!(again, output(&["show", &single]));
    let shown = output(&["show", &trace]);
    let third = shown.lines().nth(3);
    assert_eq!(third, Some("--- recording 1 ---"), "{shown}");
    assert!(!output(&["show", &single]).contains("recording"));
    assert!(!output(&["show", "--json", &single]).contains("recording"));
}

/// Pages of which changes are missing are not looked through again at each place where some are: that would take hours.
#[test]
fn pages_are_not_forgotten_again_at_each_loss() {
    let folder = Folder::new();
    let mut looks: Vec<_> = (0..256)
        .map(|page| match free() {
            Entry::Pages(change) => Entry::Pages(PageChange { page, ..change }),
            other => other,
        })
        .collect();
    let lost = Entry::Lost(Lost {
        lane: 0,
        index: 0,
        count: 1,
        cause: LossCause::Sink,
        first: 2_050_000,
        last: 2_060_000,
    });
    looks.extend(std::iter::repeat_n(lost, 200_000));
    looks.push(look(2_200_000, &[(STATE, FREE, COMPLETE)]));
    let trace = folder.trace("losses.hct", &recording(true, &looks));
    let shown = output(&["show", "--time", "none", &trace]);
    let last = shown.lines().last().unwrap_or_default();
    assert!(last.ends_with(": 0x88..0x8c ---"), "{last}");
}

/// Whether a recording was finished does not depend on one that holds nothing and stands behind it.
#[test]
fn what_an_empty_recording_lacks_is_not_missing_in_the_one_before() {
    let folder = Folder::new();
    let sample = recording(true, &[]);
    let empty = Sample {
        entries: Vec::new(),
        ..sample.clone()
    };
    let check = |name: &str, second: &[u8], first: &[u8]| {
        let bytes = [first, &second[32..]].concat();
        std::fs::write(folder.path(name), bytes).unwrap();
        let output = hcall()
            .args(["check", &folder.text(name)])
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        (String::from_utf8(output.stdout).unwrap(), told)
    };
    let (finished, killed) = (sample.bytes(), sample.unfinished());
    let (found, told) = check("finished.hct", &empty.unfinished(), &finished);
    assert!(found.contains("never destroyed"), "{found}");
    assert!(told.contains("was not finished"), "{told}");
    // Of the other one nobody knows what came later.
    for second in [empty.bytes(), empty.unfinished()] {
        let (found, told) = check("killed.hct", &second, &killed);
        assert!(!found.contains("never destroyed"), "{found}");
        assert!(told.contains("recording 0 of the file"), "{told}");
    }
}
