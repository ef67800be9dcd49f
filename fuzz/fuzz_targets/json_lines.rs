//! JSON lines from anywhere: what is imported is exported as it was.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use hypercall_cli::export::{Exporter as _, Header, JsonLines, Line};
use hypercall_fuzz::trace::base;
use hypercall_trace::read::Trace;
use hypercall_trace::write::{Options, Writer};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static MEMORY: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, 400 << 20);

/// What stands in the lines, and what hurts.
const WORDS: &[&str] = &[
    "\"lane\":",
    "\"lane_id\":",
    "\"index\":",
    "\"ticks\":",
    "\"raw\":",
    "\"args\":",
    "\"length\":",
    "\"before\":",
    "\"after\":",
    "\"changed\":",
    "\"unchanged\"",
    "\"unfinished\"",
    "\"outcome\":",
    "\"duration\":",
    "null",
    "true",
    "0",
    "1",
    "-1",
    "255",
    "256",
    "65535",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "1e99",
    "\"\"",
    "\"00\"",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"array\":",
    "\"element\":",
    "\"size\":",
    "\"kind\":",
    "\"struct\":",
    "\"fields\":",
    "\"offset\":",
    "\"role\":",
    "\"codes\":",
    "\"interface\":",
    "\"call\":",
    "\"unknown\":",
    "\"lost\":",
    "\"pages\":",
];

#[derive(Arbitrary, Debug)]
struct Edit {
    line: u8,
    at: u16,
    gone: u8,
    new: New,
}

#[derive(Arbitrary, Debug)]
enum New {
    Word(u8),
    Text(String),
    /// What stands elsewhere in the line.
    Copy(u16, u8),
}

fn original() -> Trace {
    Trace::from_bytes(base(0)).expect("it was just written")
}

fn export(trace: &Trace) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut exporter = JsonLines::new(&mut bytes);
    exporter.start(trace).expect("a vector takes all");
    for entry in trace.entries() {
        exporter.entry(&entry).expect("a vector takes all");
    }
    exporter.finish().expect("a vector takes all");
    bytes
}

/// As `hcall import` does it. `None` for what it refuses.
fn import(bytes: &[u8]) -> Option<Trace> {
    let mut lines = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let header: Header = serde_json::from_slice(lines.next()?).ok()?;
    let (schema, clock, lanes, id) = header.into_parts().ok()?;
    let options = Options {
        id,
        ..Options::default()
    };
    let mut writer = Writer::new(Vec::new(), &schema, clock, options).ok()?;
    for (number, lane) in (0_u32..).zip(&lanes) {
        if lane.id != number || lane.name.len() > usize::from(u16::MAX) {
            return None;
        }
        writer.lane(&lane.name).ok()?;
    }
    for line in lines {
        let line: Line = serde_json::from_slice(line).ok()?;
        if line.end().is_some() {
            continue;
        }
        if let Some((recording, clock, ends)) = line.begins() {
            writer.recording(recording, &clock).ok()?;
            for lane in ends {
                writer.end_is_unknown(*lane).ok()?;
            }
            continue;
        }
        writer.push(&line.into_entry(&schema).ok()?).ok()?;
    }
    Trace::from_bytes(writer.finish().ok()?).ok()
}

fuzz_target!(|edits: Vec<Edit>| {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| export(&original()));
    let bytes = &*BYTES;
    let mut lines: Vec<Vec<u8>> = bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    for edit in edits.get(..6).unwrap_or(&edits) {
        let line = usize::from(edit.line) % lines.len();
        let line = &mut lines[line];
        let at = usize::from(edit.at) % (line.len() + 1);
        let end = (at + usize::from(edit.gone)).min(line.len());
        let new = match &edit.new {
            New::Word(word) => WORDS[usize::from(*word) % WORDS.len()].as_bytes().to_vec(),
            New::Text(text) => text.clone().into_bytes(),
            New::Copy(from, length) => {
                let from = usize::from(*from) % (line.len() + 1);
                line[from..]
                    .iter()
                    .take(usize::from(*length))
                    .copied()
                    .collect()
            }
        };
        line.splice(at..end, new);
    }
    let Some(trace) = import(&lines.join(&b'\n')) else {
        return assert!(!edits.is_empty(), "what was exported is not imported");
    };
    let _ = trace.verify().expect("memory does not fail");
    let again = import(&export(&trace)).expect("what was exported is imported");
    assert_eq!(again.schema(), trace.schema());
    assert_eq!(again.clock(), trace.clock());
    assert_eq!(again.lanes(), trace.lanes());
    // In the order of their lanes: where calls are missing and nobody noted it, a block ends, and lanes interleave by blocks.
    for lane in trace.lanes() {
        assert!(again.lane_entries(lane.id).eq(trace.lane_entries(lane.id)));
    }
    if edits.is_empty() {
        assert!(trace.entries().eq(original().entries()));
    }
});
