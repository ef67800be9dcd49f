//! One method of the trait, from its attributes to its registers: the order in which the other modules look at it, and
//! the mistakes that only show when two parts of a method are seen together.

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute, Error, Expr, Meta, Result, TraitItemFn, parse_quote};

use super::header::read_header;
use super::options::CallOptions;
use super::registers::{assign_registers, output};
use super::signature::{
    PASS, bare, check_receiver, check_signature, check_type, plain_arguments, returned_type, shape,
};
use crate::interface::model::{Argument, Header, Method, Output, Provided, Register, Shape};

pub(super) enum Function {
    Call(Box<Method>),
    Provided(Box<Provided>),
}

/// Reads one method, strips this macro's attributes from it, and adds a call's number to its documentation.
pub(super) fn read_function(function: &mut TraitItemFn) -> Result<Function> {
    let name = function.sig.ident.clone();
    if let Some(attribute) = function
        .attrs
        .iter()
        .find(|attribute| attribute.path().is_ident("cfg"))
    {
        return Err(Error::new_spanned(
            attribute,
            format!(
                "method `{name}` is conditional, but an interface is the same in every build: other crates read its definition under conditions of their own; put the method into a trait of its own, and the condition on that"
            ),
        ));
    }
    let position = function
        .attrs
        .iter()
        .position(|attribute| attribute.path().is_ident("call"));
    let Some(position) = position else {
        if function.default.is_none() {
            return Err(Error::new_spanned(
                &name,
                format!(
                    "method `{name}` has no number: add `#[call(NUMBER)]`, or give it a body in terms of other methods"
                ),
            ));
        }
        check_receiver(&function.sig)?;
        check_signature(&function.sig)?;
        let arguments = plain_arguments(&function.sig)?;
        for (name, ty) in &arguments {
            check_type(&format!("argument `{name}`"), ty, PASS)?;
        }
        return Ok(Function::Provided(Box::new(Provided {
            arguments: arguments.into_iter().map(|(name, _)| name).collect(),
            signature: bare(&function.sig),
        })));
    };
    let call = function.attrs.remove(position);
    if let Some(second) = function
        .attrs
        .iter()
        .find(|attribute| attribute.path().is_ident("call"))
    {
        return Err(Error::new_spanned(
            second,
            format!("call `{name}` has a second `#[call]`: write everything into one"),
        ));
    }
    if name.unraw().to_string().to_uppercase() == "INTERFACE" {
        return Err(Error::new_spanned(
            &name,
            "no call can be named `interface`: the constant of this name is the interface; give the call another name",
        ));
    }
    if let Some(body) = &function.default {
        return Err(Error::new_spanned(
            body,
            format!(
                "call `{name}` has a body: what a call does is decided by the hypervisor; remove the body or the `#[call]`"
            ),
        ));
    }
    check_receiver(&function.sig)?;
    check_signature(&function.sig)?;
    let options = CallOptions::parse(&call)?;
    let arguments = plain_arguments(&function.sig)?
        .into_iter()
        .map(|(name, ty)| shape(&name, &ty).map(|shape| Argument { name, shape }))
        .collect::<Result<Vec<_>>>()?;
    let header = options
        .header
        .as_ref()
        .map(|header| read_header(header, &arguments))
        .transpose()?;
    let (answer, returns) = returned_type(&function.sig)?;
    let output = output(&name, options.result.as_ref(), &returns, &arguments)?;
    if let Some((_, target)) = header.as_ref().and_then(Header::link)
        && matches!(
            arguments.get(target),
            Some(Argument {
                shape: Shape::Array { .. },
                ..
            })
        )
        && !matches!(output, Output::Unit)
    {
        return Err(Error::new_spanned(
            &function.sig.output,
            format!(
                "call `{name}` passes an array, which is applied element by element, so there is no one result: return `Result<(), Error>`"
            ),
        ));
    }
    let registers = assign_registers(&name, &arguments, header, &output, &function.sig)?;
    if let Some((mask, _)) = &options.select
        && !matches!(registers.first(), Some(Register::Value(_)))
    {
        return Err(Error::new_spanned(
            mask,
            format!("call `{name}` selects by bits of its first register, which must be a value"),
        ));
    }
    let attributes = function
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .cloned()
        .collect();
    document_number(&mut function.attrs, &options.number);
    Ok(Function::Call(Box::new(Method {
        signature: bare(&function.sig),
        attributes,
        number: options.number,
        select: options.select,
        hints: options.hints,
        arguments,
        registers,
        output,
        answer,
        returns,
    })))
}

/// The number as the last paragraph of a call's documentation. Where there is none, only rustdoc sees the paragraph, so
/// that the compiler still says that the documentation is missing.
fn document_number(attributes: &mut Vec<Attribute>, number: &Expr) {
    // Tokens are printed with spaces between them, which nobody writes into a path.
    let number = number.to_token_stream().to_string().replace(" :: ", "::");
    let text = format!("Number: `{number}`.");
    let documented = attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc") && matches!(attribute.meta, Meta::NameValue(_))
    });
    if documented {
        attributes.push(parse_quote!(#[doc = ""]));
        attributes.push(parse_quote!(#[doc = #text]));
    } else {
        attributes.push(parse_quote!(#[cfg_attr(doc, doc = #text)]));
    }
}
