//! A step that failed, and the handle that comes back with the error.

use core::fmt;

use super::any::AnyVm;
use super::body::Setback;
use super::handle::Vm;
use super::state::State;
use crate::Error;
use crate::acrn::{Hypervisor, codes};

/// A step that failed, with what it was tried on: a [`Vm`] in the state that it had before, an [`AnyVm`] in the state
/// that it got to, or the hypervisor, where no VM was created.
///
/// Converts into its [`Error`], so that `?` works; the handle is then dropped, by the rule of [the module](super).
#[must_use = "the handle is in here, and is dropped with it"]
pub struct Failed<T> {
    /// The call that failed.
    pub error: Error,
    /// What the step was tried on.
    pub handle: T,
    known: bool,
}

impl<T> Failed<T> {
    /// The error says whether the hypervisor may have acted.
    pub(super) fn new(error: Error, handle: T) -> Self {
        Self {
            known: is_state_known_after(&error),
            error,
            handle,
        }
    }

    /// Whatever the error says, the handle's state is the VM's.
    pub(super) const fn unchanged(error: Error, handle: T) -> Self {
        Self {
            error,
            handle,
            known: true,
        }
    }

    /// Whatever the error says, the handle's state may not be the VM's.
    pub(super) const fn in_doubt(error: Error, handle: T) -> Self {
        Self {
            error,
            handle,
            known: false,
        }
    }

    pub(super) fn set_back(setback: Setback, handle: T) -> Self {
        Self {
            error: setback.error,
            handle,
            known: setback.known,
        }
    }

    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Failed<U> {
        Failed {
            error: self.error,
            handle: change(self.handle),
            known: self.known,
        }
    }

    /// Whether the VM is in the state of the handle.
    ///
    /// `false` after a call whose answer was lost or makes no sense, and after the codes by which the hypervisor says
    /// that it acted and something went wrong on the way.
    #[must_use]
    pub const fn is_state_known(&self) -> bool {
        self.known
    }
}

impl<H: Hypervisor, S: State, P> Failed<Vm<H, S, P>> {
    /// Finds the state that the VM is in: see [`Vm::reconcile`].
    ///
    /// # Errors
    /// Again [`Failed`] where a question got no answer. It can be asked again.
    pub fn reconcile(self) -> Result<AnyVm<H, P>, Self> {
        self.handle.reconcile()
    }
}

impl<H: Hypervisor, P> Failed<AnyVm<H, P>> {
    /// Finds the state that the VM is in: see [`Vm::reconcile`].
    ///
    /// # Errors
    /// Again [`Failed`] where a question got no answer. It can be asked again.
    pub fn reconcile(self) -> Result<AnyVm<H, P>, Self> {
        self.handle.reconcile()
    }
}

/// Whether a VM's state is what it was before a transition that failed like this.
///
/// `EPERM` is what the handlers start from, and `ENOTTY` is decided before one runs. Every other code comes from
/// `shutdown_vm` or `reset_vm`, which act all the same.
pub(super) const fn is_state_known_after(error: &Error) -> bool {
    match error.code() {
        Some(codes::EPERM | codes::ENOTTY) => true,
        Some(_) => false,
        None => !error.may_have_run(),
    }
}

impl<T> fmt::Debug for Failed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed")
            .field("error", &self.error)
            .field("is_state_known", &self.known)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Failed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)?;
        if self.known {
            Ok(())
        } else {
            f.write_str(". Whether it took effect is not known: find out before going on")
        }
    }
}

impl<T> core::error::Error for Failed<T> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.error.source()
    }
}

impl<T> From<Failed<T>> for Error {
    fn from(failed: Failed<T>) -> Self {
        failed.error
    }
}
