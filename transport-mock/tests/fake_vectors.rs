//! The fake against recordings of a real ACRN, and the runner against recordings that are wrong.
#![cfg(feature = "vectors")]

use hypercall_mock::fake::{Build, FakeConfig};
use hypercall_mock::vectors::{self, Op, Report};

const RECORDINGS: [(&str, &[u8], usize); 6] = [
    ("deep1", include_bytes!("data/observed/deep1.jsonl"), 705),
    ("edges", include_bytes!("data/observed/edges.jsonl"), 389),
    (
        "lifecycle",
        include_bytes!("data/observed/lifecycle.jsonl"),
        77,
    ),
    ("states", include_bytes!("data/observed/states.jsonl"), 357),
    ("walk1", include_bytes!("data/observed/walk1.jsonl"), 454),
    ("walk2", include_bytes!("data/observed/walk2.jsonl"), 455),
];

fn run(text: &[u8]) -> Report {
    vectors::run(&vectors::parse(text).unwrap(), FakeConfig::default())
}

fn recording(name: &str) -> Vec<(usize, Op)> {
    let (_, text, _) = RECORDINGS
        .into_iter()
        .find(|(known, ..)| *known == name)
        .unwrap();
    vectors::parse(text).unwrap()
}

#[test]
fn every_recorded_answer_is_the_fakes() {
    for (name, text, answers) in RECORDINGS {
        let report = run(text);
        assert_eq!(report.differences, [], "{name}");
        assert_eq!(report.checked(), answers, "{name}");
    }
}

#[test]
fn a_guests_requests_are_taken_and_their_slots_checked() {
    let operations = recording("lifecycle");
    let report = vectors::run(&operations, FakeConfig::default());
    assert_eq!((report.requests, report.taken, report.waits), (5, 7, 5));
}

/// Runs a recording with one operation changed. Whether the change was noticed, at its line or (a wait that did not
/// end) at a later one.
fn notices(operations: &[(usize, Op)], at: usize, change: impl FnOnce(&mut Op)) -> bool {
    let mut changed = operations.to_vec();
    change(&mut changed[at].1);
    let report = vectors::run(&changed, FakeConfig::default());
    report
        .differences
        .iter()
        .any(|difference| difference.line >= operations[at].0)
}

/// Every wrong answer is found: what is checked is not a matter of luck.
#[test]
fn every_wrong_answer_is_found() {
    for name in ["lifecycle", "edges"] {
        let operations = recording(name);
        for at in 0..operations.len() {
            let noticed = match &operations[at].1 {
                Op::Hypercall { .. } => notices(&operations, at, |op| {
                    if let Op::Hypercall { rax, .. } = op {
                        *rax -= 1;
                    }
                }),
                Op::UpcallCount { .. } => notices(&operations, at, |op| {
                    if let Op::UpcallCount { count, .. } = op {
                        *count += 1;
                    }
                }),
                // Words that the guest left in its own memory may come or not: nobody but the guest knows.
                Op::WaitU32 { gpa, .. } if *gpa < 0x400_0000 => notices(&operations, at, |op| {
                    if let Op::WaitU32 { met, .. } = op {
                        *met = !*met;
                    }
                }),
                _ => true,
            };
            assert!(noticed, "line {} of {name}", operations[at].0);
        }
    }
}

/// Of the memory that the recordings show, no byte goes unchecked but those that only a guest could know. (Some of these
/// show all the same: no guest can make a request of another kind, and a written value shows in the next read.)
#[test]
fn no_more_is_taken_than_a_guest_knows() {
    for (name, taken) in [
        // Five requests: kind, direction, address, size (24 bytes); three of them write: 4, 8 and 8 bytes of value. And
        // the guest's own memory: 16 and 4 bytes.
        ("lifecycle", 5 * 24 + 4 + 8 + 8 + 16 + 4),
        ("edges", 0),
    ] {
        let operations = recording(name);
        let mut unnoticed = 0;
        for at in 0..operations.len() {
            let Op::Read { bytes, .. } = &operations[at].1 else {
                continue;
            };
            // Every byte where a guest had its hand in; the first and the last elsewhere.
            let step = if taken > 0 {
                1
            } else {
                bytes.len().saturating_sub(1).max(1)
            };
            for byte in (0..bytes.len()).step_by(step) {
                let noticed = notices(&operations, at, |op| {
                    if let Op::Read { bytes, .. } = op {
                        bytes[byte] ^= 0x10;
                    }
                });
                unnoticed += usize::from(!noticed);
            }
        }
        assert!(unnoticed <= taken, "{name}: {unnoticed}");
    }
}

#[test]
fn the_apic_page_may_be_elsewhere() {
    let (_, text, answers) = RECORDINGS[0];
    let moved = String::from_utf8(text.to_vec())
        .unwrap()
        .replace("20c511000000", "f0c211000000");
    let report = run(moved.as_bytes());
    assert_eq!((report.differences.len(), report.checked()), (0, answers));
    assert_eq!(report.apic_page, Some(0x11c2_f000));
    // Not if the recording contradicts itself.
    let once =
        String::from_utf8(text.to_vec())
            .unwrap()
            .replacen("20c511000000", "f0c211000000", 1);
    let report = run(once.as_bytes());
    assert_eq!((report.differences.len(), report.apic_page), (1, None));
}

#[test]
fn another_machine_answers_differently() {
    let release = FakeConfig {
        build: Build::Release,
        ..FakeConfig::default()
    };
    let report = vectors::run(&recording("states"), release);
    assert!(!report.agrees());
}

/// A guest of which only the lines below are known: reads and writes of ports and memory, twice by its second vCPU, and
/// words in its own memory.
#[test]
fn guests_that_were_never_seen() {
    let text = br#"
        {"op": "write", "gpa": "0x2000000", "bytes": "0000000000000000504f53545f5354445f564d3100000000000000000000000000000000000000000000000000000000"}
        {"op": "hypercall", "r8": "0x80000010", "rdi": "0x2000000", "rsi": 0, "rax": 0}
        {"op": "write", "gpa": "0x2002000", "bytes": "0040000200000000"}
        {"op": "hypercall", "r8": "0x80000030", "rdi": 1, "rsi": "0x2002000", "rax": 0}
        {"op": "write", "gpa": "0x2003000", "bytes": "0000000047000000000000000000000000000004000000000000100000000000"}
        {"op": "write", "gpa": "0x2003800", "bytes": "010000000000000001000000000000000030000200000000"}
        {"op": "hypercall", "r8": "0x80000042", "rdi": "0x2003800", "rsi": 0, "rax": 0}
        {"op": "wait_u32", "gpa": "0x2004088", "value": 0, "met": false}
        {"op": "hypercall", "r8": "0x80000012", "rdi": 1, "rsi": 0, "rax": 0}
        {"op": "wait_u32", "gpa": "0x2004088", "value": 0, "met": true}
        {"op": "read", "gpa": "0x2004084", "bytes": "0000000000000000"}
        {"op": "read", "gpa": "0x2004048", "bytes": "e0ff"}
        {"op": "read", "gpa": "0x2004040", "bytes": "01000000"}
        {"op": "read", "gpa": "0x2004050", "bytes": "0400000000000000efbeadde00000000"}
        {"op": "store32", "gpa": "0x2004088", "value": 1}
        {"op": "hypercall", "r8": "0x80000031", "rdi": 1, "rsi": 0, "rax": 0}
        {"op": "wait_u32", "gpa": "0x2004088", "value": 3, "met": true}
        {"op": "wait_u32", "gpa": "0x2004088", "value": 0, "met": true}
        {"op": "upcall_count", "vector": "0xf3", "count": 2}
        {"op": "read", "gpa": "0x2004000", "bytes": "01000000"}
        {"op": "read", "gpa": "0x2004040", "bytes": "0000000000000000000000e0000000000800000000000000efbeadde00000000"}
        {"op": "store32", "gpa": "0x2004058", "value": 305419896}
        {"op": "read", "gpa": "0x2004058", "bytes": "7856341200000000"}
        {"op": "store32", "gpa": "0x2004088", "value": 1}
        {"op": "hypercall", "r8": "0x80000031", "rdi": 1, "rsi": 0, "rax": 0}
        {"op": "wait_u32", "gpa": "0x4005000", "value": 7, "met": true}
        {"op": "read", "gpa": "0x4005000", "bytes": "07000000785634120000"}
        {"op": "write", "gpa": "0x4006000", "bytes": "0011"}
        {"op": "hypercall", "r8": "0x80000013", "rdi": 1, "rsi": 0, "rax": 0}
        {"op": "hypercall_cpl3", "r8": "0x80000000", "rdi": "0x2000000", "rsi": 0, "vector": 13}
        {"op": "cpuid", "leaf": "0x40000000", "eax": "0x40000010", "ebx": "0x4e524341", "ecx": "0x4e524341", "edx": "0x4e524341"}
        {"op": "cpuid", "leaf": "0x40000010", "eax": 2593000}
        {"op": "write", "gpa": "0x4005000", "bytes": "00"}
        {"op": "read", "gpa": "0x4005000", "bytes": "00000000"}
    "#;
    let report = run(text);
    assert_eq!(report.differences, []);
    assert_eq!((report.requests, report.waits), (2, 4));
    // A request's value that a read shows is the fake's to know; so is what lies around the fields.
    let wrong = String::from_utf8(text.to_vec())
        .unwrap()
        .replace("0800000000000000efbeadde", "0800000000000000efbeaddf");
    assert_eq!(run(wrong.as_bytes()).differences.len(), 1);
    let wrong = String::from_utf8(text.to_vec()).unwrap().replace(
        "\"bytes\": \"0000000000000000\"",
        "\"bytes\": \"0000000001000000\"",
    );
    assert_eq!(run(wrong.as_bytes()).differences.len(), 1);
}

/// A guest with a triple fault: the event first, or the request first.
#[test]
fn events_are_told_by_their_ring() {
    let start = r#"
        {"op": "write", "gpa": "0x2000000", "bytes": "0000000000000000504f53545f5354445f564d3100000000000000000000000000000000000000000000000000000000"}
        {"op": "hypercall", "r8": "0x80000010", "rdi": "0x2000000", "rsi": 0, "rax": 0}
        {"op": "write", "gpa": "0x2002000", "bytes": "0040000200000000"}
        {"op": "hypercall", "r8": "0x80000030", "rdi": 1, "rsi": "0x2002000", "rax": 0}
        {"op": "write", "gpa": "0x2010000", "bytes": "a33aa11aa77aa55a04000000200000000000000000000000000000000000000000000000800000000000000000"}
        {"op": "write", "gpa": "0x2002000", "bytes": "00000000410000000000010200000000"}
        {"op": "hypercall", "r8": "0x80000044", "rdi": 1, "rsi": "0x2002000", "rax": 0}
        {"op": "hypercall", "r8": "0x80000012", "rdi": 1, "rsi": 0, "rax": 0}"#;
    let event = r#"
        {"op": "wait_u32", "gpa": "0x2010014", "value": 32, "met": true}
        {"op": "read", "gpa": "0x2010010", "bytes": "0000000020000000"}
        {"op": "read", "gpa": "0x2010040", "bytes": "0200000000000000"}"#;
    let request = r#"
        {"op": "wait_u32", "gpa": "0x2004088", "value": 0, "met": true}
        {"op": "read", "gpa": "0x2004000", "bytes": "00000000"}
        {"op": "read", "gpa": "0x2004040", "bytes": "0100000000000000040400000000000002000000000000000034000000000000"}"#;
    let count = r#"
        {"op": "upcall_count", "vector": "0xf3", "count": 2}"#;
    for order in [[event, request], [request, event]] {
        let text = [start, order[0], order[1], count].concat();
        assert_eq!(run(text.as_bytes()).differences, []);
    }
}

/// A notification that nobody waited for ends the next wait at once; the one after it finds the slot taken.
#[test]
fn a_notification_that_came_early() {
    let operations = recording("lifecycle");
    let start = operations
        .iter()
        .position(|(_, op)| matches!(op, Op::Hypercall { registers, .. } if registers.number == 0x8000_0012))
        .unwrap();
    let mut changed = operations.clone();
    let registers = hypercall_core::server::Registers {
        number: 0x8000_0031,
        args: [1, 0],
    };
    changed.insert(
        start,
        (operations[start].0, Op::Hypercall { registers, rax: 0 }),
    );
    let report = vectors::run(&changed, FakeConfig::default());
    assert_eq!(report.requests, 1);
    assert!(
        report.differences[0].what.contains("NoSlot"),
        "{}",
        report.differences[0]
    );
}

#[test]
fn a_request_that_no_guest_can_make() {
    let mut operations = recording("lifecycle");
    let kind = operations
        .iter_mut()
        .find_map(|(_, op)| match op {
            Op::Read {
                gpa: 0x200_4000,
                bytes,
            } => Some(bytes),
            _ => None,
        })
        .unwrap();
    kind[0] = 2;
    let report = vectors::run(&operations, FakeConfig::default());
    assert!(
        report.differences[0].what.contains("no guest can make"),
        "{}",
        report.differences[0]
    );
}

#[test]
fn recordings_of_a_crash_are_compared_too() {
    let text = br#"
        {"op": "write", "gpa": "0x2008000", "bytes": "0100000000000000000600000000000007000000000000000000000000000000"}
        {"op": "hypercall", "r8": "0x80000032", "rdi": 1, "rsi": "0x2008000", "rax": 0}
        {"op": "hypercall", "r8": "0x80000002", "rdi": "0xf3", "rsi": 0, "rax": 0}
    "#;
    let report = run(text);
    assert_eq!(report.differences.len(), 2);
    assert!(
        report.differences[0].what.contains("crashed"),
        "{}",
        report.differences[0]
    );
}
