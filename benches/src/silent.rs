//! A hypervisor whose methods do nothing, and memory that costs nothing: what is left is the dispatcher.

use hypercall_core::acrn::server::{Caller, Host};
use hypercall_core::acrn::*;
use hypercall_core::server::{GuestMemory, Unmapped};
use hypercall_core::{Error, Hpa, PageAligned, SharedRef};
use zerocopy::FromZeros;

/// Succeeds at everything, with zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silent;

/// The interface's definition is all it takes to implement it.
macro_rules! succeed {
    ($(#[$_:meta])* $visibility:vis trait $name:ident {
        $($(#[$__:meta])* fn $method:ident(&self $(, $argument:ident: $ty:ty)* $(,)?) -> Result<$ok:ty, Error>;)*
    }) => {
        impl $name for Silent {
            $(
                #[inline(never)]
                fn $method(&self $(, $argument: $ty)*) -> Result<$ok, Error> {
                    $(let _ = $argument;)*
                    Ok(<$ok>::new_zeroed())
                }
            )*
        }
    };
}
hypercall_core::hypervisor_interface!(succeed);

impl Host for Silent {
    fn caller(&self) -> Caller {
        Caller::SERVICE_VM
    }
    fn has_vm(&self, _: VmId) -> bool {
        true
    }
    fn create_vm_in(&self, slot: VmId, _: Option<&mut VmCreation>) -> Result<VmId, Error> {
        Ok(slot)
    }
}

/// Zeros everywhere, except for what the benches need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blank {
    /// What every block starts with.
    pub(crate) start: [u8; 32],
}

impl GuestMemory for Blank {
    fn read(&self, _: u64, bytes: &mut [u8]) -> Result<(), Unmapped> {
        for (to, from) in bytes.iter_mut().zip(self.start) {
            *to = from;
        }
        Ok(())
    }
    fn write(&self, _: u64, _: &[u8]) -> Result<(), Unmapped> {
        Ok(())
    }
}
