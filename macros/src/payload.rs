//! `#[derive(Payload)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Path, Result, Type, parse_quote};

struct FieldOptions {
    role: Option<&'static str>,
    text: bool,
    units: String,
    c_name: Option<String>,
}

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(item)?;
    let name = &input.ident;
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new_spanned(
            parameter,
            format!(
                "payload `{name}` is generic: a payload has one layout; write a struct for each type"
            ),
        ));
    }
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(
            name,
            format!(
                "`{name}` is not a struct: a payload's every bit pattern must be valid; use `open_enum!` for an enum"
            ),
        ));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(
            name,
            format!("payload `{name}` needs named fields: their names are what a trace shows"),
        ));
    };
    let mut krate: Path = parse_quote!(::hypercall);
    let mut c_name = name.unraw().to_string();
    let mut repr_c = false;
    for attribute in &input.attrs {
        if attribute.path().is_ident("repr") {
            attribute.parse_nested_meta(|meta| {
                repr_c |= meta.path.is_ident("C") || meta.path.is_ident("transparent");
                if meta.input.peek(syn::token::Paren) {
                    let content;
                    syn::parenthesized!(content in meta.input);
                    content.parse::<TokenStream>()?;
                }
                Ok(())
            })?;
        } else if attribute.path().is_ident("payload") {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("c") {
                    c_name = meta.value()?.parse::<LitStr>()?.value();
                } else if meta.path.is_ident("crate") {
                    krate = meta.value()?.parse()?;
                } else {
                    return Err(
                        meta.error("unknown option: a payload struct takes `c` and `crate`")
                    );
                }
                Ok(())
            })?;
        }
    }
    if !repr_c {
        return Err(Error::new_spanned(
            name,
            format!("payload `{name}` has no fixed layout: add `#[repr(C)]`"),
        ));
    }

    if fields.named.is_empty() {
        return Err(Error::new_spanned(
            name,
            format!(
                "payload `{name}` has no fields: a block of no bytes cannot travel; leave the argument out"
            ),
        ));
    }

    let mut infos = Vec::new();
    let mut padding = Vec::new();
    let mut previous: Option<&syn::Field> = None;
    for field in &fields.named {
        let ident = field
            .ident
            .as_ref()
            .ok_or_else(|| Error::new(field.span(), "unnamed field"))?;
        let options = field_options(field)?;
        let ty = &field.ty;
        let field_name = ident.unraw().to_string();
        let field_c = options.c_name.unwrap_or_else(|| field_name.clone());
        let units = options.units;
        if options.text && !is_bytes(ty) {
            return Err(Error::new_spanned(
                ty,
                format!(
                    "field `{field_name}` is text, which is a byte array that a NUL ends: make it `[u8; N]`, or remove `text`"
                ),
            ));
        }
        let kind = if options.text {
            quote!(#krate::schema::Kind::Text)
        } else {
            quote_spanned!(ty.span()=> <#ty as #krate::schema::Field>::KIND)
        };
        let role = match options.role {
            Some(role) => {
                let role = format_ident!("{role}");
                quote!(#krate::schema::Role::#role)
            }
            None if options.text => quote!(#krate::schema::Role::Plain),
            None => quote_spanned!(ty.span()=> <#ty as #krate::schema::Field>::ROLE),
        };
        infos.push(quote! {
            #krate::schema::FieldInfo {
                name: #field_name,
                c_name: #field_c,
                offset: ::core::mem::offset_of!(#name, #ident),
                size: ::core::mem::size_of::<#ty>(),
                kind: #kind,
                role: #role,
                units: #units,
            }
        });
        if let Some(before) = previous {
            let before_ident = &before.ident;
            let before_ty = &before.ty;
            let message = format!(
                "payload `{name}` has hidden padding before field `{field_name}`: name it, as a field `reserved: [u8; N]`, so that it goes out as zeros"
            );
            padding.push(quote_spanned! {field.span()=>
                const _: () = ::core::assert!(
                    ::core::mem::offset_of!(#name, #ident)
                        == ::core::mem::offset_of!(#name, #before_ident) + ::core::mem::size_of::<#before_ty>(),
                    #message
                );
            });
        }
        previous = Some(field);
    }
    if let Some(last) = previous {
        let last_ident = &last.ident;
        let last_ty = &last.ty;
        let message = format!(
            "payload `{name}` has hidden padding at its end: name it, as a last field `reserved: [u8; N]`, so that it goes out as zeros"
        );
        padding.push(quote_spanned! {last.span()=>
            const _: () = ::core::assert!(
                ::core::mem::size_of::<#name>()
                    == ::core::mem::offset_of!(#name, #last_ident) + ::core::mem::size_of::<#last_ty>(),
                #message
            );
        });
    }

    let name_text = name.unraw().to_string();
    let count = infos.len();
    Ok(quote! {
        #(#padding)*
        #[automatically_derived]
        impl #krate::schema::Field for #name {
            const KIND: #krate::schema::Kind = {
                static FIELDS: [#krate::schema::FieldInfo; #count] = [#(#infos),*];
                static INFO: #krate::schema::StructInfo = #krate::schema::StructInfo {
                    name: #name_text,
                    c_name: #c_name,
                    size: ::core::mem::size_of::<#name>(),
                    align: ::core::mem::align_of::<#name>(),
                    fields: &FIELDS,
                };
                #krate::schema::Kind::Struct(&INFO)
            };
        }
        #[automatically_derived]
        impl #krate::Payload for #name {
            const KIND: #krate::schema::Kind = <#name as #krate::schema::Field>::KIND;
            const SIZE: usize = ::core::mem::size_of::<#name>();
            #[inline]
            fn zeroed() -> Self {
                <#name as #krate::__private::PlainData>::plain_zeroed()
            }
            #[inline]
            fn as_block(&self) -> &[u8] {
                <#name as #krate::__private::PlainData>::plain_array(::core::slice::from_ref(self))
            }
            #[inline]
            fn as_block_mut(&mut self) -> &mut [u8] {
                <#name as #krate::__private::PlainData>::plain_array_mut(::core::slice::from_mut(self))
            }
            #[inline]
            fn array_block(array: &[Self]) -> &[u8] {
                <#name as #krate::__private::PlainData>::plain_array(array)
            }
            #[inline]
            fn array_block_mut(array: &mut [Self]) -> &mut [u8] {
                <#name as #krate::__private::PlainData>::plain_array_mut(array)
            }
        }
    })
}

/// Whether a type is written `[u8; N]`.
fn is_bytes(ty: &Type) -> bool {
    match ty {
        Type::Group(group) => is_bytes(&group.elem),
        Type::Array(array) => matches!(&*array.elem, Type::Path(path) if path.path.is_ident("u8")),
        _ => false,
    }
}

fn field_options(field: &syn::Field) -> Result<FieldOptions> {
    const ROLES: [(&str, &str); 6] = [
        ("plain", "Plain"),
        ("reserved", "Reserved"),
        ("volatile", "Volatile"),
        ("secret", "Secret"),
        ("address", "Address"),
        ("handle", "Handle"),
    ];
    let mut options = FieldOptions {
        role: None,
        text: false,
        units: String::new(),
        c_name: None,
    };
    for attribute in &field.attrs {
        if !attribute.path().is_ident("payload") {
            continue;
        }
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("text") {
                options.text = true;
            } else if meta.path.is_ident("units") {
                options.units = meta.value()?.parse::<LitStr>()?.value();
            } else if meta.path.is_ident("c") {
                options.c_name = Some(meta.value()?.parse::<LitStr>()?.value());
            } else if let Some((_, role)) = ROLES.iter().find(|(key, _)| meta.path.is_ident(key)) {
                if options.role.replace(role).is_some() {
                    return Err(meta.error("a field has one role"));
                }
            } else {
                return Err(meta.error(
                    "unknown option: a payload's field takes `plain`, `reserved`, `volatile`, `secret`, `address`, `handle`, `text`, `units`, `c`",
                ));
            }
            Ok(())
        })?;
    }
    Ok(options)
}
