//! What calls cost: every number of instructions is the one that it must be, or stands beside another.

use anyhow::{Context, Result, ensure};

use super::host::Host;

/// Calls, and how many instructions more than a hand-written one the typed one has: what the listings of the object-code
/// test show. The two look whether what came back is an address.
const COSTS: [(&str, i64); 4] = [
    ("create_vcpu(value)", 0),
    ("set_irqline(value, value)", 0),
    ("inject_msi(value, read)", 0),
    ("vm_gpa2hpa(value, read and written)", 3),
];
/// What it costs that RAX holds no answer before a call, in the typed form and in the hand-written one: one instruction.
const GUARD: &str = "a RAX that is no answer: 1 more";
/// Calls whose cost under the recorder is shown, in the order in which they are made in ring 0 and on the host.
pub const RECORDED: [&str; 3] = [
    "create_vcpu(value)",
    "inject_msi(value, read)",
    "vm_gpa2hpa(value, read and written)",
];

/// The lines about cost. Every call costs what it must, and the recorder's cost is there, beside the host's.
pub fn costs(output: &str, host: &Host) -> Result<Vec<String>> {
    let lines: Vec<&str> = output
        .lines()
        .filter_map(|line| line.strip_prefix("cost: "))
        .collect();
    for (call, more) in COSTS {
        let line = lines
            .iter()
            .find(|line| line.starts_with(&format!("{call} bare ")))
            .with_context(|| format!("the cost of {call} was not measured"))?;
        ensure!(
            line.ends_with(&format!(" difference {more}")),
            "a typed call costs another number of instructions than {more} more than a hand-written one: {line}"
        );
    }
    ensure!(
        lines.contains(&GUARD),
        "no line is `cost: {GUARD}`: {lines:?}"
    );
    let mut notes: Vec<String> = lines
        .iter()
        .filter(|line| !line.contains(" recorded: "))
        .map(|line| (*line).to_owned())
        .collect();
    for (at, call) in RECORDED.into_iter().enumerate() {
        let more = lines.iter().find_map(|line| {
            line.strip_prefix(call)?
                .strip_prefix(" recorded: ")?
                .strip_suffix(" more")?
                .parse::<u64>()
                .ok()
        });
        let more = more
            .filter(|more| *more > 0)
            .with_context(|| format!("the recorder's cost of {call} was not measured"))?;
        notes.push(format!(
            "recorder, {call}: ring 0 {more} instructions more, {}",
            host.beside(at)
        ));
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "guest: started
cost: a RAX that is no answer: 1 more
cost: create_vcpu(value) bare 9 typed 9 difference 0
cost: set_irqline(value, value) bare 9 typed 9 difference 0
cost: inject_msi(value, read) bare 9 typed 9 difference 0
cost: vm_gpa2hpa(value, read and written) bare 9 typed 12 difference 3
cost: create_vcpu(value) recorded: 900 more
cost: inject_msi(value, read) recorded: 900 more
cost: vm_gpa2hpa(value, read and written) recorded: 900 more
";

    const COUNTED: Host = Host::Counted {
        core: [600, 700, 800],
        std: [150, 160, 170],
    };

    #[test]
    fn a_typed_call_that_costs_something_fails() {
        for (from, to) in [
            (
                "bare 9 typed 9 difference 0\ncost: set",
                "bare 9 typed 10 difference 1\ncost: set",
            ),
            (
                "cost: set_irqline(value, value) bare 9 typed 9 difference 0\n",
                "",
            ),
            (
                "read) bare 9 typed 9 difference 0",
                "read) bare 9 typed 10 difference 1",
            ),
            ("typed 12 difference 3", "typed 13 difference 4"),
            ("no answer: 1 more", "no answer: 2 more"),
            ("typed 12 difference 3", "typed 9 difference 0"),
            ("cost: inject_msi(value, read) recorded: 900 more\n", ""),
            ("read) recorded: 900 more", "read) recorded: -1 more"),
        ] {
            assert!(GOOD.contains(from));
            let output = GOOD.replace(from, to);
            assert!(costs(&output, &COUNTED).is_err(), "{to}");
        }
    }

    #[test]
    fn the_recorders_cost_stands_beside_the_hosts() {
        let notes = costs(GOOD, &COUNTED).unwrap();
        assert_eq!(
            notes[5..],
            [
                "recorder, create_vcpu(value): ring 0 900 instructions more, host 600, host with std 150",
                "recorder, inject_msi(value, read): ring 0 900 instructions more, host 700, host with std 160",
                "recorder, vm_gpa2hpa(value, read and written): ring 0 900 instructions more, host 800, host with std 170",
            ]
        );
        let nothing = Host::NotCounted("ptrace is not permitted here".to_owned());
        assert_eq!(
            costs(GOOD, &nothing).unwrap()[5],
            "recorder, create_vcpu(value): ring 0 900 instructions more, host not counted: ptrace is not permitted here"
        );
    }
}
