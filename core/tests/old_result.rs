//! A block that is used again: what stands in it from the call before is no answer of a hypervisor that writes none.

use hypercall_core::acrn::{GpaToHpa, Hypervisor, PcpuSet, VmCreation, VmId, VmName};
use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::{Client, Error, ErrorKind, Gpa, Hpa, Transport, TransportError};

/// Answers this, and writes nothing.
struct Says(i64);

impl Transport for Says {
    fn call<'a>(&self, _: &'static CallInfo, _: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        Ok(self.0)
    }
}

fn creation() -> VmCreation {
    VmCreation {
        vmid: VmId(3),
        ..VmCreation::new(VmName::new("vm").unwrap()).with_cpu_affinity(PcpuSet(2))
    }
}

fn question() -> GpaToHpa {
    GpaToHpa {
        hpa: Hpa(0x123_4000),
        ..GpaToHpa::of(Gpa(0x5000))
    }
}

fn rejected<T>(result: Result<T, Error>) -> bool {
    result.is_err_and(|error| matches!(error.kind, ErrorKind::Rejected(_)))
}

#[test]
fn nothing_written_is_no_result() {
    let h = Client::new(Says(0));
    let (mut creation, mut question) = (creation(), question());
    assert!(rejected(h.create_vm(&mut creation)));
    assert!(rejected(h.vm_gpa2hpa(VmId(1), &mut question)));
}

/// What goes in stays, and only the result's field does not: after a refusal too, where no result came either.
#[test]
fn only_the_results_field_is_overwritten() {
    for answer in [0, -22] {
        let h = Client::new(Says(answer));
        let (mut made, mut asked) = (creation(), question());
        h.create_vm(&mut made).unwrap_err();
        h.vm_gpa2hpa(VmId(1), &mut asked).unwrap_err();
        assert_eq!(
            made,
            VmCreation {
                vmid: VmId::INVALID,
                ..creation()
            }
        );
        assert_eq!(asked, GpaToHpa::of(question().gpa));
    }
}
