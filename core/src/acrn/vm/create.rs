//! Creation, with the checks that keep the hypervisor from harm.

use super::body::{Body, handle_id};
use super::failed::Failed;
use super::handle::Vm;
use super::state::{Created, NoPage};
use crate::acrn::{Hypervisor, HypervisorCalls, PcpuSet, VmCreation, VmFlags};
use crate::{Error, Rejection};

impl<H: Hypervisor> Vm<H, Created, NoPage> {
    /// Creates a VM. `pcpus` are the physical processors that exist: on a debug build
    /// [`get_hw_info`](Hypervisor::get_hw_info) has their number.
    ///
    /// Checked before anything is issued:
    /// - the affinity is within `pcpus`: a processor that does not exist crashes the hypervisor, unless the VM is
    ///   configured;
    /// - [`LAPIC_PASSTHROUGH`](VmFlags::LAPIC_PASSTHROUGH) comes with [`RT`](VmFlags::RT): the refusal would empty the
    ///   name of the VM's slot.
    ///
    /// What cannot be known, and is the caller's to get right:
    /// - the name: one that is not configured creates another VM. One that a living VM has is refused, and where it is
    ///   not configured **the refusal takes the name from the living VM's slot**;
    /// - an empty affinity with a name that is not configured creates a VM without vCPUs, which
    ///   [`start`](Vm::start) refuses;
    /// - [`SECURE_WORLD`](VmFlags::SECURE_WORLD) where no trusty VM is configured fails, and so does every later
    ///   creation in that slot;
    /// - that the Service VM has given its processors up
    ///   ([`service_vm_offline_cpu`](Hypervisor::service_vm_offline_cpu)).
    ///
    /// # Errors
    /// [`Failed`] gives the hypervisor back. Its error is [`Invalid`](crate::ErrorKind::Invalid) after a check above,
    /// and else as [`Hypervisor::create_vm`]. Where [`Failed::is_state_known`] is false, a VM may exist in state
    /// created under an id that did not come back. Creating it again to find out is no remedy: see above. Whoever knows
    /// which ids are in use finds it with [`VmState::of`](super::VmState::of) and [`adopt`](super::AnyVm::adopt)s it.
    pub fn create(hypervisor: H, creation: &VmCreation, pcpus: PcpuSet) -> Result<Self, Failed<H>> {
        if let Some(why) = objection(creation, pcpus) {
            let error = Error::invalid(HypervisorCalls::CREATE_VM, [0; 2], why);
            return Err(Failed::unchanged(error, hypervisor));
        }
        let mut creation = *creation;
        let id = match hypervisor.create_vm(&mut creation) {
            Ok(id) => id,
            Err(error) => return Err(Failed::new(error, hypervisor)),
        };
        let Some(id) = handle_id(id) else {
            const HOW: Rejection = Rejection("vmid is one that no new VM can have");
            let error = Error::rejected(HypervisorCalls::CREATE_VM, [0; 2], HOW);
            return Err(Failed::in_doubt(error, hypervisor));
        };
        let mut body = Body::new(hypervisor, id);
        body.vcpus = Some(creation.vcpu_num);
        body.disposable = true;
        Ok(Self::from_parts(body, NoPage { offered: None }))
    }
}

const fn objection(creation: &VmCreation, pcpus: PcpuSet) -> Option<&'static str> {
    if creation.cpu_affinity.0 & !pcpus.0 != 0 {
        return Some(
            "the affinity names a processor that does not exist, which crashes the hypervisor",
        );
    }
    if creation.flags.contains(VmFlags::LAPIC_PASSTHROUGH) && !creation.flags.contains(VmFlags::RT)
    {
        return Some("the flag LAPIC_PASSTHROUGH needs the flag RT");
    }
    None
}
