//! The encoding of descriptions: little-endian integers, texts with a length in front.
//!
//! No allocation: an encoder is run once to count and checksum, and once more to write.

use hypercall_core::call::{
    CallInfo, Direction, InterfaceInfo, LinkInfo, LinkTarget, RegisterInfo, ResultInfo,
};
use hypercall_core::schema::{Kind, Name, Role, StructInfo};

/// The most bytes of a name.
pub(crate) const MAX_NAME: usize = 256;

/// As much of a name as is written.
pub(crate) fn cut_name(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MAX_NAME))
        .unwrap_or_default()
}

/// Refuses a lane's name that no reader would take.
#[cfg(feature = "std")]
pub(crate) fn fits_name(name: &str) -> std::io::Result<()> {
    if name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(std::io::Error::new(
        std::io::ErrorKind::InvalidInput,
        format!(
            "the name of a lane has {} bytes, of which it may have {MAX_NAME}: give it a shorter one",
            name.len()
        ),
    ))
}

/// Takes bytes.
pub(crate) trait Put {
    fn bytes(&mut self, bytes: &[u8]);

    fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }
    fn u16(&mut self, value: usize) {
        self.bytes(&u16::try_from(value).unwrap_or(u16::MAX).to_le_bytes());
    }
    fn u32(&mut self, value: usize) {
        self.bytes(&u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
    }
    fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }
    fn i64(&mut self, value: i64) {
        self.bytes(&value.to_le_bytes());
    }
    /// A text; cut at 65,535 bytes.
    fn text(&mut self, text: &str) {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        self.bytes(&length.to_le_bytes());
        self.bytes(
            text.as_bytes()
                .get(..usize::from(length))
                .unwrap_or_default(),
        );
    }
}

/// Counts bytes, and checksums them.
#[derive(Default)]
pub(crate) struct Measure {
    pub(crate) length: usize,
    pub(crate) crc: u32,
}

impl Put for Measure {
    fn bytes(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len());
        self.crc = crate::checksum::append(self.crc, bytes);
    }
}

#[cfg(feature = "std")]
impl Put for std::vec::Vec<u8> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

pub(crate) const fn direction_code(direction: Direction) -> u8 {
    match direction {
        Direction::Read => 1,
        Direction::Write => 2,
        Direction::ReadWrite => 3,
    }
}

pub(crate) const fn role_code(role: Role) -> u8 {
    match role {
        Role::Plain => 0,
        Role::Address => 1,
        Role::Handle => 2,
        Role::Reserved => 3,
        Role::Volatile => 4,
        Role::Secret => 5,
    }
}

/// The body of a schema block.
pub(crate) fn schema(out: &mut impl Put, interfaces: &[&'static InterfaceInfo]) {
    out.u16(interfaces.len());
    for interface in interfaces {
        out.text(interface.name);
        out.u16(interface.calls.len());
        for (index, call) in interface.calls.iter().enumerate() {
            let same = interface
                .calls
                .iter()
                .position(|other| other.codes == call.codes)
                .unwrap_or(index);
            let mut measure = Measure::default();
            one_call(&mut measure, call, index, same);
            out.u32(measure.length);
            one_call(out, call, index, same);
        }
    }
}

fn one_call(out: &mut impl Put, call: &CallInfo, index: usize, codes_of: usize) {
    out.text(call.name);
    out.u64(call.number);
    match call.selector {
        None => out.u8(0),
        Some(selector) => {
            out.u8(1);
            out.u64(selector.mask);
            out.u64(selector.value);
        }
    }
    for register in &call.registers {
        one_register(out, register);
    }
    match call.result {
        ResultInfo::Unit => out.u8(0),
        ResultInfo::Block(register) => {
            out.u8(1);
            out.u8(u8::from(register != 0));
        }
        ResultInfo::Yielded { register, .. } => {
            out.u8(2);
            out.u8(u8::from(register != 0));
        }
        ResultInfo::Rax { ref kind, .. } => {
            out.u8(3);
            one_kind(out, kind);
        }
    }
    out.u16(call.hints.len());
    for hint in call.hints {
        out.i64(hint.code);
        out.text(hint.text);
    }
    out.u16(codes_of);
    if codes_of == index {
        out.u16(call.codes.len());
        for code in call.codes {
            out.i64(code.code);
            out.text(code.name);
            out.text(code.text);
        }
    }
}

fn one_register(out: &mut impl Put, register: &RegisterInfo) {
    match register {
        RegisterInfo::Unused => out.u8(0),
        RegisterInfo::Value {
            name, kind, role, ..
        } => {
            out.u8(1);
            out.text(name);
            one_kind(out, kind);
            out.u8(role_code(*role));
        }
        RegisterInfo::Block {
            name,
            direction,
            kind,
            size,
            link,
        } => {
            out.u8(2);
            out.text(name);
            out.u8(direction_code(*direction));
            one_kind(out, kind);
            out.u32(*size);
            match link {
                None => out.u8(0),
                Some(link) => {
                    out.u8(1);
                    one_link(out, link);
                }
            }
        }
        RegisterInfo::Bytes { name, direction } => {
            out.u8(3);
            out.text(name);
            out.u8(direction_code(*direction));
        }
    }
}

fn one_link(out: &mut impl Put, link: &LinkInfo) {
    out.text(link.name);
    out.u32(link.offset);
    match &link.target {
        LinkTarget::Shared => out.u8(0),
        LinkTarget::Array {
            direction,
            kind,
            size,
            count_offset,
            count_size,
        } => {
            out.u8(1);
            out.u8(direction_code(*direction));
            one_kind(out, kind);
            out.u32(*size);
            out.u32(*count_offset);
            out.u8(u8::try_from(*count_size).unwrap_or(u8::MAX));
        }
    }
}

fn one_kind(out: &mut impl Put, kind: &Kind) {
    match kind {
        Kind::Unsigned => out.u8(0),
        Kind::Signed => out.u8(1),
        Kind::Enum(list) => {
            out.u8(2);
            names(out, list);
        }
        Kind::Flags(list) => {
            out.u8(3);
            names(out, list);
        }
        Kind::Id(name) => {
            out.u8(4);
            out.text(name);
        }
        Kind::Text => out.u8(5),
        Kind::Struct(info) => {
            out.u8(6);
            one_struct(out, info);
        }
        Kind::Array {
            element,
            size,
            length,
        } => {
            out.u8(7);
            out.u32(*size);
            out.u32(*length);
            one_kind(out, element);
        }
    }
}

fn names(out: &mut impl Put, list: &[Name]) {
    out.u16(list.len());
    for name in list {
        out.text(name.name);
        out.u64(name.value);
    }
}

fn one_struct(out: &mut impl Put, info: &StructInfo) {
    out.text(info.name);
    out.text(info.c_name);
    out.u32(info.size);
    out.u32(info.align);
    out.u16(info.fields.len());
    for field in info.fields {
        out.text(field.name);
        out.text(field.c_name);
        out.u32(field.offset);
        out.u32(field.size);
        one_kind(out, &field.kind);
        out.u8(role_code(field.role));
        out.text(field.units);
    }
}
