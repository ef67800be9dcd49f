//! What the hypervisor says about its interface.

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::layout::{layout, zero_default};
use crate::Payload;

/// The version of the hypercall interface, not of ACRN. All versions that exist so far answer 1.0.
///
/// ```
/// use hypercall_core::acrn::ApiVersion;
///
/// let seen = ApiVersion::new(1, 0);
/// assert_eq!(seen.to_string(), "1.0");
/// assert!(seen.supports(ApiVersion::KNOWN));
/// ```
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Payload,
)]
#[repr(C, align(8))]
#[payload(c = "hc_api_version")]
#[doc(alias = "hc_api_version")]
pub struct ApiVersion {
    /// Changes when callers have to change.
    #[payload(c = "major_version")]
    pub major: u32,
    /// Changes when something was added.
    #[payload(c = "minor_version")]
    pub minor: u32,
}
layout!(ApiVersion: 8 bytes, align 8 { major @ 0, minor @ 4 });
zero_default!(ApiVersion);

impl ApiVersion {
    /// The version that this crate was written against.
    pub const KNOWN: Self = Self::new(1, 0);

    /// A version from its two numbers.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Whether a hypervisor of this version serves a caller that was written for `wanted`: the same major number, and
    /// at least the minor one.
    #[must_use]
    pub const fn supports(self, wanted: Self) -> bool {
        self.major == wanted.major && self.minor >= wanted.minor
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
