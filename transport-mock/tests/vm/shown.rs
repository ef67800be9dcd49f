//! What a handle and a failure say of themselves.

use crate::bench::{Break, Fault, bench, ready};
use hypercall_core::acrn::vm::{AnyVm, Failed, NoPage, Paused, Running, Vm, WithPage};
use hypercall_mock::fake::FakeAcrn;

#[test]
fn a_handle_and_a_failure_show_themselves() {
    let fake = FakeAcrn::new();
    let hypervisor = bench(&fake);
    let vm = ready(&hypervisor);
    assert!(
        format!("{vm:?}").starts_with("Vm { id: VmId(2), state: Created"),
        "{vm:?}"
    );
    hypervisor.break_next("start_vm", Fault::LostBefore);
    let failed = vm.start().unwrap_err();
    assert!(
        format!("{failed:?}").contains("is_state_known: false"),
        "{failed:?}"
    );
    let text = failed.to_string();
    assert!(
        text.starts_with("start_vm(vm=") && text.ends_with("find out before going on"),
        "{text}"
    );
    let source = std::error::Error::source(&failed).unwrap().to_string();
    assert!(source.contains("by the test"), "{source}");
    failed.handle.shut_down().unwrap();
}

/// A handle can go to another thread.
#[test]
fn handles_travel() {
    fn sends<T: Send>() {}
    sends::<Vm<FakeAcrn, Running, WithPage>>();
    sends::<AnyVm<FakeAcrn>>();
    sends::<Failed<Vm<FakeAcrn, Paused, NoPage>>>();
}
