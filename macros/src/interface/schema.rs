//! `TraitCalls`: the interface as data.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;

use super::model::{Header, Interface, Method, Output, Register, Shape};
use super::place;

pub(crate) fn expand(interface: &Interface) -> TokenStream {
    let Interface {
        krate,
        ident,
        visibility,
        ..
    } = interface;
    let calls = format_ident!("{ident}Calls");
    let constants = interface
        .methods
        .iter()
        .enumerate()
        .map(|(index, method)| constant(interface, index, method));
    let names = interface.methods.iter().map(Method::constant);
    let doc = format!("The calls of [`{ident}`], as data.");
    let name = ident.unraw().to_string();
    let checks = interface
        .methods
        .iter()
        .map(|method| checks(interface, method));
    quote! {
        #[doc = #doc]
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
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

        #(#checks)*
    }
}

/// What is known only when constants are evaluated.
fn checks(interface: &Interface, method: &Method) -> TokenStream {
    let krate = &interface.krate;
    let calls = format_ident!("{}Calls", interface.ident);
    let constant = method.constant();
    let name = method.name();
    let (what, cure, span) = match &method.select {
        Some((_, value)) => (
            "bits",
            "choose a value that differs in a bit of both masks",
            place(value),
        ),
        None => (
            "number",
            "give each call its own, or tell them apart with `select(MASK, VALUE)`",
            place(&method.number),
        ),
    };
    let clash = format!("call `{name}` is selected by the same {what} as a call before it: {cure}");
    let distinct = quote_spanned! {span=>
        const _: () = ::core::assert!(#krate::call::distinct(#calls::#constant, #calls::INTERFACE.calls), #clash);
    };
    let mask = method.select.as_ref().map(|(mask, value)| {
        let outside = format!(
            "call `{name}` is never selected: its value has bits that its mask does not have"
        );
        quote_spanned!(span=> const _: () = ::core::assert!((#value) & !(#mask) == 0, #outside);)
    });
    let header = method.registers.iter().find_map(|register| match register {
        Register::Header(header) => Some(header),
        _ => None,
    });
    let width = header.and_then(|header| header.link().map(|link| (&header.ty, link))).map(|(ty, (pointer, target))| {
        let narrow = format!(
            "the address of `{}` does not fit its field of the header: an address is 8 bytes wide",
            method.arguments[target].shown()
        );
        quote_spanned! {place(pointer)=>
            const _: () = ::core::assert!(
                #krate::schema::size_of_field::<#ty, _>(|__header| __header.#pointer) == 8, #narrow);
        }
    });
    quote!(#distinct #mask #width)
}

fn constant(interface: &Interface, index: usize, method: &Method) -> TokenStream {
    let krate = &interface.krate;
    let trait_name = interface.ident.unraw().to_string();
    let constant = method.constant();
    let name = method.name();
    let number = &method.number;
    let selector = match &method.select {
        Some((mask, value)) => {
            quote!(::core::option::Option::Some(#krate::call::Selector { mask: #mask, value: #value }))
        }
        None => quote!(::core::option::Option::None),
    };
    let mut registers: Vec<_> = method
        .registers
        .iter()
        .map(|register| register_info(interface, method, register))
        .collect();
    registers.resize(2, quote!(#krate::call::RegisterInfo::Unused));
    let result = result_info(interface, method);
    let hints = method
        .hints
        .iter()
        .map(|(code, text)| quote!(#krate::call::Hint { code: #code, text: #text }));
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
            let name = argument.shown();
            let Shape::Value(ty) = &argument.shape else {
                return quote!();
            };
            let kind = quote_spanned!(place(ty)=> <#ty as #krate::Value>::KIND);
            let role = quote_spanned!(place(ty)=> <#ty as #krate::Value>::ROLE);
            let show = quote_spanned!(place(ty)=> <#ty as #krate::Value>::show_register);
            quote!(#krate::call::RegisterInfo::Value { name: #name, kind: #kind, role: #role, show: #show })
        }
        Register::Block(index) => {
            let argument = &method.arguments[*index];
            let name = argument.shown();
            let direction = argument.direction(krate);
            let Shape::Block { ty, .. } = &argument.shape else {
                return quote!();
            };
            let kind = quote_spanned!(place(ty)=> <#ty as #krate::Payload>::KIND);
            let size = quote_spanned!(place(ty)=> <#ty as #krate::Payload>::SIZE);
            quote!(#krate::call::RegisterInfo::Block {
                name: #name, direction: #direction, kind: #kind, size: #size, link: ::core::option::Option::None })
        }
        Register::Bytes(index) => {
            let argument = &method.arguments[*index];
            let name = argument.shown();
            let direction = argument.direction(krate);
            quote!(#krate::call::RegisterInfo::Bytes { name: #name, direction: #direction })
        }
        Register::Returned => {
            let ty = &method.returns;
            let kind = quote_spanned!(place(ty)=> <#ty as #krate::Payload>::KIND);
            let size = quote_spanned!(place(ty)=> <#ty as #krate::Payload>::SIZE);
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
    let name = ty
        .segments
        .last()
        .map(|segment| segment.ident.unraw().to_string())
        .unwrap_or_default();
    let Some((pointer, target)) = header.link() else {
        return quote!();
    };
    let argument = &method.arguments[target];
    let target_name = argument.shown();
    let target = match (&argument.shape, header.length(target)) {
        (Shape::Array { element, .. }, Some(count)) => {
            let direction = argument.direction(krate);
            let kind = quote_spanned!(place(element)=> <#element as #krate::Payload>::KIND);
            let size = quote_spanned!(place(element)=> <#element as #krate::Payload>::SIZE);
            quote!(#krate::call::LinkTarget::Array {
                direction: #direction,
                kind: #kind,
                size: #size,
                count_offset: ::core::mem::offset_of!(#ty, #count),
                count_size: #krate::schema::size_of_field::<#ty, _>(|__header| __header.#count),
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
            offset: ::core::mem::offset_of!(#ty, #pointer),
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
            let Shape::Block { ty, .. } = &method.arguments[*index].shape else {
                return quote!();
            };
            let show = quote_spanned!(place(ty)=> <#ty as #krate::Yields<#returns>>::show_yielded);
            let unset = quote_spanned!(place(ty)=> <#ty as #krate::Yields<#returns>>::unset);
            quote!(#krate::call::ResultInfo::Yielded {
                register: #register,
                show: #show,
                unset: #unset,
            })
        }
        Output::Rax => quote_spanned!(place(returns)=> #krate::call::ResultInfo::Rax {
            kind: <#returns as #krate::Value>::KIND,
            show: <#returns as #krate::Value>::show_register,
        }),
    }
}
