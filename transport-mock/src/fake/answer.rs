//! What a call comes to, before it is given the shape of an [`Error`](hypercall_core::Error).

use hypercall_core::Hazard;

/// Anything but success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fail {
    /// An error code in RAX.
    Code(i64),
    /// The machine does not survive the call.
    Dead(Hazard),
}

/// The result of a call's work.
pub(crate) type Answer<T = ()> = Result<T, Fail>;

/// The failure without a reason, which most of ACRN's handlers start from.
pub(crate) const REFUSED: Fail = Fail::Code(-1);
/// I/O error: a port BAR of a passed-through device was moved.
pub(crate) const EIO: Fail = Fail::Code(-5);
/// No such device.
pub(crate) const ENODEV: Fail = Fail::Code(-19);
/// Invalid argument.
pub(crate) const EINVAL: Fail = Fail::Code(-22);
/// No such call, or no such target.
pub(crate) const ENOTTY: Fail = Fail::Code(-25);

/// The hypervisor dies of it.
pub(crate) const fn crash(why: &'static str) -> Fail {
    Fail::Dead(Hazard::Crashed(why))
}

/// The caller never gets an answer.
pub(crate) const fn hang(why: &'static str) -> Fail {
    Fail::Dead(Hazard::Hung(why))
}
