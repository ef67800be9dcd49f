//! Reads a trait into a [`model::Interface`](super::model::Interface), and refuses what cannot be carried, with the
//! argument's name and the cure.
//!
//! Here is what concerns the trait as a whole; what concerns one method is in the modules.

mod header;
mod method;
mod options;
mod registers;
mod signature;

use std::collections::HashMap;

use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::{Error, Expr, ItemTrait, Meta, Result, TraitItem, parse_quote};

use super::model::{Interface, Method};
use method::{Function, read_function};

impl Interface {
    pub(crate) fn parse(arguments: TokenStream, item: TokenStream) -> Result<Self> {
        let mut definition: ItemTrait = syn::parse2(item).map_err(|error| {
            Error::new(
                error.span(),
                format!("{error}: `#[interface]` stands on a trait"),
            )
        })?;
        let mut krate = parse_quote!(::hypercall);
        let mut codes = None;
        let mut export = false;
        syn::meta::parser(|meta| {
            if meta.path.is_ident("crate") {
                krate = meta.value()?.parse()?;
            } else if meta.path.is_ident("codes") {
                codes = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("export") {
                export = true;
            } else {
                return Err(
                    meta.error("unknown option: an interface takes `codes`, `export`, `crate`")
                );
            }
            Ok(())
        })
        .parse2(arguments)?;

        let name = definition.ident.clone();
        if let Some(parameter) = definition.generics.params.first() {
            return Err(Error::new_spanned(
                parameter,
                format!(
                    "interface `{name}` is generic: an interface is one table of calls; define one trait for each"
                ),
            ));
        }
        if let Some(bound) = definition.supertraits.first() {
            return Err(Error::new_spanned(
                bound,
                format!(
                    "interface `{name}` has a supertrait, which a client over a transport could not implement; remove it, and ask for both traits where both are needed"
                ),
            ));
        }
        if let Some(clause) = &definition.generics.where_clause {
            return Err(Error::new_spanned(
                clause,
                format!(
                    "interface `{name}` has a where clause, which a client over a transport could not meet; remove it"
                ),
            ));
        }
        if let Some(token) = &definition.unsafety {
            return Err(Error::new_spanned(
                token,
                format!(
                    "interface `{name}` is unsafe, and what is dangerous about a call is decided where its transport is built: remove `unsafe`"
                ),
            ));
        }

        let mut methods = Vec::new();
        let mut provided = Vec::new();
        let mut errors = Errors::default();
        for item in &mut definition.items {
            match item {
                TraitItem::Fn(function) => match read_function(function) {
                    Ok(Function::Call(method)) => methods.push(*method),
                    Ok(Function::Provided(method)) => provided.push(*method),
                    Err(error) => errors.push(error),
                },
                other => errors.push(Error::new_spanned(
                    &*other,
                    format!("interface `{name}` may hold only methods, because anything else would cost it object safety: put this elsewhere"),
                )),
            }
        }
        errors.push_all(duplicates(&methods));
        errors.finish()?;
        Ok(Self {
            krate,
            codes,
            export,
            ident: name,
            visibility: definition.vis.clone(),
            definition,
            methods,
            provided,
        })
    }
}

impl Interface {
    /// Reads what the interface's callback macro hands over: the trait, under an attribute with its options.
    pub(crate) fn from_callback(item: TokenStream) -> Result<Self> {
        let mut definition: ItemTrait = syn::parse2(item)?;
        let position = definition
            .attrs
            .iter()
            .position(|attribute| attribute.path().is_ident("interface"))
            .ok_or_else(|| {
                Error::new(
                    Span::call_site(),
                    "use it through the interface's own macro: `my_interface!(…);`",
                )
            })?;
        let options = definition.attrs.remove(position);
        let arguments = match options.meta {
            Meta::List(list) => list.tokens,
            _ => TokenStream::new(),
        };
        Self::parse(arguments, quote::quote!(#definition))
    }
}

/// Collects errors, so that a user sees all of them at once.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            none => *none = Some(error),
        }
    }
    fn push_all(&mut self, errors: Vec<Error>) {
        errors.into_iter().for_each(|error| self.push(error));
    }
    fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Numbers that are literals are compared here, where the message can point at them; the others when the constants are
/// evaluated.
fn duplicates(methods: &[Method]) -> Vec<Error> {
    let mut seen: HashMap<u64, &Method> = HashMap::new();
    let mut errors = Vec::new();
    for method in methods {
        let mut number = &method.number;
        while let Expr::Group(group) = number {
            number = &group.expr;
        }
        let Expr::Lit(literal) = number else { continue };
        let syn::Lit::Int(literal) = &literal.lit else {
            continue;
        };
        let Ok(number) = literal.base10_parse::<u64>() else {
            continue;
        };
        if let Some(first) = seen.get(&number) {
            if method.select.is_none() || first.select.is_none() {
                errors.push(Error::new_spanned(
                    literal,
                    format!("calls `{}` and `{}` have the same number {number:#x}: give each its own, or tell them apart with `select(MASK, VALUE)`", first.ident(), method.ident()),
                ));
            }
        } else {
            seen.insert(number, method);
        }
    }
    errors
}
