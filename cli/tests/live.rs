//! Recordings that are under way, and recordings whose process was killed.

mod common;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use common::{Folder, Sample, hcall, loopback, output, recording};
use hypercall_core::Client;
use hypercall_core::acrn::Hypervisor as _;
use hypercall_mock::fake::FakeAcrn;
use hypercall_trace::entry::{Argument, Call, Entry, Outcome, PageChange, Run, Target, When};
use hypercall_trace::read::Trace;
use hypercall_trace::record::Recorder;

#[test]
fn follow_shows_calls_as_they_come_and_ends_with_the_recording() {
    let folder = Folder::new();
    let path = folder.text("live.hct");
    let recording = recording().create(&path).unwrap();
    let machine = FakeAcrn::new();
    let transport = loopback(&machine);
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("hcall"))
        .args(["show", &path, "--follow", "--json", "-l", "main"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acrn = Client::new(Recorder::new(transport, recording.lane("main").unwrap()));
    for index in 0..3 {
        acrn.get_api_version().unwrap();
        // It comes although the recording goes on.
        let line = lines.next().unwrap().unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["call"], &value["index"]),
            (&"get_api_version".into(), &index.into())
        );
    }
    drop(acrn);
    recording.finish();
    assert!(lines.next().is_none());
    assert!(child.wait().unwrap().success());
}

#[test]
fn follow_shows_a_call_that_hangs_and_what_is_damaged_and_missing() {
    let folder = Folder::new();
    let mut sample = Sample::everything();
    sample.block = 512;
    // A lane with a hole of its own, before what is noted as lost.
    sample.entries.retain(|entry| {
        !matches!(entry, Entry::Call(call) if call.lane == 0 && (3..6).contains(&call.index))
    });
    let good = folder.trace("good.hct", &sample);
    let mut bytes = std::fs::read(&good).unwrap();
    let trace = Trace::open(&good).unwrap();
    let first = trace.data().next().unwrap();
    bytes[usize::try_from(first.offset).unwrap() + 70] ^= 1;
    std::fs::write(folder.path("bad.hct"), &bytes).unwrap();
    for name in ["good.hct", "bad.hct"] {
        let path = folder.text(name);
        let run = |arguments: &[&str]| {
            let mut command = hcall();
            command.args(["show", &path, "--json"]).args(arguments);
            let output = command.output().unwrap();
            (output.status.code(), output.stdout, output.stderr)
        };
        let plain = run(&["--file-order"]);
        assert_eq!(plain.0, Some(if name == "bad.hct" { 4 } else { 0 }));
        assert_eq!(run(&["--follow"]), plain);
    }
}

/// Answers the first call, and the second one when it is told to.
struct Hangs(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);

impl hypercall_core::Transport for Hangs {
    fn call<'a>(
        &self,
        _: &'static hypercall_core::call::CallInfo,
        _: [hypercall_core::arg::Arg<'a>; 2],
    ) -> Result<i64, hypercall_core::TransportError> {
        self.0.lock().unwrap().recv().unwrap();
        Ok(0)
    }
}

#[test]
fn follow_shows_an_announced_call_before_it_returns() {
    let folder = Folder::new();
    let path = folder.text("hang.hct");
    let recording = recording()
        .sync(hypercall_trace::record::SyncPolicy::EachCall)
        .create(&path)
        .unwrap();
    let lane = recording.lane("main").unwrap();
    let (answer, answers) = std::sync::mpsc::channel();
    let program = std::thread::spawn(move || {
        let acrn = Client::new(Recorder::new(Hangs(answers.into()), lane));
        acrn.pause_vm(hypercall_core::acrn::VmId(1)).unwrap();
    });
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("hcall"))
        .args(["show", &path, "--follow", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next =
        || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let hanging = next();
    assert_eq!(hanging["call"], "pause_vm");
    assert_eq!(hanging["unfinished"], true);
    answer.send(()).unwrap();
    program.join().unwrap();
    recording.finish();
    let returned = next();
    assert_eq!(
        (&returned["call"], &returned["rax"]),
        (&"pause_vm".into(), &0.into())
    );
    assert!(lines.next().is_none());
    assert!(child.wait().unwrap().success());
}

/// A recording was killed in a call, and another one goes on behind it in the file: what pages of that one hold is not forgotten where the
/// call that hangs is shown.
#[test]
fn a_call_that_hangs_in_another_recording_leaves_the_pages_of_the_one_that_goes_on() {
    use std::io::Write as _;
    // The place in a page of I/O requests of the first slot's state, of the port and of the size.
    let look = |ticks, words: &[(u32, u32, u32)]| {
        let run = |(offset, before, after): &(u32, u32, u32)| Run {
            offset: *offset,
            before: before.to_le_bytes().to_vec(),
            after: after.to_le_bytes().to_vec(),
        };
        Entry::Pages(PageChange {
            lane: 0,
            index: 1,
            when: When::Note,
            page: 0,
            ticks,
            look: 1,
            late: false,
            runs: words.iter().map(run).collect(),
        })
    };
    let life = Sample::life();
    let call = |name: &str| {
        let calls = life.entries.iter().filter_map(|entry| match entry {
            Entry::Call(call) => Some(call),
            _ => None,
        });
        let found = calls.clone().find(|call| call.name() == name);
        Call {
            index: 0,
            ..found.unwrap().clone()
        }
    };
    let mut gives = call("set_ioreq_buffer");
    for argument in &mut gives.args {
        if let Argument::Block(block) = argument
            && let Some(link) = &mut block.link
            && let Target::Pages { page, .. } = &mut link.target
        {
            *page = Some(0);
        }
    }
    // The first recording: a call that was announced, and nothing behind it.
    let hangs = Sample {
        entries: vec![Entry::Call(Call {
            duration: None,
            outcome: Outcome::Unfinished,
            ..call("pause_vm")
        })],
        ..life.clone()
    };
    let mut bytes = hangs.unfinished();
    let blocks = |bytes: &[u8]| -> Vec<std::ops::Range<usize>> {
        let trace = Trace::from_bytes(bytes.to_vec()).unwrap();
        let starts = trace.data().map(|block| block.offset);
        let ends = trace.data().map(|block| block.header.span() + block.offset);
        let number = |offset| usize::try_from(offset).unwrap();
        starts
            .zip(ends)
            .map(|(start, end)| number(start)..number(end))
            .collect()
    };
    let [announced] = blocks(&bytes).try_into().unwrap();
    bytes.truncate(announced.end);
    bytes[announced.start + 4] = 5;
    let crc = common::crc(&bytes[announced.start..announced.start + 60]);
    bytes[announced.start + 60..announced.start + 64].copy_from_slice(&crc.to_le_bytes());
    // The second one: a request, and its answer.
    let second = Sample {
        entries: vec![
            Entry::Call(gives),
            look(2_000_000, &[(136, 0, 3)]),
            look(2_100_000, &[(72, 0, 0x64), (80, 0, 1), (136, 3, 0)]),
            // Enough for the answer to stand in a block of its own.
            Entry::Pages(PageChange {
                lane: 0,
                index: 1,
                when: When::Note,
                page: 1,
                ticks: 2_150_000,
                look: 2,
                late: false,
                runs: vec![Run {
                    offset: 0,
                    before: vec![0; 4096],
                    after: (0..=255).cycle().take(4096).collect(),
                }],
            }),
            look(2_200_000, &[(88, 0, 0x1c), (136, 0, 1)]),
        ],
        block: 1 << 10,
        ..life
    }
    .bytes();
    let last = blocks(&second).pop().unwrap();
    bytes.extend(&second[32..last.start]);
    let folder = Folder::new();
    let path = folder.text("joined.hct");
    std::fs::write(&path, &bytes).unwrap();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("hcall"))
        .args(["show", &path, "--follow", "--time", "none"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = lines
        .map(Result::unwrap)
        .filter(|line| !line.contains("page 1 "));
    let mut next = || lines.next().unwrap();
    assert_eq!(next(), "--- recording 1 ---");
    assert!(next().contains("set_ioreq_buffer"));
    assert!(next().contains("vCPU 0 FREE"));
    assert!(next().contains("PENDING: PIO read of port 0x64"));
    assert_eq!(next(), "--- recording 0 ---");
    assert!(next().contains("pause_vm"));
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    file.write_all(&second[last.start..]).unwrap();
    assert_eq!(next(), "--- recording 1 ---");
    let answered = next();
    assert!(
        answered.contains("COMPLETE: PIO read of port 0x64, 1 byte, value 0x1c"),
        "{answered}"
    );
    assert!(lines.next().is_none());
    assert!(child.wait().unwrap().success());
}

/// Where the process that is killed records, and whether its rings are there too.
const CHILD: &str = "HCALL_TEST_RECORDING";
const RINGS: &str = "HCALL_TEST_RINGS";

/// What the process that is killed does. Not a test of its own: without the folder it does nothing.
#[test]
fn child() {
    use std::io::Write as _;
    let Ok(folder) = std::env::var(CHILD) else {
        return;
    };
    let folder = std::path::Path::new(&folder);
    let mut options = recording();
    if std::env::var_os(RINGS).is_some() {
        options = options.rings(folder.join("rings"));
    }
    let recording = options.create(folder.join("dead.hct")).unwrap();
    let machine = FakeAcrn::new();
    let transport = loopback(&machine);
    let acrn = Client::new(Recorder::new(transport, recording.lane("main").unwrap()));
    let mut returned = std::fs::File::create(folder.join("returned")).unwrap();
    loop {
        acrn.get_api_version().unwrap();
        returned.write_all(b".").unwrap();
    }
}

/// A process that records until it is killed.
fn recording_process(folder: &Folder, rings_too: bool) -> std::process::Child {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    if rings_too {
        command.env(RINGS, "1");
    }
    command
        .args(["--exact", "child"])
        .env(CHILD, folder.path(""))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// How many of its calls have returned.
fn returned(folder: &Folder) -> u64 {
    std::fs::metadata(folder.path("returned")).map_or(0, |data| data.len())
}

/// The number of a recording stands at the start of the file.
fn wait_for_number(file: &str) {
    while Trace::open(file).is_err() {
        std::thread::yield_now();
    }
}

fn wait_for_calls(folder: &Folder, recorder: &mut std::process::Child, least: u64) {
    while returned(folder) < least {
        assert!(recorder.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
}

#[test]
fn follow_ends_when_the_process_that_recorded_is_killed() {
    let folder = Folder::new();
    let mut recorder = recording_process(&folder, true);
    let file = folder.text("dead.hct");
    while !std::path::Path::new(&file).exists() {
        assert!(recorder.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("hcall"))
        .args(["show", &file, "--follow", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..100 {
        shown.next().unwrap().unwrap();
    }
    recorder.kill().unwrap();
    recorder.wait().unwrap();
    let more = shown.map(Result::unwrap).count();
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
    // What the kill cut off is told, as by every view.
    let status = child.wait().unwrap().code();
    assert!(
        said.contains("nobody goes on with the recording: its process was killed"),
        "{said}"
    );
    assert!(said.contains("the recording was not finished"), "{said}");
    let plain = hcall().args(["show", &file, "--json"]).output().unwrap();
    assert_eq!(status, plain.status.code(), "{said}");
    let all = String::from_utf8(plain.stdout).unwrap().lines().count();
    assert_eq!(more + 100, all, "{said}");
    // Somebody who comes later does not wait either, and is shown what there is of a block that will never be whole.
    let bytes = std::fs::read(&file).unwrap();
    for cut in [0, 40] {
        std::fs::write(&file, &bytes[..bytes.len() - cut]).unwrap();
        let [late, plain] = [&["--follow"][..], &[]].map(|follow| {
            let mut command = hcall();
            command.args(["show", &file, "--json"]).args(follow);
            let output = command.output().unwrap();
            (
                output.status.code(),
                String::from_utf8(output.stdout).unwrap(),
            )
        });
        assert_eq!(late, plain);
        assert!(cut == 0 || late.0 == Some(4), "{late:?}");
    }
}

/// A link to where only the recording sees its rings, as one in a container leaves it in a place that it shares.
#[test]
#[cfg(unix)]
fn of_rings_that_are_elsewhere_nobody_knows_whether_somebody_fills_them() {
    let folder = Folder::new();
    let file = folder.text("live.hct");
    let options = recording().rings(folder.path("rings"));
    let recording = options.create(&file).unwrap();
    wait_for_number(&file);
    std::fs::rename(folder.path("rings"), folder.path("moved")).unwrap();
    let goes_on = || {
        let output = hcall().args(["verify", &file, "--json"]).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["goes_on"].clone()
    };
    assert_eq!(goes_on(), serde_json::Value::Null);
    std::fs::rename(folder.path("moved"), folder.path("rings")).unwrap();
    assert_eq!(goes_on(), true);
    recording.finish();
    assert_eq!(goes_on(), false);
}

#[test]
fn what_goes_on_is_said_to_go_on() {
    let folder = Folder::new();
    let (file, copy) = (folder.text("live.hct"), folder.text("copy.hct"));
    let recording = recording()
        .rings(folder.path("rings"))
        .create(&file)
        .unwrap();
    let machine = FakeAcrn::new();
    let transport = loopback(&machine);
    let acrn = Client::new(Recorder::new(transport, recording.lane("main").unwrap()));
    acrn.get_api_version().unwrap();
    wait_for_number(&file);
    let run = |arguments: &[&str]| {
        let output = hcall().args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let goes_on = || {
        let report: serde_json::Value =
            serde_json::from_str(&run(&["verify", &file, "--json"]).0).unwrap();
        report["goes_on"].clone()
    };
    assert_eq!(goes_on(), true);
    let (said, _) = run(&["verify", &file]);
    assert!(
        said.contains("the recording goes on; its rings are in "),
        "{said}"
    );
    let (out, err) = run(&["recover", &file, "-o", &copy]);
    assert!(err.contains("hcall: the recording goes on: "), "{err}");
    assert!(!out.contains("delete"), "{out}");
    drop(acrn);
    recording.finish();
    assert_eq!(goes_on(), false);
}

#[test]
fn what_a_killed_process_recorded_is_recovered() {
    for least in [1, 500] {
        let folder = Folder::new();
        let mut child = recording_process(&folder, true);
        wait_for_calls(&folder, &mut child, least);
        child.kill().unwrap();
        child.wait().unwrap();
        let (file, rings, whole) = (
            folder.text("dead.hct"),
            folder.text("rings"),
            folder.text("whole.hct"),
        );
        let said = output(&["recover", &file, "--rings", &rings, "-o", &whole]);
        assert!(said.contains("from 1 ring"), "{said}");
        output(&["verify", &whole]);
        let shown = output(&["show", &whole, "--json"]);
        let came_back = shown
            .lines()
            .filter(|line| !line.contains("\"unfinished\":true"))
            .count();
        // One may have returned, and the process died before it could say so.
        let returned = usize::try_from(returned(&folder)).unwrap();
        assert!(
            came_back == returned || came_back == returned + 1,
            "{came_back} of {returned}"
        );
        // The file alone, as the kill left it, opens as well, unless nothing had reached it.
        let begun = std::fs::metadata(&file).unwrap().len() >= 32;
        hcall()
            .args(["show", &file])
            .assert()
            .code(if begun { 0 } else { 3 });
        // From the rings alone comes what had not left them, and that what had is missing. How fast the clock is may be known to
        // the file only.
        std::fs::write(&file, b"").unwrap();
        let from_rings = folder.text("rings.hct");
        output(&["recover", &file, "--rings", &rings, "-o", &from_rings]);
        let without_times = |text: &str| -> Vec<serde_json::Value> {
            let lines = text.lines().map(|line| {
                let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
                for time in ["time_ns", "unix_ns", "duration_ns"] {
                    line[time].take();
                }
                line
            });
            lines.collect()
        };
        let all = without_times(&shown);
        let mut rest = without_times(&output(&["show", &from_rings, "--json"]));
        let mut gone = 0;
        if let Some(lost) = rest.first().map(|line| &line["lost"])
            && lost.is_object()
        {
            assert_eq!(lost["index"], 0);
            gone = usize::try_from(lost["count"].as_u64().unwrap()).unwrap();
            rest.remove(0);
        }
        assert_eq!(rest, all[gone..]);
    }
}

#[test]
fn rings_are_found_by_the_number_of_the_trace() {
    rings_are_found(false);
}

/// A link leads to them.
#[test]
#[cfg(unix)]
fn rings_in_a_folder_of_the_programs_are_found_as_well() {
    rings_are_found(true);
}

fn rings_are_found(elsewhere: bool) {
    let folder = Folder::new();
    let mut recorder = recording_process(&folder, elsewhere);
    wait_for_calls(&folder, &mut recorder, 10);
    let (path, whole) = (folder.text("dead.hct"), folder.text("whole.hct"));
    wait_for_number(&path);
    // It is dead and not yet buried: a recording that begins meanwhile, as other tests make, clears away links of processes that are gone
    // when what they lead to is not there.
    recorder.kill().unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{}", recorder.id()));
    let is_dead = || {
        let state = std::fs::read_to_string(process.join("stat")).unwrap();
        // Threads other than the first one are gone when they are dead.
        let threads = std::fs::read_dir(process.join("task")).unwrap().count();
        state.contains(") Z ") && threads == 1
    };
    while !is_dead() {
        std::thread::yield_now();
    }
    let run = || {
        let mut command = hcall();
        command.args(["recover", &path, "-o", &whole, "--force"]);
        let output = command.output().unwrap();
        (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (said, noticed) = run();
    assert!(
        said.contains("from 1 ring:") && said.contains("delete them"),
        "{said}"
    );
    assert_eq!(said.contains("and the link that leads there"), elsewhere);
    let verified: serde_json::Value = {
        let json = hcall().args(["verify", "--json", &path]).output().unwrap();
        serde_json::from_slice(&json.stdout).unwrap()
    };
    let place = std::path::PathBuf::from(verified["rings"][0].as_str().unwrap());
    assert_eq!(place == folder.path("rings"), elsewhere);
    assert_eq!(verified["goes_on"], false);
    assert!(
        noticed.contains(&format!("the recording's rings are in {}", place.display())),
        "{noticed}"
    );
    hcall()
        .args(["verify", &path])
        .assert()
        .stdout(predicates::str::contains(
            "nobody goes on with the recording",
        ))
        .stdout(predicates::str::contains(format!(
            "hcall recover {path} -o WHOLE"
        )))
        .stdout(predicates::str::contains(format!(
            "its rings in {}",
            place.display()
        )));
    if elsewhere {
        // They were taken away, which is not to have none.
        let moved = folder.path("moved");
        std::fs::rename(&place, &moved).unwrap();
        let (said, noticed) = run();
        assert!(said.contains("from 0 rings"), "{said}");
        assert!(noticed.contains("not there any more"), "{noticed}");
        std::fs::rename(&moved, &place).unwrap();
        // The link that the killed process left.
        let link = std::fs::read_dir("/dev/shm").unwrap().flatten();
        let link = link
            .map(|entry| entry.path())
            .find(|path| path.read_link().is_ok_and(|to| to == place));
        std::fs::remove_file(link.unwrap()).unwrap();
    } else {
        std::fs::remove_dir_all(&place).unwrap();
    }
    // Nothing leads to them now, and that is said.
    let (said, noticed) = run();
    assert!(said.contains("from 0 rings"), "{said}");
    assert!(
        noticed.contains("name the folder with --rings"),
        "{noticed}"
    );
    // What they had is missing.
    hcall()
        .args(["recover", &path, "-o", &whole, "--force"])
        .assert()
        .code(4);
    recorder.wait().unwrap();
}

/// The rings hold what was replaced in the file.
#[test]
fn no_rings_belong_to_what_was_redacted() {
    let folder = Folder::new();
    let (path, copy, red, whole) = (
        folder.text("dead.hct"),
        folder.text("copy.hct"),
        folder.text("red.hct"),
        folder.text("whole.hct"),
    );
    let recording = recording()
        .sync(hypercall_trace::record::SyncPolicy::EachCall)
        .create(&path)
        .unwrap();
    let place = recording.rings().to_string_lossy().into_owned();
    let machine = FakeAcrn::new();
    let transport = loopback(&machine);
    let acrn = Client::new(Recorder::new(transport, recording.lane("main").unwrap()));
    let name = "TopSecretVm".try_into().unwrap();
    acrn.create_vm(&mut hypercall_core::acrn::VmCreation::new(name))
        .unwrap();
    acrn.get_api_version().unwrap();
    // What a killed process leaves.
    std::fs::copy(&path, &copy).unwrap();
    assert!(output(&["show", &copy]).contains("TopSecretVm"));
    output(&["redact", &copy, "--text", "-o", &red]);
    let shown = output(&["show", &red, "--full"]);
    assert!(shown.contains("create_vm") && !shown.contains("TopSecretVm"));
    let verified: serde_json::Value =
        serde_json::from_str(&output(&["verify", "--json", &red])).unwrap();
    assert_eq!(verified["rings"].as_array().unwrap().len(), 0);
    // It has none, as it says.
    hcall()
        .args(["recover", &red, "-o", &whole])
        .assert()
        .code(4);
    let recovered = output(&["show", &whole, "--full"]);
    assert_eq!(recovered, shown);
    // Whoever names them is told.
    hcall()
        .args(["recover", &red, "--rings", &place, "-o", &whole, "--force"])
        .assert()
        .code(3)
        .stderr(predicates::str::contains(
            "recover each recording for itself",
        ));
    drop(acrn);
    recording.finish();
}

#[test]
fn a_recording_is_recovered_from_its_rings() {
    let folder = Folder::new();
    let (path, rings, whole) = (
        folder.text("dead.hct"),
        folder.text("rings"),
        folder.text("whole.hct"),
    );
    let recording = recording().rings(&rings).create(&path).unwrap();
    let machine = FakeAcrn::new();
    let transport = loopback(&machine);
    let acrn = Client::new(Recorder::new(transport, recording.lane("main").unwrap()));
    for _ in 0..10 {
        acrn.get_api_version().unwrap();
    }
    // What a killed process leaves: the rings as they are now. Its file may have nothing yet.
    output(&["recover", "--rings", &rings, "-o", &whole]);
    assert_eq!(output(&["show", &whole, "--json"]).lines().count(), 10);
    output(&["verify", &whole]);
    hcall()
        .args(["recover", &path, "--rings", &rings, "-o", &whole, "--force"])
        .assert()
        .code(0);
    assert_eq!(output(&["show", &whole, "--json"]).lines().count(), 10);
    hcall()
        .args([
            "recover",
            "--rings",
            &folder.text(""),
            "-o",
            &whole,
            "--force",
        ])
        .assert()
        .code(3);
    drop(acrn);
    recording.finish();
}

#[test]
fn what_rings_that_cannot_be_read_held_is_not_said_to_be_there() {
    let folder = Folder::new();
    let (path, rings) = (folder.text("dead.hct"), folder.path("rings"));
    let recording = recording().rings(&rings).create(&path).unwrap();
    let machine = FakeAcrn::new();
    for lane in ["main", "vcpu"] {
        let transport = loopback(&machine);
        let acrn = Client::new(Recorder::new(transport, recording.lane(lane).unwrap()));
        acrn.get_api_version().unwrap();
    }
    let left = folder.text("left");
    std::fs::create_dir(&left).unwrap();
    for ring in ["lane-0.ring", "lane-1.ring"] {
        let mut bytes = std::fs::read(rings.join(ring)).unwrap();
        if ring == "lane-1.ring" {
            bytes[..64].fill(0);
        }
        std::fs::write(folder.path("left").join(ring), bytes).unwrap();
    }
    let to = folder.text("recovered.hct");
    hcall()
        .args(["recover", "--rings", &left, "-o", &to])
        .assert()
        .code(4)
        .stdout(predicates::str::contains("from 1 ring"));
    hcall()
        .args(["show", &to])
        .assert()
        .code(0)
        .stdout(predicates::str::contains("get_api_version"))
        .stderr(predicates::str::contains("was not finished"));
    recording.finish();
}

/// The rings stay until the recording is finished: where one is not there, what it held is not.
#[test]
fn without_the_ring_of_a_lane_a_recording_is_not_said_to_be_whole() {
    let folder = Folder::new();
    let (path, rings) = (folder.text("dead.hct"), folder.path("rings"));
    let recording = recording()
        .sync(hypercall_trace::record::SyncPolicy::EachCall)
        .rings(&rings)
        .create(&path)
        .unwrap();
    let machine = FakeAcrn::new();
    for lane in ["main", "vcpu"] {
        let transport = loopback(&machine);
        let acrn = Client::new(Recorder::new(transport, recording.lane(lane).unwrap()));
        acrn.get_api_version().unwrap();
    }
    let (file, one, to) = (
        folder.text("copy.hct"),
        folder.text("one"),
        folder.text("recovered.hct"),
    );
    std::fs::copy(&path, &file).unwrap();
    std::fs::create_dir(&one).unwrap();
    std::fs::copy(rings.join("lane-0.ring"), folder.path("one/lane-0.ring")).unwrap();
    let all = rings.to_string_lossy().into_owned();
    let beside = rings.join("lane-0.ring").to_string_lossy().into_owned();
    let no_ring = "there is no ring of lane vcpu";
    let not_named = "lane-1.ring was not named";
    for (trace, rings, said) in [
        (Some(&file), &one, Some(no_ring)),
        (Some(&file), &beside, Some(no_ring)),
        (None, &beside, Some(not_named)),
        (Some(&file), &all, None),
        (None, &all, None),
    ] {
        let mut command = hcall();
        command.arg("recover").args(trace);
        command.args(["--rings", rings, "-o", &to, "--force"]);
        let run = command.output().unwrap();
        let errors = String::from_utf8(run.stderr).unwrap();
        let expected = if said.is_some() { 4 } else { 0 };
        assert_eq!(run.status.code(), Some(expected), "{rings}: {errors}");
        assert!(errors.contains(said.unwrap_or_default()), "{errors}");
        let trace = Trace::open(&to).unwrap();
        assert_eq!(trace.is_finished(), said.is_none(), "{rings}");
    }
    recording.finish();
}
