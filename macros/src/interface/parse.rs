//! Reads a trait into a [`model::Interface`](super::model::Interface), and refuses what cannot be carried, with the
//! argument's name and the cure.

use std::collections::HashMap;

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{
    Attribute, Error, Expr, ExprStruct, FnArg, GenericArgument, Ident, ItemTrait, LitInt, LitStr,
    Meta, Pat, PathArguments, Result, ReturnType, Signature, Token, TraitItem, TraitItemFn,
    Type, parse_quote,
};

use super::model::{
    Argument, Content, Header, HeaderField, Interface, Method, Output, Provided, Register, Shape,
};

impl Interface {
    pub(crate) fn parse(arguments: TokenStream, item: TokenStream) -> Result<Self> {
        let mut definition: ItemTrait = syn::parse2(item)
            .map_err(|error| Error::new(error.span(), format!("{error}: `#[interface]` stands on a trait")))?;
        let mut krate = parse_quote!(::hypercall);
        let mut codes = None;
        let mut export = false;
        syn::meta::parser(|meta| {
            if meta.path.is_ident("crate") {
                krate = meta.value()?.parse()?;
            } else if meta.path.is_ident("codes") {
                codes = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("export") {
                export = true;
            } else {
                return Err(meta.error("unknown option: an interface takes `codes`, `export`, `crate`"));
            }
            Ok(())
        })
        .parse2(arguments)?;

        let name = definition.ident.clone();
        if let Some(parameter) = definition.generics.params.first() {
            return Err(Error::new_spanned(
                parameter,
                format!("interface `{name}` is generic: an interface is one table of calls; define one trait for each"),
            ));
        }
        if let Some(bound) = definition.supertraits.first() {
            return Err(Error::new_spanned(
                bound,
                format!("interface `{name}` has a supertrait, which a client over a transport could not implement; remove it, and ask for both traits where both are needed"),
            ));
        }
        if let Some(clause) = &definition.generics.where_clause {
            return Err(Error::new_spanned(
                clause,
                format!("interface `{name}` has a where clause, which a client over a transport could not meet; remove it"),
            ));
        }
        if let Some(token) = &definition.unsafety {
            return Err(Error::new_spanned(
                token,
                format!("interface `{name}` is unsafe, and what is dangerous about a call is decided where its transport is built: remove `unsafe`"),
            ));
        }

        let mut methods = Vec::new();
        let mut provided = Vec::new();
        let mut errors = Errors::default();
        for item in &mut definition.items {
            match item {
                TraitItem::Fn(function) => match read_function(function) {
                    Ok(Function::Call(method)) => methods.push(*method),
                    Ok(Function::Provided(method)) => provided.push(*method),
                    Err(error) => errors.push(error),
                },
                other => errors.push(Error::new_spanned(
                    &*other,
                    format!("interface `{name}` may hold only methods, because anything else would cost it object safety: put this elsewhere"),
                )),
            }
        }
        errors.push_all(duplicates(&methods));
        errors.finish()?;
        Ok(Self {
            krate,
            codes,
            export,
            ident: name,
            visibility: definition.vis.clone(),
            definition,
            methods,
            provided,
        })
    }
}

/// Collects errors, so that a user sees all of them at once.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            none => *none = Some(error),
        }
    }
    fn push_all(&mut self, errors: Vec<Error>) {
        errors.into_iter().for_each(|error| self.push(error));
    }
    fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

enum Function {
    Call(Box<Method>),
    Provided(Box<Provided>),
}

/// Reads one method and strips this macro's attributes from it.
fn read_function(function: &mut TraitItemFn) -> Result<Function> {
    let name = function.sig.ident.clone();
    if let Some(attribute) = function.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
        return Err(Error::new_spanned(
            attribute,
            format!("method `{name}` is conditional, but an interface is the same in every build: other crates read its definition under conditions of their own; put the method into a trait of its own, and the condition on that"),
        ));
    }
    let position = function.attrs.iter().position(|attribute| attribute.path().is_ident("call"));
    let Some(position) = position else {
        if function.default.is_none() {
            return Err(Error::new_spanned(
                &name,
                format!("method `{name}` has no number: add `#[call(NUMBER)]`, or give it a body in terms of other methods"),
            ));
        }
        check_receiver(&function.sig)?;
        check_signature(&function.sig)?;
        let arguments = plain_arguments(&function.sig)?;
        for (name, ty) in &arguments {
            check_type(&format!("argument `{name}`"), ty, PASS)?;
        }
        return Ok(Function::Provided(Box::new(Provided {
            arguments: arguments.into_iter().map(|(name, _)| name).collect(),
            signature: bare(&function.sig),
        })));
    };
    let call = function.attrs.remove(position);
    if let Some(second) = function.attrs.iter().find(|attribute| attribute.path().is_ident("call")) {
        return Err(Error::new_spanned(
            second,
            format!("call `{name}` has a second `#[call]`: write everything into one"),
        ));
    }
    if name.unraw().to_string().to_uppercase() == "INTERFACE" {
        return Err(Error::new_spanned(
            &name,
            "no call can be named `interface`: the constant of this name is the interface; give the call another name",
        ));
    }
    if let Some(body) = &function.default {
        return Err(Error::new_spanned(
            body,
            format!("call `{name}` has a body: what a call does is decided by the hypervisor; remove the body or the `#[call]`"),
        ));
    }
    check_receiver(&function.sig)?;
    check_signature(&function.sig)?;
    let options = CallOptions::parse(&call)?;
    let arguments = plain_arguments(&function.sig)?
        .into_iter()
        .map(|(name, ty)| shape(&name, &ty).map(|shape| Argument { name, shape }))
        .collect::<Result<Vec<_>>>()?;
    let header = options.header.as_ref().map(|header| read_header(header, &arguments)).transpose()?;
    let (answer, returns) = returned_type(&function.sig)?;
    let output = output(&name, options.result.as_ref(), &returns, &arguments)?;
    if let Some((_, target)) = header.as_ref().and_then(Header::link)
        && matches!(arguments.get(target), Some(Argument { shape: Shape::Array { .. }, .. }))
        && !matches!(output, Output::Unit)
    {
        return Err(Error::new_spanned(
            &function.sig.output,
            format!("call `{name}` passes an array, which is applied element by element, so there is no one result: return `Result<(), Error>`"),
        ));
    }
    let registers = assign_registers(&name, &arguments, header, &output, &function.sig)?;
    if let Some((mask, _)) = &options.select
        && !matches!(registers.first(), Some(Register::Value(_)))
    {
        return Err(Error::new_spanned(
            mask,
            format!("call `{name}` selects by bits of its first register, which must be a value"),
        ));
    }
    Ok(Function::Call(Box::new(Method {
        signature: bare(&function.sig),
        attributes: function
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("doc"))
            .cloned()
            .collect(),
        number: options.number,
        select: options.select,
        hints: options.hints,
        arguments,
        registers,
        output,
        answer,
        returns,
    })))
}

fn check_receiver(signature: &Signature) -> Result<()> {
    let name = &signature.ident;
    match signature.inputs.first() {
        Some(FnArg::Receiver(receiver))
            if receiver.reference.as_ref().is_some_and(|(_, lifetime)| lifetime.is_none())
                && receiver.mutability.is_none()
                && receiver.colon_token.is_none() =>
        {
            Ok(())
        }
        Some(FnArg::Receiver(receiver)) => Err(Error::new_spanned(
            receiver,
            format!("method `{name}` must take `&self`: a transport is shared, and forwarding needs it"),
        )),
        _ => Err(Error::new_spanned(
            name,
            format!("method `{name}` has no receiver: add `&self`"),
        )),
    }
}

fn check_signature(signature: &Signature) -> Result<()> {
    let name = &signature.ident;
    if let Some(token) = &signature.asyncness {
        return Err(Error::new_spanned(
            token,
            format!("method `{name}` is async, and a hypercall blocks its processor: remove `async`, and use the interface's async twin"),
        ));
    }
    if let Some(token) = &signature.unsafety {
        return Err(Error::new_spanned(
            token,
            format!("method `{name}` is unsafe, and what is dangerous about a call is decided where its transport is built: remove `unsafe`"),
        ));
    }
    if let Some(parameter) = signature.generics.params.first() {
        return Err(Error::new_spanned(
            parameter,
            format!("method `{name}` is generic: neither a trait object nor a mock can have it; write the types out"),
        ));
    }
    if let Some(clause) = &signature.generics.where_clause {
        return Err(Error::new_spanned(
            clause,
            format!("method `{name}` has a where clause, which a trait object cannot have; remove it"),
        ));
    }
    Ok(())
}

/// The signature for an implementation: nothing but names and types.
fn bare(signature: &Signature) -> Signature {
    let mut signature = signature.clone();
    if let Some(receiver) = signature.inputs.first_mut() {
        // The body's `self` and this one are the same, also where a macro of the user's wrote the trait.
        *receiver = parse_quote!(&self);
    }
    for input in &mut signature.inputs {
        if let FnArg::Typed(input) = input {
            input.attrs.clear();
            if let Pat::Ident(pattern) = &mut *input.pat {
                pattern.mutability = None;
            }
        }
    }
    signature
}

/// Names and types of the arguments behind the receiver.
fn plain_arguments(signature: &Signature) -> Result<Vec<(Ident, Type)>> {
    let mut arguments = Vec::new();
    for input in signature.inputs.iter().skip(1) {
        let FnArg::Typed(input) = input else {
            return Err(Error::new_spanned(input, "a second receiver"));
        };
        let Pat::Ident(pattern) = &*input.pat else {
            return Err(Error::new_spanned(
                &input.pat,
                "an argument needs a plain name: it is what a trace shows",
            ));
        };
        if let Some(attribute) = input.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
            return Err(Error::new_spanned(
                attribute,
                format!("argument `{}` is conditional, but an interface is the same in every build; remove the condition", pattern.ident),
            ));
        }
        arguments.push((pattern.ident.clone(), ungroup(&input.ty).clone()));
    }
    Ok(arguments)
}

/// A type without the invisible groups in which a macro by example hands it over, and without parentheses.
fn ungroup(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungroup(&group.elem),
        Type::Paren(paren) => ungroup(&paren.elem),
        other => other,
    }
}

/// How an argument is passed.
fn shape(name: &Ident, ty: &Type) -> Result<Shape> {
    check_type(&format!("argument `{name}`"), ty, PASS)?;
    let Type::Reference(reference) = ty else {
        return Ok(Shape::Value(ty.clone()));
    };
    let mutable = reference.mutability.is_some();
    match ungroup(&reference.elem) {
        Type::Reference(inner) => Err(Error::new_spanned(
            inner,
            format!("argument `{name}` is a reference to a reference, and the hypervisor sees one block: pass `&T` or `&mut T`"),
        )),
        Type::Slice(slice) => match ungroup(&slice.elem) {
            Type::Path(path) if path.path.is_ident("u8") => Ok(Shape::Bytes { mutable }),
            element => Ok(Shape::Array { element: element.clone(), mutable }),
        },
        ty => {
            let unsized_type = matches!(ty, Type::TraitObject(_))
                || matches!(ty, Type::Path(path) if path.path.is_ident("str"));
            if unsized_type {
                return Err(Error::new_spanned(
                    ty,
                    format!("argument `{name}` has no fixed layout: pass bytes, `&[u8]`, or a payload with a field `[u8; N]`"),
                ));
            }
            Ok(Shape::Block { ty: ty.clone(), mutable })
        }
    }
}

/// What to do instead of an argument with a lifetime.
const PASS: &str = "pass `&T` for memory that is used during the call, `SharedRef` for memory that the hypervisor keeps";

/// Refuses types that a trait object or a mock cannot have. `what` names the argument, `instead` is the cure for a
/// lifetime.
fn check_type(what: &str, ty: &Type, instead: &str) -> Result<()> {
    struct Search<'n> {
        what: &'n str,
        instead: &'n str,
        found: Option<Error>,
    }
    impl Search<'_> {
        fn refuse(&mut self, tokens: &impl quote::ToTokens, why: &str) {
            let what = self.what;
            self.found.get_or_insert_with(|| Error::new_spanned(tokens, format!("{what} {why}")));
        }
    }
    impl<'ast> Visit<'ast> for Search<'_> {
        fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
            let why = format!("has a lifetime, which neither a trait object nor a mock can have: {}", self.instead);
            self.refuse(lifetime, &why);
        }
        fn visit_type_impl_trait(&mut self, ty: &'ast syn::TypeImplTrait) {
            self.refuse(ty, "is generic, which neither a trait object nor a mock can have: write the type out");
        }
        fn visit_path(&mut self, path: &'ast syn::Path) {
            if path.segments.first().is_some_and(|segment| segment.ident == "Self") {
                self.refuse(path, "depends on who implements the interface, which a trait object cannot have: write the type out");
            }
            syn::visit::visit_path(self, path);
        }
    }
    let mut search = Search { what, instead, found: None };
    search.visit_type(ty);
    search.found.map_or(Ok(()), Err)
}

/// What may follow the number in `#[call(…)]`.
const OPTIONS: [&str; 4] = ["result", "header", "select", "errors"];

/// What stands in `#[call(…)]`.
struct CallOptions {
    number: Expr,
    result: Option<Ident>,
    header: Option<ExprStruct>,
    select: Option<(Expr, Expr)>,
    hints: Vec<(Expr, LitStr)>,
}

impl CallOptions {
    fn parse(attribute: &Attribute) -> Result<Self> {
        let Meta::List(list) = &attribute.meta else {
            return Err(Error::new_spanned(attribute, "a call needs its number: `#[call(NUMBER)]`"));
        };
        let parser = |input: syn::parse::ParseStream<'_>| {
            let missing = |span| Error::new(span, "a call needs its number first: `#[call(NUMBER, …)]`");
            if input.is_empty() {
                return Err(missing(attribute.span()));
            }
            let key = input.fork().parse::<Ident>();
            if key.is_ok_and(|key| OPTIONS.iter().any(|option| key == option))
                && (input.peek2(syn::token::Paren) || input.peek2(Token![=]))
            {
                return Err(missing(input.span()));
            }
            let mut options = Self {
                number: input.parse().map_err(|error| missing(error.span()))?,
                result: None,
                header: None,
                select: None,
                hints: Vec::new(),
            };
            while !input.is_empty() {
                input.parse::<Token![,]>()?;
                if input.is_empty() {
                    break;
                }
                options.option(input)?;
            }
            Ok(options)
        };
        parser.parse2(list.tokens.clone())
    }

    fn option(&mut self, input: syn::parse::ParseStream<'_>) -> Result<()> {
        let key: Ident = input.parse()?;
        let again = (key == "result" && self.result.is_some())
            || (key == "header" && self.header.is_some())
            || (key == "select" && self.select.is_some())
            || (key == "errors" && !self.hints.is_empty());
        if again {
            return Err(Error::new_spanned(&key, format!("`{key}` was given before: write everything into one")));
        }
        if key == "result" {
            input.parse::<Token![=]>()?;
            self.result = Some(input.parse()?);
            return Ok(());
        }
        let content;
        if key == "header" {
            syn::parenthesized!(content in input);
            self.header = Some(content.parse().map_err(|error| {
                Error::new(
                    error.span(),
                    "a header is written as a struct: `header(Header { field: x, count: list.len(), address: &list })`",
                )
            })?);
        } else if key == "select" {
            syn::parenthesized!(content in input);
            let mask = content.parse()?;
            content.parse::<Token![,]>()?;
            self.select = Some((mask, content.parse()?));
        } else if key == "errors" {
            syn::parenthesized!(content in input);
            let hints = Punctuated::<Hint, Token![,]>::parse_terminated(&content)?;
            self.hints = hints.into_iter().map(|hint| (hint.code, hint.text)).collect();
        } else {
            return Err(Error::new_spanned(
                &key,
                format!("unknown option `{key}`: a call takes `result`, `header`, `select`, `errors`"),
            ));
        }
        Ok(())
    }
}

struct Hint {
    code: Expr,
    text: LitStr,
}

impl syn::parse::Parse for Hint {
    fn parse(input: syn::parse::ParseStream<'_>) -> Result<Self> {
        // A whole expression would swallow the `=`.
        let minus: Option<Token![-]> = input.parse()?;
        let code: Expr = if input.peek(syn::Lit) {
            let literal: LitInt = input.parse()?;
            match minus {
                Some(minus) => parse_quote!(#minus #literal),
                None => parse_quote!(#literal),
            }
        } else {
            let path: syn::Path = input.parse()?;
            parse_quote!(#minus #path)
        };
        input.parse::<Token![=]>()?;
        Ok(Self { code, text: input.parse()? })
    }
}

/// Reads `header(Header { field: x, count: list.len(), address: &list })`.
fn read_header(header: &ExprStruct, arguments: &[Argument]) -> Result<Header> {
    let find = |expression: &Expr| match expression {
        Expr::Path(path) => path
            .path
            .get_ident()
            .and_then(|ident| arguments.iter().position(|argument| argument.name == *ident)),
        _ => None,
    };
    if let Some(rest) = &header.rest {
        return Err(Error::new_spanned(rest, "the other fields of a header are zero: remove the `..`"));
    }
    let mut fields: Vec<HeaderField> = Vec::new();
    for field in &header.fields {
        if fields.iter().any(|earlier| earlier.member == field.member) {
            return Err(Error::new_spanned(&field.member, "this field of the header is filled twice"));
        }
        if let Some(attribute) = field.attrs.first() {
            return Err(Error::new_spanned(attribute, "a header's field takes no attributes here"));
        }
        let content = match &field.expr {
            Expr::Reference(reference) => find(&reference.expr).map(Content::Address),
            Expr::MethodCall(call) if call.method == "len" && call.args.is_empty() => {
                find(&call.receiver).map(Content::Length)
            }
            other => find(other).map(Content::Value),
        };
        let Some(content) = content else {
            return Err(Error::new_spanned(
                &field.expr,
                "a header's field is an argument, its length, or its address: `x`, `x.len()`, `&x`",
            ));
        };
        if let Content::Value(index) = content
            && let Some(argument) = arguments.get(index)
            && !matches!(argument.shape, Shape::Value(_))
        {
            return Err(Error::new_spanned(
                &field.expr,
                format!("argument `{}` is a reference: put its address into the header, `&{0}`", argument.name),
            ));
        }
        fields.push(HeaderField { member: field.member.clone(), content });
    }
    let read = Header { ty: header.path.clone(), fields };
    let mut links = header.fields.iter().filter(|field| matches!(field.expr, Expr::Reference(_)));
    if links.next().is_none() {
        return Err(Error::new_spanned(
            header,
            "this header points at nothing: put the address of an argument into it, `&x`, or make it an argument",
        ));
    }
    if let Some(second) = links.next() {
        return Err(Error::new_spanned(
            &second.expr,
            "a second address: a header points at one argument; put the other one into a register",
        ));
    }
    for (field, written) in read.fields.iter().zip(&header.fields) {
        if let Content::Length(of) = field.content
            && read.link().is_none_or(|(_, target)| target != of)
        {
            return Err(Error::new_spanned(
                &written.expr,
                "the length of an argument that this header does not point at: put its address into the header",
            ));
        }
    }
    if let Some((_, target)) = read.link()
        && let Some(argument) = arguments.get(target)
    {
        match argument.shape {
            Shape::Array { .. } if read.length(target).is_none() => {
                return Err(Error::new_spanned(
                    header,
                    format!("nothing says how long `{0}` is: put `{0}.len()` into a field of the header", argument.name),
                ));
            }
            Shape::Value(_) if read.length(target).is_some() => {
                return Err(Error::new_spanned(
                    &argument.name,
                    format!("argument `{}` is not an array, so it has no length: remove `len()` from the header", argument.name),
                ));
            }
            Shape::Array { .. } | Shape::Value(_) => {}
            Shape::Block { .. } | Shape::Bytes { .. } => {
                return Err(Error::new_spanned(
                    &argument.name,
                    format!("argument `{}` cannot stand behind a header: use an array of payloads, `&[T]`, or `SharedRef`", argument.name),
                ));
            }
        }
    }
    Ok(read)
}

/// `Result<R, Error>`, and `R`.
fn returned_type(signature: &Signature) -> Result<(Type, Type)> {
    let complaint = |span: Span| {
        Error::new(
            span,
            format!("call `{}` must return `Result<R, Error>`: any call can fail", signature.ident),
        )
    };
    let ReturnType::Type(_, ty) = &signature.output else {
        return Err(complaint(signature.ident.span()));
    };
    check_type(&format!("the result of call `{}`", signature.ident), ty, "return plain data")?;
    let Type::Path(path) = ungroup(ty) else {
        return Err(complaint(ty.span()));
    };
    let Some(last) = path.path.segments.last() else {
        return Err(complaint(ty.span()));
    };
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) if last.ident == "Result" => arguments
            .args
            .iter()
            .find_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ungroup(ty).clone()),
                _ => None,
            })
            .ok_or_else(|| complaint(ty.span()))
            .and_then(|ty| match &ty {
                Type::Reference(reference) => Err(Error::new_spanned(
                    reference,
                    format!("the result of call `{}` is a reference, and there is nothing that it could borrow from: return the type itself", signature.ident),
                )),
                _ => Ok((Type::Path(path.clone()), ty)),
            }),
        _ => Err(complaint(ty.span())),
    }
}

/// Where the result is.
fn output(
    method: &Ident,
    result: Option<&Ident>,
    returns: &Type,
    arguments: &[Argument],
) -> Result<Output> {
    let unit = matches!(returns, Type::Tuple(tuple) if tuple.elems.is_empty());
    match result {
        None if unit => Ok(Output::Unit),
        None => Ok(Output::Returned),
        Some(result) if unit => Err(Error::new_spanned(
            result,
            format!("call `{method}` returns `()`, which needs no `result`"),
        )),
        Some(result) if result == "rax" => Ok(Output::Rax),
        Some(result) => match arguments.iter().position(|argument| argument.name == *result) {
            Some(index)
                if matches!(
                    arguments.get(index).map(|argument| &argument.shape),
                    Some(Shape::Block { mutable: true, .. })
                ) =>
            {
                Ok(Output::Yielded(index))
            }
            _ => Err(Error::new_spanned(
                result,
                format!("`result = {result}` names no argument that the hypervisor writes: use `rax`, or the name of an argument `&mut T`"),
            )),
        },
    }
}

/// Gives each argument its register.
fn assign_registers(
    method: &Ident,
    arguments: &[Argument],
    header: Option<Header>,
    output: &Output,
    signature: &Signature,
) -> Result<Vec<Register>> {
    let mut registers = Vec::new();
    let mut in_header = vec![false; arguments.len()];
    if let Some(header) = &header {
        for field in &header.fields {
            let (Content::Value(index) | Content::Length(index) | Content::Address(index)) = field.content;
            if let Some(mark) = in_header.get_mut(index) {
                *mark = true;
            }
        }
    }
    let mut header = header;
    for (index, argument) in arguments.iter().enumerate() {
        if in_header.get(index).copied().unwrap_or(false) {
            if let Some(header) = header.take() {
                registers.push(Register::Header(header));
            }
        } else {
            registers.push(match &argument.shape {
                Shape::Value(_) => Register::Value(index),
                Shape::Block { .. } => Register::Block(index),
                Shape::Bytes { .. } => Register::Bytes(index),
                Shape::Array { element, .. } => {
                    return Err(Error::new_spanned(
                        element,
                        format!("argument `{0}` is an array, and nothing says where its length goes: describe the header struct, `header(Header {{ count: {0}.len(), address: &{0} }})`", argument.name),
                    ));
                }
            });
        }
        if registers.len() > 2 {
            return Err(Error::new_spanned(
                &argument.name,
                format!("argument `{}` of call `{method}` would need a third register, and a hypercall has two: put arguments into a payload struct, or behind a `header(…)`", argument.name),
            ));
        }
    }
    if matches!(output, Output::Returned) {
        registers.push(Register::Returned);
        if registers.len() > 2 {
            return Err(Error::new_spanned(
                &signature.output,
                format!("the result of call `{method}` would need a third register, and a hypercall has two: return it in an argument, `result = argument`"),
            ));
        }
    }
    Ok(registers)
}

/// Numbers that are literals are compared here, where the message can point at them; the others when the constants are
/// evaluated.
fn duplicates(methods: &[Method]) -> Vec<Error> {
    let mut seen: HashMap<u64, &Method> = HashMap::new();
    let mut errors = Vec::new();
    for method in methods {
        let mut number = &method.number;
        while let Expr::Group(group) = number {
            number = &group.expr;
        }
        let Expr::Lit(literal) = number else { continue };
        let syn::Lit::Int(literal) = &literal.lit else { continue };
        let Ok(number) = literal.base10_parse::<u64>() else { continue };
        if let Some(first) = seen.get(&number) {
            if method.select.is_none() || first.select.is_none() {
                errors.push(Error::new_spanned(
                    literal,
                    format!("calls `{}` and `{}` have the same number {number:#x}: give each its own, or tell them apart with `select(MASK, VALUE)`", first.ident(), method.ident()),
                ));
            }
        } else {
            seen.insert(number, method);
        }
    }
    errors
}

impl Interface {
    /// Reads what the interface's callback macro hands over: the trait, under an attribute with its options.
    pub(crate) fn from_callback(item: TokenStream) -> Result<Self> {
        let mut definition: ItemTrait = syn::parse2(item)?;
        let position = definition
            .attrs
            .iter()
            .position(|attribute| attribute.path().is_ident("interface"))
            .ok_or_else(|| {
                Error::new(
                    Span::call_site(),
                    "use it through the interface's own macro: `my_interface!(…);`",
                )
            })?;
        let options = definition.attrs.remove(position);
        let arguments = match options.meta {
            Meta::List(list) => list.tokens,
            _ => TokenStream::new(),
        };
        Self::parse(arguments, quote::quote!(#definition))
    }
}
