//! `hcall explain`: any text is explained or is not, and a call's name or number always is.
#![no_main]

use std::sync::LazyLock;

use arbitrary::{Arbitrary, Result, Unstructured};
use hypercall_core::acrn::HypervisorCalls;
use hypercall_trace::explain::explain;
use hypercall_trace::schema::Schema;
use libfuzzer_sys::fuzz_target;

const WORDS: &[&str] = &[
    "ret=",
    "hypercall=",
    "failed",
    "0x80000023",
    "0x80000010",
    "-1",
    "-22",
    "EPERM",
    "create_vm",
    "HC_CREATE_VM",
    " ",
    ":",
    ",",
    "=",
    "0x",
    "vm",
    "rax=",
    "\n",
    "\0",
    "ü",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "[3][1:dm] acrn_vmcall, ",
    "(",
    ")",
    "hypercall ",
    "x",
];

#[derive(Debug)]
struct Text(String);

impl<'a> Arbitrary<'a> for Text {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut text = String::new();
        while !u.is_empty() {
            let word = usize::from(u.arbitrary::<u8>()?);
            match WORDS.get(word) {
                Some(known) => text.push_str(known),
                None => text.push_str(u.arbitrary::<&str>()?),
            }
        }
        Ok(Self(text))
    }
}

fuzz_target!(|input: (u8, Text)| {
    let (which, Text(text)) = input;
    static SCHEMA: LazyLock<Schema> =
        LazyLock::new(|| Schema::from_interfaces(&[HypervisorCalls::INTERFACE]));
    let schema = &*SCHEMA;
    let explained = explain(&text, schema);
    assert!(
        explained
            .calls
            .iter()
            .all(|help| schema.find(None, &help.name).is_some())
    );
    let call = schema
        .calls()
        .nth(usize::from(which) % schema.calls().count())
        .expect("there are calls");
    for asked in [
        call.name.clone(),
        format!("{:#x}", call.number),
        call.number.to_string(),
    ] {
        let explained = explain(&asked, schema);
        assert!(
            explained.calls.iter().any(|help| help.name == call.name),
            "{asked}"
        );
    }
});
