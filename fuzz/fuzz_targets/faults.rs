//! The fault grammar: any text is a plan or an error, and what is a plan shows as a text that is the same plan.
#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::layer::fault::{Plan, PlanError};
use hypercall_fuzz::own::OwnCalls;
use libfuzzer_sys::fuzz_target;

/// What plans are made of, from whole beginnings to single characters, and what looks like it.
const WORDS: &[&str] = &[
    "start_vm: instead=",
    "create_vm: after=",
    "*: delay=",
    "0x80000012: delay=",
    "create_vm: flip=",
    "vm_gpa2hpa: xor=hpa^",
    "struct_in_out: flip=left.",
    "; ",
    " @ ",
    "2..8+2",
    " ",
    "\t",
    "\n",
    "\r\n",
    ";",
    "#",
    ":",
    "=",
    "@",
    "+",
    "..",
    ".",
    "-",
    "^",
    "*",
    "_",
    "\0",
    "ü",
    "start_vm",
    "create_vm",
    "vm_gpa2hpa",
    "pm_get_cx_count",
    "struct_in_out",
    "returned",
    "array_in_out",
    "bytes_in_out",
    "instead",
    "after",
    "delay",
    "flip",
    "xor",
    "lost",
    "crash",
    "hang",
    "EPERM",
    "EINVAL",
    "vmid",
    "hpa",
    "left",
    "us",
    "ms",
    "s",
    "0",
    "1",
    "2",
    "7",
    "8",
    "10",
    "0x",
    "0x80000012",
    "0x80000080",
    "0x18",
    "0xffffffffffffffff",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775808",
    "ff00ff",
    "0011223344556677",
];

/// A text: of the grammar's words, or of anything.
#[derive(Debug)]
struct Text(String);

impl<'a> Arbitrary<'a> for Text {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut text = String::new();
        while !u.is_empty() {
            let word = usize::from(u.arbitrary::<u8>()?);
            match WORDS.get(word) {
                Some(known) => text.push_str(known),
                None if word < 0xf0 => text.push_str(&(word & 0x7f).to_string()),
                None => text.push_str(u.arbitrary::<&str>()?),
            }
        }
        Ok(Self(text))
    }
}

fuzz_target!(|input: (bool, Text)| {
    let (own, Text(text)) = input;
    let interface = if own {
        OwnCalls::INTERFACE
    } else {
        HypervisorCalls::INTERFACE
    };
    let few = Plan::<2>::parse(&text, interface);
    match Plan::<16>::parse(&text, interface) {
        Ok(plan) => {
            let shown = plan.to_string();
            let again = Plan::parse(&shown, interface);
            assert_eq!(again.as_ref(), Ok(&plan), "{text:?} shows as {shown:?}");
            for fault in plan.faults() {
                let shown = fault.to_string();
                let alone = Plan::<1>::parse(&shown, interface);
                assert!(
                    alone.is_ok_and(|alone| alone.faults().eq([fault])),
                    "{shown:?}"
                );
            }
            assert_eq!(few.is_ok(), plan.faults().count() <= 2);
        }
        Err(error) => {
            check(&text, error);
            assert!(few.is_err());
        }
    }
});

/// An error is at a place of the text, and can be shown with it.
fn check(text: &str, error: PlanError) {
    assert!(
        error.offset <= text.len() && text.is_char_boundary(error.offset),
        "{error:?}"
    );
    let shown = error.in_text(text).to_string();
    assert!(
        shown.lines().count() >= 2 && shown.ends_with('^'),
        "{shown:?}"
    );
}
