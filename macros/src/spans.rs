//! Whose code generated code is, to the compiler's lints.

use proc_macro2::{Group, Span, TokenStream, TokenTree};

/// The same tokens, as written by the macro that is running.
///
/// The compiler does not complain of unused code that a macro of another crate wrote. But it goes by the tokens, and those
/// of a signature are the user's: it would complain of every expectation that a test does not use. Errors still point
/// at the trait.
pub(crate) fn as_own(tokens: TokenStream) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            if let TokenTree::Group(group) = &token {
                let mut own = Group::new(group.delimiter(), as_own(group.stream()));
                own.set_span(group.span());
                token = own.into();
            }
            // What `$crate` means depends on the macro that it stands in.
            let is_crate = matches!(&token, TokenTree::Ident(ident) if *ident == "$crate");
            if !is_crate {
                token.set_span(Span::call_site().located_at(token.span()));
            }
            token
        })
        .collect()
}
