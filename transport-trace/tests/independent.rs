//! A decoder that was written from `docs/trace-format.md` alone, and shares no code with the library: what it makes of the
//! files of each version is what the library makes of them. It stands for the other languages that the page is written for.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test"
)]

extern crate hypercall_core as hypercall;

mod common;
mod file;

use hypercall_trace::entry::{
    After, Argument, Block, Entry, Failure, Outcome, Place, Target, When,
};
use hypercall_trace::read::Trace;
use hypercall_trace::write::Compression;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The page says: CRC-32C, reflected polynomial 0x82F63B78, initial value and final XOR all ones.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0x82F6_3B78
            } else {
                crc >> 1
            }
        })
    })
}

/// The page says: P and T, word by word times the factors.
fn sum_of_lines(time: u64, lines: &[u8]) -> u128 {
    const PI: [u64; 16] = [
        0x243f6a8885a308d3,
        0x13198a2e03707344,
        0xa4093822299f31d0,
        0x082efa98ec4e6c88,
        0x452821e638d01377,
        0xbe5466cf34e90c6c,
        0xc0ac29b7c97c50dc,
        0x3f84d5b5b5470917,
        0x9216d5d98979fb1a,
        0xd1310ba698dfb5ad,
        0x2ffd72dbd01adfb6,
        0xb8e1afed6a267e97,
        0xba7c9045f12c7f99,
        0x24a19947b3916cf7,
        0x0801f2e2858efc17,
        0x636920d871574e69,
    ];
    let mut plain = [0_u8; 64];
    plain[..8].copy_from_slice(&time.to_le_bytes());
    let mut powers: Vec<u8> = PI[8..].iter().flat_map(|word| word.to_le_bytes()).collect();
    for line in lines.chunks(64) {
        for (place, byte) in line.iter().enumerate() {
            plain[place] ^= byte;
            let reduced = if powers[place] > 0x7f { 0x1b } else { 0 };
            powers[place] = powers[place] << 1 ^ reduced ^ powers[place] ^ byte;
        }
    }
    let words = [&plain[..], &powers].concat();
    let gathered = words
        .chunks(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    let mut sum = 0;
    for (word, factor) in gathered.zip(PI) {
        for bit in (0..64).filter(|bit| word >> bit & 1 == 1) {
            sum ^= u128::from(factor) << bit;
        }
    }
    sum
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}
fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Bytes that are taken from the front.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, length: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }
    fn padded(&mut self, length: usize) -> &'b [u8] {
        let taken = self.take(length.next_multiple_of(8));
        assert!(taken[length..].iter().all(|byte| *byte == 0));
        &taken[..length]
    }
    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }
    fn u16(&mut self) -> usize {
        u16_at(self.take(2), 0).into()
    }
    fn u32(&mut self) -> usize {
        u32_at(self.take(4), 0)
    }
    fn u64(&mut self) -> u64 {
        u64_at(self.take(8), 0)
    }
    fn text(&mut self) -> String {
        let length = self.u16();
        String::from_utf8(self.take(length).to_vec()).unwrap()
    }
}

/// A decoded file, line by line.
#[derive(Default)]
struct Decoder {
    calls: Vec<String>,
    lanes: BTreeMap<usize, String>,
    clock: Vec<(u64, u64, i64)>,
    lines: Vec<String>,
    /// The line of the last announcement of each lane.
    announced: BTreeMap<usize, String>,
}

impl Decoder {
    fn file(bytes: &[u8]) -> Self {
        assert_eq!(bytes[..8], *b"\x89HCT\r\n\x1a\n");
        assert_eq!(
            u16_at(bytes, 8),
            1,
            "a reader refuses another major version"
        );
        assert_eq!(u32_at(bytes, 28), crc(&bytes[..28]) as usize);
        let mut decoder = Self::default();
        let mut at = 32;
        while at < bytes.len() {
            let header = &bytes[at..at + 64];
            assert_eq!(header[..4], *b"HCTB");
            assert_eq!(u32_at(header, 60), crc(&header[..60]) as usize);
            let (stored, raw) = (u32_at(header, 8), u32_at(header, 12));
            let body = &bytes[at + 64..at + 64 + stored];
            assert_eq!(u32_at(header, 28), crc(body) as usize);
            let body = match header[5] {
                0 => body.to_vec(),
                1 => lz4_block(body),
                // Nobody writes a decoder of Zstandard for a test.
                2 => zstd::bulk::decompress(body, raw).unwrap(),
                other => panic!("codec {other}"),
            };
            assert_eq!(body.len(), raw);
            decoder.block(header, &body);
            at += 64 + stored.next_multiple_of(8);
        }
        decoder
            .lines
            .extend(std::mem::take(&mut decoder.announced).into_values());
        decoder
    }

    fn block(&mut self, header: &[u8], body: &[u8]) {
        let lane = u32_at(header, 16);
        let mut from = Bytes(body);
        match header[4] {
            1 if self.calls.is_empty() => self.schema(&mut from),
            2 => self.clock.push((from.u64(), from.u64(), from.u64() as i64)),
            3 => {
                self.lanes.entry(lane).or_insert_with(|| from.text());
            }
            4 => {
                if u32_at(header, 24) != 0 {
                    self.announced.remove(&lane);
                }
                let mut index = u64_at(header, 32);
                let mut records = 0;
                while !from.0.is_empty() {
                    let line = self.record(lane, &mut index, &mut from);
                    self.lines.push(line);
                    records += 1;
                }
                assert_eq!(records, u32_at(header, 20));
            }
            5 => {
                let mut index = u64_at(header, 32);
                let line = self.record(lane, &mut index, &mut from);
                self.announced.insert(lane, line);
            }
            // An index, or something later.
            _ => {}
        }
    }

    fn record(&self, lane: usize, index: &mut u64, from: &mut Bytes<'_>) -> String {
        let length = (u32_at(from.0, 4) & 0xff_ffff) * 8;
        let record = from.take(length);
        let kind = record[7];
        let mut body = record[8..].to_vec();
        let lines = if (1..=3).contains(&kind) {
            usize::from(record[47])
        } else {
            0
        };
        if lines != 0 {
            let behind = 64 + lines * 64;
            let expected = u128::from_le_bytes(record[48..64].try_into().unwrap());
            assert!(lines <= 64 && behind <= (u32_at(record, 44) & 0xff_ffff) * 8);
            let time = u64_at(record, 8);
            assert_eq!(sum_of_lines(time, &record[64..behind]), expected);
            body.drain(48 - 8..behind - 8);
        }
        let summed = [&body, &record[4..8]].concat();
        assert_eq!(u32_at(record, 0), crc(&summed) as usize);
        let own = *index;
        match kind {
            1..=3 if record[42] <= 8 && record[43] <= 8 => {
                *index += 1;
                format!("{lane}/{own} {}", self.call(kind, record))
            }
            16 => {
                *index += u64_at(record, 24);
                let (first, last) = (u64_at(record, 8), u64_at(record, 16));
                format!(
                    "{lane}/{own} lost {} because {}, {first} to {last}",
                    u64_at(record, 24),
                    record[32]
                )
            }
            17 => {
                let mut runs = Bytes(&record[24..]);
                let (when, late) = (record[20] & 0x7f, record[20] & 0x80 != 0);
                let look = match record[21] {
                    255 => runs.u64(),
                    look => u64::from(look),
                };
                let mut line = format!(
                    "{lane}/{} page {} at {} when {when} look {look} late {late}:",
                    if when == 1 { own - 1 } else { own },
                    u32_at(record, 16),
                    u64_at(record, 8),
                );
                for _ in 0..u16_at(record, 22) {
                    let (offset, length) = (runs.u32(), runs.u32());
                    let (before, after) = (runs.padded(length), runs.padded(length));
                    write!(line, " {offset} {before:02x?} {after:02x?}").unwrap();
                }
                line
            }
            other => {
                *index += u64::from(other < 16);
                format!("{lane}/{own} unknown {other} {record:02x?}")
            }
        }
    }

    fn call(&self, kind: u8, record: &[u8]) -> String {
        let id = usize::from(u16_at(record, 40));
        let split = (u32_at(record, 44) & 0xff_ffff) * 8;
        let mut enter = Bytes(&record[if record[47] == 0 { 48 } else { 64 }..split]);
        let mut exit = Bytes(&record[split..]);
        let shapes = [record[42], record[43]];
        let mut line = format!(
            "{} {:#x} at {}",
            self.calls.get(id).map_or("?", String::as_str),
            u64_at(record, 32),
            u64_at(record, 8)
        );
        let mut texts = [0, 0];
        let mut changed = None;
        let mut end = " never returned".to_owned();
        if kind != 1 {
            let duration = exit.u64();
            let answer = exit.u64().to_le_bytes();
            end = format!(" for {duration}: {}", i64::from_le_bytes(answer));
            if kind == 3 {
                end = format!(" for {duration}: failed {} {}", answer[0], answer[1]);
                texts = [u16_at(&answer, 4).into(), u16_at(&answer, 6).into()];
            }
            changed = Some(if shapes.iter().any(|shape| matches!(shape, 3 | 4 | 6)) {
                exit.u64()
            } else {
                0
            });
        }
        for (register, shape) in shapes.into_iter().enumerate() {
            let slot = &record[16 + register * 8..];
            let (length, link) = (u32_at(slot, 0), u32_at(slot, 4));
            let bit = register * 2;
            match shape {
                0 => line += " -",
                1 => write!(line, " {}", u64_at(slot, 0)).unwrap(),
                2 => line += &memory(1, length, bit, changed, &mut enter, &mut exit),
                3 => line += &memory(2, length, bit, changed, &mut enter, &mut exit),
                4 => line += &memory(3, length, bit, changed, &mut enter, &mut exit),
                _ => {
                    line += &memory(1, length, bit, changed, &mut enter, &mut exit);
                    write!(line, " +{link}").unwrap();
                    match shape {
                        5 | 6 => {
                            let length = enter.u64() as usize;
                            let direction = if shape == 5 { 1 } else { 3 };
                            line +=
                                &memory(direction, length, bit + 1, changed, &mut enter, &mut exit);
                        }
                        7 => write!(line, " pages {} {}", enter.u32(), enter.u32()).unwrap(),
                        _ => write!(line, " address {}", enter.u64()).unwrap(),
                    }
                }
            }
        }
        let both = exit.padded(texts[0] + texts[1]);
        line += &end;
        if kind == 3 {
            let (first, second) = both.split_at(texts[0]);
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            write!(line, " {:?} {:?}", text(first), text(second)).unwrap();
        }
        assert!(enter.0.is_empty() && exit.0.is_empty());
        line
    }

    fn schema(&mut self, from: &mut Bytes<'_>) {
        for _ in 0..from.u16() {
            let interface = from.text();
            for index in 0..from.u16() {
                let length = from.u32();
                let mut call = Bytes(from.take(length));
                let (name, number) = (call.text(), call.u64());
                // The rest is walked through: that it ends where it ends is the proof that it was understood.
                if call.u8() == 1 {
                    call.take(16);
                }
                register(&mut call);
                register(&mut call);
                match call.u8() {
                    0 => {}
                    1 | 2 => {
                        call.u8();
                    }
                    _ => self::kind(&mut call),
                }
                for _ in 0..call.u16() {
                    call.u64();
                    call.text();
                }
                if call.u16() == index {
                    for _ in 0..call.u16() {
                        call.u64();
                        call.text();
                        call.text();
                    }
                }
                assert!(call.0.is_empty(), "{name}");
                self.calls.push(format!("{interface}::{name}({number:#x})"));
            }
        }
        assert!(from.0.is_empty());
    }
}

fn memory(
    direction: u8,
    length: usize,
    bit: usize,
    changed: Option<u64>,
    enter: &mut Bytes<'_>,
    exit: &mut Bytes<'_>,
) -> String {
    let before = if direction == 2 {
        &[]
    } else {
        enter.padded(length)
    };
    let after = match changed {
        None => "?".to_owned(),
        Some(bits) if direction != 1 && bits >> bit & 1 == 1 => {
            format!("{:02x?}", exit.padded(length))
        }
        Some(_) => "=".to_owned(),
    };
    format!(" {direction}[{length}] {before:02x?} {after}")
}

fn register(from: &mut Bytes<'_>) {
    match from.u8() {
        0 => {}
        1 => {
            from.text();
            kind(from);
            from.u8();
        }
        2 => {
            from.text();
            from.u8();
            kind(from);
            from.u32();
            if from.u8() == 1 {
                from.text();
                from.u32();
                if from.u8() == 1 {
                    from.u8();
                    kind(from);
                    from.take(4 + 4 + 1);
                }
            }
        }
        3 => {
            from.text();
            from.u8();
        }
        other => panic!("register {other}"),
    }
}

fn kind(from: &mut Bytes<'_>) {
    match from.u8() {
        0 | 1 | 5 => {}
        2 | 3 => {
            for _ in 0..from.u16() {
                from.text();
                from.u64();
            }
        }
        4 => {
            from.text();
        }
        6 => {
            from.text();
            from.text();
            from.take(8);
            for _ in 0..from.u16() {
                from.text();
                from.text();
                from.take(8);
                kind(from);
                from.u8();
                from.text();
            }
        }
        7 => {
            from.take(8);
            kind(from);
        }
        other => panic!("kind {other}"),
    }
}

/// The LZ4 block format, from its own description.
fn lz4_block(packed: &[u8]) -> Vec<u8> {
    fn longer(from: &mut Bytes<'_>, nibble: u8) -> usize {
        let mut length = usize::from(nibble);
        if nibble == 15 {
            loop {
                let more = from.u8();
                length += usize::from(more);
                if more != 255 {
                    break;
                }
            }
        }
        length
    }
    let mut from = Bytes(packed);
    let mut out = Vec::new();
    loop {
        let token = from.u8();
        let literals = longer(&mut from, token >> 4);
        out.extend_from_slice(from.take(literals));
        if from.0.is_empty() {
            return out;
        }
        let back = from.u16();
        for _ in 0..longer(&mut from, token & 15) + 4 {
            out.push(out[out.len() - back]);
        }
    }
}

/// The library's reading in the same words.
fn lines(trace: &Trace) -> BTreeSet<String> {
    trace.entries().map(|entry| line(&entry)).collect()
}

fn line(entry: &Entry) -> String {
    match entry {
        Entry::Call(call) => {
            let mut line = format!(
                "{}/{} {} {:#x} at {}",
                call.lane,
                call.index,
                call.schema.as_ref().map_or("?".into(), |schema| format!(
                    "{}::{}({:#x})",
                    schema.interface, schema.name, schema.number
                )),
                call.number,
                call.enter
            );
            for argument in &call.args {
                match argument {
                    Argument::Unused => line += " -",
                    Argument::Value(value) => write!(line, " {value}").unwrap(),
                    Argument::Block(block) => {
                        line += &of_block(block);
                        if let Some(link) = &block.link {
                            write!(line, " +{}", link.offset).unwrap();
                            match &link.target {
                                Target::Block(block) => line += &of_block(block),
                                Target::Pages { count, page } => {
                                    write!(
                                        line,
                                        " pages {count} {}",
                                        page.map_or(0, |page| page + 1)
                                    )
                                    .unwrap();
                                }
                                Target::Address(address) => {
                                    write!(line, " address {address}").unwrap()
                                }
                            }
                        }
                    }
                }
            }
            assert_eq!(
                call.blocks().count(),
                Place::ALL
                    .iter()
                    .filter(|place| call.block(**place).is_some())
                    .count()
            );
            match (&call.outcome, call.duration) {
                (Outcome::Returned(rax), Some(duration)) => {
                    write!(line, " for {duration}: {rax}").unwrap()
                }
                (Outcome::Failed(failure), Some(duration)) => {
                    write!(line, " for {duration}: failed {}", of_failure(failure)).unwrap();
                }
                _ => line += " never returned",
            }
            line
        }
        Entry::Lost(lost) => {
            use hypercall_trace::LossCause::*;
            let cause = match lost.cause {
                RingFull => 1,
                Overwritten => 2,
                TooLarge => 3,
                Busy => 4,
                Sink => 5,
                Damaged => 6,
                Other(cause) => cause,
            };
            format!(
                "{}/{} lost {} because {cause}, {} to {}",
                lost.lane, lost.index, lost.count, lost.first, lost.last
            )
        }
        Entry::Pages(change) => {
            let when = match change.when {
                When::Enter => 0,
                When::Exit => 1,
                When::Note => 2,
            };
            let mut line = format!(
                "{}/{} page {} at {} when {when} look {} late {}:",
                change.lane, change.index, change.page, change.ticks, change.look, change.late
            );
            for run in &change.runs {
                write!(
                    line,
                    " {} {:02x?} {:02x?}",
                    run.offset, run.before, run.after
                )
                .unwrap();
            }
            line
        }
        Entry::Unknown(unknown) => {
            format!(
                "{}/{} unknown {} {:02x?}",
                unknown.lane, unknown.index, unknown.kind, unknown.bytes
            )
        }
        Entry::Damaged(damaged) => panic!("{damaged:?}"),
    }
}

fn of_block(block: &Block) -> String {
    use hypercall_core::call::Direction;
    let direction = match block.direction {
        Direction::Read => 1,
        Direction::Write => 2,
        Direction::ReadWrite => 3,
    };
    let after = match &block.after {
        After::Unfinished => "?".to_owned(),
        After::Unchanged => "=".to_owned(),
        After::Changed(bytes) => format!("{bytes:02x?}"),
    };
    format!(
        " {direction}[{}] {:02x?} {after}",
        block.length, block.before
    )
}

fn of_failure(failure: &Failure) -> String {
    let (code, detail, first, second) = match failure {
        Failure::Untranslatable { register, nested } => {
            (1, register | u8::from(*nested) << 1, "", "")
        }
        Failure::Layer { layer, reason } => (2, 0, layer.as_str(), reason.as_str()),
        Failure::Crashed(why) => (3, 0, why.as_str(), ""),
        Failure::Hung(why) => (4, 0, why.as_str(), ""),
        Failure::Fault(vector) => (5, *vector, "", ""),
        Failure::Unsupported(why) => (6, 0, why.as_str(), ""),
        Failure::Unexpected(why) => (7, 0, why.as_str(), ""),
        Failure::Lost(why) => (8, 0, why.as_str(), ""),
        Failure::Other {
            code,
            detail,
            text,
            more,
        } => (*code, *detail, text.as_str(), more.as_str()),
    };
    format!("{code} {detail} {first:?} {second:?}")
}

fn compare(bytes: &[u8], least: usize) {
    let trace = Trace::from_bytes(bytes).unwrap();
    let decoder = Decoder::file(bytes);
    let ours: BTreeSet<String> = decoder.lines.iter().cloned().collect();
    assert_eq!(ours, lines(&trace));
    assert!(ours.len() >= least, "{}", ours.len());
    let names: Vec<_> = trace
        .lanes()
        .iter()
        .map(|lane| (lane.id as usize, lane.name.clone()))
        .collect();
    assert_eq!(decoder.lanes.into_iter().collect::<Vec<_>>(), names);
    let clock = trace.clock();
    let point = |point: &hypercall_trace::clock::ClockPoint| {
        (point.frequency, point.ticks, point.unix_nanoseconds)
    };
    assert_eq!(decoder.clock.first(), Some(&point(&clock.first)));
    assert_eq!(decoder.clock.last(), Some(&point(&clock.last)));
    let calls: Vec<_> = trace
        .schema()
        .calls()
        .map(|call| format!("{}::{}({:#x})", call.interface, call.name, call.number))
        .collect();
    assert_eq!(decoder.calls, calls);
}

#[test]
fn the_page_is_enough_to_read_the_files_of_every_version() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for name in [
        "v1-plain.hct",
        "v1-lz4.hct",
        "v1-zstd.hct",
        "v1-pages.hct",
        "vm_life.hct",
        "every_call.hct",
        "answers.hct",
    ] {
        compare(&std::fs::read(folder.join(name)).unwrap(), 10);
    }
    compare(&std::fs::read(folder.join("v1-lines.hct")).unwrap(), 7);
}

#[test]
fn the_page_is_enough_for_every_kind_of_entry() {
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd(3)] {
        compare(&file::everything(compression, true, 5).0, 40);
    }
}
