//! `async_twin!`: the async twin of an interface.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, Meta, Path, Result, ReturnType, Token};

use crate::interface::model::{Argument, Interface, Method, Register, Shape};
use crate::spans::as_own;

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let Input { krate, definition } = syn::parse2(item)?;
    let interface = Interface::from_callback(definition)?;
    let ident = &interface.ident;
    let visibility = &interface.visibility;
    let twin = format_ident!("Async{ident}");
    let methods: Vec<Twin<'_>> = interface
        .methods
        .iter()
        .map(|method| Twin::new(&krate, ident, method))
        .collect();
    let declarations = methods.iter().map(Twin::declaration);
    let bodies = methods.iter().map(Twin::offloaded);
    let doc = format!("[`{ident}`] for async code: owned values in and out.");
    Ok(as_own(quote! {
        #[doc = #doc]
        ///
        /// What the blocking trait borrows goes in as an owned value: `&T` as `T`, `&[T]` as `Vec<T>`. What it borrows
        /// mutably also comes back, beside the result: `(Result<R, Error>, T)`. So a hypervisor never writes into memory
        /// of a future that was dropped.
        ///
        /// `Offload` over any blocking implementation implements it, and says what happens when a future is dropped.
        #[#krate::async_trait::async_trait]
        #visibility trait #twin: ::core::marker::Send + ::core::marker::Sync {
            #(#declarations)*
        }

        #[#krate::async_trait::async_trait]
        #[automatically_derived]
        #[allow(deprecated)]
        #[allow(deprecated)]
        impl<__H: #ident + ::core::marker::Send + ::core::marker::Sync + 'static> #twin
            for #krate::Offload<__H>
        {
            #(#bodies)*
        }
    }))
}

/// `crate = PATH;`, then what an interface's callback macro hands over.
///
/// The path is the `$crate` of a `macro_rules!` in `hypercall-async`: whoever reaches that macro, under whatever name,
/// reaches what the generated code needs.
struct Input {
    krate: Path,
    definition: TokenStream,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        input.parse::<Token![crate]>()?;
        input.parse::<Token![=]>()?;
        let krate = input.parse()?;
        input.parse::<Token![;]>()?;
        Ok(Self {
            krate,
            definition: input.parse()?,
        })
    }
}

/// A method of the twin.
struct Twin<'m> {
    /// Where the crate `hypercall-async` is.
    krate: &'m Path,
    /// The blocking trait.
    interface: &'m Ident,
    method: &'m Method,
    /// `async fn …`, without body.
    signature: TokenStream,
    /// Arguments that come back.
    returned: Vec<&'m Ident>,
}

impl<'m> Twin<'m> {
    fn new(krate: &'m Path, interface: &'m Ident, method: &'m Method) -> Self {
        let mut inputs = Vec::new();
        let mut returned = Vec::new();
        let mut output = Vec::new();
        for argument in &method.arguments {
            let name = &argument.name;
            let ty = owned(krate, argument);
            if is_mutable(argument) {
                returned.push(name);
                output.push(ty.clone());
            }
            inputs.push(quote!(#name: #ty));
        }
        let result = match &method.signature.output {
            ReturnType::Type(_, ty) => quote!(#ty),
            ReturnType::Default => quote!(()),
        };
        let output = if returned.is_empty() {
            result
        } else {
            quote!((#result, #(#output),*))
        };
        let name = method.ident();
        let signature = quote!(async fn #name(&self, #(#inputs),*) -> #output);
        Self {
            krate,
            interface,
            method,
            signature,
            returned,
        }
    }

    /// The method in the trait. Its documentation is that of the blocking one, whose links would not hold here.
    fn declaration(&self) -> TokenStream {
        let signature = &self.signature;
        let aliases = self
            .method
            .attributes
            .iter()
            .filter(|attribute| is_alias(attribute));
        let mut doc = format!(
            "[`{}::{}`], made on another thread.",
            self.interface,
            self.method.ident().unraw()
        );
        if !self.returned.is_empty() {
            let names: Vec<_> = self
                .returned
                .iter()
                .map(|name| format!("`{}`", name.unraw()))
                .collect();
            doc.push_str(&format!(
                " Returns {} beside the result.",
                names.join(" and ")
            ));
        }
        quote! {
            #[doc = #doc]
            #(#aliases)*
            #signature;
        }
    }

    /// The method over a blocking implementation.
    fn offloaded(&self) -> TokenStream {
        let Self {
            interface,
            signature,
            returned,
            ..
        } = self;
        let name = self.method.ident();
        let calls = format_ident!("{interface}Calls");
        let constant = self.method.constant();
        let registers = self.registers();
        let pass = self.method.arguments.iter().map(|argument| {
            let name = &argument.name;
            match argument.shape {
                Shape::Value(_) => quote!(#name),
                _ if is_mutable(argument) => quote!(&mut #name),
                _ => quote!(&#name),
            }
        });
        // A tuple of the arguments that come back: none, one or more.
        let answer = if returned.is_empty() {
            quote!(__result)
        } else {
            quote!((__result, #(#returned),*))
        };
        quote! {
            #signature {
                let (__result, (#(#returned,)*)) = self.run(
                    #calls::#constant,
                    #registers,
                    (#(#returned,)*),
                    move |__implementation, (#(mut #returned,)*)| {
                        let __result = #interface::#name(__implementation, #(#pass),*);
                        (__result, (#(#returned,)*))
                    },
                ).await;
                #answer
            }
        }
    }

    /// The registers' values, for an error that is found before the call is made.
    fn registers(&self) -> TokenStream {
        let krate = self.krate;
        let mut values = [quote!(0), quote!(0)];
        for ((position, register), value) in
            self.method.registers.iter().enumerate().zip(&mut values)
        {
            let Register::Value(index) = register else {
                continue;
            };
            let Some(Argument {
                name,
                shape: Shape::Value(ty),
            }) = self.method.arguments.get(*index)
            else {
                continue;
            };
            let raw = quote!(<#ty as #krate::__private::Value>::to_register(#name));
            *value = match (&self.method.select, position) {
                (Some((mask, selected)), 0) => quote!((#raw & !(#mask)) | (#selected)),
                _ => raw,
            };
        }
        let [first, second] = values;
        quote!([#first, #second])
    }
}

/// The type of an argument that nobody borrows.
fn owned(krate: &Path, argument: &Argument) -> TokenStream {
    match &argument.shape {
        Shape::Value(ty) | Shape::Block { ty, .. } => quote!(#ty),
        Shape::Array { element, .. } => quote!(#krate::__private::Vec<#element>),
        Shape::Bytes { .. } => quote!(#krate::__private::Vec<u8>),
    }
}

/// Whether the hypervisor may change it.
fn is_mutable(argument: &Argument) -> bool {
    match argument.shape {
        Shape::Value(_) => false,
        Shape::Block { mutable, .. } | Shape::Array { mutable, .. } | Shape::Bytes { mutable } => {
            mutable
        }
    }
}

/// `#[doc(alias = "…")]`
fn is_alias(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc") && matches!(attribute.meta, Meta::List(_))
}
