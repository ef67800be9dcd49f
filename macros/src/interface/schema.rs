//! `TraitCalls`: the interface as data.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

use super::model::{Header, Interface, Method, Output, Register, Shape};

pub(crate) fn expand(interface: &Interface) -> TokenStream {
    let Interface { krate, ident, visibility, .. } = interface;
    let calls = format_ident!("{ident}Calls");
    let constants = interface.methods.iter().enumerate().map(|(index, method)| constant(interface, index, method));
    let names = interface.methods.iter().map(Method::constant);
    let doc = format!("The calls of [`{ident}`], as data.");
    let name = ident.to_string();
    let clash = format!(
        "two calls of interface `{name}` have the same number: give each its own, or tell them apart with `select(MASK, VALUE)`"
    );
    quote! {
        #[doc = #doc]
        #[derive(Clone, Copy, Debug)]
        #visibility struct #calls;

        #[automatically_derived]
        impl #calls {
            /// The interface.
            pub const INTERFACE: &'static #krate::call::InterfaceInfo = &#krate::call::InterfaceInfo {
                name: #name,
                calls: &[#(Self::#names),*],
            };
            #(#constants)*
        }

        const _: () = ::core::assert!(#krate::call::distinct(#calls::INTERFACE.calls), #clash);
    }
}

fn constant(interface: &Interface, index: usize, method: &Method) -> TokenStream {
    let krate = &interface.krate;
    let trait_name = interface.ident.to_string();
    let constant = method.constant();
    let name = method.ident().to_string();
    let number = &method.number;
    let selector = match &method.select {
        Some((mask, value)) => quote!(::core::option::Option::Some(#krate::call::Selector { mask: #mask, value: #value })),
        None => quote!(::core::option::Option::None),
    };
    let mut registers: Vec<_> = method.registers.iter().map(|register| register_info(interface, method, register)).collect();
    registers.resize(2, quote!(#krate::call::RegisterInfo::Unused));
    let result = result_info(interface, method);
    let hints = method.hints.iter().map(|(code, text)| {
        quote!(#krate::call::Hint { code: #code, text: #text })
    });
    let codes = match &interface.codes {
        Some(codes) => quote!(#codes),
        None => quote!(&[]),
    };
    let doc = format!("[`{trait_name}::{name}`].");
    quote! {
        #[doc = #doc]
        pub const #constant: &'static #krate::call::CallInfo = &#krate::call::CallInfo {
            interface: #trait_name,
            index: #index,
            name: #name,
            number: #number,
            selector: #selector,
            registers: [#(#registers),*],
            result: #result,
            hints: &[#(#hints),*],
            codes: #codes,
        };
    }
}

fn register_info(interface: &Interface, method: &Method, register: &Register) -> TokenStream {
    let krate = &interface.krate;
    match register {
        Register::Value(index) => {
            let argument = &method.arguments[*index];
            let name = argument.name.to_string();
            let Shape::Value(ty) = &argument.shape else { return quote!() };
            let kind = quote_spanned!(ty.span()=> <#ty as #krate::Value>::KIND);
            let role = quote_spanned!(ty.span()=> <#ty as #krate::Value>::ROLE);
            let show = quote_spanned!(ty.span()=> #krate::__private::show::<#ty>);
            quote!(#krate::call::RegisterInfo::Value { name: #name, kind: #kind, role: #role, show: #show })
        }
        Register::Block(index) => {
            let argument = &method.arguments[*index];
            let name = argument.name.to_string();
            let direction = argument.direction(krate);
            let Shape::Block { ty, .. } = &argument.shape else { return quote!() };
            let kind = quote_spanned!(ty.span()=> <#ty as #krate::Payload>::KIND);
            let size = quote_spanned!(ty.span()=> <#ty as #krate::Payload>::SIZE);
            quote!(#krate::call::RegisterInfo::Block {
                name: #name, direction: #direction, kind: #kind, size: #size, link: ::core::option::Option::None })
        }
        Register::Bytes(index) => {
            let argument = &method.arguments[*index];
            let name = argument.name.to_string();
            let direction = argument.direction(krate);
            quote!(#krate::call::RegisterInfo::Bytes { name: #name, direction: #direction })
        }
        Register::Returned => {
            let ty = &method.returns;
            let kind = quote_spanned!(ty.span()=> <#ty as #krate::Payload>::KIND);
            let size = quote_spanned!(ty.span()=> <#ty as #krate::Payload>::SIZE);
            quote!(#krate::call::RegisterInfo::Block {
                name: "", direction: #krate::call::Direction::Write, kind: #kind, size: #size,
                link: ::core::option::Option::None })
        }
        Register::Header(header) => header_info(interface, method, header),
    }
}

fn header_info(interface: &Interface, method: &Method, header: &Header) -> TokenStream {
    let krate = &interface.krate;
    let ty = &header.ty;
    let name = ty.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
    let Some((pointer, target)) = header.link() else { return quote!() };
    let argument = &method.arguments[target];
    let target_name = argument.name.to_string();
    let target = match (&argument.shape, header.length(target)) {
        (Shape::Array { element, .. }, Some(count)) => {
            let direction = argument.direction(krate);
            let kind = quote_spanned!(element.span()=> <#element as #krate::Payload>::KIND);
            let size = quote_spanned!(element.span()=> <#element as #krate::Payload>::SIZE);
            quote!(#krate::call::LinkTarget::Array {
                direction: #direction,
                kind: #kind,
                size: #size,
                count_offset: ::core::mem::offset_of!(#ty, #count),
                count_size: {
                    const fn size_of_field<H, F>(_: fn(&H) -> &F) -> usize { ::core::mem::size_of::<F>() }
                    size_of_field::<#ty, _>(|header| &header.#count)
                },
            })
        }
        _ => quote!(#krate::call::LinkTarget::Shared),
    };
    quote!(#krate::call::RegisterInfo::Block {
        name: #name,
        direction: #krate::call::Direction::Read,
        kind: <#ty as #krate::Payload>::KIND,
        size: <#ty as #krate::Payload>::SIZE,
        link: ::core::option::Option::Some(#krate::call::LinkInfo {
            name: #target_name,
            offset: {
                ::core::assert!(
                    ::core::mem::offset_of!(#ty, #pointer) + 8 <= ::core::mem::size_of::<#ty>(),
                    "a header's address is 8 bytes wide"
                );
                ::core::mem::offset_of!(#ty, #pointer)
            },
            target: #target,
        }),
    })
}

fn result_info(interface: &Interface, method: &Method) -> TokenStream {
    let krate = &interface.krate;
    let returns = &method.returns;
    match &method.output {
        Output::Unit => quote!(#krate::call::ResultInfo::Unit),
        Output::Returned => {
            let register = method.registers.len().saturating_sub(1);
            quote!(#krate::call::ResultInfo::Block(#register))
        }
        Output::Yielded(index) => {
            let register = method
                .registers
                .iter()
                .position(|register| matches!(register, Register::Block(block) if block == index))
                .unwrap_or(0);
            let Shape::Block { ty, .. } = &method.arguments[*index].shape else { return quote!() };
            quote!(#krate::call::ResultInfo::Yielded {
                register: #register,
                show: #krate::__private::show_yield::<#ty, #returns>,
            })
        }
        Output::Rax => quote!(#krate::call::ResultInfo::Rax {
            kind: <#returns as #krate::Value>::KIND,
            show: #krate::__private::show::<#returns>,
        }),
    }
}
