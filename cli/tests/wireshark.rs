//! The capture and its dissector, read by tshark: it prints the fields that we print.

mod common;

use std::collections::BTreeMap;
use std::process::Command;

use common::{Folder, Sample, output};
use serde_json::Value;

/// The values of a call as `show --json` has them, by the dissector's names. Lists of structs are left to the values of
/// their elements, in order.
fn flatten(prefix: &str, value: &Value, out: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                flatten(&format!("{prefix}.{}", name.to_lowercase()), value, out);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            list.iter().for_each(|value| flatten(prefix, value, out));
        }
        // Flags, by their names.
        Value::Array(list) => {
            let names: Vec<_> = list.iter().filter_map(Value::as_str).collect();
            let text = if names.is_empty() {
                "0".to_owned()
            } else {
                names.join("|")
            };
            out.entry(format!("{prefix}.name")).or_default().push(text);
        }
        Value::String(text) => out.entry(prefix.to_owned()).or_default().push(text.clone()),
        Value::Number(number) => out
            .entry(prefix.to_owned())
            .or_default()
            .push(number.to_string()),
        Value::Bool(_) | Value::Null => {}
    }
}

fn number(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn agree(ours: &str, theirs: &str) -> bool {
    match (number(ours), number(theirs)) {
        (Some(ours), Some(theirs)) => ours == theirs,
        // Bytes have colons there.
        _ => ours == theirs || ours == theirs.replace(':', ""),
    }
}

/// Every value that tshark has in a packet, by name. `-T json` repeats names, so the text is walked, not parsed.
fn fields(value: &Value, out: &mut BTreeMap<String, Vec<String>>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let values = value
                    .as_array()
                    .map_or_else(|| vec![value], |list| list.iter().collect());
                for value in values {
                    match value.as_str() {
                        Some(text) => out.entry(name.clone()).or_default().push(text.to_owned()),
                        None => fields(value, out),
                    }
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| fields(value, out)),
        _ => {}
    }
}

#[test]
fn tshark_prints_the_fields_that_we_print() {
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::everything());
    let (capture, script) = (folder.text("a.pcapng"), folder.text("a.lua"));
    output(&["export", &trace, "--to", "pcapng", "-o", &capture]);
    output(&["export", &trace, "--to", "dissector", "-o", &script]);
    let lua = format!("lua_script:{script}");
    let run = Command::new("tshark")
        .args([
            "-X",
            &lua,
            "-r",
            &capture,
            "-T",
            "json",
            "--no-duplicate-keys",
        ])
        .output()
        .expect("tshark is needed: install the Debian package `tshark`");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && !errors.contains("Lua"), "{errors}");
    let packets: Vec<Value> = serde_json::from_slice(&run.stdout).unwrap();
    let shown = output(&["show", &trace, "--json", "--file-order"]);
    let ours: Vec<Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(packets.len(), ours.len(), "a packet for each entry");
    let mut compared = 0;
    for (packet, ours) in packets.iter().zip(&ours) {
        let mut theirs = BTreeMap::new();
        fields(&packet["_source"]["layers"], &mut theirs);
        let has = |name: &str, value: &str| {
            let found = theirs
                .get(name)
                .unwrap_or_else(|| panic!("{ours}: tshark has no {name}; it has {theirs:?}"));
            assert!(
                found.iter().any(|theirs| agree(value, theirs)),
                "{name}: {value} is {found:?} in tshark"
            );
        };
        assert!(
            !theirs
                .keys()
                .any(|name| name.contains("malformed") || name.contains("lua_error")),
            "{theirs:?}"
        );
        let Some(call) = ours.get("call").and_then(Value::as_str) else {
            compared += 1;
            continue;
        };
        has("hypercall.index", &ours["index"].to_string());
        has("hypercall.number", ours["number"].as_str().unwrap());
        if let Some(rax) = ours.get("rax") {
            has("hypercall.rax", &rax.to_string());
        }
        if let Some(name) = ours.pointer("/error/name").and_then(Value::as_str) {
            has("hypercall.error", name);
        }
        if let Some(text) = ours.pointer("/failure/text").and_then(Value::as_str) {
            has("hypercall.reason", text);
        }
        if call == "?" {
            continue;
        }
        has("hypercall.call", call);
        let mut values = BTreeMap::new();
        flatten(&format!("hypercall.{call}"), &ours["args"], &mut values);
        if let Some(wrote) = ours.get("wrote") {
            flatten(&format!("hypercall.{call}.wrote"), wrote, &mut values);
        }
        for (name, values) in values {
            for value in values {
                // What a shared page or an undescribed block is, stands under names for all calls.
                let name = match name.as_str() {
                    name if name.ends_with(".pages") => "hypercall.pages",
                    name if name.ends_with(".buffer") && value.starts_with("0x") => {
                        "hypercall.address"
                    }
                    name if name.ends_with(".buffer") => "hypercall.bytes",
                    // The name of an enum's value has a field of its own.
                    name if number(&value).is_none()
                        && theirs.contains_key(&format!("{name}.name")) =>
                    {
                        has(&format!("{name}.name"), &value);
                        continue;
                    }
                    name => name,
                };
                has(name, &value);
                compared += 1;
            }
        }
    }
    assert!(compared > 50, "{compared} values were compared");
}

#[test]
fn a_hostile_name_stays_a_name() {
    let folder = Folder::new();
    let trace = folder.trace("a.hct", &Sample::life());
    let lines = output(&["export", &trace]);
    let lines = lines.replace("start_vm", "x\\\"]] = nil os.exit(7) --");
    std::fs::write(folder.path("h.jsonl"), lines).unwrap();
    let hostile = folder.text("h.hct");
    output(&["import", &folder.text("h.jsonl"), "-o", &hostile]);
    let (capture, script) = (folder.text("h.pcapng"), folder.text("h.lua"));
    output(&["export", &hostile, "--to", "pcapng", "-o", &capture]);
    output(&["export", &hostile, "--to", "dissector", "-o", &script]);
    let run = Command::new("tshark")
        .args([
            "-X",
            &format!("lua_script:{script}"),
            "-r",
            &capture,
            "-T",
            "fields",
            "-e",
            "hypercall.call",
        ])
        .output()
        .expect("tshark is needed: install the Debian package `tshark`");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(
        text.contains("os.exit(7)") && text.contains("destroy_vm"),
        "{text}"
    );
}
