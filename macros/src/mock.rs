//! `mock!`: the mockall mock of an interface.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Result;

use crate::interface::model::Interface;

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let interface = Interface::from_callback(item)?;
    let ident = &interface.ident;
    let visibility = &interface.visibility;
    let methods = interface.methods.iter().map(|method| {
        let attributes = &method.attributes;
        let signature = &method.signature;
        quote!(#(#attributes)* #signature;)
    });
    Ok(quote! {
        ::mockall::mock! {
            #[derive(Debug)]
            #visibility #ident {}
            impl #ident for #ident {
                #(#methods)*
            }
        }
    })
}
