//! The table of calls in the documentation of `acrn` is the interface.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

use hypercall_core::acrn::{HypervisorCalls, codes, linux, unhandled};

const PAGE: &str = include_str!("../src/acrn/mod.rs");
const METHODS: &str = include_str!("../src/acrn/hypervisor.rs");

/// Rows of the table: the indices, the methods' names, the whole line.
fn rows() -> Vec<(Vec<u64>, Vec<&'static str>, &'static str)> {
    PAGE.lines()
        .filter_map(|line| line.strip_prefix("//! | "))
        .filter_map(|line| {
            let cells: Vec<_> = line.split(" | ").collect();
            let indices: Result<Vec<_>, _> = cells
                .first()?
                .split(' ')
                .map(|index| u64::from_str_radix(index, 16))
                .collect();
            let methods = cells.get(1)?.split('`').skip(1).step_by(2).collect();
            Some((indices.ok()?, methods, line))
        })
        .collect()
}

#[test]
fn every_call_is_in_the_table_under_its_number() {
    let rows = rows();
    let calls = HypervisorCalls::INTERFACE.calls;
    for call in calls {
        let (indices, _, _) = rows
            .iter()
            .find(|(_, methods, _)| methods.contains(&call.name))
            .unwrap_or_else(|| panic!("no row for {}", call.name));
        assert_eq!(*indices, [call.number - 0x8000_0000], "{}", call.name);
    }
    assert_eq!(calls.len(), 39);
    assert_eq!(
        rows.len(),
        39,
        "36 numbers with methods here, two world switches, one row of unhandled numbers"
    );
}

#[test]
fn every_number_of_the_table_is_a_call_or_known_not_to_be_one() {
    let others = [
        unhandled::ASSIGN_PTDEV,
        unhandled::DEASSIGN_PTDEV,
        unhandled::VM_PCI_MSIX_REMAP,
        hypercall_core::acrn::WORLD_SWITCH,
        hypercall_core::acrn::SWITCH_EE,
    ];
    for (indices, _, line) in rows() {
        for index in indices {
            let number = 0x8000_0000 + index;
            let call = HypervisorCalls::INTERFACE
                .calls
                .iter()
                .any(|call| call.number == number);
            assert!(call != others.contains(&number), "{line}");
        }
    }
}

/// The C name in the table is also the name under which rustdoc finds the method.
#[test]
fn c_names_find_their_methods() {
    for (_, methods, line) in rows() {
        let Some(c_name) = line.split('`').find(|word| word.starts_with("HC_")) else {
            continue;
        };
        for method in methods
            .iter()
            .filter(|method| HypervisorCalls::INTERFACE.call(method).is_some())
        {
            let (before, _) = METHODS
                .split_once(&format!("fn {method}("))
                .expect("the method");
            let documentation = before.rsplit("\n\n").next().unwrap_or(before);
            assert!(
                documentation.contains(&format!("#[doc(alias = \"{c_name}\")]")),
                "{method}: no alias {c_name}"
            );
        }
    }
}

/// What an engineer is told to check exists for every code that a call documents, and no hint is for a code that the
/// interface does not know.
#[test]
fn hints_are_for_known_codes() {
    for call in HypervisorCalls::INTERFACE.calls {
        for hint in call.hints {
            let known = hint.code == 0 || codes::CODES.iter().any(|code| code.code == hint.code);
            assert!(known, "{}: {}", call.name, hint.code);
            assert!(!hint.text.ends_with('.'), "{}: {}", call.name, hint.text);
        }
    }
}

#[test]
fn ioctl_numbers_are_well_formed() {
    for (name, number) in linux::ALL.iter().chain(linux::device_model::ALL) {
        let ioctl = linux::Ioctl(*number);
        assert_eq!(ioctl.kind(), linux::TYPE, "{name}");
        assert_eq!(ioctl.name(), Some(*name));
        assert_eq!(
            ioctl.size() == 0,
            !ioctl.reads() && !ioctl.writes(),
            "{name}"
        );
    }
}
