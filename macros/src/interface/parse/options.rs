//! What stands in `#[call(…)]`: a syntax of its own, read before anybody asks what it means for the method.

use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, ExprStruct, Ident, LitInt, LitStr, Meta, Result, Token, parse_quote,
};

/// What may follow the number in `#[call(…)]`.
const OPTIONS: [&str; 4] = ["result", "header", "select", "errors"];

/// What stands in `#[call(…)]`.
pub(super) struct CallOptions {
    pub(super) number: Expr,
    pub(super) result: Option<Ident>,
    pub(super) header: Option<ExprStruct>,
    pub(super) select: Option<(Expr, Expr)>,
    pub(super) hints: Vec<(Expr, LitStr)>,
}

impl CallOptions {
    pub(super) fn parse(attribute: &Attribute) -> Result<Self> {
        let Meta::List(list) = &attribute.meta else {
            return Err(Error::new_spanned(
                attribute,
                "a call needs its number: `#[call(NUMBER)]`",
            ));
        };
        let parser = |input: syn::parse::ParseStream<'_>| {
            let missing =
                |span| Error::new(span, "a call needs its number first: `#[call(NUMBER, …)]`");
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
            return Err(Error::new_spanned(
                &key,
                format!("`{key}` was given before: write everything into one"),
            ));
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
            self.hints = hints
                .into_iter()
                .map(|hint| (hint.code, hint.text))
                .collect();
        } else {
            return Err(Error::new_spanned(
                &key,
                format!(
                    "unknown option `{key}`: a call takes `result`, `header`, `select`, `errors`"
                ),
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
            if minus.is_none() && literal.base10_parse::<i128>().is_ok_and(|code| code > 0) {
                return Err(Error::new_spanned(
                    &literal,
                    "a hint is printed after a refusal, whose code is negative, or after a rejection, whose code is 0",
                ));
            }
            match minus {
                Some(minus) => parse_quote!(#minus #literal),
                None => parse_quote!(#literal),
            }
        } else {
            let path: syn::Path = input.parse()?;
            parse_quote!(#minus #path)
        };
        input.parse::<Token![=]>()?;
        Ok(Self {
            code,
            text: input.parse()?,
        })
    }
}
