//! Handles for VMs that somebody else created.

use super::any::{AnyVm, PoweredOff};
use super::body::{Body, handle_id};
use super::failed::Failed;
use super::handle::Vm;
use super::probe::VmState;
use super::state::NoPage;
use crate::Error;
use crate::acrn::{Hypervisor, HypervisorCalls, VmId};

impl<H: Hypervisor> AnyVm<H, NoPage> {
    /// A handle for a VM that exists, in the state that [`VmState::of`] finds: one that was
    /// [detached](Vm::detach), or that another program created and lost.
    ///
    /// The handle knows neither the VM's page nor its devices nor its number of vCPUs. To be started the VM needs a
    /// page from the new handle: somebody must serve its requests. Dropped, the handle leaves the VM as it is.
    ///
    /// Two handles for one VM are not prevented.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for [`VmId::SERVICE_VM`] and for ids above 255, and what
    /// [`VmState::of`] fails with, such as -25 for an id that no VM can have.
    pub fn adopt(hypervisor: H, id: VmId) -> Result<Self, Failed<H>> {
        const NOT_A_VM: &str =
            "the id is not one that a handle can have: it is the Service VM's, or above 255";
        let Some(number) = handle_id(id) else {
            let error = Error::invalid(
                HypervisorCalls::PM_GET_CX_COUNT,
                [u64::from(id.0), 0],
                NOT_A_VM,
            );
            return Err(Failed::unchanged(error, hypervisor));
        };
        let state = match VmState::of(&hypervisor, id) {
            Ok(state) => state,
            // The questions change nothing, so whatever went wrong, nothing happened to the VM.
            Err(error) => return Err(Failed::unchanged(error, hypervisor)),
        };
        let body = Body::new(hypervisor, number);
        let page = NoPage { offered: None };
        Ok(match state {
            VmState::Created => Self::Created(Vm::from_parts(body, page)),
            VmState::Running => Self::Running(Vm::from_parts(body, page)),
            VmState::Paused => Self::Paused(Vm::from_parts(body, page)),
            VmState::PoweredOff => Self::PoweredOff(PoweredOff { id, page: None }),
        })
    }
}
