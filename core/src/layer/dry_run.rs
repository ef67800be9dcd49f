//! Says what would be issued, and issues nothing.

use core::fmt;

use crate::arg::Arg;
use crate::call::CallInfo;
use crate::layer::{CallList, Rule};
use crate::show::ShowCall;
use crate::transport::{LayerRefusal, Transport, TransportError};

/// Why [`DryRun`] refuses a call that it would have let through.
pub const REFUSAL: LayerRefusal = LayerRefusal {
    layer: "dry-run",
    reason: "the call is allowed, but nothing is issued in a dry run",
};

/// Stands where an [`AllowList`](crate::layer::AllowList) would, issues nothing, and says of each call what the list would have done.
///
/// There is no transport inside: nothing *can* be issued. A call that would have been issued is refused with
/// [`REFUSAL`]; one that would not, as by the allow-list. The sink gets one line for each call, such as
/// `would issue start_vm(vm=VmId(1))` or
/// `would refuse pause_vm(vm=VmId(0)): the call is on the list of denied calls`.
///
/// A program that needs the answer of one call for the next gets no further than the first. What it does without
/// answers is what a dry run shows.
#[derive(Clone, Copy, Debug)]
pub struct DryRun<R, F> {
    list: CallList<R>,
    sink: F,
}

impl<R: AsRef<[Rule]>, F: Fn(fmt::Arguments<'_>)> DryRun<R, F> {
    /// A dry run of what `list` allows, told to `sink`. A line has no line break at its end.
    pub const fn new(list: CallList<R>, sink: F) -> Self {
        Self { list, sink }
    }
}

impl<R: AsRef<[Rule]>, F: Fn(fmt::Arguments<'_>)> Transport for DryRun<R, F> {
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        let shown = ShowCall(info, &args);
        let refusal = match self.list.check(info) {
            Ok(()) => {
                (self.sink)(format_args!("would issue {shown}"));
                REFUSAL
            }
            Err(refusal) => {
                (self.sink)(format_args!("would refuse {shown}: {}", refusal.reason));
                refusal
            }
        };
        Err(TransportError::Layer(refusal))
    }
}
