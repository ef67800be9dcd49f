//! mockall's mocks of a transport and of ACRN's interface.
#![allow(missing_docs, reason = "mockall writes these types; what they do is documented there")]

use hypercall::arg::Arg;
use hypercall::call::CallInfo;
use hypercall::{Transport, TransportError};

mockall::mock! {
    #[derive(Debug)]
    pub Transport {}
    impl Transport for Transport {
        fn call<'a>(
            &self,
            info: &'static CallInfo,
            args: [Arg<'a>; 2],
        ) -> Result<i64, TransportError>;
    }
}
