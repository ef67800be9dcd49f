//! Calls as text, in the manner of strace: `create_vm(name="demo", cpu_affinity=1) = VmId(1)`.
//!
//! Everything is read from the description of the call, so that a tool can show calls of interfaces that it was not
//! compiled with. Fields that are reserved, or zero and no handle, are left out, and secrets are not shown.

use core::fmt::{self, Write as _};

use crate::arg::{Arg, Target};
use crate::call::{CallInfo, RegisterInfo, ResultInfo};
use crate::schema::{FieldInfo, Kind, Role, StructInfo};
use crate::transport::TransportError;

/// Bytes of an undescribed or a text field that are shown before an ellipsis.
const SHOWN_BYTES: usize = 32;
/// Elements of an array that are shown before an ellipsis.
const SHOWN_ELEMENTS: usize = 8;
/// What stands in place of a secret.
pub(crate) const SECRET: &str = "<secret>";

/// A call with its arguments: `start_vm(vm=VmId(1))`. The arguments are shown as they are now; after the call, what the
/// hypervisor wrote is shown.
#[derive(Debug)]
pub struct ShowCall<'s, 'a>(pub &'static CallInfo, pub &'s [Arg<'a>; 2]);

impl fmt::Display for ShowCall<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.0.name)?;
        let mut list = List::new();
        for (register, argument) in self.0.registers.iter().zip(self.1) {
            match (register, argument) {
                (RegisterInfo::Value { name, show, .. }, Arg::Value(value)) => {
                    list.next(f)?;
                    write!(f, "{name}=")?;
                    show(*value, f)?;
                }
                // A block that is the result is shown behind the `=`.
                (RegisterInfo::Unused | RegisterInfo::Block { name: "", .. }, _) => {}
                (
                    RegisterInfo::Block {
                        kind: Kind::Struct(info),
                        link,
                        ..
                    },
                    _,
                ) => {
                    let bytes = argument.bytes().unwrap_or_default();
                    let hidden = link.map(|link| link.offset);
                    fields(info, bytes, hidden, &mut list, f)?;
                    if let (Some(link), Arg::Linked(linked)) = (link, argument) {
                        list.next(f)?;
                        write!(f, "{}=", link.name)?;
                        match (&linked.target, &link.target) {
                            (Target::Shared(shared), _) => write!(f, "{shared:?}")?,
                            (
                                Target::Read(bytes),
                                crate::call::LinkTarget::Array { kind, size, .. },
                            ) => {
                                array(kind, Role::Plain, *size, bytes, f)?;
                            }
                            (
                                Target::ReadWrite(bytes),
                                crate::call::LinkTarget::Array { kind, size, .. },
                            ) => {
                                array(kind, Role::Plain, *size, bytes, f)?;
                            }
                            _ => f.write_str("…")?,
                        }
                    }
                }
                (RegisterInfo::Block { name, kind, .. }, _) => {
                    list.next(f)?;
                    write!(f, "{name}=")?;
                    value(kind, Role::Plain, argument.bytes().unwrap_or_default(), f)?;
                }
                (RegisterInfo::Bytes { name, .. }, _) => {
                    list.next(f)?;
                    write!(f, "{name}=")?;
                    hex(argument.bytes().unwrap_or_default(), f)?;
                }
                (RegisterInfo::Value { name, .. }, _) => {
                    list.next(f)?;
                    write!(f, "{name}=?")?;
                }
            }
        }
        f.write_char(')')
    }
}

/// What came back: ` = VmId(1)`, ` = -1 EPERM`, ` = ? (why there is no answer)`.
#[derive(Debug)]
pub struct ShowAnswer<'s, 'a>(
    pub &'static CallInfo,
    pub &'s [Arg<'a>; 2],
    pub &'s Result<i64, TransportError>,
);

impl fmt::Display for ShowAnswer<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(" = ")?;
        let rax = match self.2 {
            Ok(rax) => *rax,
            Err(error) => return write!(f, "? ({error})"),
        };
        if let ResultInfo::Rax { show, .. } = self.0.result
            && rax >= 0
        {
            return show(rax.cast_unsigned(), f);
        }
        if rax != 0 {
            return match self.0.code(rax) {
                Some(code) => write!(f, "{rax} {}", code.name),
                None => write!(f, "{rax}"),
            };
        }
        let block = |register: usize| {
            self.1
                .get(register)
                .and_then(Arg::bytes)
                .unwrap_or_default()
        };
        match self.0.result {
            ResultInfo::Yielded { register, show, .. } => show(block(register), f),
            ResultInfo::Block(register) => match self.0.registers.get(register) {
                Some(RegisterInfo::Block { kind, .. }) => {
                    value(kind, Role::Plain, block(register), f)
                }
                _ => f.write_char('0'),
            },
            ResultInfo::Unit | ResultInfo::Rax { .. } => f.write_char('0'),
        }
    }
}

/// A payload's bytes with the names of its fields.
#[derive(Clone, Copy, Debug)]
pub struct ShowBlock<'s>(pub &'s Kind, pub &'s [u8]);

impl fmt::Display for ShowBlock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        value(self.0, Role::Plain, self.1, f)
    }
}

/// One field's value, with its unit: `5 mm`. A secret is not shown.
#[derive(Clone, Copy, Debug)]
pub struct ShowField<'s>(pub &'s FieldInfo, pub &'s [u8]);

impl fmt::Display for ShowField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(field, bytes) = self;
        value(&field.kind, field.role, bytes, f)?;
        f.write_str(if field.units.is_empty() { "" } else { " " })?;
        f.write_str(field.units)
    }
}

/// Writes `, ` between the entries of a list.
struct List {
    empty: bool,
}

impl List {
    const fn new() -> Self {
        Self { empty: true }
    }
    fn next(&mut self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !core::mem::take(&mut self.empty) {
            f.write_str(", ")?;
        }
        Ok(())
    }
}

fn fields(
    info: &StructInfo,
    bytes: &[u8],
    hidden: Option<usize>,
    list: &mut List,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for field in info.fields {
        let Some(part) = slice(bytes, field) else {
            list.next(f)?;
            write!(f, "{}=<cut off>", field.name)?;
            continue;
        };
        let zero = part.iter().all(|byte| *byte == 0);
        // Handle 0 is somebody: in ACRN the caller itself.
        let tells_nothing = zero && field.role != Role::Handle;
        if tells_nothing || field.role == Role::Reserved || hidden == Some(field.offset) {
            continue;
        }
        list.next(f)?;
        write!(f, "{}={}", field.name, ShowField(field, part))?;
    }
    Ok(())
}

fn slice<'b>(bytes: &'b [u8], field: &FieldInfo) -> Option<&'b [u8]> {
    bytes.get(field.offset..field.offset.checked_add(field.size)?)
}

fn value(kind: &Kind, role: Role, bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match kind {
        _ if role == Role::Secret => f.write_str(SECRET),
        Kind::Unsigned if bytes.len() > 8 => hex(bytes, f),
        Kind::Unsigned if role == Role::Address => write!(f, "{:#x}", unsigned(bytes)),
        Kind::Unsigned => match unsigned(bytes) {
            small @ 0..=9 => write!(f, "{small}"),
            large => write!(f, "{large:#x}"),
        },
        Kind::Signed => write!(f, "{}", signed(bytes)),
        Kind::Enum(names) => match crate::names::find(names, unsigned(bytes)) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", unsigned(bytes)),
        },
        Kind::Flags(names) => crate::names::show_flags(names, unsigned(bytes), f),
        Kind::Id(name) => crate::names::show_id(name, role, unsigned(bytes), f),
        Kind::Text => text(bytes, f),
        Kind::Struct(info) => {
            f.write_char('{')?;
            fields(info, bytes, None, &mut List::new(), f)?;
            f.write_char('}')
        }
        Kind::Array {
            element: Kind::Unsigned,
            size: 1,
            ..
        } => hex(bytes, f),
        Kind::Array { element, size, .. } => array(element, role, *size, bytes, f),
    }
}

fn array(
    element: &Kind,
    role: Role,
    size: usize,
    bytes: &[u8],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    f.write_char('[')?;
    let mut list = List::new();
    for (index, part) in bytes.chunks(size.max(1)).enumerate() {
        list.next(f)?;
        if index >= SHOWN_ELEMENTS {
            f.write_char('…')?;
            break;
        }
        value(element, role, part, f)?;
    }
    f.write_char(']')
}

fn unsigned(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .take(8)
        .rev()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn signed(bytes: &[u8]) -> i64 {
    let unused = 64_u32.saturating_sub(u32::try_from(bytes.len()).unwrap_or(8).saturating_mul(8));
    let raw = unsigned(bytes).cast_signed();
    raw.checked_shl(unused)
        .and_then(|shifted| shifted.checked_shr(unused))
        .unwrap_or(raw)
}

fn text(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    let bytes = bytes.get(..end).unwrap_or_default();
    f.write_char('"')?;
    for byte in bytes.iter().take(SHOWN_BYTES) {
        for letter in byte.escape_ascii() {
            f.write_char(char::from(letter))?;
        }
    }
    f.write_str(if bytes.len() > SHOWN_BYTES {
        "\"…"
    } else {
        "\""
    })
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('<')?;
    for byte in bytes.iter().take(SHOWN_BYTES) {
        write!(f, "{byte:02x}")?;
    }
    if bytes.len() > SHOWN_BYTES {
        write!(f, "… {} bytes", bytes.len())?;
    }
    f.write_char('>')
}
