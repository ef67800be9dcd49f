//! A hypervisor that does not say how many bytes a profiling command has is not asked: its method would get none.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use hypercall_core::acrn::server::{AcrnServer, Caller, Host};
use hypercall_core::acrn::*;
use hypercall_core::server::{GuestMemory, Registers, Serve as _, Unmapped};
use hypercall_core::zerocopy::FromZeros;
use hypercall_core::{Error, Hpa, PageAligned, SharedRef, TransportError};

/// Succeeds at everything, with zeros.
struct Succeeds;

macro_rules! succeed {
    ($(#[$_:meta])* $visibility:vis trait $name:ident {
        $($(#[$__:meta])* fn $method:ident(&self $(, $argument:ident: $ty:ty)* $(,)?) -> Result<$ok:ty, Error>;)*
    }) => {
        impl $name for Succeeds {
            $(
                fn $method(&self $(, $argument: $ty)*) -> Result<$ok, Error> {
                    $(let _ = $argument;)*
                    Ok(<$ok>::new_zeroed())
                }
            )*
        }
    };
}
hypercall_core::hypervisor_interface!(succeed);

impl Host for Succeeds {
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

struct Zeros;

impl GuestMemory for Zeros {
    fn read(&self, _: u64, bytes: &mut [u8]) -> Result<(), Unmapped> {
        bytes.fill(0);
        Ok(())
    }
    fn write(&self, _: u64, _: &[u8]) -> Result<(), Unmapped> {
        Ok(())
    }
}

#[test]
fn a_host_that_does_not_say_it_is_not_handed_an_empty_slice() {
    let server = AcrnServer::new(Succeeds);
    let ask = |number, args| server.serve(Registers { number, args }, &Zeros);
    let vector = HypervisorCalls::SET_CALLBACK_VECTOR.number;
    assert_eq!(ask(vector, [0x40, 0]).unwrap(), 0);
    let refused = ask(HypervisorCalls::PROFILING_OPS.number, [1, 0x1000]).unwrap_err();
    let TransportError::Unsupported(why) = refused else {
        panic!("{refused}")
    };
    assert!(why.contains("how many bytes"), "{why}");
}
