//! `show`, `stat`, `calls`, `explain`: what a person sees.

mod common;

use common::{Folder, Sample, hcall, output, same};
use hypercall_trace::entry::{Entry, Outcome};

#[test]
fn show_has_names_fields_flags_errors_and_durations() {
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::everything());
    same(&output(&["show", &trace]), "show.txt");
    same(
        &output(&[
            "show", &trace, "--hints", "--time", "utc", "-r", "error", "-l", "main",
        ]),
        "show_hints.txt",
    );
    same(
        &output(&[
            "show",
            &trace,
            "--hex",
            "--full",
            "-c",
            "create_vm,set_memory_regions",
            "--time",
            "none",
        ]),
        "show_hex.txt",
    );
}

#[test]
fn show_json_has_one_object_a_line() {
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::everything());
    let text = output(&["show", &trace, "--json"]);
    same(&text, "show.jsonl");
    let mut calls = 0;
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let kinds = ["call", "lost", "pages", "damaged", "unknown"];
        assert_eq!(
            kinds
                .iter()
                .filter(|kind| value.get(kind).is_some())
                .count(),
            1,
            "{line}"
        );
        calls += usize::from(value.get("call").is_some());
    }
    assert_eq!(calls, 21);
}

/// The names of the calls that a filter lets through.
fn names(trace: &str, filter: &[&str]) -> Vec<String> {
    let mut arguments = vec!["show", trace, "--json"];
    arguments.extend(filter);
    output(&arguments)
        .lines()
        .filter_map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            Some(value.get("call")?.as_str()?.to_owned())
        })
        .collect()
}

#[test]
fn filters_let_through_what_they_say() {
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::everything());
    let of = |filter: &[&str]| names(&trace, filter);
    assert_eq!(of(&["-c", "start_vm"]).len(), 2);
    assert_eq!(of(&["-c", "0x80000012"]).len(), 2);
    assert_eq!(
        of(&["-c", "*_vm", "-l", "main"]),
        [
            "create_vm",
            "start_vm",
            "start_vm",
            "pause_vm",
            "destroy_vm"
        ]
    );
    assert_eq!(
        of(&["-c", "!*_vm,!inject_msi", "-l", "main", "-r", "ok"]).len(),
        5
    );
    assert_eq!(of(&["--vm", "9"]), ["inject_msi"]);
    assert!(of(&["--vm", "1"]).contains(&"pm_get_px_count".to_owned()));
    assert!(of(&["--vm", "1"]).contains(&"create_vm".to_owned()));
    assert_eq!(of(&["-r", "EPERM", "-c", "start_vm"]).len(), 1);
    assert_eq!(of(&["-r", "-1", "-c", "start_vm"]).len(), 1);
    assert_eq!(of(&["-r", "failed"]).len(), 3);
    assert_eq!(of(&["-r", "unfinished"]).len(), 1);
    assert_eq!(of(&["--slower", "14us"]), ["pause_vm", "destroy_vm"]);
    assert_eq!(
        of(&["--since", "20us", "--until", "40us", "-l", "main"]),
        ["start_vm", "set_ioreq_buffer"]
    );
    assert_eq!(
        of(&["--since", "2026-01-01T00:00:00.00014Z", "-l", "main"]),
        ["destroy_vm"]
    );
    assert_eq!(of(&["--grep", "POST_.*VM1"]), ["create_vm"]);
    // The time since the line before, whatever was looked at between the two.
    let delta = output(&[
        "show",
        &trace,
        "-c",
        "start_vm,pause_vm",
        "--grep",
        "start",
        "-l",
        "main",
        "--time",
        "delta",
    ]);
    let twice: Vec<_> = delta.lines().map(|line| &line[..15]).collect();
    assert_eq!(twice, ["    0.000000000", "    0.000040000"]);
    assert_eq!(of(&["-n", "2"]).len(), 2);
    assert_eq!(
        of(&["--skip", "13", "-l", "main"]),
        ["pause_vm", "destroy_vm"]
    );
    hcall()
        .args(["show", &trace, "-l", "vcpu7"])
        .assert()
        .code(2)
        .stderr(predicates::str::contains("main, vcpu0"));
    hcall()
        .args(["show", &trace, "-c", "strat_vm"])
        .assert()
        .code(2)
        .stderr(predicates::str::contains("`start_vm` comes nearest"));
    hcall()
        .args(["show", &trace, "-r", "ENOTHING"])
        .assert()
        .code(2);
}

#[test]
fn a_page_of_a_long_trace_is_the_same_by_position_and_by_time() {
    let folder = Folder::new();
    let mut sample = Sample::many(20_000);
    sample.block = 4096;
    let trace = folder.trace("a.hct", &sample);
    let page = |options: &[&str]| {
        let mut arguments = vec!["show", &trace];
        arguments.extend(options);
        output(&arguments)
    };
    let by_position = page(&["--skip", "15000", "-n", "10"]);
    assert!(by_position.contains("#15000 ") && by_position.lines().count() == 10);
    // A call is entered each 100 ns.
    assert_eq!(
        by_position,
        page(&["--since", "1500us", "--until", "1501us"])
    );
    assert_eq!(by_position, page(&["--since", "1500us", "-n", "10"]));
}

#[test]
fn colours_are_for_terminals_and_obey() {
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::life());
    let plain = output(&["show", &trace]);
    assert!(!plain.contains('\x1b'));
    let coloured = output(&["show", &trace, "--colour", "always"]);
    assert!(coloured.contains('\x1b'));
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    let forced = hcall()
        .args(["show", &trace])
        .env("CLICOLOR_FORCE", "1")
        .output()
        .unwrap();
    assert!(String::from_utf8(forced.stdout).unwrap().contains('\x1b'));
    let refused = hcall()
        .args(["show", &trace])
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(refused.stdout).unwrap(), plain);
}

#[test]
fn stat_counts_and_compares() {
    let folder = Folder::new();
    // The longest is the longest, and no edge of a step.
    let mut long = Sample::life();
    if let Some(hypercall_trace::entry::Entry::Call(call)) = long.entries.first_mut() {
        call.duration = Some(123_456_789);
    }
    let long = folder.trace("long.hct", &long);
    assert!(output(&["stat", &long, "--json"]).contains("\"max\": 123456789"));
    let first = folder.trace("a.hct", &Sample::many(100_000));
    let second = folder.trace("b.hct", &Sample::everything());
    let json: serde_json::Value =
        serde_json::from_str(&output(&["stat", &first, "--json"])).unwrap();
    let call = &json["calls"][0];
    assert_eq!(call["count"], 100_000);
    // Within a thousandth: latencies are 0 to 999 ns, each as often.
    for (quantile, expected) in [
        ("p50", 499),
        ("p90", 899),
        ("p99", 989),
        ("p99.9", 998),
        ("max", 999),
    ] {
        assert_eq!(call["latency_ns"][quantile], expected, "{quantile}");
    }
    same(&output(&["stat", &second]), "stat.txt");
    same(&output(&["stat", &first, &second]), "stat_two.txt");
}

#[test]
fn calls_lists_the_interface() {
    let text = output(&["calls", "--json"]);
    assert_eq!(
        text.lines().count(),
        hypercall_core::acrn::HypervisorCalls::INTERFACE.calls.len()
    );
    same(&output(&["calls"]), "calls.txt");
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::life());
    assert_eq!(output(&["calls", &trace, "--json"]), text);
}

#[test]
fn explain_knows_numbers_names_and_log_lines() {
    let log =
        "[12us][cpu=0][vm0:vcpu0]:ret=-1 hypercall=0x80000023 failed in vmcall_vmexit_handler";
    assert!(output(&["explain", log]).contains("inject_msi (0x80000023)"));
    assert!(
        output(&["explain", "ret=-1", "hypercall=0x80000023", "failed"]).contains("inject_msi")
    );
    assert!(output(&["explain", "0x80000012"]).contains("start_vm"));
    assert!(output(&["explain", "HC_START_VM"]).contains("start_vm"));
    assert!(output(&["explain", "--", "-22"]).contains("EINVAL"));
    assert!(output(&["explain", "-22"]).contains("EINVAL"));
    // Options behind the text are options.
    let json = output(&["explain", "0x80000012", "--json"]);
    let _: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json.contains("start_vm"));
    hcall().args(["explain", "zork"]).assert().code(3);
}

/// A hypervisor that writes no result leaves what the transport put into RAX: nobody has to know that number.
#[test]
fn a_rax_that_nobody_wrote_is_said_to_be_that() {
    let folder = Folder::new();
    let answered = Sample::everything();
    let mut silent = Sample::everything();
    let mut changed = 0;
    for entry in &mut silent.entries {
        if let Entry::Call(call) = entry
            && call.outcome == Outcome::Returned(0)
        {
            call.outcome = Outcome::Returned(hypercall_core::RAX_UNWRITTEN);
            changed += 1;
        }
    }
    assert!(changed > 5);
    let (answered, silent) = (
        folder.trace("a.hct", &answered),
        folder.trace("s.hct", &silent),
    );
    let said = "-9223372036854775808 (RAX not written)";
    let text = output(&["show", &silent]);
    assert_eq!(text.matches(said).count(), changed, "{text}");
    let json = output(&["show", &silent, "--json"]);
    let texts = json.matches("\"text\":\"RAX not written\"").count();
    assert_eq!(texts, changed, "{json}");
    let stat = output(&["stat", &silent]);
    assert!(stat.contains("RAX not written"), "{stat}");
    let diff = hcall().args(["diff", &answered, &silent]).output().unwrap();
    let diff = String::from_utf8(diff.stdout).unwrap();
    assert!(diff.contains(said), "{diff}");
    for question in ["-9223372036854775808", "0x8000000000000000"] {
        let told = output(&["explain", question]);
        assert!(told.contains("the hypervisor did not write RAX"), "{told}");
    }
}
