//! `#[interface]`: reads the trait once into a [`model`], then writes each of the things that come from it.
#![expect(
    clippy::indexing_slicing,
    reason = "the model's indices are those of the same method's arguments, and a panic in here is a compile error"
)]

mod client;
mod forward;
pub(crate) mod model;
mod parse;
mod schema;
mod server;

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::Result;
use syn::spanned::Spanned;

use model::Interface;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let original = item.clone();
    let interface = match Interface::parse(arguments, item) {
        Ok(interface) => interface,
        Err(error) => return Ok(complaint(error, original)),
    };
    let definition = &interface.definition;
    let schema = schema::expand(&interface);
    let client = client::expand(&interface);
    let forward = forward::expand(&interface);
    let server = server::expand(&interface);
    let callback = callback(&interface, &original);
    Ok(quote! {
        #definition
        #schema
        #client
        #forward
        #server
        #callback
    })
}

/// Where the user wrote something, for tokens of this macro: an error points there, and names mean what they mean here
/// (a type may come from a macro of the user's, where they mean nothing).
fn place(tokens: &impl Spanned) -> Span {
    tokens.span().resolved_at(Span::call_site())
}

/// The errors, and the trait without this macro's attributes: what uses it is not an error as well.
fn complaint(error: syn::Error, original: TokenStream) -> TokenStream {
    let error = error.into_compile_error();
    let Ok(mut definition) = syn::parse2::<syn::ItemTrait>(original) else {
        return error;
    };
    for item in &mut definition.items {
        if let syn::TraitItem::Fn(function) = item {
            function
                .attrs
                .retain(|attribute| !attribute.path().is_ident("call"));
        }
    }
    quote!(#error #definition)
}

/// The macro that hands the trait to another macro, in this crate or in one that depends on it.
fn callback(interface: &Interface, original: &TokenStream) -> TokenStream {
    let name = format_ident!("{}_interface", snake_case(&interface.ident.to_string()));
    let krate = &interface.krate;
    let doc = format!(
        "Hands the definition of [`{}`] to another macro: `{name}!(hypercall::mock::mock);`, `{name}!(async_twin);`.",
        interface.ident
    );
    let (export, reexport) = if interface.export {
        (quote!(#[macro_export]), quote!())
    } else {
        (
            quote!(),
            quote!(#[allow(unused_imports)] pub(crate) use #name;),
        )
    };
    quote! {
        #[doc = #doc]
        #[allow(unused_macros)]
        #export
        macro_rules! #name {
            ($($callback:tt)*) => { $($callback)*! { #[interface(crate = #krate)] #original } };
        }
        #reexport
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (position, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && position > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
