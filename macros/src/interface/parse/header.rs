//! `header(…)`: a struct that carries arguments instead of registers. It is checked against the arguments, because the
//! server finds the memory that it points at by what is read here.

use syn::{Error, Expr, ExprStruct, Result};

use crate::interface::model::{Argument, Content, Header, HeaderField, Shape};

/// Reads `header(Header { field: x, count: list.len(), address: &list })`.
pub(super) fn read_header(header: &ExprStruct, arguments: &[Argument]) -> Result<Header> {
    let find = |expression: &Expr| match expression {
        Expr::Path(path) => path.path.get_ident().and_then(|ident| {
            arguments
                .iter()
                .position(|argument| argument.name == *ident)
        }),
        _ => None,
    };
    if let Some(rest) = &header.rest {
        return Err(Error::new_spanned(
            rest,
            "the other fields of a header are zero: remove the `..`",
        ));
    }
    let mut fields: Vec<HeaderField> = Vec::new();
    for field in &header.fields {
        if fields.iter().any(|earlier| earlier.member == field.member) {
            return Err(Error::new_spanned(
                &field.member,
                "this field of the header is filled twice",
            ));
        }
        if let Some(attribute) = field.attrs.first() {
            return Err(Error::new_spanned(
                attribute,
                "a header's field takes no attributes here",
            ));
        }
        let content = match &field.expr {
            Expr::Reference(reference) => find(&reference.expr).map(Content::Address),
            Expr::MethodCall(call) if call.method == "len" && call.args.is_empty() => {
                find(&call.receiver).map(Content::Length)
            }
            other => find(other).map(Content::Value),
        };
        let Some(content) = content else {
            return Err(Error::new_spanned(
                &field.expr,
                "a header's field is an argument, its length, or its address: `x`, `x.len()`, `&x`",
            ));
        };
        if let Content::Value(index) = content
            && let Some(argument) = arguments.get(index)
            && !matches!(argument.shape, Shape::Value(_))
        {
            return Err(Error::new_spanned(
                &field.expr,
                format!(
                    "argument `{}` is a reference: put its address into the header, `&{0}`",
                    argument.name
                ),
            ));
        }
        fields.push(HeaderField {
            member: field.member.clone(),
            content,
        });
    }
    let read = Header {
        ty: header.path.clone(),
        fields,
    };
    let mut links = header
        .fields
        .iter()
        .filter(|field| matches!(field.expr, Expr::Reference(_)));
    if links.next().is_none() {
        return Err(Error::new_spanned(
            header,
            "this header points at nothing: put the address of an argument into it, `&x`, or make it an argument",
        ));
    }
    if let Some(second) = links.next() {
        return Err(Error::new_spanned(
            &second.expr,
            "a second address: a header points at one argument; put the other one into a register",
        ));
    }
    for (field, written) in read.fields.iter().zip(&header.fields) {
        if let Content::Length(of) = field.content
            && read.link().is_none_or(|(_, target)| target != of)
        {
            return Err(Error::new_spanned(
                &written.expr,
                "the length of an argument that this header does not point at: put its address into the header",
            ));
        }
    }
    if let Some((_, target)) = read.link()
        && let Some(argument) = arguments.get(target)
    {
        match argument.shape {
            Shape::Array { .. } if read.length(target).is_none() => {
                return Err(Error::new_spanned(
                    header,
                    format!(
                        "nothing says how long `{0}` is: put `{0}.len()` into a field of the header",
                        argument.name
                    ),
                ));
            }
            Shape::Value(_) if read.length(target).is_some() => {
                return Err(Error::new_spanned(
                    &argument.name,
                    format!(
                        "argument `{}` is not an array, so it has no length: remove `len()` from the header",
                        argument.name
                    ),
                ));
            }
            Shape::Array { .. } | Shape::Value(_) => {}
            Shape::Block { .. } | Shape::Bytes { .. } => {
                return Err(Error::new_spanned(
                    &argument.name,
                    format!(
                        "argument `{}` cannot stand behind a header: use an array of payloads, `&[T]`, or `SharedRef`",
                        argument.name
                    ),
                ));
            }
        }
    }
    Ok(read)
}
