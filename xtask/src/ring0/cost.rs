//! What calls cost: every number of instructions is the one that it must be, or stands beside another.

use anyhow::{Context, Result, ensure};

use super::host::Host;

/// Calls, how many instructions more than a hand-written one the typed one has, and what for. The hand-written one puts a value
/// into RAX that is no answer, executes VMCALL and tests RAX once; it believes whatever is in memory then.
const COSTS: [(&str, u64, &str); 8] = [
    ("save_restore_sworld_ctx()", 0, ""),
    ("create_vcpu(value)", 0, ""),
    ("set_irqline(value, value)", 0, ""),
    ("inject_msi(value, read)", 0, ""),
    ("set_memory_regions(value, array)", 0, ""),
    ("get_api_version(written)", 0, ""),
    (
        "create_vm(read and written)",
        6,
        "an old id is overwritten before the call, and the new one is one that a new VM can have",
    ),
    (
        "vm_gpa2hpa(value, read and written)",
        3,
        "an old address is overwritten before the call, and the new one has the 52 bits of one",
    ),
];
/// How many instructions a hand-written call has less that leaves in RAX what happened to be there, and what that costs.
const CARELESS: (u64, &str) = (
    1,
    "it reads an old 0 as success where the hypervisor writes no RAX, as ACRN 3.3 did for -13 and -19",
);
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
    let mut notes = Vec::new();
    for (call, more, why) in COSTS {
        let [typed, by_hand, careless] = lines
            .iter()
            .find_map(|line| forms(line.strip_prefix(call)?))
            .with_context(|| format!("the cost of {call} was not measured"))?;
        let (less, risk) = CARELESS;
        let note = format!(
            "{call}: typed {typed}, by hand {by_hand}: {more} more{}{why}; by hand with any RAX {careless}: {less} less, and {risk}",
            if why.is_empty() { "" } else { ", because " },
        );
        ensure!(
            (Some(typed), Some(careless)) == (by_hand.checked_add(more), by_hand.checked_sub(less)),
            "a call costs another number of instructions than it must: it is typed {typed}, by hand {by_hand}, with any RAX \
             {careless}, and should be {note}"
        );
        notes.push(note);
    }
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

/// The three figures behind a call: typed, by hand with a RAX that is no answer before the call, by hand with any.
fn forms(rest: &str) -> Option<[u64; 3]> {
    let (typed, rest) = rest.strip_prefix(": typed ")?.split_once(", by hand ")?;
    let (by_hand, careless) = rest.split_once(", with any RAX ")?;
    Some([
        typed.parse().ok()?,
        by_hand.parse().ok()?,
        careless.parse().ok()?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "guest: started
cost: empty 3
cost: save_restore_sworld_ctx(): typed 8, by hand 8, with any RAX 7
cost: create_vcpu(value): typed 9, by hand 9, with any RAX 8
cost: set_irqline(value, value): typed 10, by hand 10, with any RAX 9
cost: inject_msi(value, read): typed 9, by hand 9, with any RAX 8
cost: set_memory_regions(value, array): typed 19, by hand 19, with any RAX 18
cost: get_api_version(written): typed 15, by hand 15, with any RAX 14
cost: create_vm(read and written): typed 14, by hand 8, with any RAX 7
cost: vm_gpa2hpa(value, read and written): typed 12, by hand 9, with any RAX 8
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
                "cost: create_vcpu(value): typed 9",
                "cost: create_vcpu(value): typed 10",
            ),
            (
                "set_irqline(value, value): typed 10, by hand 10",
                "set_irqline(value, value): typed 10, by hand 11",
            ),
            (
                "inject_msi(value, read): typed 9, by hand 9, with any RAX 8",
                "inject_msi(value, read): typed 9, by hand 9, with any RAX 9",
            ),
            ("typed 14, by hand 8", "typed 15, by hand 8"),
            ("typed 12, by hand 9", "typed 9, by hand 9"),
            (
                "cost: save_restore_sworld_ctx(): typed 8, by hand 8, with any RAX 7\n",
                "",
            ),
            ("cost: inject_msi(value, read) recorded: 900 more\n", ""),
            ("read) recorded: 900 more", "read) recorded: -1 more"),
        ] {
            assert!(GOOD.contains(from));
            let output = GOOD.replace(from, to);
            assert!(costs(&output, &COUNTED).is_err(), "{to}");
        }
    }

    #[test]
    fn both_comparisons_are_printed_and_the_recorders_cost_stands_beside_the_hosts() {
        let notes = costs(GOOD, &COUNTED).unwrap();
        assert_eq!(
            notes[1],
            "create_vcpu(value): typed 9, by hand 9: 0 more; by hand with any RAX 8: 1 less, and it reads an old 0 as success where \
             the hypervisor writes no RAX, as ACRN 3.3 did for -13 and -19"
        );
        assert!(
            notes[7].contains("typed 12, by hand 9: 3 more, because an old address is overwritten")
        );
        assert_eq!(
            notes[8..],
            [
                "recorder, create_vcpu(value): ring 0 900 instructions more, host 600, host with std 150",
                "recorder, inject_msi(value, read): ring 0 900 instructions more, host 700, host with std 160",
                "recorder, vm_gpa2hpa(value, read and written): ring 0 900 instructions more, host 800, host with std 170",
            ]
        );
        let nothing = Host::NotCounted("ptrace is not permitted here".to_owned());
        assert_eq!(
            costs(GOOD, &nothing).unwrap()[8],
            "recorder, create_vcpu(value): ring 0 900 instructions more, host not counted: ptrace is not permitted here"
        );
    }
}
