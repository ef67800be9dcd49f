//! The ring of a killed process, from anywhere: what is recovered was recorded, and makes a clean trace.
#![no_main]

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;
use hypercall_fuzz::consume::{is_part, nameless, read};
use hypercall_fuzz::trace::{Edit, Odd, base, edited, entries};
use hypercall_trace::entry::Entry;
use hypercall_trace::format::BlockKind;
use hypercall_trace::read::recover::{Ring, recover};
use hypercall_trace::read::{Buffer, Trace};
use hypercall_trace::write::Options;
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static MEMORY: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, 400 << 20);

const BLOCK_SIZE: usize = 4096;

#[derive(Arbitrary, Debug)]
struct Input {
    /// Which control words are changed: block, word, to what.
    controls: Vec<(u8, u8, Odd)>,
    /// Words of the head that are changed.
    head: Vec<(u8, Odd)>,
    /// Bits of the data.
    flips: Vec<(u16, u8)>,
    /// Whether the records stand in one block or in three.
    spread: bool,
    /// What happened to the file.
    edits: Vec<Edit>,
    file: bool,
}

/// Bytes of a ring's head.
const HEAD: usize = 192;

/// A ring with the records of the first lane.
fn ring(spread: bool) -> Vec<u8> {
    let trace = Trace::from_bytes(base(0)).expect("it was just written");
    let mut buffer = Buffer::default();
    let mut records: Vec<Vec<u8>> = Vec::new();
    for block in trace.data().filter(|block| block.header.lane == 0) {
        let views = trace.load(block, &mut buffer).expect("it was just written");
        records.extend(views.records().map(|record| record.bytes().to_vec()));
    }
    let whole = base(0);
    let mut preamble = whole[..32].to_vec();
    for block in trace.blocks() {
        let header = &block.header;
        let wanted = match header.kind {
            BlockKind::Schema | BlockKind::Clock => true,
            BlockKind::Lane => header.lane == 0,
            _ => false,
        };
        if wanted {
            let start = usize::try_from(block.offset).expect("small");
            preamble.extend(&whole[start..][..usize::try_from(header.span()).expect("small")]);
        }
    }
    let blocks = 4;
    let controls = HEAD + blocks * 64;
    let data = (controls + preamble.len()).next_multiple_of(4096);
    let mut bytes = vec![0; data + blocks * BLOCK_SIZE];
    let mut put = |word: usize, value: u64| {
        bytes[word * 8..][..8].copy_from_slice(&value.to_le_bytes());
    };
    put(0, u64::from_le_bytes(*b"HCTRING\x02"));
    put(1, blocks as u64);
    put(2, BLOCK_SIZE as u64);
    put(3, data as u64);
    put(4, controls as u64 | (preamble.len() as u64) << 32);
    put(5, trace.header().id);
    let parts: Vec<_> = records
        .chunks(if spread { 4 } else { records.len() })
        .collect();
    let mut first = 0;
    for (place, part) in parts.iter().enumerate() {
        let line = HEAD / 8 + place * 8;
        // Full, but for the last one; numbered from 1.
        let state = if place + 1 == parts.len() { 1 } else { 2 };
        put(line, state | ((place as u64 + 1) << 8));
        let used = part.iter().map(Vec::len).sum::<usize>() as u64;
        put(line + 1, used | (used << 32));
        for copy in 2..5 {
            put(line + copy, first);
        }
        for record in part.iter() {
            first += match record[7] {
                16 => u64::from_le_bytes(record[24..32].try_into().expect("eight")),
                kind => u64::from(kind < 16),
            };
        }
    }
    bytes[controls..][..preamble.len()].copy_from_slice(&preamble);
    for (place, part) in parts.iter().enumerate() {
        let all = part.concat();
        bytes[data + place * BLOCK_SIZE..][..all.len()].copy_from_slice(&all);
    }
    bytes
}

fuzz_target!(|input: Input| {
    static RINGS: [LazyLock<Vec<u8>>; 2] =
        [LazyLock::new(|| ring(false)), LazyLock::new(|| ring(true))];
    let mut bytes = RINGS[usize::from(input.spread)].to_vec();
    let odd = |odd: Odd| odd.value();
    for (block, word, value) in &input.controls {
        let at = HEAD + usize::from(block % 4) * 64 + usize::from(word % 5) * 8;
        bytes[at..][..8].copy_from_slice(&odd(*value).to_le_bytes());
    }
    for (word, value) in &input.head {
        let at = usize::from(word % 17) * 8;
        bytes[at..][..8].copy_from_slice(&odd(*value).to_le_bytes());
    }
    for (at, bit) in &input.flips {
        let at = usize::from(*at) % bytes.len();
        bytes[at] ^= 1 << (bit % 8);
    }
    let untouched = input.controls.is_empty() && input.head.is_empty() && input.flips.is_empty();
    let source: Arc<[u8]> = bytes.into();
    let ring = match Ring::from_source(PathBuf::from("a.ring"), &source) {
        Ok(ring) => ring,
        Err(error) => return assert!(!untouched, "{error}"),
    };
    let written = entries();
    let own: Vec<_> = written
        .iter()
        .filter(|entry| entry.lane() == Some(0))
        .cloned()
        .collect();
    if untouched {
        assert_eq!((ring.damaged, &ring.entries), (0, &own));
    }
    // Whatever the control words say of places and indices: no call is read that was not recorded.
    let contents = |entries: &[Entry]| -> Vec<Entry> {
        let calls = entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Call(_)));
        calls
            .map(|entry| match nameless(entry.clone()) {
                Entry::Call(mut call) => {
                    (call.index, call.lane) = (0, 0);
                    Entry::Call(call)
                }
                other => other,
            })
            .collect()
    };
    let all = contents(&own);
    assert!(
        contents(&ring.entries)
            .iter()
            .all(|entry| all.contains(entry))
    );
    let file = input
        .file
        .then(|| Trace::from_bytes(edited(base(2), &input.edits, false)).ok())
        .flatten();
    if let Ok((bytes, done)) = recover(file.as_ref(), &[ring], Vec::new(), Options::default()) {
        let trace = Trace::from_bytes(bytes).expect("it was just written");
        let clean = read(&trace);
        if untouched && input.file && input.edits.is_empty() {
            let read: Vec<_> = trace.entries().collect();
            assert!(clean && done.damaged == 0, "{done:?}");
            assert!(is_part(&read, &written) && read.len() == written.len());
        }
    }
});
