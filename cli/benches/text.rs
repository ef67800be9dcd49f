//! How fast the tool makes text of a large trace, beside babeltrace2 with the same events in CTF, in the same run.
//!
//! Ratios are of processor time: the babeltrace2 run's over the tool's. The gate is 3. Without babeltrace2 only the
//! tool's own rate is printed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::call::Direction;
use hypercall_trace::clock::{ClockInfo, ClockPoint};
use hypercall_trace::entry::{After, Argument, Block, Call, Entry, Outcome};
use hypercall_trace::schema::Schema;
use hypercall_trace::write::{Options, Writer};

const EVENTS: u64 = 600_000;
const ROUNDS: usize = 3;
/// Every so many calls one is refused, and one is of another name.
const REFUSED: u64 = 50;
const OTHER: u64 = 100;
const START: u64 = 1_000_000;
const STEP: u64 = 2_000;

/// One event, the same in both forms.
struct Event {
    index: u64,
    enter: u64,
    vm: u64,
    address: u64,
    data: u64,
    rax: i64,
    duration: u64,
    start: bool,
}

fn events() -> impl Iterator<Item = Event> {
    (0..EVENTS).map(|index| Event {
        index,
        enter: START + index * STEP,
        vm: 1 + index % 3,
        address: 0xfee0_0000 + (index % 8) * 0x1000,
        data: 0x30 + index % 64,
        rax: if index % REFUSED == 1 { -1 } else { 0 },
        duration: 300 + index % 1777,
        start: index % OTHER == 7,
    })
}

fn write_trace(path: &Path) -> io::Result<()> {
    let schema = Schema::from_interfaces(&[HypervisorCalls::INTERFACE]);
    let call = |name| schema.find(None, name).cloned();
    let (inject, start) = (call("inject_msi"), call("start_vm"));
    let first = ClockPoint {
        frequency: 1_000_000_000,
        ticks: START,
        unix_nanoseconds: 1_767_225_600_000_000_000,
    };
    let clock = ClockInfo { first, last: first };
    let file = BufWriter::new(File::create(path)?);
    let mut writer = Writer::new(file, &schema, clock, Options::default())?;
    writer.lane("main")?;
    for event in events() {
        let (schema, second) = if event.start {
            (&start, Argument::Unused)
        } else {
            let mut before = event.address.to_le_bytes().to_vec();
            before.extend(event.data.to_le_bytes());
            let block = Block {
                direction: Direction::Read,
                length: before.len(),
                before,
                after: After::Unchanged,
                link: None,
            };
            (&inject, Argument::Block(block))
        };
        writer.push(&Entry::Call(Call {
            lane: 0,
            index: event.index,
            schema: schema.clone(),
            number: schema.as_ref().map_or(0, |call| call.number),
            args: [Argument::Value(event.vm), second],
            enter: event.enter,
            duration: Some(event.duration),
            outcome: Outcome::Returned(event.rax),
        }))?;
    }
    writer.finish()?.flush()
}

/// What CTF 1.8 says about the events. Both have the lane and the index, as the tool shows them.
const METADATA: &str = r#"/* CTF 1.8 */
typealias integer { size = 8; align = 8; signed = false; } := u8;
typealias integer { size = 32; align = 8; signed = false; } := u32;
typealias integer { size = 64; align = 8; signed = false; } := u64;
typealias integer { size = 64; align = 8; signed = false; base = 16; } := x64;
typealias integer { size = 64; align = 8; signed = true; } := i64;
trace { major = 1; minor = 8; byte_order = le; packet.header := struct { u32 magic; u32 stream_id; }; };
clock { name = "monotonic"; freq = 1000000000; offset = 1767225600000000000; };
typealias integer { size = 64; align = 8; signed = false; map = clock.monotonic.value; } := now;
stream {
  id = 0;
  packet.context := struct { now timestamp_begin; now timestamp_end; u64 content_size; u64 packet_size; };
  event.header := struct { u32 id; now timestamp; };
};
event { id = 0; name = "inject_msi"; stream_id = 0;
  fields := struct { u8 lane; u64 index; u64 vm; x64 address; x64 data; i64 rax; u64 duration; }; };
event { id = 1; name = "start_vm"; stream_id = 0;
  fields := struct { u8 lane; u64 index; u64 vm; i64 rax; u64 duration; }; };
"#;
const CTF_MAGIC: u32 = 0xc1fc_1fc1;
/// Events of a packet: about as many bytes as a block of ours.
const PACKET: usize = 4000;

fn write_ctf(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("metadata"), METADATA)?;
    let mut to = BufWriter::new(File::create(folder.join("stream"))?);
    let events: Vec<Event> = events().collect();
    for packet in events.chunks(PACKET) {
        let mut body = Vec::new();
        for event in packet {
            body.extend(u32::from(event.start).to_le_bytes());
            body.extend((event.enter - START).to_le_bytes());
            body.push(0);
            body.extend(event.index.to_le_bytes());
            body.extend(event.vm.to_le_bytes());
            if !event.start {
                body.extend(event.address.to_le_bytes());
                body.extend(event.data.to_le_bytes());
            }
            body.extend(event.rax.to_le_bytes());
            body.extend(event.duration.to_le_bytes());
        }
        let time = |event: Option<&Event>| event.map_or(0, |event| event.enter - START);
        let bits = (40 + body.len() as u64) * 8;
        to.write_all(&CTF_MAGIC.to_le_bytes())?;
        to.write_all(&0_u32.to_le_bytes())?;
        for word in [time(packet.first()), time(packet.last()), bits, bits] {
            to.write_all(&word.to_le_bytes())?;
        }
        to.write_all(&body)?;
    }
    to.flush()
}

/// The processor time that ended children of this process took, in clock ticks of the system.
fn children() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let behind_name = stat.rsplit(')').next().expect("a name in parentheses");
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    [13, 14]
        .iter()
        .map(|field| fields[*field].parse::<u64>().expect("a number"))
        .sum()
}

fn run(program: &str, arguments: &[&str]) -> u64 {
    let before = children();
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("it was found a moment ago");
    assert!(status.success(), "{program} {arguments:?}: {status}");
    (children() - before).max(1)
}

fn lines(program: &str, arguments: &[&str]) -> usize {
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .expect("it was found a moment ago");
    output.stdout.iter().filter(|byte| **byte == b'\n').count()
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    let (trace, ctf) = (at("a.hct"), at("ctf"));
    write_trace(&trace).expect("the trace is written");
    write_ctf(&ctf).expect("the CTF trace is written");
    let (trace, ctf) = (
        trace.to_str().expect("UTF-8"),
        ctf.to_str().expect("UTF-8").to_owned(),
    );
    let hcall = env!("CARGO_BIN_EXE_hcall");
    let babeltrace = Command::new("babeltrace2")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    let views: [(&str, Vec<&str>); 7] = [
        ("show", vec!["show", trace]),
        (
            "show --call start_vm",
            vec!["show", trace, "-c", "start_vm"],
        ),
        ("show --result EPERM", vec!["show", trace, "-r", "EPERM"]),
        ("show --vm 2", vec!["show", trace, "--vm", "2"]),
        ("show --grep 0xfee03", vec!["show", trace, "-g", "0xfee03"]),
        ("show --json", vec!["show", trace, "--json"]),
        ("stat", vec!["stat", trace]),
    ];
    assert_eq!(lines(hcall, &views[0].1), EVENTS as usize);
    let text = ["convert", &ctf];
    if babeltrace {
        assert_eq!(
            lines("babeltrace2", &text),
            EVENTS as usize,
            "the same events"
        );
    }
    let mut theirs = Vec::new();
    let mut ours: Vec<Vec<u64>> = vec![Vec::new(); views.len()];
    for _ in 0..ROUNDS {
        if babeltrace {
            theirs.push(run("babeltrace2", &text));
        }
        for ((_, arguments), times) in views.iter().zip(&mut ours) {
            times.push(run(hcall, arguments));
        }
    }
    println!("{EVENTS} events to text; processor time, medians of {ROUNDS} interleaved rounds");
    // A clock tick is a hundredth of a second on every Linux that this runs on.
    let rate = |ticks: u64| EVENTS as f64 / 10_000.0 / ticks as f64;
    let theirs = babeltrace.then(|| median(theirs));
    match theirs {
        Some(theirs) => println!("{:28} {:6.2} M events/s", "babeltrace2", rate(theirs)),
        None => println!("babeltrace2: not installed (Debian package babeltrace2)"),
    }
    for ((name, _), times) in views.iter().zip(ours) {
        let ours = median(times);
        print!("{name:28} {:6.2} M events/s", rate(ours));
        match theirs {
            Some(theirs) => {
                let ratio = theirs as f64 / ours as f64;
                let gate = match *name {
                    // Another form than text.
                    "show --json" | "stat" => "",
                    _ if ratio >= 3.0 => "  gate 3: held",
                    _ => "  gate 3: MISSED",
                };
                println!("  {ratio:5.1} x babeltrace2{gate}");
            }
            None => println!(),
        }
    }
}
