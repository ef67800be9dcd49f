//! Recordings: the parser on any bytes, and the runner on whatever it lets through, starting from good recordings whose
//! lines are cut, swapped, doubled and overwritten.
#![no_main]

use std::time::{Duration, Instant};

use arbitrary::Arbitrary;
use hypercall_mock::fake::FakeConfig;
use hypercall_mock::vectors::{parse, run};
use libfuzzer_sys::fuzz_target;

/// What a real ACRN answered.
const RECORDINGS: [&str; 6] = [
    include_str!("../../transport-mock/tests/data/observed/deep1.jsonl"),
    include_str!("../../transport-mock/tests/data/observed/edges.jsonl"),
    include_str!("../../transport-mock/tests/data/observed/lifecycle.jsonl"),
    include_str!("../../transport-mock/tests/data/observed/states.jsonl"),
    include_str!("../../transport-mock/tests/data/observed/walk1.jsonl"),
    include_str!("../../transport-mock/tests/data/observed/walk2.jsonl"),
];
/// Lines of a recording that an input starts from.
const WINDOW: usize = 48;
/// Far more than so many lines take, also on a busy machine.
const LONG: Duration = Duration::from_secs(20);

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Raw(&'a [u8]),
    Edited {
        recording: u8,
        from: u16,
        edits: Vec<Edit<'a>>,
        cut: Option<u16>,
    },
}

#[derive(Arbitrary, Debug)]
enum Edit<'a> {
    /// Puts bytes over those of a line.
    Over {
        line: u8,
        at: u8,
        bytes: &'a [u8],
    },
    /// Replaces a number after a field's name, which is more likely to mean something.
    Number {
        line: u8,
        field: u8,
        value: u64,
        hexadecimal: bool,
    },
    Swap(u8, u8),
    Double(u8),
    Remove(u8),
    Insert(u8, &'a [u8]),
}

const FIELDS: [&str; 13] = [
    "r8", "rdi", "rsi", "rax", "gpa", "len", "byte", "value", "vector", "count", "leaf", "eax",
    "bytes",
];

impl Input<'_> {
    fn text(&self) -> Vec<u8> {
        match self {
            Self::Raw(bytes) => bytes.to_vec(),
            Self::Edited {
                recording,
                from,
                edits,
                cut,
            } => {
                let recording = RECORDINGS[usize::from(*recording) % RECORDINGS.len()];
                let count = recording.lines().count();
                let from = usize::from(*from) % count;
                let mut lines: Vec<Vec<u8>> = recording
                    .lines()
                    .skip(from)
                    .take(WINDOW)
                    .map(Vec::from)
                    .collect();
                for edit in edits.iter().take(16) {
                    edit.apply(&mut lines);
                }
                let mut text = lines.join(&b'\n');
                if let Some(cut) = cut {
                    text.truncate(usize::from(*cut));
                }
                text
            }
        }
    }
}

impl Edit<'_> {
    fn apply(&self, lines: &mut Vec<Vec<u8>>) {
        let Some(last) = lines.len().checked_sub(1) else {
            return;
        };
        let at = |line: u8| usize::from(line) % (last + 1);
        match *self {
            Self::Over {
                line,
                at: start,
                bytes,
            } => {
                let line = &mut lines[at(line)];
                for (to, from) in line.iter_mut().skip(start.into()).zip(bytes) {
                    *to = *from;
                }
            }
            Self::Number {
                line,
                field,
                value,
                hexadecimal,
            } => {
                let line = &mut lines[at(line)];
                let name = format!("\"{}\": ", FIELDS[usize::from(field) % FIELDS.len()]);
                let text = String::from_utf8_lossy(line).into_owned();
                if let Some((before, after)) = text.split_once(&name) {
                    let rest = after.find([',', '}']).map_or("", |end| &after[end..]);
                    let value = if hexadecimal {
                        format!("\"{value:#x}\"")
                    } else {
                        value.to_string()
                    };
                    *line = format!("{before}{name}{value}{rest}").into_bytes();
                }
            }
            Self::Swap(one, other) => lines.swap(at(one), at(other)),
            Self::Double(line) => lines.insert(at(line), lines[at(line)].clone()),
            Self::Remove(line) => drop(lines.remove(at(line))),
            Self::Insert(line, bytes) => lines.insert(at(line), bytes.to_vec()),
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let text = input.text();
    let lines = text.split(|byte| *byte == b'\n').count();
    let begun = Instant::now();
    match parse(&text) {
        Ok(operations) => {
            assert!(operations.is_sorted_by(|(one, _), (next, _)| one < next));
            assert!(
                operations
                    .iter()
                    .all(|(line, _)| (1..=lines).contains(line))
            );
            let report = run(&operations, FakeConfig::default());
            assert!(report.differences.len() <= report.checked(), "{report}");
            assert_eq!(report.agreed() + report.differences.len(), report.checked());
            for difference in &report.differences {
                assert!(
                    operations.iter().any(|(line, _)| *line == difference.line),
                    "{difference}"
                );
            }
            if let Input::Edited { from: 0, edits, .. } = &input
                && edits.is_empty()
            {
                assert!(
                    report.agrees(),
                    "a good recording: {:?}",
                    report.differences
                );
            }
        }
        Err(error) => {
            assert!(
                (1..=lines).contains(&error.line) && !error.what.is_empty(),
                "{error}"
            );
            // What comes before it is fine.
            let before: Vec<&[u8]> = text
                .split(|byte| *byte == b'\n')
                .take(error.line - 1)
                .collect();
            assert!(parse(&before.join(&b'\n')).is_ok(), "{error}");
        }
    }
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
});
