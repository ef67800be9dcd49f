//! What carries a call to a hypervisor.

use core::fmt;

use crate::arg::Arg;
use crate::call::CallInfo;

/// Carries calls: registers and blocks of memory in, RAX and memory out.
///
/// **For those who make calls:** wrap a transport in a [`Client`] and call the methods of the interface's trait.
///
/// **For those who write a transport:** [`call`](Transport::call) is the whole contract. Deliver the number of `info`
/// and the arguments, and return RAX as it came, all 64 bits; what it means is decided by the client. Return an error
/// only where there is no RAX. Leave memory that the hypervisor did not write as it is. A transport whose RAX may be an old one
/// starts with [`RAX_UNWRITTEN`] in it.
///
/// **For those who write a layer:** a layer is a transport that holds a transport. Look at `args` before, pass
/// [`reborrow`](crate::arg::reborrow)ed ones on, and look at them again after.
///
/// The trait is safe and object-safe. Whether a *particular* transport can do harm is decided where it is built.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a transport",
    label = "a `Client` needs something that carries calls",
    note = "an implementation of an interface is used as it is, without a `Client`; to reach one through registers and memory, put its server behind a loopback (`hypercall::mock::loopback::Loopback`)"
)]
pub trait Transport {
    /// Makes one call.
    ///
    /// # Errors
    /// [`TransportError`] when there is no answer. [`TransportError::may_have_run`] says whether the hypervisor may
    /// have acted all the same.
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError>;
}

impl<T: Transport + ?Sized> Transport for &T {
    #[inline]
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        (**self).call(info, args)
    }
}

crate::__if_alloc! {
    impl<T: Transport + ?Sized> Transport for alloc::boxed::Box<T> {
        #[inline]
        fn call<'a>(
            &self,
            info: &'static CallInfo,
            args: [Arg<'a>; 2],
        ) -> Result<i64, TransportError> {
            (**self).call(info, args)
        }
    }

    impl<T: Transport + ?Sized> Transport for alloc::sync::Arc<T> {
        #[inline]
        fn call<'a>(
            &self,
            info: &'static CallInfo,
            args: [Arg<'a>; 2],
        ) -> Result<i64, TransportError> {
            (**self).call(info, args)
        }
    }
}

/// A program's side of an interface: implements the interface's trait over any transport.
///
/// A newtype rather than an implementation for every transport, so that references, boxes and other
/// implementations of the trait can forward to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client<T: ?Sized>(T);

impl<T: Transport> Client<T> {
    /// A client over a transport.
    pub const fn new(transport: T) -> Self {
        Self(transport)
    }

    /// Gives the transport back.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: Transport + ?Sized> Client<T> {
    /// The transport.
    #[inline]
    pub const fn transport(&self) -> &T {
        &self.0
    }
}

/// What a transport that executes an instruction puts into RAX before it, so that it can be seen that no result was written.
///
/// A hypervisor may leave RAX as it is (ACRN 3.3 did where the result was -13 or -19), and the 0 of an earlier computation in it
/// would read as success. This value is no success to any call, not even to one whose result is RAX, and no code, which has 32
/// bits: it reads as [`Nonsense`](crate::ErrorKind::Nonsense).
pub const RAX_UNWRITTEN: i64 = i64::MIN;

/// There is no answer from the hypervisor: why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportError {
    /// The physical address of a block could not be found, or the block is not physically contiguous. Nothing was
    /// issued.
    Untranslatable {
        /// The register (0 or 1) whose block it is.
        register: u8,
        /// Whether it is the block that the register's block points at.
        nested: bool,
    },
    /// A layer decided that the call is not to be made. Nothing was issued.
    Layer(LayerRefusal),
    /// The hypervisor or the caller's machine did not survive the call, or would not have.
    Dead(Hazard),
    /// The processor raised this exception instead of making the call. Nothing was done.
    Fault(u8),
    /// The transport cannot make this call, for the reason given. Nothing was issued.
    Unsupported(&'static str),
    /// A test double was not prepared for this call, for the reason given. Nothing was issued.
    Unexpected(&'static str),
    /// The answer was lost on the way: the hypervisor may have acted.
    Lost(&'static str),
}

impl TransportError {
    /// Whether the hypervisor may have acted on the call although there is no answer.
    ///
    /// `false` means that nothing was issued: the state is what it was before.
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        matches!(self, Self::Dead(_) | Self::Lost(_))
    }
}

/// A call that a layer did not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LayerRefusal {
    /// The layer's name, such as `allow-list`.
    pub layer: &'static str,
    /// Why, as a phrase.
    pub reason: &'static str,
}

/// What a call did, or would have done, to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hazard {
    /// The hypervisor crashes: every VM of the machine stops.
    Crashed(&'static str),
    /// The caller never gets to run again.
    Hung(&'static str),
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crashed(why) => write!(f, "the hypervisor crashed: {why}"),
            Self::Hung(why) => write!(f, "the caller never returns: {why}"),
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untranslatable { register, nested } => {
                let what = if *nested { "the memory that its block points at" } else { "its block" };
                write!(
                    f,
                    "argument {}: {what} has no single physical address range; place it in physically contiguous memory",
                    u16::from(*register).saturating_add(1)
                )
            }
            Self::Layer(LayerRefusal { layer, reason }) => {
                write!(f, "not issued: the {layer} layer says: {reason}")
            }
            Self::Dead(hazard) => hazard.fmt(f),
            Self::Fault(6) => f.write_str(
                "not issued: #UD (invalid opcode): no hypervisor takes VMCALL here, or this VM may not make hypercalls",
            ),
            Self::Fault(13) => f.write_str(
                "not issued: #GP(0) (general protection): hypercalls are made from ring 0 only",
            ),
            Self::Fault(vector) => write!(f, "not issued: the processor raised exception {vector}"),
            Self::Unsupported(why) => write!(f, "not issued: {why}"),
            Self::Unexpected(why) => write!(f, "the test double was not prepared for it: {why}"),
            Self::Lost(why) => write!(f, "the answer was lost, and the hypervisor may have acted: {why}"),
        }
    }
}

impl core::error::Error for TransportError {}
