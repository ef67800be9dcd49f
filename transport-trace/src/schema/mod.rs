//! The schema of a trace: the interfaces' descriptions as they were when it was recorded.
//!
//! It is [`hypercall_core::call`] and [`hypercall_core::schema`] again, with text of its own instead of `&'static`
//! references, so that a tool decodes calls that it was not compiled with.

mod decode;
mod encode;
mod limits;

use std::sync::Arc;

use hypercall_core::call::{CallInfo, Direction, InterfaceInfo, Selector};
use hypercall_core::schema::Role;

pub(crate) use decode::decode;
pub(crate) use encode::encode;

/// Every interface that a trace's calls belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// The interfaces. A call's id in the file counts through all their calls.
    pub interfaces: Vec<Interface>,
}

impl Schema {
    /// The schema of interfaces that this program was compiled with.
    #[must_use]
    pub fn from_interfaces(interfaces: &[&'static InterfaceInfo]) -> Self {
        let mut bytes = Vec::new();
        crate::wire::schema(&mut bytes, interfaces);
        decode(&bytes).unwrap_or_default()
    }

    /// Every call, in the order of their ids.
    pub fn calls(&self) -> impl Iterator<Item = &Arc<Call>> {
        self.interfaces
            .iter()
            .flat_map(|interface| &interface.calls)
    }

    /// The call with this id.
    #[must_use]
    pub fn call_by_id(&self, id: u16) -> Option<&Arc<Call>> {
        let mut id = usize::from(id);
        for interface in &self.interfaces {
            match interface.calls.get(id) {
                Some(call) => return Some(call),
                None => id = id.checked_sub(interface.calls.len())?,
            }
        }
        None
    }

    /// The id of a call.
    #[must_use]
    pub fn id_of(&self, interface: &str, name: &str) -> Option<u16> {
        let at = self
            .calls()
            .position(|call| &*call.interface == interface && call.name == name)?;
        u16::try_from(at)
            .ok()
            .filter(|id| *id != crate::format::UNKNOWN_CALL)
    }

    /// The interface of this name.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces
            .iter()
            .find(|interface| interface.name == name)
    }

    /// The call of this name, in any interface or in the given one.
    #[must_use]
    pub fn find(&self, interface: Option<&str>, name: &str) -> Option<&Arc<Call>> {
        self.calls().find(|call| {
            call.name == name && interface.is_none_or(|interface| &*call.interface == interface)
        })
    }

    /// The call that these registers make.
    #[must_use]
    pub fn select(&self, number: u64, args: [u64; 2]) -> Option<&Arc<Call>> {
        self.calls()
            .find(|call| call.number == number && call.selected_by(args))
    }
}

/// An interface: its name and its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The trait's name.
    pub name: String,
    /// Its calls, in the order of their declaration.
    pub calls: Vec<Arc<Call>>,
}

/// One call of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The interface's name.
    pub interface: Arc<str>,
    /// The call's place in [`Interface::calls`].
    pub index: usize,
    /// The method's name.
    pub name: String,
    /// The hypercall number.
    pub number: u64,
    /// How the first register tells the methods of one number apart.
    pub selector: Option<Selector>,
    /// What the registers carry.
    pub registers: [Register; 2],
    /// What a caller gets back.
    pub result: ResultKind,
    /// What to check after a refusal: RAX and the sentence.
    pub hints: Vec<(i64, String)>,
    /// The interface's error codes.
    pub codes: Arc<[Code]>,
    /// Whether all of the description could be read. A newer minor version may say things that this one cannot read; the
    /// name and the number hold all the same.
    pub complete: bool,
    /// The description as it stands in the file, where it says something that this version does not know. It is written
    /// again as it is, as long as the call stays at its place in the interface.
    pub raw: Option<Arc<[u8]>>,
}

impl Call {
    /// Whether these registers select this call among those of its number.
    #[must_use]
    pub fn selected_by(&self, [first, _]: [u64; 2]) -> bool {
        match self.selector {
            Some(Selector { mask, value }) => first & mask == value,
            None => true,
        }
    }

    /// The name and meaning of an error code.
    #[must_use]
    pub fn code(&self, rax: i64) -> Option<&Code> {
        self.codes.iter().find(|code| code.code == rax)
    }

    /// What to check after this code.
    #[must_use]
    pub fn hint(&self, rax: i64) -> Option<&str> {
        self.hints
            .iter()
            .find(|(code, _)| *code == rax)
            .map(|(_, text)| text.as_str())
    }

    /// Whether the call passes an array, whose elements the hypervisor applies one by one.
    #[must_use]
    pub fn has_array(&self) -> bool {
        self.registers.iter().any(|register| {
            matches!(
                register,
                Register::Block {
                    link: Some(Link {
                        target: LinkTarget::Array { .. },
                        ..
                    }),
                    ..
                }
            )
        })
    }

    /// Whether it is the same call as one that this program was compiled with: by interface, name and number.
    #[must_use]
    pub fn is(&self, info: &CallInfo) -> bool {
        self.number == info.number && self.name == info.name && *self.interface == *info.interface
    }
}

/// What a register carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Register {
    /// Nothing.
    #[default]
    Unused,
    /// A number.
    Value {
        /// The argument's name.
        name: String,
        /// How it is read.
        kind: Kind,
        /// What it means.
        role: Role,
    },
    /// The address of a block.
    Block {
        /// The argument's name; empty for a returned one.
        name: String,
        /// Who reads and who writes.
        direction: Direction,
        /// How its bytes are read.
        kind: Kind,
        /// Bytes.
        size: usize,
        /// What it points at.
        link: Option<Link>,
    },
    /// The address of bytes without a description.
    Bytes {
        /// The argument's name.
        name: String,
        /// Who reads and who writes.
        direction: Direction,
    },
}

/// A pointer inside a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The argument's name.
    pub name: String,
    /// Where in the block the address is.
    pub offset: usize,
    /// What is there.
    pub target: LinkTarget,
}

/// What a pointer inside a block points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    /// An array whose length stands in the block.
    Array {
        /// Who reads and who writes.
        direction: Direction,
        /// How one element is read.
        kind: Kind,
        /// Bytes of an element.
        size: usize,
        /// Where in the block the number of elements is.
        count_offset: usize,
        /// How wide that number is, in bytes.
        count_size: usize,
    },
    /// Memory that the hypervisor keeps.
    Shared,
}

/// What a caller gets back after success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ResultKind {
    /// Nothing: RAX is 0.
    #[default]
    Unit,
    /// The block of this register.
    Block(usize),
    /// Something that is read from the block of this register. What, only a program knows that has the interface.
    Yielded(usize),
    /// RAX itself.
    Rax(Kind),
}

/// An error code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Code {
    /// RAX.
    pub code: i64,
    /// Its name.
    pub name: String,
    /// What it means.
    pub text: String,
}

/// How the bytes of a value are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A little-endian unsigned integer.
    Unsigned,
    /// A little-endian two's complement integer.
    Signed,
    /// An integer that names one of a few things.
    Enum(Arc<[Name]>),
    /// An integer whose bits have names.
    Flags(Arc<[Name]>),
    /// An integer behind a newtype of this name.
    Id(String),
    /// A byte string that ends at the first NUL, or fills the field.
    Text,
    /// A struct.
    Struct(Arc<Struct>),
    /// The same thing several times.
    Array {
        /// How one element is read.
        element: Arc<Kind>,
        /// Bytes of one element.
        size: usize,
        /// Number of elements.
        length: usize,
    },
}

impl Kind {
    /// Whether it is one of the call model's addresses, guest or host physical, and is shown as one whatever its role: an
    /// address that the program chose is compared as a plain value, and is an address all the same.
    #[must_use]
    pub fn is_address(&self) -> bool {
        matches!(self, Self::Id(name) if name == "Gpa" || name == "Hpa")
    }
}

/// A named integer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub name: String,
    /// The value.
    pub value: u64,
}

/// The layout of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struct {
    /// The Rust name.
    pub name: String,
    /// The C name.
    pub c_name: String,
    /// Bytes.
    pub size: usize,
    /// Alignment in bytes.
    pub align: usize,
    /// Every field, padding included, in the order of offsets.
    pub fields: Vec<Field>,
}

impl Struct {
    /// The field of this Rust name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// One field of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The Rust name.
    pub name: String,
    /// The C name.
    pub c_name: String,
    /// Bytes from the start of the struct.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
    /// How to read it.
    pub kind: Kind,
    /// What it means.
    pub role: Role,
    /// The unit; empty where it has none.
    pub units: String,
}
