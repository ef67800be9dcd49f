//! The transitions from state to state.

use super::any::PoweredOff;
use super::failed::Failed;
use super::handle::Vm;
use super::state::{Created, NoPage, Paused, Running, WithPage};
use crate::acrn::{Hypervisor, HypervisorCalls, PmCommand, codes};
use crate::{Error, OwnedPage, Rejection};

impl<H: Hypervisor> Vm<H, Created, NoPage> {
    /// Gives the VM its request page. The hypervisor holds it from now on, until the VM is destroyed.
    ///
    /// # Errors
    /// [`Failed`] gives the VM and the page back; the VM is in state created in any case.
    /// - [`Invalid`](crate::ErrorKind::Invalid): a hypervisor holds the page already. Nothing was issued.
    /// - As [`Hypervisor::set_ioreq_buffer`]. After a refusal the page is the caller's again.
    /// - No answer: the page is still [lent](OwnedPage::is_lent). Try again with the same page; or with another, and
    ///   then the first is [the caller's](OwnedPage::reclaim).
    pub fn set_request_page(
        mut self,
        mut page: OwnedPage,
    ) -> Result<Vm<H, Created, WithPage>, Failed<(Self, OwnedPage)>> {
        const HELD: &str =
            "a hypervisor holds this page already: take another, or reclaim it when it lets go";
        let again = page.is_lent();
        let ours = self
            .page
            .offered
            .is_some_and(|offered| core::ptr::eq(offered, page.page()));
        if again && !ours {
            let error = Error::invalid(HypervisorCalls::SET_IOREQ_BUFFER, self.body.args(), HELD);
            return Err(Failed::unchanged(error, (self, page)));
        }
        let shared = page.lend();
        match self.body.hypervisor.set_ioreq_buffer(self.id(), shared) {
            Ok(()) => {
                let with = WithPage { page: page.page() };
                let mut body = self.body;
                body.page = Some(page);
                Ok(Vm::from_parts(body, with))
            }
            Err(error) => {
                if error.may_have_run() {
                    self.page.offered = Some(page.page());
                } else if !again {
                    page.reclaim();
                }
                // Whatever became of the page, this call does not change the VM's state.
                Err(Failed::unchanged(error, (self, page)))
            }
        }
    }
}

impl<H: Hypervisor> Vm<H, Created, WithPage> {
    /// Starts the VM at its first vCPU's registers. Somebody should be ready to serve its
    /// [requests](Vm::requests).
    ///
    /// From now on a dropped handle leaves the VM as it is.
    ///
    /// # Errors
    /// - [`Invalid`](crate::ErrorKind::Invalid): the VM has no vCPU, because its affinity was empty and its name is not
    ///   configured. Nothing was issued.
    /// - As [`Hypervisor::start_vm`].
    pub fn start(mut self) -> Result<Vm<H, Running, WithPage>, Failed<Self>> {
        const NO_VCPU: &str = "the VM has no vCPU: give it an affinity when it is created";
        if self.body.vcpus == Some(0) {
            let error = Error::invalid(HypervisorCalls::START_VM, self.body.args(), NO_VCPU);
            return Err(Failed::unchanged(error, self));
        }
        match self.body.hypervisor.start_vm(self.id()) {
            Ok(()) => {
                self.body.disposable = false;
                Ok(self.into_state())
            }
            Err(error) => {
                let failed = Failed::new(error, self);
                Err(failed.not_disposable_in_doubt())
            }
        }
    }
}

impl<H: Hypervisor> Failed<Vm<H, Created, WithPage>> {
    /// A VM that may have been started is not for a dropped handle to destroy.
    fn not_disposable_in_doubt(mut self) -> Self {
        self.handle.body.disposable &= self.is_state_known();
        self
    }
}

impl<H: Hypervisor, P> Vm<H, Created, P> {
    /// Pauses a VM that is not running, which destroying it needs.
    ///
    /// # Errors
    /// As [`Hypervisor::pause_vm`].
    pub fn pause(self) -> Result<Vm<H, Paused, P>, Failed<Self>> {
        match self.body.hypervisor.pause_vm(self.id()) {
            Ok(()) => Ok(self.into_state()),
            Err(error) => Err(Failed::new(error, self)),
        }
    }
}

impl<H: Hypervisor, P> Vm<H, Running, P> {
    /// Stops all vCPUs where they are, for good.
    ///
    /// ACRN answers 0 also where it leaves a VM of a higher severity than the Service VM's running, such as a real-time
    /// VM that has not switched itself off (`pause_vm`). So this asks whether the VM is paused
    /// ([`pm_get_cx_count`](Hypervisor::pm_get_cx_count)).
    ///
    /// # Errors
    /// - [`Rejected`](crate::ErrorKind::Rejected): the VM was left running.
    /// - As [`Hypervisor::pause_vm`]; and as [`Hypervisor::pm_get_cx_count`] where the question got no answer, and then
    ///   the state is not known.
    pub fn pause(self) -> Result<Vm<H, Paused, P>, Failed<Self>> {
        const LEFT_RUNNING: Rejection = Rejection(
            "the VM was left running, its severity is above the Service VM's: it must switch itself off first",
        );
        if let Err(error) = self.body.hypervisor.pause_vm(self.id()) {
            return Err(Failed::new(error, self));
        }
        let stopped = PmCommand::new(self.id());
        match self.body.hypervisor.pm_get_cx_count(stopped) {
            Ok(_) => Ok(self.into_state()),
            Err(error) if error.code() == Some(codes::EPERM) => {
                let error =
                    Error::rejected(HypervisorCalls::PAUSE_VM, self.body.args(), LEFT_RUNNING);
                Err(Failed::unchanged(error, self))
            }
            Err(error) => Err(Failed::in_doubt(error, self)),
        }
    }
}

impl<H: Hypervisor, P> Vm<H, Paused, P> {
    /// Brings the VM back to state created, its vCPUs to their state after reset: set their registers again. Memory,
    /// devices and the request page stay, and every request in the page is forgotten.
    ///
    /// # Errors
    /// As [`Hypervisor::reset_vm`]. After -22 and -110 the hypervisor has acted all the same, so the state counts as
    /// not known: [`reconcile`](Vm::reconcile) finds the VM created.
    pub fn reset(self) -> Result<Vm<H, Created, P>, Failed<Self>> {
        match self.body.hypervisor.reset_vm(self.id()) {
            Ok(()) => Ok(self.into_state()),
            Err(error) => Err(Failed::new(error, self)),
        }
    }

    /// Gives back the devices that the handle remembers, and destroys the VM. Its memory is the Service VM's alone
    /// again, and its page the caller's.
    ///
    /// # Errors
    /// - A device could not be given back: the error of that call. The VM is paused, and the devices before are back.
    /// - As [`Hypervisor::destroy_vm`]. After -110 the VM is gone all the same: [`reconcile`](Vm::reconcile) finds that.
    pub fn destroy(mut self) -> Result<PoweredOff, Failed<Self>> {
        match self.body.power_off() {
            Ok(()) => Ok(PoweredOff {
                id: self.id(),
                page: self.body.page.take(),
            }),
            Err(setback) => Err(Failed::set_back(setback, self)),
        }
    }
}
