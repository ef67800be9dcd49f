//! `async_twin!`: the async twin of an interface.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Result;

use crate::interface::model::{Interface, Method, Shape};

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let interface = Interface::from_callback(item)?;
    let ident = &interface.ident;
    let visibility = &interface.visibility;
    let twin = format_ident!("Async{ident}");
    let methods: Vec<Twin> = interface.methods.iter().map(Twin::new).collect();
    let declarations = methods.iter().map(|method| {
        let attributes = &method.method.attributes;
        let signature = &method.signature;
        quote!(#(#attributes)* #signature;)
    });
    let bodies = methods.iter().map(|method| method.offloaded(&interface));
    let doc = format!("The async twin of [`{ident}`]: owned values in and out.");
    Ok(quote! {
        #[doc = #doc]
        ///
        /// References of the blocking trait become owned values: `&T` goes in as `T`, and `&mut T` goes in and comes back
        /// beside the result. A dropped future can thus never leave the hypervisor writing into memory that is gone.
        #[::hypercall_async::async_trait::async_trait]
        #visibility trait #twin: ::core::marker::Send + ::core::marker::Sync {
            #(#declarations)*
        }

        #[::hypercall_async::async_trait::async_trait]
        #[automatically_derived]
        impl<__H: #ident + ::core::marker::Send + ::core::marker::Sync + 'static> #twin
            for ::hypercall_async::Offload<__H>
        {
            #(#bodies)*
        }
    })
}

struct Twin<'m> {
    method: &'m Method,
    signature: TokenStream,
}

impl<'m> Twin<'m> {
    fn new(method: &'m Method) -> Self {
        let name = method.ident();
        let result = &method.signature.output;
        let mut inputs = Vec::new();
        let mut returned = Vec::new();
        for argument in &method.arguments {
            let ident = &argument.name;
            let (owned, mutable) = match &argument.shape {
                Shape::Value(ty) => (quote!(#ty), false),
                Shape::Block { ty, mutable } => (quote!(#ty), *mutable),
                Shape::Array { element, mutable } => (quote!(::std::vec::Vec<#element>), *mutable),
                Shape::Bytes { mutable } => (quote!(::std::vec::Vec<u8>), *mutable),
            };
            if mutable {
                returned.push(owned.clone());
            }
            inputs.push(quote!(#ident: #owned));
        }
        let result = match result {
            syn::ReturnType::Type(_, ty) => quote!(#ty),
            syn::ReturnType::Default => quote!(()),
        };
        let output = if returned.is_empty() {
            result
        } else {
            quote!((#result, #(#returned),*))
        };
        let signature = quote!(async fn #name(&self, #(#inputs),*) -> #output);
        Self { method, signature }
    }

    /// The method over a blocking implementation.
    fn offloaded(&self, interface: &Interface) -> TokenStream {
        let signature = &self.signature;
        let name = self.method.ident();
        let calls = format_ident!("{}Calls", interface.ident);
        let constant = self.method.constant();
        let trait_name = &interface.ident;
        let mut pass = Vec::new();
        let mut rebind = Vec::new();
        let mut returned = Vec::new();
        for argument in &self.method.arguments {
            let ident = &argument.name;
            let mutable = match argument.shape {
                Shape::Value(_) => {
                    pass.push(quote!(#ident));
                    continue;
                }
                Shape::Block { mutable, .. } | Shape::Array { mutable, .. } | Shape::Bytes { mutable } => mutable,
            };
            if mutable {
                rebind.push(quote!(let mut #ident = #ident;));
                returned.push(ident);
                pass.push(quote!(&mut #ident));
            } else {
                pass.push(quote!(&#ident));
            }
        }
        let call = quote!(#trait_name::#name(__implementation, #(#pass),*));
        if returned.is_empty() {
            quote! {
                #signature {
                    self.run(#calls::#constant, (), move |__implementation, ()| (#call, ())).await.0
                }
            }
        } else {
            quote! {
                #signature {
                    let (__result, (#(#returned,)*)) = self.run(
                        #calls::#constant,
                        (#(#returned,)*),
                        move |__implementation, (#(#returned,)*)| {
                            #(#rebind)*
                            let __result = #call;
                            (__result, (#(#returned,)*))
                        },
                    ).await;
                    (__result, #(#returned),*)
                }
            }
        }
    }
}
