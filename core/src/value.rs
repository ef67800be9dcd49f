//! Values that travel in a register.

use core::fmt;

use crate::schema::{Field, Kind, Role};

/// A value that fits one 64-bit register.
///
/// [`from_register`](Value::from_register) is total: a hypervisor that reads only part of a register gets a
/// type that keeps only that part (ACRN reads a VM id from the low 16 bits and ignores the others).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel in a register",
    label = "its register holds a value, so the type must implement `Value`",
    note = "pass an unsigned integer of at most 64 bits or a type made by `register_id!`, `open_enum!` or `flags!`; put a `SharedRef` into a header, `header(H {{ address: &x }})`; pass a payload struct as `&T` (the hypervisor reads it) or `&mut T` (it also writes it)"
)]
pub trait Value: Copy + fmt::Debug {
    /// How the register is read by a tool.
    const KIND: Kind;
    /// What the value means.
    const ROLE: Role = Role::Plain;
    /// The register's value. Upper bits that the type does not have are zero.
    fn to_register(self) -> u64;
    /// The value that a server sees when the register holds `raw`.
    fn from_register(raw: u64) -> Self;

    /// Shows a register as this type does. A function so that a table can point at it.
    #[doc(hidden)]
    fn show_register(raw: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::ROLE {
            Role::Secret => f.write_str(crate::show::SECRET),
            _ => fmt::Debug::fmt(&Self::from_register(raw), f),
        }
    }
}

macro_rules! integers {
    ($($int:ty),*) => { $(
        impl Value for $int {
            const KIND: Kind = <$int as Field>::KIND;
            #[inline]
            fn to_register(self) -> u64 {
                u64::from(self)
            }
            #[inline]
            #[allow(clippy::cast_possible_truncation, reason = "a server reads the low bits, as the trait says")]
            fn from_register(raw: u64) -> Self {
                raw as Self
            }
        }
    )* };
}
integers!(u8, u16, u32, u64);
