//! Forwarding: a reference to an implementation is an implementation.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Ident, Signature};

use super::model::Interface;

pub(crate) fn expand(interface: &Interface) -> TokenStream {
    let Interface { krate, ident, .. } = interface;
    let methods: Vec<TokenStream> = interface
        .methods
        .iter()
        .map(|method| {
            let names = method
                .arguments
                .iter()
                .map(|argument| &argument.name)
                .collect();
            forward(ident, &method.signature, names)
        })
        .chain(
            interface
                .provided
                .iter()
                .map(|method| forward(ident, &method.signature, method.arguments.iter().collect())),
        )
        .collect();
    let implement = |ty: TokenStream| {
        quote! {
            #[automatically_derived]
            #[allow(deprecated)]
            impl<__H: #ident + ?::core::marker::Sized> #ident for #ty {
                #(#methods)*
            }
        }
    };
    let reference = implement(quote!(&__H));
    let boxed = implement(quote!(#krate::__private::Box<__H>));
    let shared = implement(quote!(#krate::__private::Arc<__H>));
    quote! {
        #reference
        #krate::__if_alloc! { #boxed #shared }
    }
}

fn forward(interface: &Ident, signature: &Signature, names: Vec<&Ident>) -> TokenStream {
    let name = &signature.ident;
    quote! {
        #[inline]
        #signature {
            <__H as #interface>::#name(&**self, #(#names),*)
        }
    }
}
