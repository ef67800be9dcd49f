//! A hypervisor that writes no result: what a transport left in RAX is success to no call, and says what it is.

use hypercall_core::acrn::{GpaToHpa, Hypervisor, VmCreation, VmId, VmName};
use hypercall_core::arg::Arg;
use hypercall_core::call::{CallInfo, CodeInfo};
use hypercall_core::{
    Client, Error, ErrorKind, Gpa, RAX_UNWRITTEN, Transport, TransportError, interface,
};

const CODES: &[CodeInfo] = &[];

/// Results in RAX, of every width.
#[interface(codes = CODES, crate = ::hypercall_core)]
trait Counters {
    #[call(0x8000_00e0, result = rax)]
    fn wide(&self) -> Result<u64, Error>;
    #[call(0x8000_00e1, result = rax)]
    fn narrow(&self) -> Result<u8, Error>;
}

/// The instruction is executed, and RAX is what it was.
struct Silent;

impl Transport for Silent {
    fn call<'a>(&self, _: &'static CallInfo, _: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        Ok(RAX_UNWRITTEN)
    }
}

fn unwritten<T>(result: Result<T, Error>) -> bool {
    result.is_err_and(|error| {
        error.kind == ErrorKind::Nonsense && error.rax == RAX_UNWRITTEN && error.may_have_run()
    })
}

#[test]
fn no_call_takes_it_for_an_answer() {
    let h = Client::new(Silent);
    let name = VmName::new("vm").unwrap();
    assert!(unwritten(h.create_vcpu(VmId(1))));
    assert!(unwritten(h.get_api_version()));
    assert!(unwritten(h.create_vm(&mut VmCreation::new(name))));
    assert!(unwritten(h.vm_gpa2hpa(VmId(1), &mut GpaToHpa::of(Gpa(0)))));
    assert!(unwritten(h.set_memory_regions(VmId(1), &[])));
    assert!(unwritten(h.wide()));
    assert!(unwritten(h.narrow()));
}

#[test]
fn the_message_says_that_nothing_was_written() {
    let error = Client::new(Silent).create_vcpu(VmId(1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "create_vcpu(vm=VmId(1)) got no result: the hypervisor did not write RAX, and may have acted \
         (ACRN 3.3 does so instead of answering -13 or -19)"
    );
}
