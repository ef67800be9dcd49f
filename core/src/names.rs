//! The macros that make the small types of an interface: ids, open enums, flags.
//!
//! All three are newtypes over an integer of fixed width. A value that has no name is kept and shown as a number:
//! the newest hypervisor may say something that this crate has not heard of.
//!
//! The macros derive zerocopy's traits, so the crate that uses them depends on `zerocopy` 0.8.

/// Makes a newtype over an unsigned integer that names something, such as a VM.
///
/// The role (`as Handle`, `as Address`, …) says what a trace reader should make of it; the default is
/// [`Role::Plain`](crate::schema::Role::Plain).
///
/// ```
/// hypercall_core::register_id! {
///     /// A partition.
///     pub struct PartitionId(u16) as Handle;
/// }
/// use hypercall_core::Value;
/// assert_eq!(PartitionId::from_register(0x1_0007), PartitionId(7));
/// assert_eq!(format!("{:?}", PartitionId(7)), "PartitionId(7)");
/// ```
#[macro_export]
macro_rules! register_id {
    ($(#[$meta:meta])* $vis:vis struct $name:ident($int:ident);) => {
        $crate::register_id! { $(#[$meta])* $vis struct $name($int) as Plain; }
    };
    ($(#[$meta:meta])* $vis:vis struct $name:ident($int:ident) as $role:ident;) => {
        $(#[$meta])*
        #[derive(
            ::core::clone::Clone, ::core::marker::Copy, ::core::cmp::PartialEq, ::core::cmp::Eq,
            ::core::cmp::PartialOrd, ::core::cmp::Ord, ::core::hash::Hash, ::core::default::Default,
            $crate::zerocopy::FromBytes, $crate::zerocopy::IntoBytes,
            $crate::zerocopy::Immutable, $crate::zerocopy::KnownLayout,
        )]
        #[repr(transparent)]
        $vis struct $name(
            /// The number.
            pub $int,
        );
        $crate::__newtype!($name($int), Id(::core::stringify!($name)), $role);
        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::names::show_id(::core::stringify!($name), $crate::schema::Role::$role, $crate::Value::to_register(*self), f)
            }
        }
        impl ::core::fmt::LowerHex for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::LowerHex::fmt(&self.0, f)
            }
        }
    };
}

/// Makes an integer that names one of a few things, and keeps what it does not know.
///
/// ```
/// hypercall_core::open_enum! {
///     /// What to do with a line.
///     pub struct LineOp(u32) {
///         /// Raise it.
///         HIGH = 0,
///         /// Lower it.
///         LOW = 1,
///     }
/// }
/// assert_eq!(format!("{:?} {:?}", LineOp::LOW, LineOp(9)), "LOW LineOp(9)");
/// assert_eq!(LineOp(9).name(), None);
/// ```
#[macro_export]
macro_rules! open_enum {
    ($(#[$meta:meta])* $vis:vis struct $name:ident($int:ident) {
        $($(#[$variant_meta:meta])* $variant:ident = $value:expr),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(
            ::core::clone::Clone, ::core::marker::Copy, ::core::cmp::PartialEq, ::core::cmp::Eq,
            ::core::cmp::PartialOrd, ::core::cmp::Ord, ::core::hash::Hash, ::core::default::Default,
            $crate::zerocopy::FromBytes, $crate::zerocopy::IntoBytes,
            $crate::zerocopy::Immutable, $crate::zerocopy::KnownLayout,
        )]
        #[repr(transparent)]
        $vis struct $name(
            /// The number, also where it has no name.
            pub $int,
        );
        impl $name {
            $($(#[$variant_meta])* pub const $variant: Self = Self($value);)*
            /// Every named value.
            pub const NAMES: &'static [$crate::schema::Name] = &[
                $($crate::schema::Name { name: ::core::stringify!($variant), value: Self::$variant.0 as u64 },)*
            ];
            /// The name of this value, where it has one.
            #[must_use]
            pub fn name(self) -> ::core::option::Option<&'static str> {
                $crate::names::find(Self::NAMES, $crate::Value::to_register(self))
            }
        }
        $crate::__newtype!($name($int), Enum(Self::NAMES), Plain);
        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::names::show_enum(::core::stringify!($name), Self::NAMES, $crate::Value::to_register(*self), f)
            }
        }
    };
}

/// Makes an integer whose bits have names, and keeps the bits that have none. The methods are those of
/// [`bitflags`](https://docs.rs/bitflags).
///
/// ```
/// hypercall_core::flags! {
///     /// Rights.
///     pub struct Rights(u32) {
///         /// May read.
///         READ = 1 << 0,
///         /// May write.
///         WRITE = 1 << 1,
///     }
/// }
/// assert_eq!(format!("{:?}", Rights::READ | Rights::WRITE), "READ|WRITE");
/// assert_eq!(format!("{:?}", Rights::from_bits_retain(0x101)), "READ|0x100");
/// assert_eq!(format!("{:?}", Rights::empty()), "0");
/// ```
#[macro_export]
macro_rules! flags {
    ($(#[$meta:meta])* $vis:vis struct $name:ident($int:ident) {
        $($(#[$($flag_meta:tt)*])* $flag:ident = $value:expr),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(
            ::core::clone::Clone, ::core::marker::Copy, ::core::cmp::PartialEq, ::core::cmp::Eq,
            ::core::cmp::PartialOrd, ::core::cmp::Ord, ::core::hash::Hash, ::core::default::Default,
            $crate::zerocopy::FromBytes, $crate::zerocopy::IntoBytes,
            $crate::zerocopy::Immutable, $crate::zerocopy::KnownLayout,
        )]
        #[repr(transparent)]
        $vis struct $name($int);
        $crate::bitflags::bitflags! {
            impl $name: $int {
                $($(#[$($flag_meta)*])* const $flag = $value;)*
                const _ = !0;
            }
        }
        impl $name {
            /// Every named group of bits.
            pub const NAMES: &'static [$crate::schema::Name] = &[
                $($crate::schema::Name { name: ::core::stringify!($flag), value: Self::$flag.bits() as u64 },)*
            ];
        }
        $crate::__newtype!($name($int), Flags(Self::NAMES), Plain);
        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::names::show_flags(Self::NAMES, $crate::Value::to_register(*self), f)
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __newtype {
    ($name:ident($int:ident), $kind:ident($argument:expr), $role:ident) => {
        impl $crate::Value for $name {
            const KIND: $crate::schema::Kind = $crate::schema::Kind::$kind($argument);
            const ROLE: $crate::schema::Role = $crate::schema::Role::$role;
            #[inline]
            fn to_register(self) -> u64 {
                $crate::Value::to_register(self.0)
            }
            #[inline]
            fn from_register(raw: u64) -> Self {
                Self(<$int as $crate::Value>::from_register(raw))
            }
        }
        impl $crate::schema::Field for $name {
            const KIND: $crate::schema::Kind = $crate::schema::Kind::$kind($argument);
            const ROLE: $crate::schema::Role = $crate::schema::Role::$role;
        }
        impl ::core::convert::From<$int> for $name {
            fn from(value: $int) -> Self {
                Self(value)
            }
        }
        impl ::core::convert::From<$name> for $int {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

use core::fmt;

use crate::schema::{Name, Role};

/// The name of a value in a table.
#[must_use]
pub fn find(names: &[Name], value: u64) -> Option<&'static str> {
    names
        .iter()
        .find(|name| name.value == value)
        .map(|name| name.name)
}

/// Shows an id: `VmId(1)`, `Vector(0xf3)`; an address always in hexadecimal: `Gpa(0x0)`; a secret not at all.
///
/// # Errors
/// Those of the formatter.
pub fn show_id(name: &str, role: Role, value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (role, value) {
        (Role::Secret, _) => write!(f, "{name}({})", crate::show::SECRET),
        // An address is shown as one, also where its role is plain.
        (Role::Plain, 0..10) if matches!(name, "Gpa" | "Hpa") => write!(f, "{name}({value:#x})"),
        (Role::Address, _) | (_, 10..) => write!(f, "{name}({value:#x})"),
        _ => write!(f, "{name}({value})"),
    }
}

/// Shows an open enum: `HIGH`, or `LineOp(9)` where the value has no name.
///
/// # Errors
/// Those of the formatter.
pub fn show_enum(
    name: &str,
    names: &[Name],
    value: u64,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match find(names, value) {
        Some(known) => f.write_str(known),
        None => write!(f, "{name}({value})"),
    }
}

/// Shows flags: `READ|WRITE|0x100`; `0` where no bit is set.
///
/// # Errors
/// Those of the formatter.
pub fn show_flags(names: &[Name], value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut rest = value;
    let mut first = true;
    for name in names {
        if name.value != 0 && rest & name.value == name.value {
            if !first {
                f.write_str("|")?;
            }
            first = false;
            f.write_str(name.name)?;
            rest &= !name.value;
        }
    }
    match (rest, first) {
        (0, true) => f.write_str("0"),
        (0, false) => Ok(()),
        (rest, true) => write!(f, "{rest:#x}"),
        (rest, false) => write!(f, "|{rest:#x}"),
    }
}
