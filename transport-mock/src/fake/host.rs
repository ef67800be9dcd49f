//! What ACRN's dispatcher asks of the fake: [`AcrnServer`](hypercall_core::acrn::server::AcrnServer) drives it like a real one.

use hypercall_core::{
    Error,
    acrn::{
        HypervisorCalls as Calls, ProfilingCommand, VmCreation, VmId,
        server::{Caller, Host},
    },
};

use super::{FakeAcrn, answer::Fail, config::Build, lifecycle::Created};

impl Host for FakeAcrn {
    fn caller(&self) -> Caller {
        self.rights()
    }

    fn has_vm(&self, vm: VmId) -> bool {
        self.lock().target(vm.0).is_ok()
    }

    fn create_vm_in(&self, slot: VmId, creation: Option<&mut VmCreation>) -> Result<VmId, Error> {
        match creation {
            Some(creation) => self.create(creation, Some(slot)),
            None => {
                let mut machine = self.lock();
                if let Ok(number) = machine.target(slot.0) {
                    let refused: Result<Created, Fail> = Err(super::answer::REFUSED);
                    machine.forget_name(number, &refused);
                }
                Err(Error::refused(Calls::CREATE_VM, [0; 2], -1))
            }
        }
    }

    fn profiling_extent(&self, command: ProfilingCommand) -> Option<usize> {
        let machine = self.lock();
        Some(match machine.config.build {
            Build::Debug => machine.profiling_extent(command),
            // Release builds answer before they look.
            Build::Release => 0,
        })
    }
}
