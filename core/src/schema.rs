//! What a payload looks like, as data: the tables that error messages, traces and tools decode memory with.
//!
//! They are produced by the derive on payloads and by the interface attribute. Nothing in here is needed to
//! make a call; a program that never formats one does not carry it.

/// What a value or a field means, beyond its width. The reader of a trace treats each role differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// An ordinary value: equal or not.
    #[default]
    Plain,
    /// A physical address that the caller's machine gave: where memory was allocated, where the firmware put a device. Two
    /// runs may differ in it without meaning anything else. An address that the program chose, such as one in the memory of
    /// a VM that it lays out, is [`Plain`](Self::Plain).
    Address,
    /// A name that the hypervisor chose, such as a VM id: two runs agree up to a renaming.
    Handle,
    /// Must be zero on the way in, and is of no interest on the way out.
    Reserved,
    /// Changes from call to call for reasons of its own, such as a counter or a clock.
    Volatile,
    /// Must not reach a log or a trace in clear.
    Secret,
}

/// How the bytes of a value are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A little-endian unsigned integer of the field's size.
    Unsigned,
    /// A little-endian two's complement integer of the field's size.
    Signed,
    /// An integer that names one of a few things. A value without a name is kept as it is.
    Enum(&'static [Name]),
    /// An integer whose bits have names. A bit without a name is kept as it is.
    Flags(&'static [Name]),
    /// An integer behind a newtype of this name, such as `VmId`.
    Id(&'static str),
    /// A byte string that ends at the first NUL, or fills the field.
    Text,
    /// A struct.
    Struct(&'static StructInfo),
    /// The same thing several times, without gaps.
    Array {
        /// How one element is read.
        element: &'static Kind,
        /// Bytes of one element.
        size: usize,
        /// Number of elements.
        length: usize,
    },
}

/// A named integer: a variant of an open enum, or a flag's bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name, as in the source.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
}

/// The layout of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StructInfo {
    /// The Rust name.
    pub name: &'static str,
    /// The name in the hypervisor's C headers; the Rust name where none was given.
    pub c_name: &'static str,
    /// Bytes.
    pub size: usize,
    /// Alignment in bytes, of the Rust type.
    pub align: usize,
    /// Every field, padding included, in the order of offsets.
    pub fields: &'static [FieldInfo],
}

impl StructInfo {
    /// The field of this Rust name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static FieldInfo> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// One field of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// The Rust name.
    pub name: &'static str,
    /// The name in the hypervisor's C headers; the Rust name where none was given.
    pub c_name: &'static str,
    /// Bytes from the start of the struct.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
    /// How to read it.
    pub kind: Kind,
    /// What it means.
    pub role: Role,
    /// The unit of the number, such as `"kHz"`; empty where it has none.
    pub units: &'static str,
}

/// Bytes of the field that a function takes out of a struct. For the interface attribute.
#[doc(hidden)]
#[must_use]
pub const fn size_of_field<S, F>(_: fn(S) -> F) -> usize {
    size_of::<F>()
}

/// A type that may be a field of a payload.
///
/// Implemented for the integers, for arrays of fields, and by the derive and the macros of this crate
/// ([`open_enum!`](crate::open_enum), [`flags!`](crate::flags), [`register_id!`](crate::register_id)).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a payload",
    label = "this field's type has no fixed meaning in memory",
    note = "use an integer, an array, a struct with `#[derive(Payload)]`, or a type made by `open_enum!`, `flags!` or `register_id!`"
)]
pub trait Field {
    /// How its bytes are read.
    const KIND: Kind;
    /// What it means wherever it stands; a field's own attribute overrides it.
    const ROLE: Role = Role::Plain;
}

macro_rules! integers {
    ($kind:ident: $($int:ty),*) => { $(
        impl Field for $int {
            const KIND: Kind = Kind::$kind;
        }
    )* };
}
integers!(Unsigned: u8, u16, u32, u64);
integers!(Signed: i8, i16, i32, i64);

impl<T: Field, const N: usize> Field for [T; N] {
    const KIND: Kind = Kind::Array {
        element: &T::KIND,
        size: size_of::<T>(),
        length: N,
    };
    const ROLE: Role = T::ROLE;
}
