//! The states of a VM, as types.

use super::any::AnyVm;
use super::handle::Vm;
use super::probe::VmState;
use crate::SharedPage;
use crate::acrn::Hypervisor;

mod sealed {
    pub trait Sealed {}
}

/// A state that a [`Vm`] can be in. Powered off is none of them: then there is no handle.
pub trait State: sealed::Sealed + Sized {
    /// The state as a value.
    const STATE: VmState;

    /// The handle without its state's type.
    #[doc(hidden)]
    fn erase<H: Hypervisor, P>(vm: Vm<H, Self, P>) -> AnyVm<H, P>;
}

/// A state in which no vCPU runs: registers can be set, devices can be given back.
pub trait Stopped: State {}

/// The VM exists and was not started since it was created or reset.
#[derive(Debug)]
pub enum Created {}

/// The VM was started. It may have stopped by itself: a guest that powers off asks its device model to do it, and a
/// real-time VM stops without asking.
#[derive(Debug)]
pub enum Running {}

/// The VM's vCPUs are stopped for good: it can be reset or destroyed.
#[derive(Debug)]
pub enum Paused {}

macro_rules! states {
    ($($state:ident),+) => { $(
        impl sealed::Sealed for $state {}
        impl State for $state {
            const STATE: VmState = VmState::$state;

            fn erase<H: Hypervisor, P>(vm: Vm<H, Self, P>) -> AnyVm<H, P> {
                AnyVm::$state(vm)
            }
        }
    )+ };
}
states!(Created, Running, Paused);

impl Stopped for Created {}
impl Stopped for Paused {}

/// This handle gave the VM no request page. Where the VM was adopted, its creator may have.
#[derive(Debug)]
pub struct NoPage {
    /// The page that the hypervisor may have taken without saying so.
    pub(super) offered: Option<&'static SharedPage>,
}

/// This handle gave the VM its request page.
#[derive(Clone, Copy, Debug)]
pub struct WithPage {
    pub(super) page: &'static SharedPage,
}
