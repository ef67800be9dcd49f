//! Decides by a list which calls are issued, before anything is.

use core::fmt;

use crate::arg::Arg;
use crate::call::{CallInfo, InterfaceInfo};
use crate::transport::{LayerRefusal, Transport, TransportError};

/// Why [`AllowList`] refuses a call that its [`CallList::only`] does not name.
pub const NOT_LISTED: LayerRefusal = LayerRefusal {
    layer: "allow-list",
    reason: "the call is not on the list of allowed calls",
};

/// Why [`AllowList`] refuses a call that its [`CallList::all_but`] names.
pub const DENIED: LayerRefusal = LayerRefusal {
    layer: "allow-list",
    reason: "the call is on the list of denied calls",
};

/// What a list names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// One call of an interface.
    Call(&'static CallInfo),
    /// All calls of this number, of whatever interface.
    Number(u64),
}

impl Rule {
    /// The call of this method name.
    ///
    /// # Errors
    /// [`UnknownCall`] when the interface has none: a list that was typed wrong must not silently mean less.
    pub fn named<'n>(
        interface: &'static InterfaceInfo,
        name: &'n str,
    ) -> Result<Self, UnknownCall<'n>> {
        interface.call(name).map(Self::Call).ok_or(UnknownCall {
            name,
            interface: interface.name,
        })
    }

    /// The calls of these method names.
    ///
    /// # Errors
    /// [`UnknownCall`] with the first name that the interface does not have.
    pub fn all_named<'n, const N: usize>(
        interface: &'static InterfaceInfo,
        names: [&'n str; N],
    ) -> Result<[Self; N], UnknownCall<'n>> {
        let mut unknown = None;
        let rules = names.map(|name| {
            Self::named(interface, name).unwrap_or_else(|error| {
                unknown.get_or_insert(error);
                // Not seen by anybody: the whole array is dropped.
                Self::Number(0)
            })
        });
        unknown.map_or(Ok(rules), Err)
    }

    fn names(&self, call: &'static CallInfo) -> bool {
        match self {
            Self::Call(listed) => *listed == call,
            Self::Number(number) => *number == call.number,
        }
    }
}

/// A name that no call of an interface has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCall<'n> {
    /// The name as it was given.
    pub name: &'n str,
    /// The interface's name.
    pub interface: &'static str,
}

impl fmt::Display for UnknownCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "interface {} has no call named {:?}; calls are named by their methods",
            self.interface, self.name
        )
    }
}

impl core::error::Error for UnknownCall<'_> {}

/// Which calls are allowed. The rules are an array, a slice or a vector of [`Rule`]s.
///
/// A rule compares numbers as the caller gives them. A hypervisor may look at part of the number only, so a program
/// that makes up its own [`CallInfo`] can spell a denied call differently: where that matters, use
/// [`only`](CallList::only).
#[derive(Clone, Copy, Debug)]
pub struct CallList<R> {
    rules: R,
    /// Whether a call that a rule names is allowed; the others are the opposite.
    allows: bool,
}

impl<R: AsRef<[Rule]>> CallList<R> {
    /// Allows what the rules name and nothing else. No rules: nothing is allowed.
    pub const fn only(rules: R) -> Self {
        Self {
            rules,
            allows: true,
        }
    }

    /// Allows everything but what the rules name. No rules: everything is allowed.
    pub const fn all_but(rules: R) -> Self {
        Self {
            rules,
            allows: false,
        }
    }

    /// Whether a call may be made.
    ///
    /// # Errors
    /// [`NOT_LISTED`] or [`DENIED`], by the kind of the list.
    pub fn check(&self, call: &'static CallInfo) -> Result<(), LayerRefusal> {
        let named = self.rules.as_ref().iter().any(|rule| rule.names(call));
        match (named, self.allows) {
            (true, true) | (false, false) => Ok(()),
            (false, true) => Err(NOT_LISTED),
            (true, false) => Err(DENIED),
        }
    }
}

/// Refuses calls by a list before anything is issued.
///
/// What is refused comes back as [`ErrorKind::Layer`](crate::ErrorKind::Layer) with [`NOT_LISTED`] or [`DENIED`].
///
/// ```
/// # use hypercall_core::{Client, Error, Transport, TransportError, arg::Arg, call::CallInfo};
/// # #[hypercall_core::interface(crate = ::hypercall_core)]
/// # pub trait Plotter {
/// #     /// Lifts the pen.
/// #     #[call(0x11)]
/// #     fn lift(&self, pen: u32) -> Result<(), Error>;
/// #     /// Cuts the paper.
/// #     #[call(0x12)]
/// #     fn cut(&self) -> Result<(), Error>;
/// # }
/// # struct Wire;
/// # impl Transport for Wire {
/// #     fn call<'a>(&self, _: &'static CallInfo, _: [Arg<'a>; 2]) -> Result<i64, TransportError> { Ok(0) }
/// # }
/// use hypercall_core::{ErrorKind, layer::{AllowList, CallList, Rule, allow}};
/// let rules = Rule::all_named(PlotterCalls::INTERFACE, ["lift"])?;
/// let plotter = Client::new(AllowList::new(Wire, CallList::only(rules)));
/// assert!(plotter.lift(1).is_ok());
/// assert_eq!(plotter.cut().unwrap_err().kind, ErrorKind::Layer(allow::NOT_LISTED));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AllowList<T, R> {
    inner: T,
    list: CallList<R>,
}

impl<T, R: AsRef<[Rule]>> AllowList<T, R> {
    /// Lets through to `inner` what `list` allows.
    pub const fn new(inner: T, list: CallList<R>) -> Self {
        Self { inner, list }
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

impl<T: Transport, R: AsRef<[Rule]>> Transport for AllowList<T, R> {
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        self.list.check(info).map_err(TransportError::Layer)?;
        self.inner.call(info, args)
    }
}
