//! `impl Trait for Client<T>`: the program's side.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};

use super::model::{Argument, Content, Header, Interface, Method, Output, Register, Shape};
use super::place;

pub(crate) fn expand(interface: &Interface) -> TokenStream {
    let Interface { krate, ident, .. } = interface;
    let methods = interface
        .methods
        .iter()
        .map(|method| body(interface, method));
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl<__T: #krate::Transport + ?::core::marker::Sized> #ident for #krate::Client<__T> {
            #(#methods)*
        }
    }
}

fn body(interface: &Interface, method: &Method) -> TokenStream {
    let krate = &interface.krate;
    let signature = &method.signature;
    let calls = format_ident!("{}Calls", interface.ident);
    let constant = method.constant();
    // The values come first: an error that is found while a header is built shows them too.
    let mut values = Vec::new();
    let mut registers = Vec::new();
    let mut prepare = Vec::new();
    let mut args = Vec::new();
    for (position, register) in method.registers.iter().enumerate() {
        let mut shown = quote!(0);
        match register {
            Register::Value(index) => {
                let argument = &method.arguments[*index];
                let name = &argument.name;
                let Shape::Value(ty) = &argument.shape else {
                    continue;
                };
                let raw = quote_spanned!(place(ty)=> <#ty as #krate::Value>::to_register(#name));
                let raw = match (&method.select, position) {
                    (Some((mask, selected)), 0) => quote!((#raw & !(#mask)) | (#selected)),
                    _ => raw,
                };
                let value = format_ident!("__value{position}");
                values.push(quote!(let #value: u64 = #raw;));
                args.push(quote!(#krate::arg::Arg::Value(#value)));
                shown = quote!(#value);
            }
            Register::Block(index) => {
                let argument = &method.arguments[*index];
                let name = &argument.name;
                let Shape::Block { ty, mutable } = &argument.shape else {
                    continue;
                };
                args.push(if *mutable {
                    quote_spanned!(place(ty)=>
                        #krate::arg::Arg::ReadWrite(<#ty as #krate::Payload>::as_block_mut(#name)))
                } else {
                    quote_spanned!(place(ty)=>
                        #krate::arg::Arg::Read(<#ty as #krate::Payload>::as_block(#name)))
                });
            }
            Register::Bytes(index) => {
                let argument = &method.arguments[*index];
                let name = &argument.name;
                args.push(match argument.shape {
                    Shape::Bytes { mutable: true } => quote!(#krate::arg::Arg::ReadWrite(#name)),
                    _ => quote!(#krate::arg::Arg::Read(#name)),
                });
            }
            Register::Header(header) => {
                let (build, argument) = header_argument(interface, method, header);
                prepare.push(build);
                args.push(argument);
            }
            Register::Returned => {
                let ty = &method.returns;
                prepare.push(quote_spanned!(place(ty)=>
                    let mut __returned = <#ty as #krate::Payload>::zeroed();));
                args.push(quote_spanned!(place(ty)=>
                    #krate::arg::Arg::Write(<#ty as #krate::Payload>::as_block_mut(&mut __returned))));
            }
        }
        registers.push(shown);
    }
    // A block that is used again has an old result, which a hypervisor that writes none would leave there.
    if let Output::Yielded(index) = &method.output
        && let Argument {
            name,
            shape: Shape::Block { ty, .. },
        } = &method.arguments[*index]
    {
        let returns = &method.returns;
        prepare.push(quote_spanned!(place(ty)=>
            <#ty as #krate::Yields<#returns>>::store_failure(&mut *#name);));
    }
    args.resize(2, quote!(#krate::arg::Arg::None));
    registers.resize(2, quote!(0));
    let returns = &method.returns;
    let answer = &method.answer;
    let finish = match &method.output {
        Output::Unit => quote!(#krate::client::unit(__CALL, __registers, __outcome)),
        Output::Returned => {
            quote!(#krate::client::unit(__CALL, __registers, __outcome).map(|()| __returned))
        }
        Output::Yielded(index) => {
            let Argument {
                name,
                shape: Shape::Block { ty, .. },
            } = &method.arguments[*index]
            else {
                return quote!();
            };
            quote_spanned!(place(ty)=> #krate::client::yielded(__CALL, __registers, __outcome,
                || <#ty as #krate::Yields<#returns>>::yielded(&*#name)))
        }
        Output::Rax => {
            quote_spanned!(place(returns)=> #krate::client::rax(__CALL, __registers, __outcome, |__rax| {
                let __result = <#returns as #krate::Value>::from_register(__rax);
                (__result, <#returns as #krate::Value>::to_register(__result))
            }))
        }
    };
    let answered = quote_spanned!(place(answer)=> <#answer as #krate::__private::Returned<#returns>>::from_result);
    quote! {
        #[inline]
        #signature {
            const __CALL: &'static #krate::call::CallInfo = #calls::#constant;
            #(#values)*
            let __registers: [u64; 2] = [#(#registers),*];
            #(#prepare)*
            let __outcome = #krate::Transport::call(
                #krate::Client::<__T>::transport(self), __CALL, [#(#args),*]);
            #answered(#finish)
        }
    }
}

/// Builds the header, and the argument that carries it.
fn header_argument(
    interface: &Interface,
    method: &Method,
    header: &Header,
) -> (TokenStream, TokenStream) {
    let krate = &interface.krate;
    let ty = &header.ty;
    let mut fill = Vec::new();
    let mut target = quote!();
    let mut offset = quote!(0);
    for field in &header.fields {
        let member = &field.member;
        match field.content {
            Content::Value(index) => {
                let name = &method.arguments[index].name;
                fill.push(quote!(__header.#member = #name;));
            }
            Content::Length(index) => {
                let name = &method.arguments[index].name;
                fill.push(quote_spanned!(place(member)=>
                    __header.#member = #krate::client::count(__CALL, __registers, #name.len())?;
                ));
            }
            Content::Address(index) => {
                let argument = &method.arguments[index];
                let name = &argument.name;
                offset = quote!(::core::mem::offset_of!(#ty, #member));
                target = match &argument.shape {
                    Shape::Array {
                        element,
                        mutable: true,
                    } => quote_spanned!(place(element)=>
                        #krate::arg::Target::ReadWrite(<#element as #krate::Payload>::array_block_mut(#name))
                    ),
                    Shape::Array { element, .. } => quote_spanned!(place(element)=>
                        #krate::arg::Target::Read(<#element as #krate::Payload>::array_block(#name))
                    ),
                    Shape::Value(ty) => quote_spanned!(place(ty)=>
                        #krate::arg::Target::Shared(<#ty as #krate::__private::Kept>::keep(#name))
                    ),
                    Shape::Block { .. } | Shape::Bytes { .. } => continue,
                };
            }
        }
    }
    (
        quote! {
            let mut __header = <#ty as #krate::Payload>::zeroed();
            #(#fill)*
        },
        quote! {
            #krate::arg::Arg::Linked(#krate::arg::Linked {
                header: <#ty as #krate::Payload>::as_block_mut(&mut __header),
                offset: #offset,
                target: #target,
            })
        },
    )
}
