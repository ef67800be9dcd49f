//! `TraitServer` and `TraitCalls::invoke`: the hypervisor's side.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Ident, Type};

use super::model::{Argument, Content, Header, Interface, Method, Output, Register, Shape};
use super::place;

pub(crate) fn expand(interface: &Interface) -> TokenStream {
    let Interface {
        krate,
        ident,
        visibility,
        ..
    } = interface;
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
            /// `TransportError` where the caller gets no answer.
            #[allow(deprecated)]
            pub fn invoke<__H: #ident + ?::core::marker::Sized, __R: #krate::server::Rules + ?::core::marker::Sized>(
                implementation: &__H,
                call: &'static #krate::call::CallInfo,
                args: [u64; 2],
                memory: &dyn #krate::server::GuestMemory,
                rules: &__R,
            ) -> ::core::result::Result<i64, #krate::TransportError> {
                // The arguments of the calls may have any other name.
                let (__implementation, __step) =
                    (implementation, #krate::server::Step { call, args, memory, rules });
                #krate::server::finish(match call.index {
                    #(#arms)*
                    _ => ::core::result::Result::Err(#krate::server::Stop::None(
                        #krate::TransportError::Unsupported("the call belongs to another interface"))),
                })
            }
        }

        #[doc = #doc]
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug, ::core::default::Default)]
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
    let Interface { krate, ident, .. } = interface;
    let name = method.ident();
    let returns = &method.returns;
    let mut decode = Vec::new();
    let pass: Vec<TokenStream> = method
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
                Shape::Array { mutable: true, .. } => quote!(__elements),
                Shape::Array { .. } => quote!(&*__elements),
            }
        })
        .collect();
    // Blocks that the method may have changed, to copy out: (argument, code).
    let mut changed = Vec::new();
    let mut elements = None;
    for (position, register) in method.registers.iter().enumerate() {
        match register {
            Register::Value(index) => {
                let argument = &method.arguments[*index];
                let name = &argument.name;
                let Shape::Value(ty) = &argument.shape else {
                    continue;
                };
                decode.push(quote_spanned!(place(ty)=>
                    let #name = <#ty as #krate::Value>::from_register(__step.register(#position));));
            }
            Register::Block(index) => {
                let argument = &method.arguments[*index];
                let name = &argument.name;
                let Shape::Block { ty, mutable } = &argument.shape else {
                    continue;
                };
                decode.push(read_block(interface, name, quote!(#ty), position));
                if *mutable {
                    changed.push((
                        *index,
                        quote_spanned!(place(ty)=>
                        __step.write(#position, <#ty as #krate::Payload>::as_block(&#name))?;),
                    ));
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
                    changed.push((*index, quote!(__step.write(#position, #name)?;)));
                }
            }
            Register::Header(header) => {
                decode.push(decode_header(interface, method, header, position));
                elements = array_of(interface, method, header);
            }
            Register::Returned => {}
        }
    }
    // The block that carries the result goes first: it is what the caller looks at.
    if let Output::Yielded(of) = method.output {
        changed.sort_by_key(|(index, _)| *index != of);
    }
    let stores = changed.iter().map(|(_, store)| store);
    let answer = &method.answer;
    let call = quote_spanned!(place(answer)=> <#answer as #krate::__private::Returned<#returns>>::into_result(
        <__H as #ident>::#name(__implementation, #(#pass),*)));
    if let Some((count, address, direction, element)) = elements {
        let block = quote_spanned!(place(&element)=> <#element as #krate::Payload>);
        return quote! {
            #(#decode)*
            let __rax = __step.elements(
                #krate::Value::to_register(#count),
                #krate::Gpa(#krate::Value::to_register(#address)),
                #direction,
                || #block::zeroed(),
                |__element| #block::as_block_mut(__element),
                |__elements| #call,
            )?;
            #(#stores)*
            ::core::result::Result::Ok(__rax)
        };
    }
    match &method.output {
        Output::Unit => quote! {
            #(#decode)*
            __step.answer(#call)?;
            #(#stores)*
            ::core::result::Result::Ok(0)
        },
        Output::Returned => {
            let position = method.registers.len().saturating_sub(1);
            let write = quote_spanned!(place(returns)=>
                __step.write(#position, <#returns as #krate::Payload>::as_block(&__returned))?;);
            quote! {
                #(#decode)*
                let __returned = __step.answer(#call)?;
                #(#stores)*
                #write
                ::core::result::Result::Ok(0)
            }
        }
        Output::Yielded(index) => {
            let Argument {
                name: block,
                shape: Shape::Block { ty, .. },
            } = &method.arguments[*index]
            else {
                return quote!();
            };
            let yields = quote_spanned!(place(ty)=> <#ty as #krate::Yields<#returns>>);
            quote! {
                #(#decode)*
                let __result = #call;
                __step.settle(
                    &mut #block,
                    __result,
                    |__block, __value| #yields::store(__block, __value),
                    |__block| #yields::store_failure(__block),
                )?;
                #(#stores)*
                ::core::result::Result::Ok(0)
            }
        }
        Output::Rax => {
            let raw = quote_spanned!(place(returns)=> #call.map(|__value| <#returns as #krate::Value>::to_register(__value)));
            quote! {
                #(#decode)*
                let __rax = __step.rax(#raw)?;
                #(#stores)*
                ::core::result::Result::Ok(__rax)
            }
        }
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
            Content::Address(index) => {
                let Argument {
                    name,
                    shape: Shape::Value(ty),
                } = &method.arguments[index]
                else {
                    return quote!();
                };
                quote_spanned! {place(ty)=>
                    let #name = <#ty as #krate::__private::Kept>::kept(
                        #krate::Gpa(#krate::Value::to_register(__header.#member)));
                }
            }
            Content::Length(_) => quote!(),
        }
    });
    let read = read_block(interface, &format_ident!("__header"), quote!(#ty), position);
    quote! {
        #read
        #(#fields)*
    }
}

/// Copies a block in.
fn read_block(
    interface: &Interface,
    name: &Ident,
    ty: TokenStream,
    position: usize,
) -> TokenStream {
    let krate = &interface.krate;
    quote_spanned! {place(&ty)=>
        let mut #name = <#ty as #krate::Payload>::zeroed();
        __step.read(#position, <#ty as #krate::Payload>::as_block_mut(&mut #name))?;
    }
}

/// Count, address, direction and element of the array behind a header, if it is one.
fn array_of(
    interface: &Interface,
    method: &Method,
    header: &Header,
) -> Option<(TokenStream, TokenStream, TokenStream, Type)> {
    let (pointer, target) = header.link()?;
    let argument = method.arguments.get(target)?;
    let count = header.length(target)?;
    let Shape::Array { element, .. } = &argument.shape else {
        return None;
    };
    Some((
        quote!(__header.#count),
        quote!(__header.#pointer),
        argument.direction(&interface.krate),
        element.clone(),
    ))
}
