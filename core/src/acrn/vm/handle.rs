//! The handle: what it is, and what it has in every state.

use core::fmt;
use core::marker::PhantomData;

use super::any::AnyVm;
use super::body::Body;
use super::state::{Created, Paused, Running, State, Stopped, WithPage};
use crate::acrn::ioreq::IoReqPage;
use crate::acrn::{Hypervisor, VcpuRegs, VmId};
use crate::{Error, OwnedPage};

/// A VM in a state: [`Created`], [`Running`] or [`Paused`]; with a request page or without.
///
/// There is one handle for each VM, and it cannot be copied. It never names the Service VM. Dropped, it destroys the VM
/// only where nobody would miss it: see [the module](super).
#[must_use = "a VM that was never started is destroyed when its handle is dropped"]
pub struct Vm<H: Hypervisor, S, P = WithPage> {
    pub(super) body: Body<H>,
    pub(super) page: P,
    state: PhantomData<fn() -> S>,
}

impl<H: Hypervisor, S, P> Vm<H, S, P> {
    pub(super) const fn from_parts(body: Body<H>, page: P) -> Self {
        Self {
            body,
            page,
            state: PhantomData,
        }
    }

    /// The same VM, in another state.
    pub(super) fn into_state<T>(self) -> Vm<H, T, P> {
        Vm::from_parts(self.body, self.page)
    }

    /// The VM's id, for raw calls. Never 0.
    #[must_use]
    pub const fn id(&self) -> VmId {
        self.body.id()
    }

    /// The hypervisor, for calls that the handle does not have.
    ///
    /// A raw call that changes the VM's state makes the handle's type wrong. The hypervisor then refuses what does not
    /// fit, and [`reconcile`](Self::reconcile) finds the state.
    #[must_use]
    pub const fn hypervisor(&self) -> &H {
        &self.body.hypervisor
    }

    /// How many vCPUs the VM has, or `None` for a VM that was adopted.
    #[must_use]
    pub const fn vcpus(&self) -> Option<u16> {
        self.body.vcpus
    }

    /// Gives the handle up and leaves the VM as it is: it stays created, goes on running, or stays paused.
    ///
    /// The page, if this handle gave one, is still the hypervisor's; dropped, it is leaked. Assigned devices stay with
    /// the VM. [`AnyVm::adopt`] makes a new handle.
    pub fn detach(mut self) -> (VmId, Option<OwnedPage>) {
        self.body.disposable = false;
        (self.id(), self.body.page.take())
    }
}

impl<H: Hypervisor, S: State, P> Vm<H, S, P> {
    /// The handle without its state's type.
    pub fn erase(self) -> AnyVm<H, P> {
        S::erase(self)
    }
}

impl<H: Hypervisor, S> Vm<H, S, WithPage> {
    /// The live request page. [`requests`](Self::requests) serves it.
    #[must_use]
    pub const fn request_page(&self) -> IoReqPage<'static> {
        IoReqPage::new(self.page.page)
    }
}

impl<H: Hypervisor, S: Stopped, P> Vm<H, S, P> {
    /// Sets the registers that a vCPU starts with. A [reset](Vm::reset) sets them back.
    ///
    /// # Errors
    /// As [`Hypervisor::set_vcpu_regs`]: -1 for registers that no vCPU may start with, or a vCPU that the VM lacks.
    pub fn set_vcpu_regs(&self, regs: &VcpuRegs) -> Result<(), Error> {
        self.body.hypervisor.set_vcpu_regs(self.id(), regs)
    }
}

/// Moves the handle into an [`AnyVm`].
macro_rules! into_any {
    ($($state:ident),+) => { $(
        impl<H: Hypervisor, P> From<Vm<H, $state, P>> for AnyVm<H, P> {
            fn from(vm: Vm<H, $state, P>) -> Self {
                Self::$state(vm)
            }
        }
    )+ };
}
into_any!(Created, Running, Paused);

impl<H: Hypervisor, S: State, P> fmt::Debug for Vm<H, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vm")
            .field("id", &self.id())
            .field("state", &S::STATE)
            .field("page", &self.body.page)
            .finish_non_exhaustive()
    }
}
