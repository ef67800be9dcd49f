//! `TraitServer` and `TraitCalls::invoke`: the hypervisor's side.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

use super::model::{Content, Header, Interface, Method, Output, Register, Shape};

pub(crate) fn expand(interface: &Interface) -> TokenStream {
    let Interface { krate, ident, visibility, .. } = interface;
    let calls = format_ident!("{ident}Calls");
    let server = format_ident!("{ident}Server");
    let arms = interface.methods.iter().enumerate().map(|(index, method)| {
        let body = body(interface, method);
        quote!(#index => (|| -> #krate::server::Stepped<i64> { #body })(),)
    });
    let doc = format!("Answers the calls of [`{ident}`], raw, by an implementation of the trait.");
    quote! {
        #[automatically_derived]
        impl #calls {
            /// Makes one call of this interface on an implementation: decodes, calls the method, encodes.
            ///
            /// # Errors
            /// [`TransportError`](#krate::TransportError) where the caller gets no answer.
            pub fn invoke<__H: #ident + ?Sized, __R: #krate::server::Rules + ?Sized>(
                implementation: &__H,
                call: &'static #krate::call::CallInfo,
                args: [u64; 2],
                memory: &dyn #krate::server::GuestMemory,
                rules: &__R,
            ) -> ::core::result::Result<i64, #krate::TransportError> {
                let __step = #krate::server::Step { call, args, memory, rules };
                #krate::server::finish(match call.index {
                    #(#arms)*
                    _ => ::core::result::Result::Err(#krate::server::Stop::None(
                        #krate::TransportError::Unsupported("the call belongs to another interface"))),
                })
            }
        }

        #[doc = #doc]
        #[derive(Clone, Copy, Debug, Default)]
        #visibility struct #server<__H, __R = #krate::server::PlainRules> {
            /// The implementation.
            pub implementation: __H,
            /// What the interface leaves to the hypervisor.
            pub rules: __R,
        }

        #[automatically_derived]
        impl<__H> #server<__H> {
            /// A server without oddities.
            pub const fn new(implementation: __H) -> Self {
                Self { implementation, rules: #krate::server::PlainRules }
            }
        }

        #[automatically_derived]
        impl<__H: #ident, __R: #krate::server::Rules> #krate::server::Serve for #server<__H, __R> {
            fn serve(
                &self,
                registers: #krate::server::Registers,
                memory: &dyn #krate::server::GuestMemory,
            ) -> ::core::result::Result<i64, #krate::TransportError> {
                match #calls::INTERFACE.select(registers.number, registers.args) {
                    ::core::option::Option::Some(call) => #calls::invoke(
                        &self.implementation, call, registers.args, memory, &self.rules),
                    ::core::option::Option::None => ::core::result::Result::Ok(
                        #krate::server::Rules::unknown(&self.rules, registers)),
                }
            }
        }
    }
}

fn body(interface: &Interface, method: &Method) -> TokenStream {
    let krate = &interface.krate;
    let name = method.ident();
    let mut decode = Vec::new();
    let mut pass: Vec<TokenStream> = method
        .arguments
        .iter()
        .map(|argument| {
            let name = &argument.name;
            match &argument.shape {
                Shape::Value(_) => quote!(#name),
                Shape::Block { mutable: true, .. } => quote!(&mut #name),
                Shape::Block { .. } => quote!(&#name),
                Shape::Bytes { mutable: true } => quote!(&mut *#name),
                Shape::Bytes { .. } => quote!(&*#name),
                Shape::Array { .. } => quote!(__elements),
            }
        })
        .collect();
    // Blocks that the method may have changed, to copy out: (register, name).
    let mut changed = Vec::new();
    let mut elements = None;
    for (position, register) in method.registers.iter().enumerate() {
        match register {
            Register::Value(index) => {
                let argument = &method.arguments[*index];
                let name = &argument.name;
                let Shape::Value(ty) = &argument.shape else { continue };
                decode.push(quote_spanned!(ty.span()=> let #name: #ty = __step.value(#position);));
            }
            Register::Block(index) => {
                let argument = &method.arguments[*index];
                let name = &argument.name;
                let Shape::Block { ty, mutable } = &argument.shape else { continue };
                let binding = if *mutable { quote!(mut #name) } else { quote!(#name) };
                decode.push(quote_spanned!(ty.span()=> let #binding: #ty = __step.block(#position)?;));
                if *mutable {
                    changed.push((position, *index, quote!(__step.store(#position, &#name)?;)));
                }
            }
            Register::Bytes(index) => {
                let argument = &method.arguments[*index];
                let name = &argument.name;
                decode.push(quote! {
                    let mut __buffer = [0u8; #krate::server::BYTES_LIMIT];
                    let #name = __step.bytes(#position, &mut __buffer)?;
                });
                if let Shape::Bytes { mutable: true } = argument.shape {
                    changed.push((position, *index, quote!(__step.store_bytes(#position, #name)?;)));
                }
            }
            Register::Header(header) => {
                decode.push(decode_header(interface, method, header, position));
                elements = array_of(interface, method, header);
            }
            Register::Returned => {}
        }
    }
    let stores = changed.iter().filter(|(_, index, _)| !matches!(method.output, Output::Yielded(of) if of == *index)).map(|(_, _, store)| store);
    if let Some((count, address, direction, mutable)) = elements {
        for argument in &mut pass {
            if argument.to_string() == "__elements" && !mutable {
                *argument = quote!(&*__elements);
            }
        }
        return quote! {
            #(#decode)*
            let __rax = __step.elements(
                #krate::Value::to_register(#count),
                #krate::Gpa(#krate::Value::to_register(#address)),
                #direction,
                |__elements| #krate::server::unit(implementation.#name(#(#pass),*)),
            )?;
            #(#stores)*
            ::core::result::Result::Ok(__rax)
        };
    }
    let result = quote!(implementation.#name(#(#pass),*));
    match &method.output {
        Output::Unit => quote! {
            #(#decode)*
            __step.answer(#result)?;
            #(#stores)*
            ::core::result::Result::Ok(0)
        },
        Output::Returned => {
            let position = method.registers.len().saturating_sub(1);
            quote! {
                #(#decode)*
                let __returned = __step.answer(#result)?;
                #(#stores)*
                __step.store(#position, &__returned)?;
                ::core::result::Result::Ok(0)
            }
        }
        Output::Yielded(index) => {
            let block = &method.arguments[*index].name;
            let position = changed
                .iter()
                .find(|(_, of, _)| of == index)
                .map_or(0, |(position, _, _)| *position);
            quote! {
                #(#decode)*
                let __result = #result;
                __step.yielded(#position, &mut #block, __result)?;
                #(#stores)*
                ::core::result::Result::Ok(0)
            }
        }
        Output::Rax => quote! {
            #(#decode)*
            let __rax = __step.rax(#result)?;
            #(#stores)*
            ::core::result::Result::Ok(__rax)
        },
    }
}

/// Reads the header, and from it every argument that is not an array.
fn decode_header(
    interface: &Interface,
    method: &Method,
    header: &Header,
    position: usize,
) -> TokenStream {
    let krate = &interface.krate;
    let ty = &header.ty;
    let fields = header.fields.iter().map(|field| {
        let member = &field.member;
        match field.content {
            Content::Value(index) => {
                let name = &method.arguments[index].name;
                quote!(let #name = __header.#member;)
            }
            Content::Address(index) if matches!(method.arguments[index].shape, Shape::Value(_)) => {
                let name = &method.arguments[index].name;
                quote! {
                    let #name = #krate::SharedRef::Address(
                        #krate::Gpa(#krate::Value::to_register(__header.#member)));
                }
            }
            Content::Address(_) | Content::Length(_) => quote!(),
        }
    });
    quote! {
        let __header: #ty = __step.block(#position)?;
        #(#fields)*
    }
}

/// Count, address, direction and mutability of the array behind a header, if it is one.
fn array_of(
    interface: &Interface,
    method: &Method,
    header: &Header,
) -> Option<(TokenStream, TokenStream, TokenStream, bool)> {
    let (pointer, target) = header.link()?;
    let argument = method.arguments.get(target)?;
    let count = header.length(target)?;
    let Shape::Array { mutable, .. } = argument.shape else { return None };
    Some((
        quote!(__header.#count),
        quote!(__header.#pointer),
        argument.direction(&interface.krate),
        mutable,
    ))
}
