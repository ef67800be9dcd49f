//! mockall's mocks of a transport and of ACRN's interface, and the macro that makes them of other interfaces.

use hypercall::acrn::*;
use hypercall::arg::Arg;
use hypercall::call::CallInfo;
use hypercall::{Error, Hpa, PageAligned, SharedRef, Transport, TransportError};

pub use hypercall_macros::mock;
/// What expectations are written with: predicates, sequences.
pub use mockall;

mockall::mock! {
    /// A mock of [`Transport`]: calls as a transport sees them, with their description and raw arguments.
    ///
    /// The memory in `args` is the caller's, so what an expectation writes into it is what the caller reads.
    #[derive(Debug)]
    pub Transport {}
    impl Transport for Transport {
        /// [`Transport::call`], as it was told.
        fn call<'a>(
            &self,
            info: &'static CallInfo,
            args: [Arg<'a>; 2],
        ) -> Result<i64, TransportError>;
    }
}

hypercall::hypervisor_interface!(mock);
