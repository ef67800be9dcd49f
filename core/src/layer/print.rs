//! Shows each call in a line.

use core::fmt;

use crate::arg::{Arg, reborrow};
use crate::call::CallInfo;
use crate::show::{ShowAnswer, ShowCall};
use crate::transport::{Transport, TransportError};

/// Shows each call as it returns, in the manner of strace: `start_vm(vm=VmId(1)) = -1 EPERM`.
///
/// The sink is called once for each call with the whole line, without a line break. It may be called by several threads
/// at once; one that writes the line in a single locked operation, as `println!` does, keeps lines whole.
///
/// Memory is shown as it is after the call, so what the hypervisor wrote is what is seen. A call that never returns is
/// not shown.
///
/// ```
/// # use hypercall_core::{Transport, TransportError, arg::Arg, call::CallInfo};
/// # struct Wire;
/// # impl Transport for Wire {
/// #     fn call<'a>(&self, _: &'static CallInfo, _: [Arg<'a>; 2]) -> Result<i64, TransportError> { Ok(0) }
/// # }
/// use hypercall_core::{Client, layer::Print};
/// let client = Client::new(Print::new(Wire, |line| eprintln!("{line}")));
/// # let _ = client;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Print<T, F> {
    inner: T,
    sink: F,
}

impl<T, F: Fn(fmt::Arguments<'_>)> Print<T, F> {
    /// Gives `sink` a line for each call that goes to `inner`.
    pub const fn new(inner: T, sink: F) -> Self {
        Self { inner, sink }
    }

    /// The transport inside.
    pub const fn inner(&self) -> &T {
        &self.inner
    }

    /// Gives the transport inside back.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: Transport, F: Fn(fmt::Arguments<'_>)> Transport for Print<T, F> {
    fn call<'a>(
        &self,
        info: &'static CallInfo,
        mut args: [Arg<'a>; 2],
    ) -> Result<i64, TransportError> {
        let answer = self.inner.call(info, reborrow(&mut args));
        (self.sink)(format_args!(
            "{}{}",
            ShowCall(info, &args),
            ShowAnswer(info, &args, &answer)
        ));
        answer
    }
}
