//! `mock!`: the mockall mock of an interface.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Result;
use syn::ext::IdentExt;

use crate::interface::model::Interface;
use crate::spans::as_own;

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let interface = Interface::from_callback(item)?;
    let ident = &interface.ident;
    let visibility = &interface.visibility;
    let methods = interface.methods.iter().map(|method| {
        let signature = &method.signature;
        // The method's own documentation stays with the trait: its links would not hold here.
        let doc = format!("[`{ident}::{}`], as it was told.", method.ident().unraw());
        quote!(#[doc = #doc] #signature;)
    });
    let doc = format!(
        "A mock of [`{ident}`]: it answers what its `expect_…` methods were told, and panics at any other call."
    );
    Ok(as_own(quote! {
        ::mockall::mock! {
            #[doc = #doc]
            #[derive(Debug)]
            #visibility #ident {}
            impl #ident for #ident {
                #(#methods)*
            }
        }
    }))
}
