//! Where a call's result is, and which register carries what: a hypercall has two, and a call that needs more is refused
//! here, with the argument that does not fit.

use syn::{Error, Ident, Result, Signature, Type};

use crate::interface::model::{Argument, Content, Header, Output, Register, Shape};

/// Where the result is.
pub(super) fn output(
    method: &Ident,
    result: Option<&Ident>,
    returns: &Type,
    arguments: &[Argument],
) -> Result<Output> {
    let unit = matches!(returns, Type::Tuple(tuple) if tuple.elems.is_empty());
    match result {
        None if unit => Ok(Output::Unit),
        None => Ok(Output::Returned),
        Some(result) if unit => Err(Error::new_spanned(
            result,
            format!("call `{method}` returns `()`, which needs no `result`"),
        )),
        Some(result) if result == "rax" => Ok(Output::Rax),
        Some(result) => match arguments
            .iter()
            .position(|argument| argument.name == *result)
        {
            Some(index)
                if matches!(
                    arguments.get(index).map(|argument| &argument.shape),
                    Some(Shape::Block { mutable: true, .. })
                ) =>
            {
                Ok(Output::Yielded(index))
            }
            _ => Err(Error::new_spanned(
                result,
                format!(
                    "`result = {result}` names no argument that the hypervisor writes: use `rax`, or the name of an argument `&mut T`"
                ),
            )),
        },
    }
}

/// Gives each argument its register.
pub(super) fn assign_registers(
    method: &Ident,
    arguments: &[Argument],
    header: Option<Header>,
    output: &Output,
    signature: &Signature,
) -> Result<Vec<Register>> {
    let mut registers = Vec::new();
    let mut in_header = vec![false; arguments.len()];
    if let Some(header) = &header {
        for field in &header.fields {
            let (Content::Value(index) | Content::Length(index) | Content::Address(index)) =
                field.content;
            if let Some(mark) = in_header.get_mut(index) {
                *mark = true;
            }
        }
    }
    let mut header = header;
    for (index, argument) in arguments.iter().enumerate() {
        if in_header.get(index).copied().unwrap_or(false) {
            if let Some(header) = header.take() {
                registers.push(Register::Header(header));
            }
        } else {
            registers.push(match &argument.shape {
                Shape::Value(_) => Register::Value(index),
                Shape::Block { .. } => Register::Block(index),
                Shape::Bytes { .. } => Register::Bytes(index),
                Shape::Array { element, .. } => {
                    return Err(Error::new_spanned(
                        element,
                        format!("argument `{0}` is an array, and nothing says where its length goes: describe the header struct, `header(Header {{ count: {0}.len(), address: &{0} }})`", argument.name),
                    ));
                }
            });
        }
        if registers.len() > 2 {
            return Err(Error::new_spanned(
                &argument.name,
                format!(
                    "argument `{}` of call `{method}` would need a third register, and a hypercall has two: put arguments into a payload struct, or behind a `header(…)`",
                    argument.name
                ),
            ));
        }
    }
    if matches!(output, Output::Returned) {
        registers.push(Register::Returned);
        if registers.len() > 2 {
            return Err(Error::new_spanned(
                &signature.output,
                format!(
                    "the result of call `{method}` would need a third register, and a hypercall has two: return it in an argument, `result = argument`"
                ),
            ));
        }
    }
    Ok(registers)
}
