//! A method's receiver, arguments and return type: what of Rust a call can be written with. The trait has to stay
//! object-safe, and a mock and a twin have to be able to repeat it.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{
    Error, FnArg, GenericArgument, Ident, Pat, PathArguments, Result, ReturnType, Signature, Type,
    parse_quote,
};

use crate::interface::model::Shape;

pub(super) fn check_receiver(signature: &Signature) -> Result<()> {
    let name = &signature.ident;
    match signature.inputs.first() {
        Some(FnArg::Receiver(receiver))
            if receiver
                .reference
                .as_ref()
                .is_some_and(|(_, lifetime)| lifetime.is_none())
                && receiver.mutability.is_none()
                && receiver.colon_token.is_none() =>
        {
            Ok(())
        }
        Some(FnArg::Receiver(receiver)) => Err(Error::new_spanned(
            receiver,
            format!(
                "method `{name}` must take `&self`: a transport is shared, and forwarding needs it"
            ),
        )),
        _ => Err(Error::new_spanned(
            name,
            format!("method `{name}` has no receiver: add `&self`"),
        )),
    }
}

pub(super) fn check_signature(signature: &Signature) -> Result<()> {
    let name = &signature.ident;
    if let Some(token) = &signature.asyncness {
        return Err(Error::new_spanned(
            token,
            format!(
                "method `{name}` is async, and a hypercall blocks its processor: remove `async`, and use the interface's async twin"
            ),
        ));
    }
    if let Some(token) = &signature.unsafety {
        return Err(Error::new_spanned(
            token,
            format!(
                "method `{name}` is unsafe, and what is dangerous about a call is decided where its transport is built: remove `unsafe`"
            ),
        ));
    }
    if let Some(parameter) = signature.generics.params.first() {
        return Err(Error::new_spanned(
            parameter,
            format!(
                "method `{name}` is generic: neither a trait object nor a mock can have it; write the types out"
            ),
        ));
    }
    if let Some(clause) = &signature.generics.where_clause {
        return Err(Error::new_spanned(
            clause,
            format!(
                "method `{name}` has a where clause, which a trait object cannot have; remove it"
            ),
        ));
    }
    Ok(())
}

/// The signature for an implementation: nothing but names and types.
pub(super) fn bare(signature: &Signature) -> Signature {
    let mut signature = signature.clone();
    if let Some(receiver) = signature.inputs.first_mut() {
        // The body's `self` and this one are the same, also where a macro of the user's wrote the trait.
        *receiver = parse_quote!(&self);
    }
    for input in &mut signature.inputs {
        if let FnArg::Typed(input) = input {
            input.attrs.clear();
            if let Pat::Ident(pattern) = &mut *input.pat {
                pattern.mutability = None;
            }
        }
    }
    signature
}

/// Names and types of the arguments behind the receiver.
pub(super) fn plain_arguments(signature: &Signature) -> Result<Vec<(Ident, Type)>> {
    let mut arguments = Vec::new();
    for input in signature.inputs.iter().skip(1) {
        let FnArg::Typed(input) = input else {
            return Err(Error::new_spanned(input, "a second receiver"));
        };
        let Pat::Ident(pattern) = &*input.pat else {
            return Err(Error::new_spanned(
                &input.pat,
                "an argument needs a plain name: it is what a trace shows",
            ));
        };
        if let Some(attribute) = input
            .attrs
            .iter()
            .find(|attribute| attribute.path().is_ident("cfg"))
        {
            return Err(Error::new_spanned(
                attribute,
                format!(
                    "argument `{}` is conditional, but an interface is the same in every build; remove the condition",
                    pattern.ident
                ),
            ));
        }
        arguments.push((pattern.ident.clone(), ungroup(&input.ty).clone()));
    }
    Ok(arguments)
}

/// A type without the invisible groups in which a macro by example hands it over, and without parentheses.
fn ungroup(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungroup(&group.elem),
        Type::Paren(paren) => ungroup(&paren.elem),
        other => other,
    }
}

/// How an argument is passed.
pub(super) fn shape(name: &Ident, ty: &Type) -> Result<Shape> {
    check_type(&format!("argument `{name}`"), ty, PASS)?;
    let Type::Reference(reference) = ty else {
        return Ok(Shape::Value(ty.clone()));
    };
    let mutable = reference.mutability.is_some();
    match ungroup(&reference.elem) {
        Type::Reference(inner) => Err(Error::new_spanned(
            inner,
            format!(
                "argument `{name}` is a reference to a reference, and the hypervisor sees one block: pass `&T` or `&mut T`"
            ),
        )),
        Type::Slice(slice) => match ungroup(&slice.elem) {
            Type::Path(path) if path.path.is_ident("u8") => Ok(Shape::Bytes { mutable }),
            element => Ok(Shape::Array {
                element: element.clone(),
                mutable,
            }),
        },
        ty => {
            let unsized_type = matches!(ty, Type::TraitObject(_))
                || matches!(ty, Type::Path(path) if path.path.is_ident("str"));
            if unsized_type {
                return Err(Error::new_spanned(
                    ty,
                    format!(
                        "argument `{name}` has no fixed layout: pass bytes, `&[u8]`, or a payload with a field `[u8; N]`"
                    ),
                ));
            }
            Ok(Shape::Block {
                ty: ty.clone(),
                mutable,
            })
        }
    }
}

/// What to do instead of an argument with a lifetime.
pub(super) const PASS: &str = "pass `&T` for memory that is used during the call, `SharedRef` for memory that the hypervisor keeps";

/// Refuses types that a trait object or a mock cannot have. `what` names the argument, `instead` is the cure for a
/// lifetime.
pub(super) fn check_type(what: &str, ty: &Type, instead: &str) -> Result<()> {
    struct Search<'n> {
        what: &'n str,
        instead: &'n str,
        found: Option<Error>,
    }
    impl Search<'_> {
        fn refuse(&mut self, tokens: &impl quote::ToTokens, why: &str) {
            let what = self.what;
            self.found
                .get_or_insert_with(|| Error::new_spanned(tokens, format!("{what} {why}")));
        }
    }
    impl<'ast> Visit<'ast> for Search<'_> {
        fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
            let why = format!(
                "has a lifetime, which neither a trait object nor a mock can have: {}",
                self.instead
            );
            self.refuse(lifetime, &why);
        }
        fn visit_type_impl_trait(&mut self, ty: &'ast syn::TypeImplTrait) {
            self.refuse(
                ty,
                "is generic, which neither a trait object nor a mock can have: write the type out",
            );
        }
        fn visit_path(&mut self, path: &'ast syn::Path) {
            if path
                .segments
                .first()
                .is_some_and(|segment| segment.ident == "Self")
            {
                self.refuse(path, "depends on who implements the interface, which a trait object cannot have: write the type out");
            }
            syn::visit::visit_path(self, path);
        }
    }
    let mut search = Search {
        what,
        instead,
        found: None,
    };
    search.visit_type(ty);
    search.found.map_or(Ok(()), Err)
}

/// `Result<R, Error>`, and `R`.
pub(super) fn returned_type(signature: &Signature) -> Result<(Type, Type)> {
    let complaint = |span: Span| {
        Error::new(
            span,
            format!(
                "call `{}` must return `Result<R, Error>`: any call can fail",
                signature.ident
            ),
        )
    };
    let ReturnType::Type(_, ty) = &signature.output else {
        return Err(complaint(signature.ident.span()));
    };
    check_type(
        &format!("the result of call `{}`", signature.ident),
        ty,
        "return plain data",
    )?;
    let Type::Path(path) = ungroup(ty) else {
        return Err(complaint(ty.span()));
    };
    let Some(last) = path.path.segments.last() else {
        return Err(complaint(ty.span()));
    };
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) if last.ident == "Result" => arguments
            .args
            .iter()
            .find_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ungroup(ty).clone()),
                _ => None,
            })
            .ok_or_else(|| complaint(ty.span()))
            .and_then(|ty| match &ty {
                Type::Reference(reference) => Err(Error::new_spanned(
                    reference,
                    format!("the result of call `{}` is a reference, and there is nothing that it could borrow from: return the type itself", signature.ident),
                )),
                _ => Ok((Type::Path(path.clone()), ty)),
            }),
        _ => Err(complaint(ty.span())),
    }
}
