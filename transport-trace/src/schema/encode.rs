//! Writes a schema that was read from a file: the same bytes that the recorder wrote from the compiled interface.

use std::collections::HashMap;

use super::{Call, Code, Kind, Link, LinkTarget, Name, Register, ResultKind, Schema, Struct};
use crate::wire::{Put, direction_code, role_code};

/// The body of a schema block.
pub(crate) fn encode(schema: &Schema) -> Vec<u8> {
    let mut out = Vec::new();
    out.u16(schema.interfaces.len());
    for interface in &schema.interfaces {
        out.text(&interface.name);
        out.u16(interface.calls.len());
        let mut codes: HashMap<&[Code], usize> = HashMap::new();
        for (index, call) in interface.calls.iter().enumerate() {
            let same = *codes.entry(&call.codes).or_insert(index);
            let mut body = Vec::new();
            match &call.raw {
                // It may name another call, which stands at its place as long as this one does.
                Some(raw) if call.index == index => body.bytes(raw),
                _ if call.complete => one_call(&mut body, call, index, same),
                _ => {
                    body.text(&call.name);
                    body.u64(call.number);
                }
            }
            out.u32(body.len());
            out.bytes(&body);
        }
    }
    out
}

fn one_call(out: &mut Vec<u8>, call: &Call, index: usize, codes_of: usize) {
    out.text(&call.name);
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
    match &call.result {
        ResultKind::Unit => out.u8(0),
        ResultKind::Block(register) => {
            out.u8(1);
            out.u8(u8::from(*register != 0));
        }
        ResultKind::Yielded(register) => {
            out.u8(2);
            out.u8(u8::from(*register != 0));
        }
        ResultKind::Rax(kind) => {
            out.u8(3);
            one_kind(out, kind);
        }
    }
    out.u16(call.hints.len());
    for (code, text) in &call.hints {
        out.i64(*code);
        out.text(text);
    }
    out.u16(codes_of);
    if codes_of == index {
        out.u16(call.codes.len());
        for code in call.codes.iter() {
            out.i64(code.code);
            out.text(&code.name);
            out.text(&code.text);
        }
    }
}

fn one_register(out: &mut Vec<u8>, register: &Register) {
    match register {
        Register::Unused => out.u8(0),
        Register::Value { name, kind, role } => {
            out.u8(1);
            out.text(name);
            one_kind(out, kind);
            out.u8(role_code(*role));
        }
        Register::Block {
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
        Register::Bytes { name, direction } => {
            out.u8(3);
            out.text(name);
            out.u8(direction_code(*direction));
        }
    }
}

fn one_link(out: &mut Vec<u8>, link: &Link) {
    out.text(&link.name);
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

fn one_kind(out: &mut Vec<u8>, kind: &Kind) {
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

fn names(out: &mut Vec<u8>, list: &[Name]) {
    out.u16(list.len());
    for name in list {
        out.text(&name.name);
        out.u64(name.value);
    }
}

fn one_struct(out: &mut Vec<u8>, info: &Struct) {
    out.text(&info.name);
    out.text(&info.c_name);
    out.u32(info.size);
    out.u32(info.align);
    out.u16(info.fields.len());
    for field in &info.fields {
        out.text(&field.name);
        out.text(&field.c_name);
        out.u32(field.offset);
        out.u32(field.size);
        one_kind(out, &field.kind);
        out.u8(role_code(field.role));
        out.text(&field.units);
    }
}
