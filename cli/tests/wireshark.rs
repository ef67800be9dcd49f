//! The capture and its dissector, read by tshark: it prints the fields that we print.

mod common;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use common::{Folder, Sample, output, schema};
use hypercall_trace::entry::{Entry, When};
use hypercall_trace::schema::{Kind, LinkTarget, Register, Schema};
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
        Value::Array(list)
            if list
                .iter()
                .any(|value| value.is_object() || value.is_number()) =>
        {
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

/// What tshark says about a trace: its packets, and what it wrote to its error output.
fn packets(folder: &Folder, trace: &str) -> Vec<Value> {
    let (capture, script) = (folder.text("a.pcapng"), folder.text("a.lua"));
    output(&["export", trace, "--to", "pcapng", "-o", &capture, "--force"]);
    output(&[
        "export",
        trace,
        "--to",
        "dissector",
        "-o",
        &script,
        "--force",
    ]);
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
        .current_dir(folder.path(""))
        .output()
        .expect("tshark is needed: install the Debian package `tshark`");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && !errors.contains("Lua"), "{errors}");
    serde_json::from_slice(&run.stdout).unwrap()
}

/// Compares every value that we print with tshark's. How many values were compared.
fn compare(folder: &Folder, trace: &str) -> usize {
    let packets = packets(folder, trace);
    let shown = output(&["show", trace, "--json"]);
    let ours: Vec<Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(packets.len(), ours.len(), "a packet for each entry");
    let mut compared = 0;
    for (packet, ours) in packets.iter().zip(&ours) {
        let mut theirs = BTreeMap::new();
        fields(&packet["_source"]["layers"], &mut theirs);
        assert!(
            !theirs
                .keys()
                .any(|name| name.contains("malformed") || name.contains("lua_error")),
            "{theirs:?}"
        );
        compared += values(ours, &theirs);
    }
    compared
}

/// Compares the values of one entry.
fn values(ours: &Value, theirs: &BTreeMap<String, Vec<String>>) -> usize {
    let all = |name: &str| {
        theirs
            .get(name)
            .unwrap_or_else(|| panic!("{ours}: tshark has no {name}; it has {theirs:?}"))
    };
    let same = |name: &str, values: &[String]| {
        let found = all(name);
        assert!(
            found.len() == values.len()
                && values
                    .iter()
                    .zip(found)
                    .all(|(ours, theirs)| agree(ours, theirs)),
            "{ours}\n{name}: {values:?} is {found:?} in tshark"
        );
        values.len()
    };
    let one = |name: &str, value: &str| same(name, &[value.to_owned()]);
    let Some(call) = ours.get("call").and_then(Value::as_str) else {
        // What else there is has its place and its size.
        return if let Some(lost) = ours.get("lost") {
            one("hypercall.count", &lost["count"].to_string())
                + one("hypercall.index", &lost["index"].to_string())
        } else if let Some(pages) = ours.get("pages") {
            let runs = pages["runs"].as_array().unwrap();
            let of = |key: &str| -> Vec<String> {
                runs.iter()
                    .map(|run| {
                        run[key]
                            .as_str()
                            .map_or_else(|| run[key].to_string(), str::to_owned)
                    })
                    .collect()
            };
            let when = pages["when"].as_str().unwrap();
            let point = ["enter", "exit", "note"]
                .iter()
                .position(|point| *point == when);
            let late = pages.get("late") == Some(&Value::Bool(true));
            let look = pages
                .get("look")
                .map_or_else(|| "0".to_owned(), Value::to_string);
            one("hypercall.page", &pages["page"].to_string())
                + one("hypercall.point", &point.unwrap().to_string())
                + one("hypercall.late", if late { "1" } else { "0" })
                + one("hypercall.look", &look)
                + same("hypercall.offset", &of("offset"))
                + same("hypercall.bytes", &of("after"))
        } else {
            panic!("{ours}")
        };
    };
    let mut compared = one("hypercall.index", &ours["index"].to_string())
        + one("hypercall.number", ours["number"].as_str().unwrap());
    for (key, name) in [
        ("rax", "hypercall.rax"),
        ("duration_ns", "hypercall.duration_ns"),
    ] {
        if let Some(value) = ours.get(key).filter(|value| !value.is_null()) {
            compared += one(name, &value.to_string());
        }
    }
    if let Some(name) = ours.pointer("/error/name").and_then(Value::as_str) {
        compared += one("hypercall.error", name);
    }
    if let Some(text) = ours.pointer("/failure/text").and_then(Value::as_str) {
        compared += one("hypercall.reason", text);
    }
    if call == "?" {
        return compared;
    }
    compared += one("hypercall.call", call);
    let mut flat = BTreeMap::new();
    flatten(&format!("hypercall.{call}"), &ours["args"], &mut flat);
    if let Some(wrote) = ours.get("wrote") {
        flatten(&format!("hypercall.{call}.wrote"), wrote, &mut flat);
    }
    for (name, values) in flat {
        // What a shared page or an undescribed block is, stands under names for all calls.
        let undescribed = name.ends_with(".buffer") || name.ends_with(".page");
        if name.ends_with(".pages") {
            compared += same("hypercall.pages", &values);
        } else if name.ends_with(".page.page") || name.ends_with(".buffer.page") {
            compared += same("hypercall.page", &values);
        } else if undescribed && !theirs.contains_key(&name) {
            // In and out stand under one name.
            let under = if values[0].starts_with("0x") {
                "hypercall.address"
            } else {
                "hypercall.bytes"
            };
            let found = all(under);
            assert!(
                values
                    .iter()
                    .all(|ours| found.iter().any(|theirs| agree(ours, theirs))),
                "{ours}: {found:?}"
            );
            compared += values.len();
        } else if let Some(names) = theirs
            .get(&format!("{name}.name"))
            .filter(|_| values.iter().any(|value| number(value).is_none()))
        {
            // An enum: its names where it has one, its numbers where not.
            let (named, numbers): (Vec<_>, Vec<_>) = values
                .iter()
                .cloned()
                .partition(|value| number(value).is_none());
            assert_eq!(&named, names, "{ours}\n{name}");
            let found = all(&name);
            assert!(
                numbers
                    .iter()
                    .all(|ours| found.iter().any(|theirs| agree(ours, theirs))),
                "{ours}\n{name}: {found:?}"
            );
            compared += values.len();
        } else {
            compared += same(&name, &values);
        }
    }
    compared
}

#[test]
fn tshark_prints_the_fields_that_we_print() {
    let folder = Folder::new();
    let compared = compare(&folder, &folder.trace("a.hct", &Sample::everything()));
    assert!(compared > 150, "{compared} values were compared");

    // A change that comes late, at a look beyond 32 bits; and one that a call found.
    for (when, look) in [(When::Note, 1 << 40), (When::Enter, 0)] {
        let mut sample = Sample::everything();
        let change = sample.entries.iter_mut().find_map(|entry| match entry {
            Entry::Pages(change) => Some(change),
            _ => None,
        });
        let change = change.unwrap();
        (change.when, change.look, change.late) = (when, look, true);
        let again = compare(&folder, &folder.trace("late.hct", &sample));
        assert_eq!(again, compared);
    }
}

#[test]
fn tshark_prints_every_field_of_every_call_of_the_interface() {
    let folder = Folder::new();
    let compared = compare(
        &folder,
        &folder.trace("a.hct", &Sample::every_call(schema(), 4)),
    );
    assert!(compared > 2000, "{compared} values were compared");
}

/// Names that would leave their place in a script, in a filter or on a terminal.
const HOSTILE: [&str; 9] = [
    "x\"]] os.execute('touch owned') --",
    "]==] os.execute('touch owned') --[==[",
    "a\\\" .. os.execute('touch owned') .. \"",
    "line\nend os.execute('touch owned')\r",
    "\u{1b}]0;owned\u{7}",
    "naïve ✓ \u{202e}name",
    "",
    "hypercall.kind",
    "wrote",
];

/// Renames what a schema names.
fn spoil(schema: &mut Schema) {
    let mut next = 0;
    let mut name = move |to: &mut String| {
        *to = HOSTILE[next % HOSTILE.len()].to_owned();
        // Calls are told apart by their names.
        to.push_str(&"y".repeat(next / HOSTILE.len()));
        next += 1;
    };
    for interface in &mut schema.interfaces {
        for call in &mut interface.calls {
            name(&mut Arc::make_mut(call).name);
        }
    }
    let mut at = 3;
    let mut other = move |to: &mut String| {
        *to = HOSTILE[at % HOSTILE.len()].to_owned();
        at += 1;
    };
    fn kind(of: &mut Kind, other: &mut dyn FnMut(&mut String)) {
        match of {
            Kind::Enum(names) | Kind::Flags(names) => {
                let mut list = names.to_vec();
                list.iter_mut().for_each(|name| other(&mut name.name));
                *names = list.into();
            }
            Kind::Struct(info) => {
                for field in &mut Arc::make_mut(info).fields {
                    other(&mut field.name);
                    other(&mut field.units);
                    kind(&mut field.kind, other);
                }
            }
            Kind::Array { element, .. } => kind(Arc::make_mut(element), other),
            _ => {}
        }
    }
    for call in schema
        .interfaces
        .iter_mut()
        .flat_map(|interface| &mut interface.calls)
    {
        let call = Arc::make_mut(call);
        let mut codes = call.codes.to_vec();
        codes.iter_mut().for_each(|code| other(&mut code.name));
        call.codes = codes.into();
        for register in &mut call.registers {
            match register {
                Register::Unused => {}
                Register::Value { name, kind: of, .. } => {
                    other(name);
                    kind(of, &mut other);
                }
                Register::Bytes { name, .. } => other(name),
                Register::Block {
                    name,
                    kind: of,
                    link,
                    ..
                } => {
                    other(name);
                    kind(of, &mut other);
                    if let Some(link) = link {
                        other(&mut link.name);
                        if let LinkTarget::Array { kind: of, .. } = &mut link.target {
                            kind(of, &mut other);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn hostile_names_stay_names() {
    let folder = Folder::new();
    let mut schema = schema();
    spoil(&mut schema);
    let sample = Sample::every_call(schema, 2);
    let trace = folder.trace("hostile.hct", &sample);
    let packets = packets(&folder, &trace);
    assert_eq!(packets.len(), sample.entries.len());
    assert!(!folder.path("owned").exists(), "a name was run");
    for (packet, entry) in packets.iter().zip(&sample.entries) {
        let Entry::Call(call) = entry else {
            panic!("{entry:?}")
        };
        let mut theirs = BTreeMap::new();
        fields(&packet["_source"]["layers"], &mut theirs);
        assert!(
            !theirs.keys().any(|name| name.contains("lua_error")),
            "{theirs:?}"
        );
        assert_eq!(theirs["hypercall.index"], [call.index.to_string()]);
        let plain = |text: &str| -> String {
            text.chars()
                .filter(|letter| letter.is_ascii_alphanumeric())
                .collect()
        };
        assert_eq!(
            plain(&theirs["hypercall.call"][0]),
            plain(call.name()),
            "{theirs:?}"
        );
    }
    // Nor do they command a terminal, in any view.
    for arguments in [
        &["show", &trace][..],
        &["stat", &trace],
        &["calls", &trace],
        &["show", &trace, "--hex"],
    ] {
        assert!(
            !output(arguments).contains(['\x1b', '\x07', '\u{202e}']),
            "{arguments:?}"
        );
    }
}
