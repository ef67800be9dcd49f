//! Reads a trait into a [`model::Interface`](super::model::Interface), and refuses what cannot be carried, with the
//! argument's name and the cure.

use std::collections::HashMap;

use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
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
        let mut definition: ItemTrait = syn::parse2(item)?;
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

        let mut methods = Vec::new();
        let mut provided = Vec::new();
        let mut errors = Errors::default();
        for item in &mut definition.items {
            match item {
                TraitItem::Fn(function) => match read_function(function) {
                    Ok(Function::Call(method)) => methods.push(*method),
                    Ok(Function::Provided(method)) => provided.push(method),
                    Err(error) => errors.push(error),
                },
                other => errors.push(Error::new_spanned(
                    &*other,
                    format!("interface `{name}` may hold only methods: anything else would cost it object safety"),
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
    Provided(Provided),
}

/// Reads one method and strips this macro's attributes from it.
fn read_function(function: &mut TraitItemFn) -> Result<Function> {
    let name = function.sig.ident.clone();
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
        return Ok(Function::Provided(Provided {
            arguments: plain_arguments(&function.sig)?.into_iter().map(|(name, _)| name).collect(),
            signature: function.sig.clone(),
        }));
    };
    let call = function.attrs.remove(position);
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
        .map(|(name, ty)| shape(&name, ty).map(|shape| Argument { name, shape }))
        .collect::<Result<Vec<_>>>()?;
    let header = options.header.as_ref().map(|header| read_header(header, &arguments)).transpose()?;
    let returns = returned_type(&function.sig)?;
    let output = output(&name, options.result.as_ref(), &returns, &arguments)?;
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
        signature: function.sig.clone(),
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
            format!("method `{name}` is async: a hypercall blocks its processor; use the interface's async twin instead"),
        ));
    }
    if let Some(token) = &signature.unsafety {
        return Err(Error::new_spanned(
            token,
            format!("method `{name}` is unsafe: what is dangerous about a call is decided where its transport is built"),
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
        arguments.push((pattern.ident.clone(), (*input.ty).clone()));
    }
    Ok(arguments)
}

/// How an argument is passed.
fn shape(name: &Ident, ty: Type) -> Result<Shape> {
    check_type(name, &ty)?;
    match ty {
        Type::Reference(reference) => {
            if let Some(lifetime) = &reference.lifetime {
                return Err(Error::new_spanned(
                    lifetime,
                    format!("argument `{name}` has a lifetime: neither a trait object nor a mock can have it; use `&T` for memory that is used during the call, `SharedRef` for memory that the hypervisor keeps"),
                ));
            }
            let mutable = reference.mutability.is_some();
            match *reference.elem {
                Type::Slice(slice) => {
                    if matches!(&*slice.elem, Type::Path(path) if path.path.is_ident("u8")) {
                        Ok(Shape::Bytes { mutable })
                    } else {
                        Ok(Shape::Array { element: *slice.elem, mutable })
                    }
                }
                ty => Ok(Shape::Block { ty, mutable }),
            }
        }
        ty => Ok(Shape::Value(ty)),
    }
}

/// Refuses types that a trait object or a mock cannot have.
fn check_type(name: &Ident, ty: &Type) -> Result<()> {
    struct Search<'n> {
        name: &'n Ident,
        found: Option<Error>,
    }
    impl VisitMut for Search<'_> {
        fn visit_generic_argument_mut(&mut self, argument: &mut GenericArgument) {
            if let GenericArgument::Lifetime(lifetime) = argument {
                self.found.get_or_insert_with(|| Error::new_spanned(
                    lifetime,
                    format!("the type of argument `{}` has a lifetime: neither a trait object nor a mock can have it; pass plain data, or `SharedRef` for memory that the hypervisor keeps", self.name),
                ));
            }
            syn::visit_mut::visit_generic_argument_mut(self, argument);
        }
        fn visit_type_impl_trait_mut(&mut self, ty: &mut syn::TypeImplTrait) {
            self.found.get_or_insert_with(|| Error::new_spanned(
                ty,
                format!("argument `{}` is generic: neither a trait object nor a mock can have it; write the type out", self.name),
            ));
        }
    }
    let mut search = Search { name, found: None };
    search.visit_type_mut(&mut ty.clone());
    search.found.map_or(Ok(()), Err)
}

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
            let mut options = Self {
                number: input.parse().map_err(|error| {
                    Error::new(error.span(), "a call needs its number first: `#[call(NUMBER, …)]`")
                })?,
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
        if key == "result" {
            input.parse::<Token![=]>()?;
            self.result = Some(input.parse()?);
            return Ok(());
        }
        let content;
        if key == "header" {
            syn::parenthesized!(content in input);
            self.header = Some(content.parse()?);
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
            parse_quote!(#path)
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
    let mut fields = Vec::new();
    for field in &header.fields {
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
    let links = read.fields.iter().filter(|field| matches!(field.content, Content::Address(_)));
    if links.count() != 1 {
        return Err(Error::new_spanned(
            header,
            "a header points at one argument: put one `&x` into it",
        ));
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

/// `R` of `Result<R, Error>`.
fn returned_type(signature: &Signature) -> Result<Type> {
    let complaint = |span: Span| {
        Error::new(
            span,
            format!("call `{}` must return `Result<R, Error>`: any call can fail", signature.ident),
        )
    };
    let ReturnType::Type(_, ty) = &signature.output else {
        return Err(complaint(signature.ident.span()));
    };
    let Type::Path(path) = &**ty else {
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
                GenericArgument::Type(ty) => Some(ty.clone()),
                _ => None,
            })
            .ok_or_else(|| complaint(ty.span())),
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
        let Expr::Lit(literal) = &method.number else { continue };
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
