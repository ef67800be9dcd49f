//! Recordings that are under way, and recordings whose process was killed.

mod common;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use common::{Folder, hcall, output};
use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::acrn::{Hypervisor as _, HypervisorCalls};
use hypercall_core::{Client, Gpa};
use hypercall_mock::fake::FakeAcrn;
use hypercall_mock::loopback::Loopback;
use hypercall_trace::record::{Recorder, Recording};

#[test]
fn follow_shows_calls_as_they_come_and_ends_with_the_recording() {
    let folder = Folder::new();
    let path = folder.text("live.hct");
    let recording = Recording::options(&[HypervisorCalls::INTERFACE])
        .ring(1 << 20, 8)
        .create(&path)
        .unwrap();
    let machine = FakeAcrn::new();
    let transport = Loopback::new(
        AcrnServer::new(&machine),
        &machine,
        Gpa(0x100_0000),
        0x1_0000,
    );
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
fn a_killed_recording_is_recovered_from_its_rings() {
    let folder = Folder::new();
    let (path, rings, whole) = (
        folder.text("dead.hct"),
        folder.text("rings"),
        folder.text("whole.hct"),
    );
    let recording = Recording::options(&[HypervisorCalls::INTERFACE])
        .ring(1 << 20, 8)
        .rings(&rings)
        .create(&path)
        .unwrap();
    let machine = FakeAcrn::new();
    let transport = Loopback::new(
        AcrnServer::new(&machine),
        &machine,
        Gpa(0x100_0000),
        0x1_0000,
    );
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
