//! What else a program might record a call with 64 bytes by, in the same rounds: two times, the call's number, its
//! argument, its memory and its result, however each of them keeps that.

mod lttng;

use crate::setup::*;
use hypercall_core::Transport;
use hypercall_core::arg::Arg;
use hypercall_trace::clock::{Clock, Tsc};
use hypercall_trace::record::{Full, Recorder, Recording};
use lttng::{Lttng, Round};
use std::hint::black_box;
use std::io::{self, Write};

/// Rounds: some of these take a hundred times as long as the ring.
const ROUNDS: usize = 11;

/// A call as a struct, for postcard.
#[derive(serde::Serialize)]
struct Event<'b> {
    enter: u64,
    duration: u64,
    number: u64,
    value: u64,
    rax: i64,
    #[serde(serialize_with = "as_bytes")]
    bytes: &'b [u8],
}

/// A slice is a sequence of numbers to serde, which postcard would take one by one.
fn as_bytes<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Makes every call between two readings of the counter, and hands it on.
fn events(bytes: &[u8], mut put: impl FnMut(&Event<'_>)) {
    for value in 0..CALLS {
        let enter = Tsc.now();
        let args = [Arg::Value(value), Arg::Read(black_box(bytes))];
        let rax = Null.call(BenchCalls::BLOB, args).unwrap_or(-1);
        put(&Event {
            enter,
            duration: Tsc.now() - enter,
            number: BenchCalls::BLOB.number,
            value,
            rax,
            bytes,
        });
    }
}

/// The event's words, one behind the other, without padding or checksum.
fn raw(sink: &mut impl Write, event: &Event<'_>) {
    let mut record = [0; 104];
    let words = [
        event.enter,
        event.duration,
        event.number,
        event.value,
        event.rax.cast_unsigned(),
    ];
    for (to, word) in record.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    record[40..].copy_from_slice(event.bytes);
    sink.write_all(&record).unwrap();
}

struct Reporter;
impl fastrace::collector::Reporter for Reporter {
    fn report(&mut self, spans: Vec<fastrace::collector::SpanRecord>) {
        black_box(spans);
    }
}

/// Spans with properties: fastrace takes its times itself. A trace has room for some thousands of spans.
fn spans(bytes: &[u8]) {
    use fastrace::prelude::{LocalSpan, Span, SpanContext};
    const SPANS: u64 = 1000;
    for trace in 0..CALLS / SPANS {
        let root = Span::root("calls", SpanContext::random());
        let _parent = root.set_local_parent();
        for value in trace * SPANS..(trace + 1) * SPANS {
            let _span = LocalSpan::enter_with_local_parent("blob").with_properties(|| {
                [
                    ("value", value.to_string()),
                    ("bytes", format!("{bytes:02x?}")),
                ]
            });
            let args = [Arg::Value(value), Arg::Read(black_box(bytes))];
            look(Null.call(BenchCalls::BLOB, args));
        }
    }
}

pub(crate) fn alternatives() {
    println!(
        "alternatives, ns per call with 64 bytes less the call itself (median of {ROUNDS} rounds of {CALLS})"
    );
    let mut bytes = [0; 64];
    payload(&mut bytes, 7);
    let folder = Folder::new();
    let recording = Recording::options(INTERFACES)
        .rings(&folder.0)
        .full(Full::Overwrite)
        .start(tempfile())
        .unwrap();
    let recorder = Recorder::new(Null, recording.lane("main").unwrap());
    let mut raw_file = io::BufWriter::new(tempfile());
    let mut postcard_file = io::BufWriter::new(tempfile());
    let mut direct = tempfile();
    let (writer, _guard) = tracing_appender::non_blocking(tempfile());
    let dropped = writer.error_counter();
    let subscriber = tracing::Dispatch::new(
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(writer)
            .finish(),
    );
    fastrace::set_reporter(Reporter, fastrace::collector::Config::default());

    let mut ring = vec![0_u8; 1 << 16];
    let (mut floors, mut bare) = (Vec::new(), Vec::new());
    let names = [
        "this recorder, drained into a file",
        "BufWriter, raw words",
        "BufWriter, postcard",
        "fastrace, spans with properties",
        "write(2) for each call",
        "tracing, text, non-blocking appender",
    ];
    let mut costs: [Vec<f64>; 6] = Default::default();
    let mut lttng = Beside::start();
    for _ in 0..ROUNDS {
        floors.push(floor(&mut ring));
        bare.push(ns_per(CALLS, || calls(&Null, &bytes)));
        let round = [
            ns_per(CALLS, || calls(&recorder, &bytes)),
            ns_per(CALLS, || events(&bytes, |event| raw(&mut raw_file, event))),
            ns_per(CALLS, || {
                events(&bytes, |event| {
                    let mut room = [0; 128];
                    let record = postcard::to_slice(event, &mut room).unwrap();
                    postcard_file.write_all(record).unwrap();
                });
            }),
            ns_per(CALLS, || spans(&bytes)),
            ns_per(CALLS, || events(&bytes, |event| raw(&mut direct, event))),
            ns_per(CALLS, || {
                tracing::dispatcher::with_default(&subscriber, || {
                    events(&bytes, |event| {
                        tracing::info!(
                            enter = event.enter,
                            duration = event.duration,
                            number = event.number,
                            value = event.value,
                            rax = event.rax,
                            bytes = ?event.bytes,
                            "blob"
                        );
                    });
                });
            }),
        ];
        for (cost, value) in costs.iter_mut().zip(round) {
            cost.push(value);
        }
        lttng.round();
    }
    let (floor, bare) = (median(floors), median(bare));
    println!("  floor {floor:.1} ns; a call of the empty transport {bare:.1} ns");
    for (name, cost) in names.iter().zip(costs) {
        let cost = median(cost) - bare;
        line(name, cost, floor);
    }
    let dropped_events = lttng.print();
    println!(
        "  (tracing's appender dropped {} lines{dropped_events}; a killed process loses what a BufWriter holds)",
        dropped.dropped_lines()
    );
    recording.finish();
}

fn line(name: &str, cost: f64, floor: f64) {
    println!("  {name:37} {cost:7.1} ns  {:6.2} x floor", cost / floor);
}

/// LTTng's rounds, or why there are none.
struct Beside {
    lttng: Result<Lttng, String>,
    rounds: Vec<Round>,
}

impl Beside {
    fn start() -> Self {
        Self {
            lttng: Lttng::start(),
            rounds: Vec::new(),
        }
    }

    fn round(&mut self) {
        if let Ok(lttng) = &mut self.lttng {
            match lttng.round() {
                Ok(round) => self.rounds.push(round),
                Err(why) => self.lttng = Err(why),
            }
        }
    }

    /// Prints its line. What to say of lost events.
    fn print(self) -> String {
        match self.lttng.and_then(Lttng::finish) {
            Ok(said) => {
                let of = |cost: fn(&Round) -> f64| median(self.rounds.iter().map(cost).collect());
                let floor = of(|round| round.floor);
                let cost = of(|round| round.traced) - of(|round| round.bare);
                line("LTTng-UST, its consumer beside it", cost, floor);
                println!("    (in a process of its own, floor {floor:.1} ns there)");
                format!("; {said}")
            }
            Err(why) => {
                println!("  LTTng-UST is left out: {why}");
                String::new()
            }
        }
    }
}
