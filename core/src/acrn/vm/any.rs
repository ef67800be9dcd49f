//! A handle whose state is known only when the program runs.

use core::fmt;

use super::failed::Failed;
use super::handle::Vm;
use super::probe::VmState;
use super::state::{Created, Paused, Running, State, WithPage};
use crate::OwnedPage;
use crate::acrn::{Hypervisor, VmId};

/// A VM in one of its states.
#[must_use = "a VM that was never started is destroyed when its handle is dropped"]
pub enum AnyVm<H: Hypervisor, P = WithPage> {
    /// It can be prepared and started.
    Created(Vm<H, Created, P>),
    /// It was started.
    Running(Vm<H, Running, P>),
    /// It can be reset or destroyed.
    Paused(Vm<H, Paused, P>),
    /// It is gone.
    PoweredOff(PoweredOff),
}

/// What is left of a VM.
#[derive(Debug)]
pub struct PoweredOff {
    /// The id that it had. The hypervisor may give it to the next VM.
    pub id: VmId,
    /// The request page, where the handle gave one.
    ///
    /// It is still [lent](OwnedPage::is_lent) where `DESTROY_VM` did not answer 0. A program that knows better can
    /// [reclaim](OwnedPage::reclaim) it: ACRN uses the page only for vCPUs, and those of a VM without
    /// [`LAPIC_PASSTHROUGH`](crate::acrn::VmFlags::LAPIC_PASSTHROUGH) are gone with it.
    pub page: Option<OwnedPage>,
}

impl<H: Hypervisor, S: State, P> Vm<H, S, P> {
    /// Finds the state that the VM is in, by calls that change nothing, and returns the handle in it.
    ///
    /// For a VM whose state is in doubt: after a call without an answer, after raw calls, or where another program acts
    /// on it. [`VmState::of`] says how. After a destruction without an answer the slot may have been taken by another
    /// VM of another program, which cannot be told from this one.
    ///
    /// # Errors
    /// [`Failed`], with the same handle, where a question got no answer that it can have. It can be asked again.
    pub fn reconcile(mut self) -> Result<AnyVm<H, P>, Failed<Self>> {
        match VmState::of(&self.body.hypervisor, self.id()) {
            Ok(VmState::Created) => Ok(AnyVm::Created(self.into_state())),
            Ok(VmState::Paused) => Ok(AnyVm::Paused(self.into_state())),
            Ok(VmState::Running) => {
                self.body.disposable = false;
                Ok(AnyVm::Running(self.into_state()))
            }
            Ok(VmState::PoweredOff) => {
                self.body.disposable = false;
                Ok(AnyVm::PoweredOff(PoweredOff {
                    id: self.id(),
                    page: self.body.page.take(),
                }))
            }
            Err(error) => Err(Failed::in_doubt(error, self)),
        }
    }

    /// From any state to powered off: pauses the VM, gives its devices back, destroys it. The VM's work is lost.
    ///
    /// # Errors
    /// [`Failed`] with the handle in the state that it got to: in its own where pausing failed, else paused. A running
    /// real-time VM may not be paused from outside: see [`Vm::pause`].
    pub fn shut_down(self) -> Result<PoweredOff, Failed<AnyVm<H, P>>> {
        self.erase().shut_down()
    }
}

impl<H: Hypervisor, P> AnyVm<H, P> {
    /// The VM's id. Never 0.
    #[must_use]
    pub const fn id(&self) -> VmId {
        match self {
            Self::Created(vm) => vm.id(),
            Self::Running(vm) => vm.id(),
            Self::Paused(vm) => vm.id(),
            Self::PoweredOff(off) => off.id,
        }
    }

    /// The state, as a value.
    #[must_use]
    pub const fn state(&self) -> VmState {
        match self {
            Self::Created(_) => VmState::Created,
            Self::Running(_) => VmState::Running,
            Self::Paused(_) => VmState::Paused,
            Self::PoweredOff(_) => VmState::PoweredOff,
        }
    }

    /// As [`Vm::detach`]. Of a VM that is gone, the id that it had.
    pub fn detach(self) -> (VmId, Option<OwnedPage>) {
        match self {
            Self::Created(vm) => vm.detach(),
            Self::Running(vm) => vm.detach(),
            Self::Paused(vm) => vm.detach(),
            Self::PoweredOff(off) => (off.id, off.page),
        }
    }

    /// As [`Vm::reconcile`]. A VM that is gone stays gone.
    ///
    /// # Errors
    /// As there.
    pub fn reconcile(self) -> Result<Self, Failed<Self>> {
        match self {
            Self::Created(vm) => vm.reconcile().map_err(|failed| failed.map(Self::Created)),
            Self::Running(vm) => vm.reconcile().map_err(|failed| failed.map(Self::Running)),
            Self::Paused(vm) => vm.reconcile().map_err(|failed| failed.map(Self::Paused)),
            Self::PoweredOff(off) => Ok(Self::PoweredOff(off)),
        }
    }

    /// As [`Vm::shut_down`]. For a VM that is gone there is nothing to do.
    ///
    /// # Errors
    /// As there.
    pub fn shut_down(self) -> Result<PoweredOff, Failed<Self>> {
        let paused = match self {
            Self::Created(vm) => vm.pause().map_err(|failed| failed.map(Self::Created))?,
            Self::Running(vm) => vm.pause().map_err(|failed| failed.map(Self::Running))?,
            Self::Paused(vm) => vm,
            Self::PoweredOff(off) => return Ok(off),
        };
        paused.destroy().map_err(|failed| failed.map(Self::Paused))
    }
}

impl<H: Hypervisor, P> fmt::Debug for AnyVm<H, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created(vm) => vm.fmt(f),
            Self::Running(vm) => vm.fmt(f),
            Self::Paused(vm) => vm.fmt(f),
            Self::PoweredOff(off) => off.fmt(f),
        }
    }
}
