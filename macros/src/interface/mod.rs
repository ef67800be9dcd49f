//! `#[interface]`: reads the trait once into a [`model`], then writes each of the things that come from it.

mod client;
mod forward;
pub(crate) mod model;
mod parse;
mod schema;
mod server;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Result;

use model::Interface;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let original = item.clone();
    let interface = Interface::parse(arguments, item)?;
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

/// The macro that hands the trait to another macro, in this crate or in one that depends on it.
fn callback(interface: &Interface, original: &TokenStream) -> TokenStream {
    let name = format_ident!("{}_interface", snake_case(&interface.ident.to_string()));
    let krate = &interface.krate;
    let doc = format!(
        "Hands the definition of [`{}`] to another macro: `{name}!(mock);`, `{name}!(async_twin);`.",
        interface.ident
    );
    let (export, reexport) = if interface.export {
        (quote!(#[macro_export]), quote!())
    } else {
        (quote!(), quote!(#[allow(unused_imports)] pub(crate) use #name;))
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
